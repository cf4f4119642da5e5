// Reads the log as raw bytes, to ship them: runs of whole records, with what of segment borders
// lies between.
//
// What the kernel has been given comes from the files, which means from its page cache; what it has
// not yet comes from the ring, so that shipping waits for no flush. A ring slot is used again only
// after `written` has passed it: bytes that were still above it when they had been copied are good,
// others are read again, from the file. Everything is checked as LogReader checks it, except that
// the first record of a reader's life is believed in what it says of the one before. Segments may
// go under a slow reader, and roll-backs happen; it says so, and never hands out wrong bytes.
//
// Runs end behind a record, never behind padding or a page: where another log may end too. Pieces
// of a transaction that is not whole yet are among them.
// Threads: one per reader; any number of readers in any process.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "log/group_records.h"
#include "log/log_flusher.h"
#include "log/log_region.h"
#include "log/record_stream.h"
#include "log/segment_files.h"

namespace ringleader {

struct RawRun {
  Lsn from;
  Lsn end;      // `from` where there is nothing to read
  Bytes bytes;  // of [from, end); valid until the next call
  std::vector<TermRow> terms;
  std::vector<ConfigurationRow> configurations;
};

class RawReader {
 public:
  // `from`: an end of a record, where one begins, or the log's start.
  RawReader(LogRegion& region, const SegmentFiles& files, LogFlusher& flusher, Lsn from);

  // What comes next: at most `limit` bytes where that is more than one record, and nothing beyond
  // `to`. kTrimmed where the log no longer holds the position, kInvalidArgument where no record
  // begins there, kCorruption where what is stored fails its checks, kRolledBack, for ever, where
  // the position has been rolled back.
  Result<RawRun> Next(uint64_t limit, Lsn to = kMaxLsn);
  // Goes on somewhere else.
  void Seek(Lsn from);
  Lsn position() const { return position_; }

 private:
  Result<RawRun> NextHere(uint64_t limit, Lsn to);
  Status Fill(uint64_t size, Lsn end);
  bool FillFromRing(Lsn at, MutableBytes into);
  Status FillFromFile(Lsn at, MutableBytes into);
  Status Explain(const RecordStream& stream);
  Status Trimmed() const;

  LogRegion& region_;
  const SegmentFiles& files_;
  LogFlusher& flusher_;
  Lsn position_;
  std::optional<ChainState> chain_;  // of the record before position_, once known
  std::unique_ptr<File> file_;
  Lsn file_start_ = kMaxLsn;
  std::vector<uint8_t> bytes_;
  uint64_t history_;  // roll-backs that have been followed
};

}  // namespace ringleader
