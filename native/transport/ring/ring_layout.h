// The shared memory of a ring (docs/FORMATS.md#ring): who writes which word, and what proves that
// a piece of memory is one.
//
// Each direction of a link has two segments, so that neither side writes what the other writes: the
// producer's, with the data and `tail`, and the consumer's, with `head` and what it sleeps on. The
// other side maps a segment without the right to write, and its size and contents are sealed
// against everybody but its owner.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/bytes.h"
#include "base/status.h"

namespace ringleader {

inline constexpr size_t kMinRingBytes = size_t{1} << 20;
inline constexpr size_t kMaxRingBytes = size_t{64} << 20;
// Of data that one frame may take: an eighth of the ring, so that the two sides overlap.
inline constexpr size_t kMaxRingFrameBytes = size_t{1} << 20;
inline constexpr size_t kRingShare = 8;

inline constexpr uint32_t kProducerMagic = 0x50524c52;  // "RLRP"
inline constexpr uint32_t kConsumerMagic = 0x43524c52;  // "RLRC"
inline constexpr uint16_t kRingVersion = 1;
inline constexpr uint16_t kRingLowestReader = 1;  // versions from here read what we write
inline constexpr uint32_t kRingByteOrder = 0x01020304;

// Two lines: the processor fetches them in pairs.
inline constexpr size_t kRingLineBytes = 128;

using RingSession = std::array<uint8_t, 16>;

// The first bytes of either segment; written once, before the segment is shown.
struct RingHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t lowest_reader;
  uint32_t byte_order;
  uint8_t dials;  // 1: the segment is of the side that has connected
  uint8_t wraps;  // 1: frames go on from the end of the data to its beginning
  uint16_t reserved;
  uint64_t capacity;    // bytes of data, 0 in a consumer's
  uint64_t page_bytes;  // where the data begins
  RingSession session;
  uint32_t zero;
  uint32_t checksum;  // masked CRC-32C of everything before
};
static_assert(sizeof(RingHeader) == 56 && offsetof(RingHeader, capacity) == 16 &&
              offsetof(RingHeader, session) == 32 && offsetof(RingHeader, checksum) == 52);
static_assert(std::is_trivially_copyable_v<RingHeader>);

// Positions count bytes since the beginning of the link and never go back.
struct ProducerPage {
  RingHeader header;
  alignas(kRingLineBytes) std::atomic<uint64_t> tail;  // what lies below is there to be read (R1)
  alignas(kRingLineBytes) std::atomic<uint64_t> beats;
};

struct ConsumerPage {
  RingHeader header;
  alignas(kRingLineBytes) std::atomic<uint64_t> head;  // what lies below may be overwritten (R2)
  // Odd: the owner sleeps and has to be rung for, once for each value (R3).
  alignas(kRingLineBytes) std::atomic<uint32_t> sleep;
  // ... when there is something to read, and when the owner's own data has been read up to here.
  std::atomic<uint64_t> room_at;
  alignas(kRingLineBytes) std::atomic<uint64_t> beats;
};
static_assert(offsetof(ProducerPage, tail) == 128 && offsetof(ProducerPage, beats) == 256);
static_assert(offsetof(ConsumerPage, head) == 128 && offsetof(ConsumerPage, sleep) == 256 &&
              offsetof(ConsumerPage, room_at) == 264 && offsetof(ConsumerPage, beats) == 384);
static_assert(sizeof(ProducerPage) <= 4096 && sizeof(ConsumerPage) <= 4096);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

inline constexpr uint64_t kNoRoomWanted = ~uint64_t{0};

// Of the largest frame of a ring, its head included.
constexpr size_t RingFrameBytes(size_t capacity) {
  return capacity / kRingShare < kMaxRingFrameBytes ? capacity / kRingShare : kMaxRingFrameBytes;
}

uint32_t RingHeaderChecksum(const RingHeader& header);
// Fills in everything but what the caller has: magic, dials, wraps, capacity, session.
void SealRingHeader(RingHeader* header, size_t page_bytes);

// What the header of the other side's segment has to say.
struct RingExpectation {
  uint32_t magic;
  uint8_t dials;
  RingSession session;
  size_t page_bytes;
};
// kCorruption for what no side of this session writes, kNewerFormat for what this version cannot
// read. `header` is a private copy.
Status CheckRingHeader(const RingHeader& header, const RingExpectation& expected);

}  // namespace ringleader
