// What a transaction has read, so that its commit can tell whether any of it has changed: row keys,
// and ranges of row keys including the gaps in them (phantoms).
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
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

  void AddKey(Bytes row_key);
  // A range without a row key in it is nothing. One that overlaps or continues the range added
  // before it becomes part of that, so that a walk may be recorded piece by piece.
  void AddRange(Bytes low, Bytes high);

  const std::unordered_set<std::string>& keys() const { return keys_; }
  const std::vector<Range>& ranges() const { return ranges_; }
  bool empty() const { return keys_.empty() && ranges_.empty(); }
  uint64_t bytes() const { return bytes_; }  // about what it takes in memory

 private:
  std::unordered_set<std::string> keys_;
  std::vector<Range> ranges_;
  uint64_t bytes_ = 0;
};

}  // namespace ringleader
