#include "store/snapshot_install.h"

#include <cstring>

#include "base/coding.h"
#include "base/crc32c.h"
#include "log/log_replacement.h"
#include "store/base_tree.h"
#include "store/directory_copy.h"

namespace ringleader {
namespace {

constexpr char kInstallName[] = "install";
constexpr char kInstalledName[] = "installed";
constexpr std::string_view kMagic = "RLSNAPI1";
constexpr uint32_t kVersion = 1;
constexpr size_t kMarkBytes = 96;

Status Damaged() { return Status(Code::kCorruption, "the mark of a snapshot's installation"); }

Result<bool> IsThere(Env& env, const std::string& path) {
  const auto info = env.files.Info(path);
  if (info.ok()) return true;
  if (info.status().code() == Code::kNotFound) return false;
  return info.status();
}

Result<std::vector<uint8_t>> ReadWhole(Env& env, const std::string& path, size_t most) {
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, env.files.Open(path, OpenMode::kRead));
  RL_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size > most) return Damaged();
  std::vector<uint8_t> bytes(size);
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, bytes, path));
  return bytes;
}

Result<SnapshotReader> OpenStream(Env& env, const std::string& path) {
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file, env.files.Open(path, OpenMode::kRead));
  return SnapshotReader::Open(std::move(file));
}

// What the base holds, of an environment that nobody has open.
Result<Lsn> AppliedOf(Env& env, const std::string& directory, const InstallMark& mark) {
  BaseOptions options;
  options.environment_id = mark.environment_id;
  RL_ASSIGN_OR_RETURN(const auto base, BaseTree::Open(env, directory, options));
  RL_ASSIGN_OR_RETURN(const auto snapshot, base->OpenSnapshot());
  return snapshot->applied();
}

}  // namespace

std::string SnapshotPath(const std::string& directory, const char* name) {
  return JoinPath(JoinPath(directory, kSnapshotDirectoryName), name);
}

Status MakeSnapshotDirectory(Env& env, const std::string& directory) {
  return EnsureDirectory(env.files, JoinPath(directory, kSnapshotDirectoryName));
}

std::vector<uint8_t> EncodeInstallMark(const InstallMark& mark) {
  std::vector<uint8_t> bytes(kMagic.begin(), kMagic.end());
  Encoder out(&bytes);
  out.Fixed(kVersion);
  out.Raw(mark.snapshot.group_id);
  out.Fixed(mark.snapshot.segment_bytes);
  out.Fixed(mark.snapshot.position.value);
  out.Fixed(mark.snapshot.id);
  out.Raw(mark.environment_id);
  out.Fixed(mark.incarnation);
  bytes.resize(kMarkBytes - sizeof(uint32_t));
  out.Fixed(MaskCrc(Crc32c(bytes)));
  return bytes;
}

Result<InstallMark> DecodeInstallMark(Bytes bytes) {
  if (bytes.size() != kMarkBytes) return Damaged();
  const Bytes content = bytes.first(kMarkBytes - sizeof(uint32_t));
  if (LoadLe<uint32_t>(bytes.data() + content.size()) != MaskCrc(Crc32c(content))) {
    return Damaged();
  }
  Decoder in(content);
  Bytes magic, group, environment;
  uint32_t version = 0;
  InstallMark mark;
  in.Raw(kMagic.size(), &magic);
  in.Fixed(&version);
  in.Raw(sizeof(Id128), &group);
  in.Fixed(&mark.snapshot.segment_bytes);
  in.Fixed(&mark.snapshot.position.value);
  in.Fixed(&mark.snapshot.id);
  in.Raw(sizeof(Id128), &environment);
  in.Fixed(&mark.incarnation);
  if (!in.ok() || std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0) return Damaged();
  if (version > kVersion) {
    return Status(Code::kNewerFormat, "a later version was installing a snapshot");
  }
  std::memcpy(mark.snapshot.group_id.data(), group.data(), group.size());
  std::memcpy(mark.environment_id.data(), environment.data(), environment.size());
  const std::vector<uint8_t> again = EncodeInstallMark(mark);
  return std::memcmp(again.data(), bytes.data(), again.size()) == 0
             ? Result<InstallMark>(mark)
             : Result<InstallMark>(Damaged());
}

Status BeginInstall(Env& env, const std::string& directory, const InstallMark& mark) {
  const std::string path = SnapshotPath(directory, kInstallName);
  const std::string temporary = path + ".tmp";
  {
    RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        env.files.Open(temporary, OpenMode::kCreateEmpty));
    RL_RETURN_IF_ERROR(file->WriteAt(0, EncodeInstallMark(mark)));
    RL_RETURN_IF_ERROR(file->SyncData());
  }
  RL_RETURN_IF_ERROR(env.files.Rename(temporary, path));
  return env.files.SyncDirectory(ParentPath(path));
}

