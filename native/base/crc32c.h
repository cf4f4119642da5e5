// CRC-32C (Castagnoli), the checksum of everything stored or sent.
//
// The implementation is chosen once, at the first call, from what the processor offers; all of
// them return the same value for the same bytes.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace ringleader {

// CRC-32C of `data`, continuing from `crc` (0 for a fresh start):
// Crc32c(b, Crc32c(a)) == Crc32c(a followed by b).
uint32_t Crc32c(Bytes data, uint32_t crc = 0);

// Stored checksums are masked. A CRC computed over bytes that contain their own CRC is a constant
// of the polynomial, so a frame or a copy that checksums whole records would not notice changes
// that a record's checksum agrees with. Rotating and adding a constant breaks that relation.
constexpr uint32_t MaskCrc(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }
constexpr uint32_t UnmaskCrc(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

// One implementation, for tests and benchmarks.
struct Crc32cVariant {
  const char* name;  // "vpclmulqdq", "sse42-3way", "sse42", "arm-crc", "software"
  bool supported;    // by this processor
  uint32_t (*compute)(const uint8_t* data, size_t size, uint32_t crc);
};

// All implementations compiled in, fastest first. Calling an unsupported one is undefined.
std::span<const Crc32cVariant> Crc32cVariants();

}  // namespace ringleader
