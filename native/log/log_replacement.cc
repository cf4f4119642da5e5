#include "log/log_replacement.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "log/last_whole.h"
#include "log/log_region.h"
#include "log/record_stream.h"
#include "log/segment_files.h"

namespace ringleader {
namespace {

constexpr char kControlName[] = "control";
constexpr char kLogName[] = "log";
constexpr uint64_t kOpenByte = 0;
constexpr uint64_t kAttachedByte = 1;

Status Invalid(const char* what) { return Status(Code::kInvalidArgument, what); }

Result<bool> HasSegments(Env& env, const std::string& directory) {
  const auto names = env.files.List(JoinPath(directory, kLogName));
  if (names.status().code() == Code::kNotFound) return false;
  RL_RETURN_IF_ERROR(names.status());
  return std::ranges::any_of(
      names.value(), [](const std::string& name) { return ParseSegmentName(name).has_value(); });
}

}  // namespace

Result<ChainState> CheckNewLog(const NewLog& log) {
  const uint64_t segment = log.segment_bytes;
  if (segment < kMinSegmentBytes || segment > kMaxSegmentBytes || (segment & (segment - 1)) != 0) {
    return Invalid("no such size of segments");
  }
  const Lsn first = LogReplacement::FirstByte(log.end, segment);
  if (log.end > kMaxLsn || log.end.value % 8 != 0 || log.end - first != log.raw.size()) {
    return Invalid("a snapshot's log begins with the segment in which it ends");
  }
  std::optional<ChainState> chain;  // that of the first segment is known
  if (first == Lsn()) chain = FirstChain(log.group_id);
  RecordStream stream(log.group_id, segment, first, chain);
  LastWhole last;
  for (Bytes rest = log.raw; !rest.empty();) {
    RecordStream::Item item;
    const RecordStream::Step step = stream.Look(rest, &item);
    if (step == RecordStream::Step::kBad) return stream.Explain(rest);
    if (step == RecordStream::Step::kShort || item.bytes > rest.size()) {
      return Status(Code::kCorruption, "a snapshot's log is cut short");
    }
    if (item.kind == RecordStream::Kind::kRecord) last.Pass(item.record);
    stream.Pass(item);
    rest = rest.subspan(item.bytes);
  }
  if (last.end != log.end) return Invalid("a snapshot ends where a transaction does");
  return *stream.chain();
}

Result<bool> IsIncomplete(Env& env, const std::string& directory) {
  const auto control = env.files.Info(JoinPath(directory, kControlName));
  if (control.ok()) return false;
  if (control.status().code() != Code::kNotFound) return control.status();
  return HasSegments(env, directory);
}

Status LogReplacement::LockOut() {
  const std::string path = JoinPath(directory_, "lock");
  RL_ASSIGN_OR_RETURN(lock_, env_.files.Open(path, OpenMode::kCreate));
  RL_ASSIGN_OR_RETURN(lock_info_, env_.files.Info(path));
  Status locked = lock_->TryLock(kOpenByte, true);
  if (locked.ok()) locked = lock_->TryLock(kAttachedByte, true);
  if (locked.code() == Code::kBusy) return Status(Code::kBusy, directory_ + " is open");
  return locked;
}

Status LogReplacement::WriteSegment(const NewLog& log) {
  const SegmentFiles files(env_, JoinPath(directory_, kLogName), log.segment_bytes);
  const Status made = env_.files.MakeDirectory(files.directory());
  if (!made.ok() && made.code() != Code::kExists) return made;
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(directory_));
  // First of all: without a control page, a directory that has some segment is never taken for a
  // new one.
  const Lsn first = control_.start;
  const auto all = [] { return true; };
  RL_ASSIGN_OR_RETURN(const bool some, HasSegments(env_, directory_));
  if (!some) RL_RETURN_IF_ERROR(files.Prepare(first, all));
  if (!RL_MUTANT(kReplaceUnderControl)) {
    RL_RETURN_IF_ERROR(RemoveIfThere(env_.files, JoinPath(directory_, kControlName)));
    RL_RETURN_IF_ERROR(env_.files.SyncDirectory(directory_));
  }
  // What memory still holds is of the old log.
  RegionInit region;
  region.control_device = lock_info_.device;
  region.control_inode = lock_info_.inode;
  RL_RETURN_IF_ERROR(LogRegion::Remove(env_, directory_, region));
  if (some) RL_RETURN_IF_ERROR(files.Prepare(first, all));
  RL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.files.List(files.directory()));
  for (const std::string& name : names) {
    const std::optional<Lsn> start = ParseSegmentName(name);
    if (!start || *start == first) continue;
    RL_RETURN_IF_ERROR(env_.files.Remove(JoinPath(files.directory(), name)));
  }
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(first, OpenMode::kReadWrite));
  RL_RETURN_IF_ERROR(file->WriteAt(0, log.raw));
  RL_RETURN_IF_ERROR(file->SyncData());
  return env_.files.SyncDirectory(files.directory());
}

Result<std::unique_ptr<LogReplacement>> LogReplacement::Begin(Env& env,
                                                              const std::string& directory,
                                                              const NewLog& log) {
  RL_RETURN_IF_ERROR(CheckNewLog(log).status());
  RL_ASSIGN_OR_RETURN(std::unique_ptr<LogReplacement> self, LockDirectory(env, directory));
  RL_RETURN_IF_ERROR(self->Replace(log));
  return self;
}

Result<std::unique_ptr<LogReplacement>> LogReplacement::LockDirectory(
    Env& env, const std::string& directory) {
  std::unique_ptr<LogReplacement> self(new LogReplacement(env, directory));
  RL_RETURN_IF_ERROR(self->LockOut());
  return self;
}

Status LogReplacement::Replace(const NewLog& log) {
  RL_RETURN_IF_ERROR(CheckNewLog(log).status());
  ControlState& control = control_;
  control.environment_id = log.environment_id;
  control.group_id = log.group_id;
  control.incarnation = log.incarnation != 0 ? log.incarnation : env_.random.Next64();
  control.segment_bytes = log.segment_bytes;
  control.start = FirstByte(log.end, log.segment_bytes);
  control.durable_mark = log.end;
  control.clean = true;
  control.lock_inode = lock_info_.inode;
  return WriteSegment(log);
}

Status LogReplacement::Finish() {
  // The name of the file that tells whether this is a copy.
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(directory_));
  control_.created_us = env_.clock.WallMicros();
  return ControlFile::Create(env_, directory_, control_).status();
}

}  // namespace ringleader
