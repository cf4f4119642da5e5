#include "log/log_attachment.h"

#include <algorithm>

#include "log/log_flusher.h"

namespace ringleader {
namespace {

constexpr uint64_t kOpenByte = 0;
constexpr uint64_t kAttachedByte = 1;

bool PowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

Status Invalid(const char* what) { return Status(Code::kInvalidArgument, what); }

}  // namespace

Status CheckLogOptions(const LogOptions& options) {
  if (!PowerOfTwo(options.segment_bytes) || options.segment_bytes < kMinSegmentBytes ||
      options.segment_bytes > kMaxSegmentBytes) {
    return Invalid("segmentBytes: a power of two from 64 KiB to 1 GiB");
  }
  if (!PowerOfTwo(options.ring_bytes) || options.ring_bytes < kMinRingBytes ||
      options.ring_bytes > kMaxRingBytes) {
    return Invalid("ringBytes: a power of two from 64 KiB to 4 GiB");
  }
  if (options.segments_ahead < 1 || options.segments_ahead > 64) {
    return Invalid("segmentsAhead: from 1 to 64");
  }
  if (options.flush_interval_ns < 1'000'000 || options.flush_interval_ns > 60'000'000'000) {
    return Invalid("flushIntervalMs: from 1 to 60,000");
  }
  return Status::Ok();
}

RegionInit LogAttachment::Expected() const {
  RegionInit init;
  init.control = control;
  init.control_device = lock_info_.device;
  init.control_inode = lock_info_.inode;
  return init;
}

Status LogAttachment::Format(const LogOptions& options) {
  if (!options.create) return Status(Code::kNotFound, "no environment in " + directory_);
  // A log without a control page is an environment that lost it, not a new one.
  const SegmentFiles files(env_, JoinPath(directory_, "log"), options.segment_bytes);
  const auto names = env_.files.List(files.directory());
  if (names.ok()) {
    for (const std::string& name : names.value()) {
      if (ParseSegmentName(name)) {
        return Status(Code::kCorruption, "the directory has a log but no control file");
      }
    }
  } else if (names.status().code() == Code::kNotFound) {
    RL_RETURN_IF_ERROR(env_.files.MakeDirectory(files.directory()));
  } else {
    return names.status();
  }
  // Whoever made the directory may have died before its name was flushed. Where this process may
  // not look at the parent, whoever may answers for the names in it.
  const Status named = env_.files.SyncDirectory(ParentPath(directory_));
  if (!named.ok() && named.code() != Code::kPermission) return named;
  // Before the control file has its name: an environment with one and without log/ has lost it.
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(directory_));
  control = ControlState();
  env_.random.Fill(control.environment_id);
  if (options.group_id) {
    control.group_id = *options.group_id;
  } else {
    env_.random.Fill(control.group_id);
  }
  control.incarnation = env_.random.Next64();
  control.segment_bytes = options.segment_bytes;
  control.created_us = env_.clock.WallMicros();
  control.clean = true;
  control.lock_inode = lock_info_.inode;
  RL_ASSIGN_OR_RETURN(control_file, ControlFile::Create(env_, directory_, control));
  return Status::Ok();
}

Status LogAttachment::LoadOrFormat(const LogOptions& options, bool alone) {
  auto opened = ControlFile::Open(env_, directory_);
  if (opened.status().code() == Code::kNotFound && alone) return Format(options);
  if (!opened.ok()) return opened.status();
  control_file = std::move(opened).value();
  RL_ASSIGN_OR_RETURN(control, control_file->Load());
  if (options.group_id && *options.group_id != control.group_id) {
    return Status(Code::kInvalidArgument, "the environment belongs to another group");
  }
  return Status::Ok();
}

// What it means that `lock` could not be opened.
Status LogAttachment::LockStatus(const std::string& path, const Status& opened) {
  auto info = env_.files.Info(path);
  if (!info.ok() || !info->is_directory) return opened;
  return Status(Code::kCorruption, path + " is a directory, and not the file of the environment");
}

// Alone. The file `lock` is not the one that was locked last time: the directory was copied, or the
// file has been replaced. Bytes that were copied while somebody wrote them fit together by luck
// only, and a process that still has the old file would not notice this one. The number of the
// device does not count: it may be another one after every start of the machine.
Status LogAttachment::JudgeCopy(const LogOptions& options) {
  if (control.lock_inode == lock_info_.inode) return Status::Ok();
  if (control.lock_inode != 0) {
    if (!control.clean && !options.adopt_copy) {
      const std::string or_damaged =
          control_file->alone() ? ", or one half of its file \"control\" is damaged" : "";
      return Status(Code::kCorruption,
                    directory_ +
                        " was copied while it was in use, or its file \"lock\" was replaced" +
                        or_damaged + ": Environment.backup makes copies that can be opened");
    }
    copied_ = true;
    control.incarnation = env_.random.Next64();
  }
  // The name first: a lock file that power loss takes would be replaced by another one.
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(directory_));
  control.lock_inode = lock_info_.inode;
  return Status::Ok();
}

