// What a member must never forget: written and flushed before anything is said that rests on it.
//
// Two slots of 4 KiB are written in turn, so a write that is cut short leaves the other one. A slot
// holds the state twice, 2 KiB apart, each copy inside one sector with a sequence number and a
// checksum: a sector is written whole or not at all, so a copy that fails its checksum is damage,
// and one damaged copy is made up for by its twin. Berkeley DB keeps its election number in one
// small file that it truncates and writes again: a crash in between leaves it empty, and the member
// votes twice.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/status.h"
#include "core/types.h"

namespace ringleader {

inline constexpr size_t kHardStateSlotBytes = 4096;
// Where the second copy lies; a copy has at most kHardStateCopyBytes.
inline constexpr size_t kHardStateCopyOffset = 2048;
inline constexpr size_t kHardStateCopyBytes = 512;
inline constexpr uint32_t kHardStateVersion = 1;

struct HardState {
  // One more with every save, the first one 1; says which slot is the newer one. None is left out:
  // the one after would go into the slot of the newest.
  uint64_t sequence = 0;
  std::array<uint8_t, 16> group_id{};
  MemberId self;
  Incarnation incarnation;
  // The highest ballot this member has promised: by its vote, by calling for one, or by
  // acknowledging a primary. It never acknowledges or grants anything below.
  Ballot promised;
  // Where the group was certainly committed. A log is never rolled back below it, and never read
  // as committed beyond its own verified end because of it.
  Lsn commit;
  // The smallest number of votes that has ever been allowed to elect in this group (base API): what
  // fewer copies than that leave uncovered is not election-safe.
  uint32_t smallest_votes = 0;
  // The member has seen a primary once: a cold start of the whole group is over.
  bool established = false;

  bool operator==(const HardState&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) {
    field("sequence", self.sequence);
    field("group_id", self.group_id);
    field("self", self.self);
    field("incarnation", self.incarnation);
    field("promised", self.promised);
    field("commit", self.commit);
    field("smallest_votes", self.smallest_votes);
    field("established", self.established);
  }
};

using HardStateSlot = std::array<uint8_t, kHardStateSlotBytes>;

HardStateSlot EncodeHardState(const HardState& state);
// The slot that a state goes to: never the one that holds its predecessor.
inline size_t SlotOf(uint64_t sequence) { return sequence % 2; }

// The state that two slots hold: the newest copy. nullopt where both are blank: nothing was ever
// promised. kCorruption where a slot has no good copy, although it was written: the newest promise
// may have been in it, and a member that does not know what it has promised must not vote. It has
// to come back as a new incarnation. kNewerFormat where a later version wrote it: magic, version
// and checksum of a copy stay where they are in every version.
//
// What is found after a crash may stand in one copy only, or not be flushed at all. Whoever comes
// up with it writes and flushes it again, itself or its successor, before anything rests on it.
Result<std::optional<HardState>> ChooseHardState(Bytes first, Bytes second);

}  // namespace ringleader
