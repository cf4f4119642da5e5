// What one run of the full simulator is like: everything that follows from its seed.
//
// Runs are a swarm: each draws which kinds of faults there are, how often they come and how hard
// they hit, so that some runs are calm in all but one respect. The shrinker takes kinds, members
// and operations away and keeps the rest as it was drawn.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"

namespace ringleader::simulator {

enum class Fault : uint8_t {
  kLoss,        // messages are lost
  kDuplicate,   // or come twice
  kReorder,     // or overtake each other
  kClog,        // a path stands still for a while, then lets all go
  kPartition,   // uniform, one alone, a bridge, a ring of majorities
  kOneWay,      // partitions and clogs of one direction
  kByType,      // messages of one type are lost
  kDamage,      // a frame arrives with a bit wrong
  kKill,        // the process ends; what the kernel has stays
  kPowerCut,    // what was not flushed may be gone, or be there in part
  kCutInside,   // ... in the middle of a roll-back, an installation, a start
  kPause,       // a process stands still, and wakes up late
  kNewDisk,     // a member comes back with nothing
  kSlowDisk,    // flushes take long
  kStuckFlush,  // or do not end for seconds
  kIoError,     // a call fails
  kFlushError,  // a flush fails, once
  kFullDisk,    // no space for a while
  kReadError,   // what is read is wrong, though not on the disk
  kSkew,        // clocks differ
  kDrift,       // and run at different rates, up to the declared bound
  kWallJump,    // somebody sets the wall clock
  kImpatience,  // clients give up and ask again elsewhere
  kMembership,  // members come, go and change
  kHandOver,    // primaries hand over
  kWitness,     // the witness is down, or its answer is lost
  kLarge,       // transactions of several records
  kTrim,        // logs are trimmed behind members that need them
  kCount,
};
inline constexpr size_t kFaults = static_cast<size_t>(Fault::kCount);

std::string_view NameOf(Fault fault);
// False where there is no such kind.
bool FindFault(std::string_view name, Fault* fault);

struct SimPlan {
  uint64_t seed = 1;
  uint64_t operations = 0;  // of clients, then the liveness phase

  uint32_t voters = 3;
  uint32_t spares = 0;  // more members, which may be added
  bool witness = false;
  bool base_api = false;         // the application elects and appoints, as it would itself
  bool delayed_sync = false;     // some replicas take nothing until they are told to
  bool peer_to_peer = true;      // gaps may be filled by other replicas
  bool keeps_snapshots = false;  // a sender goes on with its snapshot after a restart
  uint64_t faults = 0;           // bits of Fault
  // Which strikes of the run there are, by their numbers, ascending; nullopt = all. Those that go
  // on all the time, such as loss, are none.
  std::optional<std::vector<uint64_t>> strikes;

  double loss = 0, duplicate = 0, reorder = 0;
  Nanos delay_min = 0, delay_max = 0;  // of a message
  Nanos flush_min = 0, flush_max = 0;
  Nanos fault_interval = 0;  // mean time between two faults that strike
  Nanos think_max = 0;       // of a client between two operations
  uint32_t clients = 4;
  uint32_t small_bytes = 64;  // largest of usual transactions
  double large = 0;           // of transactions
  uint64_t keep_bytes = 0;    // of the log, when it is trimmed
  uint32_t drift_ppm = 0;     // bound of a clock's rate error
  Nanos skew_max = 0;
  Nanos election_timeout = 0, heartbeat = 0, lease = 0;
  uint64_t append_bytes = 0, piece_bytes = 0, window_bytes = 0;

  bool Has(Fault fault) const { return (faults >> static_cast<unsigned>(fault) & 1) != 0; }
  bool Strikes(uint64_t number) const {
    return !strikes || std::ranges::binary_search(*strikes, number);
  }
  void Drop(Fault fault) { faults &= ~(uint64_t{1} << static_cast<unsigned>(fault)); }
  uint32_t members() const { return voters + spares; }
  // In a line: who takes part, and what may happen to them.
  std::string Text() const;
};

// A number of the plan that may be another one than was drawn; less of it makes a simpler run.
struct SimSetting {
  std::string_view name;
  uint64_t least;
  uint64_t (*get)(const SimPlan& plan);
  void (*set)(SimPlan* plan, uint64_t value);
};
std::span<const SimSetting> Settings();

// `voters`: 0 = as the seed says.
SimPlan DrawPlan(uint64_t seed, uint64_t operations, uint32_t voters);

}  // namespace ringleader::simulator
