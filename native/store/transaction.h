// An interactive transaction: a view, its own writes on top, and a record of what was read.
//
//   kSerializable  as if transactions ran one after the other; all reads are validated, gaps in
//                  ranges included
//   kSnapshot      reads are not validated; rows that were written must not have been written by
//                  anybody since (first committer wins). Allows write skew
//
// A transaction without writes is a consistent read: nothing is validated, nothing logged.
// Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "store/commit.h"
#include "store/merge_cursor.h"
#include "store/read_set.h"
#include "store/row.h"
#include "store/view.h"
#include "store/write_set.h"

namespace ringleader {

class Store;

enum class Isolation : uint8_t { kSerializable, kSnapshot };

class Transaction {
 public:
  // Takes its view. `ticket`: of a reservation, 0 = none.
  static Result<std::unique_ptr<Transaction>> Begin(Store& store, Isolation isolation,
                                                    uint64_t ticket);
  // On a view that is held; others may read from it too, and nobody renews it.
  static std::unique_ptr<Transaction> BeginOn(std::shared_ptr<View> view, Isolation isolation,
                                              uint64_t ticket);
  // The same in the memory of a transaction that has ended.
  void Restart(std::shared_ptr<View> view, Isolation isolation, uint64_t ticket);

  Lsn snapshot() const { return view_->lsn(); }
  // What it reads from, for what need not be recorded.
  View& view() { return *view_; }

  // Own writes first; what comes from the view is recorded. Valid until the next call.
  Result<std::optional<Row>> Get(Bytes row_key);
  // kTooLarge, without effect, where the row or the whole transaction would be over a limit.
  Status Put(Bytes row_key, Bytes value);
  Status Remove(Bytes row_key);

  // Walks over own writes and view. The range is recorded as the caller states it: call AddRange
  // with what has been looked at, also where the walk ended early.
  Result<std::unique_ptr<MergeCursor>> OpenCursor();
  void AddRange(Bytes low, Bytes high);

  bool has_writes() const { return !writes_.empty(); }
  // Fills in the commit of a transaction that has writes: payload, reads, snapshot. The transaction
  // must outlive it. Afterwards only Release and TakeView may be called.
  Commit PrepareCommit();
  // Ends the use of the view; what Prepare gave out stays valid.
  void Release() { view_.reset(); }
  // The same; the view is the caller's.
  std::shared_ptr<View> TakeView() { return std::move(view_); }

 private:
  Transaction() = default;

  Isolation isolation_ = Isolation::kSerializable;
  uint64_t ticket_ = 0;
  std::shared_ptr<View> view_;
  WriteSet writes_;
  ReadSet reads_;
  std::vector<uint8_t> payload_;  // of many writes
};

}  // namespace ringleader
