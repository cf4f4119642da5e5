// What a primary does: ships its log, counts copies, and notices when it has lost its group.
//
// Rules, and what goes wrong without them:
//   - the first record of a reign is a TERM record, and nothing counts as committed before it does.
//     A record of an earlier reign that has reached K copies can still be overwritten by a
//     candidate that has a newer term and not that record; once the TERM record is on K copies, no
//     such candidate can win;
//   - while a configuration may still be taken back, the one before it has to agree: to commit, to
//     elect, and to go on leading. Four voters that become three (K = 2 and V = 3, then K = V = 2)
//     would otherwise commit on two of them and elect with the two others;
//   - only acknowledgements of this ballot count. One that was given to an earlier primary says
//     what the replica had then;
//   - a primary that has asked for a higher ballot commits nothing until it has won: its voters
//     promise not to acknowledge the old one any more, and so does it itself;
//   - a primary without V voters for an election timeout steps down: by then another one may lead,
//     and whoever writes here waits in vain.
#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

void Replicator::Lead() {
  RL_CHECK(PromiseFlushed() && !state_.log.rolling_back);
  const std::optional<Configuration> founding = state_.election.founding;
  PrimaryState& primary = state_.primary;
  // Before the election ends, or its end would tell of a replica in between.
  state_.role = Role::kPrimary;
  EndElection();
  state_.election.failures = 0;
  state_.election.founding = founding;
  Unfollow();
  primary = {};
  primary.term = state_.promise.hard.promised;
  primary.since = state_.now;
  primary.heartbeat_now = true;
  state_.in_sync.growing = {};
  state_.in_sync.takeover_end = state_.log.end;
  if (!state_.promise.hard.established) {
    state_.promise.hard.established = true;
    Save();
  }
  ResetPeers();
  out_->log.emplace_back(AppendTerm{primary.term, options_.self});
  Tell(NoticeKind::kRole);
}

void Replicator::On(const TermAppended& event) {
  PrimaryState& primary = state_.primary;
  LogState& log = state_.log;
  RL_CHECK(state_.role == Role::kPrimary && event.term == primary.term);
  RL_CHECK(event.start >= log.end && event.end > event.start);
  RL_CHECK(log.terms.Add({event.term, event.start}));
  log.end = event.end;
  primary.term_end = event.end;
  if (state_.election.founding) Found();
}

void Replicator::StepDown(NoticeKind why) {
  RL_CHECK(state_.role == Role::kPrimary);
  // Who leads after the target was told to is what was asked for.
  const bool successor = why == NoticeKind::kRole || why == NoticeKind::kDuplicatePrimary;
  if (state_.primary.nominated && successor) why = NoticeKind::kHandOverDone;
  out_->log.emplace_back(StopWriters{});
  RefuseReads();
  state_.role = Role::kReplica;
  state_.primary = {};
  state_.replica = {};
  state_.replica.sync_allowed = true;
  EndElection();
  Tell(NoticeKind::kRole);
  if (why != NoticeKind::kRole) Tell(why);
}

void Replicator::ResetPeers() {
  std::vector<Progress> peers;
  for (const Member& member : configuration().members) {
    if (member.id == options_.self) continue;
    if (const Progress* known = Peer(member.id, member.incarnation)) {
      peers.push_back(*known);
    } else {
      Progress& peer = peers.emplace_back();
      peer.id = member.id;
      peer.incarnation = member.incarnation;
    }
  }
  state_.primary.peers = std::move(peers);
}

Progress* Replicator::Peer(MemberId id) {
  for (Progress& peer : state_.primary.peers) {
    if (peer.id == id) return &peer;
  }
  return nullptr;
}

const Progress* Replicator::Peer(MemberId id, Incarnation incarnation) const {
  for (const Progress& peer : state_.primary.peers) {
    if (peer.id == id) return peer.incarnation == incarnation ? &peer : nullptr;
  }
  return nullptr;
}

