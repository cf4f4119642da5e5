// The gate in front of a group member's writers: what it lets in, what it survives, and that there
// is no way round it for any process.
#include <atomic>
#include <thread>

#include "child_process.h"
#include "env/sim/sim_env.h"
#include "ship_fixture.h"

namespace ringleader {
namespace {

using namespace test;

const Id128 kGroup{4, 5, 6};

Code AppendCode(Log& log, size_t size, Term term = Term()) {
  const auto payload = Payload(1, size);
  Entry entry = EntryOf(payload);
  entry.term = term;
  return log.Append(entry).status().code();
}

// Has everything wait, or refuses it.
class Unwilling : public WriterHook {
 public:
  Admission Admit(size_t, Lsn, Entry&) override { return says; }
  Status Insert(Lsn, const Entry&) override { return Status::Ok(); }
  Status Redo(Lsn, const Entry&) override { return Status::Ok(); }
  void Mend() override {}

  Admission says = Admission::kStop;
};

// A record of the group's own that cannot be appended is none, and says so.
TEST(log_gate, what_a_primary_cannot_write_is_told) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  Unwilling hook;
  auto log = OpenMember(env, "member", kGroup);
  HoldAll(*log);
  const auto configuration = Payload(1, 300);
  const auto stays_shut = [&](const Status& status, Code code) {
    CHECK_CODE(status, code);
    CHECK(status.fate() == Fate::kNone);
    CHECK(log->gate().state == GateState::kClosed);
  };
  stays_shut(log->AppendConfiguration(Term(1), configuration).status(), Code::kNotPrimary);
  // A hook that has it wait, or refuses it.
  log->SetHook(&hook);
  stays_shut(log->AppendTerm({Term(1), 8, 2}).status(), Code::kBusy);
  hook.says = Admission::kRefuse;
  stays_shut(log->AppendTerm({Term(1), 8, 2}).status(), Code::kInvalidArgument);
  CHECK_EQ(log->Stat().tail.value, 0u);
  log->SetHook(nullptr);
  Lead(*log);
  CHECK_CODE(log->AppendConfiguration(Term(2), configuration).status(), Code::kInvalidArgument);
  CHECK_CODE(log->AppendConfiguration(Term(0), configuration).status(), Code::kInvalidArgument);
  const auto large = Payload(2, kPieceBytes + 1);
  CHECK_CODE(log->AppendConfiguration(Term(1), large).status(), Code::kTooLarge);
  CHECK_VALUE(const Appended at, log->AppendConfiguration(Term(1), configuration));
  CHECK_VALUE(const GroupScan scan, log->ScanGroup());
  CHECK_EQ(scan.configurations.size(), 1u);
  CHECK(scan.configurations[0].end == at.end && scan.configurations[0].payload == configuration);
  // No room on the disk: neither a configuration nor a reign.
  world.disk().SetCapacity(world.disk().used_bytes());
  Status full;
  while (full.ok()) full = log->AppendConfiguration(Term(1), configuration).status();
  CHECK_CODE(full, Code::kNoSpace);
  CHECK(full.fate() == Fate::kNone);
  CHECK_OK(log->SetGate(Gate::Closed(GateReason::kReplica)).status());
  Status shut = Status::Ok();
  for (uint32_t term = 2; shut.ok(); ++term) {
    shut = log->AppendTerm({Term(term), 8, 2}).status();
    if (shut.ok()) CHECK_OK(log->SetGate(Gate::Closed(GateReason::kReplica)).status());
  }
  stays_shut(shut, Code::kNoSpace);
  world.disk().SetCapacity(UINT64_MAX);
  CHECK_OK(log->Close());
  CHECK_CODE(log->AppendConfiguration(Term(1), configuration).status(), Code::kClosed);
  CHECK_CODE(log->AppendTerm({Term(2), 8, 2}).status(), Code::kClosed);
}

TEST(log_gate, lets_in_whom_it_should) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  const auto log = OpenMember(env, "member", kGroup);
  const auto other = OpenMember(env, "member", kGroup);
  CHECK(other->gate() == Gate::Closed(GateReason::kStarting));
  const auto payload = Payload(1, 100);
  Appended at;
  const auto refused = log->Append(EntryOf(payload));
  CHECK_CODE(refused.status(), Code::kNotPrimary);
  CHECK(refused.status().fate() == Fate::kNone);
  const Entry entry = EntryOf(payload);
  CHECK_CODE(log->TryAppend({&entry, 1}, {&at, 1}).status(), Code::kNotPrimary);
  CHECK_EQ(AppendCode(*log, 3 * kPieceBytes), Code::kNotPrimary);
  CHECK_EQ(other->Stat().tail.value, 0u);
  // A reign begins, for all processes.
  CHECK_CODE(log->AppendTerm({Term(0), 1, 1}).status(), Code::kInvalidArgument);
  CHECK_VALUE(const Appended term, log->AppendTerm({Term(3), 8, 2}));
  CHECK_EQ(term.lsn.value, kSegmentPageBytes);
  CHECK(other->gate() == Gate::Open(Term(3)));
  CHECK_EQ(AppendCode(*other, 100), Code::kOk);
  CHECK_EQ(AppendCode(*other, 3 * kPieceBytes), Code::kOk);
  CHECK_EQ(AppendCode(*other, 100, Term(3)), Code::kOk);
  CHECK_EQ(AppendCode(*other, 100, Term(4)), Code::kInvalidArgument);
  Entry later = entry;
  later.term = Term(4);
  const Entry both[] = {entry, later};
  Appended places[2];
  CHECK_VALUE(const size_t appended, other->TryAppend(both, places));
  CHECK_EQ(appended, 1u);
  for (const Stored& stored : ReadAll(*log)) CHECK_EQ(stored.term.value, 3u);
  // Records are not shipped to a primary, and no reign begins in another.
  const ShippedAppend shipped = log->AppendRecords(log->Stat().tail, payload);
  CHECK_CODE(shipped.status, Code::kInvalidArgument);
  CHECK_CODE(log->AppendTerm({Term(4), 8, 2}).status(), Code::kInvalidArgument);
  // Handing over, and giving that up.
  CHECK_VALUE(const Lsn tail, log->SetGate(Gate::Closed(GateReason::kHandOver)));
  CHECK_EQ(tail.value, other->Stat().tail.value);
  CHECK_EQ(AppendCode(*other, 100), Code::kNotPrimary);
  CHECK_CODE(other->SetGate(Gate::Open(Term(4))).status(), Code::kInvalidArgument);
  CHECK_OK(other->SetGate(Gate::Open(Term(3))).status());
  CHECK_EQ(AppendCode(*log, 100), Code::kOk);
  // No term twice, and none below.
  CHECK_OK(log->SetGate(Gate::Closed(GateReason::kReplica)).status());
  CHECK_CODE(log->AppendTerm({Term(3), 8, 2}).status(), Code::kInvalidArgument);
  CHECK_CODE(log->AppendTerm({Term(2), 8, 2}).status(), Code::kInvalidArgument);
  CHECK_OK(log->AppendTerm({Term(7), 9, 2}).status());
  CHECK_VALUE(const GroupScan scan, other->ScanGroup());
  CHECK_EQ(scan.terms.size(), 2u);
  CHECK(scan.terms[1].term == (TermRecord{Term(7), 9, 2}));
  CHECK_OK(log->Close());
  CHECK_OK(other->Close());
}

