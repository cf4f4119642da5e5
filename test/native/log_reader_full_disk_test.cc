// A reader that meets a full disk in the middle of a large transaction reads it later.
#include <cerrno>

#include "env/sim/sim_env.h"
#include "log_fixture.h"
namespace ringleader {
namespace {

using test::AppendOne;
using test::OpenLog;
using test::SmallLog;

TEST(log_reader, a_transaction_that_was_half_written_is_read_later) {
  SimWorld world;
  const auto log = OpenLog(world.StartProcess().env(), "env", SmallLog());
  for (uint64_t i = 0; i < 7; ++i) AppendOne(*log, i, 7000);
  CHECK_OK(log->WaitFor(log->Stat().tail, Level::kFlushed));
  // A transaction of three records across the end of the first segment.
  AppendOne(*log, 100, 20000);
  const uint64_t rule = world.disk().AddFault({.calls = Calls({SimCall::kWrite}),
                                               .path = SegmentName(Lsn(kMinSegmentBytes)),
                                               .sys_errno = ENOSPC});
  const auto reader = log->Read(Lsn());
  for (uint64_t i = 0; i < 7; ++i) {
    CHECK_VALUE(const auto entry, reader->Next());
    CHECK(entry.has_value());
  }
  CHECK_VALUE(const auto none, reader->Next());
  CHECK(!none.has_value());
  CHECK(world.disk().RemoveFault(rule));
  CHECK_VALUE(const auto late, reader->Next());
  CHECK(late.has_value());
  CHECK_EQ(late->payload.size(), size_t{20000});
}
}  // namespace
}  // namespace ringleader
