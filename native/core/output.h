// What a step asks the driver to do, in this order; nothing here may be left out, and nothing may
// overtake what stands before it in the same Outputs:
//
//   1. `log`    in its order. Appending, rolling back, records of this member's own.
//   2. `save`   the hard state: write its slot, flush it, answer with HardStateSaved. It may run
//               beside the following; a later one supersedes it, never the other way round.
//   3. `send`, `ship`, `pieces`   at once, in any order, lost or not. Nothing among them rests on
//               anything that is not already durable: the core waits with a promise until it has
//               been told so. So no driver can send a promise too early.
//   4. `commit`, `events`, `reads`   to whoever waits.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/hard_state.h"
#include "core/message.h"
#include "core/witness.h"

namespace ringleader {

// Append the records that came with a message. They have been checked against the local log; the
// driver checks each record's own checksum and chain, appends what is good, and answers
// LogAppended.
struct AppendRecords {
  Lsn from, end;  // of `bytes`, after what is there already has been left out
  Bytes bytes;    // into the message that was received
  std::vector<TermStart> terms;
};
// Write this primary's TERM record at the end of the log, and let writers in behind it.
struct AppendTerm {
  Ballot term;
  MemberId primary;
};
struct AppendConfiguration {
  Configuration configuration;
};
// Writers of this environment are shut out; what they have appended is told before this returns.
struct StopWriters {};
// They may go on: a hand-over has been given up.
struct ResumeWriters {};
// Keep what lies behind `to` in a readable file, flushed; then make the log end there. `fork` names
// the file.
struct RollBack {
  Lsn to;
  Ballot discarded;  // the last term of what goes
};
using LogAction = std::variant<AppendRecords, AppendTerm, AppendConfiguration, StopWriters,
                               ResumeWriters, RollBack>;

// Send Records: from `previous.lsn` on, whole records, at least one, of at most `limit_bytes` where
// more than one, not beyond `end_limit`; then answer Shipped. The driver fills in message.end
// and the terms through Replicator::Complete, and the bytes.
struct Ship {
  MemberId to;
  Records head;
  Lsn end_limit;
  uint64_t limit_bytes = 0;
};
// Send a piece of a snapshot: make one where `request.id` is 0 or not known any more, of what is
// applied and thereby committed. One that is being made is not begun again: whoever waits for it
// may ask several times.
struct SendPiece {
  MemberId to;
  SnapshotRequest request;
};
// Keep a piece that came with a message; answer SnapshotKept. `last`: it is whole then; check it,
// put it in place of log and tables, and answer SnapshotInstalled.
struct KeepPiece {
  SnapshotHead head;
  uint64_t offset = 0;
  bool last = false;
  Bytes bytes;
};

enum class Role : uint8_t { kReplica = 1, kCandidate = 2, kPrimary = 3 };

enum class NoticeKind : uint8_t {
  kRole = 1,              // `role` is new
  kElected = 2,           // this member has won; in the base API the application now calls LeadNow
  kNewPrimary = 3,        // `member` leads, not this one
  kElectionFailed = 4,    // not enough votes, or timed out
  kHoldElection = 5,      // somebody canvasses, and this member does not elect by itself
  kDuplicatePrimary = 6,  // `member` says that it leads too
  kNewMember = 7,         // `member`, which was not known, with `contact`
  kStartupDone = 8,       // caught up with the primary's log
  kJoinFailure = 9,       // needs a snapshot, and automatic ones are off
  kSnapshotDone = 10,
  kRolledBack = 11,     // behind `position`
  kHalted = 12,         // what would have to be rolled back was committed: an operator is needed
  kConfigured = 13,     // `configuration` is in effect
  kChangeRefused = 14,  // ChangeMembers, FoundGroup, HandOverTo: `reason`
  kHandOverDone = 15,
  kHandOverFailed = 16,
  kLostQuorum = 17,  // stepped down: no V voters within an election timeout
  kStranger = 18,    // an answer of nobody that the configuration knows; once for each copy
  kInSync = 19,      // the set of copies that the primary waits for has changed
};

struct Notice {
  NoticeKind kind = NoticeKind::kRole;
  Role role = Role::kReplica;
  MemberId member;
  Ballot term;
  Position position;
  std::vector<uint8_t> contact;
  const char* reason = "";
};

struct ReadReady {
  uint64_t id = 0;
  bool granted = false;
  Lsn position;
};

struct Outputs {
  std::vector<LogAction> log;
  std::optional<HardState> save;
  std::vector<Message> send;
  std::vector<Ship> ship;
  std::vector<SendPiece> pieces;
  std::vector<KeepPiece> keep;
  std::optional<WitnessRequest> witness;
  Lsn commit;  // as after the step
  std::vector<Notice> events;
  std::vector<ReadReady> reads;

  void Clear();
};

}  // namespace ringleader
