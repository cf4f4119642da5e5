#include "log/segment_scanner.h"

#include <algorithm>
#include <cstring>

namespace ringleader {
namespace {

constexpr size_t kReadAheadBytes = size_t{1} << 20;

}  // namespace

SegmentScanner::SegmentScanner(File& file, Lsn start, uint64_t segment_bytes, Lsn from, Lsn limit,
                               const ChainState& chain)
    : file_(file),
      start_(start),
      segment_bytes_(segment_bytes),
      limit_(std::min(limit, start + segment_bytes)),
      position_(from),
      chain_(chain),
      buffer_lsn_(from) {
  RL_CHECK(from >= start + kSegmentPageBytes && from <= start + segment_bytes);
}

void SegmentScanner::SetLimit(Lsn limit) {
  RL_CHECK(limit >= limit_ || limit >= start_ + segment_bytes_);
  limit_ = std::min(limit, start_ + segment_bytes_);
}

Bytes SegmentScanner::Window(uint64_t size) const {
  return Bytes(buffer_).subspan(position_ - buffer_lsn_, size);
}

// Makes `size` bytes from position_ on available, zeros standing in for what the file lacks.
Status SegmentScanner::Fill(uint64_t size) {
  const uint64_t have =
      buffer_lsn_ + buffered_ > position_ ? buffer_lsn_ + buffered_ - position_ : 0;
  if (have >= size) return Status::Ok();
  const uint64_t left = limit_ - position_;
  const uint64_t want = std::min(left, std::max<uint64_t>(size, kReadAheadBytes));
  RL_CHECK(size <= left);
  if (buffer_.size() < want) buffer_.resize(want);
  if (have > 0) std::memmove(buffer_.data(), Window(have).data(), have);
  buffer_lsn_ = position_;
  const MutableBytes rest = MutableBytes(buffer_).subspan(have, want - have);
  RL_ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(position_ - start_ + have, rest));
  std::memset(rest.data() + got, 0, rest.size() - got);
  buffered_ = want;
  return Status::Ok();
}

Result<SegmentScanner::Step> SegmentScanner::Next(Record* record) {
  if (start_ + segment_bytes_ - position_ < kRecordHeaderBytes) {
    position_ = start_ + segment_bytes_;
    return Step::kSegmentEnd;
  }
  if (position_ + kRecordHeaderBytes > limit_) return Step::kLimit;
  RL_RETURN_IF_ERROR(Fill(kRecordHeaderBytes));
  if (trust_first_) {
    RecordHeader first;
    std::memcpy(&first, Window(sizeof first).data(), sizeof first);
    chain_ = {first.prev_crc, Term(), 0};
    trust_first_ = false;
  }
  RecordHeader header;
  switch (
      CheckRecordHeader(Window(kRecordHeaderBytes), position_, segment_bytes_, chain_, &header)) {
    case HeaderState::kValid:
      break;
    case HeaderState::kZero:
      return Step::kZero;
    case HeaderState::kBad:
      return Step::kBadHeader;
  }
  const uint64_t size = RecordBytes(header.length);
  if (position_ + size > limit_) return Step::kLimit;
  record->header = header;
  record->payload = {};
  const RecordType type = record->type();
  const bool of_group = type == RecordType::kTermStart || type == RecordType::kConfiguration;
  if (type != RecordType::kPadding && (of_group || !skip_payloads_)) {
    RL_RETURN_IF_ERROR(Fill(size));
    if (!CheckRecordPayload(Window(size), header)) return Step::kBadPayload;
    record->payload = Window(size).subspan(kRecordHeaderBytes, header.length);
  }
  chain_ = ChainAfter(header);
  position_ = position_ + size;
  return Step::kRecord;
}

const char* StepName(SegmentScanner::Step step) {
  switch (step) {
    case SegmentScanner::Step::kRecord:
      return "a record";
    case SegmentScanner::Step::kSegmentEnd:
      return "the end of the segment";
    case SegmentScanner::Step::kLimit:
      return "the limit";
    case SegmentScanner::Step::kZero:
      return "zeros where a record should begin";
    case SegmentScanner::Step::kBadHeader:
      return "a record header that fails its checks";
    case SegmentScanner::Step::kBadPayload:
      return "a record payload that fails its checksum";
  }
  return "";
}

}  // namespace ringleader
