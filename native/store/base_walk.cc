#include "store/base_walk.h"

namespace ringleader {

bool BaseWalk::Fences(size_t level, Bytes* low, Bytes* high) const {
  *low = *high = {};
  BaseNode node;
  for (size_t i = level; i-- > 0;) {
    const Level& parent = levels_[i];
    if (low->empty() && parent.index > 0) {
      if (!parent.page.Node(*pages_, parent.index, &node)) return false;
      *low = node.key;
    }
    if (high->empty() && parent.index + 1 < parent.page.nodes()) {
      if (!parent.page.Node(*pages_, parent.index + 1, &node)) return false;
      *high = node.key;
    }
  }
  return true;
}

bool BaseWalk::CheckFences(const BasePage& page, bool leaf) {
  Bytes low, high;
  if (!Fences(height_, &low, &high)) return false;
  const size_t first = leaf ? 0 : 1;
  if (first >= page.nodes()) return true;
  BaseNode node;
  if (!page.Node(*pages_, first, &node)) return false;
  if (!low.empty() && CompareBaseKeys(kind_, low, node.key) > 0) return false;
  if (!page.Node(*pages_, page.nodes() - 1, &node)) return false;
  return high.empty() || CompareBaseKeys(kind_, node.key, high) < 0;
}

bool BaseWalk::Push(uint64_t number) {
  const bool leaf = height_ + 1u == root_->depth;
  Level& level = levels_[height_];
  if (!level.page.Load(*pages_, number, leaf) || !level.page.CheckAll(*pages_, kind_)) return false;
  if (!CheckFences(level.page, leaf)) return false;
  if (visit_ != nullptr && !(*visit_)(number, 1)) return false;
  (leaf ? leaf_pages_ : branch_pages_) += 1;
  level.index = 0;
  height_ += 1;
  return true;
}

bool BaseWalk::Descend(bool to_first) {
  if (height_ == 0 && !Push(root_->root)) return false;
  for (;;) {
    top().index = to_first ? 0 : top().page.nodes() - 1;
    if (height_ == root_->depth) return true;
    BaseNode link;
    if (!top().page.Node(*pages_, top().index, &link) || !Push(link.child)) return false;
  }
}

Step BaseWalk::Read() {
  if (!top().page.Node(*pages_, top().index, &node_)) return Step::kDamaged;
  if (!ReadOverflow(*pages_, &node_)) return Step::kDamaged;
  const bool big = node_.overflow_pages != 0;
  if (big && visit_ != nullptr && !(*visit_)(node_.child, node_.overflow_pages)) {
    return Step::kDamaged;
  }
  return Step::kAt;
}

Step BaseWalk::First() {
  height_ = 0;
  if (root_->depth == 0) return Step::kEnd;
  return Descend(true) ? Read() : Step::kDamaged;
}

Step BaseWalk::Last() {
  height_ = 0;
  if (root_->depth == 0) return Step::kEnd;
  return Descend(false) ? Read() : Step::kDamaged;
}

bool BaseWalk::InLeaf(Bytes key) const {
  if (height_ == 0 || height_ != root_->depth) return false;
  Bytes low, high;
  if (!Fences(height_ - 1, &low, &high)) return false;
  if (!low.empty() && CompareRowKeys(key, low) < 0) return false;
  return high.empty() || CompareRowKeys(key, high) < 0;
}

Step BaseWalk::SeekLeaf(Bytes key) {
  if (!InLeaf(key)) {
    height_ = 0;
    if (root_->depth == 0 || !Push(root_->root)) return Step::kDamaged;
    while (height_ < root_->depth) {
      BaseNode link;
      if (!top().page.Search(*pages_, key, &top().index)) return Step::kDamaged;
      if (!top().page.Node(*pages_, top().index, &link)) return Step::kDamaged;
      if (!Push(link.child)) return Step::kDamaged;
    }
  }
  return top().page.Search(*pages_, key, &top().index) ? Step::kAt : Step::kDamaged;
}

Step BaseWalk::SeekChange(Bytes key) {
  if (SeekLeaf(key) != Step::kAt) return Step::kDamaged;
  if (top().index >= top().page.nodes()) return Step::kAt;
  BaseNode node;
  if (!top().page.Node(*pages_, top().index, &node)) return Step::kDamaged;
  if (CompareRowKeys(node.key, key) != 0) return Step::kAt;
  return ReadOverflow(*pages_, &node) ? Step::kAt : Step::kDamaged;
}

Step BaseWalk::SeekAtLeast(Bytes key) {
  if (root_->depth == 0) return Step::kEnd;
  if (SeekLeaf(key) != Step::kAt) return Step::kDamaged;
  if (top().index < top().page.nodes()) return Read();
  const Step step = NextLeaf();
  return step == Step::kAt ? Read() : step;
}

// Up until there is a link to the right, over it, and down again along the left edge.
Step BaseWalk::NextLeaf() {
  size_t height = height_;
  while (height > 1 && levels_[height - 2].index + 1 >= levels_[height - 2].page.nodes()) {
    height -= 1;
  }
  if (height <= 1) return Step::kEnd;
  height_ = height - 1;
  top().index += 1;
  BaseNode link;
  if (!top().page.Node(*pages_, top().index, &link) || !Push(link.child)) return Step::kDamaged;
  return Descend(true) ? Step::kAt : Step::kDamaged;
}

Step BaseWalk::PrevLeaf() {
  size_t height = height_;
  while (height > 1 && levels_[height - 2].index == 0) height -= 1;
  if (height <= 1) return Step::kEnd;
  height_ = height - 1;
  top().index -= 1;
  BaseNode link;
  if (!top().page.Node(*pages_, top().index, &link) || !Push(link.child)) return Step::kDamaged;
  return Descend(false) ? Step::kAt : Step::kDamaged;
}

Step BaseWalk::Next() {
  if (top().index + 1 < top().page.nodes()) {
    top().index += 1;
    return Read();
  }
  const Step step = NextLeaf();
  if (step == Step::kEnd) top().index = top().page.nodes();
  return step == Step::kAt ? Read() : step;
}

Step BaseWalk::Prev() {
  if (top().index > 0) {
    top().index -= 1;
    return Read();
  }
  const Step step = PrevLeaf();
  return step == Step::kAt ? Read() : step;
}

std::optional<Bytes> FindQuickly(const BasePages& pages, const BaseRoot& root, Bytes key,
                                 BaseLeaf* leaf) {
  BasePage page;
  BaseNode beside;
  Bytes low, high;
  BaseNode node;
  size_t index = 0;
  uint64_t number = root.root;
  for (uint16_t level = 1; level <= root.depth; ++level) {
    if (!page.Load(pages, number, level == root.depth)) return std::nullopt;
    if (!page.Search(pages, key, &index) || !page.Node(pages, index, &node)) return std::nullopt;
    number = node.child;
    if (leaf == nullptr || level == root.depth) continue;
    if (index > 0) low = node.key;
    if (index + 1 < page.nodes()) {
      if (!page.Node(pages, index + 1, &beside)) return std::nullopt;
      high = beside.key;
    }
  }
  if (root.depth == 0 || CompareRowKeys(node.key, key) != 0) return std::nullopt;
  if (leaf != nullptr) *leaf = {page, index, low, high};
  if (!ReadOverflow(pages, &node)) return std::nullopt;
  return node.value;
}

}  // namespace ringleader
