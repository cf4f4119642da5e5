#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutant.h"
#include "harness.h"
#include "temp_dirs.h"

// Exists in programs with a sanitizer.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace ringleader::test {

std::vector<TestCase>& AllTests() {
  static std::vector<TestCase> tests;
  return tests;
}

namespace {
constexpr size_t kTimesShown = 25;

uint64_t g_seed = 1;
TempDirs* g_temp_dirs = nullptr;

// The test that runs, for OnDeath, and the process that runs it: children have an end of their own.
const TestCase* g_running = nullptr;
pid_t g_process = 0;

// Says in which test the program dies. May be called anywhere.
void OnDeath() {
  const TestCase* test = g_running;
  if (!test || getpid() != g_process) return;
  for (const char* text : {"FAILED ", test->suite, ".", test->name, ": the program dies in it\n"}) {
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
  }
}

// Deadly this time: see SA_RESETHAND.
void OnSignal(int number) {
  OnDeath();
  raise(number);
}

// Sanitizers have their own way to end a program; what they do about a signal stays as it is.
void WatchForDeath() {
  g_process = getpid();
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(&OnDeath);
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTERM}) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action.sa_handler = &OnSignal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(number, &action, nullptr);
  }
}

enum class Outcome { kPassed, kFailed, kSkipped };

// What tests have taken, for --times.
struct Taken {
  std::string name;
  double seconds = 0;
  double cpu_seconds = 0;
};

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Of this process and of its children that have ended.
double CpuSeconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage = {};
    getrusage(who, &usage);
    sum += SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime);
  }
  return sum;
}

void PrintTimes(std::vector<Taken> all) {
  std::sort(all.begin(), all.end(),
            [](const Taken& left, const Taken& right) { return left.seconds > right.seconds; });
  double seconds = 0, cpu_seconds = 0;
  for (const Taken& one : all) {
    seconds += one.seconds;
    cpu_seconds += one.cpu_seconds;
  }
  std::printf("%8s %8s\n%8.2f %8.2f all\n", "seconds", "cpu", seconds, cpu_seconds);
  all.resize(std::min<size_t>(all.size(), kTimesShown));
  for (const Taken& one : all) {
    std::printf("%8.2f %8.2f %s\n", one.seconds, one.cpu_seconds, one.name.c_str());
  }
}

Outcome RunOne(const TestCase& test) {
  std::string what;
  g_running = &test;
  try {
    test.run();
    g_temp_dirs->Drop(true);
    return Outcome::kPassed;
  } catch (const Failure& failure) {
    what = failure.text;
  } catch (const Skip& skip) {
    g_temp_dirs->Drop(true);
    std::printf("skipped %s.%s: %s\n", test.suite, test.name, skip.reason.c_str());
    return Outcome::kSkipped;
  } catch (const std::exception& error) {
    what = std::string("exception: ") + error.what();
  }
  std::printf("FAILED %s.%s (seed %llu)\n    %s\n", test.suite, test.name,
              static_cast<unsigned long long>(g_seed), what.c_str());
  g_temp_dirs->Drop(false);
  return Outcome::kFailed;
}

bool Wanted(const TestCase& test, const std::vector<std::string>& filters,
            const std::vector<std::string>& unwanted) {
  const std::string full = std::string(test.suite) + "." + test.name;
  for (const std::string& filter : unwanted) {
    if (full.find(filter) != std::string::npos) return false;
  }
  if (filters.empty()) return true;
  for (const std::string& filter : filters) {
    if (full.find(filter) != std::string::npos) return true;
  }
  return false;
}
}  // namespace

uint64_t Seed() { return g_seed; }

uint64_t Scale(uint64_t count) {
  const char* scale = std::getenv("RINGLEADER_TEST_SCALE");
  const double factor = scale ? std::strtod(scale, nullptr) : 1;
  const double scaled = static_cast<double>(count) * factor;
  return scaled < 1 ? 1 : static_cast<uint64_t>(scaled);
}

std::string TempDir() { return g_temp_dirs->Make(std::filesystem::temp_directory_path().string()); }

std::string MemoryDir() {
  return access("/dev/shm", W_OK) == 0 ? g_temp_dirs->Make("/dev/shm") : TempDir();
}

namespace {
struct Request {
  std::vector<std::string> filters;
  std::vector<std::string> unwanted;
  bool list = false;
  bool times = false;
  unsigned shard = 0;  // of `shards`, which take the tests in turn
  unsigned shards = 1;
};

// The value of an argument `name`VALUE, or nullptr.
const char* ValueOf(const char* argument, std::string_view name) {
  return std::string_view(argument).starts_with(name) ? argument + name.size() : nullptr;
}

// False, having said why, when the arguments are no request.
bool Read(int argc, char** argv, Request* request) {
  for (int i = 1; i < argc; ++i) {
    const char* argument = argv[i];
    if (std::strcmp(argument, "--list") == 0) {
      request->list = true;
    } else if (std::strcmp(argument, "--times") == 0) {
      request->times = true;
    } else if (const char* name = ValueOf(argument, "--without=")) {
      request->unwanted.push_back(name);
    } else if (const char* seed = ValueOf(argument, "--seed=")) {
      g_seed = std::strtoull(seed, nullptr, 0);
    } else if (const char* shard = ValueOf(argument, "--shard=")) {
      const int read = std::sscanf(shard, "%u/%u", &request->shard, &request->shards);
      if (read != 2 || request->shard < 1 || request->shard > request->shards) {
        std::fprintf(stderr, "not 1/2 or the like: %s\n", argument);
        return false;
      }
      --request->shard;
    } else if (const char* mutant = ValueOf(argument, "--mutant=")) {
      if (!SelectMutant(mutant)) {
        std::fprintf(stderr, "no such mutant in this build: %s\n", mutant);
        return false;
      }
    } else {
      request->filters.push_back(argument);
    }
  }
  return true;
}

std::vector<TestCase> Chosen(const Request& request) {
  std::vector<TestCase> chosen;
  unsigned number = 0;
  for (const TestCase& test : AllTests()) {
    if (!Wanted(test, request.filters, request.unwanted)) continue;
    if (number++ % request.shards == request.shard) chosen.push_back(test);
  }
  return chosen;
}

std::string FullName(const TestCase& test) { return std::string(test.suite) + "." + test.name; }
}  // namespace

int Main(int argc, char** argv) {
  Request request;
  if (!Read(argc, argv, &request)) return 2;
  const std::vector<TestCase> tests = Chosen(request);
  if (request.list) {
    for (const TestCase& test : tests) std::printf("%s\n", FullName(test).c_str());
    return 0;
  }
  TempDirs temp_dirs;
  g_temp_dirs = &temp_dirs;
  int counts[3] = {};
  std::vector<Taken> taken;
  WatchForDeath();
  for (const TestCase& test : tests) {
    const auto start = std::chrono::steady_clock::now();
    const double cpu_start = CpuSeconds();
    ++counts[static_cast<int>(RunOne(test))];
    g_running = nullptr;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    taken.push_back({FullName(test), seconds.count(), CpuSeconds() - cpu_start});
    std::fflush(stdout);
  }
  if (request.times) PrintTimes(std::move(taken));
  const auto [passed, failed, skipped] = counts;
  std::printf("%d passed, %d failed", passed, failed);
  if (skipped > 0) std::printf(", %d skipped", skipped);
  std::printf("\n");
  std::fflush(stdout);  // a leak report at exit would swallow it
  return failed > 0 || passed + skipped == 0 ? 1 : 0;
}

}  // namespace ringleader::test

int main(int argc, char** argv) { return ringleader::test::Main(argc, argv); }
