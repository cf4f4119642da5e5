// Where the last whole transaction of a log ends.
//
// A log may go on behind it with pieces of one that is not finished, or with padding.
// Threads: one; the bytes looked at have been written.
#pragma once

#include <optional>

#include "base/status.h"
#include "base/types.h"
#include "log/log_format.h"
#include "log/segment_files.h"

namespace ringleader {

// Follows a walk over the records.
struct LastWhole {
  std::optional<Lsn> end;  // none has ended yet
  bool pieces = false;     // records of another one lie behind it

  void Pass(const Record& record) {
    if (record.type() == RecordType::kPadding) return;
    pieces = record.more();
    if (!record.more()) end = record.end();
  }
};

// Of the records of one segment that end at or below `limit`. kCorruption where one of them fails
// its checks.
Result<LastWhole> FindLastWhole(const SegmentFiles& files, const Id128& group_id, Lsn start,
                                Lsn limit);

// Where the last transaction ends that ends at or below `at`, in a log that begins at the segment
// `start`; `start` where there is none.
Result<Lsn> LastEndAtOrBelow(const SegmentFiles& files, const Id128& group_id, Lsn start, Lsn at);

}  // namespace ringleader
