#include "store/generation.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "store/generation_internal.h"

namespace ringleader {

using namespace generation_format;

namespace {

constexpr uint32_t kNodeUnits = sizeof(generation_format::Node) / kUnitBytes;

uint32_t HeaderCrc(const generation_format::Header& header) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  return MaskCrc(Crc32c({bytes, offsetof(generation_format::Header, crc)}));
}

}  // namespace

// --- the whole -----------------------------------------------------------------------------------

void Generation::Format(MutableBytes memory, uint64_t sequence, uint64_t hash_seed) {
  RL_CHECK(memory.size() >= kMinGenerationBytes && memory.size() <= kMaxGenerationBytes);
  RL_CHECK(reinterpret_cast<uintptr_t>(memory.data()) % kUnitBytes == 0);
  const Places places(memory.size());
  auto& header = *reinterpret_cast<Header*>(memory.data());
  header.magic = kMagic;
  header.version = kVersion;
  header.buckets = places.buckets;
  header.bytes = memory.size();
  header.sequence = sequence;
  header.hash_seed = hash_seed;
  header.crc = HeaderCrc(header);
  header.used.store(static_cast<uint32_t>(places.first_free / kUnitBytes),
                    std::memory_order_release);
  auto& head = *reinterpret_cast<Node*>(memory.data() + places.head);
  head.height = kMaxHeight;
}

Result<Generation> Generation::Attach(MutableBytes memory) {
  RL_CHECK(reinterpret_cast<uintptr_t>(memory.data()) % kUnitBytes == 0);
  if (memory.size() < kMinGenerationBytes || memory.size() > kMaxGenerationBytes) {
    return Status(Code::kCorruption,
                  "a generation cannot have " + std::to_string(memory.size()) + " bytes");
  }
  const auto& header = *reinterpret_cast<const Header*>(memory.data());
  if (header.magic != kMagic || header.crc != HeaderCrc(header)) {
    return Status(Code::kCorruption, "the header of a generation fails its checks");
  }
  if (header.version != kVersion) {
    return Status(Code::kNewerFormat, "a generation has format " + std::to_string(header.version));
  }
  if (header.bytes != memory.size() || header.buckets != Places(memory.size()).buckets) {
    return Status(Code::kCorruption, "a generation of " + std::to_string(header.bytes) +
                                         " bytes lies in " + std::to_string(memory.size()));
  }
  return Generation(memory);
}

Generation::Generation(MutableBytes memory)
    : memory_(memory.data()), sequence_(header().sequence), hash_keys_(header().hash_seed) {
  const Places places(memory.size());
  buckets_ = places.buckets;
  head_ = static_cast<uint32_t>(places.head / kUnitBytes);
  end_ = static_cast<uint32_t>(memory.size() / kUnitBytes);
}

uint64_t Generation::InsertBytes(size_t row_key_bytes, uint64_t value_bytes) {
  return kMaxTowerAndPaddingBytes + NodeBytes(row_key_bytes) + VersionBytes(value_bytes);
}

uint64_t Generation::BytesFor(uint64_t insert_bytes) {
  // Of 128 bytes, buckets take 8.
  const uint64_t fixed = sizeof(Header) + kMaxTowerBytes + sizeof(Node);
  const uint64_t payload = fixed + insert_bytes + 2 * kUnitBytes;
  const uint64_t bytes = RoundUp(payload + payload / 15 + kBytesPerBucket);
  return std::max(bytes, kMinGenerationBytes);
}

uint64_t Generation::sequence() const { return sequence_; }
uint64_t Generation::hash_seed() const { return header().hash_seed; }
uint64_t Generation::capacity() const { return (end_ - head_ - kNodeUnits) * kUnitBytes; }
uint64_t Generation::used_bytes() const {
  const uint32_t first = head_ + kNodeUnits;
  const uint32_t used = header().used.load(std::memory_order_acquire);
  return (std::clamp(used, first, end_) - first) * kUnitBytes;
}
uint64_t Generation::nodes() const { return header().nodes.load(std::memory_order_acquire); }
uint64_t Generation::versions() const { return header().versions.load(std::memory_order_acquire); }

