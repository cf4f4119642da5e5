#include "log/log_exchange.h"

#include <string>
#include <vector>

#include "log/log.h"

namespace ringleader {
namespace {

constexpr char kStagedName[] = "exchange.tmp";

Status LockRole(Env& env, RobustMutex& role) {
  // Every step of a dead holder is repeatable as it stands.
  if (env.threads.Lock(role) != LockResult::kBroken) return Status::Ok();
  return Status(Code::kCorruption, "shared memory is damaged");
}

}  // namespace

StagedSegment::StagedSegment(Env& env, const std::string& directory, const NewLog& log)
    : env_(env), directory_(directory), path_(JoinPath(directory, kStagedName)), log_(log) {}

StagedSegment::~StagedSegment() {
  if (there_) static_cast<void>(env_.files.Remove(path_));  // a leftover costs space, nothing else
}

Status StagedSegment::Write() {
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                      env_.files.Open(path_, OpenMode::kCreateEmpty));
  there_ = true;
  RL_RETURN_IF_ERROR(file->Allocate(0, log_.segment_bytes));
  RL_RETURN_IF_ERROR(file->WriteAt(0, log_.raw));
  return file->SyncData();
}

// Of the old segments every name goes, that of the new one too: the rename then makes it.
Status StagedSegment::TakePlace() {
  const Lsn first = LogReplacement::FirstByte(log_.end, log_.segment_bytes);
  RL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.files.List(directory_));
  for (const std::string& name : names) {
    if (ParseSegmentName(name)) RL_RETURN_IF_ERROR(env_.files.Remove(JoinPath(directory_, name)));
  }
  RL_RETURN_IF_ERROR(env_.files.Rename(path_, JoinPath(directory_, SegmentName(first))));
  there_ = false;
  return env_.files.SyncDirectory(directory_);
}

Status Log::Exchange(const NewLog& log, Lsn common, ExchangeHook& hook) {
  if (closed_) return Status(Code::kClosed, "the log is closed");
  RL_RETURN_IF_ERROR(flusher_->Failure());
  if (log.group_id != identity().group_id || log.segment_bytes != identity().segment_bytes) {
    return Status(Code::kInvalidArgument, "the log of another group, or of other segments");
  }
  RL_ASSIGN_OR_RETURN(const ChainState chain, CheckNewLog(log));
  StagedSegment staged(env_, files_->directory(), log);
  RL_RETURN_IF_ERROR(staged.Write());
  // What can be flushed before anybody has to wait is.
  const Lsn tail(region()->ends.tail.load(std::memory_order_acquire));  // pairs with W1
  RL_RETURN_IF_ERROR(flusher_->WaitFor(tail, Level::kFlushed));
  RobustMutex& archive = region()->keeper.archive_role;
  RL_RETURN_IF_ERROR(LockRole(env_, archive));
  const Status status = appender_->InSection([&](Lsn now) {
    RL_RETURN_IF_ERROR(flusher_->WaitFor(now, Level::kFlushed));
    RL_RETURN_IF_ERROR(LockRole(env_, region()->keeper.role));
    Status locked = LockRole(env_, region()->flusher.role);
    if (locked.ok()) {
      locked = ExchangeHolding(log, chain, std::min(common, now), staged, hook);
      env_.threads.Unlock(region()->flusher.role);
    }
    env_.threads.Unlock(region()->keeper.role);
    flusher_->Announce();
    return locked;
  });
  // Tried again with the next copy: an archive that cannot be reached must not undo it.
  if (status.ok()) (void)keeper_->DropArchived().ok();
  env_.threads.Unlock(archive);
  if (service_) service_->RingKeeper();
  return status;
}

Status Log::ExchangeHolding(const NewLog& log, const ChainState& chain, Lsn common,
                            StagedSegment& staged, ExchangeHook& hook) {
  constexpr auto kNow = std::memory_order_release;
  RollBackWords& words = region()->rollback;
  words.under_way.store(1, kNow);
  const Status decided = hook.Decide();
  if (!decided.ok() && decided.fate() == Fate::kNone) {
    words.under_way.store(0, kNow);
    return decided;
  }
  const Lsn first = LogReplacement::FirstByte(log.end, log.segment_bytes);
  const auto follow = [&] {
    RL_RETURN_IF_ERROR(decided);
    // Readers let go of what they have read ahead before any of it changes.
    const uint64_t history = words.history.load(std::memory_order_acquire) + 1;
    words.ends[history % kRollBacksKept].store(common.value, kNow);
    words.history.store(history, kNow);
    RL_RETURN_IF_ERROR(staged.TakePlace());
    appender_->MoveBack(log.end, chain);
    region()->flushed.durable.store(log.end.value, kNow);
    region()->flushed.written.store(log.end.value, kNow);
    region()->space.start.store(first.value, kNow);
    region()->space.prepared_end.store(first.value + log.segment_bytes, kNow);
    region()->space.full_since_ns.store(0, kNow);
    RL_RETURN_IF_ERROR(keeper_->retention().MoveTo(
        {first, log.end, common, log.segment_bytes}, kArchiveConsumer,
        [&hook](const std::string& name) { return hook.Follows(name); }));
    RL_RETURN_IF_ERROR(keeper_->EndRollBack(log.end));
    return hook.Done();
  };
  const Status followed = follow();
  if (!followed.ok()) {
    flusher_->Fail(followed.sys_errno());
    return followed.WithFate(Fate::kUnknown);
  }
  hook.Finish(log.end);
  words.under_way.store(0, kNow);
  return Status::Ok();
}

}  // namespace ringleader