void Replicator::On(const Message& message, const Ack& ack) {
  if (message.ballot > state_.promise.hard.promised) {
    if (state_.role == Role::kPrimary) HigherBallot(message.ballot);
    return;
  }
  if (state_.role != Role::kPrimary || message.ballot != state_.primary.term) return;
  if (options_.base_api) ResetPeers();  // a member may be new, or have a new disk
  Progress* peer = Peer(message.from);
  const bool strange = peer != nullptr && peer->incarnation != message.incarnation;
  if (peer == nullptr || (strange && !RL_MUTANT(kCountOldDisk))) {
    MeetStranger(message);
    return;
  }
  const Lsn end = state_.log.end;
  const bool true_positions = ack.received <= end && ack.written <= ack.received &&
                              ack.flushed <= ack.written && ack.applied <= ack.received;
  if (!true_positions || ack.sent_at > state_.now) return;
  peer->heard_at = state_.now;
  peer->echoed = std::max(peer->echoed, RL_MUTANT(kLeaseFromReceipt) ? state_.now : ack.sent_at);
  peer->received = std::max(peer->received, ack.received);
  peer->written = std::max(peer->written, ack.written);
  peer->flushed = std::max(peer->flushed, ack.flushed);
  peer->applied = std::max(peer->applied, ack.applied);
  peer->disk = ack.disk;
  peer->broken = ack.problem == AckProblem::kBroken;
  if (ack.problem == AckProblem::kGap || ack.problem == AckProblem::kFork) {
    Resync(*peer, ack);
  } else if (ack.received.value > 0) {
    // It has part of this very reign, so it can be sent what comes behind.
    if (peer->state != PeerState::kStreaming) peer->next = ack.received;
    peer->next = std::max(peer->next, peer->received);
    peer->state = PeerState::kStreaming;
  }
}

// Told of once: it answers every heartbeat that reaches it.
void Replicator::MeetStranger(const Message& message) {
  std::vector<Stranger>& met = state_.primary.strangers;
  const Stranger stranger{message.from, message.incarnation};
  const bool known = std::find(met.begin(), met.end(), stranger) != met.end();
  if (known || met.size() >= kMaxMembers) return;
  met.push_back(stranger);
  Tell(NoticeKind::kStranger).member = message.from;
}

// Where the two logs part follows from their tables of terms: one round trip, however long ago.
void Replicator::Resync(Progress& peer, const Ack& ack) {
  const LogState& log = state_.log;
  const Lsn fork = log.terms.Fork(log.end, ack.terms, ack.end.lsn);
  const bool comparable = fork > Lsn(0) || ack.end.lsn == Lsn(0);
  if (!comparable || fork < log.start) {
    peer.state = PeerState::kSnapshot;
    SendTo(peer.id, Outdated{log.start});
    return;
  }
  // It no longer has what it said it had flushed: it is not counted on any more.
  peer.flushed = std::min(peer.flushed, fork);
  peer.written = std::min(peer.written, fork);
  peer.applied = std::min(peer.applied, fork);
  // It has the log up to there: what is on its way to it begins behind. Counted from where it was
  // heard of last, which may be nowhere, a long log would fill the window by itself, for ever.
  peer.received = fork;
  peer.next = fork;
  peer.state = PeerState::kStreaming;
  peer.shipping = false;
}

void Replicator::On(const Message& message, const Request& request) {
  const LogState& log = state_.log;
  const Lsn from = request.from.lsn;
  const bool held = from >= log.start && from < log.end && !log.rolling_back &&
                    log.terms.At(from) == request.from.term;
  if (!held) {
    SendTo(message.from,
           Refusal{request.from, log.start, state_.commit, log.terms.PositionAt(log.end),
                   log.terms.Newest(kMaxTermsInMessage)});
    return;
  }
  Ship ship;
  ship.to = message.from;
  ship.head.previous = request.from;
  ship.head.commit = state_.commit;
  ship.head.log_end = log.end;
  ship.head.from_primary = false;
  ship.end_limit = ShipLimit(ship.head.previous.lsn);
  ship.limit_bytes = std::min(request.limit_bytes, kMaxAppendBytes);
  if (options_.request_bytes > 0 && !RL_MUTANT(kAnswerAll)) {
    ship.limit_bytes = std::min(ship.limit_bytes, options_.request_bytes);
  }
  out_->ship.push_back(std::move(ship));
}

