// The deterministic scheduler: one thread at a time, time that jumps, robust mutexes, death.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <limits>
#include <set>

#include "child_process.h"
#include "env/sim/sim_threads.h"
#include "harness.h"

// Killed threads are kept asleep, so every later fork in this program is one of several threads,
// after which ThreadSanitizer refuses to start a thread unless told otherwise. Nothing else
// calls it.
extern "C" __attribute__((visibility("default"), used)) const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace ringleader::test {
namespace {

constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();

// A scheduler, two processes, and the shared words their threads meet at.
struct Fixture {
  explicit Fixture(uint64_t seed = Seed(), SimThreadsOptions options = {.point_nanos = 0})
      : threads(clock, seed, options) {
    a.InitMutex(mutex);
  }

  SimClock clock;
  SimThreads threads;
  Threads& a = threads.ForProcess(1);
  Threads& b = threads.ForProcess(2);
  RobustMutex mutex{};
  std::atomic<uint32_t> word{0};
};

void Store(std::atomic<uint32_t>& word, uint32_t value) {
  word.store(value, std::memory_order_release);
}
uint32_t Load(const std::atomic<uint32_t>& word) { return word.load(std::memory_order_acquire); }

// Runs `body` in a child and returns what it says on stderr before it aborts.
std::string AbortText(const std::function<void()>& body) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  Child child([&] {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    body();
  });
  close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  CHECK_EQ(child.JoinKilled(), SIGABRT);
  return text;
}

bool Holds(const std::string& text, const char* part) {
  if (text.find(part) != std::string::npos) return true;
  std::printf("    not in: %s\n", text.c_str());
  return false;
}

// --- who runs ------------------------------------------------------------------------------------

// Two threads that each write their letter three times; the order in which they did.
std::string Interleaving(uint64_t seed, uint64_t* hash = nullptr) {
  Fixture f(seed);
  std::string order;
  const auto write = [&](char letter) {
    for (int i = 0; i < 3; ++i) {
      order += letter;
      f.threads.SchedulingPoint();
    }
  };
  auto first = f.a.Spawn("first", [&] { write('x'); });
  auto second = f.b.Spawn("second", [&] { write('y'); });
  first.reset();
  second.reset();
  if (hash) *hash = f.threads.trace_hash();
  return order;
}

TEST(sim_threads, same_seed_same_schedule) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    uint64_t once = 0, again = 0;
    CHECK_EQ(Interleaving(seed, &once), Interleaving(seed, &again));
    CHECK_EQ(once, again);
    hashes.insert(once);
  }
  CHECK(hashes.size() > 40);
}

TEST(sim_threads, every_order_is_met) {
  std::set<std::string> orders;
  for (uint64_t seed = 0; seed < 1000; ++seed) orders.insert(Interleaving(seed));
  CHECK_EQ(orders.size(), 20u);  // 6! / (3! 3!)
}

// Two threads that add to a word in two steps.
uint32_t TwoAdditions(uint64_t seed, bool locked) {
  Fixture f(seed);
  const auto add = [&](Threads& threads) {
    if (locked) CHECK(threads.Lock(f.mutex) == LockResult::kLocked);
    const uint32_t old = Load(f.word);
    f.threads.SchedulingPoint();
    Store(f.word, old + 1);
    if (locked) threads.Unlock(f.mutex);
  };
  auto first = f.a.Spawn("first", [&] { add(f.a); });
  auto second = f.b.Spawn("second", [&] { add(f.b); });
  first.reset();
  second.reset();
  return Load(f.word);
}

TEST(sim_threads, mutex_excludes_and_its_absence_shows) {
  std::set<uint32_t> unlocked;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    unlocked.insert(TwoAdditions(seed, false));
    CHECK_EQ(TwoAdditions(seed, true), 2u);
  }
  CHECK(unlocked == (std::set<uint32_t>{1, 2}));
}

