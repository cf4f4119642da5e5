// The words of the replication protocol (docs/PROTOCOL.md).
#pragma once

#include <compare>
#include <cstdint>

#include "base/types.h"

namespace ringleader {

// A member of the group, as the application numbers it. Small and arbitrary; ids need not be dense.
struct MemberId {
  uint32_t value = UINT32_MAX;

  constexpr MemberId() = default;
  explicit constexpr MemberId(uint32_t v) : value(v) {}
  constexpr auto operator<=>(const MemberId&) const = default;
};
inline constexpr MemberId kNobody{};

// Identity of one copy of the data: minted at random whenever a member's disk is formatted. A
// member whose disk has been replaced has forgotten what it promised, so it must not pass for the
// old one.
struct Incarnation {
  uint64_t value = 0;  // 0 = none

  constexpr Incarnation() = default;
  explicit constexpr Incarnation(uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Incarnation&) const = default;
};

// Names a primary's reign. Two candidates may arrive at the same counter, never at the same ballot,
// because the second half is the copy that asks: so no two primaries share a term, whatever votes
// were counted. Ordered by counter, then incarnation.
struct Ballot {
  Term counter;
  Incarnation incarnation;

  constexpr auto operator<=>(const Ballot&) const = default;
  constexpr bool none() const { return counter.value == 0; }
};

// The end of a log, or a place in it: everything below `lsn`, and the ballot under which the record
// that ends there was written. Of two logs the one with the greater position is the fresher one.
struct Position {
  Ballot term;
  Lsn lsn;

  constexpr auto operator<=>(const Position&) const = default;
};

// Nanoseconds on the member's own monotonic clock; only differences mean anything. Never compared
// between members: what another member needs of it is echoed back unread.
using Nanos = uint64_t;

}  // namespace ringleader
