// What a replica does: takes the primary's records, says how far it has them, and gives up what is
// not the primary's.
//
// Rules, and what goes wrong without them:
//   - nothing of a primary below the own promise is taken, or acknowledged: the promise is what
//     made somebody else's election safe;
//   - an acknowledgement states what is flushed, and of that only what is certainly the primary's.
//     A log may be longer than that by records of another history; to acknowledge a position in
//     those would commit records that this member does not have;
//   - it leaves when the promise of the ballot is flushed too: a member that acknowledges, dies,
//     and comes back without the promise may acknowledge an older primary after all;
//   - what is rolled back is kept in a file first, and nothing known as committed is ever rolled
//     back: where that would be needed, the disk or the operator has broken a promise, and the
//     member stops instead.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

// Whether the message comes from the primary to follow; becomes its replica where it does not yet.
bool Replicator::Accept(const Message& message) {
  if (message.ballot.incarnation != message.incarnation) return false;
  const Ballot promised = state_.promise.hard.promised;
  if (message.ballot < promised && !RL_MUTANT(kAckOldReign)) {
    Ack refusal;
    refusal.problem = AckProblem::kRefused;
    SendTo(message.from, refusal);
    if (state_.role == Role::kPrimary) Tell(NoticeKind::kDuplicatePrimary).member = message.from;
    return false;
  }
  if (state_.broken || state_.halted) {
    Ack refusal;
    refusal.problem = AckProblem::kBroken;
    if (message.ballot == promised) SendTo(message.from, refusal);
    return false;
  }
  if (message.ballot > promised) {
    if (state_.role == Role::kPrimary) {
      if (options_.two_members == TwoMembers::kPreferred && options_.preferred == options_.self) {
        HigherBallot(message.ballot);
        return false;
      }
      StepDown(NoticeKind::kDuplicatePrimary);
    }
    Promise(message.ballot);
  }
  if (state_.replica.ballot != message.ballot) Follow(message);
  FetchState& fetch = state_.replica.fetch;
  if (fetch.donor != kNobody) EndFetch();  // whoever leads says what is missing
  if (fetch.wanted) fetch.ends = state_.now + options_.election_timeout;
  // It is there after all.
  if (state_.election.phase == ElectionPhase::kCanvassing) {
    EndElection();
    if (options_.base_api) Tell(NoticeKind::kNewPrimary);  // whoever asked for an election waits
  }
  ReplicaState& replica = state_.replica;
  replica.heard_at = state_.now;
  state_.election.due = state_.now + ElectionDelay();
  return true;
}

void Replicator::Follow(const Message& message) {
  RL_CHECK(state_.role != Role::kPrimary);
  EndElection();
  Unfollow();
  state_.election.failures = 0;
  state_.replica.primary = message.from;
  state_.replica.ballot = message.ballot;
  if (!state_.promise.hard.established) {
    state_.promise.hard.established = true;
    Save();
  }
  Tell(NoticeKind::kNewPrimary);
}

void Replicator::Unfollow() {
  RefuseReads();
  FetchState fetch = state_.replica.fetch;
  const bool keeps_fetching = fetch.wanted;
  const bool sync_allowed = !options_.delayed_sync;
  const ReplicaState before = std::exchange(state_.replica, {});
  state_.replica.sync_allowed = sync_allowed;
  // What the driver has in hand is answered whoever leads.
  state_.replica.appending = before.appending;
  state_.replica.new_terms = before.new_terms;
  fetch.wanted = keeps_fetching && fetch.keeping;
  state_.replica.fetch = fetch;
}

