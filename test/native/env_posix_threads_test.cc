// Mutexes, futex words and threads of the real world, between threads and between processes.
#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "child_process.h"
#include "concurrent.h"
#include "env/env.h"
#include "harness.h"

namespace ringleader {
namespace {

constexpr uint64_t kMilli = 1'000'000;
constexpr uint64_t kSecond = 1'000'000'000;

Threads& T() { return PosixEnv().threads; }
uint64_t Now() { return PosixEnv().clock.MonotonicNanos(); }
void SleepMillis(unsigned millis) { usleep(millis * 1000); }

// What the processes of a test share.
struct Shared {
  RobustMutex mutex;
  std::atomic<uint32_t> word{0};
  std::atomic<int> state{0};
  uint64_t guarded = 0;
};

void AwaitState(const Shared& shared, int expected) {
  AWAIT(shared.state.load(std::memory_order_acquire) == expected);
}

// Locks the mutex in a child that is then killed.
void DieHolding(Shared& shared) {
  shared.state.store(0, std::memory_order_release);
  test::Child child([&] {
    CHECK(T().Lock(shared.mutex) != LockResult::kBroken);
    shared.state.store(1, std::memory_order_release);
    for (;;) pause();
  });
  AwaitState(shared, 1);
  CHECK(T().TryLock(shared.mutex) == LockResult::kBusy);
  child.Kill();
}

}  // namespace

TEST(env_posix_mutex, excludes_threads) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  constexpr int kThreads = 4;
  const uint64_t rounds = test::Scale(5'000);
  {
    std::vector<std::unique_ptr<Thread>> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.push_back(T().Spawn("adder", [&] {
        for (uint64_t n = 0; n < rounds; ++n) {
          RL_CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
          ++shared->guarded;
          T().Unlock(shared->mutex);
        }
      }));
    }
  }
  CHECK_EQ(shared->guarded, kThreads * rounds);
}

TEST(env_posix_mutex, excludes_processes) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  const uint64_t rounds = test::Scale(5'000);
  const auto add = [&] {
    for (uint64_t n = 0; n < rounds; ++n) {
      CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
      const uint64_t before = shared->guarded;
      if (n % 64 == 0) sched_yield();  // while the others want it
      shared->guarded = before + 1;
      T().Unlock(shared->mutex);
    }
  };
  test::Child one(add), two(add);
  add();
  one.Join();
  two.Join();
  CHECK_EQ(shared->guarded, 3 * rounds);
}

TEST(env_posix_mutex, try_lock_does_not_wait) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  CHECK(T().TryLock(shared->mutex) == LockResult::kLocked);
  const auto other = T().Spawn("other", [&] {
    shared->state.store(T().TryLock(shared->mutex) == LockResult::kBusy ? 1 : 2,
                        std::memory_order_release);
  });
  AwaitState(*shared, 1);
  T().Unlock(shared->mutex);
  CHECK(T().TryLock(shared->mutex) == LockResult::kLocked);
  T().Unlock(shared->mutex);
}

TEST(env_posix_mutex, lock_sleeps_until_unlocked) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
  // Longer than the slice in which it sleeps, once.
  constexpr uint64_t kHeld = 1'200 * kMilli;
  auto waiter = T().Spawn("waiter", [&] {
    shared->state.store(1, std::memory_order_release);
    RL_CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
    RL_CHECK(shared->guarded == 1);
    T().Unlock(shared->mutex);
  });
  AwaitState(*shared, 1);
  timespec cpu_before, cpu_after;
  CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_before), 0);
  SleepMillis(kHeld / kMilli);
  CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_after), 0);
  shared->guarded = 1;
  T().Unlock(shared->mutex);
  waiter.reset();
  const int64_t spun = (cpu_after.tv_sec - cpu_before.tv_sec) * int64_t{kSecond} +
                       (cpu_after.tv_nsec - cpu_before.tv_nsec);
  CHECK(spun < int64_t{kHeld / 10});
}

// By the unlock itself, and not when the waiter looks again of its own accord. On a busy machine
// it may be woken at once and get a processor much later, though not every time.
TEST(env_posix_mutex, unlock_wakes_a_waiter_in_another_process) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  test::SharedValue<std::atomic<uint64_t>> woken_at;
  constexpr uint64_t kAtOnce = 500 * kMilli;
  uint64_t shortest = kAtOnce;
  for (int round = 0; round < 10 && shortest >= kAtOnce; ++round) {
    shared->state.store(0, std::memory_order_release);
    CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
    test::Child waiter([&] {
      shared->state.store(1, std::memory_order_release);
      CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
      woken_at->store(Now(), std::memory_order_release);
      T().Unlock(shared->mutex);
    });
    AwaitState(*shared, 1);
    SleepMillis(100);  // it sleeps now, for 900 ms more if nobody wakes it
    const uint64_t unlocked_at = Now();
    T().Unlock(shared->mutex);
    waiter.Join();
    shortest = std::min(shortest, woken_at->load(std::memory_order_acquire) - unlocked_at);
  }
  CHECK(shortest < kAtOnce);
}

