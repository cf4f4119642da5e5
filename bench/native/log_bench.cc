// What the log costs over what the disk costs: `log_bench [DIRECTORY] [ROUNDS]`.
//
// Every figure of the log stands beside the same work done bare, in the same interleaved run: one
// thread that does pwrite + fdatasync into a file filled beforehand, in groups of the size that the
// log formed itself. Disks are noisy, so the two alternate in short windows and each ratio is that
// of two neighbours; medians over all windows. Flushing: fdatasync after every group, both sides.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "log/log.h"
#include "log/segment_scanner.h"
#include "measure.h"

namespace ringleader {
namespace {

constexpr double kRunSeconds = 0.15;  // of one window
constexpr size_t kRunAppends = 64;
constexpr uint64_t kBareFileBytes = uint64_t{64} << 20;

// A log whose segments are recycled as soon as they are flushed, as under a base tree.
class Subject {
 public:
  explicit Subject(const std::string& directory) {
    log_ = Must(Log::Open(PosixEnv(), directory, LogOptions()));
    Must(log_->PutConsumer({"bench", log_->Stat().start, 0, 0, false}));
    log_->OnProgress([this] {
      calls_.fetch_add(1, std::memory_order_release);
      calls_.notify_one();
    });
  }

  // Brings the log into the state in which it stays: every segment recycled, none made new.
  void WarmUp() {
    const std::vector<uint8_t> payload(4096 - kRecordHeaderBytes);
    Entry entry;
    entry.payload = payload;
    while (log_->Stat().segments_recycled < 6) {
      for (int i = 0; i < 1024; ++i) Step(Must(log_->Append(entry)).end);
    }
  }

  void Step(Lsn end) {
    if (end - advanced_ < (uint64_t{16} << 20)) return;
    advanced_ = log_->Stat().durable;
    Must(log_->AdvanceConsumer("bench", advanced_));
  }

  // Sleeps until the service thread says that the log is flushed up to there, as JavaScript does.
  void AwaitProgress(Lsn end) {
    for (;;) {
      const uint32_t seen = calls_.load(std::memory_order_acquire);
      if (log_->Reached(end, Level::kFlushed)) return;
      calls_.wait(seen, std::memory_order_acquire);
    }
  }

  Log& log() { return *log_; }

