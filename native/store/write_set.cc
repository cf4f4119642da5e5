#include "store/write_set.h"

#include <string_view>

#include "base/check.h"

namespace ringleader {
namespace {

std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Status CheckSizes(Bytes row_key, uint64_t value_bytes) {
  if (row_key.size() < kMinRowKeyBytes || LoadRowPrefix(row_key) > kMaxDatabaseId) {
    return Status(Code::kInvalidArgument, "a key has at least 1 byte and belongs to a database");
  }
  if (row_key.size() > kMaxRowKeyBytes) {
    return Status(Code::kTooLarge, "a key has at most " + std::to_string(kMaxKeyBytes) + " bytes");
  }
  if (value_bytes > kMaxValueBytes) {
    return Status(Code::kTooLarge,
                  "a value has at most " + std::to_string(kMaxValueBytes) + " bytes");
  }
  return Status::Ok();
}

}  // namespace

Result<WriteSet::Value*> WriteSet::Place(Bytes row_key, uint64_t value_bytes) {
  RL_RETURN_IF_ERROR(CheckSizes(row_key, value_bytes));
  const auto at = rows_.lower_bound(AsText(row_key));
  const bool exists = at != rows_.end() && at->first == AsText(row_key);
  const uint64_t before = exists ? at->second.bytes.size() : 0;
  const uint64_t added = value_bytes + (exists ? 0 : kOperationHeaderBytes + row_key.size());
  if (payload_bytes_ - before + added > max_payload_bytes_) {
    return Status(Code::kTooLarge,
                  "a transaction has at most " + std::to_string(max_payload_bytes_) + " bytes");
  }
  payload_bytes_ = payload_bytes_ - before + added;
  if (exists) return &at->second;
  return &rows_.emplace_hint(at, AsText(row_key), Value())->second;
}

Status WriteSet::Put(Bytes row_key, Bytes value) {
  RL_ASSIGN_OR_RETURN(Value * place, Place(row_key, value.size()));
  place->removed = false;
  place->bytes.assign(value.begin(), value.end());
  return Status::Ok();
}

Status WriteSet::Remove(Bytes row_key) {
  RL_ASSIGN_OR_RETURN(Value * place, Place(row_key, 0));
  place->removed = true;
  place->bytes = {};  // gives the memory back, which clear() would keep
  return Status::Ok();
}

const WriteSet::Value* WriteSet::Find(Bytes row_key) const {
  const auto at = rows_.find(AsText(row_key));
  return at == rows_.end() ? nullptr : &at->second;
}

std::vector<uint8_t> WriteSet::Encode() const {
  std::vector<uint8_t> payload;
  payload.reserve(payload_bytes_);
  for (const auto& [row_key, value] : rows_) {
    Operation operation;
    operation.kind = value.removed ? OperationKind::kRemove : OperationKind::kPut;
    operation.row_key = AsBytes(row_key);
    operation.value = value.bytes;
    AppendOperation(operation, &payload);
  }
  RL_CHECK(payload.size() == payload_bytes_);
  return payload;
}

}  // namespace ringleader
