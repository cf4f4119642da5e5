// Power cuts under a replica: every byte that was flushed is there, the pieces of a transaction
// that is not whole too, for the replica has told its primary so; what is not whole is not visible;
// and the rest can be shipped again, through further cuts, until both logs have the same bytes.
#include "ship_fixture.h"

#include "env/sim/sim_env.h"

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kFlushedMark = 1;  // value: end of what is promised to survive power loss
constexpr char kDirectory[] = "replica";
const Id128 kGroup{7, 8, 9};

// What a primary has, in memory.
struct Source {
  explicit Source(uint64_t seed) {
    SimWorld world({.seed = seed});
    SimRng rng(seed);
    Env& env = world.StartProcess().env();
    const auto log = OpenMember(env, "primary", kGroup);
    Lead(*log);
    for (uint64_t i = 0; i < 110; ++i) WriteSome(*log, rng, i);
    AppendOne(*log, 1, 10);
    bytes = FileBytes(env, "primary", *log, Lsn(), log->Stat().tail);
    for (const Stored& stored : ReadAll(*log)) ends.push_back(stored.end);
    const auto reader = log->ReadRaw(Lsn());
    for (;;) {
      CHECK_VALUE(const RawRun run, reader->Next(1));
      if (run.bytes.empty()) break;
      records.push_back(run.end);
    }
    CHECK_OK(log->Close());
  }

  Lsn end() const { return Lsn(bytes.size()); }
  Lsn WholeBelow(Lsn at) const {
    const auto behind = std::ranges::upper_bound(ends, at);
    return behind == ends.begin() ? Lsn() : *(behind - 1);
  }

  std::vector<uint8_t> bytes;
  std::vector<Lsn> ends;     // of transactions
  std::vector<Lsn> records;  // ends of records
};

// Ships on from where the replica is, flushes now and then, dies and comes back now and then.
void Run(SimWorld& world, const Source& source, SimRng& rng, size_t runs) {
  Env& env = world.StartProcess().env();
  auto log = OpenMember(env, kDirectory, kGroup);
  const auto note = [&] { world.disk().Mark(kFlushedMark, log->Stat().durable.value); };
  note();
  for (size_t i = 0; i < runs; ++i) {
    const Lsn from = log->Stat().tail;
    auto next = std::ranges::upper_bound(source.records, from);
    if (next == source.records.end()) break;
    next += static_cast<long>(
        rng.Below(std::min<uint64_t>(6, static_cast<uint64_t>(source.records.end() - next))));
    CHECK(AppendRun(*log, from, Bytes(source.bytes).subspan(from.value, *next - from)));
    note();  // making room may have flushed
    if (rng.Below(3) == 0) {
      CHECK_OK(log->WaitFor(log->Stat().tail, Level::kFlushed));
      note();
    }
    if (rng.Below(6) == 0) CHECK_OK(log->Tick());
    if (rng.Below(25) == 0) {
      CHECK_OK(log->Close());
      log = OpenMember(env, kDirectory, kGroup);
      note();
    }
  }
  CHECK_OK(log->Close());
}

void CheckRecovered(Env& env, Log& log, const Source& source, Lsn flushed) {
  const LogStat stat = log.Stat();
  CHECK(stat.tail >= flushed);
  CHECK(stat.tail <= source.end());
  const Lsn whole = source.WholeBelow(stat.tail);
  const bool pieces = std::ranges::upper_bound(source.records, whole) !=
                      std::ranges::upper_bound(source.records, stat.tail);
  const uint64_t visible = pieces ? whole.value : stat.tail.value;
  CHECK_EQ(stat.visible.value, visible);
  const std::vector<uint8_t> there = FileBytes(env, kDirectory, log, Lsn(), stat.tail);
  CHECK(std::equal(there.begin(), there.end(), source.bytes.begin()));
  const std::vector<Stored> all = ReadAll(log);
  for (size_t i = 0; i < all.size(); ++i) CHECK(all[i].end == source.ends[i]);
  CHECK(all.empty() || all.back().end == source.WholeBelow(stat.tail));
}

TEST(log_raw_powercut, a_replica_keeps_its_promises) {
  uint64_t states = 0, inside = 0;
  for (uint64_t run = 0; run < Scale(8); ++run) {
    const uint64_t seed = Seed() * 1000 + run;
    const Source source(seed);
    SimWorld world({.seed = seed});
    SimRng rng(seed);
    Run(world, source, rng, 1000);
    const uint64_t last = world.disk().last_op();
    std::vector<uint64_t> points(40);
    for (uint64_t& point : points) point = 1 + rng.Below(last);
    std::ranges::sort(points);
    for (const uint64_t point : points) {
      const auto flushed = world.disk().LastMark(kFlushedMark, point);
      if (!flushed) continue;  // not formatted yet
      const uint64_t cut_seed = seed * 1'000'003 + point;
      const auto policy = [&] {
        const uint64_t kind = rng.Below(6);
        return kind == 0   ? CrashPolicy::Nothing()
               : kind == 1 ? CrashPolicy::Everything()
                           : CrashPolicy::Random();
      };
      try {
        SimWorld after({.seed = cut_seed}, world.disk().CrashState(point, policy(), cut_seed));
        {
          Env& env = after.StartProcess().env();
          const auto log = OpenMember(env, kDirectory, kGroup);
          CheckRecovered(env, *log, source, Lsn(*flushed));
          inside += log->Stat().visible < log->Stat().tail ? 1 : 0;
          CHECK_OK(log->Close());
        }
        Run(after, source, rng, 10);
        const uint64_t second = 1 + rng.Below(after.disk().last_op());
        // What was found once has been flushed by the recovery.
        const Lsn still(after.disk().LastMark(kFlushedMark, second).value_or(*flushed));
        SimWorld again({.seed = cut_seed}, after.disk().CrashState(second, policy(), cut_seed));
        {
          Env& env = again.StartProcess().env();
          const auto log = OpenMember(env, kDirectory, kGroup);
          CheckRecovered(env, *log, source, still);
          CHECK_OK(log->Close());
        }
        Run(again, source, rng, 1000);
        Env& env = again.StartProcess().env();
        const auto log = OpenMember(env, kDirectory, kGroup);
        CHECK_EQ(log->Stat().tail.value, source.end().value);
        CheckRecovered(env, *log, source, source.end());
        CHECK_OK(log->Close());
      } catch (const Failure& failure) {
        throw Failure{failure.text + "\n    run seed " + std::to_string(seed) +
                      ", cut after operation " + std::to_string(point) + " of " +
                      std::to_string(last)};
      }
      ++states;
    }
  }
  std::printf("log_raw_powercut: %llu crash states, %llu of them inside a transaction\n",
              static_cast<unsigned long long>(states), static_cast<unsigned long long>(inside));
  CHECK(inside > 0);
}

}  // namespace
}  // namespace ringleader
