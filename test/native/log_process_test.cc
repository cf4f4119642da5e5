// Processes that die, and hosts that cannot share memory: what was appended survives the death of
// every process; what cannot be shared is refused.
#include <algorithm>

#include "env/sim/sim_env.h"
#include "log_fixture.h"

namespace ringleader {
namespace {

using test::AppendOne;
using test::Bury;
using test::OpenLog;
using test::Payload;
using test::ReadAll;
using test::Scale;
using test::Seed;
using test::SmallLog;
using test::Stored;

constexpr char kDirectory[] = "env";

void ExpectPayloads(Log& log, uint64_t count, size_t size) {
  const std::vector<Stored> all = ReadAll(log);
  CHECK_EQ(all.size(), size_t{count});
  for (uint64_t i = 0; i < count; ++i) CHECK(all[i].payload == Payload(i, size));
}

TEST(log_process, what_was_only_in_memory_is_salvaged) {
  SimWorld world;
  for (uint64_t round = 0; round < 4; ++round) {
    SimProcess& process = world.StartProcess();
    auto log = OpenLog(process.env(), kDirectory, SmallLog());
    ExpectPayloads(*log, round * 55, 1000);
    if (round > 0) CHECK(log->Stat().salvaged_bytes > 0);
    for (uint64_t i = 0; i < 55; ++i) AppendOne(*log, round * 55 + i, 1000);
    world.KillProcess(process);
    Bury(std::move(log));
  }
}

TEST(log_process, what_was_salvaged_survives_power_loss) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  for (uint64_t i = 0; i < 50; ++i) AppendOne(*log, i, 1000);
  world.KillProcess(process);
  Bury(std::move(log));
  SimProcess& next = world.StartProcess();
  log = OpenLog(next.env(), kDirectory, SmallLog());
  CHECK(log->Stat().durable == log->Stat().tail);
  world.KillProcess(next);
  Bury(std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  ExpectPayloads(*log, 50, 1000);
}

// What recovery found in the page cache, it reports as flushed: so it has to flush it.
TEST(log_process, what_recovery_reports_as_flushed_is_flushed) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  for (uint64_t i = 0; i < 10; ++i) AppendOne(*log, i, 1000);
  CHECK_OK(log->WaitFor(log->Stat().tail, Level::kWritten));
  world.KillProcess(process);
  Bury(std::move(log));
  SimProcess& next = world.StartProcess();
  log = OpenLog(next.env(), kDirectory, SmallLog());
  CHECK(log->Stat().durable == log->Stat().tail);
  ExpectPayloads(*log, 10, 1000);
  world.KillProcess(next);
  Bury(std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  ExpectPayloads(*log, 10, 1000);
}

// Also where the flush had failed before the processes died: the kernel counts those pages as
// clean.
TEST(log_process, pages_of_a_failed_flush_are_written_again) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  for (uint64_t i = 0; i < 10; ++i) AppendOne(*log, i, 1000);
  world.disk().AddFault({.calls = Calls({SimCall::kSyncData}), .path = ".seg", .count = 1});
  CHECK_CODE(log->WaitFor(log->Stat().tail, Level::kFlushed), Code::kFailed);
  world.KillProcess(process);
  Bury(std::move(log));
  SimProcess& next = world.StartProcess();
  log = OpenLog(next.env(), kDirectory, SmallLog());
  const size_t found = ReadAll(*log).size();
  world.KillProcess(next);
  Bury(std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  CHECK_EQ(ReadAll(*log).size(), found);
}

// The page of a save that failed, or that died before its flush, is in the page cache only. Whoever
// comes up reads it, and what it does by it must not outlive it: power may go at every operation.
void ExpectToComeUpWheneverPowerGoes(SimWorld& world, uint64_t first) {
  auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  const Lsn end = log->Stat().tail;
  CHECK(world.disk().last_op() > first);
  for (uint64_t op = first; op <= world.disk().last_op(); ++op) {
    for (uint64_t kind = 0; kind < 4; ++kind) {
      const CrashPolicy policy = kind == 0   ? CrashPolicy::Nothing()
                                 : kind == 1 ? CrashPolicy::Everything()
                                             : CrashPolicy::Random();
      SimWorld after({.seed = 1}, world.disk().CrashState(op, policy, op * 4 + kind));
      const auto again = OpenLog(after.StartProcess().env(), kDirectory, SmallLog());
      CHECK(again->Stat().tail >= end);
      ReadAll(*again, again->Stat().start);
    }
  }
}

TEST(log_process, a_directory_made_by_somebody_who_has_died_lasts) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  CHECK_OK(process.env().files.MakeDirectory(kDirectory));
  world.KillProcess(process);
  SimProcess& next = world.StartProcess();
  auto log = OpenLog(next.env(), kDirectory, SmallLog());
  CHECK_OK(log->WaitFor(AppendOne(*log, 0, 1000).end, Level::kFlushed));
  world.KillProcess(next);
  Bury(std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  ExpectPayloads(*log, 1, 1000);
}

TEST(log_process, a_trim_is_finished_only_when_its_control_page_is_flushed) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  CHECK_OK(log->PutConsumer({"data", Lsn(), 0, 0, false}));
  while (log->Stat().tail.value < 6 * kMinSegmentBytes) {
    CHECK_OK(log->WaitFor(AppendOne(*log, 0, 5000).end, Level::kFlushed));
  }
  CHECK_OK(log->AdvanceConsumer("data", log->Stat().tail));
  world.disk().AddFault({.calls = Calls({SimCall::kSyncData}), .path = "control", .count = 1});
  CHECK(!log->Tick().ok());
  world.KillProcess(process);
  Bury(std::move(log));
  ExpectToComeUpWheneverPowerGoes(world, world.disk().last_op());
}

TEST(log_process, a_roll_back_is_finished_only_when_its_control_page_is_flushed) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  const Lsn fork = AppendOne(*log, 0, 5000).end;
  while (log->Stat().tail.value < 3 * kMinSegmentBytes) {
    CHECK_OK(log->WaitFor(AppendOne(*log, 0, 5000).end, Level::kFlushed));
  }
  world.clock().Advance(kControlSaveIntervalNs);
  CHECK_OK(log->Tick());  // the durable mark is in the control page
  world.disk().AddFault({.calls = Calls({SimCall::kSyncData}), .path = "control", .count = 1});
  CHECK(!log->RollBack(fork).ok());
  world.KillProcess(process);
  Bury(std::move(log));
  ExpectToComeUpWheneverPowerGoes(world, world.disk().last_op());
}

