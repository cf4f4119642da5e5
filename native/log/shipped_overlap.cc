#include "log/shipped_overlap.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/mutant.h"
#include "log/log_format.h"

namespace ringleader {
namespace {

// Below `written` from the files: the ring of a log that has been recovered does not hold it.
Status ReadHeader(LogRegion& region, const SegmentFiles& files, Lsn at, MutableBytes into) {
  if (at.value >= region->flushed.written.load(std::memory_order_acquire)) {
    region.CopyOut(at, into);
    return Status::Ok();
  }
  const Lsn start = SegmentStart(at, files.segment_bytes());
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(start, OpenMode::kRead));
  return ReadExactly(*file, at - start, into, SegmentName(start));
}

}  // namespace

Result<bool> HasRecords(LogRegion& region, const SegmentFiles& files, Lsn from, Lsn tail,
                        Bytes raw) {
  if (RL_MUTANT(kPassOverUnseen)) return true;
  const uint64_t segment = files.segment_bytes();
  const Lsn end = std::min(tail, from + raw.size());
  // What has been trimmed was the group's.
  Lsn at = std::max(from, Lsn(region->space.start.load(std::memory_order_acquire)));
  while (at < end) {
    const uint64_t left = segment - at.value % segment;
    if (left == segment || left < kRecordHeaderBytes) {
      at = at + (left == segment ? kSegmentPageBytes : left);  // as the records around it make it
      continue;
    }
    if (end - at < kRecordHeaderBytes) return false;
    std::array<uint8_t, kRecordHeaderBytes> mine;
    RL_RETURN_IF_ERROR(ReadHeader(region, files, at, mine));
    if (!std::ranges::equal(mine, raw.subspan(at - from, mine.size()))) return false;
    RecordHeader header;
    std::memcpy(&header, mine.data(), sizeof header);
    at = at + RecordBytes(header.length);
  }
  return true;
}

}  // namespace ringleader
