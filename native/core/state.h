// Everything a member knows, as plain data: what the Replicator's rules read and change, what
// invariants.h checks, and what the explorer hashes. No rule lives here.
#pragma once

#include <optional>
#include <vector>

#include "core/hard_state.h"
#include "core/message.h"
#include "core/output.h"
#include "core/progress.h"
#include "core/witness.h"

namespace ringleader {

// This member's log, as the driver has told of it: start <= flushed <= written <= end.
struct LogState {
  Lsn start, end, written, flushed, applied;
  uint64_t history = 0;       // roll-backs and installed snapshots since the start
  bool rolling_back = false;  // a RollBack is with the driver: nothing is appended meanwhile
  TermTable terms;
  std::vector<ConfigurationAt> configurations;  // the newest committed one first, if any

  static constexpr auto Fields(auto& self, auto&& field) {
    field("start", self.start);
    field("end", self.end);
    field("written", self.written);
    field("flushed", self.flushed);
    field("applied", self.applied);
    field("history", self.history);
    field("rolling_back", self.rolling_back);
    field("terms", self.terms);
    field("configurations", self.configurations);
  }
};

// What has been promised, and how much of that is on the disk.
struct PromiseState {
  HardState hard;
  uint64_t saved = 0;      // sequence of the newest one on the disk
  uint64_t promised = 0;   // sequence of the one that holds hard.promised
  bool dirty = false;      // `hard` holds more than the newest one asked for
  bool in_flight = false;  // a save is with the driver; one at a time, so the slots alternate
  Nanos commit_at = 0;  // when a commit position that is not in `hard` is saved; 0 = there is none

  static constexpr auto Fields(auto& self, auto&& field) {
    field("hard", self.hard);
    field("saved", self.saved);
    field("promised", self.promised);
    field("dirty", self.dirty);
    field("in_flight", self.in_flight);
    field("commit_at", self.commit_at);
  }
};

enum class ElectionPhase : uint8_t {
  kIdle = 1,
  kCanvassing = 2,  // asking who would be best
  kSwapping = 3,    // waiting for the witness
  kVoting = 4,      // own ballot being flushed, then votes being counted
  kWon = 5,         // base API: elected, and the application has not called LeadNow yet
  kAppointed = 6,   // leading without an election, once the ballot is flushed
};

struct CanvassAnswer {
  MemberId id;
  Position last;
  uint32_t priority = 0;
  Incarnation incarnation;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("last", self.last);
    field("priority", self.priority);
    field("incarnation", self.incarnation);
  }
};

// A vote that is given as soon as the promise in it is flushed.
struct PendingGrant {
  MemberId to;
  Ballot candidate;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("to", self.to);
    field("candidate", self.candidate);
  }
};

struct ElectionState {
  ElectionPhase phase = ElectionPhase::kIdle;
  uint64_t round = 0;
  uint32_t failures = 0;               // in a row; spreads the candidates
  uint32_t donations = 0;              // in a row
  Nanos due = 0;                       // kIdle: when silence has lasted too long
  Nanos ends = 0;                      // any other phase: when it is given up
  Nanos waits_until = 0;               // kCanvassing: for answers beyond those that suffice
  Nanos free_at = 0;                   // a lease given before the restart may still hold until then
  Term seen;                           // highest counter in any message
  Ballot candidate;                    // kVoting, kWon, kAppointed: the ballot asked for
  Ballot handover;                     // the primary that asked for this election
  MemberId donor;                      // asked for the records that make this member the freshest
  Lsn donor_end, donor_commit;         // of the donor's log, as of the records that came
  std::vector<CanvassAnswer> answers;  // kCanvassing: ready members, this one included
  std::vector<MemberId> votes;         // kVoting: granted, this one included
  std::optional<PendingGrant> grant;
  std::vector<MemberId> dead;  // seen to have ended: not waited for
  std::optional<Configuration> founding;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("phase", self.phase);
    field("round", self.round);
    field("failures", self.failures);
    field("donations", self.donations);
    field("due", self.due);
    field("ends", self.ends);
    field("waits_until", self.waits_until);
    field("free_at", self.free_at);
    field("seen", self.seen);
    field("candidate", self.candidate);
    field("handover", self.handover);
    field("donor", self.donor);
    field("donor_end", self.donor_end);
    field("donor_commit", self.donor_commit);
    field("answers", self.answers);
    field("votes", self.votes);
    field("grant", self.grant);
    field("dead", self.dead);
    field("founding", self.founding);
  }
};

// A snapshot that is being fetched.
struct FetchState {
  bool wanted = false;
  bool keeping = false;  // a piece is with the driver
  bool last = false;     // and it is the last one: what comes of it is told
  MemberId donor;        // who gives it where nobody leads; kNobody = the primary
  Lsn from;              // what lies below is in no log any more: an older snapshot is no use
  SnapshotHead head;     // id 0 = none yet
  uint64_t kept = 0;     // bytes
  Nanos ends = 0;        // nobody has given anything for so long: another one is looked for
  Nanos ask_at = 0;
  Nanos wait = 0;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("wanted", self.wanted);
    field("keeping", self.keeping);
    field("last", self.last);
    field("donor", self.donor);
    field("from", self.from);
    field("head", self.head);
    field("kept", self.kept);
    field("ends", self.ends);
    field("ask_at", self.ask_at);
    field("wait", self.wait);
  }
};

struct AskedRead {
  uint64_t id = 0;
  MemberId from;       // kNobody = of this member's own
  Nanos asked_at = 0;  // confirmed by heartbeats sent then or later
  Lsn position;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("from", self.from);
    field("asked_at", self.asked_at);
    field("position", self.position);
  }
};

