// The writes of a transaction that has not committed: the newest of each row, in row-key order.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "log/log_format.h"
#include "store/operations.h"
#include "store/row.h"

namespace ringleader {

class WriteSet {
 public:
  struct Value {
    bool removed = false;
    std::vector<uint8_t> bytes;
  };
  // Ordered as CompareRowKeys has it: std::string compares unsigned bytes. A row that is in the map
  // stays in its place, so keys and iterators are good for as long as the set is.
  using Map = std::map<std::string, Value, std::less<>>;

  explicit WriteSet(uint64_t max_payload_bytes = kMaxTransactionBytes)
      : max_payload_bytes_(max_payload_bytes) {}

  // Both copy what they are given. kTooLarge, without effect, where a row or the transaction would
  // be over a limit; kInvalidArgument where no row can have this key.
  Status Put(Bytes row_key, Bytes value);
  Status Remove(Bytes row_key);
  // Null where the transaction has not written the row.
  const Value* Find(Bytes row_key) const;

  const Map& rows() const { return rows_; }
  bool empty() const { return rows_.empty(); }
  uint64_t payload_bytes() const { return payload_bytes_; }
  // The payload of the record that commits it.
  std::vector<uint8_t> Encode() const;

 private:
  // Where the value of the row goes, with room for `value_bytes` accounted for.
  Result<Value*> Place(Bytes row_key, uint64_t value_bytes);

  const uint64_t max_payload_bytes_;
  Map rows_;
  uint64_t payload_bytes_ = 0;
};

}  // namespace ringleader
