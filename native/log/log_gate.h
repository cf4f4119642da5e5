// Who may append: the gate in front of the local writers of all processes.
//
// An environment of its own has a free gate. One that belongs to a group takes what its writers
// append only while it is the group's primary; otherwise its log is a copy, and takes only records
// that were shipped (LogAppender::AppendRecords). The gate is one word of the region, read and
// written under the writer lock, so that of any append it is certain on which side of a change it
// is. It starts closed where the directory has the file of a group: nobody writes before somebody
// has found out who leads.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace ringleader {

// The hard state of a member (engine/hard_state_file.h): where it is, the environment belongs to a
// group.
inline constexpr char kGroupFileName[] = "group";

enum class GateState : uint8_t {
  kFree = 0,    // no group
  kOpen = 1,    // primary, in `term`
  kClosed = 2,  // only AppendRecords and AppendTerm append
};

// Why it is closed.
enum class GateReason : uint8_t {
  kNone = 0,
  kStarting = 1,  // nobody has said what this member is
  kReplica = 2,   // another member is the primary, or none
  kHandOver = 3,  // the primary is handing over
};

struct Gate {
  GateState state = GateState::kFree;
  GateReason reason = GateReason::kNone;
  Term term;  // kOpen

  static constexpr Gate Free() { return {}; }
  static constexpr Gate Open(Term term) { return {GateState::kOpen, GateReason::kNone, term}; }
  static constexpr Gate Closed(GateReason reason) { return {GateState::kClosed, reason, Term()}; }

  bool operator==(const Gate&) const = default;
};

// One word, so that a death leaves the old gate or the new one.
constexpr uint64_t GateWord(const Gate& gate) {
  return uint64_t{gate.term.value} << 32 | uint64_t{static_cast<uint8_t>(gate.reason)} << 8 |
         static_cast<uint8_t>(gate.state);
}
// A word that makes no sense has been damaged: closed.
constexpr Gate GateOf(uint64_t word) {
  Gate gate;
  gate.term = Term(static_cast<uint32_t>(word >> 32));
  gate.reason = static_cast<GateReason>(word >> 8 & 0xff);
  gate.state = static_cast<GateState>(word & 0xff);
  const bool known = gate.state <= GateState::kClosed && gate.reason <= GateReason::kHandOver &&
                     GateWord(gate) == word;
  return known ? gate : Gate::Closed(GateReason::kStarting);
}

}  // namespace ringleader
