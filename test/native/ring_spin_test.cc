// When it is worth to look on before sleeping.
#include <sched.h>

#include <filesystem>
#include <fstream>

#include "env/env.h"
#include "harness.h"
#include "transport/ring/spin.h"

namespace ringleader {
namespace {

using namespace test;

// A tree of the kernel's files.
class FakeRoot {
 public:
  FakeRoot() : root_(MemoryDir() + "/") {}
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text << std::flush;
  }
  unsigned Usable() { return UsableProcessors(PosixEnv().files, root_); }

 private:
  const std::string root_;
};

unsigned Affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  return static_cast<unsigned>(CPU_COUNT(&set));
}

TEST(ring_spin, processors_are_those_of_the_affinity_mask) {
  FakeRoot root;
  CHECK_EQ(root.Usable(), Affinity());
  cpu_set_t before;
  CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
  }
  CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  const unsigned usable = root.Usable();
  CHECK_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  CHECK_EQ(usable, 1u);
}

TEST(ring_spin, a_quota_allows_fewer) {
  const unsigned all = Affinity();
  const auto usable = [](const std::string& groups,
                         std::initializer_list<std::pair<const char*, const char*>> files) {
    FakeRoot root;
    root.Write("proc/self/cgroup", groups);
    for (const auto& [path, text] : files) root.Write(path, text);
    return root.Usable();
  };
  const std::string second = "0::/a/b\n";
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/a/b/cpu.max", "100000 100000\n"}}), 1u);
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/a/b/cpu.max", "50000 100000\n"}}), 1u);
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"}}), all < 2 ? all : 2);
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"}}), all);
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/a/cpu.max", "90000 100000\n"}}), 1u);
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/cpu.max", "90000 100000\n"}}), 1u);
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/a/b/cpu.max", "hello"}}), all);
  CHECK_EQ(usable(second, {{"sys/fs/cgroup/a/b/cpu.max", "1 0\n"}}), all);
  const std::string first = "5:cpuset:/x\n4:cpuacct,cpu:/a\n0::/\n";
  CHECK_EQ(usable(first, {{"sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000\n"},
                          {"sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"}}),
           1u);
  CHECK_EQ(usable(first, {{"sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n"},
                          {"sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"}}),
           all);
  CHECK_EQ(usable("no colon\n:\n::\n", {}), all);
}

TEST(ring_spin, never_with_fewer_than_three_processors) {
  for (const unsigned processors : {1u, 2u, 3u, 4u}) {
    AdaptiveSpin spin(processors);
    for (uint64_t now = 1'000'000; now < 2'000'000; now += 1000) spin.Arrived(now);
    CHECK_EQ(spin.BudgetNs(true) > 0, processors >= kSpinProcessors);
    CHECK_EQ(spin.BudgetNs(false) > 0, processors >= kSpinProcessors);
  }
}

TEST(ring_spin, only_while_messages_come_sooner_than_a_wake_up) {
  AdaptiveSpin spin(8);
  CHECK_EQ(spin.BudgetNs(false), 0u);
  CHECK(spin.BudgetNs(true) >= kMinSpinNs);
  uint64_t now = 1'000'000'000;
  const auto arrive = [&](uint64_t gap_ns, int times) {
    for (int i = 0; i < times; ++i) spin.Arrived(now += gap_ns);
  };
  arrive(2'000, 30);
  CHECK(spin.BudgetNs(false) > 0);
  arrive(1'000'000, 1);
  CHECK_EQ(spin.BudgetNs(false), 0u);
  arrive(2'000, 30);
  CHECK(spin.BudgetNs(false) > 0);
  arrive(100'000, 10);
  CHECK_EQ(spin.BudgetNs(false), 0u);
}

TEST(ring_spin, as_long_as_a_wake_up_takes) {
  AdaptiveSpin spin(8);
  const auto after = [&](uint64_t cost_ns) {
    for (int i = 0; i < 60; ++i) spin.Woken(cost_ns);
    return spin.BudgetNs(true);
  };
  CHECK_EQ(after(100), kMinSpinNs);
  CHECK_EQ(after(10'000'000), kMaxSpinNs);
  const uint64_t budget = after(20'000);
  CHECK(budget > 19'000 && budget < 21'000);
}

class CountingClock : public Clock {
 public:
  uint64_t MonotonicNanos() override { return now += 1000; }
  uint64_t WallMicros() override { return 0; }
  uint64_t now = 0;
};

TEST(ring_spin, it_looks_until_there_is_something_or_the_time_is_over) {
  AdaptiveSpin spin(8);
  CountingClock clock;
  uint64_t looks = 0;
  CHECK(spin.Spin(clock, true, [&] { return ++looks == 40; }));
  CHECK_EQ(looks, 40u);
  looks = 0;
  const uint64_t began = clock.now;
  CHECK(!spin.Spin(clock, true, [&] { return ++looks == 0; }));
  CHECK(looks > 40);
  CHECK(clock.now - began >= spin.BudgetNs(true));
  CHECK(clock.now - began <= spin.BudgetNs(true) + 3000);
  AdaptiveSpin never(2);
  CHECK(!never.Spin(clock, true, [] { return true; }));
}

}  // namespace
}  // namespace ringleader
