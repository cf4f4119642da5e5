// What the tests of the store share: rows in words, generations on the heap, random choices.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness.h"
#include "store/generation.h"
#include "store/merge_cursor.h"
#include "store/row.h"
#include "test_hash.h"

namespace ringleader::test {

inline Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline std::string AsText(Bytes bytes) { return std::string(bytes.begin(), bytes.end()); }

// The row key of an application's key, as a string: `Bytes` of it by AsBytes.
inline std::string KeyOf(DatabaseId database, std::string_view key) {
  uint8_t prefix[kRowPrefixBytes];
  StoreRowPrefix(prefix, database);
  return AsText(prefix) + std::string(key);
}

// xorshift64*: the same choices for the same seed everywhere.
class Choices {
 public:
  explicit Choices(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}

  uint64_t Below(uint64_t limit) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 0x2545f4914f6cdd1du >> 11) % limit;
  }
  bool OneIn(uint64_t count) { return Below(count) == 0; }

 private:
  uint64_t state_;
};

// A generation in memory of its own.
class HeapGeneration {
 public:
  explicit HeapGeneration(uint64_t bytes = kMinGenerationBytes)
      : memory_(bytes / sizeof(uint64_t)) {
    Generation::Format(bytes_of_memory(), 1, kTestHashSeed);
    CHECK_VALUE(const Generation attached, Generation::Attach(bytes_of_memory()));
    generation_.emplace(attached);
  }

  void Put(uint64_t lsn, std::string_view row_key, std::string_view value) {
    Insert(lsn, row_key, false, value);
  }
  void Remove(uint64_t lsn, std::string_view row_key) { Insert(lsn, row_key, true, {}); }

  const Generation* get() const { return &*generation_; }
  MutableBytes bytes_of_memory() {
    return {reinterpret_cast<uint8_t*>(memory_.data()), memory_.size() * sizeof(uint64_t)};
  }

 private:
  void Insert(uint64_t lsn, std::string_view row_key, bool removes, std::string_view value) {
    const Bytes key = AsBytes(row_key);
    CHECK_OK(generation_->Insert(Lsn(lsn), key, HashRowKey(key), removes, AsBytes(value)));
  }

  std::vector<uint64_t> memory_;
  std::optional<Generation> generation_;
};

// Where a cursor stands: "key=value", or "end".
inline std::string At(const MergeCursor& cursor) {
  if (!cursor.valid()) return "end";
  return AsText(cursor.row_key().subspan(kRowPrefixBytes)) + "=" + AsText(cursor.row().value);
}

// All rows from the first on, each with a space behind it.
inline std::string Forwards(MergeCursor& cursor) {
  std::string all;
  CHECK_OK(cursor.SeekAtLeast({}));
  while (cursor.valid()) {
    all += At(cursor) + " ";
    CHECK_OK(cursor.Next());
  }
  return all;
}

// And from the last one back.
inline std::string Backwards(MergeCursor& cursor) {
  std::string all;
  CHECK_OK(cursor.SeekBelow({}));
  while (cursor.valid()) {
    all += At(cursor) + " ";
    CHECK_OK(cursor.Prev());
  }
  return all;
}

}  // namespace ringleader::test
