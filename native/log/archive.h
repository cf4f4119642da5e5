// Copies closed segments to another directory, for point-in-time restore.
//
// An archived segment has the name and the bytes it has in the log. It appears under that name only
// when it is whole, checked and flushed, so an archive can be read while it grows.
#pragma once

#include <string>

#include "base/status.h"
#include "env/env.h"
#include "log/segment_files.h"

namespace ringleader {

// Copies the segment at `start`, every record of it checked on the way: a damaged segment is
// kCorruption and never replaces a good copy. Flushed when it returns. Repeatable.
Status ArchiveSegment(Env& env, const SegmentFiles& files, const Id128& group_id, Lsn start,
                      const std::string& archive);

}  // namespace ringleader
