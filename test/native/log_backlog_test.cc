// More appended than one group of the flusher holds.
#include <signal.h>

#include "child_process.h"
#include "log_fixture.h"

namespace ringleader {
namespace {

using test::AppendOne;
using test::Child;
using test::OpenLog;
using test::Payload;
using test::ReadAll;
using test::Stored;
using test::TempDir;

// A process dies when its backlog has been written in part. Every position that it had published
// by then lies between two records, so recovery finds whole records up to there and the rest in
// the ring.
void DieWithBacklog(Level level, size_t payload) {
  const std::string directory = TempDir();
  LogOptions options;
  options.service_threads = false;
  const uint64_t count = 20'000'000 / payload;
  Child child([&] {
    const auto log = OpenLog(PosixEnv(), directory, options);
    for (uint64_t i = 0; i < count; ++i) AppendOne(*log, i, payload);
    CHECK_OK(log->WaitFor(Lsn(kSegmentPageBytes + 1), level));  // one group
    const LogStat stat = log->Stat();
    CHECK(stat.written > Lsn() && stat.written < stat.tail);
    CHECK_EQ(stat.written - stat.durable, level == Level::kFlushed ? 0 : stat.written.value);
    raise(SIGKILL);
  });
  CHECK_EQ(child.JoinKilled(), SIGKILL);
  const auto log = OpenLog(PosixEnv(), directory, options);
  CHECK(log->Stat().salvaged_bytes > 0);
  const std::vector<Stored> all = ReadAll(*log);
  CHECK_EQ(all.size(), size_t{count});
  for (uint64_t i = 0; i < count; i += count / 64) CHECK(all[i].payload == Payload(i, payload));
}

TEST(log_backlog, written_in_part_survives_death) { DieWithBacklog(Level::kWritten, 1000); }

TEST(log_backlog, flushed_in_part_survives_death) { DieWithBacklog(Level::kFlushed, 999); }

}  // namespace
}  // namespace ringleader