Status Generation::Damaged(const char* what) const {
  return Status(Code::kCorruption,
                "generation " + std::to_string(sequence_) + " of the overlay is damaged: " + what);
}

// --- looking -------------------------------------------------------------------------------------

bool Generation::FindInBucket(Bytes row_key, uint64_t hash, uint32_t* found) const {
  const auto tag = static_cast<uint32_t>(hash);
  const uint64_t bucket = Bucket(hash).load(std::memory_order_acquire);
  *found = 0;
  const uint32_t bits = FilterBits(tag);
  if ((BucketFilter(bucket) & bits) != bits) return true;
  uint32_t offset = BucketHead(bucket);
  while (offset != 0) {
    const Node* node = NodeAt(offset);
    if (node == nullptr) return false;
    if (node->tag == tag && node->row_key_bytes == row_key.size()) {
      const Bytes here = RowKey(offset);
      if (here.empty()) return false;
      if (std::memcmp(here.data(), row_key.data(), row_key.size()) == 0) {
        *found = offset;
        return true;
      }
    }
    const uint32_t older = node->bucket_next.load(std::memory_order_acquire);
    if (older >= offset) return false;
    offset = older;
  }
  return true;
}

Generation::Search Generation::FindPlace(Bytes row_key, Place* place) const {
  const Target target(row_key);
  uint32_t steps = MostSteps(end_);
  uint32_t at = head_;
  uint32_t above = 0;  // known not to lie below the row key
  for (uint32_t level = kMaxHeight; level-- > 0;) {
    uint32_t next = Link(at, level).load(std::memory_order_acquire);
    PrefetchBelow(at, level);
    while (next != 0 && next != above) {
      const Node* node = NodeAt(next);
      if (node == nullptr || --steps == 0) return Search::kDamaged;
      int order = target.CompareStart(*node);
      if (order == 0) {
        const Bytes here = RowKey(next);
        if (here.empty()) return Search::kDamaged;
        order = CompareRowKeys(here, row_key);
        if (order == 0) place->found = next;
      }
      if (order >= 0) break;
      at = next;
      next = Link(at, level).load(std::memory_order_acquire);
      PrefetchBelow(at, level);
    }
    above = next;
    place->below[level] = at;
    place->at_least[level] = next;
  }
  return place->found != 0 ? Search::kFound : Search::kAbsent;
}

bool Generation::FindLast(uint32_t* last) const {
  uint32_t steps = MostSteps(end_);
  uint32_t at = head_;
  for (uint32_t level = kMaxHeight; level-- > 0;) {
    for (;;) {
      const uint32_t next = Link(at, level).load(std::memory_order_acquire);
      if (next == 0) break;
      if (NodeAt(next) == nullptr || --steps == 0) return false;
      at = next;
    }
  }
  *last = at == head_ ? 0 : at;
  return true;
}

Found Generation::ReadVersion(uint32_t node, uint64_t at, Row* row) const {
  uint32_t offset = NodeAt(node)->newest.load(std::memory_order_acquire);
  for (;;) {
    const Version* version = VersionAt(offset);
    if (version == nullptr) return Found::kDamaged;
    const uint64_t lsn = version->lsn_and_kind >> 1;
    if (lsn <= at) {
      row->version = Lsn(lsn);
      row->value = {};
      if ((version->lsn_and_kind & 1) != 0) return Found::kRemoved;
      const uint64_t room = (end_ - offset) * kUnitBytes - sizeof(Version);
      if (version->value_bytes > room) return Found::kDamaged;
      row->value = {reinterpret_cast<const uint8_t*>(version + 1), version->value_bytes};
      return Found::kValue;
    }
    if (version->older == 0) return Found::kNothing;
    if (version->older >= offset) return Found::kDamaged;
    offset = version->older;
  }
}

