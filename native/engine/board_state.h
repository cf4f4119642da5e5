// What every process of an environment can know of its group: one consistent look at the board
// (group_board.h), as plain data. copy_rule.h says what follows from it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/limits.h"
#include "core/output.h"
#include "core/terms.h"
#include "core/types.h"

namespace ringleader {

// Rows of the term table that the board has room for: the newest ones of the member's own.
inline constexpr size_t kBoardTerms = 128;

// Another member, and the copy that it is known to have. The positions are a primary's knowledge:
// on any other member they are 0.
struct BoardMember {
  MemberId id;
  bool voter = false;
  uint64_t disk = 0;  // disk_identity.h; 0 = unknown
  Lsn received, written, flushed, applied;

  bool operator==(const BoardMember&) const = default;
};

// How far linearizable reads have been answered (GroupBoard::AskRead).
struct BoardReads {
  uint64_t served = 0;   // every ticket up to this one has its answer
  bool granted = false;  // the answer of the newest round, which holds for earlier tickets as well
  Lsn position;          // granted: a view that has everything below is linearizable

  bool operator==(const BoardReads&) const = default;
};

// Positions are true as of `history`. They say something about a transaction where its
// Appended::history is not above that one and Log::RolledBack, asked afterwards, knows of no
// roll-back of it: else it and the board are of different histories.
struct BoardState {
  // Who has taken the replication role last, 0 where it was given up. It may have died since: what
  // stands here is then how things were.
  uint32_t holder_pid = 0;
  Role role = Role::kReplica;
  Ballot term;       // of the reign that this member leads or follows; none where it does neither
  MemberId self;     // kNobody: the environment has not been a member since its region was made
  MemberId primary;  // kNobody: none that is known
  Lsn end;           // of the log, as far as the replication has been told
  Lsn commit;        // goes back only where another process takes over
  Lsn term_end;      // of a primary: end of the record that began its reign; 0 = not there yet
  uint64_t history = 0;  // Log::History as of the positions
  uint32_t voters = 0;   // N
  uint32_t votes = 0;    // V: the smallest number that may elect
  uint32_t copies = 0;   // K
  bool self_votes = false;
  bool in_sync = false;        // two voters and a witness, which say who keeps: K says nothing
  bool changing = false;       // another configuration counts as well: V and K are half the truth
  bool election_safe = false;  // what is committed survives every election
  uint64_t disk = 0;           // of this member; 0 = unknown
  // Monotonic time at which the newest message came of those of which this member has everything
  // that the primary had when it sent it; 0 = never. LagNs says how old that is.
  uint64_t fresh_ns = 0;
  Lsn permanent_failed;  // end of the newest transaction that a transport could not hand over
  BoardReads reads;
  std::vector<BoardMember> members;  // ascending by id, without this one; at most kMaxMembers
  std::vector<TermStart> terms;      // ascending; at most kBoardTerms
  uint64_t steps = 0, refused_frames = 0, dropped_messages = 0, roll_backs = 0;

  bool operator==(const BoardState&) const = default;
};

// How much older than the primary's this member's data may be, by `now` (Clock::MonotonicNanos). 0
// on a primary, UINT64_MAX where nothing is known.
inline uint64_t LagNs(const BoardState& state, uint64_t now) {
  if (state.role == Role::kPrimary) return 0;
  if (state.fresh_ns == 0) return UINT64_MAX;
  return now > state.fresh_ns ? now - state.fresh_ns : 0;
}

}  // namespace ringleader
