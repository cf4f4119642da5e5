#include "sim_plan.h"

#include <algorithm>

#include "env/sim/sim_rng.h"

namespace ringleader::simulator {
namespace {

constexpr Nanos kMicro = 1'000;
constexpr Nanos kMilli = 1'000'000;

constexpr std::array<std::string_view, kFaults> kNames = {
    "loss",      "duplicate",  "reorder",     "clog",       "partition",  "one-way",  "by-type",
    "damage",    "kill",       "power",       "cut-inside", "pause",      "new-disk", "slow-disk",
    "stuck",     "io-error",   "flush-error", "full-disk",  "read-error", "skew",     "drift",
    "wall-jump", "impatience", "membership",  "hand-over",  "witness",    "large",    "trim"};

// Each kind in about two thirds of the runs; a few runs have none at all.
uint64_t DrawFaults(SimRng& rng) {
  const double chance = rng.Below(20) == 0 ? 0 : 0.3 + 0.7 * rng.Unit();
  uint64_t faults = 0;
  for (size_t i = 0; i < kFaults; ++i) {
    if (rng.Chance(chance)) faults |= uint64_t{1} << i;
  }
  return faults;
}

void DrawGroup(SimRng& rng, uint32_t voters, SimPlan* plan) {
  static constexpr std::array<uint32_t, 12> kSizes = {1, 2, 2, 3, 3, 3, 3, 3, 4, 5, 5, 7};
  plan->voters = kSizes[rng.Below(kSizes.size())];
  plan->witness = plan->voters == 2 && rng.Below(3) != 0;
  plan->spares = plan->voters < 7 ? static_cast<uint32_t>(rng.Below(3)) : 0;
  if (voters != 0) plan->voters = voters;
  if (plan->voters != 2) plan->witness = false;
  if (!plan->Has(Fault::kMembership)) plan->spares = 0;
}

void DrawTimes(SimRng& rng, SimPlan* plan) {
  plan->delay_min = (20 + rng.Below(200)) * kMicro;
  plan->delay_max = plan->delay_min + (10 + rng.Below(rng.Below(3) == 0 ? 20'000 : 500)) * kMicro;
  plan->flush_min = (20 + rng.Below(300)) * kMicro;
  plan->flush_max = plan->flush_min + (20 + rng.Below(2'000)) * kMicro;
  plan->election_timeout = (300 + rng.Below(1'000)) * kMilli;
  plan->heartbeat = plan->election_timeout / (3 + rng.Below(8));
  plan->lease = rng.Below(2) == 0 ? 0 : plan->election_timeout * (20 + rng.Below(70)) / 100;
  if (plan->lease > 0) plan->lease = std::max(plan->lease, plan->heartbeat * 2);
  plan->fault_interval = (30 + rng.Below(rng.Below(2) == 0 ? 150 : 1'500)) * kMilli;
  plan->think_max = (50 + rng.Below(rng.Below(4) == 0 ? 50'000 : 4'000)) * kMicro;
  if (plan->Has(Fault::kDrift)) plan->drift_ppm = static_cast<uint32_t>(rng.Below(50'000));
  if (plan->Has(Fault::kSkew)) plan->skew_max = rng.Below(10'000) * kMilli;
}

// The application knows how many members there are, and that none loses its disk: nobody tells the
// base API of incarnations. There are no configurations and no leases.
void MakeBase(SimPlan* plan) {
  plan->base_api = true;
  plan->spares = 0;
  plan->lease = 0;
  plan->Drop(Fault::kMembership);
  plan->Drop(Fault::kNewDisk);
}

constexpr SimSetting kSettings[] = {
    {"voters", 1, [](const SimPlan& plan) -> uint64_t { return plan.voters; },
     [](SimPlan* plan, uint64_t value) {
       plan->voters = static_cast<uint32_t>(value);
       plan->witness = plan->witness && value == 2;
     }},
    {"spares", 0, [](const SimPlan& plan) -> uint64_t { return plan.spares; },
     [](SimPlan* plan, uint64_t value) { plan->spares = static_cast<uint32_t>(value); }},
    {"clients", 1, [](const SimPlan& plan) -> uint64_t { return plan.clients; },
     [](SimPlan* plan, uint64_t value) { plan->clients = static_cast<uint32_t>(value); }},
    {"lease", 0, [](const SimPlan& plan) -> uint64_t { return plan.lease; },
     [](SimPlan* plan, uint64_t value) { plan->lease = value; }},
    {"delayed-sync", 0, [](const SimPlan& plan) -> uint64_t { return plan.delayed_sync; },
     [](SimPlan* plan, uint64_t value) { plan->delayed_sync = value != 0; }},
    {"kept-snapshots", 0, [](const SimPlan& plan) -> uint64_t { return plan.keeps_snapshots; },
     [](SimPlan* plan, uint64_t value) { plan->keeps_snapshots = value != 0; }},
    {"peer-to-peer", 0, [](const SimPlan& plan) -> uint64_t { return plan.peer_to_peer; },
     [](SimPlan* plan, uint64_t value) { plan->peer_to_peer = value != 0; }},
    {"drift", 0, [](const SimPlan& plan) -> uint64_t { return plan.drift_ppm; },
     [](SimPlan* plan, uint64_t value) { plan->drift_ppm = static_cast<uint32_t>(value); }},
    {"skew", 0, [](const SimPlan& plan) -> uint64_t { return plan.skew_max; },
     [](SimPlan* plan, uint64_t value) { plan->skew_max = value; }},
};

}  // namespace

std::span<const SimSetting> Settings() { return kSettings; }

std::string_view NameOf(Fault fault) { return kNames[static_cast<size_t>(fault)]; }

bool FindFault(std::string_view name, Fault* fault) {
  const auto at = std::ranges::find(kNames, name);
  if (at == kNames.end()) return false;
  *fault = static_cast<Fault>(at - kNames.begin());
  return true;
}

SimPlan DrawPlan(uint64_t seed, uint64_t operations, uint32_t voters) {
  SimRng rng(seed * 0x9e3779b97f4a7c15 + 1);
  SimPlan plan;
  plan.seed = seed;
  plan.operations = operations;
  plan.faults = DrawFaults(rng);
  DrawGroup(rng, voters, &plan);
  DrawTimes(rng, &plan);
  plan.loss = rng.Unit() * (rng.Below(3) == 0 ? 0.3 : 0.03);
  plan.duplicate = rng.Unit() * (rng.Below(3) == 0 ? 0.5 : 0.05);
  plan.reorder = rng.Unit() * 0.3;
  plan.clients = 2 + static_cast<uint32_t>(rng.Below(rng.Below(2) == 0 ? 40 : 6));
  plan.small_bytes = 16 + static_cast<uint32_t>(rng.Below(rng.Below(3) == 0 ? 2'000 : 150));
  plan.large = 0.02 * rng.Unit();
  plan.keep_bytes = (uint64_t{64} << 10) * (1 + rng.Below(6));
  plan.append_bytes = uint64_t{4096} << rng.Below(5);
  plan.window_bytes = plan.append_bytes * (2 + rng.Below(8));
  plan.piece_bytes = uint64_t{4096} << rng.Below(4);
  plan.delayed_sync = rng.Below(8) == 0;
  plan.peer_to_peer = rng.Below(4) != 0;
  plan.keeps_snapshots = rng.Below(2) == 0;
  if (rng.Below(8) == 0 && plan.voters > 1 && !plan.witness) MakeBase(&plan);
  return plan;
}

std::string SimPlan::Text() const {
  std::string text = std::to_string(voters) + (witness ? " voters and a witness" : " voters");
  if (spares > 0) text += ", " + std::to_string(spares) + " spare";
  text += ", " + std::to_string(clients) + " clients";
  if (lease > 0) text += ", leases";
  if (base_api) text += ", base API";
  if (delayed_sync) text += ", delayed sync";
  if (!peer_to_peer) text += ", not peer to peer";
  if (keeps_snapshots) text += ", snapshots kept";
  text += ";";
  for (size_t i = 0; i < kFaults; ++i) {
    if (Has(static_cast<Fault>(i))) text += " " + std::string(kNames[i]);
  }
  return faults == 0 ? text + " no faults" : text;
}

}  // namespace ringleader::simulator