// A name whose flush has failed is found by whoever comes up next, and no later flush says that it
// is on the disk.
void ExpectNamesToLast(bool recycled) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  const auto append_one = [&log] {
    CHECK_OK(log->WaitFor(AppendOne(*log, 0, 5000).end, Level::kFlushed));
  };
  CHECK_OK(log->PutConsumer({"data", Lsn(), 0, 0, false}));
  while (log->Stat().tail.value < 4 * kMinSegmentBytes) append_one();
  CHECK_OK(log->Tick());
  while (log->Stat().tail.value < 5 * kMinSegmentBytes) append_one();
  if (recycled) CHECK_OK(log->AdvanceConsumer("data", log->Stat().tail));
  const uint64_t rule =
      world.disk().AddFault({.calls = Calls({SimCall::kSyncDirectory}), .path = "log", .count = 1});
  CHECK(!log->Tick().ok());
  CHECK_EQ(world.disk().FaultHits(rule), uint64_t{1});
  const Lsn prepared = log->Stat().prepared_end;
  world.KillProcess(process);
  Bury(std::move(log));
  SimProcess& next = world.StartProcess();
  log = OpenLog(next.env(), kDirectory, SmallLog());
  CHECK(log->Stat().prepared_end > prepared);
  while (log->Stat().tail < prepared + 2 * kMinSegmentBytes) append_one();
  const Lsn end = log->Stat().tail;
  const size_t found = ReadAll(*log, log->Stat().start).size();
  world.KillProcess(next);
  Bury(std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  CHECK(log->Stat().tail == end);
  CHECK_EQ(ReadAll(*log, log->Stat().start).size(), found);
}