Found Generation::Find(Bytes row_key, uint64_t hash, Lsn at, Row* row) const {
  uint32_t node = 0;
  if (!FindInBucket(row_key, hash, &node)) return Found::kDamaged;
  return node == 0 ? Found::kNothing : ReadVersion(node, at.value, row);
}

void Generation::PrefetchBucket(uint64_t hash) const { __builtin_prefetch(&Bucket(hash)); }

Found Generation::Newest(Bytes row_key, uint64_t hash, Row* row) const {
  return Find(row_key, hash, Lsn(~uint64_t{0}), row);
}

// --- adding --------------------------------------------------------------------------------------

Status Generation::Insert(Lsn lsn, Bytes row_key, uint64_t hash, bool removes, Bytes value) {
  RL_CHECK(row_key.size() >= kMinRowKeyBytes && row_key.size() <= kMaxRowKeyBytes);
  RL_CHECK(value.size() <= (removes ? 0 : kMaxValueBytes) && lsn <= kMaxLsn);
  if (removes && RL_MUTANT(kSkipTombstone)) return Status::Ok();
  const uint64_t lsn_and_kind = lsn.value << 1 | (removes ? 1 : 0);

  PrefetchFree();
  uint32_t node = 0;
  if (!FindInBucket(row_key, hash, &node)) return Damaged("a bucket");
  if (node != 0) return AddVersion(node, lsn_and_kind, value);

  Place place;
  switch (FindPlace(row_key, &place)) {
    case Search::kDamaged:
      return Damaged("the skip list");
    case Search::kAbsent:
      return AddNode(row_key, hash, lsn_and_kind, value, place);
    case Search::kFound:
      break;
  }
  // A writer has died between the bottom link and the bucket. The version goes first: it may be
  // that what the dead one wrote is not what is written now.
  RL_RETURN_IF_ERROR(AddVersion(place.found, lsn_and_kind, value));
  return LinkIntoBucket(place.found, hash) ? Status::Ok() : Damaged("a bucket");
}

// Fetches what will be written, while the place for it is looked for.
void Generation::PrefetchFree() const {
  constexpr size_t kLines = 3;
  // Relaxed: a hint.
  const uint8_t* at = memory_ + header().used.load(std::memory_order_relaxed) * kUnitBytes;
  for (size_t i = 0; i < kLines; ++i) __builtin_prefetch(at + i * kCacheLineBytes, 1);
}

// 0 where what is written there cannot be.
uint32_t Generation::FirstFree() const {
  // Relaxed: only the holder of the writer lock stores it.
  const uint32_t free = header().used.load(std::memory_order_relaxed);
  return free < head_ + kNodeUnits || free > end_ ? 0 : free;
}

// Before anything is written there, so that a writer that dies leaves a hole and nothing that is in
// use is ever handed out again.
bool Generation::Take(uint32_t free, uint64_t bytes) {
  if (free == 0 || bytes / kUnitBytes > end_ - free) return false;
  header().used.store(static_cast<uint32_t>(free + bytes / kUnitBytes), std::memory_order_release);
  return true;
}

// Not one locked operation: it would wait for all the stores before it to reach the cache.
void Generation::CountInsert(bool node) {
  Header& counts = header();
  // Relaxed: only the holder of the writer lock stores them, and they are statistics.
  const uint64_t versions = counts.versions.load(std::memory_order_relaxed);
  counts.versions.store(versions + 1, std::memory_order_relaxed);
  if (!node) return;
  const uint64_t nodes = counts.nodes.load(std::memory_order_relaxed);
  counts.nodes.store(nodes + 1, std::memory_order_relaxed);
}

