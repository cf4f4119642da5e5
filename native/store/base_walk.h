// Walks one tree of the base file in the order of its keys, and believes none of it.
//
// Every page on the way is checked whole: each node inside its page, keys in order, no gap. A page
// must also stand where its parent says: its keys lie between the two keys beside the link that
// led to it. So a damaged link is followed at most to a page that then does not fit, and the depth
// of the tree bounds every walk. What is left is a page that is whole, of the right range and too
// old; only the row checksums and the stamp (base_rows.h) stand against that.
// Threads: one at a time. Cheap to copy.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "store/base_page.h"

namespace ringleader {

enum class Step : uint8_t {
  kAt,       // it stands on a node
  kEnd,      // there is no such node
  kDamaged,  // a page does not hold together; the walk is over
};

class BaseWalk {
 public:
  // Called with every run of pages that the walk goes through; false ends it as damaged.
  using Visit = std::function<bool(uint64_t first, uint64_t count)>;

  BaseWalk(const BasePages& pages, const BaseRoot& root, BaseKeys kind)
      : pages_(&pages), root_(&root), kind_(kind) {}

  Step First();
  Step Last();
  // For rows: the first node at or above `key`, or after the last.
  Step SeekAtLeast(Bytes key);
  // From a node; after kEnd only the way back is open.
  Step Next();
  Step Prev();

  // Goes to the leaf where a row belongs, unless it stands there, and checks what changing the row
  // would go through. kAt or kDamaged.
  Step SeekChange(Bytes key);
  // To the leaf beside this one.
  Step NextLeaf();
  Step PrevLeaf();

  // After kAt.
  const BaseNode& node() const { return node_; }

  void set_visit(const Visit* visit) { visit_ = visit; }
  uint64_t leaf_number() const { return levels_[height_ - 1].page.number(); }
  uint64_t branch_pages() const { return branch_pages_; }  // gone through so far
  uint64_t leaf_pages() const { return leaf_pages_; }

 private:
  struct Level {
    BasePage page;
    size_t index = 0;
  };

  Step SeekLeaf(Bytes key);
  bool Push(uint64_t number);
  bool Descend(bool to_first);
  bool CheckFences(const BasePage& page, bool leaf);
  // The keys beside the link to the page at `level`: empty where there is none. False at damage.
  bool Fences(size_t level, Bytes* low, Bytes* high) const;
  bool InLeaf(Bytes key) const;
  Step Read();
  Level& top() { return levels_[height_ - 1]; }

  const BasePages* pages_;
  const BaseRoot* root_;
  BaseKeys kind_;
  std::array<Level, kMaxBaseDepth> levels_;
  size_t height_ = 0;
  BaseNode node_;
  const Visit* visit_ = nullptr;
  uint64_t branch_pages_ = 0, leaf_pages_ = 0;
};

// Where a row has been found: its leaf, and the keys beside the links that led there, empty where
// there are none.
struct BaseLeaf {
  BasePage page;
  size_t index = 0;
  Bytes low, high;
};

// The value of a row, found on the shortest way and with no more checks than keep the memory safe:
// good for an answer that proves itself, no proof that a row is missing. Fills in `leaf` where one
// is given and the row was found.
std::optional<Bytes> FindQuickly(const BasePages& pages, const BaseRoot& root, Bytes key,
                                 BaseLeaf* leaf = nullptr);

}  // namespace ringleader
