// What a store is made of: rows, addressed by row keys.
//
// A row key is the id of a database, four bytes big-endian, followed by the application's key. So
// all databases of an environment lie in one ordered space of byte strings, one after the other,
// and nothing below the catalogue knows that there are several.
//
//   0             the catalogue: names of databases (catalogue.h)
//   1 ...         databases; an id is never used twice
//   0xffffffff    the base tree's own notes: never in the log or the overlay
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "base/types.h"

namespace ringleader {

using DatabaseId = uint32_t;

inline constexpr DatabaseId kCatalogueId = 0;
inline constexpr DatabaseId kMaxDatabaseId = 0xfffffffe;
inline constexpr DatabaseId kBaseNotesId = 0xffffffff;

inline constexpr size_t kRowPrefixBytes = 4;
inline constexpr size_t kMaxKeyBytes = 1978;  // of the application; at least 1
inline constexpr size_t kMinRowKeyBytes = kRowPrefixBytes + 1;
inline constexpr size_t kMaxRowKeyBytes = kRowPrefixBytes + kMaxKeyBytes;
inline constexpr uint64_t kMaxValueBytes = uint64_t{1} << 30;

// One version of a row as a reader meets it.
struct Row {
  Lsn version;  // where the transaction that wrote it ends in the log
  Bytes value;
};

inline void StoreRowPrefix(uint8_t* to, DatabaseId id) {
  to[0] = static_cast<uint8_t>(id >> 24);
  to[1] = static_cast<uint8_t>(id >> 16);
  to[2] = static_cast<uint8_t>(id >> 8);
  to[3] = static_cast<uint8_t>(id);
}

// `row_key` has at least kRowPrefixBytes.
inline DatabaseId LoadRowPrefix(Bytes row_key) {
  return static_cast<DatabaseId>(row_key[0]) << 24 | static_cast<DatabaseId>(row_key[1]) << 16 |
         static_cast<DatabaseId>(row_key[2]) << 8 | static_cast<DatabaseId>(row_key[3]);
}

// What makes the hashes of one environment different from those of any other, so that nobody can
// choose row keys of one hash.
struct HashKeys {
  explicit HashKeys(uint64_t seed);
  uint64_t keys[4];
};

// Of a whole row key (row_hash.cc). Every process of an environment has to come to the same value.
uint64_t HashRowKey(Bytes row_key, const HashKeys& hash_keys);

// The order of rows: unsigned bytes, a prefix before what continues it. <0, 0, >0 as memcmp.
inline int CompareRowKeys(Bytes a, Bytes b) {
  const size_t common = std::min(a.size(), b.size());
  const int order = common == 0 ? 0 : std::memcmp(a.data(), b.data(), common);
  if (order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

}  // namespace ringleader
