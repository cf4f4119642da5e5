// A reader that meets a full disk, or one that fails, in the middle of a large transaction reads it
// later.
#include <algorithm>
#include <cerrno>

#include "env/sim/sim_env.h"
#include "log_fixture.h"
namespace ringleader {
namespace {

using test::AppendOne;
using test::OpenLog;
using test::SmallLog;

constexpr uint64_t kSmall = 7;  // transactions in front of the large one
constexpr size_t kLargeBytes = 20'000;

// A transaction of three records across the end of the first segment.
std::unique_ptr<Log> LogWithLargeTransaction(SimWorld& world) {
  auto log = OpenLog(world.StartProcess().env(), "env", SmallLog());
  for (uint64_t i = 0; i < kSmall; ++i) AppendOne(*log, i, 7000);
  CHECK_OK(log->WaitFor(log->Stat().tail, Level::kFlushed));
  AppendOne(*log, 100, kLargeBytes);
  return log;
}

std::unique_ptr<LogReader> ReadSmallOnes(Log& log) {
  auto reader = log.Read(Lsn());
  for (uint64_t i = 0; i < kSmall; ++i) {
    CHECK_VALUE(const auto entry, reader->Next());
    CHECK(entry.has_value());
  }
  return reader;
}

void ExpectLargeOne(LogReader& reader) {
  CHECK_VALUE(const auto entry, reader.Next());
  CHECK(entry.has_value());
  CHECK(std::ranges::equal(entry->payload, test::Payload(100, kLargeBytes)));
}

TEST(log_reader, a_transaction_that_was_half_written_is_read_later) {
  SimWorld world;
  const auto log = LogWithLargeTransaction(world);
  const uint64_t rule = world.disk().AddFault({.calls = Calls({SimCall::kWrite}),
                                               .path = SegmentName(Lsn(kMinSegmentBytes)),
                                               .sys_errno = ENOSPC});
  const auto reader = ReadSmallOnes(*log);
  CHECK_VALUE(const auto none, reader->Next());
  CHECK(!none.has_value());
  CHECK(world.disk().RemoveFault(rule));
  ExpectLargeOne(*reader);
}

// Every read on the way through it fails once, the one that opens the second segment among them.
TEST(log_reader, a_transaction_that_could_not_be_read_is_read_later) {
  uint64_t failures = 0;
  for (const SimCall call : {SimCall::kRead, SimCall::kOpen}) {
    for (uint64_t skip = 0;; ++skip) {
      SimWorld world;
      const auto log = LogWithLargeTransaction(world);
      CHECK_OK(log->WaitFor(log->Stat().tail, Level::kFlushed));
      const auto reader = ReadSmallOnes(*log);
      const uint64_t rule =
          world.disk().AddFault({.calls = Calls({call}), .path = ".seg", .skip = skip, .count = 1});
      const auto next = reader->Next();
      if (world.disk().FaultHits(rule) == 0) {
        CHECK(next.ok() && next.value());
        break;
      }
      CHECK_CODE(next.status(), Code::kIo);
      ExpectLargeOne(*reader);
      CHECK_VALUE(const auto end, reader->Next());
      CHECK(!end.has_value());
      ++failures;
    }
  }
  CHECK(failures >= 3);
}

}  // namespace
}  // namespace ringleader
