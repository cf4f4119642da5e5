#include "store/write_set.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"

namespace ringleader {
namespace {

constexpr size_t kFewRows = 8;
constexpr size_t kFewBytes = 16384;  // of all of them together

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

Status WriteSet::Put(Bytes row_key, Bytes value) {
  RL_RETURN_IF_ERROR(CheckSizes(row_key, value.size()));
  return Write({OperationKind::kPut, row_key, value});
}

Status WriteSet::Remove(Bytes row_key) {
  RL_RETURN_IF_ERROR(CheckSizes(row_key, 0));
  return Write({OperationKind::kRemove, row_key, {}});
}

// Whether the payload may have `after` bytes in the place of `before`.
Status WriteSet::CheckRoom(uint64_t before, uint64_t after) const {
  if (payload_bytes_ - before + after <= max_payload_bytes_) return Status::Ok();
  return Status(Code::kTooLarge,
                "a transaction has at most " + std::to_string(max_payload_bytes_) + " bytes");
}

Status WriteSet::Write(const Operation& operation) {
  const Bytes row_key = operation.row_key;
  const uint64_t size = kOperationHeaderBytes + row_key.size() + operation.value.size();
  if (!mapped_) {
    const FewPlace place = FindFew(row_key);
    RL_RETURN_IF_ERROR(CheckRoom(place.size, size));
    const size_t rows = few_rows_ + (place.size == 0 ? 1 : 0);
    if (rows <= kFewRows && few_.size() + size <= kFewBytes) {
      payload_bytes_ = payload_bytes_ - place.size + size;
      few_rows_ = rows;
      WriteFew(place, operation);
      return Status::Ok();
    }
    MakeMap();
  }
  const auto at = rows_.lower_bound(AsText(row_key));
  const bool exists = at != rows_.end() && at->first == AsText(row_key);
  const uint64_t before =
      exists ? kOperationHeaderBytes + row_key.size() + at->second.bytes.size() : 0;
  RL_RETURN_IF_ERROR(CheckRoom(before, size));
  payload_bytes_ = payload_bytes_ - before + size;
  Value& row = exists ? at->second : rows_.emplace_hint(at, AsText(row_key), Value())->second;
  row.removed = operation.removes();
  // A removal gives the memory back, which clear() would keep.
  row.bytes = std::vector<uint8_t>(operation.value.begin(), operation.value.end());
  return Status::Ok();
}

WriteSet::FewPlace WriteSet::FindFew(Bytes row_key) const {
  FewPlace place;
  OperationReader reader(few_);
  while (reader.Next(&place.operation)) {
    const Operation& operation = place.operation;
    const size_t size = kOperationHeaderBytes + operation.row_key.size() + operation.value.size();
    const int order = CompareRowKeys(operation.row_key, row_key);
    if (order == 0) place.size = size;
    if (order >= 0) return place;
    place.at += size;
  }
  return place;
}

// What lies behind it moves: there is little of it, and most come in ascending order.
void WriteSet::WriteFew(const FewPlace& place, const Operation& operation) {
  const auto at = few_.begin() + static_cast<std::ptrdiff_t>(place.at);
  few_.erase(at, at + static_cast<std::ptrdiff_t>(place.size));
  const auto end = static_cast<std::ptrdiff_t>(few_.size());
  AppendOperation(operation, &few_);
  std::rotate(few_.begin() + static_cast<std::ptrdiff_t>(place.at), few_.begin() + end, few_.end());
}

void WriteSet::MakeMap() const {
  OperationReader reader(few_);
  Operation operation;
  while (reader.Next(&operation)) {
    const Bytes value = operation.value;
    rows_.emplace_hint(rows_.end(), AsText(operation.row_key),
                       Value{operation.removes(), {value.begin(), value.end()}});
  }
  few_.clear();
  mapped_ = true;
}

const WriteSet::Map& WriteSet::rows() const {
  if (!mapped_) MakeMap();
  return rows_;
}

std::optional<WriteSet::Own> WriteSet::Find(Bytes row_key) const {
  if (!mapped_) {
    const FewPlace place = FindFew(row_key);
    if (place.size == 0) return std::nullopt;
    return Own{place.operation.removes(), place.operation.value};
  }
  const auto at = rows_.find(AsText(row_key));
  if (at == rows_.end()) return std::nullopt;
  return Own{at->second.removed, at->second.bytes};
}

std::vector<uint8_t> WriteSet::Encode() const {
  std::vector<uint8_t> room;
  const Bytes payload = EncodeInto(&room);
  if (room.empty()) room.assign(payload.begin(), payload.end());
  return room;
}

Bytes WriteSet::EncodeInto(std::vector<uint8_t>* room) const {
  if (!mapped_) return few_;
  room->clear();
  room->reserve(payload_bytes_);
  for (const auto& [row_key, value] : rows_) {
    Operation operation;
    operation.kind = value.removed ? OperationKind::kRemove : OperationKind::kPut;
    operation.row_key = AsBytes(row_key);
    operation.value = value.bytes;
    AppendOperation(operation, room);
  }
  RL_CHECK(room->size() == payload_bytes_);
  return *room;
}

void WriteSet::Clear() {
  payload_bytes_ = 0;
  few_rows_ = 0;
  mapped_ = false;
  few_.clear();
  rows_.clear();
}

}  // namespace ringleader
