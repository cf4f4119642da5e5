#include "explore_presets.h"

#include "base/check.h"

namespace ringleader::sim {
namespace {

CoreOptions Options(size_t index) {
  CoreOptions options;
  options.self = MemberId(static_cast<uint32_t>(index + 1));
  options.incarnation = Incarnation(index + 10);
  options.election_timeout = kExploreTimeout;
  options.heartbeat_interval = 1;
  options.canvass_wait = 1;
  options.request_wait_min = options.request_wait_max = 1;
  options.handover_timeout = kExploreTimeout;
  options.peer_to_peer = false;
  options.commit_save_interval = 0;
  return options;
}

bool AtRest(const ModelGroup& group) {
  const Lsn end = group.member(0).log().end();
  for (size_t i = 0; i < group.size(); ++i) {
    const ModelMember& member = group.member(i);
    if (member.saving() || member.asking() || member.log_dirty()) return false;
    if (member.core().commit() != end || member.log().end() != end) return false;
  }
  return group.network().empty();
}

void Settle(ModelGroup& group, bool in_sync) {
  for (int round = 0; round < 100; ++round) {
    for (size_t i = 0; i < group.size(); ++i) {
      if (group.member(i).saving()) group.SaveHardState(i);
      if (group.member(i).asking()) group.AnswerWitness(i, false);
      if (group.member(i).log_dirty()) group.Flush(i);
    }
    if (!group.network().empty()) {
      group.Deliver(0);
    } else if (AtRest(group) && (!in_sync || group.witness().in_sync[0].value != 0)) {
      return;
    } else {
      group.Move(1);
      group.TickAll();
    }
  }
  RL_CHECK(AtRest(group));
}

}  // namespace

ModelGroup MakeExploreGroup(const std::string& name) {
  const bool in_sync = name == "witness";
  const size_t count = name == "two" || in_sync ? 2 : 3;
  const size_t voters = name == "promote" ? 2 : count;
  std::vector<CoreOptions> all;
  std::vector<Member> members;
  for (size_t i = 0; i < count; ++i) {
    all.push_back(Options(i));
    const MemberKind kind = i < voters ? MemberKind::kVoter : MemberKind::kLearner;
    members.push_back({all[i].self, all[i].incarnation, kind, 100});
  }
  Configuration first = MajorityOf(std::move(members), 1);
  if (in_sync) {
    first.rule = QuorumRule::kInSync;
    first.votes = first.copies = 1;
  }
  ModelGroup group(all);
  group.Do(0, FoundGroup{first});
  Settle(group, in_sync);
  RL_CHECK(group.Check().empty());
  return group;
}

bool SetExploreGroup(const std::string& name, ExploreOptions* options) {
  options->group = name;
  ExploreBounds& bounds = options->bounds;
  bounds = {};
  if (name == "two" || name == "three") return true;
  if (name == "witness") {
    bounds.disks = 1;
    return true;
  }
  if (name == "promote" || name == "remove") {
    bounds.changes = 1;
    bounds.writes = 0;
    bounds.ticks = 3;
    return true;
  }
  return false;
}

void SetExploreLong(ExploreOptions* options) {
  ExploreBounds& bounds = options->bounds;
  bounds.writes = bounds.changes == 0 ? 3 : 1;
  bounds.crashes = bounds.ballots = 2;
  bounds.losses = bounds.repeats = 1;
  bounds.ticks += 2;
  options->max_seconds = 3600;
  options->max_states = 200'000'000;
}

}  // namespace ringleader::sim