// Of a replica; valid while `ballot` is not none.
struct ReplicaState {
  MemberId primary;
  Ballot ballot;         // whose primary is followed
  Position primary_end;  // as of its newest heartbeat or records
  // Up to here this log is certainly the primary's. What lies behind may be another history.
  Lsn matched;
  Lsn commit;  // the primary's, as of its newest message
  // Records that the driver is appending: their end, whether they are the primary's own, and what
  // begins or ends in them. 0 = none.
  Lsn appending;
  bool appending_primarys = false;
  std::vector<TermStart> new_terms;
  Nanos heard_at = 0;
  Nanos quorum_at = 0;  // when it last said that it has its quorum
  Nanos lease_until = 0;
  Nanos sent_at = 0;   // echoed in the next Ack
  uint8_t levels = 0;  // AckLevel bits that the primary wants to hear of at once
  bool ack_due = false;
  AckProblem problem = AckProblem::kNone;
  AckProblem missing = AckProblem::kNone;  // what the primary will be told is missing
  Nanos missing_at = 0;                    // when; 0 = nothing is
  Nanos missing_wait = 0;
  uint32_t missing_tries = 0;
  bool caught_up = false;    // startup is done
  bool sync_allowed = true;  // false: delayed sync
  std::vector<AskedRead> reads;
  FetchState fetch;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("primary", self.primary);
    field("ballot", self.ballot);
    field("primary_end", self.primary_end);
    field("matched", self.matched);
    field("commit", self.commit);
    field("appending", self.appending);
    field("appending_primarys", self.appending_primarys);
    field("new_terms", self.new_terms);
    field("heard_at", self.heard_at);
    field("quorum_at", self.quorum_at);
    field("lease_until", self.lease_until);
    field("sent_at", self.sent_at);
    field("levels", self.levels);
    field("ack_due", self.ack_due);
    field("problem", self.problem);
    field("missing", self.missing);
    field("missing_at", self.missing_at);
    field("missing_wait", self.missing_wait);
    field("missing_tries", self.missing_tries);
    field("caught_up", self.caught_up);
    field("sync_allowed", self.sync_allowed);
    field("reads", self.reads);
    field("fetch", self.fetch);
  }
};

// Who has answered a primary that does not know it: no member, or another copy of one.
struct Stranger {
  MemberId id;
  Incarnation incarnation;

  constexpr bool operator==(const Stranger&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("incarnation", self.incarnation);
  }
};

// Of a primary; valid while the role is kPrimary.
struct PrimaryState {
  Ballot term;
  Lsn term_end;                 // of its TERM record; 0 = not appended yet
  std::vector<Progress> peers;  // ascending by id
  Nanos heartbeat_at = 0;       // the next one
  Nanos sent_at = 0;            // when the newest one was sent
  Nanos since = 0;              // when the reign began: until then nobody can have answered
  bool heartbeat_now = false;
  bool lease_dropped = false;
  uint64_t changing = 0;  // version of a configuration that is being appended; 0 = none
  MemberId handover;      // to whom; kNobody = not handing over
  Nanos handover_ends = 0;
  bool nominated = false;  // the target has been told
  std::vector<AskedRead> reads;
  std::vector<Stranger> strangers;  // told of since the newest configuration; at most kMaxMembers

  static constexpr auto Fields(auto& self, auto&& field) {
    field("term", self.term);
    field("term_end", self.term_end);
    field("peers", self.peers);
    field("heartbeat_at", self.heartbeat_at);
    field("sent_at", self.sent_at);
    field("since", self.since);
    field("heartbeat_now", self.heartbeat_now);
    field("lease_dropped", self.lease_dropped);
    field("changing", self.changing);
    field("handover", self.handover);
    field("handover_ends", self.handover_ends);
    field("nominated", self.nominated);
    field("reads", self.reads);
    field("strangers", self.strangers);
  }
};

// Of a group of two with a witness.
struct InSyncState {
  WitnessRegister known;  // what the register holds, where `certain`
  bool certain = false;
  std::optional<WitnessRequest> asked;  // with the driver
  Nanos retry_at = 0;
  // The version that a swap which nobody has answered for may give the register yet, though it was
  // not there when it was read: a request can be slow. 0 = none.
  uint64_t unanswered = 0;
  Incarnation growing;  // waited for, though not in the register yet
  Lsn takeover_end;     // of the log when this reign began: what a newcomer must have at least

  static constexpr auto Fields(auto& self, auto&& field) {
    field("known", self.known);
    field("certain", self.certain);
    field("asked", self.asked);
    field("retry_at", self.retry_at);
    field("unanswered", self.unanswered);
    field("growing", self.growing);
    field("takeover_end", self.takeover_end);
  }
};

struct CoreState {
  Nanos now = 0;
  Role role = Role::kReplica;
  Lsn commit;
  bool broken = false;  // the disk has failed: this member promises nothing any more
  bool halted = false;  // an operator has to decide
  uint8_t levels = 0;   // AckLevel bits that commits wait for where this member leads
  Configuration heard;  // base API: who has been heard of, and the application's numbers
  LogState log;
  PromiseState promise;
  ElectionState election;
  ReplicaState replica;
  PrimaryState primary;
  InSyncState in_sync;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("now", self.now);
    field("role", self.role);
    field("commit", self.commit);
    field("broken", self.broken);
    field("halted", self.halted);
    field("levels", self.levels);
    field("heard", self.heard);
    field("log", self.log);
    field("promise", self.promise);
    field("election", self.election);
    field("replica", self.replica);
    field("primary", self.primary);
    field("in_sync", self.in_sync);
  }
};

}  // namespace ringleader
