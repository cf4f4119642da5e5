#include "log/log_format.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr size_t kRecordCrcBytes = offsetof(RecordHeader, header_crc);
constexpr size_t kSegmentCrcBytes = offsetof(SegmentHeader, header_crc);

template <typename T>
uint32_t MaskedCrc(const T& value, size_t bytes) {
  return MaskCrc(Crc32c(Bytes(reinterpret_cast<const uint8_t*>(&value), bytes)));
}

bool AllZero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// Everything a header must satisfy on its own: no trust in its length before its checksum fits.
bool HeaderStandsAlone(const RecordHeader& header, Lsn lsn, uint64_t segment_bytes) {
  if (header.lsn != lsn.value) return false;
  if (header.header_crc != MaskedCrc(header, kRecordCrcBytes)) return false;
  if (header.type == 0 || header.type > kMaxRecordType) return false;
  if ((header.flags & ~kRecordFlagsMask) != 0) return false;
  const uint64_t left = segment_bytes - lsn.value % segment_bytes;
  if (RecordBytes(header.length) > left) return false;
  const bool padding = header.type == static_cast<uint8_t>(RecordType::kPadding);
  return padding ? RecordBytes(header.length) == left
                 : header.length <= MaxRecordPayload(segment_bytes);
}

}  // namespace

ChainState FirstChain(const Id128& group_id) {
  ChainState chain;
  chain.prev_crc = MaskCrc(Crc32c(group_id));
  return chain;
}

void SealRecordHeader(RecordHeader& header) {
  header.header_crc = MaskedCrc(header, kRecordCrcBytes);
}

void BuildSegmentPage(const Id128& group_id, Lsn start, uint64_t segment_bytes,
                      const ChainState& before, MutableBytes page) {
  RL_CHECK(page.size() == kSegmentPageBytes);
  RL_CHECK(start.value % segment_bytes == 0);
  SegmentHeader header{};
  header.magic = kSegmentMagic;
  header.version = kLogFormatVersion;
  header.header_bytes = kSegmentPageBytes;
  header.group_id = group_id;
  header.start_lsn = start.value;
  header.segment_bytes = segment_bytes;
  header.last_commit_time_us = before.commit_time_us;
  header.prev_crc = before.prev_crc;
  header.last_term = before.term.value;
  header.header_crc = MaskedCrc(header, kSegmentCrcBytes);
  std::memset(page.data(), 0, page.size());
  std::memcpy(page.data(), &header, sizeof header);
}

PageState CheckSegmentPage(Bytes page, const Id128& group_id, Lsn start, uint64_t segment_bytes,
                           ChainState* before) {
  if (page.size() != kSegmentPageBytes) return PageState::kDamaged;
  SegmentHeader header;
  std::memcpy(&header, page.data(), sizeof header);
  if (AllZero(page)) return PageState::kZero;
  if (header.magic != kSegmentMagic) return PageState::kDamaged;
  if (header.header_crc != MaskedCrc(header, kSegmentCrcBytes)) return PageState::kDamaged;
  if (header.version > kLogFormatVersion) return PageState::kNewer;
  if (header.version != kLogFormatVersion || header.header_bytes != kSegmentPageBytes ||
      header.reserved != 0 || !AllZero(page.subspan(sizeof header))) {
    return PageState::kDamaged;
  }
  if (header.start_lsn != start.value || header.segment_bytes != segment_bytes ||
      header.group_id != group_id) {
    return PageState::kForeign;
  }
  before->prev_crc = header.prev_crc;
  before->term = Term(header.last_term);
  before->commit_time_us = header.last_commit_time_us;
  return PageState::kValid;
}

HeaderState CheckRecordHeader(Bytes bytes, Lsn lsn, uint64_t segment_bytes, const ChainState& chain,
                              RecordHeader* header) {
  RL_CHECK(bytes.size() >= kRecordHeaderBytes);
  std::memcpy(header, bytes.data(), kRecordHeaderBytes);
  if (!HeaderStandsAlone(*header, lsn, segment_bytes)) {
    return AllZero(bytes.first(kRecordHeaderBytes)) ? HeaderState::kZero : HeaderState::kBad;
  }
  if (header->prev_crc != chain.prev_crc && !RL_MUTANT(kSkipChainCheck)) return HeaderState::kBad;
  // Both only ever grow along the log. A header that breaks this has been forged or misplaced.
  if (header->term < chain.term.value || header->commit_time_us < chain.commit_time_us) {
    return HeaderState::kBad;
  }
  return HeaderState::kValid;
}

bool LooksLikeRecord(Bytes bytes, Lsn lsn, uint64_t segment_bytes) {
  if (bytes.size() < kRecordHeaderBytes) return false;
  RecordHeader header;
  std::memcpy(&header, bytes.data(), kRecordHeaderBytes);
  return HeaderStandsAlone(header, lsn, segment_bytes);
}

bool CheckRecordPayload(Bytes bytes, const RecordHeader& header) {
  RL_CHECK(bytes.size() >= RecordBytes(header.length));
  if (header.type == static_cast<uint8_t>(RecordType::kPadding)) return true;
  const Bytes payload = bytes.subspan(kRecordHeaderBytes, header.length);
  if (MaskCrc(Crc32c(payload)) != header.payload_crc && !RL_MUTANT(kSkipPayloadCheck)) {
    return false;
  }
  const size_t used = kRecordHeaderBytes + header.length;
  return AllZero(bytes.subspan(used, RecordBytes(header.length) - used));
}

}  // namespace ringleader
