#include "log/log_rollback.h"

#include <algorithm>
#include <vector>

#include "base/mutant.h"
#include "log/last_whole.h"
#include "log/log.h"
#include "log/segment_walk.h"

namespace ringleader {
namespace {

constexpr uint64_t kZeroStepBytes = uint64_t{1} << 20;

// The segment whose bytes below `to` stay. An end of a record at a border belongs to the segment
// before it.
Lsn KeptSegment(Lsn start, Lsn to, uint64_t segment_bytes) {
  return to == start ? start : SegmentStart(Lsn(to.value - 1), segment_bytes);
}

Status NoEnd(Lsn to) {
  return Status(Code::kInvalidArgument, "no transaction ends at " + std::to_string(to.value));
}

Status LockRole(Env& env, RobustMutex& role) {
  // Every step of a dead holder is repeatable as it stands.
  if (env.threads.Lock(role) != LockResult::kBroken) return Status::Ok();
  return Status(Code::kCorruption, "shared memory is damaged");
}

}  // namespace

Result<LogCut> FindCut(const SegmentFiles& files, const Id128& group_id, Lsn start, Lsn to) {
  if (to < start) return Status(Code::kTrimmed, "the log no longer holds this position");
  const uint64_t segment = files.segment_bytes();
  const Lsn kept = KeptSegment(start, to, segment);
  RL_ASSIGN_OR_RETURN(const auto walk, SegmentWalk::Open(files, group_id, kept, to));
  LogCut cut{to, kept + segment, walk->chain()};
  if (kept == start && to <= start + kSegmentPageBytes) {
    // The page stays: it has the chain value, and a log has a first segment.
    cut.end = start + kSegmentPageBytes;
    return to == start || to == cut.end ? Result<LogCut>(cut) : Result<LogCut>(NoEnd(to));
  }
  LastWhole last;
  for (Record record;;) {
    RL_ASSIGN_OR_RETURN(const bool more, walk->Next(&record));
    if (!more) break;
    last.Pass(record);
  }
  if (last.end != to) return NoEnd(to);
  cut.chain = walk->chain();
  return cut;
}

Status CutLog(const SegmentFiles& files, Lsn start, Lsn to) {
  if (RL_MUTANT(kRollBackKeepsTail)) return Status::Ok();
  const uint64_t segment = files.segment_bytes();
  const Lsn kept = KeptSegment(start, to, segment);
  RL_ASSIGN_OR_RETURN(const std::vector<Lsn> starts, files.List(true));
  for (auto at = starts.rbegin(); at != starts.rend() && *at > kept; ++at) {
    RL_RETURN_IF_ERROR(files.Discard(*at));
  }
  const Lsn end = kept + segment;
  const Lsn from = std::max(to, kept + kSegmentPageBytes);
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(kept, OpenMode::kReadWrite));
  const std::vector<uint8_t> zeros(std::min<uint64_t>(end - from, kZeroStepBytes));
  for (Lsn at = from; at < end;) {
    const uint64_t step = std::min<uint64_t>(end - at, zeros.size());
    RL_RETURN_IF_ERROR(file->WriteAt(at - kept, Bytes(zeros).first(step)));
    at = at + step;
  }
  return file->SyncData();
}

Result<Lsn> Log::LastEnd(Lsn at) {
  if (closed_) return Status(Code::kClosed, "the log is closed");
  const Lsn visible(region()->ends.visible.load(std::memory_order_acquire));  // pairs with W1
  at = std::min(at, visible);  // which may be the end of padding
  RL_RETURN_IF_ERROR(flusher_->WaitFor(at, Level::kWritten));
  return LastEndAtOrBelow(*files_, region()->header.group_id,
                          Lsn(region()->space.start.load(std::memory_order_acquire)), at);
}

Status Log::RollBack(Lsn to, RollBackHook* hook) {
  if (closed_) return Status(Code::kClosed, "the log is closed");
  RL_RETURN_IF_ERROR(flusher_->Failure());
  // What can be flushed before anybody has to wait is.
  const Lsn tail(region()->ends.tail.load(std::memory_order_acquire));  // pairs with W1
  if (to > tail) return NoEnd(to);
  RL_RETURN_IF_ERROR(flusher_->WaitFor(tail, Level::kFlushed));
  RobustMutex& archive = region()->keeper.archive_role;
  RL_RETURN_IF_ERROR(LockRole(env_, archive));
  const Status status =
      appender_->InSection([this, to, hook](Lsn now) { return RollBackInSection(to, now, hook); });
  // Tried again with the next copy: an archive that cannot be reached must not undo a roll-back.
  if (status.ok()) (void)keeper_->DropArchived().ok();
  env_.threads.Unlock(archive);
  if (service_) service_->RingKeeper();
  return status;
}

Status Log::RollBackInSection(Lsn to, Lsn tail, RollBackHook* hook) {
  if (to > tail) return NoEnd(to);
  if (to == tail) return Status::Ok();
  RL_RETURN_IF_ERROR(flusher_->WaitFor(tail, Level::kFlushed));
  KeeperSection& keeper = region()->keeper;
  FlusherSection& flusher = region()->flusher;
  RL_RETURN_IF_ERROR(LockRole(env_, keeper.role));
  Status status = LockRole(env_, flusher.role);
  if (status.ok()) {
    const Lsn start(region()->space.start.load(std::memory_order_acquire));
    auto cut = FindCut(*files_, region()->header.group_id, start, to);
    status = cut.ok() ? RollBackHolding(to, *cut, hook) : cut.status();
    env_.threads.Unlock(flusher.role);
  }
  env_.threads.Unlock(keeper.role);
  flusher_->Announce();
  return status;
}

Status Log::RollBackHolding(Lsn to, const LogCut& cut, RollBackHook* hook) {
  RollBackWords& words = region()->rollback;
  words.under_way.store(1, std::memory_order_release);
  const auto on_disk = [&] {
    RL_RETURN_IF_ERROR(keeper_->SaveRollBack(to));
    // Decided. Readers let go of what they have read ahead before any of it changes.
    const uint64_t history = words.history.load(std::memory_order_acquire) + 1;
    words.ends[history % kRollBacksKept].store(cut.end.value, std::memory_order_release);
    words.history.store(history, std::memory_order_release);
    RL_RETURN_IF_ERROR(
        CutLog(*files_, Lsn(region()->space.start.load(std::memory_order_acquire)), to));
    return keeper_->EndRollBack(cut.end);
  };
  const Status cut_off = on_disk();
  if (!cut_off.ok()) {
    flusher_->Fail(cut_off.sys_errno());
    return cut_off.WithFate(Fate::kUnknown);
  }
  if (hook != nullptr) hook->Begin();
  constexpr auto kNow = std::memory_order_release;
  appender_->MoveBack(cut.end, cut.chain);
  region()->flushed.durable.store(cut.end.value, kNow);
  region()->flushed.written.store(cut.end.value, kNow);
  region()->space.prepared_end.store(cut.prepared_end.value, kNow);
  region()->space.full_since_ns.store(0, kNow);
  // Only now: nobody can advance one beyond the visible end.
  const Status lowered =
      keeper_->retention().MoveBack(cut.end, kArchiveConsumer, files_->segment_bytes());
  if (!lowered.ok()) {
    flusher_->Fail(lowered.sys_errno());
    return lowered.WithFate(Fate::kUnknown);
  }
  if (hook != nullptr) hook->Finish(cut.end);
  words.under_way.store(0, kNow);
  return Status::Ok();
}

}  // namespace ringleader
