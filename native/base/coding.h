// Numbers to and from bytes: little-endian, at any alignment, and checked when the bytes come from
// outside. A Decoder never reads past its end and never trusts a length: once a read fails, every
// later read fails too, so one check at the end is enough.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace ringleader {

static_assert(std::endian::native == std::endian::little,
              "stored structs are laid over memory: both targets are little-endian");

template <std::unsigned_integral T>
inline T LoadLe(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <std::unsigned_integral T>
inline void StoreLe(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

// Longest varint of 64 bits.
inline constexpr size_t kMaxVarintBytes = 10;

// Appends fields to a byte vector.
class Encoder {
 public:
  explicit Encoder(std::vector<uint8_t>* out) : out_(out) {}

  template <std::unsigned_integral T>
  void Fixed(T value) {
    const size_t at = out_->size();
    out_->resize(at + sizeof value);
    StoreLe(out_->data() + at, value);
  }
  void Varint(uint64_t value);
  void Raw(Bytes bytes) { out_->insert(out_->end(), bytes.begin(), bytes.end()); }
  // Length as a varint, then the bytes.
  void Sized(Bytes bytes);
  void Zeros(size_t count) { out_->insert(out_->end(), count, 0); }

 private:
  std::vector<uint8_t>* out_;
};

// Takes fields from untrusted bytes.
class Decoder {
 public:
  explicit Decoder(Bytes bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  bool Fixed(T* value) {
    if (failed_ || rest_.size() < sizeof *value) return Fail();
    *value = LoadLe<T>(rest_.data());
    rest_ = rest_.subspan(sizeof *value);
    return true;
  }
  // Refuses encodings longer than needed, so that one value has one encoding.
  bool Varint(uint64_t* value);
  bool Raw(size_t size, Bytes* bytes);
  // A varint length of at most `limit`, then that many bytes.
  bool Sized(size_t limit, Bytes* bytes);
  bool Skip(size_t size);

  bool ok() const { return !failed_; }
  // Everything was read and nothing is left over.
  bool Finished() const { return !failed_ && rest_.empty(); }
  Bytes rest() const { return rest_; }

 private:
  bool Fail() {
    failed_ = true;
    rest_ = {};
    return false;
  }

  Bytes rest_;
  bool failed_ = false;
};

}  // namespace ringleader