Status LogAttachment::Recover(const LogOptions& options) {
  if (options.ring_bytes < SmallestRing(control.segment_bytes)) {
    return Status(Code::kInvalidArgument,
                  "ringBytes: at least " + std::to_string(SmallestRing(control.segment_bytes)) +
                      " for segments of " + std::to_string(control.segment_bytes));
  }
  RL_RETURN_IF_ERROR(control_file->Confirm(control));
  RL_RETURN_IF_ERROR(JudgeCopy(options));
  const uint64_t began = env_.clock.MonotonicNanos();
  const SegmentFiles files(env_, JoinPath(directory_, "log"), control.segment_bytes);
  std::unique_ptr<LogRegion> abandoned;
  auto found = LogRegion::Attach(env_, directory_, Expected(), true);
  if (found.ok()) abandoned = std::move(found).value();
  Lsn mark = control.durable_mark;
  if (abandoned != nullptr) {
    const FlushedEnds& flushed = (**abandoned).flushed;
    const Lsn durable(flushed.durable.load(std::memory_order_acquire));
    const Lsn written(flushed.written.load(std::memory_order_acquire));
    // A region whose positions make no sense has been damaged; the files have the last word.
    const bool sound =
        durable <= written && written <= kMaxLsn && written - durable <= kMaxUnflushedBytes;
    // Nor does one count in which a roll-back was cut short: it was all flushed before, and the
    // control page says where the log ends.
    const bool whole = (**abandoned).rollback.under_way.load(std::memory_order_acquire) == 0;
    if (sound && whole) mark = std::max(mark, durable);
    if (!sound || !whole) abandoned.reset();
  }
  RL_ASSIGN_OR_RETURN(RecoveredLog log, RecoverLog(env_, files, control, mark));
  const bool overtaken = copied_ && control.clean && log.end != control.durable_mark;
  if (overtaken && !options.adopt_copy) {
    return Status(Code::kCorruption,
                  directory_ +
                      " was copied while it was being opened: its log goes on behind the "
                      "end that its control file tells");
  }
  if (abandoned != nullptr) RL_RETURN_IF_ERROR(SalvageRing(files, control, *abandoned, &log));
  abandoned.reset();
  if (log.prepared_end <= log.end) {
    const Lsn next = SegmentStart(log.prepared_end, control.segment_bytes);
    const Status prepared = files.Prepare(next, [] { return true; });
    if (!prepared.ok() && prepared.code() != Code::kNoSpace) return prepared;
    if (prepared.ok()) log.prepared_end = next + control.segment_bytes;
  }
  control.durable_mark = log.end;
  control.clean = false;
  control.roll_back.reset();
  RL_RETURN_IF_ERROR(control_file->Save(control));
  RegionInit init = Expected();
  init.ring_bytes = options.ring_bytes;
  init.end = log.end;
  init.visible = log.visible;
  init.chain = log.chain;
  init.prepared_end = log.prepared_end;
  const auto group = env_.files.Info(JoinPath(directory_, kGroupFileName));
  if (!group.ok() && group.status().code() != Code::kNotFound) return group.status();
  if (group.ok()) init.gate = Gate::Closed(GateReason::kStarting);
  RL_ASSIGN_OR_RETURN(region, LogRegion::Create(env_, directory_, init));
  RL_RETURN_IF_ERROR(LoadRing(files, log, *region));
  recovered = log;
  recovery_ns = env_.clock.MonotonicNanos() - began;
  return Status::Ok();
}

Result<std::unique_ptr<LogAttachment>> LogAttachment::Open(Env& env, const std::string& directory,
                                                           const LogOptions& options) {
  RL_RETURN_IF_ERROR(CheckLogOptions(options));
  std::unique_ptr<LogAttachment> self(new LogAttachment(env, directory));
  if (options.create) RL_RETURN_IF_ERROR(EnsureDirectory(env.files, directory));
  RL_ASSIGN_OR_RETURN(const FileInfo info, env.files.Info(directory));
  if (!info.is_directory) return Status(Code::kNotADirectory, directory + " is not a directory");
  const std::string lock_path = JoinPath(directory, "lock");
  // A backup is an environment that has no lock file yet.
  const bool is_there = env.files.Info(JoinPath(directory, "control")).ok();
  const OpenMode mode = options.create || is_there ? OpenMode::kCreate : OpenMode::kReadWrite;
  auto lock = env.files.Open(lock_path, mode);
  if (!lock.ok()) return self->LockStatus(lock_path, lock.status());
  self->lock_ = std::move(lock).value();
  RL_ASSIGN_OR_RETURN(self->lock_info_, env.files.Info(lock_path));
  RL_RETURN_IF_ERROR(self->lock_->Lock(kOpenByte, true));
  const Status alone = self->lock_->TryLock(kAttachedByte, true);
  if (!alone.ok() && alone.code() != Code::kBusy) return alone;
  RL_RETURN_IF_ERROR(self->LoadOrFormat(options, alone.ok()));
  if (alone.ok()) {
    RL_RETURN_IF_ERROR(self->Recover(options));
  } else {
    auto region = LogRegion::Attach(env, directory, self->Expected(), false);
    if (region.status().code() == Code::kNotFound) {
      return Status(Code::kForeignHost,
                    "the environment is in use by processes that share no memory with this one");
    }
    if (!region.ok()) return region.status();
    self->region = std::move(region).value();
    const int failed = (**self->region).progress.failed.load(std::memory_order_acquire);
    if (failed != 0) {
      return Status(Code::kFailed, "the environment failed; all processes must close it", failed);
    }
  }
  return self;
}

// Shared before the open byte is free: nobody can find the environment unattached in between.
Status LogAttachment::Settle() {
  RL_RETURN_IF_ERROR(lock_->Lock(kAttachedByte, false));
  return lock_->Unlock(kOpenByte);
}

Status LogAttachment::Close(const std::function<Status(bool last)>& closing) {
  RL_RETURN_IF_ERROR(lock_->Lock(kOpenByte, true));
  const Status alone = lock_->TryLock(kAttachedByte, true);
  Status status = closing(alone.ok());
  region.reset();
  if (alone.ok() && status.ok()) status = LogRegion::Remove(env_, directory_, Expected());
  lock_.reset();
  return status;
}

}  // namespace ringleader
