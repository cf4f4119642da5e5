// Roll-backs of the log: what stays, what goes, who is told; power cuts at every point of one, and
// the death of the process that rolls back.
#include <algorithm>
#include <atomic>

#include "child_process.h"
#include "concurrent.h"
#include "env/sim/sim_env.h"
#include "log_fixture.h"

namespace ringleader {
namespace {

using namespace test;

constexpr char kDirectory[] = "env";

std::vector<Appended> AppendSome(Log& log, uint64_t first, size_t count, size_t size) {
  std::vector<Appended> appended;
  for (size_t i = 0; i < count; ++i) appended.push_back(AppendOne(log, first + i, size));
  return appended;
}

uint64_t NumberOf(const Stored& stored) { return LoadLe<uint64_t>(stored.payload.data()); }

TEST(log_rollback, the_log_goes_on_from_there) {
  const std::string directory = TempDir();
  auto log = OpenLog(PosixEnv(), directory, SmallLog());
  const auto first = AppendSome(*log, 0, 100, 2000);  // several segments
  for (const size_t left : {80u, 33u, 32u, 1u}) {
    const Lsn to = first[left - 1].end;
    CHECK_OK(log->RollBack(to));
    for (const Level level : {Level::kMemory, Level::kWritten, Level::kFlushed}) {
      CHECK_EQ(log->End(level).value, to.value);
    }
    CHECK_EQ(ReadAll(*log).size(), left);
    // The same position once more, for something else.
    const Appended again = AppendOne(*log, 1000 + left, 500);
    CHECK(again.history > first[left].history);
    const std::vector<Stored> all = ReadAll(*log);
    CHECK_EQ(all.size(), left + 1);
    CHECK_EQ(NumberOf(all.back()), 1000 + left);
    CHECK_OK(log->Close());
    log = OpenLog(PosixEnv(), directory, SmallLog());
    CHECK_EQ(ReadAll(*log).size(), left + 1);
    CHECK_VALUE(const uint64_t checked, log->Verify());
    CHECK_EQ(checked, left + 1);
  }
}

TEST(log_rollback, only_to_ends_of_transactions) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  const auto small = AppendSome(*log, 0, 3, 100);
  const Appended large = AppendOne(*log, 3, 3 * MaxRecordPayload(kMinSegmentBytes));
  const Lsn tail = log->Stat().tail;
  const auto code = [&](uint64_t to) { return log->RollBack(Lsn(to)).code(); };
  CHECK_EQ(code(small[1].end.value + 8), Code::kInvalidArgument);
  CHECK_EQ(code(small[1].end.value - 1), Code::kInvalidArgument);
  CHECK_EQ(code(tail.value + 8), Code::kInvalidArgument);
  CHECK_EQ(code(100), Code::kInvalidArgument);  // inside the header page
  // The end of a piece of a transaction is no end of one.
  const uint64_t piece = RecordBytes(MaxRecordPayload(kMinSegmentBytes));
  CHECK_EQ(code(large.lsn.value + piece), Code::kInvalidArgument);
  CHECK_EQ(log->Stat().tail.value, tail.value);
  CHECK_EQ(log->History(), 0u);
  CHECK_OK(log->RollBack(tail));  // nothing to do
  CHECK_EQ(log->History(), 0u);
  CHECK_OK(log->RollBack(small[1].end));
  CHECK_EQ(log->History(), 1u);
  CHECK_OK(log->RollBack(Lsn()));
  CHECK_EQ(ReadAll(*log).size(), 0u);
  AppendOne(*log, 9, 100);
  CHECK_EQ(ReadAll(*log).size(), 1u);
  CHECK_OK(log->Close());
  CHECK_EQ(log->RollBack(Lsn()).code(), Code::kClosed);
}

TEST(log_rollback, waiters_and_consumers_are_told) {
  const std::string directory = TempDir();
  const auto log = OpenLog(PosixEnv(), directory, SmallLog());
  const auto other = OpenLog(PosixEnv(), directory, SmallLog());
  const auto all = AppendSome(*other, 0, 60, 2000);
  CHECK_OK(other->PutConsumer({"near", all[9].end, 0, 0, false}));
  CHECK_OK(other->PutConsumer({"far", all[50].end, 0, 0, false}));
  CHECK_OK(other->WaitFor(all[59], Level::kFlushed));
  CHECK_OK(log->RollBack(all[19].end));
  CHECK_OK(other->WaitFor(all[19], Level::kFlushed));
  CHECK_EQ(other->WaitFor(all[20], Level::kFlushed).code(), Code::kRolledBack);
  CHECK(other->RolledBack(all[20].end, all[20].history));
  CHECK(!other->RolledBack(all[19].end, all[19].history));
  // Still so when others have taken the positions; these have not been rolled back.
  const auto later = AppendSome(*other, 100, 60, 2000);
  CHECK_OK(other->WaitFor(later.back(), Level::kFlushed));
  CHECK_EQ(log->WaitFor(all[20], Level::kFlushed).code(), Code::kRolledBack);
  CHECK(!log->RolledBack(later[0].end, later[0].history));
  CHECK_VALUE(const std::vector<Consumer> consumers, other->Consumers());
  CHECK_EQ(consumers.size(), 2u);
  for (const Consumer& consumer : consumers) {
    CHECK(!consumer.broken);
    CHECK_EQ(consumer.position.value, all[consumer.name == "near" ? 9 : 19].end.value);
  }
}

// Readers in another process's place: below the end they go on with the new history, above it they
// say so, and what they had read ahead is never handed out.
TEST(log_rollback, readers_follow) {
  const std::string directory = TempDir();
  const auto log = OpenLog(PosixEnv(), directory, SmallLog());
  const auto other = OpenLog(PosixEnv(), directory, SmallLog());
  const auto all = AppendSome(*log, 0, 60, 2000);
  const auto take = [&](size_t count) {
    auto reader = other->Read(Lsn());
    for (size_t i = 0; i < count; ++i) {
      CHECK_VALUE(const std::optional<LogEntry> entry, reader->Next());
      CHECK(entry && entry->lsn == all[i].lsn);
    }
    return reader;
  };
  const auto below = take(10), at = take(20), above = take(21), far = take(60);
  CHECK_OK(log->RollBack(all[19].end));
  const auto fresh = AppendSome(*log, 100, 40, 1000);
  for (const auto* reader : {&below, &at}) {
    std::vector<uint64_t> numbers;
    for (;;) {
      CHECK_VALUE(const std::optional<LogEntry> entry, (*reader)->Next());
      if (!entry) break;
      numbers.push_back(LoadLe<uint64_t>(entry->payload.data()));
    }
    const size_t old = reader == &below ? 10 : 0;
    CHECK_EQ(numbers.size(), old + 40);
    for (size_t i = 0; i < numbers.size(); ++i) {
      CHECK_EQ(numbers[i], i < old ? 10 + i : 100 + i - old);
    }
  }
  for (const auto* reader : {&above, &far}) {
    for (int i = 0; i < 2; ++i) CHECK_EQ((*reader)->Next().status().code(), Code::kRolledBack);
  }
  // The flusher of the other one had a file open that is no more.
  AppendSome(*other, 200, 30, 2000);
  CHECK_OK(other->WaitFor(other->Stat().tail, Level::kFlushed));
  CHECK_EQ(ReadAll(*log).size(), 90u);
}

TEST(log_rollback, the_archive_forgets) {
  const std::string directory = TempDir();
  LogOptions options = SmallLog();
  options.archive = TempDir();
  options.service_threads = true;
  const auto log = OpenLog(PosixEnv(), directory, options);
  CHECK_OK(log->PutConsumer({"all", Lsn(), 0, 0, false}));
  const auto all = AppendSome(*log, 0, 200, 2000);
  CHECK_OK(log->WaitFor(all.back(), Level::kFlushed));
  const auto archived = [&] {
    CHECK_VALUE(const std::vector<std::string> names, PosixEnv().files.List(options.archive));
    std::vector<Lsn> starts;
    for (const std::string& name : names) {
      if (const auto start = ParseSegmentName(name)) starts.push_back(*start);
    }
    return starts;
  };
  const uint64_t closed = log->Stat().tail.value / kMinSegmentBytes;
  AWAIT(archived().size() >= closed);
  CHECK_EQ(archived().size(), closed);
  CHECK_OK(log->RollBack(all[70].end));
  const Lsn kept = SegmentStart(all[70].end, kMinSegmentBytes);
  for (const Lsn start : archived()) CHECK(start < kept);
  CHECK_VALUE(const std::vector<Consumer> consumers, log->Consumers());
  for (const Consumer& consumer : consumers) {
    if (consumer.name == kArchiveConsumer) CHECK_EQ(consumer.position.value, kept.value);
  }
}

// --- deaths -------------------------------------------------------------------------------------

class Deadly : public RollBackHook {
 public:
  explicit Deadly(int call) : call_(call) {}
  void Begin() override { Pass(); }
  void Finish(Lsn) override { Pass(); }

