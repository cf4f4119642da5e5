// A process that is killed after a chosen instruction of what it does to a store.
//
// As log_step_kill_test.cc: a target program prepares a section and is killed in the middle of it,
// a witness that stays attached must be able to go on within a bounded time and finds every
// transaction whole. Every few times it is killed too, and a new one has to recover.
//
// Short sections are stepped through from their beginning. Long ones (folds, openings, closings are
// hundreds of thousands of instructions) are run to one of their system calls and stepped on from
// there: what a death can break is around them.
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>
#include <random>

#include "base/mutant.h"
#include "kill_step_setup.h"
#include "store_dying.h"
#include "store_step.h"
#include "temp_dirs.h"

#ifdef RINGLEADER_STEPPING

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kAllSteps = 6000;  // with a scale above 1, sections up to this are swept whole
constexpr uint64_t kCasesPerStore = 40;
constexpr uint64_t kRecoverOneIn = 4;
constexpr uint64_t kStepsBetweenCalls = 600;
constexpr int kPatienceMs = 60'000;

struct StoreSection {
  const char* title;
  const char* name;
  bool witnessed = true;  // false: the target has the environment to itself
  bool pending = false;   // a dead process has left transactions to be inserted
  bool fresh = false;     // the directory is not formatted
  bool by_calls = false;
  bool rolls_back = false;  // a death may end the environment, and leaves one of two ends
};

class StepMemory {
 public:
  StepMemory() : memory_(memfd_create("store-step", MFD_CLOEXEC)) {
    CHECK(memory_ >= 0 && ftruncate(memory_, sizeof(StoreStepLedger)) == 0);
    at_ = mmap(nullptr, sizeof(StoreStepLedger), PROT_READ | PROT_WRITE, MAP_SHARED, memory_, 0);
    CHECK(at_ != MAP_FAILED);
    Clear();
  }
  StepMemory(const StepMemory&) = delete;
  StepMemory& operator=(const StepMemory&) = delete;
  ~StepMemory() {
    munmap(at_, sizeof(StoreStepLedger));
    close(memory_);
  }

  void Clear() { new (at_) StoreStepLedger(); }
  StoreStepLedger& operator*() { return *std::launder(static_cast<StoreStepLedger*>(at_)); }
  StoreStepLedger* operator->() { return &**this; }
  int memory() const { return memory_; }

 private:
  const int memory_;
  void* at_ = nullptr;
};

// --- the witness ---------------------------------------------------------------------------------

// A process that stays attached and looks at the store when told to.
class StoreWitness {
 public:
  StoreWitness(StoreStepLedger& ledger, const std::string& directory) {
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_ = ends[0];
    child_ = std::make_unique<Child>([&ledger, directory, ends] {
      close(ends[0]);
      Serve(ledger, directory, ends[1]);
    });
    close(ends[1]);
  }
  StoreWitness(const StoreWitness&) = delete;
  StoreWitness& operator=(const StoreWitness&) = delete;
  ~StoreWitness() { close(ours_); }

  void Check(bool fold) { Ask(fold ? 'f' : 'c'); }
  void Leave() {
    Ask('q');
    child_->Join();
  }
  void Kill() { child_->Kill(); }

 private:
  static void Serve(StoreStepLedger& ledger, const std::string& directory, int end) {
    std::unique_ptr<Store> store;
    char command = 0;
    while (recv(end, &command, 1, 0) == 1) {
      std::string reply = "ok";
      try {
        if (store == nullptr) store = OpenStore(directory);
        if (command != 'q') {
          ComeBack(ledger, directory, store);
          CheckStore(ledger, *store, command == 'f');
          ledger.repairs.store(store->Stat().log.writer_repairs, std::memory_order_release);
        } else {
          CHECK_OK(store->Close());
        }
      } catch (const Failure& failure) {
        reply = failure.text;
      }
      CHECK(send(end, reply.data(), reply.size(), MSG_NOSIGNAL) > 0);
      if (command == 'q') return;
    }
  }

  // A death in the middle of a roll-back ends the environment: whoever is there opens it again.
  static void ComeBack(StoreStepLedger& ledger, const std::string& directory,
                       std::unique_ptr<Store>& store) {
    const Status whole = store->log().InSection([](Lsn) { return Status::Ok(); });
    if (whole.ok()) return;
    CHECK_CODE(whole, Code::kFailed);
    CHECK_CODE(store->Close(), Code::kFailed);
    store.reset();
    store = OpenStore(directory);
    ledger.ends.fetch_add(1, std::memory_order_acq_rel);
  }

