#include "scenario_world.h"

#include <algorithm>
#include <cstring>

#include "core/text.h"

namespace ringleader::sim {
namespace {

// Far more steps than anything here needs: a group that is still busy then never comes to rest.
constexpr size_t kMostSteps = 20'000;
constexpr Nanos kTimeStep = 10'000'000;

}  // namespace

bool MessagePattern::Matches(const Message& message) const {
  return (!from || *from == message.from) && (!to || *to == message.to) &&
         (type.empty() || type == NameOf(message.body));
}

void ScenarioWorld::Start(const ScenarioOptions& options, const std::vector<Member>& members,
                          const std::set<MemberId>& outside) {
  options_ = options;
  members_ = members;
  outside_ = outside;
  std::vector<CoreOptions> all;
  for (const Member& member : members) {
    CoreOptions one = options.core;
    one.group_id.fill(1);
    one.self = member.id;
    one.incarnation = member.incarnation;
    one.kind = member.kind;
    one.priority = member.priority;
    if (const Status status = CheckOptions(one); !status.ok()) {
      throw ScenarioProblem{status.ToString()};
    }
    all.push_back(one);
  }
  group_.emplace(all);
  commits_.assign(all.size(), Lsn());
  registers_ = {WitnessRegister{}};
}

Configuration ScenarioWorld::FirstConfiguration() const {
  std::vector<Member> members;
  for (const Member& member : members_) {
    if (outside_.count(member.id) == 0) members.push_back(member);
  }
  Configuration configuration = MajorityOf(members, 1);
  configuration.rule = options_.rule;
  if (options_.rule == QuorumRule::kInSync) configuration.votes = configuration.copies = 1;
  if (options_.votes > 0) configuration.votes = options_.votes;
  if (options_.copies > 0) configuration.copies = options_.copies;
  return configuration;
}

ModelGroup& ScenarioWorld::group() {
  if (!group_) throw ScenarioProblem{"there is no group yet"};
  return *group_;
}

size_t ScenarioWorld::IndexOf(MemberId id) {
  const size_t index = group().IndexOf(id);
  if (index >= group().size()) throw ScenarioProblem{"there is no member " + ToText(id)};
  return index;
}

MemberId ScenarioWorld::Primary() {
  const ModelMember* primary = nullptr;
  for (size_t i = 0; i < group().size(); ++i) {
    const ModelMember& member = group_->member(i);
    if (!member.up() || member.core().role() != Role::kPrimary) continue;
    if (primary == nullptr || member.core().term() > primary->core().term()) primary = &member;
  }
  if (primary == nullptr) throw ScenarioProblem{"nobody leads"};
  return primary->id();
}

std::vector<std::string> ScenarioWorld::TakeTrace() {
  if (!group_) return std::exchange(trace_, {});
  std::string commits;
  for (size_t i = 0; i < group_->size(); ++i) {
    if (!group_->member(i).up()) continue;
    const Lsn commit = group_->member(i).core().commit();
    if (commit == commits_[i]) continue;
    commits_[i] = commit;
    commits += " " + ToText(group_->member(i).id()) + "=" + ToText(commit);
  }
  if (!commits.empty()) Say("commit" + commits);
  std::vector<uint64_t> acknowledged;
  for (const auto& [end, record] : group_->acknowledged()) {
    if (acknowledged_.insert(end).second) acknowledged.push_back(record.value);
  }
  if (!acknowledged.empty()) Say("acknowledged " + ValuesText(acknowledged));
  return std::exchange(trace_, {});
}

void ScenarioWorld::AfterStep(size_t index) {
  const ModelMember& member = group_->member(index);
  if (member.up()) {
    for (const Notice& notice : member.notices()) Say(TextOf(member, notice));
    for (const ReadReady& read : member.reads()) Say(TextOf(member, read));
  }
  if (group_->witness() != registers_.back()) registers_.push_back(group_->witness());
  if (std::string problem = group_->Check(); !problem.empty()) throw ScenarioProblem{problem};
}

void ScenarioWorld::Do(MemberId id, Event event) {
  const size_t index = IndexOf(id);
  if (!group_->member(index).up()) throw ScenarioProblem{"member " + ToText(id) + " is down"};
  Act(index, [&] { group_->Do(index, std::move(event)); });
}

void ScenarioWorld::Write(MemberId id, uint64_t value) {
  const size_t index = IndexOf(id);
  if (!group_->member(index).up() || !group_->member(index).writable()) {
    Say(ToText(id) + " takes no writes");
    return;
  }
  Act(index, [&] { group_->Write(index, value); });
}

void ScenarioWorld::DeliverOne(size_t packet, bool keep, bool shown) {
  const Message& message = group_->network()[packet].message;
  if (shown) Say(ToText(message));
  const size_t to = group_->IndexOf(message.to);
  const bool arrives = to < group_->size() && group_->member(to).up();
  if (keep) {
    group_->Repeat(packet);
  } else {
    group_->Deliver(packet);
  }
  if (arrives) AfterStep(to);
}

void ScenarioWorld::Deliver(const MessagePattern& pattern, bool keep, size_t most) {
  LoseWhatIsCut();
  // What the delivery of these causes to be sent goes to the end, and is not delivered as well.
  size_t left = group().network().size();
  size_t delivered = 0;
  for (size_t i = 0; i < left && delivered < most;) {
    const Message& message = group_->network()[i].message;
    if (!pattern.Matches(message) || IsHeld(message)) {
      ++i;
      continue;
    }
    DeliverOne(i, keep, true);
    ++delivered;
    if (keep) {
      ++i;
    } else {
      --left;
    }
    Work();
  }
  if (delivered == 0) throw ScenarioProblem{"there is no such message"};
}

void ScenarioWorld::Drop(const MessagePattern& pattern) {
  size_t dropped = 0;
  for (size_t i = 0; i < group().network().size();) {
    const Message& message = group_->network()[i].message;
    if (pattern.Matches(message)) {
      Say(ToText(message));
      group_->Lose(i);
      ++dropped;
    } else {
      ++i;
    }
  }
  if (dropped == 0) throw ScenarioProblem{"there is no such message"};
}

void ScenarioWorld::Settle(const std::set<std::string>& shown) {
  for (size_t step = 0; step < kMostSteps; ++step) {
    Work();
    LoseWhatIsCut();
    const std::vector<Packet>& network = group().network();
    const auto next = std::find_if(network.begin(), network.end(), [this](const Packet& packet) {
      return !IsHeld(packet.message);
    });
    if (next == network.end()) return;
    const bool show = shown.count(std::string(NameOf(next->message.body))) > 0;
    DeliverOne(static_cast<size_t>(next - network.begin()), false, show);
  }
  throw ScenarioProblem{"the group does not come to rest"};
}

void ScenarioWorld::Pass(Nanos time, const std::set<std::string>& shown) {
  Settle(shown);
  for (Nanos passed = 0; passed < time; passed += kTimeStep) {
    group_->Move(std::min(kTimeStep, time - passed));
    TickAll();
    Settle(shown);
  }
}

void ScenarioWorld::TickAll() {
  for (size_t i = 0; i < group().size(); ++i) {
    if (!group_->member(i).up() || stopped_.count(i) > 0) continue;
    Act(i, [&] { group_->Tick(i); });
  }
}

void ScenarioWorld::Work() {
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t i = 0; i < group().size(); ++i) {
      const ModelMember& member = group_->member(i);
      if (!member.up() || stopped_.count(i) > 0) continue;
      if (slow_.count(i) == 0 && member.log_dirty()) {
        Act(i, [&] { group_->Flush(i); });
        moved = true;
      }
      if (slow_.count(i) == 0 && member.saving()) {
        Act(i, [&] { group_->SaveHardState(i); });
        moved = true;
      }
      if (!witness_slow_ && member.asking()) {
        Act(i, [&] { group_->AnswerWitness(i, false); });
        moved = true;
      }
    }
  }
}

