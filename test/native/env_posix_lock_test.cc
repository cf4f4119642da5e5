// Byte locks: between files of one process, between processes, across death and signals.
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>

#include "child_process.h"
#include "concurrent.h"
#include "env/env.h"
#include "harness.h"

namespace ringleader {
namespace {

std::atomic<int> g_alarms{0};

std::unique_ptr<File> OpenFile(const std::string& path) {
  CHECK_VALUE(std::unique_ptr<File> file, PosixEnv().files.Open(path, OpenMode::kCreate));
  return file;
}

void SleepMillis(unsigned millis) { usleep(millis * 1000); }

}  // namespace

TEST(env_posix_lock, readers_share_and_writers_do_not) {
  const std::string path = JoinPath(test::TempDir(), "lock");
  const auto a = OpenFile(path), b = OpenFile(path);
  CHECK_OK(a->TryLock(5, false));
  CHECK_OK(b->TryLock(5, false));
  CHECK_CODE(a->TryLock(5, true), Code::kBusy);
  CHECK_OK(b->Unlock(5));
  CHECK_OK(a->TryLock(5, true));
  CHECK_CODE(b->TryLock(5, false), Code::kBusy);
  CHECK_CODE(b->TryLock(5, true), Code::kBusy);
  CHECK_OK(a->Lock(5, false));  // now shared
  CHECK_OK(b->TryLock(5, false));
}

TEST(env_posix_lock, each_byte_is_a_lock_of_its_own) {
  const std::string path = JoinPath(test::TempDir(), "lock");
  const auto a = OpenFile(path), b = OpenFile(path);
  CHECK_OK(a->TryLock(5, true));
  CHECK_OK(b->TryLock(4, true));
  CHECK_OK(b->TryLock(6, true));
  CHECK_CODE(b->TryLock(5, true), Code::kBusy);
  CHECK_OK(b->Unlock(5));  // not its own: nothing happens
  CHECK_CODE(b->TryLock(5, true), Code::kBusy);
}

TEST(env_posix_lock, a_file_keeps_its_locks_when_another_is_closed) {
  const std::string path = JoinPath(test::TempDir(), "lock");
  const auto a = OpenFile(path);
  CHECK_OK(a->TryLock(0, true));
  OpenFile(path).reset();
  const auto b = OpenFile(path);
  CHECK_CODE(b->TryLock(0, true), Code::kBusy);
}

TEST(env_posix_lock, closing_unlocks) {
  const std::string path = JoinPath(test::TempDir(), "lock");
  auto a = OpenFile(path);
  const auto b = OpenFile(path);
  CHECK_OK(a->TryLock(0, true));
  a.reset();
  CHECK_OK(b->TryLock(0, true));
}

TEST(env_posix_lock, two_processes_conflict_until_one_dies) {
  const std::string path = JoinPath(test::TempDir(), "lock");
  test::SharedValue<std::atomic<int>> state;
  test::Child child([&] {
    const auto file = OpenFile(path);
    CHECK_OK(file->Lock(7, true));
    CHECK_OK(file->Lock(8, false));
    state->store(1, std::memory_order_release);
    for (;;) pause();
  });
  AWAIT(state->load(std::memory_order_acquire) == 1);
  const auto file = OpenFile(path);
  CHECK_CODE(file->TryLock(7, true), Code::kBusy);
  CHECK_CODE(file->TryLock(7, false), Code::kBusy);
  CHECK_CODE(file->TryLock(8, true), Code::kBusy);
  CHECK_OK(file->TryLock(8, false));
  child.Kill();
  CHECK_OK(file->TryLock(7, true));
  CHECK_OK(file->TryLock(8, true));
}

TEST(env_posix_lock, lock_waits_through_signals) {
  const std::string path = JoinPath(test::TempDir(), "lock");
  test::SharedValue<std::atomic<int>> waiting, released;
  const auto holder = OpenFile(path);
  CHECK_OK(holder->Lock(0, true));
  test::Child waiter([&] {
    struct sigaction action = {};
    action.sa_handler = [](int) { g_alarms.fetch_add(1, std::memory_order_acq_rel); };
    CHECK_EQ(sigaction(SIGALRM, &action, nullptr), 0);  // without SA_RESTART
    const itimerval every_milli = {{0, 1000}, {0, 1000}};
    CHECK_EQ(setitimer(ITIMER_REAL, &every_milli, nullptr), 0);
    const auto file = OpenFile(path);
    waiting->store(1, std::memory_order_release);
    CHECK_OK(file->Lock(0, true));
    CHECK_EQ(released->load(std::memory_order_acquire), 1);
    // Fifty or so; ThreadSanitizer holds them back during the call and delivers one.
    CHECK(g_alarms.load(std::memory_order_acquire) >= 1);
  });
  AWAIT(waiting->load(std::memory_order_acquire) == 1);
  SleepMillis(50);
  released->store(1, std::memory_order_release);
  CHECK_OK(holder->Unlock(0));
  waiter.Join();
}

}  // namespace ringleader
