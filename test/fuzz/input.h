// The bytes of a fuzzer's input as a list of numbers; zeros once they are used up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace ringleader {

class FuzzInput {
 public:
  explicit FuzzInput(Bytes bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  // The next `count` bytes, the highest first.
  uint64_t Take(size_t count) {
    uint64_t value = 0;
    for (; count > 0 && !bytes_.empty(); --count, bytes_ = bytes_.subspan(1)) {
      value = (value << 8) | bytes_[0];
    }
    return value;
  }

 private:
  Bytes bytes_;
};

}  // namespace ringleader
