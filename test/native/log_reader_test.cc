// Places to read from: every position that an append returned is one, wherever it lies.
#include "log_fixture.h"

namespace ringleader {
namespace {

using test::AppendOne;
using test::OpenLog;
using test::Payload;
using test::ReadAll;
using test::SmallLog;
using test::Stored;
using test::TempDir;

// A segment may end with bytes too few for a header: a reader that begins there has seen no record
// of the segment, and still has to take the next segment for the one that follows.
TEST(log_reader, every_end_near_the_end_of_a_segment) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  uint64_t number = 0;
  for (uint64_t left = 0; left <= 2 * kRecordHeaderBytes; left += 8) {
    Appended last = AppendOne(*log, number++, 100);
    for (;;) {
      const uint64_t room =
          (kMinSegmentBytes - last.end.value % kMinSegmentBytes) % kMinSegmentBytes;
      if (room == left) break;
      const uint64_t gap = room > left ? room - left : room + kMinSegmentBytes - left;
      const uint64_t record = gap >= 4096 + kRecordHeaderBytes ? 4096 : gap;
      last = AppendOne(*log, number++, record - kRecordHeaderBytes);
    }
    const uint64_t next = number;
    for (int i = 0; i < 3; ++i) AppendOne(*log, number++, 500);
    const std::vector<Stored> rest = ReadAll(*log, last.end);
    CHECK_EQ(rest.size(), size_t{3});
    for (uint64_t i = 0; i < 3; ++i) CHECK(rest[i].payload == Payload(next + i, 500));
  }
}

}  // namespace
}  // namespace ringleader
