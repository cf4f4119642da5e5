// The short, hot parts of a generation, shared by generation.cc and generation_cursor.cc.
#pragma once

#include <cstring>

#include "store/generation.h"
#include "store/generation_format.h"

namespace ringleader {

// A row key that is looked for, with its first twelve bytes as numbers.
struct Generation::Target {
  Target() = default;
  explicit Target(Bytes row_key) {
    uint8_t start[sizeof(Node::row_key)] = {};
    std::memcpy(start, row_key.data(), std::min(row_key.size(), sizeof start));
    database = Number<uint32_t>(start);
    key_start = Number<uint64_t>(start + kRowPrefixBytes);
  }

  // Where it says 0 the row keys still have to be compared. Zeros behind the end of a short row key
  // cannot mislead: where they differ from what the other one has there, the other one is longer.
  int CompareStart(const Node& node) const {
    const auto node_database = Number<uint32_t>(node.row_key);
    if (node_database != database) return node_database < database ? -1 : 1;
    const auto node_start = Number<uint64_t>(node.row_key + kRowPrefixBytes);
    return node_start < key_start ? -1 : node_start > key_start ? 1 : 0;
  }

  // Big-endian, so that the order of numbers is that of bytes.
  template <typename T>
  static T Number(const uint8_t* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return sizeof value == 4 ? static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)))
                             : static_cast<T>(__builtin_bswap64(value));
  }

  uint32_t database = 0;
  uint64_t key_start = 0;
};

// Between which nodes a row key belongs, on every level.
struct Generation::Place {
  uint32_t found = 0;  // the node that has it
  uint32_t below[generation_format::kMaxHeight];
  uint32_t at_least[generation_format::kMaxHeight];
};

// More steps than there can be nodes in this many units: who makes them walks in a circle.
inline uint32_t MostSteps(uint32_t units) {
  using namespace generation_format;
  return kMaxHeight + units / ((sizeof(Node) + sizeof(Version)) / kUnitBytes);
}

inline void WriteVersion(uint8_t* to, uint64_t lsn_and_kind, uint32_t older, Bytes value) {
  generation_format::Version version{lsn_and_kind, older, static_cast<uint32_t>(value.size())};
  std::memcpy(to, &version, sizeof version);
  if (!value.empty()) std::memcpy(to + sizeof version, value.data(), value.size());
}

inline Generation::Header& Generation::header() const {
  return *reinterpret_cast<Header*>(memory_);
}

// The high half of the hash chooses the bucket, the low half is the tag.
inline std::atomic<uint64_t>& Generation::Bucket(uint64_t hash) const {
  const uint64_t index = (hash >> 32) * buckets_ >> 32;
  return reinterpret_cast<std::atomic<uint64_t>*>(memory_ + sizeof(Header))[index];
}

// Any level of any node that NodeAt accepts lies inside: in front of the head there is room for the
// highest tower.
inline std::atomic<uint32_t>& Generation::Link(uint32_t node, uint32_t level) const {
  uint8_t* bottom = memory_ + node * generation_format::kUnitBytes;
  return *reinterpret_cast<std::atomic<uint32_t>*>(bottom - level * sizeof(uint32_t));
}

inline generation_format::Node* Generation::NodeAt(uint32_t offset) const {
  using namespace generation_format;
  const uint32_t last = static_cast<uint32_t>(end_ - sizeof(Node) / kUnitBytes);
  if (offset <= head_ || offset > last) [[unlikely]] {
    return nullptr;
  }
  return reinterpret_cast<Node*>(memory_ + offset * kUnitBytes);
}

inline generation_format::Version* Generation::VersionAt(uint32_t offset) const {
  using namespace generation_format;
  const uint32_t last = static_cast<uint32_t>(end_ - sizeof(Version) / kUnitBytes);
  if (offset <= head_ || offset > last) [[unlikely]] {
    return nullptr;
  }
  return reinterpret_cast<Version*>(memory_ + offset * kUnitBytes);
}

inline Bytes Generation::RowKey(uint32_t node) const {
  using namespace generation_format;
  const uint8_t* start = memory_ + node * kUnitBytes;
  const size_t size = reinterpret_cast<const Node*>(start)->row_key_bytes;
  const uint64_t room = (end_ - node) * kUnitBytes - offsetof(Node, row_key);
  if (size < kMinRowKeyBytes || size > kMaxRowKeyBytes || size > room) [[unlikely]] {
    return {};
  }
  return {start + offsetof(Node, row_key), size};
}

// A hint: the offset has not been checked.
inline void Generation::Prefetch(uint32_t offset) const {
  __builtin_prefetch(memory_ + offset * generation_format::kUnitBytes);
}

// Where a search can go from a node on this level: one of these, or the next on the level itself,
// and which of them is known only when that one has been fetched.
inline void Generation::PrefetchBelow(uint32_t node, uint32_t level) const {
  if (level > 0) Prefetch(Link(node, level - 1).load(std::memory_order_acquire));
  if (level > 1) Prefetch(Link(node, level - 2).load(std::memory_order_acquire));
  if (level > 2) Prefetch(Link(node, level - 3).load(std::memory_order_acquire));
}

}  // namespace ringleader