TEST(log_process, the_name_of_a_segment_lasts_though_its_flush_has_failed) {
  ExpectNamesToLast(false);
  ExpectNamesToLast(true);
}

// The other way round: what a roll-back has removed comes back with its name.
TEST(log_process, a_segment_that_was_rolled_back_stays_away_though_the_flush_has_failed) {
  bool failed = true;
  for (uint64_t skip = 0; failed; ++skip) {
    SimWorld world;
    SimProcess& process = world.StartProcess();
    auto log = OpenLog(process.env(), kDirectory, SmallLog());
    const Lsn fork = AppendOne(*log, 0, 5000).end;
    while (log->Stat().tail.value < 4 * kMinSegmentBytes) {
      CHECK_OK(log->WaitFor(AppendOne(*log, 0, 5000).end, Level::kFlushed));
    }
    world.disk().AddFault(
        {.calls = Calls({SimCall::kSyncDirectory}), .path = "log", .skip = skip, .count = 1});
    failed = !log->RollBack(fork).ok();
    CHECK(failed || skip >= 3);
    world.disk().RemoveAllFaults();
    world.KillProcess(process);
    Bury(std::move(log));
    ExpectToComeUpWheneverPowerGoes(world, world.disk().last_op());
  }
}

TEST(log_process, a_scribbled_ring_is_believed_record_by_record) {
  for (uint64_t damaged = 0; damaged < 40; ++damaged) {
    SimWorld world;
    SimProcess& process = world.StartProcess();
    auto log = OpenLog(process.env(), kDirectory, SmallLog());
    std::vector<Appended> at;
    for (uint64_t i = 0; i < 40; ++i) at.push_back(AppendOne(*log, i, 1000));
    world.KillProcess(process);
    Bury(std::move(log));
    const MutableBytes region = world.memory().Find(world.memory().Names().at(0));
    region[kRegionPageBytes + at[damaged].lsn.value % kMinRingBytes + damaged * 20] ^= 4;
    log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
    ExpectPayloads(*log, damaged, 1000);
  }
}

TEST(log_process, a_scribbled_region_never_brings_wrong_data) {
  for (uint64_t run = 0; run < Scale(300); ++run) {
    SimRng rng(Seed() * 1000 + run);
    SimWorld world({.seed = run + 1});
    SimProcess& process = world.StartProcess();
    auto log = OpenLog(process.env(), kDirectory, SmallLog());
    for (uint64_t i = 0; i < 30; ++i) AppendOne(*log, i, 1000);
    CHECK_OK(log->WaitFor(AppendOne(*log, 30, 1000).end, Level::kFlushed));
    for (uint64_t i = 31; i < 40; ++i) AppendOne(*log, i, 1000);
    world.KillProcess(process);
    Bury(std::move(log));
    const MutableBytes region = world.memory().Find(world.memory().Names().at(0));
    for (uint64_t n = 1 + rng.Below(8); n > 0; --n) {
      region[rng.Below(kRegionPageBytes)] = static_cast<uint8_t>(rng.Next());
    }
    auto opened = Log::Open(world.StartProcess().env(), kDirectory, SmallLog());
    if (!opened.ok()) {
      // A durable position that lies beyond the files, where it still looks sound.
      CHECK_CODE(opened.status(), Code::kCorruption);
      continue;
    }
    const std::vector<Stored> found = ReadAll(*opened.value());
    CHECK(found.size() >= 31 && found.size() <= 40);
    for (uint64_t i = 0; i < found.size(); ++i) CHECK(found[i].payload == Payload(i, 1000));
  }
}

