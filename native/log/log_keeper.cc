#include "log/log_keeper.h"

#include <algorithm>
#include <array>

#include "base/mutant.h"
#include "log/archive.h"

namespace ringleader {
namespace {

constexpr uint64_t kFullRetryNs = 100'000'000;
constexpr uint64_t kRoleWaitNs = 10'000'000;
// Segments below the floor that are left in place: the next ones to be prepared are made of them.
constexpr uint64_t kSparesKept = 2;

}  // namespace

LogKeeper::LogKeeper(Env& env, LogRegion& region, const SegmentFiles& files, LogFlusher& flusher,
                     ControlFile control, std::string archive, uint32_t segments_ahead)
    : env_(env),
      region_(region),
      files_(files),
      flusher_(flusher),
      control_(std::move(control)),
      archive_(std::move(archive)),
      segments_ahead_(segments_ahead),
      retention_(env, region),
      archived_history_(flusher.History()) {}

Status LogKeeper::LockRole() {
  if (env_.threads.Lock(region_->keeper.role) == LockResult::kBroken) {
    return Status(Code::kCorruption, "shared memory is damaged");
  }
  // Every step of a dead keeper is repeatable as it stands, but for a roll-back.
  const Status fit = flusher_.CheckRollBack();
  if (!fit.ok()) UnlockRole();
  return fit;
}

LockResult LogKeeper::TryLockRole() {
  const LockResult lock = env_.threads.TryLock(region_->keeper.role);
  if (lock == LockResult::kBusy || lock == LockResult::kBroken) return lock;
  if (flusher_.CheckRollBack().ok()) return LockResult::kLocked;
  UnlockRole();
  return LockResult::kBusy;
}

void LogKeeper::UnlockRole() { env_.threads.Unlock(region_->keeper.role); }

Status LogKeeper::Judge(Status status) {
  if (!status.ok() && status.code() == Code::kIo) flusher_.Fail(status.sys_errno());
  return status;
}

Status LogKeeper::SaveLocked(bool clean) {
  RL_ASSIGN_OR_RETURN(ControlState state, control_.Load());
  const std::vector<uint8_t> before = EncodeControl(state);
  state.clean = clean;
  return Write(state, before, Lsn(region_->flushed.durable.load(std::memory_order_acquire)));
}

Status LogKeeper::SaveRollBack(Lsn to) {
  RL_ASSIGN_OR_RETURN(ControlState state, control_.Load());
  state.clean = false;
  state.roll_back = to;
  const Lsn durable(region_->flushed.durable.load(std::memory_order_acquire));
  return Write(state, {}, RL_MUTANT(kRollBackKeepsMark) ? durable : to);
}

Status LogKeeper::EndRollBack(Lsn end) {
  RL_ASSIGN_OR_RETURN(ControlState state, control_.Load());
  state.roll_back.reset();
  return Write(state, {}, end);
}

// `before`: the page as it is on the disk, which needs no second save; empty = save in any case.
Status LogKeeper::Write(ControlState& state, const std::vector<uint8_t>& before, Lsn durable) {
  state.start = Lsn(region_->space.start.load(std::memory_order_acquire));
  RL_ASSIGN_OR_RETURN(state.consumers, retention_.List());
  state.durable_mark = durable;
  // What is not durable may be cut, and a consumer's position must exist when it comes back.
  for (Consumer& consumer : state.consumers) {
    consumer.position = std::min(consumer.position, state.durable_mark);
  }
  if (EncodeControl(state) != before) RL_RETURN_IF_ERROR(Judge(control_.Save(state)));
  region_->keeper.control_saved_ns.store(env_.clock.MonotonicNanos(), std::memory_order_release);
  return Status::Ok();
}

Status LogKeeper::Save(bool clean) {
  RL_RETURN_IF_ERROR(LockRole());
  const Status saved = SaveLocked(clean);
  UnlockRole();
  return saved;
}

uint64_t LogKeeper::SegmentWrittenUs(Lsn position) const {
  const Lsn next = SegmentStart(position, files_.segment_bytes()) + files_.segment_bytes();
  if (next.value >= region_->flushed.written.load(std::memory_order_acquire)) return 0;
  std::array<uint8_t, kSegmentPageBytes> page;
  if (!files_.ReadPage(next, page).ok()) return 0;
  ChainState before;
  const PageState state =
      CheckSegmentPage(page, region_->header.group_id, next, files_.segment_bytes(), &before);
  return state == PageState::kValid ? before.commit_time_us : 0;
}

// The lowest position that anybody needs, the log itself included: it keeps the last segment in
// use, whose records hold the chain value that the next append continues.
Result<Lsn> LogKeeper::FloorLocked() {
  const Lsn start(region_->space.start.load(std::memory_order_acquire));
  const Lsn durable(region_->flushed.durable.load(std::memory_order_acquire));
  if (durable == Lsn()) return start;
  RL_RETURN_IF_ERROR(retention_.BreakLaggards(
      Lsn(region_->ends.tail.load(std::memory_order_acquire)), env_.clock.WallMicros(),
      [this](Lsn position) { return SegmentWrittenUs(position); }));
  RL_ASSIGN_OR_RETURN(const std::optional<Lsn> needed, retention_.Floor());
  if (!needed && !RL_MUTANT(kIgnoreRetention)) return start;
  Lsn floor = SegmentStart(Lsn(durable.value - 1), files_.segment_bytes());
  if (needed && !RL_MUTANT(kIgnoreRetention)) floor = std::min(floor, *needed);
  return std::max(start, SegmentStart(floor, files_.segment_bytes()));
}

Status LogKeeper::RecycleOldestLocked(Lsn to, bool* recycled) {
  *recycled = false;
  const Lsn start(region_->space.start.load(std::memory_order_acquire));
  RL_ASSIGN_OR_RETURN(const Lsn floor, FloorLocked());
  if (start + files_.segment_bytes() > floor) return Status::Ok();
  // Saved first: after a crash the log must not look as if its first segment were missing, and no
  // consumer may come back with a position that is gone.
  region_->space.start.store(start.value + files_.segment_bytes(), std::memory_order_release);
  RL_RETURN_IF_ERROR(SaveLocked(false));
  const Status moved = files_.Recycle(start, to);
  if (moved.code() == Code::kNotFound) return Status::Ok();  // a dead keeper had moved it
  RL_RETURN_IF_ERROR(moved);
  region_->keeper.segments_recycled.fetch_add(1, std::memory_order_acq_rel);
  *recycled = true;
  return Status::Ok();
}

Status LogKeeper::PrepareOneLocked(bool fill) {
  SpaceEnds& space = region_->space;
  const Lsn next(space.prepared_end.load(std::memory_order_acquire));
  bool recycled = false;
  Status status = RecycleOldestLocked(next, &recycled);
  if (status.ok() && !recycled) {
    std::atomic<uint32_t>& hurry = space.hurry;
    status = files_.Prepare(
        next, [&hurry, fill] { return fill && hurry.load(std::memory_order_acquire) == 0; });
    if (status.ok()) region_->keeper.segments_prepared.fetch_add(1, std::memory_order_acq_rel);
  }
  if (status.code() == Code::kNoSpace) {
    const uint64_t now = std::max<uint64_t>(env_.clock.MonotonicNanos(), 1);
    space.full_since_ns.store(now, std::memory_order_release);
    return status;
  }
  RL_RETURN_IF_ERROR(Judge(status));
  space.full_since_ns.store(0, std::memory_order_release);
  space.hurry.store(0, std::memory_order_release);
  space.prepared_end.store(next.value + files_.segment_bytes(), std::memory_order_release);  // W3
  flusher_.Announce();
  return Status::Ok();
}

Status LogKeeper::EnsurePrepared(Lsn end) {
  const std::atomic<uint64_t>& prepared_end = region_->space.prepared_end;
  if (end > kMaxLsn) return Status(Code::kTooLarge, "the log has reached its largest position");
  for (;;) {
    const uint32_t sequence = flusher_.ProgressSequence();
    if (prepared_end.load(std::memory_order_acquire) >= end.value) return Status::Ok();
    RL_RETURN_IF_ERROR(flusher_.Failure());
    const uint64_t full = region_->space.full_since_ns.load(std::memory_order_acquire);
    if (full != 0 && env_.clock.MonotonicNanos() - full < kFullRetryNs) {
      return Status(Code::kNoSpace, "no room for the next segment of the log");
    }
    const LockResult lock = TryLockRole();
    if (lock == LockResult::kBroken) return Status(Code::kCorruption, "shared memory is damaged");
    if (lock == LockResult::kBusy) {
      region_->space.hurry.store(1, std::memory_order_release);
      flusher_.AwaitProgress(sequence, kRoleWaitNs);
      continue;
    }
    // Reserved only, not filled: somebody is waiting for it.
    const Status prepared = prepared_end.load(std::memory_order_acquire) >= end.value
                                ? Status::Ok()
                                : PrepareOneLocked(false);
    UnlockRole();
    RL_RETURN_IF_ERROR(prepared);
  }
}

Status LogKeeper::TrimLocked() {
  RL_ASSIGN_OR_RETURN(const Lsn floor, FloorLocked());
  const uint64_t segment = files_.segment_bytes();
  for (;;) {
    const Lsn start(region_->space.start.load(std::memory_order_acquire));
    if (start + (kSparesKept + 1) * segment > floor) return Status::Ok();
    region_->space.start.store(start.value + segment, std::memory_order_release);
    RL_RETURN_IF_ERROR(SaveLocked(false));
    const Status removed = files_.Remove(start);
    if (!removed.ok() && removed.code() != Code::kNotFound) return Judge(removed);
  }
}

Status LogKeeper::Tick() {
  RL_RETURN_IF_ERROR(flusher_.Failure());
  const LockResult lock = TryLockRole();
  if (lock == LockResult::kBusy) return Status::Ok();
  if (lock == LockResult::kBroken) return Status(Code::kCorruption, "shared memory is damaged");
  // Where the tail is now: writers who fill what is made as fast as it is made would keep the role
  // here for ever, and with it everybody who waits for it.
  const uint64_t wanted = region_->ends.tail.load(std::memory_order_acquire) +
                          uint64_t{segments_ahead_} * files_.segment_bytes();
  Status status;
  while (status.ok() && region_->space.prepared_end.load(std::memory_order_acquire) < wanted) {
    status = PrepareOneLocked(true);
  }
  // A full disk is the time to give back what is not needed, not to stop.
  const bool full = status.code() == Code::kNoSpace;
  if (status.ok() || full) status = TrimLocked();
  const uint64_t saved = region_->keeper.control_saved_ns.load(std::memory_order_acquire);
  if (status.ok() && env_.clock.MonotonicNanos() - saved >= kControlSaveIntervalNs) {
    status = SaveLocked(false);
  }
  UnlockRole();
  return status;
}

Status LogKeeper::StartArchive() {
  if (archive_.empty()) return Status::Ok();
  RL_ASSIGN_OR_RETURN(const std::optional<Consumer> archive, retention_.Get(kArchiveConsumer));
  if (archive) return Status::Ok();
  return PutConsumer(
      {kArchiveConsumer, Lsn(region_->space.start.load(std::memory_order_acquire)), 0, 0, false});
}

Result<bool> LogKeeper::ArchiveOne() {
  if (archive_.empty()) return false;
  const LockResult lock = env_.threads.TryLock(region_->keeper.archive_role);
  if (lock == LockResult::kBusy) return false;
  if (lock == LockResult::kBroken) return Status(Code::kCorruption, "shared memory is damaged");
  const auto archived = ArchiveOneLocked();
  env_.threads.Unlock(region_->keeper.archive_role);
  return archived;
}

Result<bool> LogKeeper::ArchiveOneLocked() {
  RL_ASSIGN_OR_RETURN(const std::optional<Consumer> archive, retention_.Get(kArchiveConsumer));
  if (!archive) return false;  // somebody has ended it
  RL_RETURN_IF_ERROR(DropArchived());
  // Where a snapshot has taken the log's place the archive has a gap, which a restore finds.
  const Lsn start(region_->space.start.load(std::memory_order_acquire));
  if (archive->position < start) RL_RETURN_IF_ERROR(retention_.Advance(kArchiveConsumer, start));
  const Lsn next = SegmentStart(std::max(archive->position, start), files_.segment_bytes());
  const Lsn end = next + files_.segment_bytes();
  if (end.value > region_->flushed.durable.load(std::memory_order_acquire)) return false;
  RL_RETURN_IF_ERROR(ArchiveSegment(env_, files_, region_->header.group_id, next, archive_));
  RL_RETURN_IF_ERROR(retention_.Advance(kArchiveConsumer, end));
  return true;
}

Status LogKeeper::DropArchived() {
  const uint64_t history = flusher_.History();
  if (archive_.empty() || history == archived_history_) return Status::Ok();
  RL_ASSIGN_OR_RETURN(const std::optional<Consumer> archive, retention_.Get(kArchiveConsumer));
  if (!archive) return Status::Ok();
  RL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.files.List(archive_));
  for (const std::string& name : names) {
    const std::optional<Lsn> start = ParseSegmentName(name);
    if (!start || *start < archive->position) continue;
    const Status removed = env_.files.Remove(JoinPath(archive_, name));
    if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
  }
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(archive_));
  archived_history_ = history;
  return Status::Ok();
}

Status LogKeeper::PutConsumer(const Consumer& consumer) {
  RL_RETURN_IF_ERROR(LockRole());
  Status status = retention_.Put(consumer);
  if (status.ok()) status = SaveLocked(false);
  UnlockRole();
  return status;
}

Status LogKeeper::RemoveConsumer(const std::string& name) {
  RL_RETURN_IF_ERROR(LockRole());
  Status status = retention_.Remove(name);
  if (status.ok()) status = SaveLocked(false);
  UnlockRole();
  return status;
}

}  // namespace ringleader
