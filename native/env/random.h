// Random bits for identities. Not for the replication core, which takes its randomness as input.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace ringleader {

class Random {
 public:
  virtual ~Random() = default;

  // Fills with bits that nobody can predict (posix) or that follow from the seed (sim).
  virtual void Fill(MutableBytes into) = 0;

  uint64_t Next64() {
    uint8_t bytes[8];
    Fill(bytes);
    uint64_t value = 0;
    for (uint8_t byte : bytes) value = (value << 8) | byte;
    return value;
  }
};

}  // namespace ringleader
