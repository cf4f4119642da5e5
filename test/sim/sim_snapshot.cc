// Snapshots of a SimStore: made, kept piece by piece, and installed.
//
//   m/incoming   id (8) | the snapshot's bytes so far
//   m/outgoing   fields of its head, with their size in front | its bytes | checksum (4)
//   a snapshot   checkpoint, with its size in front | the log's bytes | checksum of all that (4)
#include <algorithm>

#include "base/coding.h"
#include "base/crc32c.h"
#include "log/log_rollback.h"
#include "sim_store.h"
#include "wire/field_codec.h"
#include "wire/message_codec.h"

namespace ringleader::simulator {
namespace {

constexpr char kIncoming[] = "m/incoming";
constexpr char kOutgoing[] = "m/outgoing";
constexpr uint64_t kIdBytes = 8;

}  // namespace

Result<std::vector<uint8_t>> SimStore::MakeSnapshot(const Checkpoint& checkpoint) {
  const Lsn position = checkpoint.state.position();
  RL_CHECK(position.value > 0);
  RL_RETURN_IF_ERROR(log_->WaitFor(position, Level::kWritten));
  const uint64_t segment = log_->identity().segment_bytes;
  const Lsn start = SegmentStart(Lsn(position.value - 1), segment);
  const SegmentFiles files(env(), JoinPath(Environment(), "log"), segment);
  std::vector<uint8_t> tail(position - start);
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(start, OpenMode::kRead));
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, tail, "segment"));
  std::vector<uint8_t> bytes;
  Encoder out(&bytes);
  out.Sized(EncodeCheckpoint(checkpoint));
  out.Raw(tail);
  out.Fixed(Crc32c(bytes));
  return bytes;
}

Status SimStore::KeepOutgoing(const SnapshotHead& head, Bytes bytes) {
  std::vector<uint8_t> fields;
  FieldWriter writer(kWireVersion, &fields);
  VisitFields(head, writer);
  std::vector<uint8_t> all;
  Encoder out(&all);
  out.Sized(fields);
  out.Raw(bytes);
  out.Fixed(Crc32c(all));
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                      env().files.Open(kOutgoing, OpenMode::kCreateEmpty));
  return file->WriteAt(0, all);
}

bool SimStore::ReadOutgoing(SnapshotHead* head, std::vector<uint8_t>* bytes) {
  auto all = ReadFile(kOutgoing);
  if (!all.ok() || all->size() < 4) return false;
  const Bytes body = Bytes(*all).first(all->size() - 4);
  if (LoadLe<uint32_t>(all->data() + body.size()) != Crc32c(body)) return false;
  Decoder in(body);
  Bytes fields;
  if (!in.Sized(kMaxFieldBytes, &fields)) return false;
  FieldReader reader(kWireVersion, fields, {});
  VisitFields(*head, reader);
  if (!reader.Finished()) return false;
  bytes->assign(in.rest().begin(), in.rest().end());
  return true;
}

Status SimStore::KeepPiece(uint64_t id, uint64_t offset, Bytes bytes) {
  const OpenMode mode = offset == 0 ? OpenMode::kCreateEmpty : OpenMode::kReadWrite;
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, env().files.Open(kIncoming, mode));
  std::array<uint8_t, kIdBytes> head;
  StoreLe(head.data(), id);
  if (offset == 0) RL_RETURN_IF_ERROR(file->WriteAt(0, head));
  RL_RETURN_IF_ERROR(file->WriteAt(kIdBytes + offset, bytes));
  return file->SyncData();
}

// What of it is no good shows when it is whole.
Status SimStore::ReadIncoming(Start* start) {
  const auto bytes = ReadFile(kIncoming);
  if (bytes.status().code() == Code::kNotFound) return Status::Ok();
  if (!bytes.ok()) return bytes.status();
  if (bytes.value().size() <= kIdBytes) return Status::Ok();
  start->snapshot_id = LoadLe<uint64_t>(bytes.value().data());
  start->snapshot_bytes = start->snapshot_id == 0 ? 0 : bytes.value().size() - kIdBytes;
  return Status::Ok();
}

