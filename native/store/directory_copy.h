// Writes the directory of an environment that is not open: for backups and restores.
//
//   log/<first>.seg   first of all, empty: a directory with a segment and without a control file is
//                     refused by whoever opens it, so nothing half-made is ever taken
//   base/data.mdb     whole
//   log/...           the segments, each as it is; the last one up to the end, zeros behind it
//   control           last of all, when everything else has been checked and flushed
//
// What is copied is read once more from the copy and checked record by record: a damaged log never
// becomes a backup.
// Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "env/env.h"
#include "log/control_file.h"
#include "log/log_format.h"
#include "log/segment_files.h"
#include "log/segment_scanner.h"

namespace ringleader {

inline constexpr char kBaseDirectoryName[] = "base";
inline constexpr char kBaseFileName[] = "data.mdb";
inline constexpr char kLogDirectoryName[] = "log";

// Walks the records of segments that nobody writes to, across segment boundaries.
class StoredLog {
 public:
  // Where the segment at `start` lies.
  using Source = std::function<Result<std::unique_ptr<File>>(Lsn start)>;
  StoredLog(Source source, const Id128& group_id, uint64_t segment_bytes, Lsn start)
      : source_(std::move(source)),
        group_id_(group_id),
        segment_bytes_(segment_bytes),
        position_(start) {}

  // Opens the first segment, where the log reaches to `limit` at all.
  Status Begin(Lsn limit);
  // Where the log does not begin here: of the record before.
  void ContinueFrom(const ChainState& chain) {
    chain_ = chain;
    begun_ = true;
  }
  // The next record, valid until the next call; false at `limit`, or where the source has no
  // further segment. kCorruption where a record fails its checks below the limit, kInvalidArgument
  // where a segment belongs to another group or continues another history.
  Result<bool> Next(Lsn limit, Record* record);

  Lsn position() const { return position_; }  // where the next record begins
  // Of the record before position(): chain value and commit time.
  const ChainState& chain() const { return chain_; }

 private:
  Result<bool> OpenSegment();
  Status Damaged(const std::string& what) const;

  const Source source_;
  const Id128 group_id_;
  const uint64_t segment_bytes_;
  Lsn position_;
  ChainState chain_;
  bool begun_ = false;
  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentScanner> scanner_;
};

class DirectoryCopy {
 public:
  // Takes a directory that is missing or empty; kExists otherwise. `first`: the start of some
  // segment.
  static Result<std::unique_ptr<DirectoryCopy>> Begin(Env& env, const std::string& directory,
                                                      Lsn first, uint64_t segment_bytes);
  // Removes what has been written, unless it was finished.
  ~DirectoryCopy();

  // `write` hands the base's file over, piece by piece, to the sink it is given.
  using Sink = std::function<Status(Bytes piece)>;
  Status WriteBase(const std::function<Status(const Sink& sink)>& write);
  // The log from the segment at `start` to `end`, an end of a record, out of `source`.
  Status WriteLog(const StoredLog::Source& source, const Id128& group_id, Lsn start, Lsn end);
  // Everything is on the disk when it returns. `control`: identities, start and consumers; the rest
  // is filled in.
  Status Finish(ControlState control, Lsn end);

 private:
  DirectoryCopy(Env& env, std::string directory, uint64_t segment_bytes);

  Status MakeDirectories();
  Status CopySegment(File& from, Lsn start, uint64_t bytes);

  Env& env_;
  const std::string directory_;
  const std::string base_;
  const SegmentFiles segments_;
  Lsn first_;
  bool finished_ = false;
};

}  // namespace ringleader
