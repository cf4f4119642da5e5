// A simulated host as a whole: identity, time, memory, processes that die, power cuts; and whether
// all of it together finds the bugs it is there for.
#include <cstring>
#include <set>

#include "base/coding.h"
#include "env/sim/sim_env.h"
#include "env_sim_fixture.h"

namespace ringleader::test {
namespace {

constexpr size_t kPage = kSimPageBytes;

TEST(sim_world, generator_is_the_published_one) {
  // Computed with the reference code of xoshiro256** 1.0 and splitmix64.
  SimRng zero(0), one(1);
  for (const uint64_t expected : {0x99ec5f36cb75f2b4u, 0xbf6e1f784956452au, 0x1a5f849d4933e6e0u}) {
    CHECK_EQ(zero.Next(), expected);
  }
  for (const uint64_t expected : {0xb3f2af6d0fc710c5u, 0x853b559647364ceau, 0x92f89756082a4514u}) {
    CHECK_EQ(one.Next(), expected);
  }
  SimRandom random(0);
  uint8_t bytes[11];
  random.Fill(bytes);
  CHECK_EQ(LoadLe<uint64_t>(bytes), 0x99ec5f36cb75f2b4u);
  CHECK_EQ(bytes[8], 0x2a);
}

TEST(sim_world, identity_lasts_as_long_as_the_kernel) {
  SimWorld world;
  SimProcess& first = world.StartProcess();
  SimProcess& second = world.StartProcess();
  SimProcess& contained = world.StartProcess(2);
  const HostIdentity identity = first.env().host.Identity();
  CHECK(second.env().host.Identity().boot_id == identity.boot_id);
  CHECK_EQ(second.env().host.Identity().pid_namespace, identity.pid_namespace);
  CHECK(contained.env().host.Identity().pid_namespace != identity.pid_namespace);
  CHECK(first.env().host.ProcessId() != second.env().host.ProcessId());
  CHECK(first.env().random.Next64() != second.env().random.Next64());
  world.KillProcess(first);
  CHECK(!first.alive() && second.alive());
  CHECK(world.StartProcess().env().host.Identity().boot_id == identity.boot_id);
  world.Reboot();
  CHECK(!second.alive());
  const auto after_reboot = world.StartProcess().env().host.Identity().boot_id;
  CHECK(after_reboot != identity.boot_id);
  world.PowerCut(CrashPolicy::Random(), 1);
  CHECK(world.StartProcess().env().host.Identity().boot_id != after_reboot);
}

TEST(sim_world, clocks) {
  SimWorld world;
  Clock& clock = world.StartProcess().env().clock;
  const uint64_t monotonic = clock.MonotonicNanos();
  const uint64_t wall = clock.WallMicros();
  CHECK(monotonic > 0 && wall > 1'600'000'000'000'000);
  world.clock().Advance(5'000'000);
  CHECK_EQ(clock.MonotonicNanos(), monotonic + 5'000'000);
  CHECK_EQ(clock.WallMicros(), wall + 5'000);
  world.clock().JumpWall(-3'600'000'000);
  CHECK_EQ(clock.WallMicros(), wall + 5'000 - 3'600'000'000);
  CHECK_EQ(clock.MonotonicNanos(), monotonic + 5'000'000);
  world.clock().AdvanceTo(monotonic);  // never back
  CHECK_EQ(clock.MonotonicNanos(), monotonic + 5'000'000);
  world.clock().SetJitter(100);
  uint64_t last = clock.MonotonicNanos(), moved = 0;
  for (int i = 0; i < 100; ++i) {
    const uint64_t now = clock.MonotonicNanos();
    CHECK(now >= last && now - last <= 100);
    moved += now - last;
    last = now;
  }
  CHECK(moved > 2'000);
}

TEST(sim_world, shared_memory_outlives_processes_but_not_the_power) {
  SimWorld world;
  SimProcess& first = world.StartProcess();
  SimProcess& second = world.StartProcess();
  SharedMemory& memory = first.env().memory;
  CHECK_CODE(memory.Open("region").status(), Code::kNotFound);
  CHECK_CODE(memory.Create("a/b", 10).status(), Code::kInvalidArgument);
  CHECK_VALUE(auto mine, memory.Create("region", 10'000));
  CHECK_EQ(mine->size(), 10'000u);
  CHECK(AllZero(Bytes(mine->data(), mine->size())));
  mine->data()[77] = 5;
  CHECK_VALUE(const auto theirs, second.env().memory.Open("region"));
  CHECK_EQ(theirs->data(), mine->data());
  world.KillProcess(first);
  mine.reset();
  CHECK_VALUE(const auto again, second.env().memory.Open("region"));
  CHECK_EQ(again->data()[77], 5);
  world.memory().Find("region")[77] = 6;  // a test scribbles
  CHECK_EQ(again->data()[77], 6);
  CHECK_VALUE(const auto replaced, second.env().memory.Create("region", 100));
  CHECK_EQ(replaced->data()[77], 0);
  CHECK_EQ(again->data()[77], 6);  // still mapped
  world.PowerCut(CrashPolicy::Everything(), 1);
  SimProcess& third = world.StartProcess();
  CHECK_CODE(third.env().memory.Open("region").status(), Code::kNotFound);
  CHECK_CODE(third.env().memory.Remove("region"), Code::kNotFound);
}

TEST(sim_world, shared_memory_can_be_too_small) {
  SimWorld world;
  SharedMemory& memory = world.StartProcess().env().memory;
  world.memory().SetLimit(1'000);
  CHECK_CODE(memory.Create("a", 1'001).status(), Code::kNoSpace);
  CHECK(memory.Create("a", 600).ok());
  CHECK_CODE(memory.Create("b", 401).status(), Code::kNoSpace);
  CHECK(memory.Create("b", 400).ok());
  CHECK(memory.Create("a", 500).ok());  // replaces
  CHECK_OK(memory.Remove("b"));
  CHECK(memory.Create("c", 500).ok());
  CHECK(world.memory().Names() == (std::vector<std::string>{"a", "c"}));
}

TEST(sim_world, memory_in_a_file_is_a_file) {
  SimWorld world({.disk = {.capacity_bytes = 8 * kPage}});
  Env& env = world.StartProcess().env();
  CHECK_CODE(env.memory.CreateAt("region", 9 * kPage).status(), Code::kNoSpace);
  CHECK(!Exists(env.files, "region"));
  CHECK_CODE(env.memory.OpenAt("region").status(), Code::kNotFound);
  CHECK_VALUE(const auto mapping, env.memory.CreateAt("region", 4 * kPage));
  std::memset(mapping->data(), 'm', mapping->size());
  CHECK_VALUE(const auto other, env.memory.OpenAt("region"));
  CHECK_EQ(other->data(), mapping->data());
  CHECK_OK(env.files.SyncDirectory("."));
  CHECK_OK(OpenFile(env.files, "region")->SyncData());
  // The kernel writes dirty pages back as it likes: a power cut leaves any of them.
  const uint64_t before = world.disk().last_op();
  world.memory().WriteBack();
  CHECK_EQ(world.disk().last_op(), before + 1);
  std::set<std::vector<uint8_t>> left;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    left.insert(
        ReadAll(*world.disk().CrashState(before + 1, CrashPolicy::Random(), seed), "region"));
  }
  CHECK(left.size() > 10);
  CHECK(left.contains(Filled(4 * kPage, 'm')) && left.contains(Filled(4 * kPage, 0)));
  mapping->data()[100] = 'n';
  world.disk().AddFault({.action = FaultAction::kHang});  // no hung disk keeps the power on
  world.PowerCut(CrashPolicy::Everything(), 1);
  world.disk().RemoveAllFaults();
  Env& next = world.StartProcess().env();
  CHECK_VALUE(const auto found, next.memory.OpenAt("region"));
  CHECK_EQ(found->data()[100], 'n');
  CHECK(found->data() != mapping->data());
  CHECK_OK(next.files.Remove("region"));
  CHECK_CODE(next.memory.OpenAt("region").status(), Code::kNotFound);
}

TEST(sim_world, memory_in_a_file_is_replaced_not_emptied) {
  SimWorld world;
  Env& env = world.StartProcess().env();
  CHECK_VALUE(const auto mapping, env.memory.CreateAt("region", kPage));
  CHECK_VALUE(const FileInfo before, env.files.Info("region"));
  mapping->data()[0] = 1;
  CHECK_VALUE(const auto fresh, env.memory.CreateAt("region", kPage));
  CHECK_VALUE(const FileInfo after, env.files.Info("region"));
  CHECK(before.inode != after.inode);
  CHECK_EQ(fresh->data()[0], 0);
  CHECK_EQ(mapping->data()[0], 1);
}

TEST(sim_world, mutexes_end_with_the_memory_they_lie_in) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  Env& env = process.env();
  {
    CHECK_VALUE(const auto mapping, env.memory.Create("region", sizeof(RobustMutex)));
    auto& mutex = *reinterpret_cast<RobustMutex*>(mapping->data());
    env.threads.InitMutex(mutex);
    CHECK(env.threads.Lock(mutex) == LockResult::kLocked);
    CHECK_OK(env.memory.Remove("region"));
  }
  world.KillProcess(process);  // AddressSanitizer sees whether it touches the mutex
  CHECK(world.memory().Names().empty());
}

// --- processes -----------------------------------------------------------------------------------

TEST(sim_world, death_passes_a_file_lock_on) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimWorld world({.seed = seed, .threads = {.point_nanos = 0}});
    SimProcess& first = world.StartProcess();
    SimProcess& second = world.StartProcess();
    auto holder = first.env().threads.Spawn("holder", [&] {
      const auto file = OpenFile(first.env().files, "lock");
      CHECK_OK(file->Lock(0, true));
      world.threads().Sleep(1'000'000);
    });
    world.threads().Sleep(1'000);
    uint64_t locked_at = 0;
    auto waiter = second.env().threads.Spawn("waiter", [&] {
      const auto file = OpenFile(second.env().files, "lock");
      CHECK_CODE(file->TryLock(0, true), Code::kBusy);
      CHECK_OK(file->Lock(0, true));
      locked_at = second.env().clock.MonotonicNanos();
    });
    world.threads().Sleep(1'000);
    world.KillProcess(first);
    const uint64_t killed_at = world.clock().Now();
    waiter.reset();
    holder.reset();
    CHECK_EQ(locked_at, killed_at);
  }
}

TEST(sim_world, hung_disk_keeps_a_killed_process_and_its_locks) {
  SimWorld world;
  SimProcess& first = world.StartProcess();
  Env& second = world.StartProcess().env();
  auto hung = first.env().threads.Spawn("hung", [&] {
    const auto file = OpenFile(first.env().files, "file");
    CHECK_OK(file->Lock(0, true));
    CHECK_OK(file->SyncData());
    world.threads().Sleep(1'000'000'000);
  });
  const uint64_t fault =
      world.disk().AddFault({.calls = Calls({SimCall::kSyncData}), .action = FaultAction::kHang});
  world.threads().Sleep(1'000);
  CHECK_EQ(world.disk().HungCalls(), 1u);
  world.KillProcess(first);
  world.threads().Sleep(1'000);
  const auto file = OpenFile(second.files, "file");
  CHECK_CODE(file->TryLock(0, true), Code::kBusy);
  CHECK(world.disk().RemoveFault(fault));
  world.threads().Sleep(1'000);
  CHECK_OK(file->TryLock(0, true));
  CHECK_EQ(world.disk().open_files(), 1u);
}

TEST(sim_world, slow_disk_spends_simulated_time) {
  SimWorld world({.threads = {.point_nanos = 0}});
  Env& env = world.StartProcess().env();
  const auto file = OpenFile(env.files, "file");
  world.disk().AddFault(
      {.calls = Calls({SimCall::kSyncData}), .action = FaultAction::kDelay, .nanos = 30'000'000});
  const uint64_t start = env.clock.MonotonicNanos();
  int others = 0;
  auto other = env.threads.Spawn("other", [&] {
    for (int i = 0; i < 10; ++i, ++others) world.threads().Sleep(1'000'000);
  });
  CHECK_OK(file->SyncData());
  CHECK_EQ(env.clock.MonotonicNanos(), start + 30'000'000);
  CHECK_EQ(others, 10);
}

TEST(sim_world, power_cut_ends_every_process) {
  SimWorld world;
  SimProcess& first = world.StartProcess();
  PutDurably(world.disk(), "file", 1, 'a');
  auto writer = first.env().threads.Spawn("writer", [&] {
    const auto file = OpenFile(first.env().files, "file");
    for (;;) Put(*file, 0, 1, 'b');
  });
  world.threads().Sleep(1'000);
  world.disk().AddFault({.calls = Calls({SimCall::kWrite}), .action = FaultAction::kHang});
  world.threads().Sleep(1'000);
  world.PowerCut(CrashPolicy::Nothing(), 1);
  world.disk().RemoveAllFaults();
  world.threads().Sleep(1'000);
  CHECK_EQ(world.disk().open_files(), 0u);
  CHECK(ReadAll(world.disk(), "file") == Filled(1, 'a'));
  writer.reset();
}

// --- everything together -------------------------------------------------------------------------

// A store of numbers: each is appended to a file, flushed and then promised. `flawed` leaves the
// flush of either the bytes or the name out.
enum class Flaw { kNone, kNoSyncData, kNoSyncDirectory };

constexpr uint64_t kPromised = 1;

void AppendNumbers(Env& env, SimDisk& disk, Flaw flaw) {
  for (uint64_t number = 0; number < 12; ++number) {
    const std::string path = "log" + std::to_string(number / 4);
    const bool fresh = number % 4 == 0;
    const auto file =
        OpenFile(env.files, path, fresh ? OpenMode::kCreateEmpty : OpenMode::kReadWrite);
    Put(*file, number % 4 * kSimSectorBytes, kSimSectorBytes, static_cast<uint8_t>(number + 1));
    if (flaw != Flaw::kNoSyncData) CHECK_OK(file->SyncData());
    if (fresh && flaw != Flaw::kNoSyncDirectory) CHECK_OK(env.files.SyncDirectory("."));
    disk.Mark(kPromised, number + 1);
  }
}

// How many numbers from the first on are there.
uint64_t CountNumbers(Env& env) {
  for (uint64_t number = 0;; ++number) {
    const auto file = env.files.Open("log" + std::to_string(number / 4), OpenMode::kRead);
    if (!file.ok()) return number;
    std::vector<uint8_t> bytes(kSimSectorBytes);
    CHECK_VALUE(const size_t got, file.value()->ReadAt(number % 4 * kSimSectorBytes, bytes));
    if (got < bytes.size() || bytes != Filled(bytes.size(), static_cast<uint8_t>(number + 1))) {
      return number;
    }
  }
}

uint64_t BrokenPromises(Flaw flaw) {
  SimWorld world;
  AppendNumbers(world.StartProcess().env(), world.disk(), flaw);
  uint64_t broken = 0;
  for (uint64_t at = 0; at <= world.disk().last_op(); ++at) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      SimWorld after({.seed = seed},
                     world.disk().CrashState(at, CrashPolicy::Random(), Seed() + seed));
      const uint64_t found = CountNumbers(after.StartProcess().env());
      if (found < world.disk().LastMark(kPromised, at).value_or(0)) ++broken;
    }
  }
  return broken;
}

TEST(sim_world, enumeration_of_power_cuts_finds_missing_flushes) {
  CHECK_EQ(BrokenPromises(Flaw::kNone), 0u);
  CHECK(BrokenPromises(Flaw::kNoSyncData) > 0);
  CHECK(BrokenPromises(Flaw::kNoSyncDirectory) > 0);
}

// Several processes count in shared memory under a robust mutex, keeping the count twice. Whoever
// takes over from a dead one repairs; one without repair would leave the copies different.
struct Counters {
  RobustMutex mutex;
  std::atomic<uint32_t> first;
  std::atomic<uint32_t> second;
};

bool CountAndDie(uint64_t seed, bool repair, uint64_t* trace) {
  SimWorld world({.seed = seed});
  CHECK_VALUE(const auto mapping, world.memory().Create("counters", sizeof(Counters)));
  auto& counters = *reinterpret_cast<Counters*>(mapping->data());
  SimProcess* processes[3];
  for (SimProcess*& process : processes) process = &world.StartProcess();
  processes[0]->env().threads.InitMutex(counters.mutex);
  std::vector<std::unique_ptr<Thread>> all;
  bool equal = true;
  for (SimProcess* process : processes) {
    Threads& threads = process->env().threads;
    all.push_back(threads.Spawn("counter", [&, repair] {
      for (int i = 0; i < 10; ++i) {
        const bool died = threads.Lock(counters.mutex) == LockResult::kOwnerDied;
        const uint32_t next = counters.first.load(std::memory_order_acquire) + 1;
        if (died && repair) counters.second.store(next - 1, std::memory_order_release);
        equal = equal && counters.second.load(std::memory_order_acquire) == next - 1;
        counters.first.store(next, std::memory_order_release);
        world.threads().SchedulingPoint();
        counters.second.store(next, std::memory_order_release);
        threads.Unlock(counters.mutex);
      }
    }));
  }
  world.threads().KillAfter(processes[seed % 2]->id(), 1 + seed % 25);
  all.clear();
  *trace = world.threads().trace_hash();
  return equal;
}

TEST(sim_world, death_in_a_critical_section_is_met_and_repeatable) {
  int damaged = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    uint64_t once = 0, again = 0;
    CHECK(CountAndDie(seed, true, &once));
    CHECK(CountAndDie(seed, true, &again));
    CHECK_EQ(once, again);
    if (!CountAndDie(seed, false, &once)) ++damaged;
  }
  CHECK(damaged > 0);
}

}  // namespace
}  // namespace ringleader::test
