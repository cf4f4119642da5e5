#include "store/restore.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "log/control_file.h"
#include "log/segment_files.h"
#include "store/base_tree.h"
#include "store/directory_copy.h"
#include "store/folder.h"

namespace ringleader {
namespace {

constexpr uint64_t kOpenByte = 0;
constexpr uint64_t kAttachedByte = 1;
constexpr size_t kCopyStepBytes = size_t{1} << 20;

// Finds the last whole transaction at or below the limit, in records that come in order.
class CutFinder {
 public:
  // `from`: where the log begins; `time_us`: of what lies before.
  CutFinder(const RestoreLimit& limit, Lsn backup_end, Lsn from, uint64_t time_us)
      : limit_(limit),
        backup_end_(backup_end),
        state_{from + kSegmentPageBytes, time_us},
        over_(limit.time_us && time_us > *limit.time_us ? std::optional(from) : std::nullopt) {}

  // Not to be called again once there is a transaction over the limit.
  Status Add(const Record& record) {
    if (record.type() == RecordType::kPadding || record.more()) return Status::Ok();
    if ((limit_.lsn && record.end() > *limit_.lsn) ||
        (limit_.time_us && record.header.commit_time_us > *limit_.time_us)) {
      over_ = record.end();
      return Status::Ok();
    }
    if (record.type() == RecordType::kBulkLoad && record.end() > backup_end_) {
      return Status(Code::kUnsupported,
                    "a bulk load at " + std::to_string(record.lsn().value) +
                        " is not in the log: restore to a state below it, or from a backup that "
                        "was made after it");
    }
    state_ = {record.end(), record.header.commit_time_us};
    return Status::Ok();
  }

  // The end of the first transaction over the limit.
  const std::optional<Lsn>& over() const { return over_; }
  const Restored& state() const { return state_; }

 private:
  const RestoreLimit limit_;
  const Lsn backup_end_;
  Restored state_;
  std::optional<Lsn> over_;
};

// One restore, step by step; the class holds what the steps share.
class Restore {
 public:
  Restore(Env& env, const std::string& backup, const std::string& archive,
          const std::string& target, const RestoreLimit& limit)
      : env_(env), backup_(backup), archive_(archive), target_(target), limit_(limit) {}

  Result<Restored> Run();

 private:
  Status LockBackup();
  Status LoadBackup();
  Status CopyBase(DirectoryCopy& copy);
  Status ReadApplied();
  Result<std::unique_ptr<File>> OpenOwn(Lsn start) const;
  Result<std::unique_ptr<File>> OpenArchived(Lsn start) const;
  Status Walk(StoredLog& log, Lsn limit, CutFinder* cut);
  Status FindCut();
  Status ReadArchive(const ChainState& chain, CutFinder* cut);
  Status CheckReached(const CutFinder& cut) const;

  Lsn BackupEnd() const { return control_.durable_mark; }

