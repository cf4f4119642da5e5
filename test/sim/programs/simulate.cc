// The full simulator: real logs, hard states and messages, simulated disks, networks and clocks.
//
//   simulate [--seed N] [--count N] [--ops N] [--voters N] [--seconds N] [--once] [--trace]
//            [--shrink] [--without FAULT,..] [--only FAULT,..] [--strikes N,..]
//            [--set NAME=N,..] [--mutant NAME]
//
// Seeds from N on, each run twice: a run that is not the same twice is a defect too (--once: not).
// Without --seed the first one comes from the clock. The seed is said before its run, so that
// whatever ends the program is known.
//
// --shrink makes the first run that fails short (sim_shrink.h), for at most --seconds, and says how
// it is run again. --only, --strikes and --set are what it says then; --mutant is for the build
// with planted bugs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutant.h"
#include "sim_run.h"
#include "sim_shrink.h"

namespace {

using namespace ringleader::simulator;

struct Options {
  uint64_t seed = 0;
  uint64_t count = 1;
  uint64_t operations = 2'000;
  uint64_t seconds = UINT64_MAX;
  uint32_t voters = 0;
  uint64_t without = 0;
  std::optional<uint64_t> only;
  std::optional<std::vector<uint64_t>> strikes;
  std::vector<std::pair<const SimSetting*, uint64_t>> settings;
  bool trace = false;
  bool once = false;
  bool shrink = false;
  std::string mutant;
};

double Seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

SimPlan PlanFor(const Options& options, uint64_t seed) {
  SimPlan plan = DrawPlan(seed, options.operations, options.voters);
  for (const auto& [setting, value] : options.settings) setting->set(&plan, value);
  if (options.only) plan.faults = *options.only;
  plan.faults &= ~options.without;
  plan.strikes = options.strikes;
  return plan;
}

void SayAgain(const Options& options, const SimPlan& plan) {
  const std::string mutant = options.mutant.empty() ? "" : " --mutant " + options.mutant;
  std::printf("  again: npm run sim -- %s%s\n", ArgumentsOf(plan).c_str(), mutant.c_str());
}

int ShrinkIt(const Options& options, const SimPlan& plan, const SimReport& failed) {
  const auto start = std::chrono::steady_clock::now();
  const std::function<bool()> more = [&] {
    return Seconds(std::chrono::steady_clock::now() - start) < static_cast<double>(options.seconds);
  };
  const SimPlan less = Shrink(plan, failed, more);
  const SimReport report = RunApart(less);
  std::printf("SHRUNK in %.1f s to %llu operations: %s\n  %s\n",
              Seconds(std::chrono::steady_clock::now() - start),
              static_cast<unsigned long long>(less.operations), less.Text().c_str(),
              report.problem.c_str());
  SayAgain(options, less);
  return 1;
}

SimReport RunOne(const Options& options, const SimPlan& plan) {
  // Apart, so that one that ends by a signal can be shortened too.
  if (options.shrink) {
    SimReport report = RunApart(plan);
    if (!report.problem.empty()) return report;
  }
  SimReport report = SimRun(plan, options.trace).Run();
  if (report.problem.empty() && !options.once) {
    const SimReport again = SimRun(plan, false).Run();
    if (again.hash != report.hash) report.problem = "the same seed gives another run";
  }
  return report;
}

int Simulate(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t began = std::clock();
  SimReport all;
  uint64_t runs = 0;
  for (uint64_t seed = options.seed; seed < options.seed + options.count; ++seed) {
    const SimPlan plan = PlanFor(options, seed);
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), plan.Text().c_str());
    std::fflush(stdout);
    const SimReport report = RunOne(options, plan);
    ++runs;
    all.Add(report);
    if (!report.problem.empty()) {
      std::printf("FAILED seed %llu: %s\n  %s\n", static_cast<unsigned long long>(seed),
                  report.problem.c_str(), report.Text().c_str());
      SayAgain(options, plan);
      std::fflush(stdout);
      return options.shrink ? ShrinkIt(options, plan, report) : 1;
    }
    if (Seconds(std::chrono::steady_clock::now() - start) > static_cast<double>(options.seconds)) {
      break;
    }
  }
  const double took = Seconds(std::chrono::steady_clock::now() - start);
  std::printf("%llu runs hold: %s\n", static_cast<unsigned long long>(runs), all.Text().c_str());
  const double worked = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf("%.2f simulated hours in %.1f s, %.0f operations per second of the processor\n",
              static_cast<double>(all.time) / 3.6e12, took,
              static_cast<double>(all.operations) * (options.once ? 1 : 2) / worked);
  return 0;
}

std::vector<std::string> Words(const std::string& list) {
  std::vector<std::string> words;
  if (list == "none") return words;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    words.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

bool ParseFaults(const char* list, uint64_t* faults) {
  for (const std::string& word : Words(list)) {
    Fault fault;
    if (!FindFault(word, &fault)) return false;
    *faults |= uint64_t{1} << static_cast<unsigned>(fault);
  }
  return true;
}

bool ParseSettings(const char* list, Options* options) {
  for (const std::string& word : Words(list)) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) return false;
    const auto at = std::ranges::find(Settings(), word.substr(0, equals), &SimSetting::name);
    if (at == Settings().end()) return false;
    options->settings.emplace_back(&*at, std::strtoull(word.c_str() + equals + 1, nullptr, 10));
  }
  return true;
}

bool ParseList(const std::string& name, const char* value, Options* options) {
  if (name == "--without") return ParseFaults(value, &options->without);
  if (name == "--set") return ParseSettings(value, options);
  if (name == "--only") {
    options->only = 0;
    return ParseFaults(value, &*options->only);
  }
  if (name == "--strikes") {
    options->strikes.emplace();
    for (const std::string& word : Words(value)) {
      options->strikes->push_back(std::strtoull(word.c_str(), nullptr, 10));
    }
    std::ranges::sort(*options->strikes);
    return true;
  }
  if (name != "--mutant") return false;
  options->mutant = value;
  return ringleader::SelectMutant(value);
}

bool Parse(int argc, char** argv, Options* options) {
  options->seed = static_cast<uint64_t>(
      std::chrono::system_clock::now().time_since_epoch().count() / 1000 % 1'000'000'000);
  const std::pair<const char*, bool*> flags[] = {
      {"--trace", &options->trace}, {"--once", &options->once}, {"--shrink", &options->shrink}};
  const std::pair<const char*, uint64_t*> numbers[] = {{"--seed", &options->seed},
                                                       {"--count", &options->count},
                                                       {"--ops", &options->operations},
                                                       {"--seconds", &options->seconds}};
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto flag = std::ranges::find(flags, name, &std::pair<const char*, bool*>::first);
    if (flag != std::end(flags)) {
      *flag->second = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    const char* value = argv[++i];
    const auto number = std::ranges::find(numbers, name, &std::pair<const char*, uint64_t*>::first);
    if (number != std::end(numbers)) {
      *number->second = std::strtoull(value, nullptr, 10);
    } else if (name == "--voters") {
      options->voters = static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
    } else if (!ParseList(name, value, options)) {
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
