// Two members and a witness: the in-sync rule of witness.h.
//
// The swap in the witness's register takes the place of the vote, and the set in it that of the
// quorum. The primary waits for `in_sync` as the register has it, and for a newcomer that it is
// about to add. Each change is one compare-and-swap; whose outcome is not known is read again. A
// swap that finds another primary has found its successor.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

// Takes over: the register is read, the promise flushed, and then the register swapped.
void Replicator::StartSwap(Ballot handover) {
  EndElection();
  ElectionState& election = state_.election;
  election.phase = ElectionPhase::kSwapping;
  election.handover = handover;
  election.ends = state_.now + options_.election_timeout;
  Unfollow();
  state_.role = Role::kCandidate;
  Tell(NoticeKind::kRole);
  ReadWitness();
}

void Replicator::ReadWitness() {
  InSyncState& in_sync = state_.in_sync;
  if (in_sync.asked) return;  // its answer comes first
  in_sync.asked = WitnessRequest{};
  out_->witness = in_sync.asked;
}

void Replicator::SwapWitness(const WitnessRegister& value) {
  InSyncState& in_sync = state_.in_sync;
  RL_CHECK(!in_sync.asked);
  in_sync.asked = WitnessRequest{in_sync.known, value};
  in_sync.asked->value.version = in_sync.known.version + 1;
  out_->witness = in_sync.asked;
}

bool Replicator::WaitsFor(Incarnation copy) const {
  const InSyncState& in_sync = state_.in_sync;
  return copy.value != 0 && (in_sync.known.Holds(copy) || in_sync.growing == copy);
}

void Replicator::On(const WitnessAnswer& event) {
  InSyncState& in_sync = state_.in_sync;
  if (!in_sync.asked) return;
  const WitnessRequest asked = *std::exchange(in_sync.asked, std::nullopt);
  const bool swap = asked.value != asked.expected;
  const bool told = event.outcome == WitnessOutcome::kConflict ||
                    (event.outcome == WitnessOutcome::kDone && !swap);
  if (told && (event.value.version < in_sync.known.version ||
               (event.value.version == in_sync.known.version && event.value != in_sync.known))) {
    // It has been put back to an earlier state: what it says may leave out who was taken out since.
    in_sync.certain = false;
    in_sync.retry_at = state_.now + options_.heartbeat_interval;
    return;
  }
  switch (event.outcome) {
    case WitnessOutcome::kDone:
      in_sync.known = swap ? asked.value : event.value;
      in_sync.certain = true;
      break;
    case WitnessOutcome::kConflict:
      in_sync.known = event.value;
      in_sync.certain = true;
      break;
    case WitnessOutcome::kUnknown:
      if (RL_MUTANT(kCountUnknownSwap) && swap) in_sync.known = asked.value;
      if (swap) in_sync.unanswered = asked.value.version;
      in_sync.certain = false;
      in_sync.retry_at = state_.now + options_.heartbeat_interval;
      return;
  }
  in_sync.retry_at = 0;
  if (in_sync.known.version >= in_sync.unanswered) in_sync.unanswered = 0;
  state_.election.seen = std::max(state_.election.seen, in_sync.known.primary.counter);
  if (state_.role == Role::kPrimary) {
    JudgeRegister();
  } else if (state_.election.phase == ElectionPhase::kSwapping) {
    GoOnSwapping();
  }
}

// Of a primary: the register as it is now.
void Replicator::JudgeRegister() {
  InSyncState& in_sync = state_.in_sync;
  if (in_sync.known.primary != state_.primary.term) {
    StepDown(NoticeKind::kLostQuorum);
    return;
  }
  if (in_sync.known.Holds(in_sync.growing)) in_sync.growing = {};
  Tell(NoticeKind::kInSync);
}

// Of a candidate that knows what the register holds.
void Replicator::GoOnSwapping() {
  InSyncState& in_sync = state_.in_sync;
  ElectionState& election = state_.election;
  const WitnessRegister& known = in_sync.known;
  if (!election.candidate.none() && known.primary == election.candidate) {
    Lead();
    return;
  }
  const bool blank = known.version == 0;
  if (!blank && !known.Holds(options_.incarnation) && !RL_MUTANT(kLeadOutOfSync)) {
    FailElection();  // this copy may lack what has been acknowledged
    return;
  }
  if (election.candidate.none()) {
    election.candidate = NextBallot();
    Promise(election.candidate);  // the swap follows when it is flushed
    if (RL_MUTANT(kSwapUnpromised)) SwapForReign();
  } else if (PromiseFlushed()) {
    SwapForReign();
  }
}

