// A snapshot of the whole store: every row as of one LSN.
//
// Taken in this order: the generations, a read transaction of the base, then the LSN. The base
// never holds anything newer than the log's visible end, so it holds nothing newer than the view;
// and what the view needs of the overlay it has mapped, whatever is folded and unlinked meanwhile.
// So every version at or below the LSN is in the generations or in the base.
//
// Renewing is cheap while the list of generations stands: one load of the visible end. A view that
// is held keeps old pages of the base from being used again and its generations in memory: hold it
// as long as it is needed, not longer.
// Threads: one at a time per view; any number of views. Rows that it hands out are valid until it
// is renewed, released or destroyed.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "base/status.h"
#include "base/types.h"
#include "store/base_tree.h"
#include "store/overlay.h"
#include "store/row.h"

namespace ringleader {

// How far a view of an environment that belongs to a group reaches.
enum class ReadLevel : uint8_t {
  kLocal,    // everything that is applied here; a new primary may take the newest of it back
  kDurable,  // what is committed, as far as this member knows: nothing can take it back
};

class View {
 public:
  // `limit`: where it never reaches beyond, wherever that is at the time; null = nowhere. Never
  // below what the base holds.
  View(Overlay& overlay, BaseTree& base, const std::atomic<uint64_t>* limit = nullptr);

  // Moves on to the newest state, or takes it where nothing is held. kBusy where the base has no
  // reader place left.
  Status Renew();
  // Lets go of everything; the next Renew takes it anew.
  void Release();

  bool held() const { return set_ != nullptr; }
  // It is held, and Renew would leave it as it is: whoever begins to read now may read from it.
  bool current() const;
  Lsn lsn() const { return lsn_; }  // every transaction that ends at or below is seen, no other
  uint64_t history() const { return history_; }  // roll-backs before the view was taken

  // nullopt where there is no such row. The view must be held.
  Result<std::optional<Row>> Get(Bytes row_key) { return Get(row_key, Hash(row_key)); }
  // The same, with the row key's hash, as Hash has it.
  Result<std::optional<Row>> Get(Bytes row_key, uint64_t hash);

  uint64_t Hash(Bytes row_key) const { return set_->active().Hash(row_key); }
  // Hints that rows will be asked for, to have the cache misses of many at the same time: first the
  // one for all of them, then the other, then Get.
  void Prefetch(uint64_t hash) const;
  void PrefetchRow(uint64_t hash) const { snapshot_->PrefetchRow(hash); }

  const GenerationSet& generations() const { return *set_; }
  BaseTree::Snapshot& base() { return *snapshot_; }

 private:
  Status TakeAnew();
  Status RenewBase();
  Lsn End() const;

  Overlay& overlay_;
  BaseTree& base_;
  const std::atomic<uint64_t>* const limit_;
  GenerationSetRef set_;
  std::unique_ptr<BaseTree::Snapshot> snapshot_;
  Lsn lsn_;
  uint64_t history_ = 0;
};

}  // namespace ringleader
