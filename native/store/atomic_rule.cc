#include "store/atomic_rule.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/coding.h"
#include "store/operations.h"

namespace ringleader {
namespace {

Status Add(const std::optional<Row>& row, AtomicOperation* operation) {
  double sum = operation->delta;
  if (row) {
    if (row->value.size() != sizeof(double)) {
      return Status(Code::kInvalidArgument, "the value to add to is no number of 8 bytes");
    }
    sum += std::bit_cast<double>(LoadLe<uint64_t>(row->value.data()));
  }
  if (std::isnan(sum)) return Status(Code::kInvalidArgument, "the sum is not a number");
  operation->sum = sum;
  operation->value.resize(sizeof(double));
  StoreLe(operation->value.data(), std::bit_cast<uint64_t>(sum));
  return Status::Ok();
}

bool ConditionHolds(const std::optional<Row>& row, const AtomicOperation& operation) {
  const Lsn version = row ? row->version : Lsn();
  switch (operation.kind) {
    case AtomicKind::kPutIfAbsent:
      return !row;
    case AtomicKind::kPutIfVersion:
      return version == operation.expected_version;
    case AtomicKind::kRemoveIfVersion:
      return row && version == operation.expected_version;
    case AtomicKind::kPutIfValue:
      return row && std::ranges::equal(row->value, operation.expected_value);
    case AtomicKind::kRemove:
      return row.has_value();
    case AtomicKind::kAdd:
      return true;
  }
  return false;
}

}  // namespace

Status ApplyAtomicRule(const std::optional<Row>& row, AtomicOperation* operation,
                       std::vector<uint8_t>* payload) {
  payload->clear();
  operation->before.reset();
  operation->before_version = row ? row->version : Lsn();
  if (row) operation->before.emplace(row->value.begin(), row->value.end());
  if (!ConditionHolds(row, *operation)) return Status::Ok();
  if (operation->kind == AtomicKind::kAdd) RL_RETURN_IF_ERROR(Add(row, operation));
  const bool removes =
      operation->kind == AtomicKind::kRemove || operation->kind == AtomicKind::kRemoveIfVersion;
  Operation made;
  made.kind = removes ? OperationKind::kRemove : OperationKind::kPut;
  made.row_key = operation->row_key;
  if (!removes) made.value = operation->value;
  AppendOperation(made, payload);
  return Status::Ok();
}

}  // namespace ringleader
