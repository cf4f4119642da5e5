// Fields to bytes and back, from the one declaration that a struct has (core/fields.h).
//
// One value has one encoding, and nothing else decodes:
//   bool, 8-bit numbers, enumerators   one byte: 0 or 1; any; a value that has a name
//   other numbers, Lsn                 varint, an Lsn at most kMaxLsn
//   MemberId                           varint of id + 1; 0 = nobody
//   Incarnation                        8 bytes
//   Ballot                             counter, then incarnation unless the counter is 0
//   Position                           ballot, lsn
//   vector                             number of elements as a varint, at most LimitOf; elements
//   struct                             its fields, in their order
// A payload (Bytes) takes no room among the fields: there is at most one in a message, and it
// stands behind everything else, so that it is neither copied in nor out.
//
// A field with Since{n} is left out below version n; who reads such bytes sees its default.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/coding.h"
#include "core/fields.h"
#include "core/limits.h"
#include "core/message.h"
#include "core/names.h"
#include "core/types.h"

namespace ringleader {

// Elements that a vector of T may have in a message.
template <typename T>
constexpr size_t LimitOf() {
  if constexpr (std::is_same_v<T, uint8_t>) return kMaxContactBytes;
  if constexpr (std::is_same_v<T, TermStart>) return kMaxTermsInMessage;
  if constexpr (std::is_same_v<T, Member>) return kMaxMembers;
}

// Whether the elements are in the order that their declaration promises.
template <typename T>
bool InOrder(const std::vector<T>& values) {
  if constexpr (std::is_same_v<T, TermStart>) return Ascends(values);
  for (size_t i = 1; i < values.size(); ++i) {
    if constexpr (std::is_same_v<T, Member>) {
      if (values[i].id <= values[i - 1].id) return false;
    }
    if constexpr (std::is_same_v<T, ConfigurationAt>) {
      if (values[i].end <= values[i - 1].end) return false;
    }
  }
  return true;
}

// What is written is our own: limits and orders are checked as assertions.
class FieldWriter {
 public:
  FieldWriter(uint8_t version, std::vector<uint8_t>* out) : version_(version), out_(out) {}

  template <typename T>
  void operator()(const char*, const T& value, Since since = {}) {
    if (since.version <= version_) Put(value);
  }

  // The payload that was met, if any; a view of the caller's bytes.
  Bytes payload() const { return payload_; }

 private:
  void Put(bool value) { out_.Fixed(static_cast<uint8_t>(value)); }
  void Put(uint8_t value) { out_.Fixed(value); }
  void Put(uint32_t value) { out_.Varint(value); }
  void Put(uint64_t value) { out_.Varint(value); }
  void Put(Lsn value) {
    RL_CHECK(value <= kMaxLsn);
    out_.Varint(value.value);
  }
  void Put(MemberId value) { out_.Varint(static_cast<uint32_t>(value.value + 1)); }
  void Put(Incarnation value) { out_.Fixed(value.value); }
  void Put(const Ballot& value) {
    RL_CHECK(!value.none() || value == Ballot{});
    out_.Varint(value.counter.value);
    if (!value.none()) Put(value.incarnation);
  }
  void Put(const Position& value) {
    Put(value.term);
    Put(value.lsn);
  }
  void Put(Bytes value) { payload_ = value; }
  void Put(const std::vector<uint8_t>& value) {
    RL_CHECK(value.size() <= LimitOf<uint8_t>());
    out_.Sized(value);
  }
  template <typename T>
  void Put(const std::vector<T>& values) {
    RL_CHECK(values.size() <= LimitOf<T>() && InOrder(values));
    out_.Varint(values.size());
    for (const T& value : values) Put(value);
  }
  template <typename T>
  requires std::is_enum_v<T>
  void Put(T value) {
    RL_CHECK(!NameOf(value).empty());
    out_.Fixed(static_cast<uint8_t>(value));
  }
  template <HasFields T>
  void Put(const T& value) {
    VisitFields(value, *this);
  }

  uint8_t version_;
  Encoder out_;
  Bytes payload_;
};

// What is read is anybody's. Once a field is wrong, all later ones are left alone.
class FieldReader {
 public:
  // `payload` is what a field of type Bytes gets.
  FieldReader(uint8_t version, Bytes fields, Bytes payload)
      : version_(version), in_(fields), payload_(payload) {}

  template <typename T>
  void operator()(const char* name, T& value, Since since = {}) {
    if (wrong_ != nullptr || since.version > version_) return;
    if (!Take(&value) && wrong_ == nullptr) wrong_ = name;
  }

  // The name of the field that is wrong, or null.
  const char* wrong() const { return wrong_; }
  // All bytes have been read, and every field was good.
  bool Finished() const { return wrong_ == nullptr && in_.Finished(); }

 private:
  bool Take(bool* value) {
    uint8_t byte = 0;
    if (!in_.Fixed(&byte) || byte > 1) return false;
    *value = byte == 1;
    return true;
  }
  bool Take(uint8_t* value) { return in_.Fixed(value); }
  bool Take(uint32_t* value) {
    uint64_t wide = 0;
    if (!in_.Varint(&wide) || wide > UINT32_MAX) return false;
    *value = static_cast<uint32_t>(wide);
    return true;
  }
  bool Take(uint64_t* value) { return in_.Varint(value); }
  bool Take(Lsn* value) { return in_.Varint(&value->value) && *value <= kMaxLsn; }
  bool Take(MemberId* value) {
    uint32_t next = 0;
    if (!Take(&next)) return false;
    *value = MemberId(next - 1);
    return true;
  }
  bool Take(Incarnation* value) { return in_.Fixed(&value->value); }
  bool Take(Ballot* value) {
    return Take(&value->counter.value) && (value->none() || Take(&value->incarnation));
  }
  bool Take(Position* value) { return Take(&value->term) && Take(&value->lsn); }
  bool Take(Bytes* value) {
    *value = payload_;
    return true;
  }
  bool Take(std::vector<uint8_t>* value) {
    Bytes bytes;
    if (!in_.Sized(LimitOf<uint8_t>(), &bytes)) return false;
    value->assign(bytes.begin(), bytes.end());
    return true;
  }
  template <typename T>
  bool Take(std::vector<T>* values) {
    uint64_t count = 0;
    // An element has at least one byte: no number makes more room than there are bytes.
    if (!in_.Varint(&count) || count > LimitOf<T>() || count > in_.rest().size()) return false;
    values->resize(static_cast<size_t>(count));
    for (T& value : *values) {
      if (!Take(&value)) return false;
    }
    return InOrder(*values);
  }
  template <typename T>
  requires std::is_enum_v<T>
  bool Take(T* value) {
    uint8_t byte = 0;
    if (!in_.Fixed(&byte)) return false;
    *value = static_cast<T>(byte);
    return !NameOf(*value).empty();
  }
  template <HasFields T>
  bool Take(T* value) {
    VisitFields(*value, *this);
    return wrong_ == nullptr;
  }

  uint8_t version_;
  Decoder in_;
  Bytes payload_;
  const char* wrong_ = nullptr;
};

}  // namespace ringleader