void ScenarioWorld::LoseWhatIsCut() {
  for (size_t i = 0; i < group().network().size();) {
    const Message& message = group_->network()[i].message;
    if (cuts_.count({message.from, message.to}) > 0) {
      group_->Lose(i);
    } else {
      ++i;
    }
  }
}

bool ScenarioWorld::IsHeld(const Message& message) const {
  if (stopped_.count(group_->IndexOf(message.to)) > 0) return true;
  return std::any_of(holds_.begin(), holds_.end(), [&message](const MessagePattern& pattern) {
    return pattern.Matches(message);
  });
}

void ScenarioWorld::SetSlow(MemberId id, bool slow) {
  if (slow) {
    slow_.insert(IndexOf(id));
  } else {
    slow_.erase(IndexOf(id));
  }
}

void ScenarioWorld::SetStopped(MemberId id, bool stopped) {
  if (stopped) {
    stopped_.insert(IndexOf(id));
  } else {
    stopped_.erase(IndexOf(id));
  }
}

void ScenarioWorld::RestoreWitness(uint64_t version) {
  const auto at =
      std::find_if(registers_.begin(), registers_.end(),
                   [version](const WitnessRegister& held) { return held.version == version; });
  if (at == registers_.end()) throw ScenarioProblem{"the witness never held that version"};
  const WitnessRegister value = *at;
  group().SetWitness(value);
  registers_.push_back(value);
}

void ScenarioWorld::Tear(MemberId id, size_t sectors) {
  constexpr size_t kSectorBytes = 512;
  const size_t index = IndexOf(id);
  const ModelMember& member = group_->member(index);
  if (!member.up() || !member.saving()) throw ScenarioProblem{"nothing is being saved"};
  const std::optional<HardState> before = member.disk().hard_state;
  const HardState after = *member.saving();
  // The slot that is written held the state before the last one, which is not known here any more:
  // a blank one is harder to recover from.
  std::array<HardStateSlot, 2> slots{};
  if (before) slots[SlotOf(before->sequence)] = EncodeHardState(*before);
  const HardStateSlot whole = EncodeHardState(after);
  std::memcpy(slots[SlotOf(after.sequence)].data(), whole.data(),
              std::min(sectors * kSectorBytes, whole.size()));
  Result<std::optional<HardState>> found = ChooseHardState(slots[0], slots[1]);
  if (!found.ok()) throw ScenarioProblem{"the hard state is lost: " + found.status().ToString()};
  if (*found != before && *found != after) throw ScenarioProblem{"another hard state is found"};
  group_->Crash(index);
  group_->SetHardState(index, *found);
  Say(ToText(id) + (*found == after ? " finds the new state" : " finds the old state"));
}

}  // namespace ringleader::sim