TEST(log_gate, is_free_without_a_group_and_closed_after_a_restart) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  auto log = OpenLog(env, "env", SmallLog());
  CHECK(log->gate() == Gate::Free());
  AppendOne(*log, 1, 100);
  CHECK_CODE(log->AppendTerm({Term(1), 1, 1}).status(), Code::kInvalidArgument);
  CHECK_CODE(log->AppendRecords(log->Stat().tail, {}).status, Code::kInvalidArgument);
  // It joins a group, and leads.
  CHECK_OK(HardStateFile::Create(env, "env"));
  CHECK_CODE(HardStateFile::Create(env, "env"), Code::kExists);
  Lead(*log);
  AppendOne(*log, 2, 100);
  CHECK_OK(log->Close());
  log = OpenLog(env, "env", SmallLog());
  CHECK(log->gate() == Gate::Closed(GateReason::kStarting));
  CHECK_EQ(AppendCode(*log, 100), Code::kNotPrimary);
  CHECK_EQ(ReadAll(*log).size(), 3u);
  CHECK_OK(log->Close());
  CHECK_CODE(log->SetGate(Gate::Free()).status(), Code::kClosed);
  CHECK_CODE(log->AppendTerm({Term(9), 1, 1}).status(), Code::kClosed);
  CHECK_CODE(log->AppendRecords(Lsn(), {}).status, Code::kClosed);
}

