#include "log/control_file.h"

#include <array>
#include <cstring>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr char kName[] = "control";
constexpr char kTemporaryName[] = "control.tmp";
constexpr uint64_t kControlMagic = 0x314c525443474c52;  // "RLGCTRL1"
// Version 1 had nothing behind the consumers.
constexpr uint32_t kControlVersion = 2;
constexpr uint64_t kNoRollBack = ~uint64_t{0};
constexpr size_t kCrcAt = kControlSlotBytes - 4;

bool TakeId(Decoder& in, Id128* id) {
  Bytes bytes;
  if (!in.Raw(id->size(), &bytes)) return false;
  std::memcpy(id->data(), bytes.data(), id->size());
  return true;
}

bool TakeLsn(Decoder& in, Lsn* lsn) {
  if (!in.Fixed(&lsn->value)) return false;
  return *lsn <= kMaxLsn;
}

bool TakeFlag(Decoder& in, bool* flag) {
  uint8_t byte = 0;
  if (!in.Fixed(&byte) || byte > 1) return false;
  *flag = byte == 1;
  return true;
}

bool TakeConsumer(Decoder& in, Consumer* consumer) {
  Bytes name;
  if (!in.Sized(kMaxConsumerName, &name) || name.empty()) return false;
  consumer->name.assign(name.begin(), name.end());
  return TakeLsn(in, &consumer->position) && in.Fixed(&consumer->max_bytes) &&
         in.Fixed(&consumer->max_age_us) && TakeFlag(in, &consumer->broken);
}

// What version 2 has behind the consumers.
bool TakeSecond(Decoder& in, ControlState* state) {
  uint64_t roll_back = 0;
  if (!in.Fixed(&state->lock_inode) || !in.Fixed(&roll_back)) return false;
  if (roll_back == kNoRollBack) return true;
  state->roll_back = Lsn(roll_back);
  return roll_back <= kMaxLsn.value && *state->roll_back >= state->start && !state->clean;
}

bool TakeState(Decoder& in, uint32_t version, ControlState* state) {
  uint32_t consumers = 0;
  if (!in.Fixed(&state->sequence) || !TakeId(in, &state->environment_id) ||
      !TakeId(in, &state->group_id) || !in.Fixed(&state->incarnation) ||
      !in.Fixed(&state->segment_bytes) || !in.Fixed(&state->created_us) ||
      !TakeLsn(in, &state->start) || !TakeLsn(in, &state->durable_mark) ||
      !TakeFlag(in, &state->clean) || !in.Fixed(&consumers) || consumers > kMaxConsumers) {
    return false;
  }
  state->consumers.resize(consumers);
  for (Consumer& consumer : state->consumers) {
    if (!TakeConsumer(in, &consumer)) return false;
  }
  if (version >= 2 && !TakeSecond(in, state)) return false;
  const uint64_t segment = state->segment_bytes;
  return segment >= kMinSegmentBytes && segment <= kMaxSegmentBytes &&
         (segment & (segment - 1)) == 0 && state->start.value % segment == 0 &&
         state->start <= state->durable_mark;
}

}  // namespace

std::vector<uint8_t> EncodeControl(const ControlState& state) {
  RL_CHECK(state.consumers.size() <= kMaxConsumers);
  std::vector<uint8_t> slot;
  Encoder out(&slot);
  out.Fixed(kControlMagic);
  out.Fixed(kControlVersion);
  out.Fixed(state.sequence);
  out.Raw(state.environment_id);
  out.Raw(state.group_id);
  out.Fixed(state.incarnation);
  out.Fixed(state.segment_bytes);
  out.Fixed(state.created_us);
  out.Fixed(state.start.value);
  out.Fixed(state.durable_mark.value);
  out.Fixed(static_cast<uint8_t>(state.clean));
  out.Fixed(static_cast<uint32_t>(state.consumers.size()));
  for (const Consumer& consumer : state.consumers) {
    RL_CHECK(!consumer.name.empty() && consumer.name.size() <= kMaxConsumerName);
    out.Sized(Bytes(reinterpret_cast<const uint8_t*>(consumer.name.data()), consumer.name.size()));
    out.Fixed(consumer.position.value);
    out.Fixed(consumer.max_bytes);
    out.Fixed(consumer.max_age_us);
    out.Fixed(static_cast<uint8_t>(consumer.broken));
  }
  out.Fixed(state.lock_inode);
  out.Fixed(state.roll_back ? state.roll_back->value : kNoRollBack);
  RL_CHECK(slot.size() <= kCrcAt);
  slot.resize(kCrcAt);
  out.Fixed(MaskCrc(Crc32c(slot)));
  return slot;
}

