// What becomes of a state when nothing goes wrong any more.
#include <algorithm>

#include "explore_step.h"

namespace ringleader::sim {
namespace {

constexpr int kRounds = 300;        // of one unit of time each: a hundred election timeouts
constexpr int kStepsOfRound = 400;  // messages, saves and flushes until all is quiet
constexpr uint64_t kValue = 1'000'000;

// Whether the disks that are left suffice to elect and to commit under a configuration.
bool Suffices(const ModelGroup& group, const Configuration& configuration) {
  uint32_t voters = 0;
  bool in_sync = false;
  for (size_t i = 0; i < group.size(); ++i) {
    const CoreOptions& options = group.member(i).options();
    const Member* member = configuration.Find(options.self);
    if (member == nullptr || member->incarnation != options.incarnation) continue;
    if (member->kind != MemberKind::kVoter) continue;
    ++voters;
    in_sync = in_sync || group.witness().Holds(options.incarnation);
  }
  if (configuration.rule == QuorumRule::kInSync) return in_sync;
  return voters >= std::max(configuration.votes, configuration.copies);
}

bool CanLive(const ModelGroup& group) {
  for (size_t i = 0; i < group.size(); ++i) {
    for (size_t k = 0; k < group.member(i).records(); ++k) {
      const ModelRecord& record = group.member(i).record(k);
      if (record.kind != ModelKind::kConfiguration) continue;
      if (!Suffices(group, record.configuration)) return false;
    }
  }
  return true;
}

// What is done at once where no disk is slow.
bool WorkOff(ModelGroup& group) {
  bool worked = false;
  for (size_t i = 0; i < group.size(); ++i) {
    const bool saving = group.member(i).saving().has_value();
    if (saving) group.SaveHardState(i);
    const bool asking = group.member(i).asking().has_value();
    if (asking) group.AnswerWitness(i, false);
    const bool dirty = group.member(i).log_dirty();
    if (dirty) group.Flush(i);
    worked = worked || saving || asking || dirty;
  }
  if (group.network().empty()) return worked;
  group.Deliver(0);
  return true;
}

bool Wrote(const ModelGroup& group) {
  return std::any_of(group.acknowledged().begin(), group.acknowledged().end(),
                     [](const auto& one) { return one.second.value >= kValue; });
}

}  // namespace

std::string ExploreLiveness(ModelGroup group) {
  while (!group.late_swaps().empty()) group.LoseSwap(0);
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group.member(i).up()) group.Restart(i);
  }
  if (!CanLive(group)) return "";
  uint64_t value = kValue;
  for (int round = 0; round < kRounds; ++round) {
    for (int step = 0; step < kStepsOfRound && WorkOff(group); ++step) {
      if (std::string problem = group.Check(); !problem.empty()) return problem;
    }
    if (Wrote(group)) return "";
    group.Move(1);
    group.TickAll();
    if (round % 16 != 15) continue;
    for (size_t i = 0; i < group.size(); ++i) {
      if (group.member(i).up() && group.member(i).writable()) group.Write(i, value++);
    }
  }
  return "without faults from here on, the group never commits again";
}

}  // namespace ringleader::sim
