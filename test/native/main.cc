#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include "base/mutant.h"
#include "harness.h"
#include "temp_dirs.h"

namespace ringleader::test {

std::vector<TestCase>& AllTests() {
  static std::vector<TestCase> tests;
  return tests;
}

namespace {
uint64_t g_seed = 1;
TempDirs* g_temp_dirs = nullptr;

enum class Outcome { kPassed, kFailed, kSkipped };

Outcome RunOne(const TestCase& test) {
  std::string what;
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

int Main(int argc, char** argv) {
  std::vector<std::string> filters, unwanted;
  bool list = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--list") == 0) {
      list = true;
    } else if (std::strncmp(argv[i], "--without=", 10) == 0) {
      unwanted.push_back(argv[i] + 10);
    } else if (std::strncmp(argv[i], "--seed=", 7) == 0) {
      g_seed = std::strtoull(argv[i] + 7, nullptr, 0);
    } else if (std::strncmp(argv[i], "--mutant=", 9) == 0) {
      if (!SelectMutant(argv[i] + 9)) {
        std::fprintf(stderr, "no such mutant in this build: %s\n", argv[i] + 9);
        return 2;
      }
    } else {
      filters.push_back(argv[i]);
    }
  }
  TempDirs temp_dirs;
  g_temp_dirs = &temp_dirs;
  int passed = 0, failed = 0, skipped = 0;
  for (const TestCase& test : AllTests()) {
    if (!Wanted(test, filters, unwanted)) continue;
    if (list) {
      std::printf("%s.%s\n", test.suite, test.name);
      continue;
    }
    switch (RunOne(test)) {
      case Outcome::kPassed:
        ++passed;
        break;
      case Outcome::kFailed:
        ++failed;
        break;
      case Outcome::kSkipped:
        ++skipped;
        break;
    }
    std::fflush(stdout);
  }
  if (list) return 0;
  if (skipped > 0) {
    std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  } else {
    std::printf("%d passed, %d failed\n", passed, failed);
  }
  std::fflush(stdout);  // a leak report at exit would swallow it
  return failed > 0 || passed + skipped == 0 ? 1 : 0;
}

}  // namespace ringleader::test

int main(int argc, char** argv) { return ringleader::test::Main(argc, argv); }
