// A process that is killed after every single instruction of what it does to a log.
//
// A target program prepares a section, is stepped through it by ptrace and killed after N
// instructions, for every N where the section is short and for a sample where it is long. A witness
// stays attached, so the shared region lives on with whatever the dead process left in it; then the
// witness must be able to append, flush, read everything and keep house within a bounded time.
// Every few times it is killed too, and a new one has to recover from what is left.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <random>

#include "kill_step_setup.h"

#ifdef RINGLEADER_STEPPING

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kAllSteps = 1500;   // with a scale above 1, sections up to this are swept whole
constexpr uint64_t kCasesPerLog = 64;  // then a new environment, so that reading stays quick
constexpr uint64_t kRecoverOneIn = 4;  // so often nobody survives
constexpr int kPatienceMs = 30'000;    // of the test with the witness

// --- the witness ---------------------------------------------------------------------------------

// A process that stays attached and looks at the log when told to.
class Witness {
 public:
  Witness(StepLedger& ledger, const std::string& directory, bool consumer) {
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_ = ends[0];
    child_ = std::make_unique<Child>([&ledger, directory, consumer, ends] {
      close(ends[0]);
      Serve(ledger, directory, consumer, ends[1]);
    });
    close(ends[1]);
  }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() { close(ours_); }

  // Returns when the witness has found the log in order.
  void Check() { Ask('c'); }
  void Leave() {
    Ask('q');
    child_->Join();
  }
  void Kill() { child_->Kill(); }