void Replicator::On(const Message& message, const Heartbeat& heartbeat) {
  if (!Accept(message)) return;
  ReplicaState& replica = state_.replica;
  const LogState& log = state_.log;
  replica.sent_at = std::max(replica.sent_at, heartbeat.sent_at);
  replica.ack_due = true;
  if (heartbeat.has_quorum) replica.quorum_at = state_.now;
  if (heartbeat.lease > 0) {
    const Nanos lease = heartbeat.lease + Drift(heartbeat.lease);
    replica.lease_until = std::max(replica.lease_until, state_.now + lease);
  }
  replica.primary_end = std::max(replica.primary_end, heartbeat.end);
  replica.commit = std::max(replica.commit, heartbeat.commit);
  const Lsn end = heartbeat.end.lsn;
  if (RL_MUTANT(kCommitBeyondMatched)) RaiseCommit(std::min(replica.commit, log.end));
  if (log.rolling_back || replica.appending.value != 0) return;
  if (end <= log.end && end >= log.start && log.terms.At(end) == heartbeat.end.term) {
    replica.matched = std::max(replica.matched, end);
    RaiseCommit(std::min(replica.commit, replica.matched));
  } else if (end > replica.matched) {
    // Something is missing. Where nothing is known to be common yet, the primary waits to hear it;
    // otherwise the records may be on their way.
    NoteMissing(end <= log.end ? AckProblem::kFork : AckProblem::kGap, replica.matched.value == 0);
  }
  if (!replica.caught_up && replica.matched >= heartbeat.end.lsn) {
    replica.caught_up = true;
    Tell(NoticeKind::kStartupDone).position = heartbeat.end;
  }
}

void Replicator::On(const Message& message, const Records& records) {
  const Lsn from = records.previous.lsn;
  if (records.end < from) return;
  Lsn before = from;
  for (const TermStart& row : records.terms) {
    if (row.start < before || row.start >= records.end) return;
    before = row.start + 1;
  }
  if (records.from_primary) {
    if (!Accept(message)) return;
    ReplicaState& replica = state_.replica;
    replica.levels = records.levels;
    replica.commit = std::max(replica.commit, records.commit);
    if (records.end >= replica.primary_end.lsn) {
      replica.primary_end = {message.ballot, records.log_end};
    }
  } else {
    // A copy of what another replica has: only as asked for.
    const bool donated = message.from == state_.election.donor;
    if (state_.role == Role::kPrimary || (state_.replica.ballot.none() && !donated)) return;
    if (state_.broken || state_.halted) return;
    if (donated) {
      state_.election.donor_end = records.log_end;
      state_.election.donor_commit = records.commit;
    }
  }
  const ReplicaState& replica = state_.replica;
  if (state_.log.rolling_back || replica.appending.value != 0 || IsFilling()) return;
  if (!replica.sync_allowed) return;
  TakeRecords(records, records.from_primary);
}

void Replicator::TakeRecords(const Records& records, bool from_primary) {
  LogState& log = state_.log;
  ReplicaState& replica = state_.replica;
  const Lsn from = records.previous.lsn;
  if (from > log.end || from < log.start) {
    if (from_primary) NoteMissing(AckProblem::kGap, false);
    return;
  }
  if (log.terms.At(from) != records.previous.term && !RL_MUTANT(kAppendAnywhere)) {
    if (from_primary) NoteMissing(AckProblem::kFork, true);
    return;
  }
  // Both logs are the same up to `from`. From there on they are as long as the same terms begin at
  // the same places.
  const Lsn common_end = std::min(log.end, records.end);
  const std::vector<TermStart> mine = log.terms.Between(from, common_end, kMaxTerms);
  size_t i = 0;
  while (i < mine.size() && i < records.terms.size() && mine[i] == records.terms[i]) ++i;
  Lsn fork = common_end;
  if (i < mine.size()) fork = std::min(fork, mine[i].start);
  if (i < records.terms.size()) fork = std::min(fork, records.terms[i].start);
  if (fork < common_end) {
    if (from_primary) Diverged(fork);
    return;
  }
  if (from_primary) {
    replica.matched = std::max(replica.matched, common_end);
    RaiseCommit(std::min(replica.commit, replica.matched));
    replica.ack_due = replica.ack_due || records.end <= log.end;
  }
  if (records.end <= log.end) return;
  // Rows that would not ascend in the table are no records of ours.
  const Ballot last = log.terms.last();
  std::vector<TermStart> rows(records.terms.begin() + static_cast<std::ptrdiff_t>(i),
                              records.terms.end());
  if (!rows.empty() && rows.front().term <= last) return;
  if (!rows.empty() && rows.back().term > state_.promise.hard.promised) {
    if (from_primary) return;  // a primary writes nothing newer than its own ballot
    Promise(rows.back().term);
  }
  AppendRecords append;
  append.from = log.end;
  append.end = records.end;
  const uint64_t skip = log.end - from;
  append.bytes = skip < records.bytes.size() ? records.bytes.subspan(skip) : Bytes();
  append.terms = rows;
  replica.appending = records.end;
  replica.appending_primarys = from_primary;
  replica.new_terms = append.terms;
  out_->log.emplace_back(std::move(append));
}

