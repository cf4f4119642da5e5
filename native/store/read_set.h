// What a transaction has read, so that its commit can tell whether any of it has changed: row keys,
// and ranges of row keys including the gaps in them (phantoms).
//
// Its memory is used again after Clear: most transactions read a few rows.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "store/row.h"

namespace ringleader {

class ReadSet {
 public:
  // Row keys from `low` up to, not including, `high`; an empty `high` has no end.
  struct Range {
    std::string low;
    std::string high;
  };

  struct Key {
    uint64_t hash;
    uint64_t at;  // in bytes_
    uint32_t size;
  };

  // Again and again is the same as once.
  void AddKey(Bytes row_key);
  // A range without a row key in it is nothing. One that overlaps or continues the range added
  // before it becomes part of that, so that a walk may be recorded piece by piece.
  void AddRange(Bytes low, Bytes high);

  const std::vector<Key>& keys() const { return keys_; }
  Bytes RowKeyOf(const Key& key) const { return Bytes(bytes_).subspan(key.at, key.size); }
  const std::vector<Range>& ranges() const { return ranges_; }
  bool empty() const { return keys_.empty() && ranges_.empty(); }
  uint64_t bytes() const;  // about what it takes in memory
  void Clear();

 private:
  bool Is(const Key& key, uint64_t hash, Bytes row_key) const;
  uint32_t* PlaceOf(uint64_t hash, Bytes row_key);
  void GrowIndex();

  std::vector<Key> keys_;
  std::vector<uint8_t> bytes_;  // the row keys, one behind the other
  // Numbers of keys plus one, by their hashes, where there are more than a few; 0 = free.
  std::vector<uint32_t> index_;
  std::vector<Range> ranges_;
  uint64_t range_bytes_ = 0;
};

}  // namespace ringleader