TEST(log_process, other_pid_namespaces_and_other_memory_are_refused) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  AppendOne(*log, 0, 100);
  CHECK_CODE(Log::Open(world.StartProcess(2).env(), kDirectory, SmallLog()).status(),
             Code::kForeignHost);
  // A container that mounts the directory and not the shared memory.
  for (const std::string& name : world.memory().Names()) CHECK_OK(world.memory().Remove(name));
  CHECK_CODE(Log::Open(world.StartProcess().env(), kDirectory, SmallLog()).status(),
             Code::kForeignHost);
  CHECK_OK(log->Close());
  log = OpenLog(world.StartProcess(2).env(), kDirectory, SmallLog());  // alone, it may
  ExpectPayloads(*log, 1, 100);
}

TEST(log_process, too_little_shared_memory_falls_back_to_a_file) {
  SimWorld world;
  world.memory().SetLimit(0);
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  CHECK(log->Stat().ring_in_file);
  for (uint64_t i = 0; i < 30; ++i) AppendOne(*log, i, 1000);
  auto other = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  CHECK(other->Stat().ring_in_file);
  ExpectPayloads(*other, 30, 1000);
  CHECK_OK(other->WaitFor(AppendOne(*other, 30, 1000).end, Level::kFlushed));
  for (uint64_t i = 31; i < 40; ++i) AppendOne(*log, i, 1000);
  CHECK_OK(other->Close());
  world.KillProcess(process);
  Bury(std::move(log));
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  ExpectPayloads(*log, 40, 1000);
  Bury(std::move(log));
  world.memory().WriteBack();  // an old region in a file is no region after a restart
  world.PowerCut(CrashPolicy::Everything(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  ExpectPayloads(*log, 40, 1000);
}

TEST(log_process, closing_leaves_nothing_in_shared_memory) {
  SimWorld world;
  auto one = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  auto two = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  CHECK_EQ(world.memory().Names().size(), size_t{1});
  CHECK_OK(one->Close());
  CHECK_EQ(world.memory().Names().size(), size_t{1});
  CHECK_OK(two->Close());
  CHECK(world.memory().Names().empty());
}

// Three processes with service threads work on one log; each is killed at a scheduling point drawn
// from the seed. Whoever is left, and then a fresh process, finds everything that was appended.
void RunSchedule(uint64_t seed) {
  SimRng rng(seed);
  SimWorld world({.seed = seed});
  world.clock().SetJitter(2000);
  constexpr uint64_t kProcesses = 3, kEach = 25;
  std::vector<uint64_t> appended(kProcesses);
  std::vector<std::unique_ptr<Thread>> threads;
  for (uint64_t p = 0; p < kProcesses; ++p) {
    SimProcess& process = world.StartProcess();
    if (p > 0) world.threads().KillAfter(process.id(), 1 + rng.Below(900));
    threads.push_back(process.env().threads.Spawn("writer", [&appended, &process, p] {
      LogOptions options = SmallLog();
      options.service_threads = true;
      auto log = OpenLog(process.env(), kDirectory, options);
      for (uint64_t i = 0; i < kEach; ++i) {
        const Appended at = AppendOne(*log, p * 1000 + i, 200 + 40 * (i % 3) + (i % 10) * 600);
        appended[p] = i + 1;
        if (i % 4 == 0) CHECK_OK(log->WaitFor(at.end, Level::kFlushed));
        if (i % 4 == 2) log->Request(at.end, Level::kFlushed);
      }
      CHECK_OK(log->Close());
    }));
  }
  threads.clear();
  const auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  std::vector<uint64_t> next(kProcesses);
  for (const Stored& stored : ReadAll(*log)) {
    const uint64_t number = LoadLe<uint64_t>(stored.payload.data());
    CHECK_EQ(number % 1000, next.at(number / 1000)++);
    CHECK(stored.payload == Payload(number, stored.payload.size()));
  }
  for (uint64_t p = 0; p < kProcesses; ++p) CHECK(next[p] >= appended[p]);
}

TEST(log_process, any_schedule_with_deaths) {
  for (uint64_t run = 0; run < Scale(60); ++run) {
    const uint64_t seed = Seed() * 100'000 + run;
    try {
      RunSchedule(seed);
    } catch (const test::Failure& failure) {
      throw test::Failure{failure.text + "\n    schedule seed " + std::to_string(seed)};
    }
  }
}

}  // namespace
}  // namespace ringleader