 private:
  std::atomic<uint32_t> calls_{0};
  std::unique_ptr<Log> log_;
  Lsn advanced_;
};

struct Run {
  double records_per_s = 0;
  double mb_per_s = 0;
  double group_records = 0;
  double group_bytes = 0;
};

enum class Who { kSelf, kService };

// One thread appends and keeps `outstanding` appends in flight; it flushes them itself when it has
// to wait, or leaves that to the service thread.
Run Durable(Subject& subject, size_t size, size_t outstanding, Who who) {
  const std::vector<uint8_t> payload(size, 0x5a);
  Entry entry;
  entry.payload = payload;
  Log& log = subject.log();
  std::deque<Lsn> flying;
  uint64_t done = 0;
  const LogStat before = log.Stat();
  const double began = Now();
  while (Now() - began < kRunSeconds) {
    for (size_t run = 1; flying.size() < outstanding; ++run) {
      flying.push_back(Must(log.Append(entry)).end);
      // In runs, as a client that hands over batches does.
      const bool hand_over = run % kRunAppends == 0 || flying.size() == outstanding;
      if (who == Who::kService && hand_over) log.Request(flying.back(), Level::kFlushed);
    }
    subject.Step(flying.back());
    if (who == Who::kService) {
      subject.AwaitProgress(flying.front());
    } else {
      Must(log.WaitFor(flying.front(), Level::kFlushed));
    }
    while (!flying.empty() && log.Reached(flying.front(), Level::kFlushed)) {
      flying.pop_front();
      ++done;
    }
  }
  const double seconds = Now() - began;
  const LogStat after = log.Stat();
  const double flushes = static_cast<double>(std::max<uint64_t>(after.flushes - before.flushes, 1));
  Run run;
  run.records_per_s = static_cast<double>(done) / seconds;
  run.mb_per_s = run.records_per_s * static_cast<double>(size) / 1e6;
  run.group_records = static_cast<double>(after.records - before.records) / flushes;
  run.group_bytes = static_cast<double>(after.flushed_bytes - before.flushed_bytes) / flushes;
  return run;
}

// 1 append in flight per thread, each thread waits for its own.
Run DurableThreads(Subject& subject, size_t size, size_t threads) {
  Log& log = subject.log();
  std::atomic<uint64_t> done{0};
  const LogStat before = log.Stat();
  const double began = Now();
  std::vector<std::thread> running;
  for (size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, size] {
      const std::vector<uint8_t> payload(size, 0x5a);
      Entry entry;
      entry.payload = payload;
      while (Now() - began < kRunSeconds) {
        Must(log.WaitFor(Must(log.Append(entry)).end, Level::kFlushed));
        done.fetch_add(1, std::memory_order_relaxed);  // a count
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  const double seconds = Now() - began;
  const LogStat after = log.Stat();
  subject.Step(after.durable);
  const double flushes = static_cast<double>(std::max<uint64_t>(after.flushes - before.flushes, 1));
  Run run;
  run.records_per_s = static_cast<double>(done.load()) / seconds;
  run.group_records = static_cast<double>(after.records - before.records) / flushes;
  run.group_bytes = static_cast<double>(after.flushed_bytes - before.flushed_bytes) / flushes;
  return run;
}

// The floor: groups of that many bytes, pwrite + fdatasync, into a file filled beforehand.
double BareGroupsPerSecond(File& file, double group_bytes) {
  const uint64_t size = std::max<uint64_t>(static_cast<uint64_t>(group_bytes), 1);
  const std::vector<uint8_t> bytes(size, 0x5a);
  uint64_t at = 0, groups = 0;
  const double began = Now();
  while (Now() - began < kRunSeconds) {
    if (at + size > kBareFileBytes) at = 0;
    Must(file.WriteAt(at, bytes));
    Must(file.SyncData());
    at += size;
    ++groups;
  }
  return static_cast<double>(groups) / (Now() - began);
}

struct AppendCost {
  double cpu_us, hold_us;
};

AppendCost AppendOnly(Subject& subject, size_t size) {
  const std::vector<uint8_t> payload(size, 0x5a);
  Entry entry;
  entry.payload = payload;
  Log& log = subject.log();
  const LogStat before = log.Stat();
  constexpr int kRun = 20'000;  // fits the ring: nothing waits
  double cpu = 0;
  for (int i = 0; i < 20; ++i) {
    const double began = ThreadCpu();
    Lsn end;
    for (int k = 0; k < kRun; ++k) end = Must(log.Append(entry)).end;
    cpu += ThreadCpu() - began;
    Must(log.WaitFor(end, Level::kFlushed));
    subject.Step(end);
  }
  const LogStat after = log.Stat();
  const double samples =
      static_cast<double>(std::max<uint64_t>(after.hold_samples - before.hold_samples, 1));
  return {cpu / (20 * kRun) * 1e6,
          static_cast<double>(after.hold_ns - before.hold_ns) / samples / 1e3};
}

double ScanGbPerSecond(const std::string& directory) {
  // A segment full of 200-byte records, in the page cache.
  const std::string path = directory + "/scan";
  {
    LogOptions options;
    options.service_threads = false;
    const auto log = Must(Log::Open(PosixEnv(), path, options));
    const std::vector<uint8_t> payload(200, 0x5a);
    Entry entry;
    entry.payload = payload;
    Lsn end;
    while (end.value < kDefaultSegmentBytes) end = Must(log->Append(entry)).end;
    Must(log->WaitFor(end, Level::kFlushed));
    Must(log->Close());
  }
  const SegmentFiles files(PosixEnv(), path + "/log", kDefaultSegmentBytes);
  const auto file = Must(files.Open(Lsn(), OpenMode::kRead));
  std::vector<uint8_t> page(kSegmentPageBytes);
  Must(files.ReadPage(Lsn(), page));
  SegmentHeader header;
  std::memcpy(&header, page.data(), sizeof header);
  ChainState chain;
  chain.prev_crc = header.prev_crc;
  const double began = Now();
  SegmentScanner scanner(*file, Lsn(), kDefaultSegmentBytes, Lsn(kSegmentPageBytes), kMaxLsn,
                         chain);
  Record record;
  while (Must(scanner.Next(&record)) == SegmentScanner::Step::kRecord) {
  }
  const double seconds = Now() - began;
  std::filesystem::remove_all(path);
  return static_cast<double>(scanner.position().value) / seconds / 1e9;
}

struct Line {
  std::string name;
  std::vector<double> log, bare, group;
};

void Print(const Line& line, const char* unit) {
  std::vector<double> ratios;
  for (size_t i = 0; i < line.log.size(); ++i) ratios.push_back(line.log[i] / line.bare[i]);
  std::printf("%-42s %9.0f %9.0f %s  ratio %.2f (%.2f-%.2f)  group %.0f\n", line.name.c_str(),
              Median(line.log), Median(line.bare), unit, Median(ratios), Quantile(ratios, 0.25),
              Quantile(ratios, 0.75), Median(line.group));
}

int Main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "log-bench.tmp";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 20;
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  Subject subject(directory + "/log");
  const auto bare = Must(PosixEnv().files.Open(directory + "/bare", OpenMode::kCreateEmpty));
  const std::vector<uint8_t> zeros(uint64_t{1} << 20);
  for (uint64_t at = 0; at < kBareFileBytes; at += zeros.size()) Must(bare->WriteAt(at, zeros));
  Must(bare->SyncData());
  subject.WarmUp();

  struct Case {
    const char* name;
    size_t size, outstanding;
    Who who;
    bool threads;
  };
  const Case cases[] = {
      {"200 B, 1 outstanding", 200, 1, Who::kSelf, false},
      {"200 B, 64 outstanding, flushes itself", 200, 64, Who::kSelf, false},
      {"200 B, 64 outstanding, service thread", 200, 64, Who::kService, false},
      {"200 B, 64 threads, 1 each", 200, 64, Who::kSelf, true},
      {"200 B, 1,000 outstanding, flushes itself", 200, 1000, Who::kSelf, false},
      {"200 B, 1,000 outstanding, service thread", 200, 1000, Who::kService, false},
  };
  std::vector<Line> lines;
  for (const Case& test : cases) lines.push_back({test.name, {}, {}, {}});
  Line big{"4 KiB records, 4,000 outstanding", {}, {}, {}};
  std::vector<double> cpu, hold, scan;
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < std::size(cases); ++i) {
      const Case& test = cases[i];
      const Run run = test.threads ? DurableThreads(subject, test.size, test.outstanding)
                                   : Durable(subject, test.size, test.outstanding, test.who);
      lines[i].log.push_back(run.records_per_s);
      lines[i].group.push_back(run.group_records);
      lines[i].bare.push_back(BareGroupsPerSecond(*bare, run.group_bytes) * run.group_records);
    }
    const Run run = Durable(subject, 4096, 4000, Who::kService);
    big.log.push_back(run.mb_per_s);
    big.group.push_back(run.group_records);
    // The disk's own rate: 8 MiB at a time.
    big.bare.push_back(BareGroupsPerSecond(*bare, 8 << 20) * (8 << 20) / 1e6);
    if (round % 4 != 0) continue;
    const AppendCost cost = AppendOnly(subject, 160);
    cpu.push_back(cost.cpu_us);
    hold.push_back(cost.hold_us);
    scan.push_back(ScanGbPerSecond(directory));
  }
  std::printf("%d windows of %.2f s each, medians; fdatasync per group on both sides\n", rounds,
              kRunSeconds);
  std::printf("%-42s %9s %9s\n", "", "log", "bare");
  for (const Line& line : lines) Print(line, "/s  ");
  Print(big, "MB/s");
  std::printf("append of 160 B: %.3f us CPU; lock held %.3f us\n", Median(cpu), Median(hold));
  std::printf("recovery scan from page cache: %.2f GB/s\n", Median(scan));
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