void Replicator::On(const Message& message, const Hello& hello) {
  if (hello.contact.size() > kMaxContactBytes) return;
  Notice& notice = Tell(NoticeKind::kNewMember);
  notice.member = message.from;
  notice.position = hello.last;
  notice.contact = hello.contact;
  if (state_.role == Role::kPrimary) state_.primary.heartbeat_now = true;
}

// How far the records of one message may go: its terms are listed in it, and there is a limit to
// them.
Lsn Replicator::ShipLimit(Lsn from) const {
  const std::vector<TermStart>& rows = state_.log.terms.rows();
  const auto first =
      std::lower_bound(rows.begin(), rows.end(), from,
                       [](const TermStart& row, Lsn lsn) { return row.start < lsn; });
  const auto left = static_cast<size_t>(rows.end() - first);
  return left <= kMaxTermsInMessage ? state_.log.end : (first + kMaxTermsInMessage)->start;
}

void Replicator::ShipAll() {
  for (Progress& peer : state_.primary.peers) {
    if (peer.state == PeerState::kStreaming && !peer.shipping && !peer.broken) ShipTo(peer);
  }
}

void Replicator::ShipTo(Progress& peer) {
  const LogState& log = state_.log;
  if (peer.next >= log.end) return;
  if (peer.next < log.start) {
    peer.state = PeerState::kSnapshot;
    SendTo(peer.id, Outdated{log.start});
    return;
  }
  const uint64_t under_way = peer.next > peer.received ? peer.next - peer.received : 0;
  // Base API: one message of a replica costs no more than the application has allowed for.
  const bool limited = options_.base_api && options_.request_bytes > 0 && !RL_MUTANT(kAnswerAll);
  const uint64_t window =
      limited ? std::min(options_.window_bytes, options_.request_bytes) : options_.window_bytes;
  if (under_way >= window) return;
  Ship ship;
  ship.to = peer.id;
  ship.head.previous = log.terms.PositionAt(peer.next);
  ship.head.commit = state_.commit;
  ship.head.log_end = log.end;
  ship.head.levels = state_.levels;
  ship.end_limit = ShipLimit(ship.head.previous.lsn);
  ship.limit_bytes = std::min(options_.append_bytes, window - under_way);
  peer.shipping = true;
  out_->ship.push_back(std::move(ship));
}

void Replicator::On(const Shipped& event) {
  if (state_.role != Role::kPrimary) return;
  Progress* peer = Peer(event.to);
  if (peer == nullptr || !peer->shipping) return;
  peer->shipping = false;
  if (event.end > peer->next) {
    peer->next = std::min(event.end, state_.log.end);
  } else {
    // Not there any more: LogTrimmed says so as well, and then a snapshot is next.
    peer->state = PeerState::kProbing;
  }
}

// The end of what K voters of a configuration have flushed; 0 where so many are not known.
Lsn Replicator::KeptBy(const Configuration& configuration) const {
  std::vector<Lsn> flushed;
  for (const Member& member : configuration.members) {
    if (member.kind != MemberKind::kVoter && !RL_MUTANT(kCountLearners)) continue;
    if (IsSelf(member)) {
      flushed.push_back(state_.log.flushed);
    } else if (const Progress* peer = Peer(member.id, member.incarnation)) {
      flushed.push_back(RL_MUTANT(kCountUnflushed) ? peer->received : peer->flushed);
    }
  }
  if (configuration.copies == 0 || flushed.size() < configuration.copies) return Lsn();
  std::sort(flushed.begin(), flushed.end(), std::greater<>());
  if (RL_MUTANT(kOneCopyLess) && configuration.copies > 1) return flushed[configuration.copies - 2];
  return flushed[configuration.copies - 1];
}

