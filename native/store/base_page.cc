#include "store/base_page.h"

#include <string>

#include "base/coding.h"

namespace ringleader {
namespace {

constexpr uint32_t kMagic = 0xbeefc0de;
constexpr uint32_t kVersion = 1;
constexpr uint64_t kNoPage = ~uint64_t{0};

constexpr uint16_t kBranchFlag = 1;
constexpr uint16_t kLeafFlag = 2;
constexpr uint16_t kOverflowFlag = 4;
constexpr uint16_t kMetaFlag = 8;

constexpr size_t kNodeHeaderBytes = 8;
constexpr uint16_t kBigValue = 1;

// Offsets in a meta page.
constexpr size_t kFreeRootAt = 40;
constexpr size_t kRowsRootAt = 88;
constexpr size_t kLastPageAt = 136;
constexpr size_t kTransactionAt = 144;
static_assert(kTransactionAt + 8 == kBaseMetaBytes);

constexpr size_t Even(size_t bytes) { return (bytes + 1) & ~size_t{1}; }

uint16_t PageFlags(const uint8_t* page) { return LoadLe<uint16_t>(page + 10); }

BaseRoot DecodeRoot(const uint8_t* at) {
  BaseRoot root;
  root.depth = LoadLe<uint16_t>(at + 6);
  root.branch_pages = LoadLe<uint64_t>(at + 8);
  root.leaf_pages = LoadLe<uint64_t>(at + 16);
  root.overflow_pages = LoadLe<uint64_t>(at + 24);
  root.entries = LoadLe<uint64_t>(at + 32);
  root.root = LoadLe<uint64_t>(at + 40);
  return root;
}

void EncodeRoot(const BaseRoot& root, uint8_t* at) {
  StoreLe(at + 6, root.depth);
  StoreLe(at + 8, root.branch_pages);
  StoreLe(at + 16, root.leaf_pages);
  StoreLe(at + 24, root.overflow_pages);
  StoreLe(at + 32, root.entries);
  StoreLe(at + 40, root.root);
}

// A node at an offset inside its page; false where it leads outside.
bool ReadNode(const uint8_t* page, uint32_t page_bytes, size_t at, bool leaf, BaseNode* node) {
  if (at + kNodeHeaderBytes > page_bytes) return false;
  const uint8_t* header = page + at;
  const size_t key_bytes = LoadLe<uint16_t>(header + 6);
  size_t room = page_bytes - at - kNodeHeaderBytes;
  if (key_bytes > room) return false;
  room -= key_bytes;
  node->key = Bytes(header + kNodeHeaderBytes, key_bytes);
  node->overflow_bytes = node->overflow_pages = 0;
  node->value = {};
  if (!leaf) {
    node->child = LoadLe<uint64_t>(header) & 0xffff'ffff'ffff;
    return true;
  }
  const uint64_t value_bytes = LoadLe<uint32_t>(header);
  const uint16_t flags = LoadLe<uint16_t>(header + 4);
  const uint8_t* value = header + kNodeHeaderBytes + key_bytes;
  node->child = 0;
  if (flags == 0) {
    if (value_bytes > room) return false;
    node->value = Bytes(value, value_bytes);
    return true;
  }
  if (flags != kBigValue || room < 8 || value_bytes == 0) return false;
  node->child = LoadLe<uint64_t>(value);
  node->overflow_bytes = value_bytes;
  node->overflow_pages = (kBasePageHeaderBytes + value_bytes - 1) / page_bytes + 1;
  return node->child != 0;
}

bool GoodRoot(const BaseRoot& root, uint64_t last_page) {
  if (root.depth == 0) return root.root == kNoPage && root.entries == 0;
  return root.depth <= kMaxBaseDepth && root.root >= kFirstBasePage && root.root <= last_page;
}

}  // namespace

Result<BaseMeta> DecodeBaseMeta(Bytes bytes, uint64_t number) {
  const std::string name = "meta page " + std::to_string(number) + " of the base tree";
  const Status damaged(Code::kCorruption, name + " is damaged");
  if (bytes.size() < kBaseMetaBytes) return damaged;
  const uint8_t* at = bytes.data();
  if (LoadLe<uint64_t>(at) != number || PageFlags(at) != kMetaFlag) return damaged;
  if (LoadLe<uint32_t>(at + 16) != kMagic) return damaged;
  const uint32_t version = LoadLe<uint32_t>(at + 20);
  if (version != kVersion) return damaged;
  BaseMeta meta;
  meta.page_bytes = LoadLe<uint32_t>(at + kFreeRootAt);
  meta.free = DecodeRoot(at + kFreeRootAt);
  meta.rows = DecodeRoot(at + kRowsRootAt);
  meta.last_page = LoadLe<uint64_t>(at + kLastPageAt);
  meta.transaction = LoadLe<uint64_t>(at + kTransactionAt);
  if (meta.page_bytes < kMinBasePageBytes || meta.page_bytes > kMaxBasePageBytes) return damaged;
  if ((meta.page_bytes & (meta.page_bytes - 1)) != 0) return damaged;
  if (meta.last_page < kFirstBasePage - 1) return damaged;
  if (meta.last_page >= kBaseMapBytes / meta.page_bytes) return damaged;
  if (!GoodRoot(meta.free, meta.last_page) || !GoodRoot(meta.rows, meta.last_page)) return damaged;
  // Keys that LMDB would compare in another order than ours.
  if (LoadLe<uint16_t>(at + kRowsRootAt + 4) != 0) return damaged;
  return meta;
}

void EncodeBaseMetas(const BaseMeta& meta, MutableBytes pages) {
  for (uint64_t number = 0; number < kFirstBasePage; ++number) {
    uint8_t* at = pages.data() + number * meta.page_bytes;
    EncodeRoot(meta.free, at + kFreeRootAt);
    EncodeRoot(meta.rows, at + kRowsRootAt);
    StoreLe(at + kLastPageAt, meta.last_page);
    const bool newest = (meta.transaction & 1) == number;
    StoreLe(at + kTransactionAt, newest ? meta.transaction : meta.transaction - 1);
  }
}

bool BaseMetasAgree(const BaseMeta& a, const BaseMeta& b) {
  const uint64_t apart =
      a.transaction > b.transaction ? a.transaction - b.transaction : b.transaction - a.transaction;
  return a.page_bytes == b.page_bytes && apart == 1;
}

int CompareBaseKeys(BaseKeys kind, Bytes a, Bytes b) {
  if (kind == BaseKeys::kRows) return CompareRowKeys(a, b);
  const uint64_t left = LoadLe<uint64_t>(a.data());
  const uint64_t right = LoadLe<uint64_t>(b.data());
  return left < right ? -1 : left > right ? 1 : 0;
}

bool ReadOverflow(const BasePages& pages, BaseNode* node) {
  if (node->child == 0) return true;
  if (!pages.Holds(node->child, node->overflow_pages)) return false;
  const uint8_t* page = pages.At(node->child);
  if (LoadLe<uint64_t>(page) != node->child || PageFlags(page) != kOverflowFlag) return false;
  if (LoadLe<uint32_t>(page + 12) != node->overflow_pages) return false;
  node->value = Bytes(page + kBasePageHeaderBytes, node->overflow_bytes);
  return true;
}

bool ReadLeafNode(const BasePages& pages, uint64_t place, BaseNode* node) {
  const uint64_t at = place & (pages.page_bytes - 1);
  if (place < kFirstBasePage * pages.page_bytes) return false;
  if (place - at >= pages.count * pages.page_bytes) return false;
  if (at < kBasePageHeaderBytes || at % 2 != 0) return false;
  return ReadNode(pages.map + place - at, pages.page_bytes, at, true, node);
}

bool BasePage::Load(const BasePages& pages, uint64_t number, bool leaf) {
  nodes_ = 0;
  if (!pages.Holds(number, 1)) return false;
  data_ = pages.At(number);
  number_ = number;
  page_bytes_ = pages.page_bytes;
  leaf_ = leaf;
  const uint16_t lower = LoadLe<uint16_t>(data_ + 12);
  const uint16_t upper = LoadLe<uint16_t>(data_ + 14);
  if (LoadLe<uint64_t>(data_) != number) return false;
  if (PageFlags(data_) != (leaf ? kLeafFlag : kBranchFlag)) return false;
  if (lower <= kBasePageHeaderBytes || lower % 2 != 0) return false;
  if (lower > upper || upper > pages.page_bytes) return false;
  nodes_ = static_cast<uint32_t>(lower - kBasePageHeaderBytes) / 2;
  return true;
}

bool BasePage::Node(const BasePages& pages, size_t index, BaseNode* node) const {
  if (index >= nodes_) return false;
  const size_t at = LoadLe<uint16_t>(data_ + kBasePageHeaderBytes + 2 * index);
  const size_t lowest = kBasePageHeaderBytes + 2 * nodes_;
  if (at < lowest || at % 2 != 0) return false;
  return ReadNode(data_, pages.page_bytes, at, leaf_, node);
}

uint64_t BasePage::Place(size_t index) const {
  return number_ * page_bytes_ + LoadLe<uint16_t>(data_ + kBasePageHeaderBytes + 2 * index);
}

bool BasePage::CheckAll(const BasePages& pages, BaseKeys kind) const {
  size_t filled = 0;
  BaseNode node;
  Bytes before;
  for (size_t i = 0; i < nodes_; ++i) {
    if (!Node(pages, i, &node)) return false;
    const size_t value = !leaf_ ? 0 : node.child != 0 ? 8 : node.value.size();
    filled += Even(kNodeHeaderBytes + node.key.size() + value);
    // The first key of a branch counts as below everything, whatever bytes are there.
    if (!leaf_ && i == 0) continue;
    if (kind == BaseKeys::kTransactions ? node.key.size() != 8 : node.key.empty()) return false;
    if (!before.empty() && CompareBaseKeys(kind, before, node.key) >= 0) return false;
    before = node.key;
  }
  return filled == pages.page_bytes - LoadLe<uint16_t>(data_ + 14);
}

bool BasePage::Search(const BasePages& pages, Bytes key, size_t* index) const {
  size_t low = leaf_ ? 0 : 1;
  size_t high = nodes_;
  BaseNode node;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (!Node(pages, middle, &node)) return false;
    const int order = CompareRowKeys(node.key, key);
    if (order == 0) {
      *index = middle;
      return true;
    }
    if (order < 0) low = middle + 1;
    if (order > 0) high = middle;
  }
  *index = leaf_ ? low : low - 1;
  return true;
}

}  // namespace ringleader
