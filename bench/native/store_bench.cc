// What the store does per second and per operation: `store_bench [DIRECTORY] [CASE...]`.
//
// Cases (all of them where none is named):
//   commit    durable one-operation transactions, 1,000 outstanding; CPU of the committing thread
//   get       point reads over 1M rows with the overlay in front of the base
//   scale     updates of 10M rows against updates of 1M rows, alternating windows
//   recover   opening after power loss with two full generations to replay
//   growth    growth of the base while one view is held
// Keys of 16 bytes, values of 100, random. The rate of `commit` has the fold, the flusher and the
// keeper running beside it. Windows alternate where two things are compared; medians.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store_subject.h"

namespace ringleader {
namespace {

// Rows of the smaller data sets. RINGLEADER_BENCH_ROWS makes everything smaller, to try it out.
uint64_t Rows() {
  const char* given = std::getenv("RINGLEADER_BENCH_ROWS");
  return given ? std::strtoull(given, nullptr, 10) : 1'000'000;
}

void BenchCommit(const std::string& directory) {
  Subject subject(directory, Rows());
  subject.Load();
  std::vector<double> rates;
  std::vector<double> cpus;
  for (int round = 0; round < 7; ++round) {
    double cpu = 0;
    rates.push_back(subject.Update(2, &cpu));
    cpus.push_back(cpu);
  }
  std::printf("durable one-operation transactions, 1,000 outstanding: %.0f/s, %.2f us CPU each\n",
              Median(rates), Median(cpus));
  const StoreStat stat = subject.store().Stat();
  std::printf("  folded meanwhile: %llu rows in %llu folds, writers held up %llu times\n",
              static_cast<unsigned long long>(stat.folded_rows),
              static_cast<unsigned long long>(stat.folds),
              static_cast<unsigned long long>(stat.held_up));
}

void BenchGet(const std::string& directory) {
  StoreOptions options;
  options.max_frozen = 8;  // room for all that is written below, none of which is folded
  Subject subject(directory, Rows(), options);
  subject.Load();
  const double base = subject.GetMicros(Rows());
  subject.store().SetFoldLimit(Lsn(1));  // what is written now stays in the overlay
  subject.Update(1.0);
  const double overlay = subject.GetMicros(Rows());
  std::printf("point read, CPU: base alone %.2f us, behind the overlay %.2f us\n", base, overlay);
}

void BenchScale(const std::string& directory) {
  Subject small(directory + "-1m", Rows());
  Subject large(directory + "-10m", 10 * Rows());
  small.Load();
  large.Load();
  std::vector<double> ratios;
  std::vector<double> smalls;
  std::vector<double> larges;
  for (int round = 0; round < 10; ++round) {
    smalls.push_back(small.Update(4));
    larges.push_back(large.Update(4));
    ratios.push_back(larges.back() / smalls.back());
  }
  std::printf("updates of 10M rows against 1M rows: %.2f (%.0f/s against %.0f/s)\n", Median(ratios),
              Median(larges), Median(smalls));
}

// What power loss does to an environment's shared memory.
void ForgetSharedMemory(const std::string& path) {
  const FileInfo lock = Must(PosixEnv().files.Info(JoinPath(path, "lock")));
  std::array<char, 64> prefix;
  std::snprintf(prefix.data(), prefix.size(), "ringleader-%llx-%llx-",
                static_cast<unsigned long long>(lock.device),
                static_cast<unsigned long long>(lock.inode));
  for (const auto& file : std::filesystem::directory_iterator("/dev/shm")) {
    if (!file.path().filename().string().starts_with(prefix.data())) continue;
    std::error_code ignored;
    std::filesystem::remove(file.path(), ignored);
  }
}

// A child fills two generations and dies; its shared memory is thrown away, as power loss does.
void BenchRecover(const std::string& directory) {
  std::vector<double> times;
  for (int round = 0; round < 5; ++round) {
    const std::string path = directory + "-" + std::to_string(round);
    const pid_t child = fork();
    if (child == 0) {
      StoreOptions options;
      options.fold_limit = Lsn(1);
      Subject subject(path, Rows(), options);
      subject.Use();
      const uint64_t full = 2 * options.generation_bytes;
      while (subject.store().Stat().overlay_used_bytes < full * 9 / 10 &&
             subject.store().Stat().generations <= options.max_frozen) {
        subject.Update(0.05);
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ForgetSharedMemory(path);
    const double began = Now();
    const auto store = Must(Store::Open(PosixEnv(), path, StoreOptions()));
    times.push_back(Now() - began);
    const StoreStat stat = store->Stat();
    std::printf("  opened in %.2f s, %llu transactions replayed, %llu MB of overlay\n",
                times.back(), static_cast<unsigned long long>(stat.replayed_records),
                static_cast<unsigned long long>(stat.overlay_used_bytes >> 20));
  }
  std::printf("recovery: %.2f s\n", Median(times));
}

void BenchGrowth(const std::string& directory) {
  Subject subject(directory, Rows());
  subject.Load();
  Must(subject.store().Fold());
  const uint64_t before = subject.store().Stat().base.file_bytes;
  const std::unique_ptr<View> view = subject.store().NewView();
  Must(view->Renew());
  const uint64_t commits_before = subject.store().Stat().commits;
  subject.Update(10);
  Must(subject.store().Fold());
  const uint64_t commits = subject.store().Stat().commits - commits_before;
  const uint64_t after = subject.store().Stat().base.file_bytes;
  std::printf("growth of the base under a view held: %.0f bytes per operation (%llu operations)\n",
              static_cast<double>(after - before) / static_cast<double>(commits),
              static_cast<unsigned long long>(commits));
}

struct Case {
  const char* name;
  void (*run)(const std::string& directory);
};
constexpr Case kCases[] = {{"commit", BenchCommit},
                           {"get", BenchGet},
                           {"scale", BenchScale},
                           {"recover", BenchRecover},
                           {"growth", BenchGrowth}};

int Main(int argc, char** argv) {
  const std::string directory = MakeDirectory(argc > 1 ? argv[1] : nullptr);
  for (const Case& one : kCases) {
    const bool wanted = argc < 3 || std::any_of(argv + 2, argv + argc, [&](const char* name) {
                          return std::strcmp(name, one.name) == 0;
                        });
    if (!wanted) continue;
    std::fflush(stdout);
    one.run(directory + "/" + one.name);
  }
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
