// Finds out who led and what the group was, from the log alone: what a member comes up with.
//
// Reads the headers of all records, and the payloads of those that matter. Cost: at most that of
// reading the bytes once, without a checksum over payloads.
// Threads: any; needs no more than the files.
#pragma once

#include <vector>

#include "base/status.h"
#include "log/group_records.h"
#include "log/log_format.h"
#include "log/segment_files.h"

namespace ringleader {

struct GroupScan {
  std::vector<TermRow> terms;                    // ascending
  std::vector<ConfigurationRow> configurations;  // ascending
  uint64_t records = 0;                          // looked at
};

// Of the records that begin at or above `from` and end at or below `to`, both inside a log that has
// been written up to there. kCorruption where a header or one of these records fails its checks.
Result<GroupScan> ScanGroup(const SegmentFiles& files, const Id128& group_id, Lsn from, Lsn to);

}  // namespace ringleader
