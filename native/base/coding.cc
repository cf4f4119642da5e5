// Varints are base 128, lowest seven bits first; the high bit says that another byte follows.
#include "base/coding.h"

namespace ringleader {

void Encoder::Varint(uint64_t value) {
  while (value >= 0x80) {
    out_->push_back(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  out_->push_back(static_cast<uint8_t>(value));
}

void Encoder::Sized(Bytes bytes) {
  Varint(bytes.size());
  Raw(bytes);
}

bool Decoder::Varint(uint64_t* value) {
  uint64_t result = 0;
  for (size_t i = 0; i < rest_.size() && i < kMaxVarintBytes; ++i) {
    const uint8_t byte = rest_[i];
    // The tenth byte holds bit 63 alone.
    if (i == kMaxVarintBytes - 1 && byte > 1) return Fail();
    result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      // A zero last byte adds nothing: the same value has a shorter encoding.
      if (byte == 0 && i > 0) return Fail();
      *value = result;
      rest_ = rest_.subspan(i + 1);
      return true;
    }
  }
  return Fail();
}

bool Decoder::Raw(size_t size, Bytes* bytes) {
  if (failed_ || rest_.size() < size) return Fail();
  *bytes = rest_.first(size);
  rest_ = rest_.subspan(size);
  return true;
}

bool Decoder::Sized(size_t limit, Bytes* bytes) {
  uint64_t size = 0;
  if (!Varint(&size) || size > limit) return Fail();
  return Raw(static_cast<size_t>(size), bytes);
}

bool Decoder::Skip(size_t size) {
  Bytes ignored;
  return Raw(size, &ignored);
}

}  // namespace ringleader
