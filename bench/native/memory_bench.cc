// Point reads of a store five times larger than the memory that it may use:
// `memory_bench [DIRECTORY] [ROWS]`; 5M rows unless said otherwise.
//
// A child loads the store; another one, in a control group with a memory limit (page cache
// included), reads random rows from one thread, and in alternating windows random 4 KiB pieces of
// the file of the base from one thread. Half the rate of the disk means two pages read for a row.
// Needs to be allowed to make a control group; says so where it is not.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store_subject.h"

namespace ringleader {
namespace {

constexpr uint64_t kTimesLarger = 5;
constexpr size_t kPieceBytes = 4096;
constexpr int kRounds = 7;
constexpr double kWindowSeconds = 2;

bool WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// A control group with a memory limit, version 1 or 2; removed at the end.
class MemoryGroup {
 public:
  static std::optional<MemoryGroup> Make(uint64_t bytes) {
    const std::string name = "/ringleader-bench-" + std::to_string(getpid());
    const std::string limit = std::to_string(bytes);
    MemoryGroup first("/sys/fs/cgroup/memory" + name);
    if (mkdir(first.path_.c_str(), 0755) == 0) {
      if (WriteText(first.path_ + "/memory.limit_in_bytes", limit)) return first;
      first.Remove();
    }
    MemoryGroup second("/sys/fs/cgroup" + name);
    if (mkdir(second.path_.c_str(), 0755) == 0) {
      WriteText(second.path_ + "/memory.swap.max", "0");  // not there without swap
      if (WriteText(second.path_ + "/memory.max", limit)) return second;
      second.Remove();
    }
    return std::nullopt;
  }

  bool Enter() const { return WriteText(path_ + "/cgroup.procs", std::to_string(getpid())); }
  void Remove() const { rmdir(path_.c_str()); }

 private:
  explicit MemoryGroup(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

int RunChild(const std::function<int()>& work) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const int code = work();
    std::fflush(stdout);
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  std::fprintf(stderr, "bench: a child was killed; the limit is too small for so few rows\n");
  return 1;
}

class RawFile {
 public:
  explicit RawFile(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)),
        pieces_(std::filesystem::file_size(path) / kPieceBytes) {
    posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);
  }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;
  ~RawFile() { close(fd_); }

  // Takes what is clean out of the page cache.
  void Forget() const { posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED); }

  double ReadsPerSecond() {
    std::array<uint8_t, kPieceBytes> piece;
    uint64_t reads = 0;
    const double began = Now();
    for (; Now() - began < kWindowSeconds; ++reads) {
      const auto at = static_cast<off_t>(random_.Below(pieces_) * kPieceBytes);
      if (pread(fd_, piece.data(), piece.size(), at) != kPieceBytes) {
        Must(Status(Code::kIo, "the file of the base cannot be read"));
      }
    }
    return static_cast<double>(reads) / (Now() - began);
  }

 private:
  const int fd_;
  const uint64_t pieces_;
  RandomNumbers random_{7};
};

double RowsPerSecond(Subject& subject) {
  const std::unique_ptr<View> view = subject.store().NewView();
  constexpr uint64_t kAtOnce = 16;
  uint64_t reads = 0;
  const double began = Now();
  for (; Now() - began < kWindowSeconds; reads += kAtOnce) subject.Get(*view, kAtOnce);
  return static_cast<double>(reads) / (Now() - began);
}

int Measure(const std::string& path, const std::string& base, uint64_t rows) {
  Subject subject(path, rows);
  subject.Use();
  RawFile raw(base);
  RowsPerSecond(subject);  // what fits into memory gets there
  std::vector<double> row_rates, raw_rates, ratios;
  for (int round = 0; round < kRounds; ++round) {
    raw_rates.push_back(raw.ReadsPerSecond());
    row_rates.push_back(RowsPerSecond(subject));
    ratios.push_back(row_rates.back() / raw_rates.back());
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("random rows %.0f/s, random 4 KiB of the file %.0f/s: ratio %.2f (%.2f-%.2f)\n",
              Median(row_rates), Median(raw_rates), Median(ratios), *least, *most);
  return 0;
}

// Loads, and leaves nothing of it in memory.
int Load(const std::string& path, const std::string& base, uint64_t rows) {
  {
    Subject subject(path, rows);
    subject.Load();
    Must(subject.store().Close());
  }
  RawFile(base).Forget();
  return 0;
}

int MeasureLimited(const std::string& path, const std::string& base, uint64_t rows) {
  const uint64_t file_bytes = std::filesystem::file_size(base);
  const uint64_t limit = file_bytes / kTimesLarger;
  const std::optional<MemoryGroup> group = MemoryGroup::Make(limit);
  if (!group) {
    std::printf("left out: no control group with a memory limit can be made here\n");
    return 0;
  }
  std::printf("%llu rows, %llu MiB of base, %llu MiB of memory\n",
              static_cast<unsigned long long>(rows),
              static_cast<unsigned long long>(file_bytes >> 20),
              static_cast<unsigned long long>(limit >> 20));
  const int code = RunChild([&] {
    if (group->Enter()) return Measure(path, base, rows);
    std::printf("left out: the control group cannot be entered\n");
    return 0;
  });
  group->Remove();
  return code;
}

int Main(int argc, char** argv) {
  const std::string directory = MakeDirectory(argc > 1 ? argv[1] : nullptr);
  const uint64_t rows = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 5'000'000;
  const std::string path = directory + "/store";
  const std::string base = path + "/base/data.mdb";
  int code = RunChild([&] { return Load(path, base, rows); });
  if (code == 0) code = MeasureLimited(path, base, rows);
  std::filesystem::remove_all(directory);
  return code;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
