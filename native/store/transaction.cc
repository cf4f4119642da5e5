#include "store/transaction.h"

#include <utility>

#include "base/check.h"
#include "store/store.h"

namespace ringleader {

Result<std::unique_ptr<Transaction>> Transaction::Begin(Store& store, Isolation isolation,
                                                        uint64_t ticket) {
  std::unique_ptr<View> view = store.NewView();
  RL_RETURN_IF_ERROR(view->Renew());
  return BeginOn(std::move(view), isolation, ticket);
}

std::unique_ptr<Transaction> Transaction::BeginOn(std::shared_ptr<View> view, Isolation isolation,
                                                  uint64_t ticket) {
  std::unique_ptr<Transaction> transaction(new Transaction());
  transaction->Restart(std::move(view), isolation, ticket);
  return transaction;
}

void Transaction::Restart(std::shared_ptr<View> view, Isolation isolation, uint64_t ticket) {
  RL_DCHECK(view->held());
  view_ = std::move(view);
  isolation_ = isolation;
  ticket_ = ticket;
  writes_.Clear();
  reads_.Clear();
  payload_ = {};
}

Result<std::optional<Row>> Transaction::Get(Bytes row_key) {
  // Not recorded: what the transaction itself has written cannot be changed by others.
  if (const auto own = writes_.Find(row_key)) {
    if (own->removed) return std::optional<Row>();
    return std::optional<Row>(Row{Lsn(), own->value});
  }
  // A row that is not there is recorded too: somebody may put it.
  if (isolation_ == Isolation::kSerializable) reads_.AddKey(row_key);
  return view_->Get(row_key);
}

Status Transaction::Put(Bytes row_key, Bytes value) { return writes_.Put(row_key, value); }
Status Transaction::Remove(Bytes row_key) { return writes_.Remove(row_key); }

Result<std::unique_ptr<MergeCursor>> Transaction::OpenCursor() {
  return MergeCursor::Open(*view_, &writes_);
}

void Transaction::AddRange(Bytes low, Bytes high) {
  if (isolation_ == Isolation::kSerializable) reads_.AddRange(low, high);
}

Commit Transaction::PrepareCommit() {
  RL_CHECK(has_writes());
  Commit commit;
  commit.payload = writes_.EncodeInto(&payload_);
  commit.snapshot = view_->lsn();
  commit.history = view_->history();
  // Whoever has read nothing rests on nothing, and commits however long it took.
  if (!reads_.empty()) commit.reads = &reads_;
  commit.first_committer_wins = isolation_ == Isolation::kSnapshot;
  commit.ticket = ticket_;
  return commit;
}

}  // namespace ringleader
