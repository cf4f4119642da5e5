#include "log/discarded.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr uint64_t kDiscardedMagic = 0x43534944474f4c52;  // "RLOGDISC"
constexpr uint32_t kDiscardedVersion = 1;
constexpr size_t kHeadBytes = 96;
constexpr size_t kCrcAt = kHeadBytes - 4;
constexpr size_t kEndBytes = 4;
constexpr uint64_t kStepBytes = uint64_t{1} << 20;
// Of the directory while it gets its name anew; of one that died then, until the next time.
constexpr char kAsideSuffix[] = ".tmp";
constexpr char kSuffix[] = ".log";

std::vector<uint8_t> EncodeHead(const DiscardedHead& head) {
  std::vector<uint8_t> bytes;
  Encoder out(&bytes);
  out.Fixed(kDiscardedMagic);
  out.Fixed(kDiscardedVersion);
  out.Fixed(static_cast<uint32_t>(kHeadBytes));
  out.Raw(head.group_id);
  out.Fixed(head.segment_bytes);
  out.Fixed(head.fork.value);
  out.Fixed(head.end.value);
  out.Fixed(head.incarnation);
  out.Fixed(head.saved_us);
  out.Fixed(head.counter.value);
  bytes.resize(kCrcAt);
  out.Fixed(MaskCrc(Crc32c(bytes)));
  return bytes;
}

Result<DiscardedHead> DecodeHead(Bytes bytes) {
  const auto bad = [](const char* what) {
    return Status(Code::kCorruption, std::string("discarded records: ") + what);
  };
  Decoder in(bytes.first(kCrcAt));
  uint64_t magic = 0;
  uint32_t version = 0, head_bytes = 0;
  Bytes group_id;
  DiscardedHead head;
  if (!in.Fixed(&magic) || magic != kDiscardedMagic) return bad("not such a file");
  if (LoadLe<uint32_t>(bytes.data() + kCrcAt) != MaskCrc(Crc32c(bytes.first(kCrcAt)))) {
    return bad("the header's checksum");
  }
  if (!in.Fixed(&version) || version > kDiscardedVersion) {
    return Status(Code::kNewerFormat, "discarded records: written by a later version");
  }
  if (!in.Fixed(&head_bytes) || !in.Raw(head.group_id.size(), &group_id) ||
      !in.Fixed(&head.segment_bytes) || !in.Fixed(&head.fork.value) || !in.Fixed(&head.end.value) ||
      !in.Fixed(&head.incarnation) || !in.Fixed(&head.saved_us) || !in.Fixed(&head.counter.value)) {
    return bad("the header");
  }
  std::ranges::copy(group_id, head.group_id.begin());
  const uint64_t segment = head.segment_bytes;
  const bool sound = version == kDiscardedVersion && head_bytes == kHeadBytes &&
                     segment >= kMinSegmentBytes && segment <= kMaxSegmentBytes &&
                     (segment & (segment - 1)) == 0 && head.fork < head.end &&
                     head.end <= kMaxLsn && head.fork.value % 8 == 0 && head.end.value % 8 == 0;
  return sound ? Result<DiscardedHead>(head) : Result<DiscardedHead>(bad("a field of the header"));
}

std::string FileName(Lsn fork, Term counter, uint64_t incarnation) {
  std::array<char, 64> name;
  std::snprintf(name.data(), name.size(), "%016" PRIx64 "-%" PRIu32 ".%016" PRIx64 "%s", fork.value,
                counter.value, incarnation, kSuffix);
  return name.data();
}

// Copies what lies behind the fork; sets head->end.
Status CopyRecords(File& file, Log& log, DiscardedHead* head) {
  const std::unique_ptr<RawReader> reader = log.ReadRaw(head->fork);
  uint32_t crc = 0;
  uint64_t at = kHeadBytes;
  for (;;) {
    RL_ASSIGN_OR_RETURN(const RawRun run, reader->Next(kStepBytes));
    if (run.bytes.empty()) break;
    RL_RETURN_IF_ERROR(file.WriteAt(at, run.bytes));
    crc = Crc32c(run.bytes, crc);
    at += run.bytes.size();
  }
  head->end = reader->position();
  std::array<uint8_t, kEndBytes> end;
  StoreLe(end.data(), MaskCrc(crc));
  RL_RETURN_IF_ERROR(file.WriteAt(at, end));
  return file.WriteAt(0, EncodeHead(*head));
}