TEST(env_posix_mutex, the_death_of_the_holder_is_reported_once) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  DieHolding(*shared);
  CHECK(T().Lock(shared->mutex) == LockResult::kOwnerDied);
  T().Unlock(shared->mutex);
  CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
  T().Unlock(shared->mutex);
  DieHolding(*shared);
  CHECK(T().TryLock(shared->mutex) == LockResult::kOwnerDied);
  T().Unlock(shared->mutex);
  CHECK(T().TryLock(shared->mutex) == LockResult::kLocked);
  T().Unlock(shared->mutex);
}

TEST(env_posix_mutex, a_death_during_the_repair_is_reported_again) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  for (int i = 0; i < 3; ++i) DieHolding(*shared);
  CHECK(T().Lock(shared->mutex) == LockResult::kOwnerDied);
  T().Unlock(shared->mutex);
}

TEST(env_posix_mutex, a_sleeping_waiter_learns_of_the_death) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  test::Child holder([&] {
    CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
    shared->state.store(1, std::memory_order_release);
    for (;;) pause();
  });
  AwaitState(*shared, 1);
  test::Child waiter([&] {
    shared->state.store(2, std::memory_order_release);
    CHECK(T().Lock(shared->mutex) == LockResult::kOwnerDied);
    T().Unlock(shared->mutex);
  });
  AwaitState(*shared, 2);
  SleepMillis(20);  // it is past its spinning now
  holder.Kill();
  waiter.Join();
}

TEST(env_posix_mutex, a_thread_that_ends_counts_as_dead) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  T().Spawn("holder", [&] { RL_CHECK(T().Lock(shared->mutex) == LockResult::kLocked); }).reset();
  CHECK(T().Lock(shared->mutex) == LockResult::kOwnerDied);
  T().Unlock(shared->mutex);
}

// Kills one of several processes at random moments; what the mutex guards is never seen half-done
// without kOwnerDied, and never stays locked.
TEST(env_posix_mutex, survives_kills_at_random_moments) {
  struct Guarded {
    RobustMutex mutex;
    volatile uint64_t first = 0, second = 0;
    std::atomic<uint64_t> rounds{0}, deaths{0};
  };
  test::SharedValue<Guarded> shared;
  T().InitMutex(shared->mutex);
  const auto work = [&] {
    for (;;) {
      const LockResult lock = T().Lock(shared->mutex);
      CHECK(lock == LockResult::kLocked || lock == LockResult::kOwnerDied);
      if (lock == LockResult::kOwnerDied) {
        shared->deaths.fetch_add(1, std::memory_order_acq_rel);
        shared->second = shared->first;
      }
      CHECK(shared->first == shared->second);
      shared->first = shared->first + 1;
      for (int i = 0; i < 200; ++i) asm volatile("" ::: "memory");
      shared->second = shared->second + 1;
      T().Unlock(shared->mutex);
      shared->rounds.fetch_add(1, std::memory_order_acq_rel);
    }
  };
  test::Child survivor(work);
  uint64_t random = test::Seed();
  for (uint64_t kills = 0; kills < test::Scale(60); ++kills) {
    const uint64_t before = shared->rounds.load(std::memory_order_acquire);
    test::Child victim(work);
    random = random * 6364136223846793005u + 1442695040888963407u;
    usleep(static_cast<useconds_t>(500 + (random >> 33) % 3000));
    victim.Kill();
    AWAIT(shared->rounds.load(std::memory_order_acquire) >= before + 10);
  }
  survivor.Kill();
  const LockResult last = T().Lock(shared->mutex);
  CHECK(last == LockResult::kLocked || last == LockResult::kOwnerDied);
  T().Unlock(shared->mutex);
}

TEST(env_posix_mutex, damaged_memory_is_broken) {
  test::SharedValue<Shared> shared;
  CHECK(T().Lock(shared->mutex) == LockResult::kBroken);  // zeroed, never prepared
  CHECK(T().TryLock(shared->mutex) == LockResult::kBroken);
  T().InitMutex(shared->mutex);
  std::memset(shared->mutex.storage, 0xff, sizeof shared->mutex.storage);
  CHECK(T().Lock(shared->mutex) == LockResult::kBroken);
  CHECK(T().TryLock(shared->mutex) == LockResult::kBroken);
  std::memset(shared->mutex.storage, 0, sizeof shared->mutex.storage);
  T().InitMutex(shared->mutex);
  CHECK(T().Lock(shared->mutex) == LockResult::kLocked);
  T().Unlock(shared->mutex);
}