TEST(log_gate, a_damaged_word_keeps_everybody_out) {
  for (const Gate& gate : {Gate::Free(), Gate::Open(Term(9)), Gate::Closed(GateReason::kReplica)}) {
    CHECK(GateOf(GateWord(gate)) == gate);
  }
  CHECK(GateOf(3) == Gate::Closed(GateReason::kStarting));
  CHECK(GateOf(uint64_t{1} << 20) == Gate::Closed(GateReason::kStarting));
  CHECK(GateOf(uint64_t{9} << 8 | 2) == Gate::Closed(GateReason::kStarting));
}

// Writers in other processes, one of which is killed now and then wherever it is. While the gate is
// closed the log does not grow behind the end that closing it told; while it is open, it does.
TEST(log_gate, holds_writers_of_all_processes) {
  SkipUnderThreadSanitizer();
  const std::string directory = TempDir();
  auto log = OpenMember(PosixEnv(), directory, kGroup);
  const auto writer = [&](uint64_t seed) {
    return std::make_unique<Child>([&directory, seed] {
      const auto mine = OpenLog(PosixEnv(), directory, SmallLog());
      SimRng rng(seed);
      for (;;) {
        const auto payload = Payload(seed, rng.Below(20) == 0 ? 4 * kPieceBytes : rng.Below(500));
        const Entry entry = EntryOf(payload);
        Appended at;
        const Status status = rng.Below(2) == 0 ? mine->Append(entry).status()
                                                : mine->TryAppend({&entry, 1}, {&at, 1}).status();
        CHECK(status.ok() || status.code() == Code::kNotPrimary ||
              status.code() == Code::kTooLarge);
      }
    });
  };
  std::vector<std::unique_ptr<Child>> writers;
  for (uint64_t i = 0; i < 3; ++i) writers.push_back(writer(i));
  SimRng rng(Seed());
  uint64_t grown = 0, killed = 0;
  for (uint64_t round = 0; round < Scale(120); ++round) {
    const Appended term = Lead(*log);
    const Lsn opened = log->Stat().tail;
    usleep(static_cast<useconds_t>(200 + rng.Below(2000)));
    if (rng.Below(4) == 0) {
      const size_t victim = rng.Below(writers.size());
      writers[victim]->Kill();
      writers[victim] = writer(100 + round);
      ++killed;
    }
    if (rng.Below(3) == 0) {
      // Whoever opens and closes the gate may die too: the word is as it was.
      Child primary([&] {
        const auto mine = OpenLog(PosixEnv(), directory, SmallLog());
        CHECK_OK(mine->SetGate(Gate::Closed(GateReason::kHandOver)).status());
        raise(SIGKILL);
      });
      CHECK_EQ(primary.JoinKilled(), SIGKILL);
      CHECK(log->gate() == Gate::Closed(GateReason::kHandOver));
    }
    CHECK_VALUE(const Lsn end, log->SetGate(Gate::Closed(GateReason::kReplica)));
    grown += end > opened ? 1 : 0;
    usleep(static_cast<useconds_t>(rng.Below(2000)));
    CHECK_EQ(log->Stat().tail.value, end.value);
    CHECK(term.end <= end);
  }
  CHECK(grown > 5);
  for (const auto& child : writers) CHECK(child->alive());
  for (const auto& child : writers) child->Kill();
  const size_t found = ReadAll(*log).size();
  const uint64_t mended = log->Stat().writer_repairs;
  CHECK_OK(log->Close());
  log = OpenMember(PosixEnv(), directory, kGroup);
  CHECK_EQ(ReadAll(*log).size(), found);
  std::printf("log_gate: %llu rounds grew, %llu writers killed, %llu locks mended\n",
              static_cast<unsigned long long>(grown), static_cast<unsigned long long>(killed),
              static_cast<unsigned long long>(mended));
}

