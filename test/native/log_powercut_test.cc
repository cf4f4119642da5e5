// Power cuts: a log works on a simulated disk that remembers every write, flush, rename and remove;
// crash states are built at random points of that history and recovered. Nothing acknowledged as
// flushed may be missing, nothing may be there that was not appended, and the recovered log must
// work on, through further cuts.
#include <algorithm>
#include <map>

#include "env/sim/sim_env.h"
#include "log_fixture.h"

namespace ringleader {
namespace {

using test::EntryOf;
using test::OpenLog;
using test::Payload;
using test::ReadAll;
using test::Scale;
using test::Seed;
using test::SmallLog;
using test::Stored;

constexpr uint64_t kAckedMark = 1;     // value: how many appends are promised to survive power loss
constexpr uint64_t kAppendedMark = 2;  // value: how many have been appended at all
constexpr uint64_t kNeededMark = 3;    // value: the LSN from which on the consumer needs the log
constexpr char kDirectory[] = "env";

struct Written {
  uint64_t number;
  size_t size;
  Lsn lsn;
  Lsn end;
};

// What a world has been told, in order of LSN.
using History = std::vector<Written>;

// Drives one log through appends, flushes, recycling and reopening, noting each promise on the
// disk.
class Driver {
 public:
  Driver(SimWorld& world, History history, uint64_t seed)
      : world_(world), history_(std::move(history)), rng_(seed) {}

  // Opens (recovering what is there) and works for that many steps.
  void Run(int steps) {
    process_ = &world_.StartProcess();
    log_ = OpenLog(process_->env(), kDirectory, SmallLog());
    CHECK_OK(log_->PutConsumer({"base", log_->Stat().start, 0, 0, false}));
    CHECK_VALUE(const std::vector<Consumer> consumers, log_->Consumers());
    needed_ = consumers[0].position;
    NoteNeeded();
    for (int i = 0; i < steps; ++i) Step();
  }

  // What is in the history beyond the end of a recovered log never happened.
  void ForgetBeyond(size_t found) { history_.resize(found); }

  const History& history() const { return history_; }
  Log& log() { return *log_; }
  void Close() { CHECK_OK(log_->Close()); }

 private:
  void Step() {
    switch (rng_.Below(16)) {
      case 0: {  // a transaction of several records
        AppendOne(MaxRecordPayload(kMinSegmentBytes) * (1 + rng_.Below(3)) + rng_.Below(64));
        break;
      }
      case 1:
        CHECK_OK(log_->Tick());
        break;
      case 2: {
        world_.clock().Advance(2 * kControlSaveIntervalNs);
        CHECK_OK(log_->Tick());
        break;
      }
      case 3:
        Advance();
        break;
      case 4:
      case 5: {
        if (!history_.empty()) CHECK_OK(log_->WaitFor(history_.back().end, Level::kWritten));
        break;
      }
      case 6:
      case 7:
      case 8:
        Flush();
        break;
      case 9: {
        if (rng_.Below(12) == 0) Reopen();
        break;
      }
      default:
        AppendOne(rng_.Below(3) == 0 ? rng_.Below(6000) : rng_.Below(300));
        break;
    }
  }

  void AppendOne(size_t size) {
    const std::vector<uint8_t> payload = Payload(next_, size);
    CHECK_VALUE(const Appended at, log_->Append(EntryOf(payload)));
    history_.push_back({next_++, size, at.lsn, at.end});
    world_.disk().Mark(kAppendedMark, history_.size());
    NoteAcked();  // making room may have flushed
  }

  void Flush() {
    if (history_.empty()) return;
    CHECK_OK(log_->WaitFor(history_.back().end, Level::kFlushed));
    NoteAcked();
  }

  // Everything the log itself reports as flushed is a promise, whoever asked for it.
  void NoteAcked() {
    while (acked_ < history_.size() && log_->Reached(history_[acked_].end, Level::kFlushed)) {
      ++acked_;
    }
    world_.disk().Mark(kAckedMark, acked_);
  }

  void Advance() {
    if (acked_ == 0) return;
    needed_ = std::max(needed_, history_[rng_.Below(acked_)].lsn);
    CHECK_OK(log_->AdvanceConsumer("base", needed_));
    NoteNeeded();
  }

  void NoteNeeded() { world_.disk().Mark(kNeededMark, needed_.value); }

  void Reopen() {
    CHECK_OK(log_->Close());
    acked_ = history_.size();
    world_.disk().Mark(kAckedMark, acked_);
    log_ = OpenLog(process_->env(), kDirectory, SmallLog());
  }

