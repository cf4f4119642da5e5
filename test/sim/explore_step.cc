#include "explore_step.h"

#include <algorithm>

#include "core/text.h"
#include "explore_key.h"
#include "explore_presets.h"

namespace ringleader::sim {
namespace {

using Kind = ExploreChoice::Kind;

// A learner is promoted, a voter removed.
ChangeMembers ChangeOf(const ModelGroup& group, size_t primary, size_t about) {
  MembershipChange change;
  const CoreOptions& options = group.member(about).options();
  const Member* now = group.member(primary).core().configuration().Find(options.self);
  const bool learner = now != nullptr && now->kind == MemberKind::kLearner;
  change.kind = learner ? MembershipChange::Kind::kPromote : MembershipChange::Kind::kRemove;
  change.member.id = options.self;
  return {change};
}

bool MayTick(const ModelGroup& group, size_t index) {
  const ModelMember& member = group.member(index);
  return member.core().Deadline() != UINT64_MAX &&
         std::none_of(group.network().begin(), group.network().end(), [&](const Packet& packet) {
           return packet.message.from == member.id() &&
                  std::holds_alternative<Heartbeat>(packet.message.body);
         });
}

bool Overtakes(const ModelGroup& group, size_t packet) {
  const Message& message = group.network()[packet].message;
  for (size_t i = 0; i < packet; ++i) {
    const Message& before = group.network()[i].message;
    if (before.from == message.from && before.to == message.to) return true;
  }
  return false;
}

// Whether the message can have no effect any more, whatever still happens: an answer that was given
// under a ballot below what its receiver has promised on its disk, and that it does not lead or ask
// for.
bool IsSpent(const ModelGroup& group, const Message& message) {
  const size_t to = group.IndexOf(message.to);
  if (to == group.size()) return true;
  const ModelMember& member = group.member(to);
  const auto& saved = member.disk().hard_state;
  if (!saved || message.ballot >= saved->promised) return false;
  if (std::holds_alternative<Ack>(message.body)) {
    return !member.up() || member.core().state().primary.term != message.ballot;
  }
  const auto* vote = std::get_if<VoteReply>(&message.body);
  return vote != nullptr &&
         (!member.up() || member.core().state().election.candidate != vote->candidate);
}

void DropSpentAndEqual(ModelGroup& group) {
  const ExploreKey key(kExploreTimeout);
  for (size_t i = group.network().size(); i-- > 0;) {
    const Packet& packet = group.network()[i];
    const uint64_t value = key.OfPacket(group, packet);
    bool drop = IsSpent(group, packet.message);
    for (size_t j = 0; j < i && !drop; ++j) drop = key.OfPacket(group, group.network()[j]) == value;
    if (drop) group.Lose(i);
  }
}

}  // namespace

uint64_t ExploreNode::Key() const {
  ExploreKey key(kExploreTimeout);
  key.AddGroup(group);
  StateHash hash;
  hash.Word(key.value());
  for (const uint8_t count : {writes, crashes, losses, repeats, disks, changes, ticks}) {
    hash.Word(count);
  }
  return hash.value();
}

bool ExploreSteps::Within(const ExploreNode& node) const {
  const ModelGroup& group = node.group;
  if (group.network().size() > bounds_.packets) return false;
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group.member(i).up()) continue;
    const CoreState& state = group.member(i).core().state();
    const uint64_t counter = state.promise.hard.promised.counter.value;
    if (counter > first_ballot_ + bounds_.ballots) return false;
    if (state.election.round > bounds_.rounds) return false;
    if (state.election.failures > bounds_.rounds + 1) return false;
  }
  return true;
}

uint64_t ExploreSteps::Reigns(const ModelGroup& group) const {
  uint64_t most = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group.member(i).up() || group.member(i).core().role() != Role::kPrimary) continue;
    most =
        std::max<uint64_t>(most, group.member(i).core().term().counter.value - first_ballot_ + 1);
  }
  return most;
}

