// What the fold does beside folding: rows of dropped databases, and what dead backups have left.
//
// On the list of the dropped stand databases whose rows are rubbish, and a bulk load until nothing
// can take its name back (store_bulk.cc). Which of the two an id is, the catalogue says:
//   no name, in no generation a row that says dropped    rubbish: its rows go
//   no name, but such a row                              a roll-back may give the name back: it
//   waits a name, in the base too                              it is here to stay: off the list a
//   name, only in the overlay                          a roll-back may take it: it waits
#include <algorithm>
#include <set>

#include "store/catalogue.h"
#include "store/folder.h"
#include "store/view.h"

namespace ringleader {
namespace {

constexpr uint64_t kRemovedAtOnce = 20'000;

enum class Judgement : uint8_t { kRubbish, kStays, kWaits };

// `live`: all databases of the view.
Result<Judgement> Judge(View& view, const std::vector<Database>& live, DatabaseId id) {
  const auto named = std::ranges::find(live, id, &Database::id);
  if (named == live.end()) {
    RL_ASSIGN_OR_RETURN(const auto dropped, view.Get(DroppedRowKey(id)));
    return dropped ? Judgement::kWaits : Judgement::kRubbish;
  }
  const std::vector<uint8_t> row_key = DatabaseRowKey(named->name);
  RL_ASSIGN_OR_RETURN(const auto row, view.base().Get(row_key));
  if (!row) return Judgement::kWaits;
  RL_ASSIGN_OR_RETURN(const Database in_base, DecodeDatabase(row_key, row->value));
  return in_base.id == id ? Judgement::kStays : Judgement::kWaits;
}

}  // namespace

Result<bool> Folder::RemoveDropped() {
  if (region_->fold.dropped.load(std::memory_order_acquire) == 0) return false;
  const Looked now{region_->fold.applied.load(std::memory_order_acquire),
                   region_->commit.catalogue.load(std::memory_order_acquire),
                   region_->commit.history.load(std::memory_order_acquire)};
  if (now == looked_) return false;
  // A bulk load under way has no name yet.
  const LockResult lock = env_.threads.TryLock(region_->bulk_role);
  if (lock == LockResult::kBusy || lock == LockResult::kBroken) return false;
  const auto removed = RemoveDroppedHolding();
  env_.threads.Unlock(region_->bulk_role);
  if (removed.ok() && !removed.value()) looked_ = now;
  return removed;
}

// Holder of the bulk role: no bulk load is under way, so what has no name will not get one.
Result<bool> Folder::RemoveDroppedHolding() {
  View view(overlay_, base_);
  RL_RETURN_IF_ERROR(view.Renew());
  RL_ASSIGN_OR_RETURN(const std::vector<Database> live, ListDatabases(view));
  RL_ASSIGN_OR_RETURN(const auto batch, base_.Begin());
  RL_ASSIGN_OR_RETURN(const std::vector<DatabaseId> dropped, batch->Dropped());
  if (dropped.empty()) {
    region_->fold.dropped.store(0, std::memory_order_release);
    return false;
  }
  for (const DatabaseId id : dropped) {
    RL_ASSIGN_OR_RETURN(const Judgement judgement, Judge(view, live, id));
    if (judgement == Judgement::kWaits) continue;
    uint64_t left = 0;
    if (judgement == Judgement::kRubbish) {
      RL_ASSIGN_OR_RETURN(left, batch->RemoveRows(id, kRemovedAtOnce));
    }
    if (left == 0) RL_RETURN_IF_ERROR(batch->RemoveDropped(id));
    RL_RETURN_IF_ERROR(batch->Commit());
    return true;
  }
  return false;
}

// A backup that died holds the log back for ever.
Status Folder::ForgetDeadBackup() {
  const LockResult lock = env_.threads.TryLock(region_->bulk_role);
  if (lock == LockResult::kBusy || lock == LockResult::kBroken) return Status::Ok();
  const auto consumers = log_.Consumers();
  Status status = consumers.status();
  if (consumers.ok() &&
      std::ranges::count(consumers.value(), kBackupConsumer, &Consumer::name) > 0) {
    status = log_.RemoveConsumer(kBackupConsumer);
  }
  env_.threads.Unlock(region_->bulk_role);
  return status;
}

}  // namespace ringleader
