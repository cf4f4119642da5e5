// How the tests that step through the target program set the scene, and what they ask of a log
// after the target has been killed.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "kill_snapshot.h"
#include "kill_step.h"
#include "kill_stepper.h"

namespace ringleader::test {

// The instructions of sanitized code are not those that ship, and there are far more of them.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RINGLEADER_STEPPING
#endif

// What a process holds when it dies before the section begins.
enum class Left { kNothing, kFlusherRole, kWriterLock, kKeeperRole };

struct Section {
  const char* title;
  const char* name;       // to the target program
  bool witnessed = true;  // false: the target has the environment to itself
  bool consumer = false;  // there is one that holds everything, until the target moves it
  bool fresh = false;     // the directory is not formatted
  Left left = Left::kNothing;
};

// The ledger, in a file descriptor that the target program inherits.
class SharedLedger {
 public:
  SharedLedger() : memory_(memfd_create("kill-step", MFD_CLOEXEC)) {
    CHECK(memory_ >= 0 && ftruncate(memory_, sizeof(StepLedger)) == 0);
    at_ = mmap(nullptr, sizeof(StepLedger), PROT_READ | PROT_WRITE, MAP_SHARED, memory_, 0);
    CHECK(at_ != MAP_FAILED);
    Clear();
  }
  SharedLedger(const SharedLedger&) = delete;
  SharedLedger& operator=(const SharedLedger&) = delete;
  ~SharedLedger() {
    munmap(at_, sizeof(StepLedger));
    close(memory_);
  }

  void Clear() { new (at_) StepLedger(); }
  StepLedger& operator*() { return *std::launder(static_cast<StepLedger*>(at_)); }
  StepLedger* operator->() { return &**this; }
  int memory() const { return memory_; }

 private:
  const int memory_;
  void* at_ = nullptr;
};

// The target program at the beginning of its section.
inline SteppedProgram StartTarget(const Section& section, const std::string& directory,
                                  SharedLedger& ledger, uint64_t variant) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path program = self.parent_path() / "programs" / "kill_step_target";
  if (!std::filesystem::exists(program)) {
    Fail(__FILE__, __LINE__, program.string() + " is not built");
  }
  std::vector<std::string> command = {program.string(), section.name, directory,
                                      std::to_string(ledger.memory()), std::to_string(variant)};
#ifdef RINGLEADER_MUTANTS
  command.push_back(MutantName(g_mutant));
#endif
  ledger->section_done.store(0, std::memory_order_release);
  return SteppedProgram(command, ledger.memory());
}

// Steps until `steps` are made or the section has ended; returns how many were made.
template <typename AfterStep>
uint64_t StepThrough(SteppedProgram& target, StepLedger& ledger, uint64_t steps, AfterStep after) {
  uint64_t made = 0;
  while (made < steps && ledger.section_done.load(std::memory_order_acquire) == 0) {
    target.Step();
    after(++made);
  }
  return made;
}

// A process opens the environment, takes one of the locks in the region, and dies.
inline void DieHolding(const std::string& directory, Left left) {
  if (left == Left::kNothing) return;
  Child child([&] {
    CHECK_VALUE(const auto at, LogAttachment::Open(PosixEnv(), directory, SmallLog()));
    RegionLayout& region = **at->region;
    RobustMutex* mutex = &region.writer.mutex;
    if (left == Left::kFlusherRole) mutex = &region.flusher.role;
    if (left == Left::kKeeperRole) mutex = &region.keeper.role;
    CHECK(PosixEnv().threads.Lock(*mutex) == LockResult::kLocked);
    raise(SIGKILL);
  });
  CHECK_EQ(child.JoinKilled(), SIGKILL);
}

// An environment with what the section needs, closed in order.
inline void FormatFor(const Section& section, const std::string& directory) {
  Child child([&] {
    const auto log = OpenLog(PosixEnv(), directory, SmallLog());
    if (section.consumer) CHECK_OK(log->PutConsumer({kTrailingConsumer, Lsn(), 0, 0, false}));
    CHECK_OK(log->Close());
  });
  child.Join();
}

inline void CheckConsumers(Log& log) {
  CHECK_VALUE(const std::vector<Consumer> consumers, log.Consumers());
  for (const Consumer& consumer : consumers) {
    CHECK(consumer.name == kTrailingConsumer || consumer.name == kBrokenConsumer ||
          consumer.name == kSteppedConsumer);
    CHECK(consumer.position <= log.Stat().visible);
  }
  CHECK_OK(log.PutConsumer({"probe", log.Stat().visible, 0, 0, false}));
  CHECK_OK(log.RemoveConsumer("probe"));
}

// Everything a process must be able to do after another one has died, and what it must find.
inline void CheckLog(StepLedger& ledger, Log& log, bool consumer) {
  constexpr uint64_t kFlushBoundNs = 10'000'000'000;
  const Lsn end = AppendNoted(ledger, log, 60).end;
  CHECK_OK(log.WaitFor(end, Level::kFlushed, kFlushBoundNs));
  ReadLedger(ledger, log);
  CHECK_OK(log.Tick());
  if (consumer) CheckConsumers(log);
}

}  // namespace ringleader::test