 private:
  static void Serve(StepLedger& ledger, const std::string& directory, bool consumer, int end) {
    std::unique_ptr<Log> log;
    char command = 0;
    while (recv(end, &command, 1, 0) == 1) {
      std::string reply = "ok";
      try {
        if (log == nullptr) log = OpenLog(PosixEnv(), directory, SmallLog());
        if (command == 'c') {
          CheckLog(ledger, *log, consumer);
          ledger.repairs.store(log->Stat().writer_repairs, std::memory_order_release);
          ledger.takeovers.store(log->Stat().flusher_takeovers, std::memory_order_release);
        }
        if (command == 'q') CHECK_OK(log->Close());
      } catch (const Failure& failure) {
        reply = failure.text;
      }
      CHECK(send(end, reply.data(), reply.size(), MSG_NOSIGNAL) > 0);
      if (command == 'q') return;
    }
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

class Sweep {
 public:
  explicit Sweep(const Section& section) : section_(section) {}

  void Run(uint64_t sample) {
    const uint64_t all = Case(~uint64_t{0}, true) + 1;
    const bool whole = Scale(1) > 1 && all <= kAllSteps;
    const uint64_t cases = whole ? all : Scale(sample);
    std::mt19937_64 dice(Seed());
    for (uint64_t i = 0; i < cases; ++i) {
      Case(whole ? i : dice() % all, i % kRecoverOneIn != 0);
    }
    Leave();
    std::printf("log_step_kill: %s: %llu steps, killed %llu times; %llu repairs, %llu take-overs\n",
                section_.title, Long(all - 1), Long(cases), Long(repairs_), Long(takeovers_));
  }

 private:
  static unsigned long long Long(uint64_t value) { return value; }

  // Kills the target after `steps`, or at the section's end; returns how many it made.
  uint64_t Case(uint64_t steps, bool survive) {
    if (cases_++ % kCasesPerLog == 0 || section_.fresh) NewLog();
    uint64_t made = 0;
    try {
      DieHolding(directory_, section_.left);
      if (!section_.witnessed) KillWitness();
      SteppedProgram target = StartTarget(section_, directory_, ledger_, cases_);
      made = StepThrough(target, *ledger_, steps, [](uint64_t) {});
      target.Kill();
      if (!survive) KillWitness();
      if (!witness_) StartWitness();
      witness_->Check();
    } catch (const Failure& failure) {
      throw Failure{std::string(section_.title) + ", killed after " + std::to_string(made) +
                    " steps (case " + std::to_string(cases_) + "): " + failure.text + " " +
                    ledger_->report.data()};
    }
    return made;
  }

  void StartWitness() {
    witness_ = std::make_unique<Witness>(*ledger_, directory_, section_.consumer);
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
    takeovers_ += ledger_->takeovers.exchange(0, std::memory_order_acq_rel);
  }

  void NewLog() {
    Leave();
    ledger_.Clear();
    directory_ = scratch_ + "/" + std::to_string(logs_++);
    if (section_.fresh) return;
    FormatFor(section_, directory_);
    StartWitness();
    witness_->Check();
  }

  const Section section_;
  const OneProcessor one_processor_;
  const std::string scratch_ = MemoryDir();
  SharedLedger ledger_;
  std::string directory_;
  std::unique_ptr<Witness> witness_;
  uint64_t logs_ = 0;
  uint64_t cases_ = 0;
  uint64_t repairs_ = 0;
  uint64_t takeovers_ = 0;
};

void RunSweep(const Section& section, uint64_t sample) {
  RequirePtrace();
  Sweep(section).Run(sample);
}

// The longer a section, the fewer of its steps in the ordinary run: it is the steps that take time.
// log_step_state_test.cc looks at every state that these sections pass through.

TEST(log_step_kill, append) { RunSweep({.title = "append", .name = "append"}, 60); }

TEST(log_step_kill, append_into_the_next_segment) {
  RunSweep({.title = "append into the next segment", .name = "append_boundary"}, 30);
}

TEST(log_step_kill, append_several_records) {
  RunSweep({.title = "append several records", .name = "append_large"}, 20);
}

TEST(log_step_kill, append_more_than_the_ring) {
  RunSweep({.title = "append more than the ring", .name = "append_huge"}, 6);
}

TEST(log_step_kill, append_after_a_dead_writer) {
  RunSweep({.title = "append after a dead writer", .name = "append", .left = Left::kWriterLock},
           40);
}

TEST(log_step_kill, flush) { RunSweep({.title = "flush", .name = "flush"}, 30); }

TEST(log_step_kill, flush_after_a_dead_flusher) {
  RunSweep({.title = "flush after a dead flusher", .name = "flush", .left = Left::kFlusherRole},
           30);
}

TEST(log_step_kill, prepare_segments) {
  RunSweep({.title = "prepare segments", .name = "tick_prepare"}, 12);
}

TEST(log_step_kill, recycle_segments) {
  RunSweep({.title = "recycle segments", .name = "tick_recycle", .consumer = true}, 2);
}

TEST(log_step_kill, recycle_after_a_dead_keeper) {
  RunSweep({.title = "recycle after a dead keeper",
            .name = "tick_recycle",
            .consumer = true,
            .left = Left::kKeeperRole},
           2);
}

TEST(log_step_kill, add_a_consumer) {
  RunSweep({.title = "add a consumer", .name = "put_consumer", .consumer = true}, 2);
}

TEST(log_step_kill, take_a_broken_consumer_back) {
  RunSweep({.title = "take a broken consumer back", .name = "mend_consumer", .consumer = true}, 2);
}

TEST(log_step_kill, join) { RunSweep({.title = "join", .name = "open"}, 2); }

TEST(log_step_kill, recover) {
  RunSweep({.title = "recover", .name = "open", .witnessed = false}, 2);
}

TEST(log_step_kill, format) {
  RunSweep({.title = "format", .name = "open", .witnessed = false, .fresh = true}, 2);
}

TEST(log_step_kill, leave) { RunSweep({.title = "leave", .name = "close"}, 6); }

TEST(log_step_kill, leave_as_the_last_one) {
  RunSweep({.title = "leave as the last one", .name = "close", .witnessed = false}, 2);
}

}  // namespace
}  // namespace ringleader

#endif
