// Whether what is shipped goes on from what the log has.
//
// A log may go on behind where it ends for its group: with the padding that was in front of a
// record which a crash has taken, with pieces of a transaction that a local writer never finished.
// The group knows nothing of these, and has something else there.
// Threads: holder of the writer lock.
#pragma once

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"
#include "log/log_region.h"
#include "log/segment_files.h"

namespace ringleader {

// Whether the log has the records of `raw`, the log's bytes from `from` on as another member has
// them, as far as both go. Compares headers, which a record's checksum and chain make stand for all
// of it: one small read for each.
Result<bool> HasRecords(LogRegion& region, const SegmentFiles& files, Lsn from, Lsn tail,
                        Bytes raw);

}  // namespace ringleader
