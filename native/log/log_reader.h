// Reads the log from a position on, while it is being written.
//
// A reader sees whole transactions in order, up to the end that was visible when it looked. It
// reads files only: what is still in the ring is handed to the kernel first, one write for all.
// Segments may be recycled under a slow reader; it then reports kTrimmed, never wrong bytes,
// because every record carries its own position and its predecessor's checksum.
// After a roll-back to where it is or further on, it goes on with the new history; after one to
// below that it is at its end, and says so.
// Threads: one per reader; any number of readers in any process.
#pragma once

#include <memory>
#include <optional>

#include "base/status.h"
#include "env/env.h"
#include "log/log_flusher.h"
#include "log/log_region.h"
#include "log/segment_files.h"
#include "log/segment_scanner.h"
#include "log/transaction_assembler.h"

namespace ringleader {

class LogReader {
 public:
  // `from`: an LSN that an append returned, an end of one, or the log's start.
  LogReader(LogRegion& region, const SegmentFiles& files, LogFlusher& flusher, Lsn from);

  // The next transaction; nullopt at the visible end (call again later). kTrimmed where the log no
  // longer holds the position, kInvalidArgument where no record begins there, kCorruption where a
  // stored record fails its checks, kRolledBack, for ever, where what it has returned last, or its
  // first position, has been rolled back.
  Result<std::optional<LogEntry>> Next();

  // Where the next transaction begins, at the earliest.
  Lsn position() const { return position_; }

 private:
  // Where the next transaction is looked for: a place that a roll-back above it leaves valid.
  struct Place {
    Lsn position;
    std::optional<ChainState> chain;  // of the record before, once known
  };

  void GoBackTo(const Place& place);
  Result<std::optional<LogEntry>> NextHere();
  Result<std::optional<LogEntry>> Assemble(Lsn visible, std::optional<Place>* began);
  Result<bool> NextRecord(Record* record, Lsn visible);
  Status OpenSegment();
  Status Explain(SegmentScanner::Step step);

  LogRegion& region_;
  const SegmentFiles& files_;
  LogFlusher& flusher_;
  Lsn position_;
  const Lsn first_;
  std::optional<ChainState> chain_;  // of the record before position_, once known
  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentScanner> scanner_;
  TransactionAssembler assembler_;
  Place returned_;    // behind the last transaction that was returned
  uint64_t history_;  // roll-backs that have been followed
};

}  // namespace ringleader
