// One generation of the overlay: the versions that a stretch of the log has written, in one piece
// of shared memory.
//
//   header | hash buckets | nodes and versions, only ever appended
//
// A node per row key, reachable through its hash bucket and through a skip list in row-key order.
// It heads a chain of versions, newest first, each with the LSN of its transaction. Nothing is ever
// moved, changed or freed: memory goes when the whole generation does, so readers need no locks.
// All links are offsets from the start, in units of 8 bytes.
//
// One writer at a time, the holder of the writer lock, in any process; any number of readers. The
// order of publication is: bytes, version, bottom link, bucket, upper links. A writer that dies in
// between leaves a generation that readers can use; the next one inserts the same operations again,
// and finds a node that is in the skip list but not yet in its bucket through the skip list.
//
// What a reader may see is bounded by its snapshot: versions above it are passed over.
//
// A death costs at most the memory of one insert until somebody calls Reclaim, the upper links of
// its node (which only serve speed) and one in the counts.
//
// Links come from shared memory: every one is checked to lie inside the generation before it is
// followed, and every length to stay inside it.
// Threads: Insert and Reclaim one at a time, everything else any.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"
#include "store/row.h"

namespace ringleader {

inline constexpr uint64_t kMinGenerationBytes = uint64_t{256} << 10;
inline constexpr uint64_t kMaxGenerationBytes = uint64_t{16} << 30;

// The outcome of looking for a row in one generation.
enum class Found : uint8_t {
  kNothing,  // no version at or below the snapshot: look in older places
  kValue,    // *row is filled in
  kRemoved,  // it was removed: row->version says when; look no further
  kDamaged,  // a link or length leads outside
};

namespace generation_format {
struct Header;
struct Node;
struct Version;
}  // namespace generation_format

class Generation {
 public:
  // Lays out an empty generation in zeroed memory, of which it touches the first pages and one
  // more: kMinGenerationBytes to kMaxGenerationBytes, at an address that is a multiple of 8.
  static void Format(MutableBytes memory, uint64_t sequence, uint64_t hash_seed);
  // Looks at one that somebody has formatted. kCorruption where the header does not hold together.
  // The memory must outlive the object.
  static Result<Generation> Attach(MutableBytes memory);

  // Most that one Insert of these sizes takes.
  static uint64_t InsertBytes(size_t row_key_bytes, uint64_t value_bytes);
  // Memory that a generation needs so that `insert_bytes` fit.
  static uint64_t BytesFor(uint64_t insert_bytes);

  uint64_t sequence() const;
  uint64_t hash_seed() const;
  // With the keys of the seed: for all generations of the environment.
  uint64_t Hash(Bytes row_key) const { return HashRowKey(row_key, hash_keys_); }
  uint64_t capacity() const;    // bytes for nodes and versions: the sum of InsertBytes that fits
  uint64_t used_bytes() const;  // of them
  uint64_t nodes() const;       // different row keys
  uint64_t versions() const;

  // Adds a version; `removes` makes it a tombstone, which has no value. The caller has made sure of
  // the room. Versions of one row come in order of their LSNs; one that equals the newest takes its
  // place for readers. kCorruption where the generation is damaged.
  Status Insert(Lsn lsn, Bytes row_key, uint64_t hash, bool removes, Bytes value);

  // The newest version at or below `at`.
  Found Find(Bytes row_key, uint64_t hash, Lsn at, Row* row) const;
  // The newest version of all, whatever the snapshot: for validation, which compares row->version.
  Found Newest(Bytes row_key, uint64_t hash, Row* row) const;

  // After a writer's death: what it had taken and not linked is free again. Walks everything. One
  // at a time with Insert.
  Status Reclaim();

  // A hint that a row of this hash will be looked for.
  void PrefetchBucket(uint64_t hash) const;

  // The same for many row keys, and for their places in the order. For who is about to insert them
  // under a lock; needs none.
  void FetchPlaces(std::span<const Bytes> row_keys) const;

  // Walks every node and version: kCorruption where a link leads outside, row keys or versions are
  // out of order, or a version does not lie above `above` and at or below `up_to`.
  Status Verify(Lsn above, Lsn up_to) const;

  // Walks the nodes in row-key order. Nodes inserted meanwhile may or may not be met; those that
  // were there at the start of the walk are.
  class Cursor {
   public:
    explicit Cursor(const Generation& generation);

    // The first node at or above / the last node strictly below; with an empty key the first / last
    // of all. False where there is none, or at damage.
    bool SeekAtLeast(Bytes row_key);
    bool SeekBelow(Bytes row_key);
    bool Next();
    bool Prev();

    bool valid() const { return node_ != 0; }
    bool damaged() const { return damaged_; }
    Bytes row_key() const;
    // The newest version at or below `at` of the node it stands on.
    Found Read(Lsn at, Row* row) const;

   private:
    bool Stand(uint32_t node);
    bool Damage();

    const Generation* generation_;
    uint32_t node_ = 0;
    bool damaged_ = false;
  };

 private:
  using Header = generation_format::Header;
  using Node = generation_format::Node;
  using Version = generation_format::Version;
  struct Target;
  struct Place;
  struct Lane;
  // What the skip list says of a row key.
  enum class Search : uint8_t { kFound, kAbsent, kDamaged };

  explicit Generation(MutableBytes memory);

  Header& header() const;
  std::atomic<uint64_t>& Bucket(uint64_t hash) const;
  std::atomic<uint32_t>& Link(uint32_t node, uint32_t level) const;
  // Null where it does not lie inside.
  Node* NodeAt(uint32_t offset) const;
  Version* VersionAt(uint32_t offset) const;
  // Empty where its length is wrong.
  Bytes RowKey(uint32_t node) const;
  Bytes ValueOf(const Version& version) const;
  void Prefetch(uint32_t offset) const;
  void PrefetchFree() const;
  void PrefetchBelow(uint32_t node, uint32_t level) const;

  bool FindInBucket(Bytes row_key, uint64_t hash, uint32_t* node) const;
  Search FindPlace(Bytes row_key, Place* place) const;
  bool FindLast(uint32_t* node) const;
  bool BeginSearch(Lane& lane) const;
  bool Advance(Lane& lane) const;
  Found ReadVersion(uint32_t node, uint64_t at, Row* row) const;
  Status VerifyVersions(uint32_t node, uint64_t above, uint64_t up_to) const;
  Status FindLinkedEnd(uint32_t* end) const;

  uint32_t FirstFree() const;
  bool Take(uint32_t free, uint64_t bytes);
  void CountInsert(bool node);
  Status AddVersion(uint32_t node, uint64_t lsn_and_kind, Bytes value);
  Status AddNode(Bytes row_key, uint64_t hash, uint64_t lsn_and_kind, Bytes value,
                 const Place& place);
  bool LinkIntoBucket(uint32_t node, uint64_t hash);
  Status Damaged(const char* what) const;

  // Taken from the header when it was checked: what is written there later moves no bounds.
  uint8_t* memory_;
  uint64_t sequence_;
  HashKeys hash_keys_;
  uint32_t buckets_;
  uint32_t head_;  // the node that every level begins at; units, like all that follow
  uint32_t end_;   // of the memory
};

}  // namespace ringleader