  Env& env_;
  const std::string backup_, archive_, target_;
  const RestoreLimit limit_;
  std::unique_ptr<File> lock_;
  ControlState control_;  // of the backup
  Lsn applied_;           // what the backup's base holds
  Lsn read_end_;          // where the records end that could be read
  Lsn end_;               // of the restored log
  Restored state_;        // that it leads to
};

// Nobody may open it meanwhile. A backup that nobody has ever opened has no lock file.
Status Restore::LockBackup() {
  auto opened = env_.files.Open(JoinPath(backup_, "lock"), OpenMode::kReadWrite);
  const Code code = opened.status().code();
  if (code == Code::kNotFound || code == Code::kPermission) return Status::Ok();
  RL_RETURN_IF_ERROR(opened.status());
  lock_ = std::move(opened).value();
  Status locked = lock_->TryLock(kOpenByte, true);
  if (locked.ok()) locked = lock_->TryLock(kAttachedByte, true);
  if (locked.code() == Code::kBusy) return Status(Code::kBusy, backup_ + " is open");
  return locked;
}

Status Restore::LoadBackup() {
  auto file = ControlFile::Open(env_, backup_);
  if (file.status().code() == Code::kNotFound) {
    return Status(Code::kNotFound, "no environment in " + backup_);
  }
  RL_RETURN_IF_ERROR(file.status());
  RL_ASSIGN_OR_RETURN(control_, file->Load());
  if (!control_.clean) {
    return Status(Code::kInvalidArgument,
                  backup_ + " was not closed: open and close it before it is restored from");
  }
  return Status::Ok();
}

Status Restore::CopyBase(DirectoryCopy& copy) {
  const std::string path = JoinPath(JoinPath(backup_, kBaseDirectoryName), kBaseFileName);
  auto opened = env_.files.Open(path, OpenMode::kRead);
  if (opened.status().code() == Code::kNotFound) {
    return Status(Code::kCorruption, "the base of the backup is missing: " + path);
  }
  RL_RETURN_IF_ERROR(opened.status());
  File& from = **opened;
  RL_ASSIGN_OR_RETURN(const uint64_t size, from.Size());
  return copy.WriteBase([&](const DirectoryCopy::Sink& sink) -> Status {
    std::vector<uint8_t> buffer(kCopyStepBytes);
    for (uint64_t at = 0; at < size;) {
      const MutableBytes piece =
          MutableBytes(buffer).first(std::min<uint64_t>(size - at, buffer.size()));
      RL_RETURN_IF_ERROR(ReadExactly(from, at, piece, "the base of the backup"));
      RL_RETURN_IF_ERROR(sink(piece));
      at += piece.size();
    }
    return Status::Ok();
  });
}

// Opens the copy, which checks it.
Status Restore::ReadApplied() {
  BaseOptions options;
  options.environment_id = control_.environment_id;
  RL_ASSIGN_OR_RETURN(const auto base, BaseTree::Open(env_, target_, options));
  RL_ASSIGN_OR_RETURN(const auto snapshot, base->OpenSnapshot());
  applied_ = snapshot->applied();
  if (applied_ < control_.start || applied_ > BackupEnd()) {
    return Status(Code::kCorruption, "log and base of the backup do not belong together");
  }
  return Status::Ok();
}

Result<std::unique_ptr<File>> Restore::OpenOwn(Lsn start) const {
  const SegmentFiles own(env_, JoinPath(backup_, kLogDirectoryName), control_.segment_bytes);
  return own.Open(start, OpenMode::kRead);
}

Result<std::unique_ptr<File>> Restore::OpenArchived(Lsn start) const {
  if (archive_.empty()) return Status(Code::kNotFound, "there is no archive");
  const SegmentFiles archived(env_, archive_, control_.segment_bytes);
  return archived.Open(start, OpenMode::kRead);
}

Status Restore::Walk(StoredLog& log, Lsn limit, CutFinder* cut) {
  while (!cut->over()) {
    Record record;
    RL_ASSIGN_OR_RETURN(const bool more, log.Next(limit, &record));
    read_end_ = log.position();
    if (!more) break;
    RL_RETURN_IF_ERROR(cut->Add(record));
  }
  return Status::Ok();
}

// What the archive has behind the backup's end. `chain`: of the backup's last record.
Status Restore::ReadArchive(const ChainState& chain, CutFinder* cut) {
  const Lsn end = BackupEnd();
  const Lsn first = SegmentStart(end, control_.segment_bytes);
  StoredLog log([this](Lsn start) { return OpenArchived(start); }, control_.group_id,
                control_.segment_bytes, first);
  if (first == end && end > Lsn()) log.ContinueFrom(chain);
  // The segment in which the backup ends is there as a whole: what the backup has of it first.
  Record record;
  for (bool more = true; more && log.position() < end;) {
    RL_ASSIGN_OR_RETURN(more, log.Next(end, &record));
    if (!more && log.position() == first) return Status::Ok();  // the archive does not have it
  }
  const bool same =
      first == end || (log.position() == end && log.chain().prev_crc == chain.prev_crc);
  if (!same) {
    return Status(Code::kInvalidArgument,
                  SegmentName(first) + " of the archive continues another history");
  }
  return Walk(log, kMaxLsn, cut);
}

Status Restore::CheckReached(const CutFinder& cut) const {
  const bool below =
      (limit_.lsn && *limit_.lsn < applied_) || (cut.over() && *cut.over() <= applied_);
  if (below) {
    return Status(Code::kTrimmed, "the oldest state that the backup can give is the one at " +
                                      std::to_string(applied_.value));
  }
  if (cut.over() || (limit_.lsn && *limit_.lsn <= read_end_)) return Status::Ok();
  const std::string ends = "the log can be read up to " + std::to_string(read_end_.value);
  if (!archive_.empty()) {
    const SegmentFiles archived(env_, archive_, control_.segment_bytes);
    RL_ASSIGN_OR_RETURN(const std::vector<Lsn> starts, archived.List(false));
    if (!starts.empty() && starts.back() >= read_end_) {
      return Status(Code::kNotFound, ends + ": the archive lacks the segment there");
    }
  }
  if (limit_.lsn) return Status(Code::kNotFound, ends + ", which is below the limit");
  return Status::Ok();
}

Status Restore::FindCut() {
  StoredLog own([this](Lsn start) { return OpenOwn(start); }, control_.group_id,
                control_.segment_bytes, control_.start);
  RL_RETURN_IF_ERROR(own.Begin(BackupEnd()));
  CutFinder cut(limit_, BackupEnd(), control_.start, own.chain().commit_time_us);
  RL_RETURN_IF_ERROR(Walk(own, BackupEnd(), &cut));
  if (!cut.over() && own.position() != BackupEnd()) {
    return Status(Code::kCorruption,
                  "the log of the backup lacks " +
                      SegmentName(SegmentStart(own.position(), control_.segment_bytes)));
  }
  if (!cut.over() && !archive_.empty()) RL_RETURN_IF_ERROR(ReadArchive(own.chain(), &cut));
  RL_RETURN_IF_ERROR(CheckReached(cut));
  state_ = cut.state();
  end_ = cut.over() ? std::max(state_.lsn, applied_) : read_end_;
  return Status::Ok();
}

Result<Restored> Restore::Run() {
  RL_RETURN_IF_ERROR(LockBackup());
  RL_RETURN_IF_ERROR(LoadBackup());
  RL_ASSIGN_OR_RETURN(const auto copy,
                      DirectoryCopy::Begin(env_, target_, control_.start, control_.segment_bytes));
  RL_RETURN_IF_ERROR(CopyBase(*copy));
  RL_RETURN_IF_ERROR(ReadApplied());
  RL_RETURN_IF_ERROR(FindCut());
  const auto source = [this](Lsn start) {
    const bool own = start < BackupEnd() &&
                     (end_ <= BackupEnd() || start + control_.segment_bytes <= BackupEnd());
    return own ? OpenOwn(start) : OpenArchived(start);
  };
  RL_RETURN_IF_ERROR(copy->WriteLog(source, control_.group_id, control_.start, end_));
  ControlState control = control_;
  control.incarnation = env_.random.Next64();
  control.consumers = {{kBaseConsumer, applied_, 0, 0, false}};
  RL_RETURN_IF_ERROR(copy->Finish(control, end_));
  state_.lsn = std::min(std::max(state_.lsn, applied_), end_);
  return state_;
}

}  // namespace

Result<Restored> RestoreTo(Env& env, const std::string& backup_directory,
                           const std::string& archive_directory,
                           const std::string& target_directory, const RestoreLimit& limit) {
  return Restore(env, backup_directory, archive_directory, target_directory, limit).Run();
}

}  // namespace ringleader
