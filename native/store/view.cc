#include "store/view.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "store/generation.h"

namespace ringleader {

View::View(Overlay& overlay, BaseTree& base, const std::atomic<uint64_t>* limit)
    : overlay_(overlay), base_(base), limit_(limit) {}

Lsn View::End() const {
  const Lsn visible = overlay_.visible();
  return limit_ == nullptr ? visible
                           : std::min(visible, Lsn(limit_->load(std::memory_order_acquire)));
}

// Why what is held goes on being enough while epoch and history stand: generations join and leave
// the list under a new epoch, and a generation leaves only after all of it is in the base. So the
// list of this epoch has every version above what the base held when the base snapshot was taken,
// however much has been folded since.
//
// `visible` is loaded before the epoch is compared. A writer that moves on to another generation
// makes the epoch new before it makes its first transaction there visible; so where the epoch still
// stands after `visible` was loaded, everything below it is in the generations at hand.
Status View::Renew() {
  RL_RETURN_IF_ERROR(overlay_.CheckProcess());
  if (held()) {
    const Lsn end = End();
    if (overlay_.epoch() == set_->epoch && overlay_.history() == history_) {
      lsn_ = end;
      return Status::Ok();
    }
  }
  const Status status = TakeAnew();
  if (!status.ok()) Release();
  return status;
}

// In the order of Renew.
bool View::current() const {
  if (!held() || !overlay_.CheckProcess().ok()) return false;
  if (RL_MUTANT(kShareOldView)) return true;
  return End() == lsn_ && overlay_.epoch() == set_->epoch && overlay_.history() == history_;
}

// The order is everything here.
//   history, first  a roll-back after this makes it differ from what a commit compares it with
//   generations     what is retired later stays mapped
//   base            has all that was retired before the list was read, or it would be a hole
//   visible         not below anything that the base snapshot holds: the fold stays below it, and
//                   below the limit
//   epoch, history  unchanged, or what was taken need not fit together: once more
Status View::TakeAnew() {
  for (;;) {
    const uint64_t history = overlay_.history();
    if (history % 2 != 0) {
      RL_RETURN_IF_ERROR(overlay_.AwaitRollBack());
      continue;
    }
    if (RL_MUTANT(kReadBaseBeforeGenerations)) RL_RETURN_IF_ERROR(RenewBase());
    RL_ASSIGN_OR_RETURN(set_, overlay_.Current());
    if (!RL_MUTANT(kReadBaseBeforeGenerations)) RL_RETURN_IF_ERROR(RenewBase());
    lsn_ = End();
    if (overlay_.epoch() != set_->epoch || overlay_.history() != history) continue;
    history_ = history;
    RL_DCHECK(snapshot_->applied() <= lsn_);
    return Status::Ok();
  }
}

Status View::RenewBase() {
  if (snapshot_ != nullptr) return snapshot_->Renew();
  RL_ASSIGN_OR_RETURN(snapshot_, base_.OpenSnapshot());
  return Status::Ok();
}

void View::Release() {
  set_.reset();
  if (snapshot_ != nullptr) snapshot_->Release();
}

void View::Prefetch(uint64_t hash) const {
  snapshot_->PrefetchBucket(hash);
  for (const auto& mapped : set_->list) mapped->generation.PrefetchBucket(hash);
}

Result<std::optional<Row>> View::Get(Bytes row_key, uint64_t hash) {
  RL_DCHECK(held());
  // Most rows are in the base: its cache miss goes on while the overlay is asked.
  snapshot_->PrefetchBucket(hash);
  const auto& list = set_->list;
  for (auto place = list.rbegin(); place != list.rend(); ++place) {
    Row row;
    switch ((*place)->generation.Find(row_key, hash, lsn_, &row)) {
      case Found::kNothing:
        continue;
      case Found::kValue:
        return std::optional<Row>(row);
      case Found::kRemoved:
        return std::optional<Row>();
      case Found::kDamaged:
        return Status(Code::kCorruption, "the overlay in shared memory is damaged");
    }
  }
  return snapshot_->Get(row_key, hash);
}

}  // namespace ringleader
