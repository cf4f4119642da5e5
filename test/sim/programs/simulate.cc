// The full simulator: real logs, hard states and messages, simulated disks, networks and clocks.
//
//   simulate [--seed N] [--count N] [--ops N] [--voters N] [--trace] [--once] [--seconds N]
//            [--without FAULT,..] [--mutant NAME]
//
// Seeds from N on, each run twice: a run that is not the same twice is a defect too (--once: not).
// Without --seed the first one comes from the clock. The seed is said before its run, so that
// whatever ends the program is known.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/mutant.h"
#include "sim_run.h"

namespace {

using namespace ringleader::simulator;

struct Options {
  uint64_t seed = 0;
  uint64_t count = 1;
  uint64_t operations = 2'000;
  uint64_t seconds = UINT64_MAX;
  uint32_t voters = 0;
  uint64_t without = 0;
  bool trace = false;
  bool once = false;
  std::string command;
};

double Seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

SimPlan PlanFor(const Options& options, uint64_t seed) {
  SimPlan plan = DrawPlan(seed, options.operations, options.voters);
  plan.faults &= ~options.without;
  return plan;
}

int Simulate(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  SimReport all;
  uint64_t runs = 0;
  for (uint64_t seed = options.seed; seed < options.seed + options.count; ++seed) {
    const SimPlan plan = PlanFor(options, seed);
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), plan.Text().c_str());
    std::fflush(stdout);
    SimReport report = SimRun(plan, options.trace).Run();
    if (report.problem.empty() && !options.once) {
      const SimReport again = SimRun(plan, false).Run();
      if (again.hash != report.hash) report.problem = "the same seed gives another run";
    }
    ++runs;
    all.Add(report);
    if (!report.problem.empty()) {
      std::printf("FAILED seed %llu: %s\n  %s\n  again: %s --seed %llu\n",
                  static_cast<unsigned long long>(seed), report.problem.c_str(),
                  report.Text().c_str(), options.command.c_str(),
                  static_cast<unsigned long long>(seed));
      return 1;
    }
    if (Seconds(std::chrono::steady_clock::now() - start) > static_cast<double>(options.seconds)) {
      break;
    }
  }
  const double took = Seconds(std::chrono::steady_clock::now() - start);
  std::printf("%llu runs hold: %s\n", static_cast<unsigned long long>(runs), all.Text().c_str());
  std::printf("%.2f simulated hours in %.1f s, %.0f operations per second\n",
              static_cast<double>(all.time) / 3.6e12, took,
              static_cast<double>(all.operations) * (options.once ? 1 : 2) / took);
  return 0;
}

bool Without(const char* list, uint64_t* faults) {
  const std::string text = list;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    Fault fault;
    if (!FindFault(text.substr(at, end - at), &fault)) return false;
    *faults |= uint64_t{1} << static_cast<unsigned>(fault);
    at = end + 1;
  }
  return true;
}

bool Parse(int argc, char** argv, Options* options) {
  options->seed = static_cast<uint64_t>(
      std::chrono::system_clock::now().time_since_epoch().count() / 1000 % 1'000'000'000);
  options->command = argv[0];
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const bool flag = name == "--trace" || name == "--once";
    const char* value = !flag && i + 1 < argc ? argv[++i] : nullptr;
    const uint64_t number = value == nullptr ? 0 : std::strtoull(value, nullptr, 10);
    if (name != "--seed" && name != "--count") {
      options->command += " " + name + (value == nullptr ? "" : std::string(" ") + value);
    }
    if (name == "--trace") {
      options->trace = true;
    } else if (name == "--once") {
      options->once = true;
    } else if (value == nullptr) {
      return false;
    } else if (name == "--seed") {
      options->seed = number;
    } else if (name == "--count") {
      options->count = number;
    } else if (name == "--ops") {
      options->operations = number;
    } else if (name == "--voters") {
      options->voters = static_cast<uint32_t>(number);
    } else if (name == "--seconds") {
      options->seconds = number;
    } else if (name == "--without") {
      if (!Without(value, &options->without)) return false;
    } else if (name != "--mutant" || !ringleader::SelectMutant(value)) {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    std::fprintf(stderr, "usage: see the head of test/sim/programs/simulate.cc\n");
    return 2;
  }
  return Simulate(options);
}