Status Generation::AddVersion(uint32_t node, uint64_t lsn_and_kind, Bytes value) {
  std::atomic<uint32_t>& newest = NodeAt(node)->newest;
  // Relaxed, like every load here of what only the holder of the writer lock stores.
  const uint32_t older = newest.load(std::memory_order_relaxed);
  const Version* before = VersionAt(older);
  if (before == nullptr) return Damaged("a version");
  if (before->lsn_and_kind >> 1 > lsn_and_kind >> 1) return Damaged("versions out of order");
  const uint32_t offset = FirstFree();
  if (offset <= older) return Damaged("a version behind the first free byte");
  if (!Take(offset, VersionBytes(value.size()))) return Damaged("no room for a version");
  if (RL_MUTANT(kPublishBeforeVersion)) newest.store(offset, std::memory_order_release);
  WriteVersion(memory_ + offset * kUnitBytes, lsn_and_kind, older, value);
  newest.store(offset, std::memory_order_release);
  CountInsert(false);
  return Status::Ok();
}

Status Generation::AddNode(Bytes row_key, uint64_t hash, uint64_t lsn_and_kind, Bytes value,
                           const Place& place) {
  const uint32_t height = HeightOf(hash);
  const uint64_t node_bytes = NodeBytes(row_key.size());
  const uint32_t free = FirstFree();
  const uint64_t front = TowerBytes(height) + PaddingBytes(free * kUnitBytes, TowerBytes(height));
  if (!Take(free, front + node_bytes + VersionBytes(value.size()))) {
    return Damaged("no room for a node");
  }
  const auto offset = static_cast<uint32_t>(free + front / kUnitBytes);
  const auto version = static_cast<uint32_t>(offset + node_bytes / kUnitBytes);
  std::atomic<uint64_t>& bucket = Bucket(hash);
  // Relaxed until it is published.
  const uint64_t chained = bucket.load(std::memory_order_relaxed);
  const uint32_t chain = BucketHead(chained);
  const auto tag = static_cast<uint32_t>(hash);
  if (chain >= offset) return Damaged("a bucket");

  WriteVersion(memory_ + version * kUnitBytes, lsn_and_kind, 0, value);
  Node* node = reinterpret_cast<Node*>(memory_ + offset * kUnitBytes);
  node->bucket_next.store(chain, std::memory_order_relaxed);
  node->newest.store(version, std::memory_order_relaxed);
  node->tag = tag;
  node->row_key_bytes = static_cast<uint16_t>(row_key.size());
  node->height = static_cast<uint8_t>(height);
  std::memcpy(reinterpret_cast<uint8_t*>(node) + offsetof(Node, row_key), row_key.data(),
              row_key.size());
  for (uint32_t level = 0; level < height; ++level) {
    Link(offset, level).store(place.at_least[level], std::memory_order_relaxed);
  }

  Link(place.below[0], 0).store(offset, std::memory_order_release);
  bucket.store(MakeBucket(offset, BucketFilter(chained) | FilterBits(tag)),
               std::memory_order_release);
  for (uint32_t level = 1; level < height; ++level) {
    Link(place.below[level], level).store(offset, std::memory_order_release);
  }
  CountInsert(true);
  return Status::Ok();
}

// Of a node that is in the skip list only: into its place in the order of age, so that the chain
// keeps falling whatever else has been inserted since.
bool Generation::LinkIntoBucket(uint32_t offset, uint64_t hash) {
  Node* const node = NodeAt(offset);
  std::atomic<uint64_t>& bucket = Bucket(hash);
  const uint64_t chained = bucket.load(std::memory_order_acquire);
  const uint32_t filter = BucketFilter(chained) | FilterBits(node->tag);
  uint32_t newer = BucketHead(chained);
  if (newer < offset) {
    node->bucket_next.store(newer, std::memory_order_release);
    bucket.store(MakeBucket(offset, filter), std::memory_order_release);
    return true;
  }
  // The filter goes first: a bit too many is harmless, one that is missing would hide the row.
  bucket.store(MakeBucket(newer, filter), std::memory_order_release);
  for (;;) {
    Node* const before = NodeAt(newer);
    if (before == nullptr || newer == offset) return false;
    const uint32_t older = before->bucket_next.load(std::memory_order_acquire);
    if (older >= newer) return false;
    if (older < offset) {
      node->bucket_next.store(older, std::memory_order_release);
      before->bucket_next.store(offset, std::memory_order_release);
      return true;
    }
    newer = older;
  }
}

}  // namespace ringleader
