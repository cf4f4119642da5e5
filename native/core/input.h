// Everything that can happen to a member. Each Input is one step of the Replicator.
//
// `now` never goes back. What the driver owes, beyond telling the truth:
//   1. It tells of things in the order in which they happened to the log: what was appended, then
//      what of it was flushed; and before it passes on a message it has told what the local writers
//      appended before.
//   2. It carries out Outputs in the order that output.h gives, and answers each request.
//   3. It tells of a flush only when the bytes are on the disk, with the `history` that the log had
//      when the flush began: a flush of bytes that have been rolled back since is no promise.
//   4. After a restart it makes a new Replicator from what is on the disk, all of it flushed.
//   5. Where a transaction takes several records, LogFlushed, LogRolledBack and Start::log_end name
//      ends of whole transactions only. So nothing is acknowledged or committed up to the middle of
//      one, and a member that comes back without its half of an unfinished one has lost nothing
//      that it had promised.
//   6. What an AppendRecords, AppendTerm or AppendConfiguration has come to is the next input after
//      the step that asked for it.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/hard_state.h"
#include "core/message.h"
#include "core/witness.h"

namespace ringleader {

// What a member comes up with.
struct Start {
  HardState hard_state;
  Lsn log_start;  // first byte that the log still has
  Lsn log_end;    // all of it flushed
  TermTable terms;
  std::vector<ConfigurationAt> configurations;  // the newest below hard_state.commit, and all above
  // A snapshot that was being fetched: its id and how much of it is kept; id 0 = none.
  uint64_t snapshot_id = 0;
  uint64_t snapshot_bytes = 0;
};

// Nothing happened, but time went on.
struct Tick {};

struct Receive {
  Message message;
};

// The log has grown: by local writers of this primary, or by what AppendRecords asked for. Then
// with the configurations that the driver has found in the records: the sender's core may have
// forgotten all but the newest, and a member that goes through them has to know each. One that took
// itself to be in an older configuration than its log says would count the wrong votes.
struct LogAppended {
  Lsn end;
  std::vector<ConfigurationAt> configurations = {};
};
// The disk has it, in the kernel's memory or for good. `history`: how many roll-backs the log had
// seen when the write began.
struct LogWritten {
  Lsn end;
  uint64_t history = 0;
};
struct LogFlushed {
  Lsn end;
  uint64_t history = 0;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("end", self.end);
    field("history", self.history);
  }
};
// Readers of this member see everything below.
struct LogApplied {
  Lsn end;
};
// The log has been trimmed: it begins here now.
struct LogTrimmed {
  Lsn start;
};
// The first failure of the disk under log or hard state is final.
struct DiskFailed {};

// Answers to Outputs.
struct HardStateSaved {
  uint64_t sequence = 0;
};
// A TERM or configuration record stands at [start, end).
struct TermAppended {
  Ballot term;
  Lsn start, end;
};
struct ConfigurationAppended {
  Configuration configuration;
  Lsn end;
};
// The log ends at `to` now, on the disk too: where asked, or at the end of the transaction before.
struct LogRolledBack {
  Lsn to;
};
// Records have been sent from Ship::previous on, up to `end`; `end` == previous.lsn: none could be
// read, because the log no longer has them.
struct Shipped {
  MemberId to;
  Lsn end;
};
// A snapshot is in place of log and tables, flushed.
struct SnapshotInstalled {
  SnapshotHead head;
};
// A piece is kept: so many bytes of the snapshot are there. `failed`: it could not be; ask again.
struct SnapshotKept {
  uint64_t id = 0;
  uint64_t bytes = 0;
  bool failed = false;
};
struct WitnessAnswer {
  WitnessOutcome outcome = WitnessOutcome::kUnknown;
  WitnessRegister value;  // kConflict and after a read: what it holds
};

// What the application or the group manager asks for.
//
// Base API, start('primary'): lead. `won`: after the election that was won under this ballot
// (Notice::term of kElected), or not at all where something has come in between. None: whoever was
// elected or not.
struct LeadNow {
  Ballot won = {};
};
// Follow (base API: start('replica'), or step down).
struct FollowNow {
  std::optional<std::vector<uint8_t>> contact = {};  // what the others are told from now on
};
// Call an election. 0 = what the configuration says (base API: all that is known of).
struct CallElection {
  uint32_t voters = 0;
  uint32_t votes = 0;
  uint32_t priority = UINT32_MAX;  // UINT32_MAX = unchanged
  Nanos timeout = 0;               // to give up after; 0 = election_timeout
};
struct HandOverTo {
  MemberId member;  // kNobody = the best
};
struct ChangeMembers {
  MembershipChange change;
};
// The first configuration of a group, at its first member.
struct FoundGroup {
  Configuration configuration;
};
// Linearizable from the position on that the answer gives. Answered with ReadReady.
struct AskRead {
  uint64_t id = 0;
};
// Delayed sync: go on.
struct SyncNow {};
// setLimit, ack levels that commits of this primary wait for (AckLevel bits).
struct SetLimit {
  uint64_t bytes = 0;
};
struct SetLevels {
  uint8_t levels = 0;
};
// The driver has seen the process of a member of this host end: no need to wait for silence.
struct MemberDied {
  MemberId member;
  Incarnation incarnation;
};

using Event =
    std::variant<Tick, Receive, LogAppended, LogWritten, LogFlushed, LogApplied, LogTrimmed,
                 DiskFailed, HardStateSaved, TermAppended, ConfigurationAppended, LogRolledBack,
                 Shipped, SnapshotInstalled, SnapshotKept, WitnessAnswer, LeadNow, FollowNow,
                 CallElection, HandOverTo, ChangeMembers, FoundGroup, AskRead, SyncNow, SetLimit,
                 SetLevels, MemberDied>;

struct Input {
  Nanos now = 0;
  Event event;
};

}  // namespace ringleader
