#include "walk_plan.h"

#include <algorithm>

namespace ringleader::sim {
namespace {

constexpr Nanos kMillisecond = 1'000'000;

// In a third of the runs there is nothing of it.
uint64_t Some(Random& random, uint64_t most) {
  return random.Percent(33) ? 0 : random.Between(1, most);
}

// Without leases no two clocks need to have anything in common; with them they are as far apart as
// has been declared.
void DrawClocks(Random& random, WalkPlan* plan) {
  const Nanos unit = random.Between(1, 4) * 100 * kMillisecond;
  plan->core.election_timeout = 3 * unit;
  plan->core.heartbeat_interval = random.Between(1, 2) * unit / 2;
  plan->core.canvass_wait = unit / 2;
  plan->core.handover_timeout = random.Between(2, 8) * unit;
  plan->stride = random.Between(1, 10) * unit / 10;
  if (plan->in_sync || plan->odd_quorums || !random.Percent(50)) {
    plan->drift_ppm = random.Percent(50) ? 0 : 400'000;
    return;
  }
  plan->core.lease = plan->core.election_timeout * random.Between(4, 10) / 8;
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
  plan.delay = Some(random, 20);
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
  plan.core.peer_to_peer = random.Percent(70);
  // Four records and more: so that logs do not travel at once.
  plan.core.window_bytes = plan.core.append_bytes = kMinAppendBytes;
  DrawClocks(random, &plan);
  // Some rules are broken in the middle of one thing only.
  switch (random.Below(6)) {
    case 0:  // a primary that has been succeeded and does not know
      plan.reads = 12;
      plan.handovers = 4;
      plan.elections = 4;
      plan.cuts = 3;
      break;
    case 1:  // logs that part
      plan.crashes = 8;
      plan.writes = 24;
      plan.elections = 3;
      plan.trims = plan.changes = plan.disks = 0;
      break;
    case 2:  // disks that go
      plan.disks = 4;
      plan.crashes = 5;
      plan.changes = 6;
      break;
    case 3:  // snapshots
      plan.trims = 8;
      plan.repeat = plan.delay = 25;
      plan.cuts = 3;
      break;
    default:
      break;
  }
  for (size_t i = 0; i < plan.voters + plan.spares; ++i) {
    plan.priorities.push_back(static_cast<uint32_t>(100 + 10 * random.Below(3)));
  }
  // One member that never leads: it may still have what nobody else has.
  if (plan.voters > 2 && random.Percent(25))
    plan.priorities[random.Between(1, plan.voters - 1)] = 0;
  return plan;
}

void WalkPlan::PreferOne() {
  preferred = true;
  voters = 2;
  spares = 0;
  in_sync = odd_quorums = false;
  // Who comes and goes would change the quorums, and a lease needs a majority.
  changes = disks = 0;
  core.lease = 0;
  core.two_members = TwoMembers::kPreferred;
  core.preferred = MemberId(1);
  priorities = {100, 100};
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
  } else if (preferred) {
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
  if (preferred) text += ", one preferred";
  add("spares", spares);
  add("odd-quorums", odd_quorums);
  add("loss", loss);
  add("repeat", repeat);
  add("reorder", reorder);
  add("delay", delay);
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
  add("timeout-ms", core.election_timeout / kMillisecond);
  add("lease-ms", core.lease / kMillisecond);
  add("drift-ppm", static_cast<uint64_t>(drift_ppm));
  add("peer-to-peer", core.peer_to_peer);
  return text;
}

}  // namespace ringleader::sim
