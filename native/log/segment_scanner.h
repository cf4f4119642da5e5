// Walks the records of one segment in order and checks each of them.
//
// Used by recovery, readers, the archive and verification, so that there is one opinion on what a
// valid record is. Reads ahead in pieces of a megabyte into a buffer of its own; records point into
// it. Cost: one copy out of the page cache and one checksum pass.
// Threads: one.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "env/file.h"
#include "log/log_format.h"

namespace ringleader {

class SegmentScanner {
 public:
  enum class Step : uint8_t {
    kRecord,
    kSegmentEnd,  // every record up to the end of the segment was valid
    kLimit,       // the limit was reached between two records
    kZero,        // zeros where a header should be: nothing was written here
    kBadHeader,
    kBadPayload,
  };

  // Scans [from, limit) of the segment at `start`; `from` is where a record begins. The file may be
  // shorter than the segment: what is missing reads as zeros.
  SegmentScanner(File& file, Lsn start, uint64_t segment_bytes, Lsn from, Lsn limit,
                 const ChainState& chain);
  // Accepts the first record whatever its chain value: for readers that begin in the middle.
  void TrustFirst() { trust_first_ = true; }
  // Neither reads nor checks payloads, those of term starts and configurations excepted; the
  // records have none.
  void SkipPayloads() { skip_payloads_ = true; }
  // Moves the limit forward. Nothing behind it is read, so bytes still being written never get into
  // the buffer.
  void SetLimit(Lsn limit);

  // The record stays valid until the next call. Fails only where the file cannot be read.
  Result<Step> Next(Record* record);

  Lsn position() const { return position_; }  // where the next record begins
  const ChainState& chain() const { return chain_; }

 private:
  Status Fill(uint64_t size);
  Bytes Window(uint64_t size) const;

  File& file_;
  const Lsn start_;
  const uint64_t segment_bytes_;
  Lsn limit_;
  Lsn position_;
  ChainState chain_;
  bool trust_first_ = false;
  bool skip_payloads_ = false;
  std::vector<uint8_t> buffer_;
  Lsn buffer_lsn_;
  size_t buffered_ = 0;
};

// "a zeroed header", "a bad header", ...
const char* StepName(SegmentScanner::Step step);

}  // namespace ringleader