  void Ask(char command) {
    CHECK_EQ(send(ours_, &command, 1, MSG_NOSIGNAL), 1);
    pollfd wait{ours_, POLLIN, 0};
    if (poll(&wait, 1, kPatienceMs) != 1) Fail(__FILE__, __LINE__, "the witness hangs");
    std::array<char, 2048> reply;
    const ssize_t size = recv(ours_, reply.data(), reply.size(), 0);
    if (size <= 0) Fail(__FILE__, __LINE__, "the witness has died");
    const std::string text(reply.data(), static_cast<size_t>(size));
    if (text != "ok") Fail(__FILE__, __LINE__, "the witness: " + text);
  }

  std::unique_ptr<Child> child_;
  int ours_ = -1;
};

// --- the sweep -----------------------------------------------------------------------------------

// Where the target dies: so many stops at system calls, then so many instructions on.
struct Place {
  uint64_t calls = 0;
  uint64_t steps = 0;
};
constexpr Place kEnd{~uint64_t{0}, 0};

class StoreSweep {
 public:
  explicit StoreSweep(const StoreSection& section) : section_(section) {}

  void Run(uint64_t sample) {
    std::mt19937_64 dice(Seed());
    const Place all = Case(section_.by_calls ? kEnd : Place{0, ~uint64_t{0}}, true);
    const uint64_t places = (section_.by_calls ? all.calls : all.steps) + 1;
    const bool whole = !section_.by_calls && Scale(1) > 1 && places <= kAllSteps;
    const uint64_t cases = whole ? places : Scale(sample);
    for (uint64_t i = 0; i < cases; ++i) {
      Place place{0, whole ? i : dice() % places};
      if (section_.by_calls) place = {dice() % places, dice() % kStepsBetweenCalls};
      Case(place, i % kRecoverOneIn != 0);
    }
    Leave();
    std::printf("store_step_kill: %s: %llu %s, killed %llu times; %llu repairs\n", section_.title,
                Long(places - 1), section_.by_calls ? "stops at system calls" : "steps",
                Long(cases), Long(repairs_));
    if (!section_.rolls_back) return;
    std::printf("store_step_kill: %llu of them ended the environment, %llu left the old end\n",
                Long(ends_), Long(there_));
    CHECK(there_ < cases_);
  }

  ~StoreSweep() { Drop(); }

 private:
  static unsigned long long Long(uint64_t value) { return value; }

  // Kills the target at a place, or at the section's end; returns how far it came.
  Place Case(const Place& place, bool survive) {
    if (cases_++ % kCasesPerStore == 0 || section_.fresh) NewStore();
    Place made;
    try {
      if (section_.pending) LeavePending();
      if (!section_.witnessed) KillWitness();
      SteppedProgram target = Start();
      for (; made.calls < place.calls && !Done(); ++made.calls) RunToCall(target);
      for (; made.steps < place.steps && !Done(); ++made.steps) target.Step();
      target.Kill();
      if (!survive) KillWitness();
      if (!witness_) witness_ = std::make_unique<StoreWitness>(*ledger_, directory_);
      const uint64_t ends = ledger_->ends.load(std::memory_order_acquire);
      witness_->Check(cases_ % 3 == 0);
      if (section_.rolls_back) {
        there_ += CheckTogether(*ledger_) ? 1 : 0;
      } else {
        CHECK_EQ(ledger_->ends.load(std::memory_order_acquire), ends);
      }
    } catch (const Failure& failure) {
      throw Failure{std::string(section_.title) + ", killed " + std::to_string(made.steps) +
                    " steps after system call " + std::to_string(made.calls) + " (case " +
                    std::to_string(cases_) + "): " + failure.text + " " + ledger_->report.data()};
    }
    return made;
  }

  bool Done() { return ledger_->section_done.load(std::memory_order_acquire) != 0; }

  // Two transactions that count, the first of them inserted.
  void LeavePending() {
    std::vector<std::vector<uint8_t>> payloads;
    const StepDatabases databases = databases_;
    for (const size_t size : {size_t{40}, size_t{70 + cases_ % 900}}) {
      payloads.push_back(NotedTransaction(*ledger_, databases, size).payload());
    }
    DieInserting(directory_, payloads, cases_ % 2);
  }

