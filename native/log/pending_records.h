// Reads back what a dead writer had put into the log and not published.
//
// Threads: holder of the writer lock.
#pragma once

#include <functional>

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

}  // namespace ringleader