void Replicator::SwapForReign() {
  const InSyncState& in_sync = state_.in_sync;
  WitnessRegister value = in_sync.known;
  value.primary = state_.election.candidate;
  if (value.version == 0) {
    // The first reign of the group: its log holds nothing yet that anybody could lack.
    value.in_sync = {Incarnation{}, options_.incarnation};
  }
  if (value.primary.counter <= in_sync.known.primary.counter) {
    FailElection();  // somebody else has come in between; next time above it
    return;
  }
  SwapWitness(value);
}

// Of a primary, in every step.
void Replicator::AdvanceInSync() {
  InSyncState& in_sync = state_.in_sync;
  const PrimaryState& primary = state_.primary;
  if (configuration().rule != QuorumRule::kInSync || primary.term_end.value == 0) return;
  // A swap that nobody answers for changes nothing yet: this primary waits for whom it waited for.
  if (in_sync.known.primary == primary.term) CommitInSync();
  if (!in_sync.certain) {
    if (state_.now >= in_sync.retry_at) ReadWitness();
    return;
  }
  for (const Incarnation copy : in_sync.known.in_sync) {
    if (in_sync.asked || copy.value == 0 || copy == options_.incarnation) continue;
    // Demoted, removed or replaced: nobody hears of it any more, and all would wait for it.
    if (!MayCount(copy)) Shrink(copy);
  }
  for (const Progress& peer : primary.peers) {
    if (!Counts(peer) || in_sync.asked) continue;
    const bool heard = !peer.broken && state_.now - std::max(peer.heard_at, primary.since) <
                                           options_.election_timeout;
    if (in_sync.known.Holds(peer.incarnation)) {
      if (!heard) Shrink(peer.incarnation);
    } else if (!heard || peer.state != PeerState::kStreaming) {
      // Not in the register: it need not be waited for.
      if (in_sync.growing == peer.incarnation) StopGrowing();
    } else if (in_sync.growing != peer.incarnation) {
      in_sync.growing = peer.incarnation;
    } else if (peer.flushed >= std::max(state_.commit, GrowsFrom()) || RL_MUTANT(kGrowEarly)) {
      Grow(peer);
    }
  }
  // Demoted, removed or replaced meanwhile.
  if (in_sync.growing.value != 0 && !in_sync.asked && !MayCount(in_sync.growing)) StopGrowing();
}

// A swap that adds it may be on its way yet: another one, which changes nothing but the version,
// makes it come too late.
void Replicator::StopGrowing() {
  InSyncState& in_sync = state_.in_sync;
  if (in_sync.unanswered == 0 || RL_MUTANT(kForgetSwap)) {
    in_sync.growing = {};
  } else {
    SwapWitness(in_sync.known);
  }
}

// What a newcomer must have at least. Not only what is committed: that is forgotten in a restart.
Lsn Replicator::GrowsFrom() const {
  if (RL_MUTANT(kGrowByCommit)) return Lsn();
  return state_.in_sync.takeover_end;
}

bool Replicator::MayCount(Incarnation copy) const {
  for (const Progress& peer : state_.primary.peers) {
    if (peer.incarnation == copy && Counts(peer)) return true;
  }
  return false;
}

void Replicator::Shrink(Incarnation gone) {
  WitnessRegister value = state_.in_sync.known;
  for (Incarnation& copy : value.in_sync) {
    if (copy == gone) copy = {};
  }
  std::sort(value.in_sync.begin(), value.in_sync.end());
  SwapWitness(value);
}

void Replicator::Grow(const Progress& peer) {
  WitnessRegister value = state_.in_sync.known;
  RL_CHECK(value.in_sync[0].value == 0 || !Counts(peer));
  value.in_sync[0] = peer.incarnation;
  std::sort(value.in_sync.begin(), value.in_sync.end());
  SwapWitness(value);
}

void Replicator::CommitInSync() {
  const PrimaryState& primary = state_.primary;
  if (primary.term != state_.promise.hard.promised) return;
  Lsn kept = state_.log.flushed;
  const auto need = [this, &kept](Incarnation copy) {
    if (copy.value == 0 || copy == options_.incarnation) return true;
    const auto& asked = state_.in_sync.asked;
    if (RL_MUTANT(kAckBeforeShrink) && asked && !asked->value.Holds(copy)) return true;
    for (const Progress& peer : state_.primary.peers) {
      if (peer.incarnation != copy) continue;
      kept = std::min(kept, peer.flushed);
      return true;
    }
    return false;  // in the register, and not to be seen: nothing is acknowledged before it is out
  };
  const InSyncState& in_sync = state_.in_sync;
  if (!need(in_sync.known.in_sync[0]) || !need(in_sync.known.in_sync[1])) return;
  if (!RL_MUTANT(kGrowUnawaited) && !need(in_sync.growing)) return;
  if (kept >= primary.term_end) RaiseCommit(kept);
}

}  // namespace ringleader
