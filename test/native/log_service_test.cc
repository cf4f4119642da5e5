// The flushing thread tells at once what has been reached, whoever reached it.
//
// In simulated time: a notification that is missed comes with the thread's next look around, a
// second later.
#include <algorithm>

#include "env/sim/sim_env.h"
#include "log_fixture.h"

namespace ringleader {
namespace {

using test::AppendOne;
using test::OpenLog;
using test::Scale;
using test::Seed;
using test::SmallLog;

constexpr char kDirectory[] = "env";
constexpr uint64_t kAtOnceNs = 50'000'000;
constexpr uint64_t kLongNs = 5'000'000'000;

// How long after a request and its fulfilment by another process `asking` is told. `together`: the
// two happen in any order, step by step.
uint64_t NanosUntilTold(uint64_t seed, Level level, bool together) {
  SimWorld world({.seed = seed});
  LogOptions options = SmallLog();
  options.service_threads = true;
  options.flush_interval_ns = 2 * kLongNs;  // nothing is flushed that nobody asks for
  // Outlive the log that calls back, however the test ends.
  Lsn asked = kMaxLsn;
  uint64_t told_at = 0;
  const auto asking = OpenLog(world.StartProcess().env(), kDirectory, options);
  SimProcess& other = world.StartProcess();
  const auto flushing = OpenLog(other.env(), kDirectory, SmallLog());
  asking->OnProgress([&] {
    if (told_at == 0 && asking->Reached(asked, level)) told_at = world.clock().MonotonicNanos();
  });
  // The thread has seen all there was, and sleeps.
  AppendOne(*flushing, 0, 100);
  CHECK_OK(flushing->WaitFor(flushing->Stat().tail, Level::kFlushed));
  world.threads().Sleep(kLongNs);
  const Lsn end = AppendOne(*flushing, 1, 100).end;
  const auto flush = [&] { CHECK_OK(flushing->WaitFor(end, level)); };
  std::unique_ptr<Thread> thread;
  if (together) {
    thread = other.env().threads.Spawn("flush", flush);
  } else {
    flush();
  }
  asked = end;
  asking->Request(end, level);
  thread.reset();
  const uint64_t done_at = world.clock().MonotonicNanos();
  while (told_at == 0 && world.clock().MonotonicNanos() < done_at + kLongNs) {
    world.threads().Sleep(1'000'000);
  }
  CHECK(told_at != 0);
  CHECK_OK(flushing->Close());
  CHECK_OK(asking->Close());
  return told_at - std::min(told_at, done_at);
}

TEST(log_service, a_request_that_another_process_has_fulfilled_is_told_at_once) {
  for (const Level level : {Level::kWritten, Level::kFlushed}) {
    CHECK(NanosUntilTold(Seed(), level, false) < kAtOnceNs);
  }
}

TEST(log_service, a_request_that_another_process_is_fulfilling_is_told_at_once) {
  for (uint64_t run = 0; run < Scale(60); ++run) {
    const uint64_t seed = Seed() * 1000 + run;
    for (const Level level : {Level::kWritten, Level::kFlushed}) {
      const uint64_t nanos = NanosUntilTold(seed, level, true);
      if (nanos >= kAtOnceNs) {
        test::Fail(__FILE__, __LINE__,
                   "told after " + std::to_string(nanos) + " ns, seed " + std::to_string(seed));
      }
    }
  }
}

}  // namespace
}  // namespace ringleader