  SteppedProgram Start() {
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
    const std::filesystem::path program = self.parent_path() / "programs" / "store_step_target";
    if (!std::filesystem::exists(program)) {
      Fail(__FILE__, __LINE__, program.string() + " is not built");
    }
    std::vector<std::string> command = {program.string(), section_.name, directory_,
                                        std::to_string(ledger_.memory()), std::to_string(cases_)};
#ifdef RINGLEADER_MUTANTS
    command.push_back(MutantName(g_mutant));
#endif
    ledger_->section_done.store(0, std::memory_order_release);
    return SteppedProgram(command, ledger_.memory());
  }

  // To the next beginning or end of a system call.
  void RunToCall(SteppedProgram& target) {
    siginfo_t info{};
    const int wanted = WSTOPPED | WEXITED | WNOWAIT;
    if (ptrace(PTRACE_SYSCALL, target.pid(), nullptr, nullptr) != 0 ||
        waitid(P_PID, static_cast<id_t>(target.pid()), &info, wanted) != 0 ||
        info.si_code != CLD_TRAPPED) {
      Fail(__FILE__, __LINE__, "the program has ended by itself");
    }
  }

  void KillWitness() {
    if (!witness_) return;
    TakeCounts();
    witness_->Kill();
    witness_.reset();
  }
  void Leave() {
    if (!witness_) return;
    TakeCounts();
    witness_->Leave();
    witness_.reset();
  }
  void TakeCounts() {
    repairs_ += ledger_->repairs.exchange(0, std::memory_order_acq_rel);
    ends_ += ledger_->ends.exchange(0, std::memory_order_acq_rel);
  }

  void Drop() {
    if (!directory_.empty()) RemoveTempDir(directory_);
  }

  void NewStore() {
    Leave();
    Drop();
    ledger_.Clear();
    directory_ = scratch_ + "/" + std::to_string(stores_++);
    if (section_.fresh) return;
    witness_ = std::make_unique<StoreWitness>(*ledger_, directory_);
    witness_->Check(false);
  }

  const StoreSection section_;
  const OneProcessor one_processor_;
  const std::string scratch_ = MemoryDir();
  StepMemory ledger_;
  const StepDatabases databases_{1, 2};  // of a new store
  std::string directory_;
  std::unique_ptr<StoreWitness> witness_;
  uint64_t stores_ = 0;
  uint64_t cases_ = 0;
  uint64_t repairs_ = 0;
  uint64_t ends_ = 0;
  uint64_t there_ = 0;  // roll-backs that never happened
};

void RunSweep(const StoreSection& section, uint64_t sample) {
  RequirePtrace();
  StoreSweep(section).Run(sample);
}

TEST(store_step_kill, commit) { RunSweep({.title = "commit", .name = "commit"}, 40); }

TEST(store_step_kill, commit_several) {
  RunSweep({.title = "commit several", .name = "batch"}, 16);
}

TEST(store_step_kill, commit_of_several_records) {
  RunSweep({.title = "commit of several records", .name = "commit_huge", .by_calls = true}, 12);
}

TEST(store_step_kill, commit_into_the_next_generation) {
  RunSweep({.title = "commit into the next generation", .name = "rotate"}, 12);
}

TEST(store_step_kill, commit_after_a_dead_writer) {
  RunSweep({.title = "commit after a dead writer", .name = "commit", .pending = true}, 25);
}

TEST(store_step_kill, drop_a_database) {
  RunSweep({.title = "drop a database", .name = "catalogue"}, 12);
}

TEST(store_step_kill, fold) { RunSweep({.title = "fold", .name = "fold", .by_calls = true}, 60); }

TEST(store_step_kill, fold_after_a_dead_writer) {
  RunSweep({.title = "fold after a dead writer", .name = "fold", .pending = true, .by_calls = true},
           15);
}

TEST(store_step_kill, roll_back) {
  RunSweep({.title = "roll back", .name = "rollback", .by_calls = true, .rolls_back = true}, 60);
}

TEST(store_step_kill, join) { RunSweep({.title = "join", .name = "open", .by_calls = true}, 20); }

TEST(store_step_kill, recover) {
  RunSweep({.title = "recover", .name = "open", .witnessed = false, .by_calls = true}, 25);
}

TEST(store_step_kill, format) {
  RunSweep({.title = "format", .name = "open", .witnessed = false, .fresh = true, .by_calls = true},
           20);
}

TEST(store_step_kill, leave) {
  RunSweep({.title = "leave", .name = "close", .by_calls = true}, 15);
}

TEST(store_step_kill, leave_as_the_last_one) {
  RunSweep(
      {.title = "leave as the last one", .name = "close", .witnessed = false, .by_calls = true},
      25);
}

}  // namespace
}  // namespace ringleader

#endif