Result<ControlState> DecodeControl(Bytes slot) {
  if (slot.size() != kControlSlotBytes) return Status(Code::kCorruption, "control slot: size");
  if (LoadLe<uint32_t>(slot.data() + kCrcAt) != MaskCrc(Crc32c(slot.first(kCrcAt)))) {
    return Status(Code::kCorruption, "control slot: checksum");
  }
  Decoder in(slot.first(kCrcAt));
  uint64_t magic = 0;
  uint32_t version = 0;
  if (!in.Fixed(&magic) || magic != kControlMagic || !in.Fixed(&version) || version == 0) {
    return Status(Code::kCorruption, "control slot: not a control page");
  }
  if (version > kControlVersion) {
    return Status(Code::kNewerFormat, "the environment was written by a later version");
  }
  ControlState state;
  if (!TakeState(in, version, &state)) return Status(Code::kCorruption, "control slot: a field");
  for (uint8_t byte : in.rest()) {
    if (byte != 0) return Status(Code::kCorruption, "control slot: bytes behind the last field");
  }
  return state;
}

Result<ControlFile> ControlFile::Open(Env& env, const std::string& directory) {
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                      env.files.Open(JoinPath(directory, kName), OpenMode::kReadWrite));
  return ControlFile(std::move(file));
}

Result<ControlFile> ControlFile::Create(Env& env, const std::string& directory,
                                        const ControlState& initial) {
  const std::string temporary = JoinPath(directory, kTemporaryName);
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                      env.files.Open(temporary, OpenMode::kCreateEmpty));
  // Sequence 0 in the first slot; the second one is zeros, which decode as no slot at all.
  ControlState state = initial;
  state.sequence = 0;
  std::vector<uint8_t> bytes = EncodeControl(state);
  bytes.resize(2 * kControlSlotBytes);
  RL_RETURN_IF_ERROR(file->WriteAt(0, bytes));
  RL_RETURN_IF_ERROR(file->SyncData());
  RL_RETURN_IF_ERROR(env.files.Rename(temporary, JoinPath(directory, kName)));
  RL_RETURN_IF_ERROR(env.files.SyncDirectory(directory));
  return ControlFile(std::move(file));
}

Result<ControlState> ControlFile::Load() {
  std::array<uint8_t, 2 * kControlSlotBytes> bytes{};
  RL_ASSIGN_OR_RETURN(const size_t got, file_->ReadAt(0, bytes));
  if (got != bytes.size()) return Status(Code::kCorruption, "control file: too short");
  const Bytes all(bytes);
  Result<ControlState> first = DecodeControl(all.first(kControlSlotBytes));
  Result<ControlState> second = DecodeControl(all.subspan(kControlSlotBytes));
  // A slot of a later version is never shadowed by an older one beside it.
  if (first.status().code() == Code::kNewerFormat) return first.status();
  if (second.status().code() == Code::kNewerFormat) return second.status();
  if (!first.ok() && !second.ok()) {
    return Status(Code::kCorruption, "control file: neither slot is valid");
  }
  alone_ = !first.ok() || !second.ok();
  if (!second.ok()) return first;
  if (!first.ok()) return second;
  return first->sequence > second->sequence ? first : second;
}

Status ControlFile::WriteSlot(const ControlState& state) {
  const std::vector<uint8_t> slot = EncodeControl(state);
  RL_RETURN_IF_ERROR(file_->WriteAt((state.sequence & 1) * kControlSlotBytes, slot));
  return file_->SyncData();
}

// Written again, as the kernel counts the page of a failed flush as clean. In the same slot: torn,
// it leaves the other one, as its first save would have.
Status ControlFile::Confirm(const ControlState& loaded) {
  if (RL_MUTANT(kTrustControl)) return Status::Ok();
  return WriteSlot(loaded);
}

Status ControlFile::Save(ControlState& state) {
  ControlState next = state;
  next.sequence = state.sequence + 1;
  RL_RETURN_IF_ERROR(WriteSlot(next));
  // Only now: after a failed save the next one must hit the same slot again, not the good one.
  state.sequence = next.sequence;
  return Status::Ok();
}

}  // namespace ringleader
