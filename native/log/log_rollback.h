// Makes the log end at an earlier end of a transaction.
//
// A member that comes back after a fail-over has to drop what its group does not have. All
// processes stay attached meanwhile; what they append afterwards takes the same positions once
// more, so every position above the end means something else from then on (LogFlusher::RolledBack).
//
// The control page decides. What happens, with archive role, writer lock, keeper's and flusher's
// role held:
//   1. everything is flushed, so that the state before is as whole on the disk as the one after;
//   2. one save of the control page says "rolled back to `to`" and lowers the durable mark. From
//      here on the log ends there: whoever recovers finishes what follows (log_recovery.cc);
//   3. segments behind the one of `to` are removed, and zeros are flushed over the rest of that
//   one.
//      All of it, not only the next header: records appended again may be the same up to some
//      point, and old ones behind it would fit their chain;
//   4. a second save ends the roll-back;
//   5. positions in shared memory are lowered, and what a layer above keeps (RollBackHook).
// A crash before 2 leaves the old end, one after it the new end. A process that dies or fails
// between its first change in shared memory and the last one ends the environment, as a failed
// flush does: whoever takes one of the locks sees RollBackWords::under_way, all processes reopen,
// and recovery finds one of the two ends. Threads: any.
#pragma once

#include "base/status.h"
#include "log/log_format.h"
#include "log/segment_files.h"

namespace ringleader {

// What a layer above the log does in a roll-back, with all locks held, when nothing can stop it any
// more: quick, and without failure. Not called where there is nothing to roll back.
class RollBackHook {
 public:
  virtual ~RollBackHook() = default;
  // Positions are about to be lowered.
  virtual void Begin() = 0;
  // They have been: the log ends at `end`.
  virtual void Finish(Lsn end) = 0;
};

// How a log that has been cut goes on.
struct LogCut {
  Lsn end;  // `to`, or behind the first segment's page where `to` is the log's start
  Lsn prepared_end;
  ChainState chain;
};

// kTrimmed below `start`, kInvalidArgument where no transaction ends at `to`.
Result<LogCut> FindCut(const SegmentFiles& files, const Id128& group_id, Lsn start, Lsn to);

// Removes what lies above `to`. On the disk when it returns; repeatable.
Status CutLog(const SegmentFiles& files, Lsn start, Lsn to);

}  // namespace ringleader
