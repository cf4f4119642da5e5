// Faults that a simulated disk shows on demand.
//
// A rule names calls, a path, a byte range and which of the matching calls it hits. Rules are asked
// in the order in which they were added: all delays and hangs apply, and of the others the first
// that hits decides the outcome of the call.
//
//   // The third flush of a segment fails, and only that one.
//   disk.AddFault({.calls = Calls({SimCall::kSyncData}), .path = ".seg", .skip = 2, .count = 1});
//   // Every write hangs until RemoveFault(id).
//   const uint64_t id = disk.AddFault({.calls = Calls({SimCall::kWrite}),
//                                      .action = FaultAction::kHang});
//
// Threads: none; the disk's mutex guards it.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "env/sim/sim_rng.h"

namespace ringleader {

enum class SimCall : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSyncData,
  kAllocate,
  kTruncate,
  kSize,
  kLock,  // and unlock
  kRename,
  kRemove,
  kList,
  kMakeDirectory,
  kSyncDirectory,
  kInfo,
  kCount,
};

// A set of calls.
constexpr uint32_t Calls(std::initializer_list<SimCall> calls) {
  uint32_t mask = 0;
  for (const SimCall call : calls) mask |= uint32_t{1} << static_cast<uint32_t>(call);
  return mask;
}
inline constexpr uint32_t kAllCalls = (uint32_t{1} << static_cast<uint32_t>(SimCall::kCount)) - 1;
// What a file system mounted read-only refuses (with EROFS). Opening files to write is left out: a
// disk turns read-only under files that are open already.
inline constexpr uint32_t kChangingCalls =
    Calls({SimCall::kWrite, SimCall::kAllocate, SimCall::kTruncate, SimCall::kRename,
           SimCall::kRemove, SimCall::kMakeDirectory});

enum class FaultAction : uint8_t {
  // The call fails with `sys_errno`. Of a write the first `written` bytes are done before; a failed
  // flush follows rule 7 of sim_crash.h; every other call has no effect.
  kError,
  // SyncData, SyncDirectory: kOk without any effect.
  kLie,
  // WriteAt: kOk; readers see the bytes until the next power cut, the disk never does.
  kLoseWrite,
  // WriteAt: as kLoseWrite, and the bytes appear `shift` bytes further on in the same file, as far
  // as it reaches.
  kMisdirectWrite,
  // ReadAt: kOk with one bit wrong, in the first byte of the read that lies in the rule's range.
  kFlipBit,
  // The call stands still, before its effect, until the rule is removed or the power is cut.
  kHang,
  // The call takes `nanos` longer.
  kDelay,
};

struct FaultRule {
  uint32_t calls = kAllCalls;
  std::string path = {};  // part of the path; of both paths of a rename
  // Calls that have a byte range (reads, writes, reservations, locks) must touch this one.
  uint64_t first_byte = 0;
  uint64_t end_byte = std::numeric_limits<uint64_t>::max();
  uint64_t skip = 0;                                      // so many matching calls pass
  uint64_t count = std::numeric_limits<uint64_t>::max();  // then so many are hit, and no more
  double probability = 1;                                 // of those that `count` is about
  FaultAction action = FaultAction::kError;
  int sys_errno = EIO;
  uint64_t written = 0;
  int64_t shift = 0;
  uint64_t nanos = 0;
};

// What the rules do to one call.
struct FaultVerdict {
  int sys_errno = 0;
  uint64_t written = 0;  // of a write that fails
  bool lie = false;
  bool lose = false;
  bool misdirect = false;
  int64_t shift = 0;
  bool flip = false;
  uint64_t flip_at = 0;
  uint64_t delay_nanos = 0;
  std::vector<uint64_t> hang = {};  // until none of these rules is left
};

class SimFaults {
 public:
  explicit SimFaults(uint64_t seed) : rng_(seed) {}

  // RL_CHECKs that the action is possible for the calls.
  uint64_t Add(FaultRule rule);
  // false: there is no such rule (any more).
  bool Remove(uint64_t id);
  void Clear() { rules_.clear(); }
  bool Has(uint64_t id) const { return rules_.contains(id); }
  bool empty() const { return rules_.empty(); }
  // How many calls a rule has hit; removed rules are remembered.
  uint64_t Hits(uint64_t id) const;

  FaultVerdict Decide(SimCall call, std::string_view path, std::string_view other_path,
                      uint64_t offset, uint64_t size);

 private:
  struct Active {
    FaultRule rule;
    uint64_t matches = 0;
  };

  static bool Matches(const FaultRule& rule, SimCall call, std::string_view path,
                      std::string_view other_path, uint64_t offset, uint64_t size);
  bool Hit(uint64_t id, Active* active);

  SimRng rng_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Active> rules_;
  std::map<uint64_t, uint64_t> hits_;
};

}  // namespace ringleader
