// What the CRC-32C implementations share: the polynomial, and arithmetic modulo it.
//
// All values are in the bit order of the checksum: bit 31 - d of a 32-bit value is the coefficient
// of x^d. A "state" is a checksum before its final inversion. For b bytes of data, as a polynomial
// D with the first bit as the highest power,
//   state after = (state before * x^(8b) + D * x^32) mod P
// and everything below (folding, joining parallel streams) is this line used with large b.
#pragma once

#include <array>
#include <cstdint>

#include "base/crc32c.h"

namespace ringleader::crc32c_internal {

inline constexpr uint32_t kPolynomial = 0x82f63b78;

constexpr uint32_t TimesX(uint32_t value) {
  return (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
}

// a * b mod P.
constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = uint32_t{1} << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = TimesX(b);
  }
  return product;
}

// x^n mod P.
constexpr uint32_t PowerOfX(uint32_t n) {
  uint32_t result = uint32_t{1} << 31;
  uint32_t square = uint32_t{1} << 30;
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) result = Multiply(result, square);
    square = Multiply(square, square);
  }
  return result;
}

uint32_t ComputeSoftware(const uint8_t* data, size_t size, uint32_t crc);

#if defined(__x86_64__)
bool HasSse42();
bool HasPclmulqdq();
bool HasVpclmulqdq();
uint32_t ComputeSse42(const uint8_t* data, size_t size, uint32_t crc);
uint32_t ComputeSse42ThreeWay(const uint8_t* data, size_t size, uint32_t crc);
uint32_t ComputeVpclmulqdq(const uint8_t* data, size_t size, uint32_t crc);
#endif

#if defined(__aarch64__)
bool HasArmCrc();
uint32_t ComputeArmCrc(const uint8_t* data, size_t size, uint32_t crc);
#endif

}  // namespace ringleader::crc32c_internal
