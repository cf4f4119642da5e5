// Every run of a small group of replication cores.
//
//   explore [--group NAME] [--writes N] [--crashes N] [--losses N] [--repeats N] [--disks N]
//           [--changes N] [--ballots N] [--rounds N] [--packets N] [--ticks N]
//           [--any-order]
//           [--states N] [--seconds N] [--live-every N] [--long] [--mutant NAME]
//
// --long, before other bounds, takes those that an hour of each group is given for. --live-every:
// from how many of the states it is looked at whether the group lives on.
//
// Without --group all of them, one after the other, each with its own bounds. Says how many states
// there are, and whether that is all.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/mutant.h"
#include "explore.h"

namespace {

using ringleader::sim::ExploreOptions;
using ringleader::sim::ExploreReport;
using Number = unsigned long long;

void Tell(const std::vector<std::string>& trace) {
  for (size_t i = 0; i < trace.size(); ++i) std::printf("%5zu %s\n", i + 1, trace[i].c_str());
  std::fflush(stdout);
}

// A check of the core itself has failed: the process ends, but not without saying where.
void OnAbort(int) {
  std::signal(SIGABRT, SIG_DFL);
  Tell(ringleader::sim::ExploreTraceOnAbort());
}

bool Run(const ExploreOptions& options) {
  std::printf("%s: ", options.group.c_str());
  std::fflush(stdout);
  const ExploreReport report = ringleader::sim::Explore(options);
  std::printf(
      "%llu states, %llu left behind, %llu transitions, depth %llu, %s, %.1f s, %.0f states/s; up "
      "to %llu records committed, %llu reigns; lives on from each of %llu\n",
      Number{report.states}, Number{report.left}, Number{report.transitions}, Number{report.depth},
      report.exhausted ? "that is all" : "not all", report.seconds,
      static_cast<double>(report.states) / std::max(report.seconds, 0.001),
      Number{report.committed}, Number{report.reigns}, Number{report.lived});
  if (report.problem.empty()) return true;
  std::printf("FAILED %s\n", report.problem.c_str());
  Tell(report.trace);
  return false;
}

uint32_t* Bound(ExploreOptions& options, const char* name) {
  auto& bounds = options.bounds;
  const struct {
    const char* name;
    uint32_t* value;
  } all[] = {{"--writes", &bounds.writes},   {"--crashes", &bounds.crashes},
             {"--losses", &bounds.losses},   {"--repeats", &bounds.repeats},
             {"--disks", &bounds.disks},     {"--changes", &bounds.changes},
             {"--ballots", &bounds.ballots}, {"--rounds", &bounds.rounds},
             {"--packets", &bounds.packets}, {"--ticks", &bounds.ticks}};
  for (const auto& one : all) {
    if (std::strcmp(one.name, name) == 0) return one.value;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> groups = {"two", "three", "witness", "promote", "remove"};
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--group") == 0) groups = {argv[i + 1]};
  }
  std::signal(SIGABRT, OnAbort);
  bool good = true;
  for (const std::string& group : groups) {
    ExploreOptions options;
    bool known = ringleader::sim::SetExploreGroup(group, &options);
    for (int i = 1; i < argc && known; ++i) {
      const bool more = i + 1 < argc;
      if (std::strcmp(argv[i], "--any-order") == 0) {
        options.bounds.fifo = false;
      } else if (std::strcmp(argv[i], "--long") == 0) {
        ringleader::sim::SetExploreLong(&options);
      } else if (!more) {
        known = false;
      } else if (uint32_t* bound = Bound(options, argv[i])) {
        *bound = static_cast<uint32_t>(std::strtoul(argv[++i], nullptr, 0));
      } else if (std::strcmp(argv[i], "--states") == 0) {
        options.max_states = std::strtoull(argv[++i], nullptr, 0);
      } else if (std::strcmp(argv[i], "--live-every") == 0) {
        options.live_every = std::strtoull(argv[++i], nullptr, 0);
      } else if (std::strcmp(argv[i], "--seconds") == 0) {
        options.max_seconds = std::strtod(argv[++i], nullptr);
      } else {
        const bool mutant = std::strcmp(argv[i], "--mutant") == 0;
        known = std::strcmp(argv[i], "--group") == 0 ||
                (mutant && ringleader::SelectMutant(argv[i + 1]));
        ++i;
      }
    }
    if (!known) {
      std::fprintf(stderr,
                   "explore: no such option, group or mutant; see the head of its source\n");
      return 2;
    }
    good = Run(options) && good;
  }
  return good ? 0 : 1;
}
