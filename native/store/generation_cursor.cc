#include "store/generation_internal.h"

namespace ringleader {

Generation::Cursor::Cursor(const Generation& generation) : generation_(&generation) {}

bool Generation::Cursor::Damage() {
  node_ = 0;
  damaged_ = true;
  return false;
}

// On a node that a link led to; 0 = there is none.
bool Generation::Cursor::Stand(uint32_t node) {
  node_ = 0;
  if (node == 0) return false;
  if (generation_->NodeAt(node) == nullptr || generation_->RowKey(node).empty()) return Damage();
  node_ = node;
  generation_->Prefetch(generation_->Link(node, 0).load(std::memory_order_acquire));
  return true;
}

bool Generation::Cursor::SeekAtLeast(Bytes row_key) {
  damaged_ = false;
  if (row_key.empty()) {
    return Stand(generation_->Link(generation_->head_, 0).load(std::memory_order_acquire));
  }
  Place place;
  if (generation_->FindPlace(row_key, &place) == Search::kDamaged) return Damage();
  return Stand(place.at_least[0]);
}

bool Generation::Cursor::SeekBelow(Bytes row_key) {
  damaged_ = false;
  if (row_key.empty()) {
    uint32_t last = 0;
    return generation_->FindLast(&last) ? Stand(last) : Damage();
  }
  Place place;
  if (generation_->FindPlace(row_key, &place) == Search::kDamaged) return Damage();
  return Stand(place.below[0] == generation_->head_ ? 0 : place.below[0]);
}

bool Generation::Cursor::Next() {
  if (node_ == 0) return false;
  const Bytes before = row_key();
  if (!Stand(generation_->Link(node_, 0).load(std::memory_order_acquire))) return false;
  // Links that were damaged may lead back, and a walk must end.
  return CompareRowKeys(before, row_key()) < 0 ? true : Damage();
}

// Nodes know their successors only: the one before is looked for from the top.
bool Generation::Cursor::Prev() { return node_ == 0 ? false : SeekBelow(row_key()); }

Bytes Generation::Cursor::row_key() const { return generation_->RowKey(node_); }

Found Generation::Cursor::Read(Lsn at, Row* row) const {
  return generation_->ReadVersion(node_, at.value, row);
}

}  // namespace ringleader