void Replicator::AdvanceCommit() {
  const PrimaryState& primary = state_.primary;
  const bool asking = primary.term != state_.promise.hard.promised;
  if (primary.term_end.value == 0 || (asking && !RL_MUTANT(kCommitWhileAsking))) return;
  if (configuration().rule != QuorumRule::kVotes) return;
  Lsn kept = state_.log.end;
  for (const Configuration* one : InEffect()) kept = std::min(kept, KeptBy(*one));
  if (kept >= primary.term_end || RL_MUTANT(kCommitOldTerm)) RaiseCommit(kept);
}

void Replicator::SendHeartbeats() {
  PrimaryState& primary = state_.primary;
  if (!primary.heartbeat_now && state_.now < primary.heartbeat_at) return;
  primary.heartbeat_now = false;
  primary.heartbeat_at = state_.now + options_.heartbeat_interval;
  primary.sent_at = state_.now;
  if (!primary.reads.empty() && primary.reads.back().asked_at > state_.now) {
    primary.heartbeat_at = primary.reads.back().asked_at;
  }
  Heartbeat heartbeat;
  heartbeat.sent_at = state_.now;
  heartbeat.end = state_.log.terms.PositionAt(state_.log.end);
  heartbeat.commit = state_.commit;
  heartbeat.has_quorum = HasQuorum(options_.election_timeout);
  if (!primary.lease_dropped && !options_.base_api) heartbeat.lease = options_.lease;
  if (options_.base_api) {
    SendTo(kNobody, heartbeat);
    return;
  }
  for (const Progress& peer : primary.peers) SendTo(peer.id, heartbeat);
}

// Whether V voters, this one included, have followed this reign at some time within the last
// `window`: by the times at which the heartbeats that they have answered were sent.
bool Replicator::HasQuorum(Nanos window) const {
  // The echo of a heartbeat that was sent at 0 would be none.
  const Nanos since = state_.now > window ? state_.now - window + 1 : 1;
  return Elects([this, since](const Member& member) { return FollowedSince(member, since); });
}

// Whether the member has answered a heartbeat that was sent then or later.
bool Replicator::FollowedSince(const Member& member, Nanos sent_at) const {
  if (IsSelf(member)) return true;
  const Progress* peer = Peer(member.id, member.incarnation);
  return peer != nullptr && peer->echoed != 0 && peer->echoed >= sent_at;
}

void Replicator::PrimaryTimers() {
  const PrimaryState& primary = state_.primary;
  if (options_.base_api || configuration().version == 0) return;
  if (primary.changing != 0) return;  // a record of this reign is being appended
  if (configuration().rule != QuorumRule::kVotes) return;
  if (state_.now - primary.since < options_.election_timeout) return;
  if (!HasQuorum(options_.election_timeout) && !RL_MUTANT(kNoStepDown))
    StepDown(NoticeKind::kLostQuorum);
}

// A voter has promised more than this primary's ballot, to a candidate that has not won. It can
// only be won back with a ballot that is higher still: asked for without giving up the reign.
void Replicator::HigherBallot(Ballot seen) {
  state_.election.seen = std::max(state_.election.seen, seen.counter);
  const bool one_of_two = options_.two_members == TwoMembers::kPreferred;
  const bool preferred = one_of_two && options_.preferred == options_.self;
  const bool yields = one_of_two && !preferred;
  const Lsn first = state_.primary.term_end;
  const bool committed = first.value != 0 && state_.commit >= first;
  if (options_.base_api || yields) {
    // The preferred one would ask for more in its turn, and so on for ever.
    StepDown(NoticeKind::kDuplicatePrimary);
  } else if (configuration().rule == QuorumRule::kInSync) {
    // A new ballot has to be in the register too.
    StepDown(NoticeKind::kLostQuorum);
    state_.election.due = state_.now;
  } else if (!committed && !preferred && !RL_MUTANT(kOutbid)) {
    // Two that have both been elected would outbid each other for ever: whoever has not committed
    // anything of its reign gives way.
    StepDown(NoticeKind::kLostQuorum);
  } else if (state_.election.phase == ElectionPhase::kIdle) {
    CallVote(state_.primary.term);
  }
}

}  // namespace ringleader