// Somebody unlocked after a death without the repair: the C library gives the mutex up for good.
TEST(env_posix_mutex, given_up_is_broken) {
  test::SharedValue<Shared> shared;
  T().InitMutex(shared->mutex);
  DieHolding(*shared);
  auto* raw = reinterpret_cast<pthread_mutex_t*>(shared->mutex.storage);
  CHECK_EQ(pthread_mutex_lock(raw), EOWNERDEAD);
  CHECK_EQ(pthread_mutex_unlock(raw), 0);
  CHECK(T().Lock(shared->mutex) == LockResult::kBroken);
  CHECK(T().TryLock(shared->mutex) == LockResult::kBroken);
  CHECK(T().Lock(shared->mutex) == LockResult::kBroken);
  test::Child other([&] { CHECK(T().Lock(shared->mutex) == LockResult::kBroken); });
  other.Join();
}

TEST(env_posix_futex, wait_returns_at_once_when_the_word_differs) {
  std::atomic<uint32_t> word{7};
  const uint64_t begin = Now();
  T().Wait(word, 6, 20 * kSecond);
  CHECK(Now() - begin < 5 * kSecond);
}

TEST(env_posix_futex, wait_ends_at_its_time) {
  std::atomic<uint32_t> word{7};
  for (const uint64_t timeout : {uint64_t{0}, uint64_t{1}, kMilli, 60 * kMilli}) {
    const uint64_t begin = Now();
    T().Wait(word, 7, timeout);
    const uint64_t waited = Now() - begin;
    CHECK(waited >= timeout && waited < timeout + 5 * kSecond);
  }
}

TEST(env_posix_futex, wake_crosses_processes) {
  test::SharedValue<Shared> shared;
  const auto wait = [&] {
    shared->state.fetch_add(1, std::memory_order_acq_rel);
    const uint64_t begin = Now();
    while (shared->word.load(std::memory_order_acquire) == 0)
      T().Wait(shared->word, 0, kSecond * 30);
    CHECK(Now() - begin < 20 * kSecond);
  };
  test::Child one(wait), two(wait);
  AwaitState(*shared, 2);
  SleepMillis(30);  // both sleep now
  shared->word.store(1, std::memory_order_release);
  T().WakeAll(shared->word);
  one.Join();
  two.Join();
}

// The longest time the kernel is ever asked for; a signal ends it.
TEST(env_posix_futex, an_endless_wait_is_possible) {
  test::SharedValue<Shared> shared;
  auto waiter = T().Spawn("waiter", [&] {
    shared->state.store(1, std::memory_order_release);
    while (shared->word.load(std::memory_order_acquire) == 0) {
      T().Wait(shared->word, 0, UINT64_MAX);
      shared->guarded++;
    }
  });
  AwaitState(*shared, 1);
  SleepMillis(30);
  shared->word.store(1, std::memory_order_release);
  T().WakeAll(shared->word);
  waiter.reset();
  CHECK(shared->guarded <= 1);  // it slept and did not spin on an error
}

TEST(env_posix_thread, destruction_joins) {
  std::atomic<bool> done{false};
  {
    const auto thread = T().Spawn("t", [&] {
      SleepMillis(20);
      done.store(true, std::memory_order_release);
    });
  }
  CHECK(done.load(std::memory_order_acquire));
}

TEST(env_posix_thread, has_its_name) {
  for (const size_t length : {1u, 14u, 15u}) {
    const std::string name(length, 'x');
    std::string seen;
    T().Spawn(name,
              [&] {
                char buffer[32] = {};
                RL_CHECK(pthread_getname_np(pthread_self(), buffer, sizeof buffer) == 0);
                seen = buffer;
              })
        .reset();
    CHECK_EQ(seen, name);
  }
  test::Child child([] {
    fclose(stderr);
    (void)T().Spawn(std::string(16, 'x'), [] {});
  });
  CHECK_EQ(child.JoinKilled(), SIGABRT);
}

TEST(env_posix_thread, is_left_alone_by_signals) {
  sigset_t before, none, after, inside;
  sigemptyset(&none);
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &none, &before), 0);
  T().Spawn("t", [&] { RL_CHECK(pthread_sigmask(SIG_SETMASK, nullptr, &inside) == 0); }).reset();
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, &after), 0);
  for (const int blocked : {SIGINT, SIGTERM, SIGHUP, SIGPROF, SIGALRM, SIGCHLD, SIGUSR1, SIGPIPE}) {
    CHECK_EQ(sigismember(&inside, blocked), 1);
    CHECK_EQ(sigismember(&after, blocked), 0);
  }
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    CHECK_EQ(sigismember(&inside, fault), 0);
  }
}

TEST(env_posix_thread, many_short_ones) {
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) {
    T().Spawn("short", [&] { ran.fetch_add(1, std::memory_order_acq_rel); }).reset();
  }
  CHECK_EQ(ran.load(std::memory_order_acquire), 100);
}

}  // namespace ringleader
