// Reads back what a dead writer had put into the log and not published.
//
// Threads: holder of the writer lock.
#pragma once

#include <functional>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "log/log_region.h"
#include "log/segment_files.h"
#include "log/writer_hook.h"

namespace ringleader {

// Calls `visit` with every whole transaction in [from, to), in order. The bytes come from the ring
// as long as it still holds them, else from the files. kCorruption where there is no record.
Status VisitPending(const LogRegion& region, const SegmentFiles& files, Lsn from, Lsn to,
                    const std::function<Status(Lsn end, const Entry& entry)>& visit);

// The pieces that a log ends with, of a transaction that is not whole.
struct PendingRun {
  Lsn end = kMaxLsn;    // of the log it is the end of
  bool open = false;    // there are pieces
  bool begun = false;   // the first of them is among them: it may have been trimmed
  bool filled = false;  // `payload` is theirs
  RecordType type = RecordType::kTransaction;
  std::vector<uint8_t> payload;
};

// Reads back what lies between the last whole transaction, which ends at `from`, and the end of the
// log. The payload only where `fill`.
Result<PendingRun> CollectRun(const LogRegion& region, const SegmentFiles& files, Lsn from, Lsn to,
                              bool fill);

}  // namespace ringleader
