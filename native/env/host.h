// What tells whether two processes can share memory, and whether the machine has restarted.
#pragma once

#include <array>
#include <cstdint>

namespace ringleader {

struct HostIdentity {
  // Changes at every start of the kernel: memory written under another value is gone.
  std::array<uint8_t, 16> boot_id{};
  // Processes of different PID namespaces cannot see each other's thread ids, on which the death
  // detection of robust mutexes rests.
  uint64_t pid_namespace = 0;
};

class Host {
 public:
  virtual ~Host() = default;

  virtual HostIdentity Identity() = 0;
  // Of the calling process, also in a child of fork. Cheap.
  virtual uint32_t ProcessId() = 0;
};

}  // namespace ringleader
