// Clock, random bits, host.
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "child_process.h"
#include "env/env.h"
#include "env_posix_mount.h"
#include "harness.h"

namespace ringleader {

TEST(env_posix_clock, monotonic_time_passes_and_never_goes_back) {
  Clock& clock = PosixEnv().clock;
  const uint64_t begin = clock.MonotonicNanos();
  uint64_t last = begin;
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t now = clock.MonotonicNanos();
    CHECK(now >= last);
    last = now;
  }
  usleep(2000);
  const uint64_t slept = clock.MonotonicNanos() - begin;
  CHECK(slept >= 2'000'000 && slept < 60'000'000'000);
}

TEST(env_posix_clock, monotonic_time_is_the_same_in_all_processes) {
  Clock& clock = PosixEnv().clock;
  test::SharedValue<uint64_t> theirs;
  const uint64_t before = clock.MonotonicNanos();
  test::Child child([&] { *theirs = PosixEnv().clock.MonotonicNanos(); });
  child.Join();
  CHECK(*theirs >= before && *theirs <= clock.MonotonicNanos());
}

TEST(env_posix_clock, wall_time_is_in_microseconds_since_1970) {
  const uint64_t now = PosixEnv().clock.WallMicros();
  const auto seconds = static_cast<uint64_t>(time(nullptr));
  CHECK(now / 1'000'000 <= seconds && seconds <= now / 1'000'000 + 5);
}

TEST(env_posix_random, fills_all_of_it_with_something_else_each_time) {
  Random& random = PosixEnv().random;
  for (const size_t size : {1u, 255u, 256u, 257u, 100'000u}) {
    std::vector<uint8_t> bytes(size + 2, 0);
    // The chance that a byte is still zero after 16 fillings is 2^-128.
    std::vector<uint8_t> touched(size, 0);
    for (int i = 0; i < 16; ++i) {
      random.Fill(MutableBytes(bytes).subspan(1, size));
      for (size_t k = 0; k < size; ++k) touched[k] |= bytes[k + 1];
    }
    CHECK(std::all_of(touched.begin(), touched.end(), [](uint8_t byte) { return byte != 0; }));
    CHECK(bytes.front() == 0 && bytes.back() == 0);
  }
  random.Fill({});
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) CHECK(seen.insert(random.Next64()).second);
}

TEST(env_posix_host, boot_id_is_that_of_the_kernel) {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string expected, got;
  if (!(file >> expected)) throw test::Skip{"no /proc/sys/kernel/random/boot_id"};
  const HostIdentity identity = PosixEnv().host.Identity();
  for (size_t i = 0; i < identity.boot_id.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) got += '-';
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", identity.boot_id[i]);
    got += digits;
  }
  CHECK_EQ(got, expected);
}

TEST(env_posix_host, processes_of_one_host_agree) {
  test::SharedValue<HostIdentity> theirs;
  test::SharedValue<uint32_t> their_pid;
  test::Child child([&] {
    *theirs = PosixEnv().host.Identity();
    *their_pid = PosixEnv().host.ProcessId();
  });
  const auto pid = static_cast<uint32_t>(child.pid());
  child.Join();
  const HostIdentity mine = PosixEnv().host.Identity();
  CHECK(mine.boot_id == theirs->boot_id);
  CHECK_EQ(mine.pid_namespace, theirs->pid_namespace);
  CHECK(mine.pid_namespace != 0);
  CHECK_EQ(*their_pid, pid);
  CHECK_EQ(PosixEnv().host.ProcessId(), static_cast<uint32_t>(getpid()));
}

TEST(env_posix_host, another_pid_namespace_is_told_apart) {
  test::SharedValue<HostIdentity> theirs;
  test::Child child([&] {
    if (!test::Unshare(CLONE_NEWPID)) {
      throw test::Skip{std::string("cannot make a PID namespace: ") + strerror(errno)};
    }
    // /proc is still that of the old namespace, where this grandchild has an ordinary number.
    test::Child grandchild([&] { *theirs = PosixEnv().host.Identity(); });
    grandchild.Join();
  });
  child.Join();
  const HostIdentity mine = PosixEnv().host.Identity();
  CHECK(mine.boot_id == theirs->boot_id);
  CHECK(mine.pid_namespace != theirs->pid_namespace);
}

TEST(env_posix_host, without_proc_nothing_is_shared) {
  test::SharedValue<HostIdentity> theirs, again;
  test::Child child([&] {
    if (!test::Unshare(CLONE_NEWNS)) {
      throw test::Skip{std::string("cannot make a mount namespace: ") + strerror(errno)};
    }
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/proc", "tmpfs", 0, nullptr) != 0) {
      throw test::Skip{std::string("cannot cover /proc: ") + strerror(errno)};
    }
    *theirs = PosixEnv().host.Identity();
    *again = PosixEnv().host.Identity();
  });
  child.Join();
  const HostIdentity mine = PosixEnv().host.Identity();
  CHECK(mine.boot_id != theirs->boot_id);
  CHECK(mine.pid_namespace != theirs->pid_namespace);
  // All zeros would be the same on every host.
  CHECK(theirs->boot_id != HostIdentity().boot_id);
  CHECK(theirs->pid_namespace != 0);
  CHECK(theirs->boot_id == again->boot_id);
  CHECK_EQ(theirs->pid_namespace, again->pid_namespace);
}

TEST(env_posix_env, is_one) { CHECK_EQ(&PosixEnv(), &PosixEnv()); }

}  // namespace ringleader
