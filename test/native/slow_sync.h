// Makes the base tree's flushes slow for a while, or a process die in a flush. Log and LMDB call
// fdatasync of the C library, in whose place every test program has a definition (slow_sync.cc)
// that asks here first.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringleader::test {

inline std::atomic<uint64_t> g_base_sync_delay_us{0};
inline std::atomic<bool> g_die_in_sync{false};
// Set before main: whether a flush of this file fails, with errno.
inline bool (*g_data_sync_fails)(int fd) = nullptr;

inline void BeforeDataSync(int fd) {
  if (g_die_in_sync.load(std::memory_order_acquire)) raise(SIGKILL);
  const uint64_t delay_us = g_base_sync_delay_us.load(std::memory_order_acquire);
  if (delay_us == 0) return;
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = readlink(link.c_str(), path, sizeof path);
  const std::string_view name(path, size < 0 ? 0 : static_cast<size_t>(size));
  if (name.ends_with("/data.mdb")) usleep(static_cast<useconds_t>(delay_us));
}

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
