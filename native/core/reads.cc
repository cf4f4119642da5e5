// Linearizable reads without writing anything.
//
// A primary that has been replaced does not know it, so its own log proves nothing. It notes its
// commit position and sends a heartbeat; when V voters have answered one that was sent after the
// read was asked for, no other primary had been elected when it was: the noted position includes
// everything acknowledged before. Until its TERM record is committed a primary does not know what
// is, so it answers no read before that.
//
// A lease spares the round. Voters that answer a heartbeat promise to help nobody else for a while;
// the time runs from when the heartbeat was *sent*, and the primary takes its clock to be slow and
// theirs to be fast by the declared drift. No drift is assumed away: across hosts it has to be
// given (on one host all members read the same clock, and 0 is right). Whoever reads under a lease
// must read first and look at the lease afterwards: the driver asks again when it has read.
#include <algorithm>

#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

void Replicator::On(const AskRead& event) {
  ReplicaState& replica = state_.replica;
  if (state_.role == Role::kPrimary) {
    AskedOf(kNobody, event.id);
  } else if (replica.ballot.none() || replica.reads.size() >= kMaxReads) {
    out_->reads.push_back({event.id, false, Lsn(0)});
  } else {
    replica.reads.push_back({event.id, kNobody, state_.now, Lsn(0)});
    SendTo(replica.primary, ReadRequest{event.id});
  }
}

void Replicator::On(const Message& message, const ReadRequest& request) {
  if (state_.role == Role::kPrimary) {
    AskedOf(message.from, request.id);
  } else {
    SendTo(message.from, ReadReply{request.id, false, Lsn(0)});
  }
}

void Replicator::AskedOf(MemberId from, uint64_t id) {
  PrimaryState& primary = state_.primary;
  if (primary.reads.size() >= kMaxReads) {
    AnswerRead(from, {id, false, Lsn(0)});
    return;
  }
  // The answer to a heartbeat that went before proves nothing, and a clock may stand for a while:
  // then the round waits until it has moved.
  const Nanos asked_at =
      RL_MUTANT(kReadByOldRound) ? state_.now : std::max(state_.now, primary.sent_at + 1);
  primary.reads.push_back({id, from, asked_at, state_.commit});
  primary.heartbeat_at = std::min(primary.heartbeat_at, asked_at);
}

void Replicator::AnswerRead(MemberId asker, const ReadReady& answer) {
  if (asker == kNobody) {
    out_->reads.push_back(answer);
  } else {
    SendTo(asker, ReadReply{answer.id, answer.granted, answer.position});
  }
}

bool Replicator::LeaseHolds() const {
  const PrimaryState& primary = state_.primary;
  if (options_.lease == 0 || primary.lease_dropped || options_.base_api) return false;
  if (configuration().rule != QuorumRule::kVotes || !ElectionSafe()) return false;
  // Who promised to elect nobody has to be among any voters that elect.
  for (const Configuration* one : InEffect()) {
    if (2 * one->votes <= one->voters) return false;
  }
  const Nanos drift = RL_MUTANT(kLeaseIgnoresDrift) ? 0 : Drift(options_.lease);
  return options_.lease > drift && HasQuorum(options_.lease - drift);
}

void Replicator::AnswerReads() {
  PrimaryState& primary = state_.primary;
  // What is committed is known once the own TERM record is; before that nothing is answered.
  if (primary.reads.empty() || primary.term_end.value == 0) return;
  const bool early = state_.commit < primary.term_end && !RL_MUTANT(kReadEarly);
  if (early || primary.term != state_.promise.hard.promised) return;
  const bool lease = LeaseHolds();
  std::erase_if(primary.reads, [this, &primary, lease](const AskedRead& read) {
    if (!lease && !Confirmed(read.asked_at) && !RL_MUTANT(kReadWithoutRound)) return false;
    const Lsn position =
        RL_MUTANT(kReadEarly) ? read.position : std::max(read.position, primary.term_end);
    AnswerRead(read.from, {read.id, true, position});
    return true;
  });
}

// Whether nobody else can have been elected by `asked_at`.
bool Replicator::Confirmed(Nanos asked_at) const {
  if (configuration().rule == QuorumRule::kInSync) {
    // Who could take over is in the set that this primary waits for.
    for (const Progress& peer : state_.primary.peers) {
      if (WaitsFor(peer.incarnation) && (peer.echoed == 0 || peer.echoed < asked_at)) return false;
    }
    return true;
  }
  return Elects([this, asked_at](const Member& member) { return FollowedSince(member, asked_at); });
}

void Replicator::On(const Message& message, const ReadReply& reply) {
  ReplicaState& replica = state_.replica;
  if (message.from != replica.primary || message.ballot != replica.ballot) return;
  std::erase_if(replica.reads, [this, &reply](const AskedRead& read) {
    if (read.id != reply.id) return false;
    out_->reads.push_back({reply.id, reply.granted, reply.position});
    return true;
  });
}

// The reign they were asked under is over.
void Replicator::RefuseReads() {
  for (const AskedRead& read : state_.primary.reads) {
    AnswerRead(read.from, {read.id, false, Lsn(0)});
  }
  state_.primary.reads.clear();
  for (const AskedRead& read : state_.replica.reads) {
    out_->reads.push_back({read.id, false, Lsn(0)});
  }
  state_.replica.reads.clear();
}

}  // namespace ringleader
