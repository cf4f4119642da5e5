// How a replica gets what it lacks: a gap, a missing tail, or a whole snapshot.
//
// Records may be lost on the way; nobody tells. A replica sees it by a later record that does not
// follow, or by a heartbeat that speaks of more. It waits before it asks, since what is missing is
// usually on its way, and doubles the wait each time: asking at once, and again, makes a slow link
// slower and sends the same records twice. From the second time on it asks another replica, where
// that is allowed, so that many members that lack the same do not all go to the primary.
//
// What is in nobody's log any more comes as a snapshot, pulled piece by piece: so it is paced by
// the member that needs it, and goes on after a restart of either side where it stopped. Where
// nobody leads, and the one that could lacks what only a voter of priority 0 still has, it is
// pulled from that donor in the same way. A snapshot holds what is committed and nothing else; one
// from a donor is taken only where its position is above that of the log which it replaces, so it
// takes away nothing that may have been counted (docs/PROTOCOL.md, "Donors").
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

void Replicator::NoteMissing(AckProblem problem, bool now) {
  ReplicaState& replica = state_.replica;
  if (!replica.sync_allowed || IsFilling()) return;
  if (replica.missing_wait == 0) {
    replica.missing_wait = options_.request_wait_min;
    replica.missing_at = state_.now + (now ? 0 : replica.missing_wait);
  }
  replica.missing = problem;
}

void Replicator::AskForMissing() {
  ReplicaState& replica = state_.replica;
  if (replica.ballot.none() || state_.log.rolling_back) {
    // With the wait, or nothing that is noted later would be asked for.
    replica.missing_at = replica.missing_wait = 0;
    return;
  }
  if (replica.matched > Lsn(0) && replica.matched >= replica.primary_end.lsn) {
    // It has come meanwhile.
    replica.missing_at = replica.missing_wait = 0;
    replica.missing_tries = 0;
    return;
  }
  ++replica.missing_tries;
  const MemberId peer = PeerToAsk();
  if (replica.missing == AckProblem::kGap && replica.matched > Lsn(0) && peer != kNobody) {
    Request request;
    request.from = state_.log.terms.PositionAt(state_.log.end);
    request.limit_bytes = options_.append_bytes;
    SendTo(peer, request);
  } else {
    replica.problem = replica.missing;
    replica.ack_due = true;
  }
  replica.missing_wait = std::min(replica.missing_wait * 2, options_.request_wait_max);
  replica.missing_at = state_.now + replica.missing_wait;
}

// Every second try goes to another replica, each in its turn.
MemberId Replicator::PeerToAsk() const {
  const ReplicaState& replica = state_.replica;
  if (!options_.peer_to_peer || replica.missing_tries % 2 != 0) return kNobody;
  std::vector<MemberId> others;
  for (const Member& member : configuration().members) {
    if (member.id != options_.self && member.id != replica.primary) others.push_back(member.id);
  }
  if (others.empty()) return kNobody;
  return others[replica.missing_tries / 2 % others.size()];
}

// Of a donor: the member with the freshest log may not lead, and this one, which may, has another
// history. The donor's last term is newer, so its primary was elected without what this log has
// beyond the fork; whoever elected it has promised never to acknowledge that any more. It is given
// up as on the word of that primary, and the next canvass fetches the donor's records.
void Replicator::On(const Message& message, const Refusal& refusal) {
  const LogState& log = state_.log;
  if (message.from != state_.election.donor) return;  // the next try goes to somebody else
  if (log.rolling_back || state_.replica.appending.value != 0 || IsFilling()) return;
  const Lsn fork = log.terms.Fork(log.end, refusal.terms, refusal.end.lsn);
  RaiseCommit(std::min(fork, refusal.commit));
  if (refusal.end <= log.terms.PositionAt(log.end)) return;
  const bool comparable = fork > Lsn(0) || log.end == Lsn(0);
  if (comparable && fork < log.end) {
    if (fork >= log.start && refusal.end.term > log.terms.last()) Diverged(fork);
  } else if (!comparable || log.end < refusal.log_start) {
    WantSnapshot(message.from, refusal.log_start);
  }
}

void Replicator::On(const Message& message, const Outdated& outdated) {
  if (!Accept(message)) return;
  ReplicaState& replica = state_.replica;
  if (outdated.log_start <= state_.log.end && replica.matched > Lsn(0)) return;  // an old message
  WantSnapshot(kNobody, outdated.log_start);
}

void Replicator::WantSnapshot(MemberId donor, Lsn from) {
  ReplicaState& replica = state_.replica;
  FetchState& fetch = replica.fetch;
  if (fetch.wanted || !replica.sync_allowed) return;
  if (!options_.automatic_snapshot) {
    Tell(NoticeKind::kJoinFailure);
    return;
  }
  replica.missing_at = replica.missing_wait = 0;
  fetch.wanted = true;
  fetch.donor = donor;
  fetch.from = from;
  fetch.ends = state_.now + options_.election_timeout;
  fetch.wait = options_.request_wait_min;
  if (!fetch.keeping) AskForPiece();
}

