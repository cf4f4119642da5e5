#include "engine/hard_state_file.h"

#include <array>

#include "base/mutant.h"
#include "log/log_gate.h"

namespace ringleader {
namespace {

constexpr char kTemporaryName[] = "group.tmp";
constexpr size_t kFileBytes = 2 * kHardStateSlotBytes;

}  // namespace

Status HardStateFile::Create(Env& env, const std::string& directory) {
  const std::string path = JoinPath(directory, kGroupFileName);
  const auto info = env.files.Info(path);
  if (info.ok()) return Status(Code::kExists, path + " is there already");
  if (info.status().code() != Code::kNotFound) return info.status();
  const std::string temporary = JoinPath(directory, kTemporaryName);
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                      env.files.Open(temporary, OpenMode::kCreateEmpty));
  const std::array<uint8_t, kFileBytes> zeros{};
  RL_RETURN_IF_ERROR(file->WriteAt(0, zeros));
  RL_RETURN_IF_ERROR(file->SyncData());
  RL_RETURN_IF_ERROR(env.files.Rename(temporary, path));
  return env.files.SyncDirectory(directory);
}

Result<std::unique_ptr<HardStateFile>> HardStateFile::Open(Env& env, const std::string& directory) {
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                      env.files.Open(JoinPath(directory, kGroupFileName), OpenMode::kReadWrite));
  std::array<uint8_t, kFileBytes> bytes;
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, bytes, kGroupFileName));
  const Bytes all(bytes);
  std::unique_ptr<HardStateFile> self(new HardStateFile(std::move(file)));
  RL_ASSIGN_OR_RETURN(self->state_, ChooseHardState(all.first(kHardStateSlotBytes),
                                                    all.subspan(kHardStateSlotBytes)));
  // The name may still be on its way, if its creator died in between.
  RL_RETURN_IF_ERROR(env.files.SyncDirectory(directory));
  // In place, and safe there: what is there is what is written, so a write that is cut short
  // changes nothing. A damaged twin is made good.
  if (self->state_) RL_RETURN_IF_ERROR(self->Write(*self->state_));
  return self;
}

Status HardStateFile::Write(const HardState& state) {
  const HardStateSlot slot = EncodeHardState(state);
  RL_RETURN_IF_ERROR(file_->WriteAt(SlotOf(state.sequence) * kHardStateSlotBytes, slot));
  return RL_MUTANT(kHardStateUnflushed) ? Status::Ok() : file_->SyncData();
}

Status HardStateFile::Save(const HardState& state) {
  if (!failure_.ok() && !RL_MUTANT(kHardStateRetries)) {
    return Status(Code::kFailed, "the hard state could not be saved; reopen to recover",
                  failure_.sys_errno());
  }
  const uint64_t next = state_ ? state_->sequence + 1 : 1;
  if (state.sequence != next) {
    return Status(Code::kInvalidArgument, "the hard state to save is number " +
                                              std::to_string(state.sequence) + ", not " +
                                              std::to_string(next));
  }
  failure_ = Write(state);
  if (failure_.ok()) state_ = state;
  return failure_.WithFate(Fate::kUnknown);
}

}  // namespace ringleader