TEST(sim_threads, main_thread_alone) {
  Fixture f;
  CHECK(f.a.Lock(f.mutex) == LockResult::kLocked);
  CHECK(f.b.TryLock(f.mutex) == LockResult::kBusy);
  f.a.Unlock(f.mutex);
  CHECK(f.b.TryLock(f.mutex) == LockResult::kLocked);
  f.b.Unlock(f.mutex);
  f.a.WakeAll(f.word);
  f.threads.SchedulingPoint();
  const uint64_t start = f.clock.Now();
  f.a.Wait(f.word, 0, 1'000);
  CHECK_EQ(f.clock.Now(), start + 1'000);
  f.a.Wait(f.word, 1, 1'000);  // another value: no wait
  CHECK_EQ(f.clock.Now(), start + 1'000);
  f.threads.Sleep(500);
  CHECK_EQ(f.clock.Now(), start + 1'500);
}

TEST(sim_threads, thread_can_spawn_and_join) {
  Fixture f;
  int ran = 0;
  f.a.Spawn("outer", [&] {
    std::vector<std::unique_ptr<Thread>> inner;
    for (int i = 0; i < 3; ++i) inner.push_back(f.a.Spawn("inner", [&] { ++ran; }));
    inner.clear();
    CHECK_EQ(ran, 3);
    ++ran;
  });
  CHECK_EQ(ran, 4);
}

// --- waiting -------------------------------------------------------------------------------------

TEST(sim_threads, wait_ends_with_a_wake_up_or_its_time) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Fixture f(seed);
    const uint64_t start = f.clock.Now();
    uint64_t woken_at = 0, timed_out_at = 0;
    std::atomic<uint32_t> other{0};
    auto sleeper = f.a.Spawn("sleeper", [&] {
      while (Load(f.word) == 0) f.a.Wait(f.word, 0, kForever);
      woken_at = f.clock.Now();
    });
    auto timed = f.b.Spawn("timed", [&] {
      f.b.Wait(other, 0, 700);
      timed_out_at = f.clock.Now();
    });
    f.threads.Sleep(300);
    Store(f.word, 1);
    f.b.WakeAll(f.word);
    sleeper.reset();
    timed.reset();
    CHECK_EQ(woken_at, start + 300);
    CHECK_EQ(timed_out_at, start + 700);
  }
}

TEST(sim_threads, change_without_a_wake_up_wakes_nobody) {
  Fixture f;
  const uint64_t start = f.clock.Now();
  uint64_t woken_at = 0;
  auto sleeper = f.a.Spawn("sleeper", [&] {
    f.a.Wait(f.word, 0, 1'000);
    woken_at = f.clock.Now();
  });
  f.threads.Sleep(10);
  Store(f.word, 1);
  sleeper.reset();
  CHECK_EQ(woken_at, start + 1'000);
}

TEST(sim_threads, deadlines_pass_in_order) {
  Fixture f;
  std::string order;
  std::vector<std::unique_ptr<Thread>> all;
  for (const uint64_t nanos : {30, 10, 20}) {
    all.push_back(f.a.Spawn("sleeper", [&, nanos] {
      f.threads.Sleep(nanos);
      order += std::to_string(nanos) + " ";
    }));
  }
  all.clear();
  CHECK_EQ(order, "10 20 30 ");
}

TEST(sim_threads, spurious_wake_ups_on_demand) {
  Fixture f(Seed(), {.spurious_wakeups = 0.5, .point_nanos = 0});
  const uint64_t start = f.clock.Now();
  for (int i = 0; i < 100; ++i) f.a.Wait(f.word, 0, 1);
  const uint64_t slept = f.clock.Now() - start;
  CHECK(slept > 20 && slept < 80);
}

TEST(sim_threads, time_passes_for_those_who_sleep_while_others_work) {
  Fixture f(Seed(), {.point_nanos = 10});
  bool stop = false;
  uint64_t worked = 0;
  auto busy = f.a.Spawn("busy", [&] {
    while (!stop) {
      ++worked;
      f.threads.SchedulingPoint();
    }
  });
  const uint64_t start = f.clock.Now();
  f.threads.Sleep(1'000);
  CHECK(worked > 50);
  CHECK(f.clock.Now() - start < 1'100);
  stop = true;
}

TEST(sim_threads, wait_until_a_condition_of_another_thread) {
  Fixture f;
  bool ready = false, seen = false;
  auto waiter = f.a.Spawn("waiter", [&] {
    f.threads.WaitUntil(
        "readiness", [&] { return ready; }, true);
    seen = ready;
  });
  f.threads.Sleep(100);
  CHECK(!seen);
  ready = true;
  waiter.reset();
  CHECK(seen);
}

// --- mutexes -------------------------------------------------------------------------------------

TEST(sim_threads, mutex_that_was_never_made_or_is_damaged_is_broken) {
  Fixture f;
  RobustMutex zeroed{};
  CHECK(f.a.Lock(zeroed) == LockResult::kBroken);
  CHECK(f.a.TryLock(zeroed) == LockResult::kBroken);
  for (const size_t at : {0u, 8u}) {
    RobustMutex damaged{};
    f.a.InitMutex(damaged);
    damaged.storage[at] ^= 0x5a;
    CHECK(f.a.Lock(damaged) == LockResult::kBroken);
  }
}

TEST(sim_threads, death_of_the_holder_is_told_once) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Fixture f(seed);
    bool locked = false;
    auto holder = f.a.Spawn("holder", [&] {
      CHECK(f.a.Lock(f.mutex) == LockResult::kLocked);
      locked = true;
      f.threads.Sleep(kForever);
    });
    f.threads.WaitUntil(
        "the lock", [&] { return locked; }, true);
    CHECK(f.b.TryLock(f.mutex) == LockResult::kBusy);
    std::vector<LockResult> results;
    auto waiter = f.b.Spawn("waiter", [&] {
      for (int i = 0; i < 2; ++i) {
        results.push_back(f.b.Lock(f.mutex));
        f.b.Unlock(f.mutex);
      }
    });
    f.threads.KillProcess(1);
    waiter.reset();
    CHECK(results == (std::vector<LockResult>{LockResult::kOwnerDied, LockResult::kLocked}));
    CHECK(f.b.TryLock(f.mutex) == LockResult::kLocked);
    f.b.Unlock(f.mutex);
  }
}

TEST(sim_threads, death_during_the_repair_is_told_again) {
  Fixture f;
  Threads& c = f.threads.ForProcess(3);
  CHECK(f.a.Lock(f.mutex) == LockResult::kLocked);
  f.threads.KillProcess(1);
  CHECK(f.b.Lock(f.mutex) == LockResult::kOwnerDied);
  CHECK(c.TryLock(f.mutex) == LockResult::kBusy);
  f.threads.KillProcess(2);
  CHECK(c.TryLock(f.mutex) == LockResult::kOwnerDied);
  c.Unlock(f.mutex);
  CHECK(f.a.Lock(f.mutex) == LockResult::kLocked);  // the main thread, for a new process
  f.a.Unlock(f.mutex);
}

TEST(sim_threads, orderly_end_of_memory_forgets_its_mutexes) {
  Fixture f;
  {
    auto memory = std::make_unique<RobustMutex>();
    f.a.InitMutex(*memory);
    CHECK(f.a.Lock(*memory) == LockResult::kLocked);
    f.threads.ForgetMutexes(memory->storage, sizeof memory->storage);
  }
  f.threads.KillProcess(1);  // must not touch what is gone: AddressSanitizer watches
  CHECK(f.b.Lock(f.mutex) == LockResult::kLocked);
}

// --- death ---------------------------------------------------------------------------------------

TEST(sim_threads, killed_threads_never_run_again_and_others_do) {
  Fixture f;
  const size_t parked = SimThreads::ParkedThreads();
  std::vector<uint64_t> exits;
  f.threads.SetProcessExit([&](uint64_t process) { exits.push_back(process); });
  int mine = 0, others = 0;
  bool stop = false;
  auto victim = f.a.Spawn("victim", [&] {
    for (;;) {
      ++mine;
      f.threads.SchedulingPoint();
    }
  });
  auto waiting = f.a.Spawn("waiting", [&] { f.a.Wait(f.word, 0, kForever); });
  auto other = f.b.Spawn("other", [&] {
    while (!stop) {
      ++others;
      f.threads.SchedulingPoint();
    }
  });
  while (mine < 10 || others < 10) f.threads.SchedulingPoint();
  f.threads.KillProcess(1);
  CHECK(exits == std::vector<uint64_t>{1});
  CHECK_EQ(SimThreads::ParkedThreads(), parked + 2);
  const int mine_then = mine, others_then = others;
  while (others < others_then + 100) f.threads.SchedulingPoint();
  CHECK_EQ(mine, mine_then);
  victim.reset();  // returns at once
  waiting.reset();
  stop = true;
  other.reset();
  CHECK_EQ(exits.size(), 1u);
}

TEST(sim_threads, kill_after_a_number_of_points) {
  for (uint64_t points = 1; points < 20; ++points) {
    Fixture f(points);
    uint64_t reached = 0;
    f.threads.KillAfter(1, points);
    auto victim = f.a.Spawn("victim", [&] {
      for (;;) {
        ++reached;
        f.threads.SchedulingPoint();
      }
    });
    victim.reset();
    CHECK_EQ(reached, points);
  }
}

TEST(sim_threads, process_can_kill_itself) {
  Fixture f;
  bool before = false, after = false, sibling_ran = false;
  auto sibling = f.a.Spawn("sibling", [&] {
    f.threads.Sleep(1'000);
    sibling_ran = true;
  });
  auto self = f.a.Spawn("self", [&] {
    before = true;
    f.threads.KillProcess(1);
    after = true;
  });
  self.reset();
  sibling.reset();
  f.threads.Sleep(2'000);
  CHECK(before && !after && !sibling_ran);
}

TEST(sim_threads, hung_thread_dies_when_it_is_let_go) {
  Fixture f;
  std::vector<uint64_t> exits;
  f.threads.SetProcessExit([&](uint64_t process) { exits.push_back(process); });
  bool released = false, hangs = false, after = false;
  auto hung = f.a.Spawn("hung", [&] {
    CHECK(f.a.Lock(f.mutex) == LockResult::kLocked);
    hangs = true;
    f.threads.WaitUntil(
        "the disk", [&] { return released; }, false);
    after = true;
  });
  f.threads.WaitUntil(
      "the hang", [&] { return hangs; }, true);
  f.threads.Sleep(10);
  f.threads.KillProcess(1);
  f.threads.Sleep(1'000);
  CHECK(exits.empty());
  CHECK(f.b.TryLock(f.mutex) == LockResult::kBusy);
  released = true;
  f.threads.Sleep(1);
  CHECK(exits == std::vector<uint64_t>{1});
  CHECK(f.b.TryLock(f.mutex) == LockResult::kOwnerDied);
  hung.reset();
  CHECK(!after);
}

TEST(sim_threads, end_of_the_world_parks_whoever_runs) {
  const size_t parked = SimThreads::ParkedThreads();
  std::vector<std::unique_ptr<Thread>> longer_than_the_world;
  {
    Fixture f;
    for (Threads* threads : {&f.a, &f.b}) {
      longer_than_the_world.push_back(
          threads->Spawn("endless", [&] { f.threads.Sleep(kForever); }));
    }
    f.threads.SchedulingPoint();
  }
  CHECK_EQ(SimThreads::ParkedThreads(), parked + 2);
}

// --- what ends the program -----------------------------------------------------------------------

TEST(sim_threads, deadlock_names_everybody) {
  const std::string text = AbortText([] {
    Fixture f;
    RobustMutex second{};
    f.a.InitMutex(second);
    const auto both = [&](Threads& threads, RobustMutex& one, RobustMutex& other) {
      (void)threads.Lock(one);
      f.threads.Sleep(10);
      (void)threads.Lock(other);
    };
    auto left = f.a.Spawn("left", [&] { both(f.a, f.mutex, second); });
    auto right = f.b.Spawn("right", [&] { both(f.b, second, f.mutex); });
    left.reset();
  });
  CHECK(Holds(text, "deadlock"));
  CHECK(Holds(text, "left (process 1) waits for a mutex that right holds"));
  CHECK(Holds(text, "right (process 2) waits for a mutex that left holds"));
  CHECK(Holds(text, "main (process 0) waits for left to end"));
}

TEST(sim_threads, waiting_alone_for_ever_is_a_deadlock) {
  const std::string text = AbortText([] {
    Fixture f;
    f.a.Wait(f.word, 0, kForever);
  });
  CHECK(Holds(text, "main (process 0) waits for a word to change from 0"));
}

TEST(sim_threads, recursion_is_reported) {
  const std::string text = AbortText([] {
    Fixture f;
    (void)f.a.Lock(f.mutex);
    (void)f.a.Lock(f.mutex);
  });
  CHECK(Holds(text, "a thread locks a mutex that it holds"));
}

TEST(sim_threads, unlock_without_lock_is_a_failed_check) {
  const std::string text = AbortText([] {
    Fixture f;
    f.a.Unlock(f.mutex);
  });
  CHECK(Holds(text, "sim_threads.cc"));
}

TEST(sim_threads, endless_loop_is_reported) {
  const std::string text = AbortText([] {
    Fixture f(1, {.max_points = 1'000});
    for (;;) f.threads.SchedulingPoint();
  });
  CHECK(Holds(text, "too many scheduling points"));
}

}  // namespace
}  // namespace ringleader::test
