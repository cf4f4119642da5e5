// A hash index over the rows of the base tree, in the memory of this process, that grows with what
// is looked up: from a row's key to the place of its node, past the levels of the tree.
//
// Why: a lookup in the tree spends its time on the first touch of one page per level, and nothing
// that is done inside the pages helps. Here it touches one cache line of the index and the row.
//
// An index belongs to one state of the base, that is, to one LMDB transaction. LMDB does not touch
// the pages of a state while a snapshot of it is held, so a place that was right once is right for
// every snapshot of that state. No snapshot of another state may use it: there the same place can
// hold a version of the row that has been replaced, with every checksum right (base_tree.cc sees to
// it). An index is never emptied or changed otherwise; a new state gets a new one.
//
// What is found proves itself as ever: the node is read with all its bounds checked, its key is
// compared whole, and the caller checks the row's checksum. So neither damage to the file nor a
// mix-up in here can make a wrong row of a place; whatever does not fit is looked for in the tree.
//
//   entry:   place of a node in the file, in units of 2 bytes: 39 bits | tag, of the hash: 25 bits
//   bucket:  eight entries, a cache line, filled from the front; 0 = free
//
// The first row that is found in a leaf brings the others along: one way through the tree serves
// the whole leaf. They are taken from a leaf that was checked whole and stands where its parents
// say, as a walk would (base_walk.h). Where the memory does not suffice for every row, a row comes
// alone, and takes the place of another where its bucket is full.
// Threads: any. Entries are single words, each true by itself; a lost one costs a lookup.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/bytes.h"
#include "store/base_page.h"
#include "store/base_walk.h"

namespace ringleader {

class BaseHashIndex {
 public:
  // For `rows` rows, at most `most_bytes` of memory, which are used as they are needed. Null where
  // that is too little to be worth anything, or where there is no memory.
  static std::shared_ptr<BaseHashIndex> Make(uint64_t rows, uint64_t most_bytes,
                                             const HashKeys& hash_keys);
  ~BaseHashIndex();
  BaseHashIndex(const BaseHashIndex&) = delete;
  BaseHashIndex& operator=(const BaseHashIndex&) = delete;

  // The node of a row key, its value aside where that is on overflow pages (ReadOverflow). False
  // where it is not known.
  bool Find(const BasePages& pages, Bytes row_key, uint64_t hash, BaseNode* node) const;
  // Takes in a row that has been found in the tree, and its leaf with it.
  void Learn(const BasePages& pages, const BaseLeaf& leaf, uint64_t hash);

  // For many lookups at once, to have their cache misses at the same time: all buckets first, then
  // all rows, then Find.
  void PrefetchBucket(uint64_t hash) const { __builtin_prefetch(&BucketOf(hash)); }
  void PrefetchRow(const BasePages& pages, uint64_t hash) const;

  uint64_t bytes() const { return buckets_ * sizeof(Bucket); }

 private:
  static constexpr size_t kEntries = 8;
  struct alignas(64) Bucket {
    std::atomic<uint64_t> entries[kEntries];
  };
  static_assert(sizeof(Bucket) == 64);

  BaseHashIndex(Bucket* memory, uint64_t buckets, bool whole, const HashKeys& hash_keys)
      : memory_(memory), buckets_(buckets), whole_(whole), hash_keys_(hash_keys) {}
  // The high half of the hash chooses the bucket, the low bits are the tag.
  Bucket& BucketOf(uint64_t hash) const { return memory_[(hash >> 32) * buckets_ >> 32]; }
  bool Holds(uint64_t hash, uint64_t place) const;
  void Add(uint64_t hash, uint64_t place, bool replace);

  Bucket* const memory_;
  const uint64_t buckets_;
  const bool whole_;  // there is room for every row
  const HashKeys hash_keys_;
};

// The one index of a process: that of the newest state that anybody here has read.
class CurrentHashIndex {
 public:
  explicit CurrentHashIndex(uint64_t most_bytes) : most_bytes_(most_bytes) {}  // 0: never one
  // Those that the caller's hashes are made with. Before the first Of.
  void SetHashKeys(const HashKeys& hash_keys) { hash_keys_ = hash_keys; }
  const HashKeys& hash_keys() const { return hash_keys_; }

  // The index of the state that LMDB's transaction of this number left, which has so many rows. The
  // caller, who holds a snapshot of it, has looked up `lookups` rows without one since it last
  // asked: the index is made when that has cost about as much as filling it will. Null until then,
  // and for a state older than the newest.
  std::shared_ptr<BaseHashIndex> Of(uint64_t transaction, uint64_t rows, uint64_t lookups);
  uint64_t bytes();

 private:
  const uint64_t most_bytes_;
  HashKeys hash_keys_{0};
  std::mutex mutex_;  // guards what follows
  uint64_t transaction_ = 0;
  uint64_t lookups_ = 0;
  std::shared_ptr<BaseHashIndex> index_;
};

}  // namespace ringleader
