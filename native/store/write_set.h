// The writes of a transaction that has not committed: the newest of each row, in row-key order.
//
// Most transactions write a few small rows: these are kept as the payload that commits them, in
// memory that is used again after Clear. More of them, and rows that are walked over, are kept in a
// map. Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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

  // A row as the transaction has written it; valid until its next write.
  struct Own {
    bool removed = false;
    Bytes value;
  };

  // Both copy what they are given. kTooLarge, without effect, where a row or the transaction would
  // be over a limit; kInvalidArgument where no row can have this key.
  Status Put(Bytes row_key, Bytes value);
  Status Remove(Bytes row_key);
  // nullopt where the transaction has not written the row.
  std::optional<Own> Find(Bytes row_key) const;

  // As a map, which they are from then on.
  const Map& rows() const;
  bool empty() const { return payload_bytes_ == 0; }
  uint64_t payload_bytes() const { return payload_bytes_; }
  // The payload of the record that commits it.
  std::vector<uint8_t> Encode() const;
  // The same, valid until the next write; `room` may be needed for it.
  Bytes EncodeInto(std::vector<uint8_t>* room) const;
  void Clear();

 private:
  struct FewPlace {
    size_t at = 0;    // in few_: of the row, or where it would be
    size_t size = 0;  // of its operation; 0 where the row is not there
    Operation operation;
  };

  Status Write(const Operation& operation);
  Status CheckRoom(uint64_t before, uint64_t after) const;
  FewPlace FindFew(Bytes row_key) const;
  void WriteFew(const FewPlace& place, const Operation& operation);
  void MakeMap() const;

  const uint64_t max_payload_bytes_;
  uint64_t payload_bytes_ = 0;
  size_t few_rows_ = 0;
  // Which of the two it is makes no difference that anybody could see, so a look may change it.
  mutable bool mapped_ = false;
  mutable std::vector<uint8_t> few_;  // operations, in row-key order
  mutable Map rows_;
};

}  // namespace ringleader
