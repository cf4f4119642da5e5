// The two slots of the hard state: their bytes, and what they still prove after damage.
#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "core/hard_state.h"
#include "harness.h"

namespace ringleader {
namespace {

using namespace test;

constexpr size_t kSector = 512;
constexpr size_t kSectors = kHardStateSlotBytes / kSector;

using Slots = std::array<HardStateSlot, 2>;

HardState StateOf(uint64_t sequence) {
  HardState state;
  state.sequence = sequence;
  for (size_t i = 0; i < state.group_id.size(); ++i) {
    state.group_id[i] = static_cast<uint8_t>(0x10 + i);
  }
  state.self = MemberId(3);
  state.incarnation = Incarnation(0x0102030405060708);
  state.promised = {Term(static_cast<uint32_t>(sequence)), Incarnation(0xb)};
  state.commit = Lsn(100 * sequence);
  state.smallest_votes = 2;
  state.established = true;
  return state;
}

// As after the states up to `sequence` have been saved.
Slots SlotsAfter(uint64_t sequence) {
  Slots slots{};
  for (uint64_t i = sequence < 2 ? sequence : sequence - 1; i != 0 && i <= sequence; ++i) {
    slots[SlotOf(i)] = EncodeHardState(StateOf(i));
  }
  return slots;
}

Result<std::optional<HardState>> Choose(const Slots& slots) {
  return ChooseHardState(slots[0], slots[1]);
}

bool Chooses(const Slots& slots, uint64_t sequence) {
  const auto chosen = Choose(slots);
  return chosen.ok() && chosen.value() == StateOf(sequence);
}

// Makes the checksum of a copy good again.
void Seal(HardStateSlot* slot, size_t copy) {
  uint8_t* bytes = slot->data() + copy * kHardStateCopyOffset;
  const size_t size = kHardStateCopyBytes - sizeof(uint32_t);
  StoreLe(bytes + size, MaskCrc(Crc32c({bytes, size})));
}

std::string HexOf(Bytes bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
}

TEST(core_hard_state, bytes_are_these) {
  const HardStateSlot slot = EncodeHardState(StateOf(5));
  const Bytes all(slot);
  const std::string fields =
      "101112131415161718191a1b1c1d1e1f"  // group id
      "03000000"
      "0807060504030201"  // self, incarnation
      "05000000"
      "0b00000000000000"  // promised
      "f401000000000000"
      "02000000"
      "01";  // commit, smallest votes, established
  const std::string head =
      "524c484152445331"
      "01000000"
      "0500000000000000";
  CHECK_EQ(HexOf(all.first(74)), head + "00" + fields);
  CHECK_EQ(HexOf(all.subspan(kHardStateCopyOffset, 74)), head + "01" + fields);
  CHECK_EQ(HexOf(all.subspan(508, 4)), "ece66f57");
  CHECK_EQ(HexOf(all.subspan(kHardStateCopyOffset + 508, 4)), "62db23ed");
  for (size_t i = 0; i < slot.size(); ++i) {
    const size_t at = i % kHardStateCopyOffset;
    if (at >= kHardStateCopyBytes || (at >= 74 && at < 508)) CHECK_EQ(slot[i], 0);
  }
}

TEST(core_hard_state, what_is_saved_is_found) {
  CHECK_VALUE(const auto nothing, Choose(SlotsAfter(0)));
  CHECK(!nothing.has_value());
  for (uint64_t sequence = 1; sequence <= 9; ++sequence)
    CHECK(Chooses(SlotsAfter(sequence), sequence));
  HardState plain;
  plain.sequence = 1;
  CHECK_VALUE(const auto found, Choose({HardStateSlot{}, EncodeHardState(plain)}));
  CHECK(found == plain);
}

// A promise is never forgotten, whatever byte of whichever slot is damaged.
TEST(core_hard_state, one_damaged_byte_changes_nothing) {
  const Slots good = SlotsAfter(6);
  for (size_t slot = 0; slot < 2; ++slot) {
    for (size_t at = 0; at < kHardStateSlotBytes; ++at) {
      for (const uint8_t flip : {0x01, 0x80, 0xff}) {
        Slots damaged = good;
        damaged[slot][at] ^= flip;
        CHECK(Chooses(damaged, 6));
      }
    }
  }
}

TEST(core_hard_state, damage_in_both_copies_is_told) {
  const Slots good = SlotsAfter(6);
  std::mt19937_64 random(Seed());
  for (size_t slot = 0; slot < 2; ++slot) {
    for (size_t at = 0; at < kHardStateCopyBytes; ++at) {
      Slots damaged = good;
      damaged[slot][at] ^= static_cast<uint8_t>(1 + random() % 255);
      const size_t twin = kHardStateCopyOffset + random() % kHardStateCopyBytes;
      damaged[slot][twin] ^= static_cast<uint8_t>(1 + random() % 255);
      CHECK_CODE(Choose(damaged).status(), Code::kCorruption);
    }
  }
}

// Every set of sectors of a write may be what reaches the disk. Before all of them have, nothing
// rests on the new state; afterwards it is there.
TEST(core_hard_state, a_torn_save_leaves_the_old_or_the_new_state) {
  for (uint64_t sequence = 1; sequence <= 5; ++sequence) {
    const Slots before = SlotsAfter(sequence - 1);
    const HardStateSlot next = EncodeHardState(StateOf(sequence));
    for (uint32_t written = 0; written < 1u << kSectors; ++written) {
      Slots torn = before;
      for (size_t sector = 0; sector < kSectors; ++sector) {
        if ((written >> sector & 1) == 0) continue;
        const size_t at = sector * kSector;
        std::copy_n(next.begin() + static_cast<ptrdiff_t>(at), kSector,
                    torn[SlotOf(sequence)].begin() + static_cast<ptrdiff_t>(at));
      }
      const bool has_copy = (written & 0x11) != 0;  // the sectors 0 and 4 hold the copies
      const auto chosen = Choose(torn);
      CHECK_OK(chosen.status());
      const uint64_t expected = has_copy ? sequence : sequence - 1;
      CHECK(chosen.value() == (expected == 0 ? std::nullopt : std::optional(StateOf(expected))));
    }
  }
}

// A sector that the disk gives back as zeros is damage as any other.
TEST(core_hard_state, a_sector_that_has_gone_blank) {
  for (const uint64_t sequence : {2, 3, 6}) {
    for (size_t slot = 0; slot < 2; ++slot) {
      Slots blank = SlotsAfter(sequence);
      std::fill_n(blank[slot].begin(), kSector, uint8_t{0});
      CHECK(Chooses(blank, sequence));
      std::fill_n(blank[slot].begin() + kHardStateCopyOffset, kSector, uint8_t{0});
      // Only of the first slot nothing needs to have been written when the other one holds 1.
      if (sequence == 2 && slot == 0) {
        CHECK(Chooses(blank, 1));
      } else {
        CHECK_CODE(Choose(blank).status(), Code::kCorruption);
      }
    }
  }
  Slots half = SlotsAfter(1);
  half[1][0] ^= 1;
  std::fill_n(half[1].begin() + kHardStateCopyOffset, kSector, uint8_t{0});
  CHECK_CODE(Choose(half).status(), Code::kCorruption);
}

TEST(core_hard_state, what_was_written_astray) {
  const Slots good = SlotsAfter(6);
  CHECK_CODE(Choose({good[1], good[0]}).status(), Code::kCorruption);
  CHECK_CODE(Choose({good[0], good[0]}).status(), Code::kCorruption);
  // A copy in its twin's place.
  Slots moved = good;
  std::copy_n(good[0].begin() + kHardStateCopyOffset, kHardStateCopyBytes, moved[0].begin());
  CHECK(Chooses(moved, 6));
  moved[0][kHardStateCopyOffset + 20] ^= 1;
  CHECK_CODE(Choose(moved).status(), Code::kCorruption);
  // Two states of one sequence number.
  Slots split = good;
  HardState other = StateOf(6);
  other.promised.counter = Term(99);
  const HardStateSlot others = EncodeHardState(other);
  std::copy_n(others.begin(), kHardStateCopyBytes, split[0].begin());
  CHECK_CODE(Choose(split).status(), Code::kCorruption);
  const Bytes slot(good[0]);
  CHECK_CODE(ChooseHardState(slot.first(4095), good[1]).status(), Code::kCorruption);
  CHECK_CODE(ChooseHardState({}, {}).status(), Code::kCorruption);
}

// Sealed again, so that what stands behind the checksum is asked.
TEST(core_hard_state, fields_that_no_state_has) {
  const struct {
    size_t at;
    uint8_t value;
  } wrong[] = {{0, 'X'},    // magic
               {8, 0},      // version 0
               {12, 7},     // a sequence of the other slot
               {20, 1},     // the other copy's number
               {73, 2},     // a flag of 2
               {68, 0x80},  // a commit position beyond the largest
               {74, 1},     // bytes behind the last field
               {507, 1}};
  for (const auto& [at, value] : wrong) {
    Slots slots = SlotsAfter(6);
    slots[0][at] = value;
    Seal(&slots[0], 0);
    CHECK(Chooses(slots, 6));  // by its twin
    slots[0][kHardStateCopyOffset] ^= 1;
    CHECK_CODE(Choose(slots).status(), Code::kCorruption);
  }
}

TEST(core_hard_state, limits) {
  for (const Lsn commit : {Lsn(kMaxLsn.value - 1), kMaxLsn}) {
    HardState state = StateOf(1);
    state.commit = commit;
    CHECK_VALUE(const auto found, Choose({HardStateSlot{}, EncodeHardState(state)}));
    CHECK(found == state);
  }
  Slots beyond = SlotsAfter(1);
  for (size_t copy = 0; copy < 2; ++copy) {
    StoreLe(&beyond[1][copy * kHardStateCopyOffset + 61], kMaxLsn.value + 1);
    Seal(&beyond[1], copy);
  }
  CHECK_CODE(Choose(beyond).status(), Code::kCorruption);
}

TEST(core_hard_state, a_later_version_is_left_alone) {
  for (size_t slot = 0; slot < 2; ++slot) {
    for (size_t copy = 0; copy < 2; ++copy) {
      Slots slots = SlotsAfter(6);
      StoreLe(&slots[slot][copy * kHardStateCopyOffset + 8], kHardStateVersion + 1);
      CHECK(Chooses(slots, 6));  // not sealed: a flipped bit, and its twin is good
      Seal(&slots[slot], copy);
      CHECK_CODE(Choose(slots).status(), Code::kNewerFormat);
      slots[1 - slot][0] ^= 1;
      slots[1 - slot][kHardStateCopyOffset] ^= 1;
      CHECK_CODE(Choose(slots).status(), Code::kNewerFormat);
    }
  }
}

// The slots of a member that saves, crashes in the middle of a save, and starts again.
class Disk {
 public:
  explicit Disk(std::mt19937_64& random) : random_(random) {}

