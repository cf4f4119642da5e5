#include <cinttypes>
#include <cstdio>

#include "sim_run.h"

namespace ringleader::simulator {

void SimReport::Add(const SimReport& other) {
  operations += other.operations;
  acknowledged += other.acknowledged;
  retries += other.retries;
  events += other.events;
  strikes += other.strikes;
  time += other.time;
  const SimStats& from = other.stats;
  for (uint64_t SimStats::*field :
       {&SimStats::steps, &SimStats::writes, &SimStats::reads, &SimStats::elections,
        &SimStats::roll_backs, &SimStats::snapshots, &SimStats::trims, &SimStats::starts,
        &SimStats::kills, &SimStats::power_cuts, &SimStats::cuts_inside, &SimStats::disk_failures,
        &SimStats::discarded, &SimStats::configurations, &SimStats::handovers,
        &SimStats::refused_frames, &SimStats::applied}) {
    stats.*field += from.*field;
  }
  for (uint64_t NetworkStats::*field :
       {&NetworkStats::sent, &NetworkStats::delivered, &NetworkStats::lost, &NetworkStats::cut,
        &NetworkStats::repeated, &NetworkStats::damaged, &NetworkStats::bytes,
        &NetworkStats::partitions, &NetworkStats::clogs}) {
    network.*field += other.network.*field;
  }
  for (size_t i = 0; i < kFaults; ++i) struck[i] += other.struck[i];
}

std::string SimReport::Text() const {
  std::string text;
  const auto add = [&text](const char* name, uint64_t number) {
    if (number == 0) return;
    if (!text.empty()) text += ", ";
    text += std::to_string(number) + " " + name;
  };
  add("operations", operations);
  add("acknowledged", acknowledged);
  add("retries", retries);
  add("reads", stats.reads);
  add("steps", stats.steps);
  add("messages", network.sent);
  add("lost", network.lost + network.cut);
  add("repeated", network.repeated);
  add("frames refused", stats.refused_frames);
  add("elections", stats.elections);
  add("roll-backs", stats.roll_backs);
  add("discarded", stats.discarded);
  add("snapshots", stats.snapshots);
  add("trims", stats.trims);
  add("configurations", stats.configurations);
  add("starts", stats.starts);
  add("cuts inside", stats.cuts_inside);
  add("disk failures", stats.disk_failures);
  add("strikes", strikes);
  for (size_t i = 0; i < kFaults; ++i) {
    if (struck[i] == 0) continue;
    text += " " + std::string(NameOf(static_cast<Fault>(i))) + ":" + std::to_string(struck[i]);
  }
  return text;
}

}  // namespace ringleader::simulator
