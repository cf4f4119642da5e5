// The pages of the base tree's file, as LMDB 0.9.29 lays them out on 64-bit little-endian machines.
//
// LMDB follows whatever a page says: a damaged one makes it read outside the file, loop or abort.
// So rows are read here instead, with every number checked before it is used; LMDB keeps the pages
// of a snapshot from being used again meanwhile. Its source is pinned byte for byte
// (scripts/support/lmdb.mjs), and so is what it writes.
//
//   page:       number u64 | 0 u16 | flags u16 | lower u16 | upper u16 | node offsets u16 ... |
//   nodes overflow:   number u64 | 0 u16 | flags u16 | pages u32 | value ... leaf node:  value
//   bytes u32 | flags u16 | key bytes u16 | key | value, or its page number u64 branch:     page
//   number u48 | key bytes u16 | key meta:       number u64 | 0 u16 | flags u16 | 0 u32 | magic u32
//   | version u32 | address u64 |
//               map bytes u64 | root of the free pages | root of the rows | last page u64 |
//               transaction u64
//   root:       page bytes u32 | flags u16 | depth u16 | branch, leaf, overflow pages u64 | rows
//   u64 |
//               page number u64
//
// Nodes lie without gaps from `upper` to the end of their page, each at an even place.
// Threads: all functions are pure; the memory must stay as it is meanwhile.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/status.h"
#include "store/row.h"

namespace ringleader {

inline constexpr size_t kBasePageHeaderBytes = 16;
inline constexpr size_t kBaseMetaBytes = 152;
inline constexpr uint32_t kMinBasePageBytes = 4096;  // two of the longest row keys fit
inline constexpr uint32_t kMaxBasePageBytes = 32768;
// ThreadSanitizer leaves a process little more than a terabyte of address space.
#if defined(__SANITIZE_THREAD__)
#define RL_SMALL_MAPS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RL_SMALL_MAPS 1
#endif
#endif
#ifdef RL_SMALL_MAPS
inline constexpr uint64_t kBaseMapBytes = uint64_t{1} << 34;
#else
inline constexpr uint64_t kBaseMapBytes = uint64_t{1} << 40;
#endif
inline constexpr uint64_t kFirstBasePage = 2;  // after the two meta pages
inline constexpr uint16_t kMaxBaseDepth = 32;

// A tree in the file: the rows, or the lists of free pages by the transaction that freed them.
struct BaseRoot {
  uint64_t root = 0;
  uint16_t depth = 0;  // 0: the tree is empty
  uint64_t branch_pages = 0, leaf_pages = 0, overflow_pages = 0;
  uint64_t entries = 0;
};

// Where a snapshot begins. Carries no checksum: what it says is proved by the stamp (base_rows.h).
struct BaseMeta {
  uint32_t page_bytes = 0;
  uint64_t last_page = 0;
  uint64_t transaction = 0;
  BaseRoot free, rows;
};

// Reads meta page `number`, 0 or 1, from its first kBaseMetaBytes.
Result<BaseMeta> DecodeBaseMeta(Bytes bytes, uint64_t number);
// Rewrites both meta pages of a file so that they lead to the state of `meta`.
void EncodeBaseMetas(const BaseMeta& meta, MutableBytes pages);
// Whether they can be the two of one file: of consecutive transactions.
bool BaseMetasAgree(const BaseMeta& a, const BaseMeta& b);

// The pages that a snapshot may look at.
struct BasePages {
  const uint8_t* map = nullptr;
  uint32_t page_bytes = 0;
  uint64_t count = 0;  // pages below it lie inside the file

  bool Holds(uint64_t first, uint64_t pages) const {
    return first >= kFirstBasePage && first < count && pages <= count - first;
  }
  const uint8_t* At(uint64_t number) const { return map + number * page_bytes; }
};

struct BaseNode {
  Bytes key;
  uint64_t child = 0;           // branch: page below; leaf: first overflow page, or 0
  uint64_t overflow_bytes = 0;  // of the value, where it is there
  uint64_t overflow_pages = 0;
  Bytes value;  // leaf
};

// Fills in the value of a leaf's node that is on overflow pages; false where they are not its.
bool ReadOverflow(const BasePages& pages, BaseNode* node);

// The node of a leaf that lies at this place in the file (BasePage::Place). False where a leaf can
// have none there, or where it leads outside of its page. What is there need not be a node: only
// what the row says of itself can prove that.
bool ReadLeafNode(const BasePages& pages, uint64_t place, BaseNode* node);

enum class BaseKeys : uint8_t {
  kRows,          // byte strings
  kTransactions,  // u64, of the tree of free pages
};

// <0, 0, >0. Keys of kTransactions have 8 bytes.
int CompareBaseKeys(BaseKeys kind, Bytes a, Bytes b);

// A branch or leaf. Only what has been checked can be reached through it.
class BasePage {
 public:
  BasePage() = default;
  // False where that page is not of the wanted kind, or its header makes no sense.
  bool Load(const BasePages& pages, uint64_t number, bool leaf);
  // Checks every node, the order of the keys and that the nodes fill the page.
  bool CheckAll(const BasePages& pages, BaseKeys kind) const;

  size_t nodes() const { return nodes_; }
  uint64_t number() const { return number_; }
  // False where the node leads outside of its page. Touches no other page: see ReadOverflow.
  bool Node(const BasePages& pages, size_t index, BaseNode* node) const;
  // Where a node lies in the file, in bytes; Node has accepted it.
  uint64_t Place(size_t index) const;
  // For rows. The first node whose key is at or above `key`; in a branch, where the first key
  // counts as below everything, the node to go down through. False at damage.
  bool Search(const BasePages& pages, Bytes key, size_t* index) const;

 private:
  const uint8_t* data_ = nullptr;
  uint64_t number_ = 0;
  uint32_t page_bytes_ = 0;
  uint32_t nodes_ = 0;
  bool leaf_ = false;
};

}  // namespace ringleader
