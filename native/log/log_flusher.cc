#include "log/log_flusher.h"

#include <algorithm>
#include <cerrno>

#include "base/mutant.h"

namespace ringleader {
namespace {

// A waiter looks this often whether the role's holder has died: its death wakes nobody.
constexpr uint64_t kTakeoverCheckNs = 10'000'000;

}  // namespace

LogFlusher::LogFlusher(Env& env, LogRegion& region, const SegmentFiles& files)
    : env_(env), region_(region), files_(files) {}

bool LogFlusher::Reached(Lsn end, Level level) const {
  const FlushedEnds& flushed = region_->flushed;
  switch (level) {
    case Level::kMemory:
      return true;
    case Level::kWritten:
      return flushed.written.load(std::memory_order_acquire) >= end.value;
    case Level::kFlushed:
      return flushed.durable.load(std::memory_order_acquire) >= end.value;
  }
  return false;
}

Status LogFlusher::Failure() const {
  const int failed = region_->progress.failed.load(std::memory_order_acquire);
  if (failed == 0) return Status::Ok();
  return Status(Code::kFailed, "a write or flush of the log failed; reopen to recover", failed);
}

void LogFlusher::Fail(int sys_errno) {
  int32_t none = 0;
  const int32_t reason = sys_errno == 0 ? EIO : sys_errno;
  region_->progress.failed.compare_exchange_strong(none, reason, std::memory_order_acq_rel);
  Announce();
}

void LogFlusher::Announce() {
  ProgressSection& progress = region_->progress;
  progress.sequence.fetch_add(1, std::memory_order_seq_cst);
  // Sequentially consistent with the waiter's increment: either this load sees the waiter, or the
  // waiter's next look at the sequence sees the step.
  if (progress.waiters.load(std::memory_order_seq_cst) != 0) {
    env_.threads.WakeAll(progress.sequence);
  }
}

uint32_t LogFlusher::ProgressSequence() const {
  return region_->progress.sequence.load(std::memory_order_acquire);
}

void LogFlusher::AwaitProgress(uint32_t sequence, uint64_t timeout_ns) {
  ProgressSection& progress = region_->progress;
  progress.waiters.fetch_add(1, std::memory_order_seq_cst);
  if (progress.sequence.load(std::memory_order_seq_cst) == sequence) {
    env_.threads.Wait(progress.sequence, sequence, timeout_ns);
  }
  progress.waiters.fetch_sub(1, std::memory_order_acq_rel);
}

void LogFlusher::AwaitActivity(uint32_t sequence, Lsn seen, uint64_t timeout_ns) {
  ProgressSection& progress = region_->progress;
  // Pairs with NoteAppend: of two exchanges of one word, the later sees what the other has seen.
  // So either the append is seen here, or the appender sees that it is waited for.
  progress.heeds_appends.exchange(1, std::memory_order_acq_rel);
  if (region_->ends.visible.load(std::memory_order_acquire) <= seen.value) {
    AwaitProgress(sequence, timeout_ns);
  }
  progress.heeds_appends.store(0, std::memory_order_release);
}

void LogFlusher::NoteAppend() {
  // Not a load, which could be done before the append is published.
  if (region_->progress.heeds_appends.fetch_add(0, std::memory_order_acq_rel) != 0) Announce();
}

uint64_t LogFlusher::History() const {
  return region_->rollback.history.load(std::memory_order_acquire);
}

bool LogFlusher::RolledBack(Lsn end, uint64_t history) const {
  const uint64_t now = History();
  if (now - history > kRollBacksKept) return true;  // too long ago to tell
  for (uint64_t number = history + 1; number <= now; ++number) {
    const auto& to = region_->rollback.ends[number % kRollBacksKept];
    if (to.load(std::memory_order_acquire) < end.value) return true;
  }
  return false;
}

bool LogFlusher::RollingBack() const {
  return region_->rollback.under_way.load(std::memory_order_acquire) != 0;
}

Status LogFlusher::AwaitRollBack() {
  while (RollingBack()) {
    const uint32_t sequence = ProgressSequence();
    RL_RETURN_IF_ERROR(Failure());
    const LockResult lock = env_.threads.TryLock(region_->flusher.role);
    if (lock == LockResult::kBroken) return Status(Code::kCorruption, "shared memory is damaged");
    if (lock == LockResult::kBusy) {
      AwaitProgress(sequence, kTakeoverCheckNs);
      continue;
    }
    const Status whole = CheckRollBack();
    env_.threads.Unlock(region_->flusher.role);
    RL_RETURN_IF_ERROR(whole);
  }
  return Status::Ok();
}

Result<bool> LogFlusher::FollowHistory(Lsn position, uint64_t* history) {
  // The count first: it moves while the roll-back is under way, before the positions do.
  uint64_t now = History();
  while (RollingBack()) {
    RL_RETURN_IF_ERROR(AwaitRollBack());
    now = History();
  }
  if (now == *history) return false;
  if (RolledBack(position, *history)) {
    return Status(Code::kRolledBack, "the log has been rolled back to below this position");
  }
  *history = now;
  return true;
}

Status LogFlusher::CheckRollBack() {
  if (!RollingBack()) return Status::Ok();
  Fail(EOWNERDEAD);
  return Failure();
}

Status LogFlusher::WaitFor(Lsn end, Level level, uint64_t timeout_ns) {
  return WaitFor(end, level, timeout_ns, History());
}

Status LogFlusher::WaitFor(Lsn end, Level level, uint64_t timeout_ns, uint64_t history) {
  const uint64_t began = timeout_ns == kForeverNs ? 0 : env_.clock.MonotonicNanos();
  for (;;) {
    const uint32_t sequence = ProgressSequence();
    // In this order: a position of a later history that has been reached shows its roll-back too.
    const bool reached = Reached(end, level);
    const uint64_t tail = region_->ends.tail.load(std::memory_order_acquire);
    if (RolledBack(end, history) || end.value > tail) {
      return Status(Code::kRolledBack, "the log has been rolled back to below that position");
    }
    if (reached) return Status::Ok();
    RL_RETURN_IF_ERROR(Failure().WithFate(Fate::kUnknown));
    uint64_t left = kForeverNs;
    if (timeout_ns != kForeverNs) {
      const uint64_t spent = env_.clock.MonotonicNanos() - began;
      if (spent >= timeout_ns) {
        return Status(Code::kTimeout, "the log is not flushed yet", 0, Fate::kUnknown);
      }
      left = timeout_ns - spent;
    }
    const LockResult lock = env_.threads.TryLock(region_->flusher.role);
    if (lock == LockResult::kBusy) {
      AwaitProgress(sequence, std::min(left, kTakeoverCheckNs));
      continue;
    }
    if (lock == LockResult::kBroken) {
      return Status(Code::kCorruption, "shared memory is damaged", 0, Fate::kUnknown);
    }
    if (lock == LockResult::kOwnerDied) {
      region_->flusher.takeovers.fetch_add(1, std::memory_order_acq_rel);
    }
    const Status stepped = Reached(end, level) ? Status::Ok() : Step(level);
    env_.threads.Unlock(region_->flusher.role);
    Announce();
    RL_RETURN_IF_ERROR(stepped.WithFate(Fate::kUnknown));
  }
}

Status LogFlusher::Judge(Status status) {
  if (status.ok() || status.code() == Code::kNoSpace || RL_MUTANT(kRetryFailedSync)) return status;
  Fail(status.sys_errno());
  return Failure();
}

Result<File*> LogFlusher::FileOf(Lsn start) {
  if (file_ == nullptr || file_start_ != start || file_history_ != History()) {
    file_.reset();
    file_history_ = History();
    RL_ASSIGN_OR_RETURN(file_, files_.Open(start, OpenMode::kReadWrite));
    file_start_ = start;
  }
  return file_.get();
}

Status LogFlusher::WriteUpTo(Lsn from, Lsn to) {
  const Lsn start = SegmentStart(from, files_.segment_bytes());
  RL_ASSIGN_OR_RETURN(File * file, FileOf(start));
  for (Lsn at = from; at < to;) {
    const Bytes piece = region_.Piece(at, to - at);
    RL_RETURN_IF_ERROR(file->WriteAt(at - start, piece));
    at = at + piece.size();
  }
  region_->flusher.writes.fetch_add(1, std::memory_order_acq_rel);
  region_->flushed.written.store(to.value, std::memory_order_release);  // W2
  return Status::Ok();
}

Status LogFlusher::FlushUpTo(Lsn to) {
  FlusherSection& stats = region_->flusher;
  std::atomic<uint64_t>& durable = region_->flushed.durable;
  const Lsn from(durable.load(std::memory_order_acquire));
  const uint64_t began = env_.clock.MonotonicNanos();
  // Everything unflushed lies in one segment: none is begun before the last one is flushed.
  RL_ASSIGN_OR_RETURN(File * file, FileOf(SegmentStart(Lsn(to.value - 1), files_.segment_bytes())));
  if (RL_MUTANT(kDurableBeforeSync)) {
    durable.store(to.value, std::memory_order_release);
    Announce();
  }
  if (!RL_MUTANT(kSkipDataSync)) RL_RETURN_IF_ERROR(file->SyncData());
  durable.store(to.value, std::memory_order_release);  // W2
  const uint64_t took = env_.clock.MonotonicNanos() - began;
  stats.flushes.fetch_add(1, std::memory_order_acq_rel);
  stats.flushed_bytes.fetch_add(to - from, std::memory_order_acq_rel);
  stats.last_flush_ns.store(took, std::memory_order_release);
  if (took > stats.longest_flush_ns.load(std::memory_order_acquire)) {
    stats.longest_flush_ns.store(took, std::memory_order_release);
  }
  return Status::Ok();
}

// Where the group that begins at `from` ends: always between two records. Recovery takes a position
// that was published for a place up to which whole records must be found.
Lsn LogFlusher::GroupEnd(Lsn from, Lsn tail) const {
  const Lsn segment_end = SegmentStart(from, files_.segment_bytes()) + files_.segment_bytes();
  const Lsn limit = from + kMaxGroupBytes;
  if (std::min(tail, segment_end) <= limit) return std::min(tail, segment_end);
  Lsn at = from;
  if (at.value % files_.segment_bytes() == 0) at = at + kSegmentPageBytes;
  for (;;) {
    RecordHeader header;
    region_.CopyOut(at, {reinterpret_cast<uint8_t*>(&header), sizeof header});
    const Lsn next = at + RecordBytes(header.length);
    if (next > limit) break;
    at = next;
  }
  // A record is far smaller than a group: nothing fits only where its length has been damaged.
  return at > from + kSegmentPageBytes ? at : from;
}

Status LogFlusher::Step(Level level) {
  RL_RETURN_IF_ERROR(Failure());
  RL_RETURN_IF_ERROR(CheckRollBack());
  const uint64_t segment = files_.segment_bytes();
  const Lsn from(region_->flushed.written.load(std::memory_order_acquire));
  const Lsn durable(region_->flushed.durable.load(std::memory_order_acquire));
  const Lsn tail(region_->ends.tail.load(std::memory_order_acquire));  // pairs with W1
  if (durable > from || from > tail || tail - from > region_.ring_bytes()) {
    return Judge(Status(Code::kCorruption, "shared memory is damaged: positions", EIO));
  }
  std::atomic<uint64_t>& started = region_->flusher.started_ns;
  started.store(std::max<uint64_t>(env_.clock.MonotonicNanos(), 1), std::memory_order_release);
  Status status;
  const bool barrier = from.value % segment == 0 && !RL_MUTANT(kSkipSegmentBarrier);
  if (durable < from && (barrier || from - durable + kMaxGroupBytes > kMaxUnflushedBytes)) {
    status = FlushUpTo(from);
  }
  const Lsn to = GroupEnd(from, tail);
  if (to == from && tail > from) {
    status = Status(Code::kCorruption, "shared memory is damaged: a record", EIO);
  }
  if (status.ok() && to > from) status = WriteUpTo(from, to);
  const Lsn written(region_->flushed.written.load(std::memory_order_acquire));
  if (status.ok() && level == Level::kFlushed &&
      written.value > region_->flushed.durable.load(std::memory_order_acquire)) {
    status = FlushUpTo(written);
  }
  started.store(0, std::memory_order_release);
  return Judge(status);
}

}  // namespace ringleader
