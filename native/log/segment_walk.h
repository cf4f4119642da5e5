// Walks over records that have been written: the files of a log that has recovered, up to where it
// is known to be whole. What fails its checks there is corruption, and never the log's end.
//
// Threads: one.
#pragma once

#include <memory>

#include "base/status.h"
#include "log/segment_files.h"
#include "log/segment_scanner.h"

namespace ringleader {

// Of one segment.
class SegmentWalk {
 public:
  // Over the records that end at or below `limit`. kNotFound where there is no such segment,
  // kCorruption where its header page is not what it should be.
  static Result<std::unique_ptr<SegmentWalk>> Open(const SegmentFiles& files, const Id128& group_id,
                                                   Lsn start, Lsn limit);
  // The same of a segment that lies elsewhere.
  static Result<std::unique_ptr<SegmentWalk>> Over(std::unique_ptr<File> file,
                                                   const Id128& group_id, Lsn start,
                                                   uint64_t segment_bytes, Lsn limit);
  // See SegmentScanner.
  void SkipPayloads() { scanner_.SkipPayloads(); }

  // The next record, paddings among them, valid until the next call; false behind the last.
  // kCorruption where one fails its checks.
  Result<bool> Next(Record* record);

  Lsn position() const { return scanner_.position(); }          // where the next record begins
  const ChainState& chain() const { return scanner_.chain(); }  // of the record before

 private:
  SegmentWalk(std::unique_ptr<File> file, Lsn start, uint64_t segment_bytes, Lsn limit,
              const ChainState& chain);

  std::unique_ptr<File> file_;
  SegmentScanner scanner_;
};

// Whether a walk from the start of its segment comes by `position`, or is stopped before it.
Result<bool> WalkComesBy(const SegmentFiles& files, const Id128& group_id, Lsn position);

}  // namespace ringleader
