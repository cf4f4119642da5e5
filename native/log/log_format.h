// The bytes of the log: segments, their header page, records (docs/FORMATS.md#log).
//
// The log is one stream of bytes; an LSN is a position in it. The stream is cut into segments of
// equal size, one file each, so that file, offset in the file and place in the ring all follow from
// the LSN alone. Nothing in the stream depends on the member that holds it: every member of a group
// has the same bytes at the same LSN.
//
//   segment:  header page (4096) | record | record | ... | padding to the end
//   record:   header (40) | payload | zeros to the next multiple of 8
//
// A record is valid where all of these hold; anything else ends the log or is corruption:
//   - its header's checksum fits, its LSN is the position it stands at, its length stays inside the
//     segment and below the limit, its type is known;
//   - prev_crc is the header checksum of the record before it (the chain). Bytes left over from an
//     earlier use of the file carry another LSN; bytes of another history carry another chain;
//   - its payload's checksum fits and the bytes after the payload are zero.
//
// A transaction larger than one record is a run of records, all but the first with kContinues, all
// but the last with kMore. A run that is not finished by its last piece never happened: the next
// record without kContinues drops it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/bytes.h"
#include "base/types.h"

namespace ringleader {

using Id128 = std::array<uint8_t, 16>;

enum class RecordType : uint8_t {
  kTransaction = 1,
  kPadding = 2,  // fills a segment whose rest is too small; its payload is not checked
  kTermStart = 3,
  kCheckpoint = 4,
  kCatalogue = 5,
  kConfiguration = 6,
  kBulkLoad = 7,
};
inline constexpr uint8_t kMaxRecordType = 7;

inline constexpr uint8_t kRecordContinues = 1;  // goes on with the transaction before it
inline constexpr uint8_t kRecordMore = 2;       // the next record goes on with this transaction
inline constexpr uint8_t kRecordFlagsMask = 3;

struct RecordHeader {
  uint32_t length;       // payload bytes
  uint32_t payload_crc;  // masked CRC-32C of the payload
  uint64_t lsn;          // where this header stands
  uint32_t term;
  uint8_t type;  // RecordType
  uint8_t flags;
  uint16_t operations;      // puts and deletes inside, for statistics; 65535 = that many or more
  uint64_t commit_time_us;  // wall clock of the primary, never smaller than the record before
  uint32_t prev_crc;        // header_crc of the record before
  uint32_t header_crc;      // masked CRC-32C of the 36 bytes above
};
inline constexpr size_t kRecordHeaderBytes = 40;
static_assert(sizeof(RecordHeader) == kRecordHeaderBytes);
static_assert(std::is_trivially_copyable_v<RecordHeader>);
static_assert(offsetof(RecordHeader, lsn) == 8 && offsetof(RecordHeader, term) == 16);
static_assert(offsetof(RecordHeader, commit_time_us) == 24);
static_assert(offsetof(RecordHeader, header_crc) == 36);

struct SegmentHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;  // 4096
  Id128 group_id;
  uint64_t start_lsn;
  uint64_t segment_bytes;
  uint64_t last_commit_time_us;  // of the record before the segment
  uint32_t prev_crc;             // header_crc of the record before the segment
  uint32_t last_term;            // of the record before the segment
  uint32_t reserved;             // 0
  uint32_t header_crc;           // masked CRC-32C of the 68 bytes above
};
inline constexpr size_t kSegmentHeaderBytes = 72;
static_assert(sizeof(SegmentHeader) == kSegmentHeaderBytes);
static_assert(std::is_trivially_copyable_v<SegmentHeader>);
static_assert(offsetof(SegmentHeader, start_lsn) == 32);
static_assert(offsetof(SegmentHeader, header_crc) == 68);

inline constexpr uint64_t kSegmentMagic = 0x31474553474f4c52;  // "RLOGSEG1"
inline constexpr uint32_t kLogFormatVersion = 1;
inline constexpr size_t kSegmentPageBytes = 4096;

inline constexpr uint64_t kMinSegmentBytes = uint64_t{64} << 10;
inline constexpr uint64_t kMaxSegmentBytes = uint64_t{1} << 30;
inline constexpr uint64_t kDefaultSegmentBytes = uint64_t{64} << 20;
// Largest transaction that Append takes.
inline constexpr uint64_t kMaxTransactionBytes = uint64_t{4} << 30;

// Largest payload of one record. A part of the segment, so that padding wastes little.
constexpr uint64_t MaxRecordPayload(uint64_t segment_bytes) {
  const uint64_t eighth = segment_bytes / 8;
  return eighth < (uint64_t{1} << 20) ? eighth : (uint64_t{1} << 20);
}

// Bytes a record of that payload takes in the stream.
constexpr uint64_t RecordBytes(uint64_t payload) {
  return (kRecordHeaderBytes + payload + 7) & ~uint64_t{7};
}

constexpr Lsn SegmentStart(Lsn lsn, uint64_t segment_bytes) {
  return Lsn(lsn.value - lsn.value % segment_bytes);
}

// What the checks of the next record need to know of everything before it.
struct ChainState {
  uint32_t prev_crc = 0;
  Term term;
  uint64_t commit_time_us = 0;
};

// The chain value before the first record of a group's log.
ChainState FirstChain(const Id128& group_id);

// Fills in header_crc.
void SealRecordHeader(RecordHeader& header);

// One page with the header of the segment that begins at `start`.
void BuildSegmentPage(const Id128& group_id, Lsn start, uint64_t segment_bytes,
                      const ChainState& before, MutableBytes page);

enum class PageState : uint8_t {
  kZero,  // prepared, not in use
  kValid,
  kNewer,    // a later format version
  kForeign,  // intact, but of another place, group or size
  kDamaged,
};
PageState CheckSegmentPage(Bytes page, const Id128& group_id, Lsn start, uint64_t segment_bytes,
                           ChainState* before);

enum class HeaderState : uint8_t { kValid, kZero, kBad };

// Checks a header that stands at `lsn`, against the chain and the end of its segment. `header` is
// filled in whenever the result is kValid.
HeaderState CheckRecordHeader(Bytes bytes, Lsn lsn, uint64_t segment_bytes, const ChainState& chain,
                              RecordHeader* header);

// Whether a header that passes its own checks, chain aside, stands at `lsn`.
bool LooksLikeRecord(Bytes bytes, Lsn lsn, uint64_t segment_bytes);

// Checks the payload and the zeros behind it; `bytes` begins at the header and holds
// RecordBytes(header.length).
bool CheckRecordPayload(Bytes bytes, const RecordHeader& header);

// A checked record inside a buffer.
struct Record {
  RecordHeader header;
  Bytes payload;

  Lsn lsn() const { return Lsn(header.lsn); }
  Lsn end() const { return Lsn(header.lsn + RecordBytes(header.length)); }
  Term term() const { return Term(header.term); }
  RecordType type() const { return static_cast<RecordType>(header.type); }
  bool continues() const { return (header.flags & kRecordContinues) != 0; }
  bool more() const { return (header.flags & kRecordMore) != 0; }
};

inline ChainState ChainAfter(const RecordHeader& header) {
  return {header.header_crc, Term(header.term), header.commit_time_us};
}

}  // namespace ringleader
