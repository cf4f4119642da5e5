// A generation in memory of its own, and what it must hold: every version ever inserted, by row key
// and LSN.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "harness.h"
#include "store/generation.h"
#include "test_hash.h"

namespace ringleader::test {

inline Bytes BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string TextOf(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string RowKeyOf(DatabaseId database, const std::string& key) {
  std::string row_key(kRowPrefixBytes, '\0');
  StoreRowPrefix(reinterpret_cast<uint8_t*>(row_key.data()), database);
  return row_key + key;
}

// Exactly as large as it says, so that AddressSanitizer notices a byte too far.
class HeapMemory {
 public:
  explicit HeapMemory(size_t size) : size_(size), at_(std::calloc(size, 1)) {
    CHECK(at_ != nullptr);
  }
  HeapMemory(const HeapMemory&) = delete;
  HeapMemory& operator=(const HeapMemory&) = delete;
  ~HeapMemory() { std::free(at_); }

  MutableBytes bytes() { return {static_cast<uint8_t*>(at_), size_}; }

 private:
  const size_t size_;
  void* at_;
};

inline Generation Fresh(MutableBytes memory, uint64_t sequence = 1) {
  Generation::Format(memory, sequence, kTestHashSeed);
  CHECK_VALUE(Generation generation, Generation::Attach(memory));
  return generation;
}

// Nothing = removed.
using Content = std::optional<std::string>;

struct Change {
  std::string row_key;
  Content content;
};

inline Status Put(Generation& generation, uint64_t lsn, const Change& change) {
  const Bytes row_key = BytesOf(change.row_key);
  const bool removes = !change.content.has_value();
  const std::string value = change.content.value_or("");
  return generation.Insert(Lsn(lsn), row_key, HashRowKey(row_key), removes, BytesOf(value));
}

class GenerationModel {
 public:
  using Versions = std::map<uint64_t, Content>;

  void Put(uint64_t lsn, const Change& change) { rows_[change.row_key][lsn] = change.content; }
  const std::map<std::string, Versions>& rows() const { return rows_; }

  // What a reader must be told. `found` that does not fit, or a row, ends the test.
  static void CheckFound(const Versions* versions, uint64_t at, Found found, const Row& row) {
    const auto newer = versions == nullptr ? Versions::const_iterator() : versions->upper_bound(at);
    if (versions == nullptr || newer == versions->begin()) {
      CHECK_EQ(found, Found::kNothing);
      return;
    }
    const auto& [lsn, content] = *std::prev(newer);
    CHECK_EQ(found, content.has_value() ? Found::kValue : Found::kRemoved);
    CHECK_EQ(row.version.value, lsn);
    CHECK(TextOf(row.value) == content.value_or(""));
  }

  void CheckFind(const Generation& generation, const std::string& row_key, uint64_t at) const {
    const auto versions = rows_.find(row_key);
    const Bytes bytes = BytesOf(row_key);
    Row row;
    const Found found = generation.Find(bytes, HashRowKey(bytes), Lsn(at), &row);
    CheckFound(versions == rows_.end() ? nullptr : &versions->second, at, found, row);
  }

  // Every row by its key, and in both directions. Nodes without a version at or below `at` may be
  // there or not: what somebody has inserted meanwhile, or died of.
  void CheckAll(const Generation& generation, uint64_t at) const {
    for (const auto& [row_key, versions] : rows_) CheckFind(generation, row_key, at);
    Generation::Cursor cursor(generation);
    auto expected = rows_.begin();
    for (bool on = cursor.SeekAtLeast({}); on; on = cursor.Next()) {
      Row row;
      const Found found = cursor.Read(Lsn(at), &row);
      if (found == Found::kNothing) continue;
      while (expected != rows_.end() && expected->second.begin()->first > at) ++expected;
      CHECK(expected != rows_.end());
      CHECK(TextOf(cursor.row_key()) == expected->first);
      CheckFound(&expected->second, at, found, row);
      ++expected;
    }
    CHECK(!cursor.damaged());
    while (expected != rows_.end() && expected->second.begin()->first > at) ++expected;
    CHECK(expected == rows_.end());
  }

  void CheckBackwards(const Generation& generation, uint64_t at) const {
    Generation::Cursor cursor(generation);
    auto expected = rows_.rbegin();
    for (bool on = cursor.SeekBelow({}); on; on = cursor.Prev()) {
      Row row;
      if (cursor.Read(Lsn(at), &row) == Found::kNothing) continue;
      while (expected != rows_.rend() && expected->second.begin()->first > at) ++expected;
      CHECK(expected != rows_.rend());
      CHECK(TextOf(cursor.row_key()) == expected->first);
      ++expected;
    }
    CHECK(!cursor.damaged());
    while (expected != rows_.rend() && expected->second.begin()->first > at) ++expected;
    CHECK(expected == rows_.rend());
  }

 private:
  std::map<std::string, Versions> rows_;
};

// Row keys that are hard to tell apart: prefixes of others, zeros and 0xff at the end, long ones
// that differ in the last byte, the same key in several databases.
inline std::string TrickyRowKey(std::mt19937_64& random, size_t variety) {
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  const DatabaseId database = below(4) == 0 ? static_cast<DatabaseId>(below(3)) : 1;
  std::string key;
  switch (below(6)) {
    case 0:
      key = std::string(1 + below(24), "\0a\xff"[below(3)]);
      break;
    case 1:
      key = std::string(kMaxKeyBytes - 1 - below(2), 'l') + static_cast<char>(below(variety));
      break;
    case 2:
      key = "shared/prefix/of/many/rows/" + std::to_string(below(variety));
      break;
    case 3:
      key = std::string(1 + below(9), 'p') + std::string(below(3), '\0');
      break;
    default:
      for (size_t i = 0; i < 8; ++i) key += static_cast<char>(below(variety) * 37 >> (i % 3));
      key.resize(1 + below(8));
      break;
  }
  return RowKeyOf(database, key);
}

}  // namespace ringleader::test
