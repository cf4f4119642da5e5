#include "log/record_stream.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ringleader {

RecordStream::Step RecordStream::LookAtPage(Bytes bytes, Item* item) const {
  item->kind = Kind::kPage;
  item->bytes = kSegmentPageBytes;
  if (bytes.size() < kSegmentPageBytes) return Step::kShort;
  const Bytes page = bytes.first(kSegmentPageBytes);
  if (CheckSegmentPage(page, group_id_, position_, segment_bytes_, &item->after) !=
      PageState::kValid) {
    return Step::kBad;
  }
  if (!chain_) return Step::kItem;
  std::array<uint8_t, kSegmentPageBytes> expected;
  BuildSegmentPage(group_id_, position_, segment_bytes_, *chain_, expected);
  return std::ranges::equal(page, expected) ? Step::kItem : Step::kBad;
}

RecordStream::Step RecordStream::LookAtRecord(Bytes bytes, uint64_t left, Item* item) const {
  item->kind = Kind::kRecord;
  item->bytes = kRecordHeaderBytes;
  if (bytes.size() < kRecordHeaderBytes) return Step::kShort;
  RecordHeader& header = item->record.header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const ChainState chain = chain_.value_or(ChainState{header.prev_crc, Term(), 0});
  if (CheckRecordHeader(bytes, position_, segment_bytes_, chain, &header) != HeaderState::kValid) {
    return Step::kBad;
  }
  item->bytes = RecordBytes(header.length);
  item->after = ChainAfter(header);
  if (item->record.type() == RecordType::kPadding) {
    item->kind = Kind::kPadding;
    // A primary ends a segment only when the next record does not fit into it.
    const uint64_t most = RecordBytes(MaxRecordPayload(segment_bytes_));
    return left < most && header.flags == 0 && header.payload_crc == 0 ? Step::kItem : Step::kBad;
  }
  if (bytes.size() < item->bytes) return Step::kShort;
  if (!CheckRecordPayload(bytes, header)) return Step::kBad;
  item->record.payload = bytes.subspan(kRecordHeaderBytes, header.length);
  return Step::kItem;
}

RecordStream::Step RecordStream::Look(Bytes bytes, Item* item) const {
  *item = Item();
  if (position_.value % segment_bytes_ == 0) return LookAtPage(bytes, item);
  const uint64_t left = segment_bytes_ - position_.value % segment_bytes_;
  if (left >= kRecordHeaderBytes) return LookAtRecord(bytes, left, item);
  item->bytes = left;
  if (chain_) item->after = *chain_;
  return Step::kItem;
}

void RecordStream::Pass(const Item& item) {
  position_ = position_ + item.bytes;
  if (item.kind != Kind::kRest) chain_ = item.after;
}

Status RecordStream::Explain(Bytes bytes) const {
  const std::string where = "the log's bytes at " + std::to_string(position_.value);
  SegmentHeader page;
  if (bytes.size() >= sizeof page) {
    std::memcpy(&page, bytes.data(), sizeof page);
    if (page.magic == kSegmentMagic && page.start_lsn == position_.value) {
      if (page.version > kLogFormatVersion) {
        return Status(Code::kNewerFormat, where + " were written by a later version");
      }
      if (page.group_id != group_id_) {
        return Status(Code::kInvalidArgument, where + " belong to another group");
      }
      if (page.segment_bytes != segment_bytes_) {
        return Status(Code::kInvalidArgument,
                      where + " are of a log with segments of another size");
      }
    }
  }
  for (uint64_t size = kMinSegmentBytes; size <= kMaxSegmentBytes; size *= 2) {
    const bool fits = position_.value % size >= kSegmentPageBytes;
    if (size != segment_bytes_ && fits && LooksLikeRecord(bytes, position_, size) &&
        !LooksLikeRecord(bytes, position_, segment_bytes_)) {
      return Status(Code::kInvalidArgument, where + " are of a log with segments of another size");
    }
  }
  return Status(Code::kCorruption, where + " fail their checks");
}

bool Zeros(const RecordStream::Item& item, Bytes bytes) {
  const size_t from = item.kind == RecordStream::Kind::kPadding ? kRecordHeaderBytes : 0;
  const Bytes rest = bytes.first(item.bytes).subspan(from);
  return std::ranges::all_of(rest, [](uint8_t byte) { return byte == 0; });
}

}  // namespace ringleader