 private:
  void Pass() {
    if (--call_ == 0) raise(SIGKILL);
  }
  int call_;
};

// A witness stays attached while another process dies somewhere in a roll-back. It either goes on
// with one of the two ends, or the environment has ended; what recovery then finds is one of the
// two.
TEST(log_rollback, a_death_leaves_one_of_two_ends) {
  constexpr size_t kAll = 60, kLeft = 25;
  size_t ended = 0, completed = 0;
  for (uint64_t round = 0; round < 2 + Scale(16); ++round) {
    const std::string directory = TempDir();
    auto witness = OpenLog(PosixEnv(), directory, SmallLog());
    const auto all = AppendSome(*witness, 0, kAll, 2000);
    SharedValue<std::atomic<bool>> begins;
    Child child([&] {
      const auto log = OpenLog(PosixEnv(), directory, SmallLog());
      Deadly hook(round < 2 ? static_cast<int>(round) + 1 : 0);
      begins->store(true, std::memory_order_release);
      CHECK_OK(log->RollBack(all[kLeft - 1].end, &hook));
      pause();
    });
    if (round < 2) {
      CHECK_EQ(child.JoinKilled(), SIGKILL);
    } else {
      while (!begins->load(std::memory_order_acquire)) usleep(20);
      usleep(static_cast<useconds_t>((round * 7919) % 6000));
      child.Kill();
    }
    const auto payload = Payload(5000, 300);
    const auto appended = witness->Append(EntryOf(payload));
    size_t more = appended.ok() ? 1 : 0;
    if (!appended.ok()) {
      CHECK_EQ(appended.status().code(), Code::kFailed);
      CHECK_EQ(witness->Read(Lsn())->Next().status().code(), Code::kFailed);
      CHECK(!witness->Tick().ok());
      CHECK(!witness->PutConsumer({"late", Lsn(), 0, 0, false}).ok());
      ++ended;
      CHECK(!witness->Close().ok());
      witness = OpenLog(PosixEnv(), directory, SmallLog());
    }
    CHECK(round >= 2 || more == 0);
    const size_t found = ReadAll(*witness).size() - more;
    CHECK(found == kAll || found == kLeft);
    completed += found == kLeft ? 1 : 0;
    AppendOne(*witness, 6000, 300);
    CHECK_OK(witness->Close());
    CHECK_EQ(ReadAll(*OpenLog(PosixEnv(), directory, SmallLog())).size(), found + more + 1);
  }
  std::printf("log_rollback: %zu deaths ended the environment, %zu left the new end\n", ended,
              completed);
}

// --- power cuts ---------------------------------------------------------------------------------

constexpr uint64_t kStateMark = 1;  // value: index of the state that the disk is in, or leaving

struct Written {
  uint64_t number;
  size_t size;
  Lsn end;
};
using History = std::vector<Written>;

struct State {
  History history;
  size_t acked = 0;              // so many are promised to survive
  std::optional<size_t> target;  // a roll-back to so many is under way
};

class Driver {
 public:
  Driver(SimWorld& world, uint64_t seed) : world_(world), rng_(seed) {
    log_ = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
    Note();
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      Note();
    }
  }

