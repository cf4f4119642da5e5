// Makes the base tree's flushes slow for a while, or a process die in a flush. Log and LMDB call
// fdatasync of the C library, in whose place a definition in the test program is linked
// (store_fold_test.cc).
#pragma once

#include <atomic>
#include <cstdint>

namespace ringleader::test {

inline std::atomic<uint64_t> g_base_sync_delay_us{0};
inline std::atomic<bool> g_die_in_sync{false};

class SlowBase {
 public:
  explicit SlowBase(uint64_t delay_us) {
    g_base_sync_delay_us.store(delay_us, std::memory_order_release);
  }
  SlowBase(const SlowBase&) = delete;
  SlowBase& operator=(const SlowBase&) = delete;
  ~SlowBase() { g_base_sync_delay_us.store(0, std::memory_order_release); }
};

}  // namespace ringleader::test
