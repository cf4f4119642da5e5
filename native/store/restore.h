// Point-in-time restore: a backup, and the archived log after it, become a new environment.
//
// The archive is what LogOptions::archive fills: closed segments, byte for byte. They are taken in
// order as far as they continue the backup's log, and the log is cut behind the last whole
// transaction at or below the limit. Neither backup nor archive is changed.
//
// The result is another copy of the same environment: it keeps environment id and group id, its
// incarnation is new. Rows of a bulk load are not in the log: one behind the backup is a barrier.
// Threads: any; nobody may have the backup open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/types.h"
#include "env/env.h"

namespace ringleader {

// The state to come back to; everything there is where both are absent.
struct RestoreLimit {
  std::optional<Lsn> lsn;           // transactions that end at or below
  std::optional<uint64_t> time_us;  // committed at or before: microseconds since 1970 UTC
};

struct Restored {
  Lsn lsn;               // end of the last transaction that is in it
  uint64_t time_us = 0;  // when it was committed; 0 where there is none
};

// `archive_directory` may be empty: only the backup then. `target_directory` must be missing or
// empty (kExists), and is an environment only if the call succeeds. Fails with
//   kTrimmed          the limit lies below the oldest state that the backup can give
//   kNotFound         the limit lies behind the end of the archive, or behind a segment it lacks
//   kInvalidArgument  the archive belongs to another group or continues another history; the backup
//                     was not closed
//   kUnsupported      a bulk load lies between backup and limit: take a backup made after it
//   kCorruption       bytes of backup or archive fail their checks
//   kBusy             somebody has the backup open
Result<Restored> RestoreTo(Env& env, const std::string& backup_directory,
                           const std::string& archive_directory,
                           const std::string& target_directory, const RestoreLimit& limit);

}  // namespace ringleader
