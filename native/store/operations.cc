#include "store/operations.h"

#include "base/check.h"
#include "base/coding.h"
#include "store/generation.h"

namespace ringleader {
namespace {

constexpr size_t kReservedOffset = 1;
constexpr size_t kRowKeyBytesOffset = 2;
constexpr size_t kValueBytesOffset = 4;

// The sizes of the operation at the start of `rest`, when there is a whole one.
struct Sizes {
  size_t row_key = 0;
  size_t value = 0;
  size_t total() const { return kOperationHeaderBytes + row_key + value; }
};

bool ReadSizes(Bytes rest, Sizes* sizes) {
  if (rest.size() < kOperationHeaderBytes) return false;
  const uint8_t kind = rest[0];
  const bool removes = kind == static_cast<uint8_t>(OperationKind::kRemove);
  if (!removes && kind != static_cast<uint8_t>(OperationKind::kPut)) return false;
  if (rest[kReservedOffset] != 0) return false;
  sizes->row_key = LoadLe<uint16_t>(rest.data() + kRowKeyBytesOffset);
  sizes->value = LoadLe<uint32_t>(rest.data() + kValueBytesOffset);
  if (sizes->row_key < kMinRowKeyBytes || sizes->row_key > kMaxRowKeyBytes) return false;
  if (sizes->value > (removes ? 0 : kMaxValueBytes)) return false;
  if (sizes->total() > rest.size()) return false;
  return LoadRowPrefix(rest.subspan(kOperationHeaderBytes)) <= kMaxDatabaseId;
}

}  // namespace

bool OperationReader::Next(Operation* operation) {
  if (damaged_ || rest_.empty()) return false;
  Sizes sizes;
  if (!ReadSizes(rest_, &sizes)) {
    damaged_ = true;
    return false;
  }
  operation->kind = static_cast<OperationKind>(rest_[0]);
  operation->row_key = rest_.subspan(kOperationHeaderBytes, sizes.row_key);
  operation->value = rest_.subspan(kOperationHeaderBytes + sizes.row_key, sizes.value);
  rest_ = rest_.subspan(sizes.total());
  return true;
}

void AppendOperation(const Operation& operation, std::vector<uint8_t>* payload) {
  RL_CHECK(operation.row_key.size() >= kMinRowKeyBytes);
  RL_CHECK(operation.row_key.size() <= kMaxRowKeyBytes);
  RL_CHECK(LoadRowPrefix(operation.row_key) <= kMaxDatabaseId);
  RL_CHECK(operation.value.size() <= (operation.removes() ? 0 : kMaxValueBytes));
  Encoder out(payload);
  out.Fixed(static_cast<uint8_t>(operation.kind));
  out.Fixed(uint8_t{0});
  out.Fixed(static_cast<uint16_t>(operation.row_key.size()));
  out.Fixed(static_cast<uint32_t>(operation.value.size()));
  out.Raw(operation.row_key);
  out.Raw(operation.value);
}

Result<PayloadSummary> SummarizePayload(Bytes payload) {
  PayloadSummary summary;
  for (Bytes rest = payload; !rest.empty();) {
    Sizes sizes;
    if (!ReadSizes(rest, &sizes)) {
      return Status(Code::kCorruption, "byte " + std::to_string(payload.size() - rest.size()) +
                                           " of a transaction begins no operation");
    }
    ++summary.operations;
    summary.overlay_bytes += Generation::InsertBytes(sizes.row_key, sizes.value);
    summary.changes_catalogue |= LoadRowPrefix(rest.subspan(kOperationHeaderBytes)) == kCatalogueId;
    rest = rest.subspan(sizes.total());
  }
  return summary;
}

}  // namespace ringleader
