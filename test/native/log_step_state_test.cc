// Every state that a process passes through while it does something to a log, taken for the one in
// which it died.
//
// The target program is stepped through a section once. Whenever an instruction has changed a file
// or the shared region, both are copied as the death of the target at this point would leave them.
// Two things must then be possible, in copies of their own: another attached process goes on, and
// a process that finds nobody attached recovers. Killing at random may miss a gap of one
// instruction; this cannot. log_step_kill_test.cc kills for real, where the kernel has a part.
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <random>

#include "kill_step_setup.h"

#ifdef RINGLEADER_STEPPING

namespace ringleader {
namespace {

using namespace test;

// Copying into the ring passes through many states that differ in bytes nobody looks at yet: of
// those a share is enough.
constexpr uint64_t kRingStatesOneIn = 16;
constexpr unsigned kPatienceSeconds = 30;

class StateSweep {
 public:
  explicit StateSweep(const Section& section) : section_(section), dice_(Seed()) {}

  void Run() {
    directory_ = scratch_ + "/log";
    if (!section_.fresh) FormatFor(section_, directory_);
    if (section_.fresh) std::filesystem::create_directory(directory_);
    std::unique_ptr<Child> bystander;
    if (section_.witnessed) bystander = StartBystander();
    DieHolding(directory_, section_.left);
    for (uint64_t pass = 0; pass < Scale(1); ++pass) Pass(pass);
    if (bystander) bystander->Kill();
    CHECK(looked_at_ > 0);
    std::printf("log_step_state: %s: %llu steps, %llu states, %llu of them looked at\n",
                section_.title, Long(steps_), Long(states_), Long(looked_at_));
  }

 private:
  static unsigned long long Long(uint64_t value) { return value; }

  // Somebody who stays attached and does nothing.
  std::unique_ptr<Child> StartBystander() {
    int ready[2];
    CHECK_EQ(pipe(ready), 0);
    auto child = std::make_unique<Child>([this, ready] {
      const auto log = OpenLog(PosixEnv(), directory_, SmallLog());
      CHECK_EQ(write(ready[1], "r", 1), 1);
      for (;;) pause();
    });
    close(ready[1]);
    char byte;
    const ssize_t got = read(ready[0], &byte, 1);
    close(ready[0]);
    if (got != 1) child->Join();
    CHECK_EQ(got, 1);
    return child;
  }

  void Pass(uint64_t variant) {
    SteppedProgram target = StartTarget(section_, directory_, ledger_, variant);
    ChangeWatch watch(directory_);
    const auto look = [&](uint64_t step) {
      const ChangeWatch::Change change = watch.Look();
      if (change == ChangeWatch::Change::kNone) return;
      ++states_;
      if (change == ChangeWatch::Change::kRingOnly && dice_() % kRingStatesOneIn != 0) return;
      ++looked_at_;
      CheckState(watch, target.pid(), step);
    };
    steps_ += StepThrough(target, *ledger_, ~uint64_t{0}, look);
    target.Kill();
  }

  void CheckState(const ChangeWatch& watch, pid_t dead, uint64_t step) {
    for (const bool alone : {false, true}) {
      if (!alone && !section_.witnessed) continue;
      const Snapshot copy(directory_, scratch_ + "/copy", watch.region(), dead);
      Child child([&] {
        alarm(kPatienceSeconds);
        Live(copy.directory(), alone);
      });
      try {
        child.Join();
      } catch (const Failure& failure) {
        throw Failure{std::string(section_.title) + ", dead after " + std::to_string(step) +
                      " steps, " + (alone ? "recovered: " : "survived: ") + failure.text};
      }
    }
  }

  // On a copy of the ledger: what comes of an append is another matter in every state.
  void Live(const std::string& directory, bool alone) {
    const auto ledger = std::make_unique<StepLedger>();
    std::memcpy(static_cast<void*>(ledger.get()), &*ledger_, sizeof *ledger);
    std::unique_ptr<File> attached;
    if (!alone) {  // byte 1 of the lock file: see log_attachment.h
      CHECK_VALUE(attached, PosixEnv().files.Open(directory + "/lock", OpenMode::kReadWrite));
      CHECK_OK(attached->Lock(1, false));
    }
    const auto log = OpenLog(PosixEnv(), directory, SmallLog());
    CHECK_EQ(log->Stat().recovery_ns != 0, alone);
    CheckLog(*ledger, *log, section_.consumer);
    CHECK_OK(log->Verify().status());
    CHECK_OK(log->Close());
  }

  const Section section_;
  std::mt19937_64 dice_;
  const OneProcessor one_processor_;
  const std::string scratch_ = MemoryDir();
  SharedLedger ledger_;
  std::string directory_;
  uint64_t steps_ = 0;
  uint64_t states_ = 0;
  uint64_t looked_at_ = 0;
};

void RunSweep(const Section& section) {
#ifndef __GLIBC__
  throw Skip{"what a dead owner's mutex looks like is known of the GNU C library only"};
#endif
  RequirePtrace();
  StateSweep(section).Run();
}

TEST(log_step_state, append) { RunSweep({.title = "append", .name = "append"}); }

TEST(log_step_state, append_into_the_next_segment) {
  RunSweep({.title = "append into the next segment", .name = "append_boundary"});
}

TEST(log_step_state, append_several_records) {
  RunSweep({.title = "append several records", .name = "append_large"});
}

TEST(log_step_state, append_more_than_the_ring) {
  RunSweep({.title = "append more than the ring", .name = "append_huge"});
}

TEST(log_step_state, append_after_a_dead_writer) {
  RunSweep({.title = "append after a dead writer", .name = "append", .left = Left::kWriterLock});
}

TEST(log_step_state, flush) { RunSweep({.title = "flush", .name = "flush"}); }

TEST(log_step_state, flush_after_a_dead_flusher) {
  RunSweep({.title = "flush after a dead flusher", .name = "flush", .left = Left::kFlusherRole});
}

TEST(log_step_state, prepare_segments) {
  RunSweep({.title = "prepare segments", .name = "tick_prepare"});
}

TEST(log_step_state, recycle_segments) {
  RunSweep({.title = "recycle segments", .name = "tick_recycle", .consumer = true});
}

TEST(log_step_state, add_a_consumer) {
  RunSweep({.title = "add a consumer", .name = "put_consumer", .consumer = true});
}

TEST(log_step_state, take_a_broken_consumer_back) {
  RunSweep({.title = "take a broken consumer back", .name = "mend_consumer", .consumer = true});
}

TEST(log_step_state, format) {
  RunSweep({.title = "format", .name = "open", .witnessed = false, .fresh = true});
}

TEST(log_step_state, leave) { RunSweep({.title = "leave", .name = "close"}); }

TEST(log_step_state, leave_as_the_last_one) {
  RunSweep({.title = "leave as the last one", .name = "close", .witnessed = false});
}

}  // namespace
}  // namespace ringleader

#endif