  const std::vector<State>& states() const { return states_; }
  void Close() { CHECK_OK(log_->Close()); }

 private:
  void Step() {
    switch (rng_.Below(12)) {
      case 0:
        world_.clock().Advance(2 * kControlSaveIntervalNs);
        CHECK_OK(log_->Tick());
        return;
      case 1:
      case 2:
        if (!now_.history.empty()) {
          CHECK_OK(log_->WaitFor(now_.history.back().end, Level::kFlushed));
        }
        return;
      case 3:
        return RollBack();
      default:
        return Append();
    }
  }

  // Some of it is what had been appended there before the roll-back, byte for byte.
  void Append() {
    const size_t index = now_.history.size();
    const bool again = index < before_.size() && rng_.Below(3) != 0;
    const uint64_t number = again ? before_[index].number : next_++;
    const uint64_t most = rng_.Below(8) == 0 ? 20'000 : 3000;
    const size_t size = again ? before_[index].size : 8 + rng_.Below(most);
    const Appended at = AppendOne(*log_, number, size);
    now_.history.push_back({number, size, at.end});
  }

  void RollBack() {
    if (now_.history.empty()) return;
    const size_t most = std::min<size_t>(now_.history.size(), 1 + rng_.Below(60));
    const size_t left = now_.history.size() - 1 - rng_.Below(most);
    now_.target = left;
    Note();
    CHECK_OK(log_->RollBack(left == 0 ? Lsn() : now_.history[left - 1].end));
    before_ = now_.history;
    now_.target.reset();
    now_.history.resize(left);
    now_.acked = left;
  }

