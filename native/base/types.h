// Strong types for the numbers that must never be mixed up.
#pragma once

#include <compare>
#include <cstdint>

namespace ringleader {

// Byte offset in the group's logical log stream. Positions are half-open: a position P divides the
// stream into the bytes below P and the bytes from P on; "durable = P" means all bytes below P.
struct Lsn {
  uint64_t value = 0;

  constexpr Lsn() = default;
  explicit constexpr Lsn(uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Lsn&) const = default;
  constexpr Lsn operator+(uint64_t bytes) const { return Lsn(value + bytes); }
  constexpr uint64_t operator-(Lsn other) const { return value - other.value; }
};

// The largest LSN: positions stay exact as JavaScript numbers (2^53 - 1 bytes is 9 PB of log).
inline constexpr Lsn kMaxLsn{(uint64_t{1} << 53) - 1};

// Number of a primary's reign; the counter part of a ballot. 0 means "no term yet".
struct Term {
  uint32_t value = 0;

  constexpr Term() = default;
  explicit constexpr Term(uint32_t v) : value(v) {}
  constexpr auto operator<=>(const Term&) const = default;
};

}  // namespace ringleader
