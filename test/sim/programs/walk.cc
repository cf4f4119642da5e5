// Random walks over the replication core.
//
//   walk [--seed N] [--count N] [--steps N] [--preferred] [--trace] [--mutant NAME]
//
// --preferred: two members of which one is preferred.
//
// Seeds from N on, each run twice: a run that is not the same twice is a defect too. Without --seed
// the first one comes from the clock. The seed is said before its run, so that whatever ends the
// program is known.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/mutant.h"
#include "walk.h"

namespace {

using ringleader::sim::Walk;
using ringleader::sim::WalkOptions;
using ringleader::sim::WalkReport;

uint64_t Milliseconds(std::chrono::steady_clock::duration time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

using Number = unsigned long long;

int Fail(const WalkOptions& options, const WalkReport& report, const char* problem) {
  std::printf("FAILED seed %llu: %s\n  %s\n  again: npm run sim:walk -- --seed %llu --trace\n",
              Number{options.seed}, problem, report.plan.c_str(), Number{options.seed});
  return 1;
}

int Run(WalkOptions options, uint64_t count) {
  const auto start = std::chrono::steady_clock::now();
  WalkReport all;
  const uint64_t first = options.seed;
  for (; options.seed < first + count; ++options.seed) {
    std::printf("seed %llu\n", Number{options.seed});
    std::fflush(stdout);
    const WalkReport report = Walk(options);
    if (!report.problem.empty()) return Fail(options, report, report.problem.c_str());
    WalkOptions again = options;
    again.trace = false;
    if (Walk(again).hash != report.hash) return Fail(options, report, "not the same twice");
    all.choices += report.choices;
    all.steps += report.steps;
    all.committed += report.committed;
    all.reigns += report.reigns;
    all.changes += report.changes;
    all.reads += report.reads;
  }
  std::printf(
      "%llu walks, %llu choices, %llu steps of members, %llu records committed, %llu reigns, "
      "%llu changes of members asked for, %llu reads, %.1f s\n",
      Number{count}, Number{all.choices}, Number{all.steps}, Number{all.committed},
      Number{all.reigns}, Number{all.changes}, Number{all.reads},
      static_cast<double>(Milliseconds(std::chrono::steady_clock::now() - start)) / 1000);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  WalkOptions options;
  options.seed = Milliseconds(std::chrono::system_clock::now().time_since_epoch());
  uint64_t count = 1;
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (std::strcmp(argv[i], "--trace") == 0) {
      options.trace = true;
    } else if (std::strcmp(argv[i], "--preferred") == 0) {
      options.preferred = true;
    } else if (std::strcmp(argv[i], "--seed") == 0 && more) {
      options.seed = std::strtoull(argv[++i], nullptr, 0);
    } else if (std::strcmp(argv[i], "--count") == 0 && more) {
      count = std::strtoull(argv[++i], nullptr, 0);
    } else if (std::strcmp(argv[i], "--steps") == 0 && more) {
      options.steps = std::strtoull(argv[++i], nullptr, 0);
    } else if (std::strcmp(argv[i], "--mutant") == 0 && more &&
               ringleader::SelectMutant(argv[i + 1])) {
      ++i;
    } else {
      std::fprintf(
          stderr,
          "walk [--seed N] [--count N] [--steps N] [--preferred] [--trace] [--mutant NAME]\n");
      return 2;
    }
  }
  return Run(options, count);
}