void Replicator::Diverged(Lsn fork) {
  LogState& log = state_.log;
  if (ElectionSafe() && fork < state_.commit) {
    state_.halted = true;
    Notice& notice = Tell(NoticeKind::kHalted);
    notice.position = log.terms.PositionAt(fork);
    notice.reason = "the primary's log lacks what was committed here";
    return;
  }
  log.rolling_back = true;
  out_->log.emplace_back(RollBack{RL_MUTANT(kRollBackTooFar) ? log.start : fork, log.terms.last()});
}

void Replicator::On(const LogRolledBack& event) {
  LogState& log = state_.log;
  RL_CHECK(log.rolling_back && event.to <= log.end && event.to >= log.start);
  RL_CHECK(!ElectionSafe() || event.to >= state_.commit);
  log.rolling_back = false;
  ++log.history;
  log.end = event.to;
  log.written = log.flushed = log.end;
  log.applied = std::min(log.applied, log.end);
  log.terms.CutTo(log.end);
  std::erase_if(log.configurations,
                [&event](const ConfigurationAt& at) { return at.end > event.to; });
  state_.commit = std::min(state_.commit, log.end);
  ReplicaState& replica = state_.replica;
  replica.matched = std::min(replica.matched, log.end);
  Tell(NoticeKind::kRolledBack).position = log.terms.PositionAt(log.end);
  if (!replica.ballot.none()) NoteMissing(AckProblem::kGap, true);
}

void Replicator::On(const SyncNow&) {
  state_.replica.sync_allowed = true;
  if (!state_.replica.ballot.none()) NoteMissing(AckProblem::kGap, true);
}

void Replicator::SendAck() {
  ReplicaState& replica = state_.replica;
  if (!replica.ack_due || replica.ballot.none() || !PromiseFlushed()) return;
  const LogState& log = state_.log;
  Ack ack;
  ack.sent_at = replica.sent_at;
  ack.problem = replica.problem;
  ack.received = replica.matched;
  ack.written = std::min(log.written, replica.matched);
  ack.flushed = std::min(log.flushed, replica.matched);
  if (RL_MUTANT(kAckBeyondMatched)) ack.received = ack.written = ack.flushed = log.flushed;
  if (RL_MUTANT(kAckUnflushed)) ack.flushed = ack.written = replica.matched;
  ack.applied = std::min(log.applied, replica.matched);
  if (replica.problem == AckProblem::kGap || replica.problem == AckProblem::kFork) {
    ack.end = log.terms.PositionAt(log.end);
    ack.terms = log.terms.Newest(kMaxTermsInMessage);
  }
  ack.disk = options_.disk;
  replica.ack_due = false;
  replica.problem = AckProblem::kNone;
  SendTo(replica.primary, std::move(ack));
}

void Replicator::ReplicaTimers() {
  ReplicaState& replica = state_.replica;
  if (replica.missing_at != 0 && state_.now >= replica.missing_at) AskForMissing();
  const FetchState& fetch = replica.fetch;
  if (fetch.wanted && !fetch.keeping && state_.now >= fetch.ends) EndFetch();
  if (fetch.ask_at != 0 && state_.now >= fetch.ask_at) AskForPiece();
  std::erase_if(replica.reads, [this](const AskedRead& read) {
    if (state_.now - read.asked_at < options_.election_timeout) return false;
    out_->reads.push_back({read.id, false, Lsn(0)});
    return true;
  });
}

}  // namespace ringleader