// Whether there is a whole file of that name that goes further.
Result<bool> IsKept(Env& env, const std::string& path, const DiscardedHead& head) {
  const auto opened = DiscardedReader::Open(env, path);
  const Code code = opened.status().code();
  if (code == Code::kNotFound || code == Code::kCorruption) return false;
  if (!opened.ok()) return opened.status();
  const DiscardedHead& there = opened.value()->head();
  if (there.group_id != head.group_id || there.end <= head.end) return false;
  const Status whole = opened.value()->Verify();
  if (whole.code() == Code::kCorruption) return false;
  if (!whole.ok()) return whole;
  return true;
}

// The directory, under a name that lasts. One that is there already gets its name anew: whoever
// made it may have died before it flushed the name, or failed to, and then no later flush says
// anything about it.
Status MakeLasting(Env& env, const std::string& path) {
  const std::string aside = path + kAsideSuffix;
  const Status back = env.files.Rename(aside, path);
  if (!back.ok() && back.code() != Code::kNotFound) return back;
  const Status made = env.files.MakeDirectory(path);
  if (!made.ok() && made.code() != Code::kExists) return made;
  if (!made.ok()) {
    RL_RETURN_IF_ERROR(env.files.Rename(path, aside));
    RL_RETURN_IF_ERROR(env.files.Rename(aside, path));
  }
  return env.files.SyncDirectory(ParentPath(path));
}

}  // namespace

Result<std::optional<std::string>> SaveDiscarded(Env& env, const std::string& directory, Log& log,
                                                 Lsn fork, Term counter, uint64_t incarnation) {
  const std::string into = JoinPath(directory, kDiscardedDirectoryName);
  RL_RETURN_IF_ERROR(MakeLasting(env, into));
  const std::string path = JoinPath(into, FileName(fork, counter, incarnation));
  const std::string temporary = path + ".tmp";
  DiscardedHead head;
  head.group_id = log.identity().group_id;
  head.segment_bytes = log.identity().segment_bytes;
  head.fork = fork;
  head.counter = counter;
  head.incarnation = incarnation;
  head.saved_us = env.clock.WallMicros();
  const auto write = [&] {
    RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        env.files.Open(temporary, OpenMode::kCreateEmpty));
    RL_RETURN_IF_ERROR(CopyRecords(*file, log, &head));
    if (head.end == fork) return Status::Ok();
    // One of that name that goes further is written anew all the same: where the flush of a
    // directory has failed, no later one says anything about the name that was in it.
    RL_ASSIGN_OR_RETURN(const bool kept, IsKept(env, path, head));
    if (kept) {
      RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> longer,
                          env.files.Open(path, OpenMode::kRead));
      RL_ASSIGN_OR_RETURN(const uint64_t size, longer->Size());
      RL_RETURN_IF_ERROR(CopyBytes(*longer, *file, size, kDiscardedDirectoryName));
    }
    return RL_MUTANT(kDiscardUnflushed) ? Status::Ok() : file->SyncData();
  };
  const Status written = write();
  if (!written.ok() || head.end == fork) {
    // Its space may be needed; the first error is the one to report.
    (void)env.files.Remove(temporary).ok();
    RL_RETURN_IF_ERROR(written);
    return std::optional<std::string>();
  }
  RL_RETURN_IF_ERROR(env.files.Rename(temporary, path));
  RL_RETURN_IF_ERROR(env.files.SyncDirectory(into));
  return std::optional<std::string>(path);
}

