// Finds the end of the log after a crash, and makes what it found durable.
//
// Only the last segment in use is read: the flusher flushes each segment before it begins the next
// one, so everything before it was on the disk. In that segment the log ends at the first record
// that fails its checks. Whether that is a torn tail or damage is decided so:
//   - the end lies below the durable mark: damage. What had been flushed is gone;
//   - a later segment has a valid header, or a record that stands alone lies more than 16 MiB
//     further on: damage, because no flush leaves that much behind it;
//   - otherwise it is the torn tail of a write that nobody was promised, and is cut.
// Damage is kCorruption and changes nothing on disk: the member is repaired from another copy.
//
// What is found is then written again and flushed, and zeros are flushed over what may lie behind
// it. Reading a record back proves only that the page cache has it: after a failed fdatasync the
// kernel keeps serving pages that never reached the disk, and marks them clean. Recovery that only
// called fdatasync again would promise them.
//
// A log may end inside a transaction of several records: its writer has died, or the rest has not
// been shipped yet. The pieces stay, for a replica may have told others that it has them, and they
// are not visible: what comes next either finishes them or drops them.
//
// Threads: runs before anybody else can see the log. Cost: one header page per segment, one
// sequential read of the last one, at most 32 MiB written.
#pragma once

#include "base/status.h"
#include "env/env.h"
#include "log/control_file.h"
#include "log/log_format.h"
#include "log/log_region.h"
#include "log/segment_files.h"

namespace ringleader {

struct RecoveredLog {
  Lsn end;               // of the last valid record, or a segment's start
  Lsn visible;           // of the last whole transaction; `end`, unless pieces of one lie between
  ChainState chain;      // for the next record
  Lsn prepared_end;      // segments below exist at full size
  uint64_t records = 0;  // read on the way
  uint64_t salvaged_bytes = 0;
  bool torn = false;  // something was cut
};

// `mark`: the log is known to be flushed up to here; never below control.durable_mark.
Result<RecoveredLog> RecoverLog(Env& env, const SegmentFiles& files, const ControlState& control,
                                Lsn mark);

// Appends to the recovered log what an abandoned region of the same boot still holds and the files
// do not: records whose processes died before anybody wrote them. Flushed when it returns.
Status SalvageRing(const SegmentFiles& files, const ControlState& control, LogRegion& region,
                   RecoveredLog* log);

// Puts the pieces of an unfinished transaction into a new region's ring, as far as they fit:
// whoever finishes it, or mends that, looks for them there.
Status LoadRing(const SegmentFiles& files, const RecoveredLog& log, LogRegion& region);

}  // namespace ringleader
