#include "store/base_hash_index.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/mutant.h"
#include "store/row.h"

namespace ringleader {
namespace {

constexpr uint64_t kTagBits = 25;
constexpr uint64_t kTagMask = (uint64_t{1} << kTagBits) - 1;
static_assert(kBaseMapBytes / 2 <= uint64_t{1} << (64 - kTagBits));

// Half of the entries stay free: of 100 rows, one finds its bucket full.
constexpr uint64_t kBytesPerRow = 16;
constexpr uint64_t kMinBytes = 4096;
constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
constexpr uint64_t kMaxBytes = uint64_t{64} << 30;  // the bucket is chosen by 32 bits

constexpr uint64_t kMinLookups = 4096;
constexpr uint64_t kRowsPerLookup = 16;

constexpr uint64_t kCacheLineBytes = 64;

uint64_t MakeEntry(uint64_t hash, uint64_t place) {
  return place / 2 << kTagBits | (hash & kTagMask);
}
bool Fits(uint64_t entry, uint64_t hash) { return ((entry ^ hash) & kTagMask) == 0; }
uint64_t PlaceOf(uint64_t entry) { return entry >> kTagBits << 1; }

// Most rows lie in three lines.
void PrefetchNode(const BasePages& pages, uint64_t place) {
  const uint8_t* const node = pages.map + place;
  for (uint64_t line = 0; line < 3; ++line) __builtin_prefetch(node + line * kCacheLineBytes);
}

// Every row of a leaf that this holds for has its place there, and nowhere else in the tree.
bool CheckLeaf(const BasePages& pages, const BaseLeaf& leaf) {
  if (!leaf.page.CheckAll(pages, BaseKeys::kRows)) return false;
  BaseNode first, last;
  if (!leaf.page.Node(pages, 0, &first)) return false;
  if (!leaf.page.Node(pages, leaf.page.nodes() - 1, &last)) return false;
  if (!leaf.low.empty() && CompareRowKeys(first.key, leaf.low) < 0) return false;
  return leaf.high.empty() || CompareRowKeys(last.key, leaf.high) < 0;
}

}  // namespace

std::shared_ptr<BaseHashIndex> BaseHashIndex::Make(uint64_t rows, uint64_t most_bytes,
                                                   const HashKeys& hash_keys) {
  const uint64_t most_rows = std::min(most_bytes, kMaxBytes) / kBytesPerRow;
  const bool whole = rows <= most_rows;
  uint64_t bytes = (whole ? rows : most_rows) * kBytesPerRow / kMinBytes * kMinBytes;
  if (most_bytes < kMinBytes) return nullptr;
  bytes = std::max(bytes, kMinBytes);
  // Private and zeroed. Huge pages spare a lookup the walk through the page table, where there are.
  const uint64_t align = bytes >= kHugePageBytes ? kHugePageBytes : 0;
  void* const map = mmap(nullptr, bytes + align, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  auto at = reinterpret_cast<uintptr_t>(map);
  if (align != 0) {
    const uintptr_t aligned = (at + align - 1) / align * align;
    if (aligned != at) munmap(map, aligned - at);
    if (aligned + bytes != at + bytes + align) {
      munmap(reinterpret_cast<void*>(aligned + bytes), at + align - aligned);
    }
    at = aligned;
    static_cast<void>(madvise(reinterpret_cast<void*>(at), bytes, MADV_HUGEPAGE));
  }
  // Entries are made of zeroed memory as they are: the buckets have no other state.
  return std::shared_ptr<BaseHashIndex>(
      new BaseHashIndex(reinterpret_cast<Bucket*>(at), bytes / sizeof(Bucket), whole, hash_keys));
}

BaseHashIndex::~BaseHashIndex() { munmap(memory_, bytes()); }

bool BaseHashIndex::Find(const BasePages& pages, Bytes row_key, uint64_t hash,
                         BaseNode* node) const {
  for (const auto& one : BucketOf(hash).entries) {
    // Relaxed, like everything here: an entry leads to bytes that nobody changes, not to memory
    // that another thread has written.
    const uint64_t entry = one.load(std::memory_order_relaxed);
    if (entry == 0) return false;
    if (!Fits(entry, hash)) continue;
    PrefetchNode(pages, PlaceOf(entry));
    if (!ReadLeafNode(pages, PlaceOf(entry), node)) continue;
    if (CompareRowKeys(node->key, row_key) == 0) return true;
  }
  return false;
}

void BaseHashIndex::PrefetchRow(const BasePages& pages, uint64_t hash) const {
  for (const auto& one : BucketOf(hash).entries) {
    const uint64_t entry = one.load(std::memory_order_relaxed);
    if (entry == 0) return;
    if (Fits(entry, hash)) return PrefetchNode(pages, PlaceOf(entry));
  }
}

bool BaseHashIndex::Holds(uint64_t hash, uint64_t place) const {
  const uint64_t wanted = MakeEntry(hash, place);
  return std::any_of(
      std::begin(BucketOf(hash).entries), std::end(BucketOf(hash).entries),
      [&](const auto& one) { return one.load(std::memory_order_relaxed) == wanted; });
}

// Two threads that take the same free entry, or replace the same one, leave one of the two.
void BaseHashIndex::Add(uint64_t hash, uint64_t place, bool replace) {
  const uint64_t wanted = MakeEntry(hash, place);
  Bucket& bucket = BucketOf(hash);
  for (auto& one : bucket.entries) {
    const uint64_t entry = one.load(std::memory_order_relaxed);
    if (entry == wanted) return;
    if (entry != 0) continue;
    one.store(wanted, std::memory_order_relaxed);
    return;
  }
  if (replace)
    bucket.entries[hash / (kTagMask + 1) % kEntries].store(wanted, std::memory_order_relaxed);
}

void BaseHashIndex::Learn(const BasePages& pages, const BaseLeaf& leaf, uint64_t hash) {
  Add(hash, leaf.page.Place(leaf.index), true);
  if (!whole_ || leaf.page.nodes() < 2) return;
  // A row whose bucket is full is met again and again; its leaf is not to be.
  BaseNode node;
  const size_t beside = leaf.index == 0 ? 1 : 0;
  if (!leaf.page.Node(pages, beside, &node)) return;
  if (Holds(HashRowKey(node.key, hash_keys_), leaf.page.Place(beside))) return;
  if (!CheckLeaf(pages, leaf)) return;
  for (size_t i = 0; i < leaf.page.nodes(); ++i) {
    if (!leaf.page.Node(pages, i, &node)) return;
    Add(HashRowKey(node.key, hash_keys_), leaf.page.Place(i), false);
  }
}

std::shared_ptr<BaseHashIndex> CurrentHashIndex::Of(uint64_t transaction, uint64_t rows,
                                                    uint64_t lookups) {
  if (most_bytes_ == 0) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (transaction < transaction_) return nullptr;
  if (transaction > transaction_ && !(RL_MUTANT(kKeepHashIndex) && index_ != nullptr)) {
    transaction_ = transaction;
    lookups_ = 0;
    index_.reset();
  }
  lookups_ += lookups;
  if (index_ == nullptr && lookups_ >= std::max(kMinLookups, rows / kRowsPerLookup)) {
    index_ = BaseHashIndex::Make(rows, most_bytes_, hash_keys_);
  }
  return index_;
}

uint64_t CurrentHashIndex::bytes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return index_ == nullptr ? 0 : index_->bytes();
}

}  // namespace ringleader
