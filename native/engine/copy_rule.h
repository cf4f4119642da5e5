// What follows from a look at the board: how far a rule about copies holds, what a transaction
// survives, and what has become of one. Pure functions of their arguments.
//
// Nothing here guesses: what the board does not prove does not hold. So a rule that counts the
// copies of other members reaches nothing on a member that is not the primary.
#pragma once

#include <cstdint>

#include "engine/board_state.h"

namespace ringleader {

enum class CopyKind : uint8_t {
  kCount = 1,   // `count` members other than the primary, of whatever kind
  kQuorum = 2,  // with the primary's own copy, where it votes, K copies of voters
  kAll = 3,     // all other voters
};

enum class CopyLevel : uint8_t { kReceived = 1, kWritten = 2, kFlushed = 3, kApplied = 4 };

struct CopyRule {
  CopyKind kind = CopyKind::kQuorum;
  uint32_t count = 0;  // kCount
  CopyLevel level = CopyLevel::kFlushed;
  // Each copy that counts lies on another disk than all others that count and than the primary's.
  // An unknown disk is no other disk.
  bool distinct_disks = false;

  bool operator==(const CopyRule&) const = default;
};

// The position up to which the rule holds; kMaxLsn where it asks nothing of anybody.
//
// kQuorum at kFlushed is the commit position, on every member; at kReceived and kWritten it is
// never below it. With distinct disks it is at most the commit position. Whoever wants the local
// copy at some level as well waits for that too.
//
// Within one history it does not fall while the configuration and the primary stay the same; what
// has once been reached was true.
Lsn Reached(const BoardState& state, const CopyRule& rule);

// What a transaction that ends at `end` survives.
struct Survival {
  bool process = false;       // the end of this process, and of all others: appended is enough
  bool power = false;         // power failure of every machine at once: some disk has it
  bool any_one_disk = false;  // the loss of any one disk
  bool election = false;      // any election: flushed where every V voters that elect meet it

  bool operator==(const Survival&) const = default;
};

// `end`: as Appended::end, of a transaction that has not been rolled back. `local_flushed`: of this
// environment's log (Log::End).
Survival Survives(const BoardState& state, Lsn end, Lsn local_flushed);

// Names a transaction for every member of the group: the end of it, and the ballot of the primary
// that wrote it. No two transactions of a group have the same one.
struct Token {
  Lsn end;
  Ballot term;

  bool operator==(const Token&) const = default;
};

enum class TokenFate : uint8_t {
  kCommitted = 1,
  kRolledBack = 2,  // never will be
  kOpen = 3,        // as far as this member knows
  kForgotten = 4,   // older than the terms that the board remembers
};

// A committed token stays so for ever where state.election_safe holds.
TokenFate Judge(const BoardState& state, const Token& token);

// The ballot under which the transaction that ends at `end` was written, by this member's log. The
// history has to be state.history still. None where the board does not know, or not yet: `end` may
// be newer than what it was told of.
Ballot TermAt(const BoardState& state, Lsn end);

}  // namespace ringleader
