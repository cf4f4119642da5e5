// How a generation lies in shared memory (docs/FORMATS.md#generation). For generation*.cc and their
// tests only.
//
//   header | buckets: u64 each | head node | nodes and versions, in the order of their insertion
//
//   bucket:   offset of its newest node u32 | filter of the tags in its chain u32
//   node:     padding | links above the bottom, highest first | Node | rest of the row key, padded
//   to 8 version:  Version | value, padded to 8
//
// Whatever is allocated lies behind everything allocated before. A chain of versions, and the nodes
// of a bucket, are linked from newer to older: their offsets only fall, so no damage can make a
// walk along them endless.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "store/row.h"

namespace ringleader::generation_format {

inline constexpr uint64_t kMagic = 0x314e4547474c5221;  // "!RLGGEN1"
inline constexpr uint32_t kVersion = 2;
inline constexpr uint64_t kUnitBytes = 8;
inline constexpr uint64_t kBytesPerBucket = 128;
// Every second node reaches the next level up to the sixth, then one in four. On the lower levels
// every step is a cache miss, and halves take the fewest of them when both nodes that a comparison
// can lead to are fetched at once; above, short towers count for more.
inline constexpr uint32_t kHalvingLevels = 6;
inline constexpr uint32_t kMaxHeight = 15;
inline constexpr uint64_t kMaxTowerBytes = 56;  // of links above the bottom, padded
static_assert((kMaxHeight - 1) * sizeof(uint32_t) <= kMaxTowerBytes);
inline constexpr uint64_t kCacheLineBytes = 64;

// Up to `crc` written once, then never again.
struct Header {
  uint64_t magic;
  uint32_t version;
  uint32_t buckets;
  uint64_t bytes;  // of everything
  uint64_t sequence;
  uint64_t hash_seed;
  uint8_t reserved[20];
  uint32_t crc;  // masked, of everything above
  // Stored by the holder of the writer lock.
  std::atomic<uint64_t> nodes;
  std::atomic<uint64_t> versions;
  std::atomic<uint32_t> used;  // the first unit that is free
  uint8_t padding[44];
};
static_assert(sizeof(Header) == 128);
static_assert(offsetof(Header, crc) == 60);
static_assert(offsetof(Header, nodes) == 64);

// The link of level n lies 4 * n bytes in front of `next`. What is not atomic is written before the
// node can be reached and never again. The first twelve bytes of the row key are at a fixed place
// and always there, so most comparisons are two of numbers.
struct Node {
  std::atomic<uint32_t> next;         // at the bottom, in row-key order; 0 = none
  std::atomic<uint32_t> bucket_next;  // older node of the same bucket; 0 = none
  std::atomic<uint32_t> newest;       // version
  uint32_t tag;                       // low half of the hash
  uint16_t row_key_bytes;
  uint8_t height;
  uint8_t reserved;
  uint8_t row_key[12];  // zeros where it is shorter; longer ones go on behind the struct
};
static_assert(sizeof(Node) == 32);
static_assert(offsetof(Node, next) == 0);
static_assert(offsetof(Node, row_key) == 20);

struct Version {
  uint64_t lsn_and_kind;  // LSN * 2, plus 1 where it removes the row
  uint32_t older;         // version; 0 = none
  uint32_t value_bytes;
};
static_assert(sizeof(Version) == 16);

// Two bits for each tag. A row that is not there is told from the bucket alone, mostly: that is
// what most reads ask of most generations, and a node is another cache miss.
constexpr uint32_t FilterBits(uint32_t tag) {
  return uint32_t{1} << tag % 32 | uint32_t{1} << tag / 32 % 32;
}
constexpr uint32_t BucketHead(uint64_t bucket) { return static_cast<uint32_t>(bucket); }
constexpr uint32_t BucketFilter(uint64_t bucket) { return static_cast<uint32_t>(bucket >> 32); }
constexpr uint64_t MakeBucket(uint32_t head, uint32_t filter) {
  return uint64_t{filter} << 32 | head;
}

static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

constexpr uint64_t RoundUp(uint64_t bytes) { return (bytes + kUnitBytes - 1) & ~(kUnitBytes - 1); }

constexpr uint64_t NodeBytes(size_t row_key_bytes) {
  const uint64_t bytes = RoundUp(offsetof(Node, row_key) + row_key_bytes);
  return bytes < sizeof(Node) ? sizeof(Node) : bytes;
}
constexpr uint64_t VersionBytes(uint64_t value_bytes) {
  return RoundUp(sizeof(Version) + value_bytes);
}
constexpr uint64_t TowerBytes(uint32_t height) { return RoundUp((height - 1) * sizeof(uint32_t)); }

// From the hash, so that it is the same however often a row is inserted.
inline uint32_t HeightOf(uint64_t hash) {
  constexpr uint32_t kHalvings = kHalvingLevels - 1;
  constexpr uint32_t kMostZeros = kHalvings + 2 * (kMaxHeight - kHalvingLevels);
  const auto zeros = static_cast<uint32_t>(std::countr_zero(hash | uint64_t{1} << kMostZeros));
  return zeros < kHalvings ? 1 + zeros : kHalvingLevels + (zeros - kHalvings) / 2;
}

// Left free in front of a tower so that it and its node lie in one cache line, which is all that a
// search looks at. High towers, one in 32, are not worth it.
constexpr uint64_t PaddingBytes(uint64_t at, uint64_t tower_bytes) {
  constexpr uint64_t kMostTower = 16;
  if (tower_bytes > kMostTower) return 0;
  const uint64_t left = kCacheLineBytes - at % kCacheLineBytes;
  return tower_bytes + sizeof(Node) > left ? left : 0;
}

// Most that tower and padding take together.
inline constexpr uint64_t kMaxTowerAndPaddingBytes = 56;

// Where things begin in a generation of `bytes`.
struct Places {
  explicit constexpr Places(uint64_t bytes)
      : buckets(static_cast<uint32_t>(bytes / kBytesPerBucket)),
        head(sizeof(Header) + RoundUp(buckets * sizeof(uint64_t)) + kMaxTowerBytes),
        first_free(head + sizeof(Node)) {}

  uint32_t buckets;
  uint64_t head;
  uint64_t first_free;
};

}  // namespace ringleader::generation_format
