// What the application chooses about the protocol. Times are on the member's own clock.
#pragma once

#include <array>
#include <cstdint>

#include "base/status.h"
#include "core/configuration.h"
#include "core/limits.h"
#include "core/types.h"

namespace ringleader {

// What two voters do when they do not see each other and there is no witness.
enum class TwoMembers : uint8_t {
  kStrict = 1,     // neither leads: nothing is lost, nothing runs
  kPreferred = 2,  // the other may lead without the preferred one; what it wrote is rolled back
                   // where the preferred one has gone on as well
};

// No time is longer than this, so that sums of a few never overflow: a day.
inline constexpr Nanos kMaxOptionTime = Nanos{86'400} * 1'000'000'000;
// Clocks that gain or lose more than a tenth are no clocks.
inline constexpr uint32_t kMaxClockDriftPpm = 100'000;

struct CoreOptions {
  std::array<uint8_t, 16> group_id{};
  MemberId self;
  Incarnation incarnation;
  MemberKind kind = MemberKind::kVoter;  // while no configuration says
  uint32_t priority = 100;               // the same
  // false: the group manager, whose members and quorums are records of the log, and which elects by
  // itself. true: the base API: the application says how many there are, and when to elect.
  bool base_api = false;
  // Base API: how many vote, until an election says; 0 = all that have been heard of.
  uint32_t voters = 0;
  TwoMembers two_members = TwoMembers::kStrict;
  MemberId preferred;  // kPreferred

  Nanos election_timeout = 1'000'000'000;  // silence after which a primary is given up
  Nanos heartbeat_interval = 150'000'000;  // at most a third of election_timeout
  Nanos canvass_wait = 250'000'000;        // for answers beyond the votes that suffice
  Nanos full_election_wait = 0;            // the same, in a group that never had a primary
  Nanos request_wait_min = 40'000'000;     // before a gap is asked for; doubles
  Nanos request_wait_max = 1'280'000'000;  // up to this
  Nanos handover_timeout = 2'000'000'000;  // then the primary goes on
  Nanos lease = 0;                         // 0 = linearizable reads go by rounds
  uint32_t clock_drift_ppm = 0;            // rate error of any member's clock, for leases
  // How long a commit position may be known to memory only; 0 = it is saved with promises alone.
  Nanos commit_save_interval = 5'000'000'000;

  uint64_t append_bytes = uint64_t{1} << 20;    // of records in one message
  uint64_t window_bytes = uint64_t{64} << 20;   // on their way to one member
  uint64_t request_bytes = uint64_t{10} << 20;  // sent for one Request (setLimit); 0 = all
  uint64_t snapshot_piece_bytes = uint64_t{1} << 20;
  bool automatic_snapshot = true;  // off: a member that needs one says so and waits
  bool delayed_sync = false;       // a replica asks for nothing until it is told to
  bool peer_to_peer = true;        // gaps may be filled by other replicas

  uint64_t disk = 0;             // under this member's log, for those who count copies; 0 = unknown
  std::vector<uint8_t> contact;  // told to the others; at most kMaxContactBytes
};

// kInvalidArgument says what is wrong.
Status CheckOptions(const CoreOptions& options);

}  // namespace ringleader
