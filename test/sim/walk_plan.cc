#include "walk_plan.h"

#include <algorithm>

namespace ringleader::sim {
namespace {

constexpr Nanos kMillisecond = 1'000'000;

// In a third of the runs there is nothing of it.
uint64_t Some(Random& random, uint64_t most) {
  return random.Percent(33) ? 0 : random.Between(1, most);
}

void DrawLease(Random& random, WalkPlan* plan) {
  if (plan->in_sync || plan->odd_quorums || !random.Percent(40)) return;
  plan->core.lease = random.Between(200, 900) * kMillisecond;
  if (random.Percent(50)) return;
  plan->core.clock_drift_ppm = static_cast<uint32_t>(random.Between(1, 5) * 10'000);
  // Reading the model's clock rounds off; it stays within what is declared.
  plan->drift_ppm = plan->core.clock_drift_ppm - 5'000;
}

}  // namespace

WalkPlan WalkPlan::Draw(Random& random) {
  WalkPlan plan;
  plan.in_sync = random.Percent(25);
  plan.voters = plan.in_sync ? 2 : random.Between(1, 5);
  plan.spares = random.Below(3);
  plan.odd_quorums = !plan.in_sync && plan.voters > 2 && random.Percent(20);
  plan.loss = Some(random, 30);
  plan.repeat = Some(random, 30);
  plan.reorder = Some(random, 60);
  plan.witness_loss = Some(random, 40);
  plan.crashes = Some(random, 3);
  plan.pauses = Some(random, 2);
  plan.cuts = Some(random, 2);
  plan.trims = Some(random, 3);
  plan.handovers = Some(random, 2);
  plan.changes = Some(random, 3);
  plan.disks = Some(random, 1);
  plan.reads = Some(random, 6);
  plan.elections = Some(random, 1);
  plan.writes = random.Between(2, 16);
  plan.stride = random.Between(5, 120) * kMillisecond;
  plan.core.peer_to_peer = random.Percent(70);
  // Four records and more: so that logs do not travel at once.
  plan.core.window_bytes = plan.core.append_bytes = kMinAppendBytes;
  DrawLease(random, &plan);
  for (size_t i = 0; i < plan.voters + plan.spares; ++i) {
    plan.priorities.push_back(static_cast<uint32_t>(100 + 10 * random.Below(3)));
  }
  // One member that never leads: it may still have what nobody else has.
  if (plan.voters > 2 && random.Percent(25))
    plan.priorities[random.Between(1, plan.voters - 1)] = 0;
  return plan;
}

Configuration WalkPlan::First() const {
  std::vector<ringleader::Member> members;
  for (size_t i = 0; i < voters; ++i) {
    const CoreOptions options = Member(i);
    members.push_back({options.self, options.incarnation, MemberKind::kVoter, priorities[i]});
  }
  Configuration first = MajorityOf(std::move(members), 1);
  if (in_sync) {
    first.rule = QuorumRule::kInSync;
    first.votes = first.copies = 1;
  } else if (odd_quorums) {
    first.votes = std::min(first.votes + 1, first.voters);
    first.copies = first.voters - first.votes + 1;
  }
  return first;
}

CoreOptions WalkPlan::Member(size_t index) const {
  CoreOptions options = core;
  options.self = MemberId(static_cast<uint32_t>(index + 1));
  options.incarnation = Incarnation(kFirstIncarnation + index + 1);
  options.priority = priorities[index];
  return options;
}

std::string WalkPlan::Text() const {
  std::string text = std::to_string(voters) + " voters";
  const auto add = [&text](const char* name, uint64_t value) {
    if (value != 0) text += std::string(" ") + name + "=" + std::to_string(value);
  };
  if (in_sync) text += " and a witness";
  add("spares", spares);
  add("odd-quorums", odd_quorums);
  add("loss", loss);
  add("repeat", repeat);
  add("reorder", reorder);
  add("witness-loss", witness_loss);
  add("crashes", crashes);
  add("pauses", pauses);
  add("cuts", cuts);
  add("trims", trims);
  add("handovers", handovers);
  add("changes", changes);
  add("disks", disks);
  add("reads", reads);
  add("elections", elections);
  add("writes", writes);
  add("stride-ms", stride / kMillisecond);
  add("lease-ms", core.lease / kMillisecond);
  add("drift-ppm", static_cast<uint64_t>(drift_ppm));
  add("peer-to-peer", core.peer_to_peer);
  return text;
}

}  // namespace ringleader::sim