Result<std::vector<std::string>> ListDiscarded(Env& env, const std::string& directory) {
  std::string into = JoinPath(directory, kDiscardedDirectoryName);
  auto names = env.files.List(into);
  if (names.status().code() == Code::kNotFound) {
    into += kAsideSuffix;
    names = env.files.List(into);
  }
  std::vector<std::string> paths;
  if (names.status().code() == Code::kNotFound) return paths;
  if (!names.ok()) return names.status();
  for (const std::string& name : names.value()) {
    if (name.ends_with(kSuffix)) paths.push_back(JoinPath(into, name));
  }
  return paths;
}

Result<std::unique_ptr<DiscardedReader>> DiscardedReader::Open(Env& env, const std::string& path) {
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file, env.files.Open(path, OpenMode::kRead));
  std::unique_ptr<DiscardedReader> self(new DiscardedReader(std::move(file)));
  std::array<uint8_t, kHeadBytes> bytes;
  RL_RETURN_IF_ERROR(ReadExactly(*self->file_, 0, bytes, path));
  RL_ASSIGN_OR_RETURN(self->head_, DecodeHead(bytes));
  const DiscardedHead& head = self->head_;
  RL_ASSIGN_OR_RETURN(const uint64_t size, self->file_->Size());
  if (size != kHeadBytes + (head.end - head.fork) + kEndBytes) {
    return Status(Code::kCorruption, path + ": not whole");
  }
  self->stream_.emplace(head.group_id, head.segment_bytes, head.fork, std::nullopt);
  self->buffered_ = head.fork;
  return self;
}

Status DiscardedReader::Verify() {
  std::vector<uint8_t> bytes;
  uint32_t crc = 0;
  for (Lsn at = head_.fork; at < head_.end; at = at + bytes.size()) {
    bytes.resize(std::min(kStepBytes, head_.end - at));
    RL_RETURN_IF_ERROR(
        ReadExactly(*file_, kHeadBytes + (at - head_.fork), bytes, "discarded records"));
    crc = Crc32c(bytes, crc);
  }
  std::array<uint8_t, kEndBytes> end;
  RL_RETURN_IF_ERROR(
      ReadExactly(*file_, kHeadBytes + (head_.end - head_.fork), end, "discarded records"));
  if (LoadLe<uint32_t>(end.data()) == MaskCrc(crc)) return Status::Ok();
  return Status(Code::kCorruption, "discarded records: the checksum over all of them");
}

// Makes `size` bytes from the stream's position on available.
Status DiscardedReader::Fill(uint64_t size) {
  const Lsn at = stream_->position();
  if (size > head_.end - at) return Status(Code::kCorruption, "discarded records: cut short");
  buffered_ = at;
  buffer_.resize(std::min(head_.end - at, std::max(size, kStepBytes)));
  return ReadExactly(*file_, kHeadBytes + (at - head_.fork), buffer_, "discarded records");
}

Result<bool> DiscardedReader::NextRecord(Record* record) {
  while (stream_->position() < head_.end) {
    RecordStream::Item item;
    const uint64_t used = std::min<uint64_t>(stream_->position() - buffered_, buffer_.size());
    const Bytes rest = Bytes(buffer_).subspan(used);
    const RecordStream::Step step = stream_->Look(rest, &item);
    if (step == RecordStream::Step::kBad) return stream_->Explain(rest);
    if (step == RecordStream::Step::kShort) {
      RL_RETURN_IF_ERROR(Fill(item.bytes));
      continue;
    }
    stream_->Pass(item);
    if (item.kind != RecordStream::Kind::kRecord) continue;
    *record = item.record;
    return true;
  }
  return false;
}

Result<std::optional<LogEntry>> DiscardedReader::Next() {
  Record record;
  for (;;) {
    RL_ASSIGN_OR_RETURN(const bool found, NextRecord(&record));
    if (!found) return std::optional<LogEntry>();
    RL_ASSIGN_OR_RETURN(const bool whole, assembler_.Add(record));
    if (whole) return std::optional<LogEntry>(assembler_.entry());
  }
}

}  // namespace ringleader
