// Does one thing to a log, to be killed in the middle of it.
//
//   kill_step_target SECTION DIRECTORY LEDGER_FD VARIANT [MUTANT]
//
// Prepares what the section needs, stops itself, and when it is continued runs the section: that is
// the part that the test steps through (log_step_kill_test.cc). Nothing is closed in order. The
// variant, any number, shifts sizes and places.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "base/mutant.h"
#include "kill_step.h"

namespace ringleader {
namespace {

using test::AppendNoted;
using test::kBrokenConsumer;
using test::kSteppedConsumer;
using test::kTrailingConsumer;
using test::NotedAppend;
using test::OpenLog;
using test::SmallLog;
using test::StepLedger;

class Target {
 public:
  Target(StepLedger& ledger, std::string directory, uint64_t variant)
      : ledger_(ledger), directory_(std::move(directory)), variant_(variant) {}

  // kNotFound where there is no such section.
  Status Run(const std::string& section) {
    const std::map<std::string, void (Target::*)()> sections = {
        {"append", &Target::Append},
        {"append_boundary", &Target::AppendBoundary},
        {"append_large", &Target::AppendLarge},
        {"append_huge", &Target::AppendHuge},
        {"flush", &Target::Flush},
        {"tick_prepare", &Target::TickPrepare},
        {"tick_recycle", &Target::TickRecycle},
        {"put_consumer", &Target::PutConsumer},
        {"mend_consumer", &Target::MendConsumer},
        {"open", &Target::OpenOnly},
        {"close", &Target::Close},
    };
    const auto found = sections.find(section);
    if (found == sections.end()) return Status(Code::kNotFound, "no section " + section);
    (this->*found->second)();
    return Status::Ok();
  }

 private:
  // Stops, runs `section` and tells that it came to the end.
  void Step(const std::function<Status()>& section) {
    kill(getpid(), SIGSTOP);
    const Status status = section();
    ledger_.section_done.store(1, std::memory_order_release);
    CHECK_OK(status);
  }

  void StepAppend(size_t size) {
    NotedAppend noted(ledger_, size);
    const Entry entry = noted.entry();
    Step([&] { return log_->Append(entry).status(); });
    noted.Ack();
  }

  void Open() { log_ = OpenLog(PosixEnv(), directory_, SmallLog()); }
  Appended AppendSome(size_t size) { return AppendNoted(ledger_, *log_, size); }

  // Brings the end of the log to `left` bytes before the end of a segment.
  void FillSegment(uint64_t left) {
    for (;;) {
      const uint64_t used = log_->Stat().tail.value % kMinSegmentBytes;
      const uint64_t room = used == 0 ? 0 : kMinSegmentBytes - used;
      if (room == left) return;
      const uint64_t gap = room > left ? room - left : 0;
      const uint64_t smallest = kRecordHeaderBytes + sizeof(uint64_t);
      uint64_t record = gap >= 4096 + smallest ? 4096 : gap;
      if (gap < smallest) record = 256;  // too near to be hit: on to the next segment
      AppendSome(record - kRecordHeaderBytes);
      CHECK_OK(log_->Tick());
    }
  }

  void Append() {
    Open();
    StepAppend(64 + variant_ % 128);
  }
  void AppendBoundary() {
    Open();
    FillSegment(variant_ % 9 * 8);
    StepAppend(200);
  }
  void AppendLarge() {
    Open();
    StepAppend(20'000 + variant_ % 4096);
  }
  void AppendHuge() {  // drains the ring while it holds the writer lock
    Open();
    StepAppend(100'000 + variant_ % 4096);
  }
  void Flush() {
    Open();
    AppendSome(variant_ % 3000 + 8);
    const Lsn end = AppendSome(100).end;
    Step([&] { return log_->WaitFor(end, Level::kFlushed); });
  }

  // Until there is less prepared than there should be.
  Lsn AppendSegment() {
    Lsn end;
    for (int i = 0; i < 9; ++i) end = AppendSome(8000).end;
    return end;
  }
  void TickPrepare() {
    Open();
    AppendSegment();
    Step([&] { return log_->Tick(); });
  }
  void TickRecycle() {
    Open();
    const Lsn end = AppendSegment();
    CHECK_OK(log_->WaitFor(end, Level::kFlushed));
    ledger_.released.store(ledger_.appends.load(std::memory_order_acquire),
                           std::memory_order_release);
    CHECK_OK(log_->AdvanceConsumer(kTrailingConsumer, end));
    Step([&] { return log_->Tick(); });
  }
  void PutConsumer() {
    Open();
    const Consumer consumer{kSteppedConsumer, log_->Stat().durable, variant_ << 20, 0, false};
    Step([&] { return log_->PutConsumer(consumer); });
  }
  void MendConsumer() {
    Open();
    CHECK_OK(log_->PutConsumer({kBrokenConsumer, log_->Stat().start, 1, 0, false}));
    const Lsn end = AppendSome(100).end;
    CHECK_OK(log_->WaitFor(end, Level::kFlushed));
    CHECK_OK(log_->Tick());
    CHECK_CODE(log_->AdvanceConsumer(kBrokenConsumer, end), Code::kTrimmed);
    Step([&] { return log_->PutConsumer({kBrokenConsumer, end, 0, 0, false}); });
  }

  void OpenOnly() {
    LogOptions options = SmallLog();
    Step([&] {
      auto opened = Log::Open(PosixEnv(), directory_, options);
      if (opened.ok()) log_ = std::move(opened).value();
      return opened.status();
    });
  }
  void Close() {
    Open();
    AppendSome(variant_ % 5000 + 8);
    Step([&] { return log_->Close(); });
  }

  StepLedger& ledger_;
  const std::string directory_;
  const uint64_t variant_;
  std::unique_ptr<Log> log_;
};

int Main(int argc, char** argv) {
  if (argc < 5 || (argc > 5 && !SelectMutant(argv[5]))) {
    std::fprintf(stderr, "usage: kill_step_target SECTION DIRECTORY LEDGER_FD VARIANT [MUTANT]\n");
    return 2;
  }
  void* memory =
      mmap(nullptr, sizeof(StepLedger), PROT_READ | PROT_WRITE, MAP_SHARED, std::atoi(argv[3]), 0);
  if (memory == MAP_FAILED) return 2;
  auto& ledger = *static_cast<StepLedger*>(memory);
  try {
    Target target(ledger, argv[2], std::strtoull(argv[4], nullptr, 10));
    const Status status = target.Run(argv[1]);
    if (!status.ok()) throw test::Failure{status.ToString()};
    _exit(0);
  } catch (const test::Failure& failure) {
    std::strncpy(ledger.report.data(), failure.text.c_str(), ledger.report.size() - 1);
    _exit(1);
  }
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