  // The next state, perhaps only some sectors of it. What was found after a crash is saved again:
  // it may stand in one copy only.
  void Save() {
    const uint64_t sequence = Found(slots_) + 1;
    const HardStateSlot next = EncodeHardState(StateOf(sequence));
    const bool crashes = random_() % 4 == 0;
    const uint64_t written = crashes ? random_() : ~uint64_t{0};
    for (size_t sector = 0; sector < kSectors; ++sector) {
      const auto at = static_cast<ptrdiff_t>(sector * kSector);
      if ((written >> sector & 1) == 0) continue;
      std::copy_n(next.begin() + at, kSector, slots_[SlotOf(sequence)].begin() + at);
    }
    if (!crashes) flushed_ = sequence;
    newest_ = sequence;
  }

  Slots Damaged() {
    Slots damaged = slots_;
    for (uint64_t flips = random_() % 3; flips > 0; --flips) {
      const size_t slot = random_() % 2;
      damaged[slot][random_() % kHardStateSlotBytes] ^= static_cast<uint8_t>(1 + random_() % 255);
    }
    return damaged;
  }

  static uint64_t Found(const Slots& slots) {
    CHECK_VALUE(const auto chosen, Choose(slots));
    if (!chosen) return 0;
    CHECK(*chosen == StateOf(chosen->sequence));
    return chosen->sequence;
  }

  uint64_t flushed() const { return flushed_; }
  uint64_t newest() const { return newest_; }

 private:
  std::mt19937_64& random_;
  Slots slots_{};
  uint64_t flushed_ = 0, newest_ = 0;
};

TEST(core_hard_state, no_flushed_promise_is_forgotten) {
  std::mt19937_64 random(Seed());
  uint64_t told = 0, found = 0;
  for (uint64_t round = 0; round < Scale(300); ++round) {
    Disk disk(random);
    for (uint64_t step = 0; step < 40; ++step) {
      disk.Save();
      const Slots damaged = disk.Damaged();
      const Status status = Choose(damaged).status();
      if (!status.ok()) {
        CHECK_CODE(status, Code::kCorruption);
        ++told;
        continue;
      }
      const uint64_t sequence = Disk::Found(damaged);
      CHECK(sequence >= disk.flushed() && sequence <= disk.newest());
      ++found;
    }
  }
  CHECK(told > 0 && found > 10 * told);
}

}  // namespace
}  // namespace ringleader