void ExploreSteps::Choices(const ExploreNode& node, std::vector<ExploreChoice>* out) const {
  const ModelGroup& group = node.group;
  const auto add = [out](Kind kind, size_t which) {
    out->push_back({kind, static_cast<uint8_t>(which)});
  };
  if (node.crashes >= bounds_.crashes) {
    for (size_t i = 0; i < group.size(); ++i) {
      const ModelMember& member = group.member(i);
      if (member.up() && member.saving()) return add(Kind::kSave, i);
      if (member.up() && member.log_dirty()) return add(Kind::kFlush, i);
    }
  }
  for (size_t i = 0; i < group.network().size(); ++i) {
    if (bounds_.fifo && Overtakes(group, i)) continue;
    add(Kind::kDeliver, i);
    if (node.losses < bounds_.losses) add(Kind::kLose, i);
    if (node.repeats < bounds_.repeats) add(Kind::kRepeat, i);
  }
  for (size_t i = 0; i < group.size(); ++i) {
    const ModelMember& member = group.member(i);
    if (!member.up()) {
      add(Kind::kRestart, i);
      if (node.disks < bounds_.disks) add(Kind::kNewDisk, i);
      continue;
    }
    if (member.log_dirty()) add(Kind::kFlush, i);
    if (member.saving()) add(Kind::kSave, i);
    if (member.asking()) add(Kind::kWitness, i);
    if (member.asking() && node.losses < bounds_.losses) add(Kind::kLoseWitness, i);
    if (member.writable() && node.writes < bounds_.writes) add(Kind::kWrite, i);
    if (node.ticks < bounds_.ticks && MayTick(group, i)) add(Kind::kTick, i);
    if (node.crashes < bounds_.crashes) {
      add(Kind::kCrash, i);
      if (member.log_dirty()) add(Kind::kKill, i);
    }
    if (member.core().role() == Role::kPrimary && node.changes < bounds_.changes) {
      for (size_t j = 0; j < group.size(); ++j) add(Kind::kChange, i * 16 + j);
    }
  }
  for (size_t i = 0; i < group.late_swaps().size(); ++i) add(Kind::kLateSwap, i);
}

void ExploreSteps::Make(ExploreNode& node, const ExploreChoice& choice) const {
  ModelGroup& group = node.group;
  const size_t which = choice.which;
  switch (choice.kind) {
    case Kind::kDeliver:
      group.Deliver(which);
      break;
    case Kind::kRepeat:
      ++node.repeats;
      group.Repeat(which);
      break;
    case Kind::kLose:
      ++node.losses;
      group.Lose(which);
      break;
    case Kind::kFlush:
      group.Flush(which);
      break;
    case Kind::kSave:
      group.SaveHardState(which);
      break;
    case Kind::kLoseWitness:
      ++node.losses;
      group.AnswerWitness(which, true);
      break;
    case Kind::kWitness:
      group.AnswerWitness(which, false);
      break;
    case Kind::kLateSwap:
      group.SwapLate(which);
      break;
    case Kind::kWrite:
      group.Write(which, ++node.writes);
      break;
    case Kind::kTick: {
      ++node.ticks;
      const ModelMember& member = group.member(which);
      const Nanos at = member.core().Deadline();
      group.MoveOne(which, at > member.clock() ? at - member.clock() : 1);
      group.Tick(which);
      break;
    }
    case Kind::kCrash:
      ++node.crashes;
      group.Crash(which);
      break;
    case Kind::kKill:
      ++node.crashes;
      group.Kill(which);
      break;
    case Kind::kRestart:
      group.Restart(which);
      break;
    case Kind::kNewDisk:
      group.NewDisk(which, bounds_.keeps_identity ? group.member(which).options().incarnation
                                                  : Incarnation(uint64_t{100} + node.disks));
      ++node.disks;
      break;
    case Kind::kChange:
      ++node.changes;
      group.Do(which / 16, ChangeOf(group, which / 16, which % 16));
      break;
  }
  DropSpentAndEqual(group);
  ++node.depth;
}

std::string ExploreSteps::Text(const ExploreNode& node, const ExploreChoice& choice) const {
  static constexpr const char* kNames[] = {
      "deliver",   "repeat", "lose", "flush", "save", "witness answers", "witness's answer lost",
      "late swap", "write",  "tick", "crash", "kill", "restart",         "new disk",
      "change"};
  std::string text = kNames[static_cast<size_t>(choice.kind)];
  const ModelGroup& group = node.group;
  if (choice.kind <= Kind::kLose) return text + " " + ToText(group.network()[choice.which].message);
  if (choice.kind == Kind::kLateSwap) {
    return text + " " + ToText(group.late_swaps()[choice.which]);
  }
  if (choice.kind == Kind::kChange) {
    const size_t primary = choice.which / 16;
    return text + " " + ToText(group.member(primary).id()) + " " +
           ToText(ChangeOf(group, primary, choice.which % 16).change);
  }
  return text + " " + ToText(group.member(choice.which).id());
}

}  // namespace ringleader::sim
