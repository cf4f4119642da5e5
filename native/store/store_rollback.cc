// Roll-back of the whole store: the log is cut (log_rollback.h), and the overlay is made anew.
//
// What the new generations have to hold, the transactions between the base's applied LSN and `to`,
// is read from the log before anybody has to wait; the fold role keeps the base where it is. The
// switch is a few stores at the end of the log's own roll-back, with the writer lock held:
//   - CommitWords::history becomes odd. A view that is being taken waits from here on, and one that
//     was half taken starts again;
//   - the log's positions are lowered;
//   - the list of generations is replaced under a new epoch, the catalogue gets a state that nobody
//     has seen, and what the fold has asked for or allowed is forgotten;
//   - CommitWords::history becomes even again: everything taken from now on is of the new history.
// Views that are held keep their mappings, whose names go; transactions on them conflict, because
// they bring the history of their view.
#include <algorithm>

#include "store/bulk_role.h"
#include "store/commit_section.h"
#include "store/operations.h"
#include "store/store_parts.h"

namespace ringleader {
namespace {

class FreshOverlay : public RollBackHook {
 public:
  FreshOverlay(Overlay& overlay, StoreRegion& region, uint64_t generation_bytes)
      : overlay_(overlay), region_(region), generation_bytes_(generation_bytes) {}
  FreshOverlay(const FreshOverlay&) = delete;
  FreshOverlay& operator=(const FreshOverlay&) = delete;
  // The names of those that are in no list go.
  ~FreshOverlay() override {
    if (replaced_) {
      overlay_.RemoveNames(old_oldest_, first_ - 1);
    } else {
      overlay_.RemoveNames(first_, next_ - 1);
    }
  }

  // Holder of the fold role: inserts what the log has in (from, to].
  Status Fill(Log& log, Lsn from, Lsn to);

  void Begin() override { region_->commit.history.fetch_add(1, std::memory_order_acq_rel); }
  void Finish(Lsn end) override;

 private:
  Status AddGeneration(Lsn start, uint64_t bytes);

  Overlay& overlay_;
  StoreRegion& region_;
  const uint64_t generation_bytes_;
  std::shared_ptr<MappedGeneration> last_;
  uint64_t old_oldest_ = 0;
  uint64_t first_ = 1;
  uint64_t next_ = 1;  // first_ to next_ - 1 have been made
  bool replaced_ = false;
};

Status FreshOverlay::AddGeneration(Lsn start, uint64_t bytes) {
  if (last_ != nullptr) {
    region_.slot(next_ - 1).end.store(start.value, std::memory_order_release);
  }
  RL_ASSIGN_OR_RETURN(last_, overlay_.MakeUnlisted(next_, start, bytes));
  ++next_;
  return Status::Ok();
}

Status FreshOverlay::Fill(Log& log, Lsn from, Lsn to) {
  const GenerationList& list = region_->list;
  old_oldest_ = list.oldest.load(std::memory_order_acquire);
  // Writers move on to the one that is ready at most.
  first_ = next_ = 1 + std::max(list.ready.load(std::memory_order_acquire),
                                list.newest.load(std::memory_order_acquire));
  const uint64_t first =
      std::max(2 * (to - from), std::min(kFirstGenerationBytes, generation_bytes_));
  RL_RETURN_IF_ERROR(AddGeneration(from, std::min(first, generation_bytes_)));
  const std::unique_ptr<LogReader> reader = log.Read(from);
  for (;;) {
    RL_ASSIGN_OR_RETURN(const std::optional<LogEntry> entry, reader->Next());
    if (!entry || entry->end > to) return Status::Ok();
    if (entry->type != RecordType::kTransaction) continue;
    RL_ASSIGN_OR_RETURN(const PayloadSummary summary, SummarizePayload(entry->payload));
    const uint64_t bytes = summary.overlay_bytes;
    const Generation& active = last_->generation;
    if (active.used_bytes() + bytes > active.capacity()) {
      RL_RETURN_IF_ERROR(
          AddGeneration(entry->lsn, std::max(generation_bytes_, Generation::BytesFor(bytes))));
    }
    RL_RETURN_IF_ERROR(InsertPayload(last_->generation, entry->end, entry->payload, false));
  }
}

void FreshOverlay::Finish(Lsn end) {
  constexpr auto kNow = std::memory_order_release;
  overlay_.Replace(first_, next_ - 1);
  replaced_ = true;
  CommitWords& commit = region_->commit;
  commit.catalogue_end.store(end.value, kNow);
  commit.catalogue.fetch_add(1, std::memory_order_acq_rel);
  region_->fold.admit.store(~uint64_t{0}, kNow);
  region_->fold.freeze.store(0, kNow);
  region_->fold.want_bytes.store(0, kNow);
  commit.history.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace

Status Store::RollBack(Lsn to) {
  if (log_ == nullptr) return Status(Code::kClosed, "the environment is closed");
  StoreRegion& region = *parts_->region;
  // A copy or a load under way rests on the history that it began in.
  BulkRole bulk(env_, region);
  RL_RETURN_IF_ERROR(bulk.Take(BulkRole::kPatienceNs));
  RL_RETURN_IF_ERROR(parts_->folder->LockRole());
  const auto roll_back = [&] {
    const uint64_t applied = region->fold.applied.load(std::memory_order_acquire);
    const uint64_t started = region->fold.started.load(std::memory_order_acquire);
    if (to.value < std::max(applied, started)) {
      return Status(Code::kTrimmed, "the base holds rows beyond this position already");
    }
    if (to > parts_->overlay->visible()) {
      return Status(Code::kInvalidArgument, "nothing has been committed up to this position");
    }
    FreshOverlay fresh(*parts_->overlay, region, parts_->options.generation_bytes);
    RL_RETURN_IF_ERROR(fresh.Fill(*log_, Lsn(applied), to));
    return log_->RollBack(to, &fresh);
  };
  const Status status = roll_back();
  parts_->folder->UnlockRole();
  region.Announce();
  parts_->folder->Wake();
  return status;
}

}  // namespace ringleader
