// The payload of a transaction record: puts and removes of rows, absolute, so that doing them twice
// is doing them once (docs/FORMATS.md#operations).
//
//   operation:  kind u8 | 0 u8 | row key bytes u16 | value bytes u32 | row key | value
//
// A later operation on the same row wins. JavaScript writes these bytes itself, once; they are what
// the log stores, what replicas receive and what the overlay is filled from.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "store/row.h"

namespace ringleader {

enum class OperationKind : uint8_t {
  kPut = 1,
  kRemove = 2,  // has no value
};

struct Operation {
  OperationKind kind = OperationKind::kPut;
  Bytes row_key;
  Bytes value;

  bool removes() const { return kind == OperationKind::kRemove; }
};

inline constexpr size_t kOperationHeaderBytes = 8;

// Walks over a payload. Never reads past it; stops for good at the first byte that is no operation.
class OperationReader {
 public:
  explicit OperationReader(Bytes payload) : rest_(payload) {}

  // False at the end and at damage; `damaged` tells which.
  bool Next(Operation* operation);
  bool damaged() const { return damaged_; }

 private:
  Bytes rest_;
  bool damaged_ = false;
};

void AppendOperation(const Operation& operation, std::vector<uint8_t>* payload);

// What a commit has to know of its payload before it takes the writer lock.
struct PayloadSummary {
  uint32_t operations = 0;
  uint64_t overlay_bytes = 0;      // most that inserting them takes in a generation
  bool changes_catalogue = false;  // writes rows of database 0
};

// kCorruption where the payload is not a whole number of operations.
Result<PayloadSummary> SummarizePayload(Bytes payload);

}  // namespace ringleader
