#include "sim_shrink.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/check.h"

namespace ringleader::simulator {
namespace {

void SendText(int fd, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t sent = write(fd, text.data() + at, text.size() - at);
    if (sent <= 0) std::_Exit(3);
    at += static_cast<size_t>(sent);
  }
}

std::string ReadText(int fd) {
  std::string text;
  char bytes[4096];
  for (;;) {
    const ssize_t got = read(fd, bytes, sizeof bytes);
    if (got <= 0) return text;
    text.append(bytes, static_cast<size_t>(got));
  }
}

// A line of numbers, then the problem.
std::string TextOf(const SimReport& report) {
  std::string text = std::to_string(report.operations);
  for (const uint64_t strike : report.strikes_hit) text += " " + std::to_string(strike);
  return text + "\n" + report.problem;
}

SimReport ReportOf(const std::string& text) {
  SimReport report;
  const char* at = text.c_str();
  char* next = nullptr;
  report.operations = std::strtoull(at, &next, 10);
  for (at = next; *at == ' '; at = next) {
    report.strikes_hit.push_back(std::strtoull(at, &next, 10));
  }
  if (*at == '\n') report.problem = at + 1;
  return report;
}

class Shrinker {
 public:
  Shrinker(SimPlan plan, SimReport failed, const std::function<bool()>& more)
      : plan_(std::move(plan)),
        kind_(KindOf(failed.problem)),
        failed_(std::move(failed)),
        more_(more) {}

  SimPlan Run() {
    if (!plan_.strikes && !failed_.strikes_hit.empty()) {
      SimPlan named = plan_;
      named.strikes = failed_.strikes_hit;
      Take(named);
    }
    do {
      gained_ = false;
      DropOperations();
      DropStrikes();
      DropFaults();
      DropSettings();
    } while (gained_ && more_());
    return plan_;
  }

 private:
  // The plan from now on, where it fails in the same way.
  bool Take(const SimPlan& plan) {
    if (!more_()) return false;
    SimReport report = RunApart(plan);
    if (report.problem.empty() || KindOf(report.problem) != kind_) return false;
    plan_ = plan;
    failed_ = std::move(report);
    gained_ = true;
    return true;
  }

  void DropOperations() {
    SimPlan less = plan_;
    less.operations = failed_.operations + 1;
    if (less.operations < plan_.operations) Take(less);
    for (uint64_t step = plan_.operations / 2; step > 0; step /= 2) {
      less = plan_;
      if (step >= less.operations) continue;
      less.operations -= step;
      Take(less);
    }
  }

  // Runs of them, half as long each time.
  void DropStrikes() {
    if (!plan_.strikes) return;
    for (size_t length = std::max<size_t>(plan_.strikes->size() / 2, 1);; length /= 2) {
      for (size_t at = 0; at < plan_.strikes->size() && more_();) {
        SimPlan less = plan_;
        std::vector<uint64_t>& strikes = *less.strikes;
        const size_t end = std::min(at + length, strikes.size());
        strikes.erase(strikes.begin() + static_cast<ptrdiff_t>(at),
                      strikes.begin() + static_cast<ptrdiff_t>(end));
        if (!Take(less)) at += length;
      }
      if (length <= 1) return;
    }
  }

  void DropFaults() {
    for (size_t i = 0; i < kFaults; ++i) {
      if (!plan_.Has(static_cast<Fault>(i))) continue;
      SimPlan less = plan_;
      less.Drop(static_cast<Fault>(i));
      Take(less);
    }
  }

  void DropSettings() {
    for (const SimSetting& setting : Settings()) {
      // Large numbers are times and rates: there or not.
      const uint64_t now = setting.get(plan_);
      const uint64_t most = now > kMaxClients ? setting.least + 1 : now;
      for (uint64_t value = setting.least; value < most; ++value) {
        SimPlan less = plan_;
        setting.set(&less, value);
        if (Take(less)) break;
      }
    }
  }

  SimPlan plan_;
  const std::string kind_;
  SimReport failed_;
  const std::function<bool()>& more_;
  bool gained_ = false;
};

}  // namespace

std::string KindOf(const std::string& problem) {
  std::string kind;
  for (const char c : problem.substr(0, problem.find('\n'))) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) kind += c;
  }
  return kind;
}

SimReport RunApart(const SimPlan& plan) {
  int ends[2];
  RL_CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  RL_CHECK(child >= 0);
  if (child == 0) {
    close(ends[0]);
    SendText(ends[1], TextOf(SimRun(plan, false).Run()));
    std::_Exit(0);
  }
  close(ends[1]);
  SimReport report = ReportOf(ReadText(ends[0]));
  close(ends[0]);
  int status = 0;
  RL_CHECK(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) report.problem = "the process ends by a signal";
  return report;
}

SimPlan Shrink(SimPlan plan, SimReport failed, const std::function<bool()>& more) {
  return Shrinker(std::move(plan), std::move(failed), more).Run();
}

std::string ArgumentsOf(const SimPlan& plan) {
  std::string text =
      "--seed " + std::to_string(plan.seed) + " --ops " + std::to_string(plan.operations);
  const SimPlan drawn = DrawPlan(plan.seed, plan.operations, 0);
  const auto join = [](const std::vector<std::string>& words) {
    std::string list;
    for (const std::string& word : words) list += (list.empty() ? "" : ",") + word;
    return list.empty() ? std::string("none") : list;
  };
  std::vector<std::string> words;
  for (const SimSetting& setting : Settings()) {
    if (setting.get(plan) == setting.get(drawn)) continue;
    words.push_back(std::string(setting.name) + "=" + std::to_string(setting.get(plan)));
  }
  if (!words.empty()) text += " --set " + join(words);
  words.clear();
  for (size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (plan.Has(fault)) words.emplace_back(NameOf(fault));
  }
  if (plan.faults != drawn.faults) text += " --only " + join(words);
  words.clear();
  if (plan.strikes) {
    for (const uint64_t strike : *plan.strikes) words.push_back(std::to_string(strike));
    text += " --strikes " + join(words);
  }
  return text;
}

}  // namespace ringleader::simulator
