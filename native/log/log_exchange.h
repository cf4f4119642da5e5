// Puts another log in place of this one while processes are attached: one that ends where a
// snapshot of the group does (log_replacement.h does it where nobody is).
//
// Rows and log change together. Which of the two there are is decided by whoever has the rows, in
// one step of its own (ExchangeHook::Decide); the log follows, and recovery makes it follow where
// the power goes in between. What happens, with archive role, writer lock, keeper's and flusher's
// role held:
//   1. everything is flushed, and the new segment stands beside the old ones, flushed, under a name
//      that means nothing. All that can fail for want of room has been done;
//   2. Decide. Where it fails, nothing has happened;
//   3. the roll-back is counted: positions above `common` mean something else from here on, and
//      readers let go of what they have read ahead (log_rollback.h);
//   4. the old segments are removed, the new one gets its name, positions in shared memory and the
//      control page say where the log is now. A consumer that needed more of the old log than the
//      new one has is broken;
//   5. Done: what would have made recovery finish this is taken away.
// A process that dies or fails between 2 and 5 ends the environment, as in a roll-back: all
// processes close, and whoever opens it next finishes (store/snapshot_install.h).
// Threads: any.
#pragma once

#include <string>

#include "base/status.h"
#include "log/log_format.h"
#include "log/log_replacement.h"

namespace ringleader {

// What the layer above does, with all locks held: without waiting for anybody.
class ExchangeHook {
 public:
  virtual ~ExchangeHook() = default;
  // On the disk when it returns. An error of fate none: nothing of it happened.
  virtual Status Decide() = 0;
  // Log and rows are on the disk.
  virtual Status Done() = 0;
  // Positions have been moved: the log ends at `end`.
  virtual void Finish(Lsn end) = 0;
  // Whether the consumer stands for what Decide has replaced: its position is the new end then.
  virtual bool Follows(const std::string& consumer) const = 0;
};

// The new log's segment, made beside the log.
class StagedSegment {
 public:
  StagedSegment(Env& env, const std::string& directory, const NewLog& log);
  // Removes it, unless it has its name.
  ~StagedSegment();
  StagedSegment(const StagedSegment&) = delete;
  StagedSegment& operator=(const StagedSegment&) = delete;

  Status Write();
  // It is the only segment when this returns.
  Status TakePlace();

 private:
  Env& env_;
  const std::string directory_;  // log/
  const std::string path_;
  const NewLog& log_;
  bool there_ = false;
};

}  // namespace ringleader
