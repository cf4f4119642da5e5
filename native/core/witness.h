// Two voters and a witness: the in-sync rule.
//
// A witness keeps no data. It is a small durable register with compare-and-swap, a file on a third
// disk or a tiny process, that says which copies hold everything acknowledged:
//   1. A primary acknowledges only what is flushed on every copy that it has to wait for.
//   2. Who wants to lead must be in `in_sync`, and wins a swap to the next epoch with itself as
//      primary, before it acts.
//   3. A primary that wants to go on alone wins a swap that takes the other out, before it
//      acknowledges anything alone.
//   4. A newcomer comes in by first being waited for; when it has flushed the primary's log as it
//      was at the takeover and everything acknowledged since, a swap adds it, by the incarnation
//      whose acknowledgements were counted. Not "everything committed": that position is forgotten
//      in a restart. Not by name: a new disk under the old name has none of it.
//   5. What nobody has answered for may still be done, even if the register was read meanwhile and
//      did not have it. A newcomer that such a swap would add is waited for until a later version
//      of the register is known: where it has left, another swap makes the first come too late.
//   6. A replica acknowledges only what it has flushed, in the epoch it has promised.
// A running primary does not need the witness: only changes do.
#pragma once

#include <array>
#include <cstdint>

#include "core/types.h"

namespace ringleader {

// What the register holds. The epoch is the counter of the primary's ballot.
struct WitnessRegister {
  uint64_t version = 0;  // one more with every swap; 0 = blank
  Ballot primary;
  std::array<Incarnation, 2> in_sync{};  // ascending, 0 = none

  bool operator==(const WitnessRegister&) const = default;
  bool Holds(Incarnation copy) const {
    return copy.value != 0 && (in_sync[0] == copy || in_sync[1] == copy);
  }
  static constexpr auto Fields(auto& self, auto&& field) {
    field("version", self.version);
    field("primary", self.primary);
    field("first", self.in_sync[0]);
    field("second", self.in_sync[1]);
  }
};

enum class WitnessOutcome : uint8_t {
  kDone = 1,      // swapped, or read
  kConflict = 2,  // it holds something else, which is in the answer
  kUnknown = 3,   // perhaps swapped: it has to be read
};

// Swaps `expected` for `value`; where both are the same it only reads.
struct WitnessRequest {
  WitnessRegister expected;
  WitnessRegister value;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("expected", self.expected);
    field("value", self.value);
  }
};

}  // namespace ringleader
