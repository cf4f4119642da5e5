// Backups: the base as of one moment, and the log from there on.
//
// The log is held by a consumer from before the base is copied until the log has been, so that no
// record in between goes. The bulk role is held as long: rows of a bulk load are not in the log, so
// they have to be in the copy of the base before the log names them; and there is one such
// consumer. Who dies with it leaves a consumer that the fold of any process takes away.
#include <algorithm>
#include <optional>

#include "base/mutant.h"
#include "store/bulk_role.h"
#include "store/directory_copy.h"
#include "store/log_hold.h"
#include "store/store_parts.h"

namespace ringleader {
Result<Lsn> Store::Backup(const std::string& directory) {
  Parts& parts = *parts_;
  BulkRole role(env_, *parts.region);
  RL_RETURN_IF_ERROR(role.Take(BulkRole::kPatienceNs));
  const std::atomic<uint64_t>& applied = (**parts.region).fold.applied;
  LogHold hold(*log_, kBackupConsumer);
  if (!RL_MUTANT(kBackupWithoutHold)) RL_RETURN_IF_ERROR(hold.Take(applied));
  const uint64_t history = parts.overlay->history();
  ControlState control = log_->identity();
  const uint64_t segment = control.segment_bytes;
  RL_ASSIGN_OR_RETURN(
      const auto copy,
      DirectoryCopy::Begin(env_, directory, Lsn(applied.load(std::memory_order_acquire)), segment));
  Lsn base_end;
  RL_RETURN_IF_ERROR(copy->WriteBase([&](const DirectoryCopy::Sink& sink) {
    const auto copied = parts.base->Copy(sink);
    if (copied.ok()) base_end = copied.value();
    return copied.status();
  }));
  // A large transaction that came to nothing may lie between what is visible and where a fold
  // ended.
  const Lsn end = std::max(log_->End(Level::kMemory), base_end);
  // The last segment in use goes with the copy: its records hold the chain value that the next
  // append continues.
  const Lsn last(std::max<uint64_t>(end.value, 1) - 1);
  control.start = SegmentStart(std::min(base_end, last), segment);
  const SegmentFiles segments(env_, JoinPath(parts.directory, kLogDirectoryName), segment);
  Status copied = log_->WaitFor(end, Level::kFlushed);
  if (copied.ok()) {
    copied = copy->WriteLog([&](Lsn start) { return segments.Open(start, OpenMode::kRead); },
                            control.group_id, control.start, end);
  }
  if (parts.overlay->history() != history) {
    return Status(Code::kBusy, "the environment was rolled back during the backup; try again");
  }
  RL_RETURN_IF_ERROR(copied);
  control.incarnation = env_.random.Next64();
  control.consumers = {{kBaseConsumer, base_end, 0, 0, false}};
  RL_RETURN_IF_ERROR(copy->Finish(control, end));
  return end;
}

}  // namespace ringleader