Status SimStore::WriteEnvironment(const std::string& directory, const Checkpoint& checkpoint,
                                  Bytes tail) {
  const Lsn position = checkpoint.state.position();
  const Lsn start = SegmentStart(Lsn(position.value - 1), kMinSegmentBytes);
  if (tail.size() != position - start) return Status(Code::kCorruption, "a snapshot's log");
  const std::string into = JoinPath(directory, "log");
  RL_RETURN_IF_ERROR(env().files.MakeDirectory(into));
  {
    const std::string path = JoinPath(into, SegmentName(start));
    RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        env().files.Open(path, OpenMode::kCreateEmpty));
    RL_RETURN_IF_ERROR(file->Allocate(0, kMinSegmentBytes));
    RL_RETURN_IF_ERROR(file->WriteAt(0, tail));
    RL_RETURN_IF_ERROR(file->SyncData());
  }
  // Whoever made it may have read it wrong, before there was a checksum over it.
  const SegmentFiles files(env(), into, kMinSegmentBytes);
  RL_RETURN_IF_ERROR(FindCut(files, group_, start, position).status());
  RL_RETURN_IF_ERROR(env().files.SyncDirectory(into));
  RL_RETURN_IF_ERROR(ReplaceFile(directory, "checkpoint", EncodeCheckpoint(checkpoint)));
  ControlState control;
  env().random.Fill(control.environment_id);
  control.group_id = group_;
  control.incarnation = env().random.Next64();
  control.segment_bytes = kMinSegmentBytes;
  control.created_us = env().clock.WallMicros();
  control.start = start;
  control.durable_mark = position;
  control.clean = true;
  return ControlFile::Create(env(), directory, control).status();
}

Status SimStore::Install(Lsn commit, Ballot last, Checkpoint* checkpoint) {
  RL_ASSIGN_OR_RETURN(const std::vector<uint8_t> file, ReadFile(kIncoming));
  const Bytes bytes = Bytes(file).subspan(std::min<size_t>(kIdBytes, file.size()));
  const auto bad = [] { return Status(Code::kCorruption, "what was fetched is not whole"); };
  if (bytes.size() < 4) return bad();
  const Bytes body = bytes.first(bytes.size() - 4);
  if (LoadLe<uint32_t>(bytes.data() + body.size()) != Crc32c(body)) return bad();
  Decoder in(body);
  Bytes encoded;
  if (!in.Sized(body.size(), &encoded) || !DecodeCheckpoint(encoded, checkpoint)) return bad();
  RL_ASSIGN_OR_RETURN(const Lsn fork, log_->LastEnd(commit));
  RL_RETURN_IF_ERROR(KeepBehind(fork, last));
  // A directory that an earlier attempt has left is not used again.
  uint64_t next = generation_ + 1;
  std::string directory;
  for (;; ++next) {
    directory = JoinPath("m", "e" + std::to_string(next));
    const Status made = env().files.MakeDirectory(directory);
    if (made.ok()) break;
    if (made.code() != Code::kExists) return made;
  }
  RL_RETURN_IF_ERROR(WriteEnvironment(directory, *checkpoint, in.rest()));
  RL_RETURN_IF_ERROR(env().files.SyncDirectory(directory));
  RL_RETURN_IF_ERROR(env().files.SyncDirectory("m"));
  std::array<uint8_t, 8> current;
  StoreLe(current.data(), next);
  RL_RETURN_IF_ERROR(ReplaceFile("m", "current", current));
  for (Gone& gone : expected_) gone.certain = true;
  const Status closed = log_->Close();
  (void)closed;  // what becomes of the old one is nobody's business any more
  log_.reset();
  const std::string old = JoinPath(Environment(), "log");
  generation_ = next;
  if (const auto names = env().files.List(old); names.ok()) {
    for (const std::string& name : names.value())
      (void)env().files.Remove(JoinPath(old, name)).ok();
  }
  RL_RETURN_IF_ERROR(env().files.Remove(kIncoming));
  return OpenLog();
}

}  // namespace ringleader::simulator
