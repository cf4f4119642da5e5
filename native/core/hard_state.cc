#include "core/hard_state.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr uint64_t kHardStateMagic = 0x3153445241484c52;  // "RLHARDS1"
constexpr size_t kCopies = 2;
constexpr size_t kCrcAt = kHardStateCopyBytes - sizeof(uint32_t);

enum class CopyState { kBlank, kGood, kNewer, kDamaged };

struct Copy {
  CopyState state = CopyState::kDamaged;
  HardState value;  // kGood
};

std::vector<uint8_t> EncodeCopy(const HardState& state, uint8_t copy) {
  std::vector<uint8_t> bytes;
  Encoder out(&bytes);
  out.Fixed(kHardStateMagic);
  out.Fixed(kHardStateVersion);
  out.Fixed(state.sequence);
  out.Fixed(copy);
  out.Raw(state.group_id);
  out.Fixed(state.self.value);
  out.Fixed(state.incarnation.value);
  out.Fixed(state.promised.counter.value);
  out.Fixed(state.promised.incarnation.value);
  out.Fixed(state.commit.value);
  out.Fixed(state.smallest_votes);
  out.Fixed(static_cast<uint8_t>(state.established));
  RL_CHECK(bytes.size() <= kCrcAt);
  bytes.resize(kCrcAt);
  out.Fixed(MaskCrc(Crc32c(bytes)));
  return bytes;
}

bool TakeFields(Decoder& in, HardState* state) {
  Bytes group_id;
  uint8_t established = 0;
  if (!in.Raw(state->group_id.size(), &group_id) || !in.Fixed(&state->self.value) ||
      !in.Fixed(&state->incarnation.value) || !in.Fixed(&state->promised.counter.value) ||
      !in.Fixed(&state->promised.incarnation.value) || !in.Fixed(&state->commit.value) ||
      !in.Fixed(&state->smallest_votes) || !in.Fixed(&established)) {
    return false;
  }
  std::copy(group_id.begin(), group_id.end(), state->group_id.begin());
  state->established = established == 1;
  return established <= 1 && state->commit <= kMaxLsn;
}

bool AllZero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// `slot` and `copy` say where the bytes lie: a copy that belongs elsewhere was written astray.
Copy DecodeCopy(Bytes bytes, size_t slot, uint8_t copy) {
  Copy result;
  if (AllZero(bytes)) {
    result.state = CopyState::kBlank;
    return result;
  }
  const bool intact =
      LoadLe<uint32_t>(bytes.data() + kCrcAt) == MaskCrc(Crc32c(bytes.first(kCrcAt)));
  if (!intact && !RL_MUTANT(kAcceptDamagedHardState)) return result;
  Decoder in(bytes.first(kCrcAt));
  uint64_t magic = 0;
  uint32_t version = 0;
  uint8_t number = 0;
  if (!in.Fixed(&magic) || magic != kHardStateMagic || !in.Fixed(&version) || version == 0) {
    return result;
  }
  if (version > kHardStateVersion) {
    result.state = CopyState::kNewer;
    return result;
  }
  HardState& value = result.value;
  const bool fits = in.Fixed(&value.sequence) && value.sequence != 0 &&
                    SlotOf(value.sequence) == slot && in.Fixed(&number) && number == copy;
  if (fits && TakeFields(in, &value) && AllZero(in.rest())) result.state = CopyState::kGood;
  return result;
}

// The newer copy of a slot; nullopt where the slot is blank.
Result<std::optional<HardState>> ReadSlot(Bytes bytes, size_t slot) {
  if (bytes.size() != kHardStateSlotBytes) return Status(Code::kCorruption, "hard state: size");
  std::array<Copy, kCopies> copies;
  for (size_t i = 0; i < kCopies; ++i) {
    copies[i] = DecodeCopy(bytes.subspan(i * kHardStateCopyOffset, kHardStateCopyBytes), slot,
                           static_cast<uint8_t>(i));
  }
  std::optional<HardState> newest;
  for (const Copy& copy : copies) {
    if (copy.state == CopyState::kNewer) {
      return Status(Code::kNewerFormat, "the hard state was written by a later version");
    }
    if (copy.state != CopyState::kGood) continue;
    if (newest && newest->sequence == copy.value.sequence && *newest != copy.value) {
      return Status(Code::kCorruption, "hard state: two states with one sequence number");
    }
    if (!newest || newest->sequence < copy.value.sequence) newest = copy.value;
  }
  const bool blank = std::all_of(copies.begin(), copies.end(),
                                 [](const Copy& copy) { return copy.state == CopyState::kBlank; });
  if (!newest && !blank) return Status(Code::kCorruption, "hard state: both copies are damaged");
  return newest;
}

}  // namespace

HardStateSlot EncodeHardState(const HardState& state) {
  RL_CHECK(state.sequence != 0 && state.commit <= kMaxLsn);
  HardStateSlot slot{};
  for (size_t i = 0; i < kCopies; ++i) {
    const std::vector<uint8_t> copy = EncodeCopy(state, static_cast<uint8_t>(i));
    std::copy(copy.begin(), copy.end(), slot.data() + i * kHardStateCopyOffset);
  }
  return slot;
}

Result<std::optional<HardState>> ChooseHardState(Bytes first, Bytes second) {
  Result<std::optional<HardState>> slots[] = {ReadSlot(first, 0), ReadSlot(second, 1)};
  // A slot of a later version is never shadowed by what stands beside it.
  for (const auto& slot : slots) {
    if (slot.status().code() == Code::kNewerFormat) return slot.status();
  }
  for (const auto& slot : slots) {
    if (!slot.ok()) return slot.status();
  }
  const std::optional<HardState>& even = *slots[0];
  const std::optional<HardState>& odd = *slots[1];
  if (even && odd) return even->sequence > odd->sequence ? even : odd;
  // One slot is blank. That is how it is after the first state, which has sequence 1; later on it
  // means that what was in it, perhaps the newest promise, is gone.
  const std::optional<HardState>& only = even ? even : odd;
  if (only && only->sequence != 1) {
    return Status(Code::kCorruption, "hard state: a slot that was written is blank");
  }
  return only;
}

}  // namespace ringleader