  void Note() {
    while (now_.acked < now_.history.size() &&
           log_->Reached(now_.history[now_.acked].end, Level::kFlushed)) {
      ++now_.acked;
    }
    states_.push_back(now_);
    world_.disk().Mark(kStateMark, states_.size() - 1);
  }

  SimWorld& world_;
  SimRng rng_;
  std::unique_ptr<Log> log_;
  State now_;
  History before_;  // the last roll-back
  std::vector<State> states_;
  uint64_t next_ = uint64_t{1} << 32;
};

// What was found is the start of a history, and as long as was promised.
void CheckFound(const std::vector<Stored>& found, const std::vector<State>& states, size_t index) {
  const State& state = states[index];
  const State& next = states[std::min(index + 1, states.size() - 1)];
  // An append may be under way.
  const bool appends = !state.target && next.history.size() > state.history.size();
  const History& history = appends ? next.history : state.history;
  CHECK(found.size() <= history.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].payload == Payload(history[i].number, history[i].size));
    CHECK(found[i].end == history[i].end);
  }
  const bool target = state.target && found.size() == *state.target;
  CHECK(found.size() >= state.acked || target);
}

TEST(log_rollback, power_cuts_leave_one_of_two_ends) {
  uint64_t cut = 0, rolling = 0;
  for (uint64_t run = 0; run < Scale(16); ++run) {
    const uint64_t seed = Seed() * 1000 + run;
    SimWorld world({.seed = seed});
    Driver driver(world, seed);
    driver.Run(120);
    SimRng rng(seed ^ 0xabcdef);
    for (uint64_t op = 1; op <= world.disk().last_op(); ++op) {
      const auto mark = world.disk().LastMark(kStateMark, op);
      if (!mark) continue;
      const bool under_way = driver.states()[*mark].target.has_value();
      if (!under_way && rng.Below(6) != 0) continue;
      const uint64_t kind = rng.Below(6);
      const CrashPolicy policy = kind == 0   ? CrashPolicy::Nothing()
                                 : kind == 1 ? CrashPolicy::Everything()
                                             : CrashPolicy::Random();
      const uint64_t cut_seed = seed * 1'000'003 + op;
      try {
        SimWorld after({.seed = cut_seed}, world.disk().CrashState(op, policy, cut_seed));
        auto opened = Log::Open(after.StartProcess().env(), kDirectory, SmallLog());
        CHECK_OK(opened.status());
        const std::vector<Stored> found = ReadAll(**opened);
        CheckFound(found, driver.states(), *mark);
        AppendOne(**opened, 7, 300);
        CHECK_OK((*opened)->Close());
        const auto again = OpenLog(after.StartProcess().env(), kDirectory, SmallLog());
        CHECK_EQ(ReadAll(*again).size(), found.size() + 1);
      } catch (const Failure& failure) {
        throw Failure{failure.text + "\n    run seed " + std::to_string(seed) +
                      ", cut after operation " + std::to_string(op)};
      }
      ++cut;
      rolling += under_way ? 1 : 0;
    }
    driver.Close();
  }
  std::printf("log_rollback: %llu crash states, %llu of them in a roll-back\n",
              static_cast<unsigned long long>(cut), static_cast<unsigned long long>(rolling));
  CHECK(rolling > 100);
}

}  // namespace
}  // namespace ringleader
