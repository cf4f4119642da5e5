// Puts another log in place of an environment's: one that ends where a snapshot of its group does.
//
// A member that lacks too much to be shipped gets a snapshot: the rows as of some position, the end
// of a transaction, and what the log has of the segment in which that lies (RawReader gives these
// bytes). Its log then begins with that segment; whatever it had is gone, and positions below are
// kTrimmed. From the snapshot's position on, records are shipped.
//
// Rows and log change together, so there are two calls, with the rows in between:
//   1. Begin checks the bytes, then removes the control page. From here on there is a log without
//      one, which opening refuses as corruption: the directory is incomplete, and says so;
//   2. Begin removes the old segments and writes the new one;
//   3. the caller puts in place what goes with the log: the base tree, the hard state;
//   4. Finish writes a control page.
// A crash before 1 leaves the environment as it was, one behind 4 the new one, and one in between
// an incomplete one (IsIncomplete), in which it is all done once more.
// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "env/env.h"
#include "log/control_file.h"
#include "log/log_format.h"

namespace ringleader {

struct NewLog {
  Id128 environment_id{};  // the one that the rows carry
  Id128 group_id{};
  uint64_t incarnation = 0;  // of this copy; 0 = a new one
  uint64_t segment_bytes = 0;
  Lsn end;    // of the last transaction that is in the rows
  Bytes raw;  // the log's bytes from FirstByte(end) on, up to there
};

// Whether the bytes are the log of the group up to the end of a transaction, and nothing else; with
// what the next record follows. kCorruption where they fail their checks, kInvalidArgument where
// they are no transaction's end or another group's.
Result<ChainState> CheckNewLog(const NewLog& log);

class LogReplacement {
 public:
  // Where the log of a snapshot begins that ends at `end`.
  static constexpr Lsn FirstByte(Lsn end, uint64_t segment_bytes) {
    return end == Lsn() ? Lsn() : SegmentStart(Lsn(end.value - 1), segment_bytes);
  }

  // `directory` must be there; nobody may have it open (kBusy). kCorruption where the bytes fail
  // their checks, kInvalidArgument where they are no transaction's end or another group's: nothing
  // has changed then. Any other error may leave the directory incomplete.
  static Result<std::unique_ptr<LogReplacement>> Begin(Env& env, const std::string& directory,
                                                       const NewLog& log);
  // The same in two steps, for who has to look before it leaps: nobody can open the directory while
  // the object is there.
  static Result<std::unique_ptr<LogReplacement>> LockDirectory(Env& env,
                                                               const std::string& directory);
  Status Replace(const NewLog& log);
  // Everything is on the disk when it returns.
  Status Finish();

 private:
  LogReplacement(Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}

  Status LockOut();
  Status WriteSegment(const NewLog& log);

  Env& env_;
  const std::string directory_;
  std::unique_ptr<File> lock_;
  FileInfo lock_info_;
  ControlState control_;
};

// Whether the directory is one that a replacement has left half-way: it has a log and no control
// page.
Result<bool> IsIncomplete(Env& env, const std::string& directory);

}  // namespace ringleader
