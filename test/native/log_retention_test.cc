// Consumers: their caps, their limits, and what a restart keeps of them.
#include "env/sim/sim_env.h"
#include "log_fixture.h"

namespace ringleader {
namespace {

using test::AppendOne;
using test::OpenLog;
using test::ReadAll;
using test::SmallLog;

constexpr char kDirectory[] = "env";
constexpr uint64_t kHourUs = 3'600'000'000;

// Fills `segments` segments, flushed, with housekeeping on the way.
void Fill(Log& log, uint64_t segments) {
  const uint64_t until = log.Stat().tail.value + segments * kMinSegmentBytes;
  while (log.Stat().tail.value < until) {
    CHECK_OK(log.WaitFor(AppendOne(log, 0, 5000).end, Level::kFlushed));
    CHECK_OK(log.Tick());
  }
}

Consumer Find(Log& log, const std::string& name) {
  CHECK_VALUE(const std::vector<Consumer> consumers, log.Consumers());
  for (const Consumer& consumer : consumers) {
    if (consumer.name == name) return consumer;
  }
  test::Fail(__FILE__, __LINE__, "no consumer " + name);
}

TEST(log_retention, age_caps_count_from_the_last_write_to_a_segment) {
  SimWorld world;
  const auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  CHECK_OK(log->PutConsumer({"old", Lsn(), 0, kHourUs, false}));
  CHECK_OK(log->WaitFor(AppendOne(*log, 0, 100).end, Level::kFlushed));
  world.clock().Advance(2 * kHourUs * 1000);
  CHECK_OK(log->Tick());
  CHECK(!Find(*log, "old").broken);  // what it needs is still being written to
  Fill(*log, 2);                     // closed, its last record two hours after the first
  world.clock().Advance(kHourUs * 1000 / 2);
  CHECK_OK(log->Tick());
  CHECK(!Find(*log, "old").broken);
  world.clock().Advance(kHourUs * 1000);
  CHECK_OK(log->Tick());
  CHECK(Find(*log, "old").broken);
}

TEST(log_retention, byte_caps_break_at_the_first_byte_over) {
  SimWorld world;
  const auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  const Appended first = AppendOne(*log, 0, 100);
  const Appended second = AppendOne(*log, 1, 100);
  CHECK_OK(log->WaitFor(second.end, Level::kFlushed));
  const uint64_t lag = second.end - first.lsn;
  CHECK_OK(log->PutConsumer({"over", first.lsn, lag - 1, 0, false}));
  CHECK_OK(log->PutConsumer({"at", first.lsn, lag, 0, false}));
  CHECK_OK(log->PutConsumer({"under", first.lsn, lag + 1, 0, false}));
  CHECK_OK(log->Tick());
  CHECK(Find(*log, "over").broken);
  CHECK(!Find(*log, "at").broken);
  CHECK(!Find(*log, "under").broken);
}

TEST(log_retention, limits_of_names_and_of_their_number) {
  SimWorld world;
  const auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  const auto put = [&](const std::string& name) {
    return log->PutConsumer({name, Lsn(), 0, 0, false});
  };
  CHECK_CODE(put(""), Code::kInvalidArgument);
  CHECK_CODE(put(std::string(kMaxConsumerName + 1, 'x')), Code::kInvalidArgument);
  CHECK_CODE(put(std::string("a\0b", 3)), Code::kInvalidArgument);
  CHECK_OK(put(std::string(kMaxConsumerName, 'x')));
  for (size_t i = 1; i < kMaxConsumers; ++i) CHECK_OK(put("consumer " + std::to_string(i)));
  CHECK_CODE(put("one too many"), Code::kTooLarge);
  CHECK_OK(put("consumer 1"));  // exists
  CHECK_OK(log->RemoveConsumer("consumer 1"));
  CHECK_OK(put("one more"));
  CHECK_VALUE(const std::vector<Consumer> all, log->Consumers());
  CHECK_EQ(all.size(), kMaxConsumers);
}

TEST(log_retention, a_restart_keeps_consumers_and_never_their_future) {
  SimWorld world;
  auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  CHECK_OK(log->PutConsumer({"kept", Lsn(), 7, 8, false}));
  CHECK_OK(log->PutConsumer({"gone", Lsn(), 0, 0, false}));
  CHECK_OK(log->RemoveConsumer("gone"));
  const Appended flushed = AppendOne(*log, 0, 100);
  CHECK_OK(log->WaitFor(flushed.end, Level::kFlushed));
  const Appended lost = AppendOne(*log, 1, 100);
  CHECK_OK(log->AdvanceConsumer("kept", lost.end));  // ahead of what is durable
  CHECK_OK(log->PutConsumer({"saves", Lsn(), 0, 0, false}));
  test::Bury(std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  const Consumer kept = Find(*log, "kept");
  CHECK(kept.position == flushed.end);
  CHECK_EQ(kept.max_bytes, uint64_t{7});
  CHECK_EQ(kept.max_age_us, uint64_t{8});
  CHECK_VALUE(const std::vector<Consumer> all, log->Consumers());
  CHECK_EQ(all.size(), size_t{2});
  CHECK_EQ(ReadAll(*log, kept.position).size(), size_t{0});
}

}  // namespace
}  // namespace ringleader
