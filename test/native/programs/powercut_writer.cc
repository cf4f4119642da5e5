// Works on a log and tells what the log has promised, to be recorded by
// test/powercut/io-recorder.c.
//
//   powercut_writer DIRECTORY MARKS_FILE SEED STEPS [MUTANT]
//
// The marks, one write(2) each, in the order in which they come true:
//   O      the environment has been opened once: it exists from now on
//   C      the consumer exists from now on
//   P n    the first n payloads may be found from now on
//   A n    the first n payloads are flushed
//   N n    the consumer may have given up the payloads below n
// The calls of two runs with the same arguments are the same: time and identities follow from the
// seed, and there is one thread.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/mutant.h"
#include "env/random.h"
#include "powercut_payload.h"

namespace ringleader {
namespace {

using test::EntryOf;
using test::OpenLog;
using test::PowercutPayload;
using test::SmallLog;

class SplitMix : public Random {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}

  void Fill(MutableBytes into) override {
    for (uint8_t& byte : into) byte = static_cast<uint8_t>(Next() >> 56);
  }
  uint64_t Below(uint64_t limit) { return (Next() >> 16) % limit; }

 private:
  uint64_t Next() {
    uint64_t mixed = state_ += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }

  uint64_t state_;
};

// Every look at the clock takes 2 ms, so that whatever is done once a second happens now and then.
class SteppingClock : public Clock {
 public:
  uint64_t MonotonicNanos() override { return now_ns_ += 2'000'000; }
  uint64_t WallMicros() override { return MonotonicNanos() / 1000; }

 private:
  uint64_t now_ns_ = 1'000'000'000'000;
};

class Writer {
 public:
  Writer(std::string directory, int marks, uint64_t seed)
      : directory_(std::move(directory)),
        marks_(marks),
        rng_(seed),
        identities_(seed ^ 0x1d),
        env_{PosixEnv().files,  clock_, identities_, PosixEnv().host, PosixEnv().memory,
             PosixEnv().threads} {}

  void Run(uint64_t steps) {
    log_ = OpenLog(env_, directory_, SmallLog());
    Mark("O\n");
    CHECK_OK(log_->PutConsumer({test::kPowercutConsumer, log_->Stat().start, 0, 0, false}));
    Mark("C\n");
    for (uint64_t i = 0; i < steps; ++i) Step();
    CHECK_OK(log_->Close());
    acked_ = appended_.size();
    MarkCount('A', acked_);
  }

 private:
  void Step() {
    switch (rng_.Below(16)) {
      case 0:
        CHECK_OK(log_->Tick());
        break;
      case 1:
        Advance();
        break;
      case 2:
      case 3:
        WaitFor(Level::kWritten);
        break;
      case 4:
      case 5:
      case 6:
        WaitFor(Level::kFlushed);
        break;
      case 7:
        if (rng_.Below(8) == 0) Reopen();
        break;
      default:
        Append();
        break;
    }
    NoteAcked();
  }

  void Append() {
    const std::vector<uint8_t> payload = PowercutPayload(appended_.size());
    // Before the call: making room may write a part of it.
    MarkCount('P', appended_.size() + 1);
    CHECK_VALUE(const Appended at, log_->Append(EntryOf(payload)));
    appended_.push_back(at);
  }

  void WaitFor(Level level) {
    if (!appended_.empty()) CHECK_OK(log_->WaitFor(appended_.back().end, level));
  }

  void Advance() {
    if (acked_ <= needed_ + 1) return;
    // Mostly close to the end, so that segments become free for recycling.
    needed_ = std::max(needed_, acked_ - 1 - rng_.Below(std::min<size_t>(acked_, 12)));
    MarkCount('N', needed_);
    CHECK_OK(log_->AdvanceConsumer(test::kPowercutConsumer, appended_[needed_].lsn));
  }

  void Reopen() {
    CHECK_OK(log_->Close());
    acked_ = appended_.size();
    MarkCount('A', acked_);
    log_ = OpenLog(env_, directory_, SmallLog());
  }

  // Whatever the log reports as flushed is a promise, whoever asked for it.
  void NoteAcked() {
    const size_t before = acked_;
    while (acked_ < appended_.size() && log_->Reached(appended_[acked_].end, Level::kFlushed)) {
      ++acked_;
    }
    if (acked_ > before) MarkCount('A', acked_);
  }

  void MarkCount(char kind, uint64_t count) { Mark(kind + (" " + std::to_string(count)) + "\n"); }
  void Mark(const std::string& text) {
    CHECK_EQ(write(marks_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  const std::string directory_;
  const int marks_;
  SplitMix rng_;
  SplitMix identities_;
  SteppingClock clock_;
  Env env_;
  std::unique_ptr<Log> log_;
  std::vector<Appended> appended_;
  size_t acked_ = 0;
  size_t needed_ = 0;
};

int Main(int argc, char** argv) {
  if (argc < 5 || (argc > 5 && !SelectMutant(argv[5]))) {
    std::fprintf(stderr, "usage: powercut_writer DIRECTORY MARKS_FILE SEED STEPS [MUTANT]\n");
    return 2;
  }
  const int marks = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (marks < 0) return 2;
  try {
    Writer(argv[1], marks, std::strtoull(argv[3], nullptr, 10))
        .Run(std::strtoull(argv[4], nullptr, 10));
  } catch (const test::Failure& failure) {
    std::fprintf(stderr, "%s\n", failure.text.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
