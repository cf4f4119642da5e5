// Cursors of the base tree: a walk, with the checks of rows on top.
#include "store/base_tree.h"

namespace ringleader {

Result<std::unique_ptr<BaseTree::Cursor>> BaseTree::Cursor::Open(Snapshot& snapshot) {
  RL_CHECK(snapshot.held());
  return std::unique_ptr<Cursor>(new Cursor(snapshot.view_));
}

BaseTree::Cursor::~Cursor() = default;

Status BaseTree::Cursor::Take(Step step) {
  valid_ = false;
  row_key_ = {};
  if (step == Step::kDamaged) return BaseDamage("a page does not hold together");
  if (step == Step::kEnd) return Status::Ok();
  const BaseNode& node = walk_.node();
  if (node.key.size() < kRowPrefixBytes) return BaseDamage("a row key is too short");
  if (LoadRowPrefix(node.key) == kBaseNotesId) return Status::Ok();
  RL_RETURN_IF_ERROR(DecodeBaseRow(node.key, node.value, &row_));
  row_key_ = node.key;
  valid_ = true;
  return Status::Ok();
}

Status BaseTree::Cursor::SeekAtLeast(Bytes row_key) {
  return Take(row_key.empty() ? walk_.First() : SeekBaseRow(&walk_, row_key));
}

Status BaseTree::Cursor::SeekBelow(Bytes row_key) {
  uint8_t notes[kRowPrefixBytes];
  StoreRowPrefix(notes, kBaseNotesId);
  if (row_key.empty() || CompareRowKeys(row_key, notes) > 0) row_key = notes;
  const Step step = SeekBaseRow(&walk_, row_key);
  if (step == Step::kDamaged) return Take(step);
  return Take(step == Step::kAt ? walk_.Prev() : walk_.Last());
}

Status BaseTree::Cursor::Next() {
  RL_CHECK(valid_);
  return Take(walk_.Next());
}

Status BaseTree::Cursor::Prev() {
  RL_CHECK(valid_);
  return Take(walk_.Prev());
}

}  // namespace ringleader