Status EndInstall(Env& env, const std::string& directory) {
  const std::string path = SnapshotPath(directory, kInstallName);
  RL_RETURN_IF_ERROR(env.files.Rename(path, SnapshotPath(directory, kInstalledName)));
  return env.files.SyncDirectory(ParentPath(path));
}

Status DropInstall(Env& env, const std::string& directory) {
  const std::string path = SnapshotPath(directory, kInstallName);
  RL_RETURN_IF_ERROR(RemoveIfThere(env.files, path));
  return env.files.SyncDirectory(ParentPath(path));
}

Result<bool> InstallBegun(Env& env, const std::string& directory) {
  return IsThere(env, SnapshotPath(directory, kInstallName));
}

Result<bool> InstalledAnew(Env& env, const std::string& directory) {
  return IsThere(env, SnapshotPath(directory, kInstalledName));
}

Status NoticeInstalled(Env& env, const std::string& directory) {
  const std::string path = SnapshotPath(directory, kInstalledName);
  // The stream first: without the mark it would pass for one that is still being fetched.
  RL_RETURN_IF_ERROR(RemoveIfThere(env.files, SnapshotPath(directory, kIncomingName)));
  RL_RETURN_IF_ERROR(env.files.SyncDirectory(ParentPath(path)));
  RL_RETURN_IF_ERROR(RemoveIfThere(env.files, path));
  return env.files.SyncDirectory(ParentPath(path));
}

Result<std::vector<uint8_t>> ReadSnapshotLog(Env& env, const std::string& path,
                                             const SnapshotHeader& expected) {
  RL_ASSIGN_OR_RETURN(SnapshotReader reader, OpenStream(env, path));
  if (reader.header() != expected) return Status(Code::kCorruption, "another snapshot");
  std::vector<uint8_t> raw;
  for (;;) {
    RL_ASSIGN_OR_RETURN(const auto block, reader.Next());
    if (!block) return Status(Code::kCorruption, "a snapshot that is not whole");
    if (block->kind == SnapshotBlock::kGroup) continue;
    if (block->kind != SnapshotBlock::kLog) return raw;
    if (raw.size() + block->payload.size() > expected.segment_bytes) {
      return Status(Code::kCorruption, "a snapshot: its log is too long");
    }
    raw.insert(raw.end(), block->payload.begin(), block->payload.end());
  }
}

Result<std::vector<uint8_t>> ReadSnapshotGroup(Env& env, const std::string& path) {
  RL_ASSIGN_OR_RETURN(SnapshotReader reader, OpenStream(env, path));
  RL_ASSIGN_OR_RETURN(const auto block, reader.Next());
  if (!block) return Status(Code::kCorruption, "a snapshot that is not whole");
  return std::vector<uint8_t>(block->payload.begin(), block->payload.end());
}

Status FinishInstall(Env& env, const std::string& directory) {
  // Whoever opens the log says what is wrong with a directory.
  const auto begun = InstallBegun(env, directory);
  const std::string base = JoinPath(JoinPath(directory, kBaseDirectoryName), kBaseFileName);
  if (!begun.ok() || !begun.value() || !env.files.Info(base).ok()) return Status::Ok();
  const std::string path = SnapshotPath(directory, kInstallName);
  RL_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, ReadWhole(env, path, kMarkBytes));
  RL_ASSIGN_OR_RETURN(const InstallMark mark, DecodeInstallMark(bytes));
  // Before the base is looked at, whoever has it open is found out.
  RL_ASSIGN_OR_RETURN(const auto alone, LogReplacement::LockDirectory(env, directory));
  RL_ASSIGN_OR_RETURN(const bool still, InstallBegun(env, directory));
  if (!still) return Status::Ok();
  RL_ASSIGN_OR_RETURN(const Lsn applied, AppliedOf(env, directory, mark));
  if (applied != mark.snapshot.position) return DropInstall(env, directory);
  RL_ASSIGN_OR_RETURN(const std::vector<uint8_t> raw,
                      ReadSnapshotLog(env, SnapshotPath(directory, kIncomingName), mark.snapshot));
  NewLog log;
  log.environment_id = mark.environment_id;
  log.group_id = mark.snapshot.group_id;
  log.incarnation = mark.incarnation;
  log.segment_bytes = mark.snapshot.segment_bytes;
  log.end = mark.snapshot.position;
  log.raw = raw;
  RL_RETURN_IF_ERROR(alone->Replace(log));
  RL_RETURN_IF_ERROR(alone->Finish());
  return EndInstall(env, directory);
}

}  // namespace ringleader