// It is looked for elsewhere, or not needed. What has been kept of it may be gone on with; and what
// the driver has in hand is answered.
void Replicator::EndFetch() {
  FetchState& fetch = state_.replica.fetch;
  fetch.wanted = false;
  fetch.donor = kNobody;
  fetch.ask_at = 0;
}

void Replicator::AskForPiece() {
  ReplicaState& replica = state_.replica;
  FetchState& fetch = replica.fetch;
  fetch.ask_at = 0;
  if (!fetch.wanted || fetch.keeping) return;
  if (fetch.donor == kNobody && replica.ballot.none()) return;
  SnapshotRequest request;
  request.id = fetch.head.id;
  request.offset = fetch.kept;
  request.limit_bytes = options_.snapshot_piece_bytes;
  SendTo(fetch.donor != kNobody ? fetch.donor : replica.primary, request);
  // Asked again where no answer comes; the sender's work for one piece is bounded by its size.
  fetch.ask_at = state_.now + std::max(fetch.wait, options_.request_wait_min);
  fetch.wait =
      std::min(std::max(fetch.wait, options_.request_wait_min) * 2, options_.request_wait_max);
}

void Replicator::On(const Message& message, const SnapshotRequest& request) {
  if (state_.role == Role::kPrimary) {
    if (message.ballot > state_.primary.term) return;
  } else if (!IsDonor() || Busy({})) {
    return;
  }
  SnapshotRequest bounded = request;
  bounded.limit_bytes = std::min(bounded.limit_bytes, kMaxSnapshotPieceBytes);
  if (options_.request_bytes > 0) {
    bounded.limit_bytes = std::min(bounded.limit_bytes, options_.request_bytes);
  }
  out_->pieces.push_back({message.from, bounded});
}

void Replicator::On(const Message& message, const SnapshotPiece& piece) {
  FetchState& fetch = state_.replica.fetch;
  if (piece.from_primary ? !Accept(message) : message.from != fetch.donor) return;
  if (!fetch.wanted || fetch.keeping || piece.head.id == 0) return;
  const bool next = piece.head.id == fetch.head.id && piece.offset == fetch.kept;
  const bool other = piece.head.id != fetch.head.id && piece.offset == 0;
  if (!next && !other) return;  // late, or sent twice
  // Older than what this member knows to be committed: it would go back in time. Older than the
  // primary's log: this log may have more of what the primary has, acknowledged and counted, than
  // such a snapshot, which was sent long ago.
  const bool old = piece.head.position.lsn < std::max(state_.commit, fetch.from);
  if (old && !RL_MUTANT(kOldSnapshot)) return;
  if (piece.head.position.term > message.ballot) return;
  if (!piece.from_primary && !RL_MUTANT(kTakeStaleDonation)) {
    // Less than this log, which nobody who leads has called wrong: some of it may be committed.
    const LogState& log = state_.log;
    if (piece.head.position < log.terms.PositionAt(log.end)) return;
    if (piece.head.position.lsn < log.end) return;
  }
  if (other) fetch.kept = 0;
  fetch.head = piece.head;
  fetch.keeping = true;
  fetch.last = piece.last;
  fetch.ends = state_.now + options_.election_timeout;
  fetch.ask_at = 0;
  out_->keep.push_back({piece.head, piece.offset, piece.last, piece.bytes});
}

void Replicator::On(const SnapshotKept& event) {
  FetchState& fetch = state_.replica.fetch;
  fetch.keeping = false;
  if (event.id != fetch.head.id) return;
  fetch.kept = event.bytes;
  fetch.ends = state_.now + options_.election_timeout;
  if (!event.failed) fetch.wait = options_.request_wait_min;
  if (event.failed) {
    fetch.ask_at = state_.now + fetch.wait;
    fetch.wait = std::min(fetch.wait * 2, options_.request_wait_max);
  } else if (!fetch.last) {
    AskForPiece();
  }
}

void Replicator::On(const SnapshotInstalled& event) {
  LogState& log = state_.log;
  const Position& position = event.head.position;
  RL_CHECK(state_.role != Role::kPrimary && !log.rolling_back);
  RL_CHECK(position.lsn >= state_.commit);
  ++log.history;  // flushes of the log that was there before prove nothing about this one
  log.start = log.end = log.written = log.flushed = log.applied = position.lsn;
  log.terms.Reset(event.head.terms);
  log.configurations.clear();
  if (event.head.configuration.configuration.version > 0) {
    log.configurations.push_back(event.head.configuration);
  }
  ReplicaState& replica = state_.replica;
  if (replica.fetch.donor != kNobody) state_.election.due = state_.now;
  replica.fetch = {};
  replica.appending = Lsn(0);
  replica.missing_at = replica.missing_wait = 0;
  replica.matched = Lsn(0);
  if (log.terms.last() > state_.promise.hard.promised) Promise(log.terms.last());
  RaiseCommit(position.lsn);
  Tell(NoticeKind::kSnapshotDone).position = position;
  if (!replica.ballot.none()) NoteMissing(AckProblem::kGap, true);
}

}  // namespace ringleader