// --- deaths in the writer section ----------------------------------------------------------------

// Dies when the transaction that it waits for counts and is not inserted.
class Deadly : public Recorder {
 public:
  explicit Deadly(size_t insertions) : left_(insertions) {}
  Status Insert(Lsn, const Entry&) override {
    if (left_-- == 0) raise(SIGKILL);
    return Status::Ok();
  }

 private:
  size_t left_;
};

TEST(log_gate, whoever_begins_a_reign_may_die_before_the_gate_opens) {
  SkipUnderThreadSanitizer();
  const std::string directory = TempDir();
  Recorder recorder;
  const auto log = OpenMember(PosixEnv(), directory, kGroup);
  log->SetHook(&recorder);
  Child primary([&] {
    Deadly deadly(0);
    const auto mine = OpenLog(PosixEnv(), directory, SmallLog());
    mine->SetHook(&deadly);
    CHECK_OK(mine->AppendTerm({Term(5), 1, 1}).status());
  });
  CHECK_EQ(primary.JoinKilled(), SIGKILL);
  CHECK(log->gate() == Gate::Closed(GateReason::kStarting));
  CHECK_EQ(AppendCode(*log, 10), Code::kNotPrimary);  // after it has mended the lock
  CHECK_EQ(recorder.redone, 1u);
  CHECK_EQ(log->Stat().term.value, 5u);
  CHECK_CODE(log->AppendTerm({Term(5), 1, 1}).status(), Code::kInvalidArgument);
  CHECK_OK(log->AppendTerm({Term(6), 1, 1}).status());
}

// A replica's appender dies in the middle of a shipment. What counts is inserted by the next one,
// transactions of several records too, whose pieces came earlier, before a restart even.
TEST(log_gate, whoever_appends_shipped_records_may_die) {
  SkipUnderThreadSanitizer();
  const std::string from = TempDir();
  const auto primary = OpenMember(PosixEnv(), from, kGroup);
  HoldAll(*primary);
  Lead(*primary);
  SimRng rng(Seed());
  for (uint64_t i = 0; i < 12; ++i) {
    AppendOne(*primary, i, i % 3 == 2 ? (2 + rng.Below(9)) * kPieceBytes : rng.Below(900));
  }
  const std::vector<Stored> all = ReadAll(*primary);
  for (size_t deadly_at = 0; deadly_at < all.size(); ++deadly_at) {
    const std::string directory = TempDir();
    Recorder recorder;
    auto replica = OpenMember(PosixEnv(), directory, kGroup);
    HoldAll(*replica);
    const Stored& victim = all[deadly_at];
    // Up to its middle, and through a restart.
    Recorder before;
    Ship(*primary, *replica, rng, Lsn(victim.lsn.value + (victim.end - victim.lsn) / 2), &before);
    CHECK_EQ(before.seen.size(), deadly_at);
    CHECK_OK(replica->Close());
    replica = OpenMember(PosixEnv(), directory, kGroup);
    replica->SetHook(&recorder);
    Child appender([&] {
      const auto mine = OpenLog(PosixEnv(), directory, SmallLog());
      Deadly deadly(0);
      Ship(*primary, *mine, rng, kMaxLsn, &deadly);
    });
    CHECK_EQ(appender.JoinKilled(), SIGKILL);
    Ship(*primary, *replica, rng);
    CHECK_EQ(recorder.redone, 1u);
    CHECK_EQ(recorder.seen.size(), all.size() - deadly_at);
    for (size_t i = deadly_at; i < all.size(); ++i) {
      CHECK(recorder.seen[i - deadly_at].end == all[i].end);
      CHECK(recorder.seen[i - deadly_at].payload == all[i].payload);
    }
    CHECK(SameTransactions(ReadAll(*replica), all));
  }
}

}  // namespace
}  // namespace ringleader
