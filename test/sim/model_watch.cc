// Single steps of the protocol, looked at while they happen: what a message may bring about.
#include <algorithm>

#include "model_group.h"
#include "model_rules.h"

namespace ringleader::sim {
namespace {

const Progress* PeerOf(const CoreState& state, MemberId id) {
  for (const Progress& peer : state.primary.peers) {
    if (peer.id == id) return &peer;
  }
  return nullptr;
}

bool VotesSomewhere(const CoreState& state, const Message& message) {
  const auto& all = state.log.configurations;
  return std::any_of(all.begin(), all.end(), [&message](const ConfigurationAt& at) {
    const Member* member = at.configuration.Find(message.from);
    return member != nullptr && member->kind == MemberKind::kVoter &&
           member->incarnation == message.incarnation;
  });
}

}  // namespace

void ModelRules::Before(const ModelMember& member, const Event& event) {
  const CoreState& state = member.core().state();
  watch_ = {};
  watch_.promised = state.promise.hard.promised;
  watch_.flushed = state.log.terms.PositionAt(state.log.flushed);
  watch_.votes = state.election.votes.size();
  watch_.follows = state.replica.ballot;
  if (const auto* read = std::get_if<AskRead>(&event)) {
    reads_[read->id] = {committed(), state.primary.term, state.primary.sent_at};
  }
  if (const auto* received = std::get_if<Receive>(&event)) {
    const Progress* peer = PeerOf(state, received->message.from);
    if (peer != nullptr) watch_.peer = *peer;
  }
}

void ModelRules::After(const ModelMember& member, size_t index, const Event& event) {
  if (const auto* died = std::get_if<MemberDied>(&event)) {
    Copy& copy = copies_[index];
    if (copy.lender == died->member) copy.leased_until = 0;
  }
  const CoreState& state = member.core().state();
  // A snapshot that is in place already is told of by the next event.
  const bool replaced = std::holds_alternative<SnapshotKept>(event);
  if (!lied_ && !replaced && state.log.flushed > member.disk().log.end()) {
    Fail(member, "takes for flushed what is not on its disk");
  }
  if (const auto* received = std::get_if<Receive>(&event)) Received(member, index, *received);
}

void ModelRules::Received(const ModelMember& member, size_t index, const Receive& received) {
  const Message& message = received.message;
  const CoreState& state = member.core().state();
  Copy& copy = copies_[index];
  if (const auto* vote = std::get_if<Vote>(&message.body)) {
    const bool promises =
        state.promise.hard.promised == message.ballot && watch_.promised != message.ballot;
    if (!promises) return;
    if (vote->last < watch_.flushed) Fail(member, "votes for a log that is older than its own");
    if (message.ballot < watch_.promised) Fail(member, "votes below what it has promised");
    if (member.clock() < copy.leased_until && vote->handover != copy.leased_to) {
      Fail(member, "votes while a lease that it has given holds");
    }
    // Its holder, who has asked for this election, reads under it no more: it has let go of its
    // reign to another, or has promised a higher ballot itself.
    if (vote->handover == copy.leased_to) copy.leased_until = 0;
  } else if (const auto* heartbeat = std::get_if<Heartbeat>(&message.body)) {
    if (heartbeat->lease == 0 || state.replica.ballot != message.ballot) return;
    const Nanos drift = heartbeat->lease / 1'000'000 * member.options().clock_drift_ppm;
    copy.leased_until = std::max(copy.leased_until, member.clock() + heartbeat->lease + drift);
    copy.leased_to = message.ballot;
    copy.lender = message.from;
  } else if (const auto* ack = std::get_if<Ack>(&message.body)) {
    const Progress* peer = PeerOf(state, message.from);
    if (peer != nullptr && peer->echoed > std::max(watch_.peer.echoed, ack->sent_at)) {
      Fail(member, "takes an answer for newer than what it answers");
    }
    if (peer == nullptr || peer->incarnation == message.incarnation) return;
    if (watch_.peer.id != message.from) return;
    if (peer->flushed > watch_.peer.flushed || peer->echoed > watch_.peer.echoed) {
      Fail(member, "counts what another disk has acknowledged");
    }
  } else if (std::holds_alternative<VoteReply>(message.body)) {
    const bool counted = state.election.votes.size() > watch_.votes;
    if (counted && !member.options().base_api && !VotesSomewhere(state, message)) {
      Fail(member, "counts the vote of a copy that is no voter");
    }
  }
}

// Of a primary that takes more for committed than before.
void ModelRules::CheckReign(const ModelMember& member) {
  const CoreState& state = member.core().state();
  if (state.role != Role::kPrimary) return;
  if (state.promise.hard.promised != state.primary.term) {
    Fail(member, "commits while it asks for a higher ballot");
  }
  if (state.primary.term_end.value == 0 || state.commit < state.primary.term_end) {
    Fail(member, "commits records of earlier reigns before its own first one");
  }
}

void ModelRules::Grows(const ModelGroup& group, Incarnation copy) {
  if (lied_ || copy.value == 0 || ledger_->empty() || Keeps(group, copy)) return;
  if (problem_.empty()) problem_ = "a copy is in sync that does not have what is committed";
}

// A read of a primary's own, without a lease: V voters have answered what was sent after it.
void ModelRules::CheckRound(const ModelMember& member, const AskedOf& read) {
  const CoreState& state = member.core().state();
  const Configuration& now = member.core().configuration();
  if (state.role != Role::kPrimary || read.reign != state.primary.term) return;
  if (member.options().lease > 0 || now.rule != QuorumRule::kVotes) return;
  uint32_t voters = now.IsVoter(member.id()) ? 1 : 0;
  for (const Progress& peer : state.primary.peers) {
    if (now.IsVoter(peer.id) && peer.echoed > read.sent_at) ++voters;
  }
  if (voters < now.votes) Fail(member, "grants a read without a round that began after it");
}

}  // namespace ringleader::sim