  SimWorld& world_;
  History history_;
  SimRng rng_;
  SimProcess* process_ = nullptr;
  std::unique_ptr<Log> log_;
  uint64_t next_ = uint64_t{1} << 32;
  size_t acked_ = 0;
  Lsn needed_;
};

// The recovered log against what was promised; returns how much of the history survived.
size_t CheckRecovered(Log& log, const History& history, size_t acked, size_t appended, Lsn needed) {
  CHECK(log.Stat().start <= needed);
  const std::vector<Stored> found = ReadAll(log, log.Stat().start);
  size_t at = 0;
  while (at < history.size() && history[at].end <= log.Stat().start) ++at;
  if (!found.empty()) {
    while (at < history.size() && history[at].lsn < found[0].lsn) ++at;
  }
  for (const Stored& stored : found) {
    CHECK(at < appended);  // nothing invented
    CHECK(stored.lsn == history[at].lsn);
    CHECK(stored.payload == Payload(history[at].number, history[at].size));
    ++at;
  }
  if (!found.empty()) CHECK(at >= acked);  // nothing promised is lost
  if (found.empty()) CHECK(acked == 0 || history[acked - 1].end <= log.Stat().start);
  return found.empty() ? acked : at;
}

CrashPolicy PolicyOf(SimRng& rng) {
  const uint64_t kind = rng.Below(8);
  if (kind == 0) return CrashPolicy::Nothing();
  if (kind == 1) return CrashPolicy::Everything();
  CrashPolicy policy = CrashPolicy::Random();
  policy.torn_writes = rng.Below(4) != 0;
  policy.ordered_entries = rng.Below(2) == 0;
  return policy;
}

// One cut of a recorded run; with `again` the recovered log works on and is cut once more.
void CutAndRecover(SimWorld& world, const History& history, uint64_t at_op, uint64_t seed,
                   bool again) {
  SimRng rng(seed);
  SimDisk& disk = world.disk();
  const CrashPolicy policy = PolicyOf(rng);
  SimWorld after({.seed = seed}, disk.CrashState(at_op, policy, seed));
  const size_t acked = disk.LastMark(kAckedMark, at_op).value_or(0);
  const size_t appended = disk.LastMark(kAppendedMark, at_op).value_or(0);
  const Lsn needed(disk.LastMark(kNeededMark, at_op).value_or(0));
  // The record being appended at the cut has no mark yet.
  const size_t at_most = std::min(appended + 1, history.size());
  SimProcess& process = after.StartProcess();
  auto opened = Log::Open(process.env(), kDirectory, SmallLog());
  CHECK_OK(opened.status());
  const std::unique_ptr<Log> log = std::move(opened).value();
  const size_t found = CheckRecovered(*log, history, acked, at_most, needed);
  CHECK_OK(log->Close());
  if (!again) return;
  Driver driver(after, History(history.begin(), history.begin() + static_cast<long>(found)), seed);
  driver.Run(30);
  const uint64_t second = 1 + rng.Below(after.disk().last_op());
  if (!after.disk().LastMark(kAppendedMark, second)) {
    // Cut during the recovery itself: what the first recovery showed is still promised.
    SimWorld last({.seed = seed + 1}, after.disk().CrashState(second, PolicyOf(rng), seed));
    const auto reopened = OpenLog(last.StartProcess().env(), kDirectory, SmallLog());
    const Lsn still_needed(after.disk().LastMark(kNeededMark, second).value_or(needed.value));
    CheckRecovered(*reopened, driver.history(), found, found, still_needed);
    return;
  }
  CutAndRecover(after, driver.history(), second, seed ^ 0x5555, false);
}

TEST(log_powercut, every_promise_survives) {
  uint64_t states = 0, operations = 0;
  const uint64_t runs = Scale(12), cuts = 130;
  for (uint64_t run = 0; run < runs; ++run) {
    const uint64_t seed = Seed() * 1000 + run;
    SimWorld world({.seed = seed});
    Driver driver(world, {}, seed);
    driver.Run(220);
    SimRng rng(seed ^ 0xabcdef);
    std::vector<uint64_t> points(cuts);
    for (uint64_t& point : points) point = 1 + rng.Below(world.disk().last_op());
    std::sort(points.begin(), points.end());  // crash states are quickest in order
    for (const uint64_t point : points) {
      const uint64_t cut_seed = seed * 1'000'003 + states;
      try {
        CutAndRecover(world, driver.history(), point, cut_seed, states % 4 == 0);
      } catch (const test::Failure& failure) {
        throw test::Failure{failure.text + "\n    run seed " + std::to_string(seed) +
                            ", cut after operation " + std::to_string(point) + " of " +
                            std::to_string(world.disk().last_op()) + ", cut seed " +
                            std::to_string(cut_seed)};
      }
      ++states;
    }
    operations += world.disk().last_op();
    driver.Close();
  }
  std::printf("log_powercut: %llu crash states of %llu disk operations recovered\n",
              static_cast<unsigned long long>(states), static_cast<unsigned long long>(operations));
}

}  // namespace
}  // namespace ringleader
