// Many searches at once, to have in the cache what the writer section will look at.
//
// A search of the skip list waits for memory at nearly every step, and the steps of one search
// depend on each other. Those of several do not: while one waits, the others go on. (Chen,
// Ailamaki, Gibbons, Mowry: "Improving Hash Join Performance through Prefetching", ICDE 2004, does
// the same with the probes of a hash join.)
#include <algorithm>
#include <array>

#include "store/generation.h"
#include "store/generation_internal.h"

namespace ringleader {
namespace {

constexpr size_t kLanes = 16;
// A search in a sound list is longer than that only by the worst of luck.
constexpr int kMostTurns = 256;

}  // namespace

struct Generation::Lane {
  Bytes row_key;
  uint64_t hash = 0;
  Target target;
  uint32_t at = 0;
  uint32_t next = 0;
  uint32_t above = 0;  // known not to lie below the row key
  uint32_t level = 0;
};

// Whether a place has to be looked for: the row key has no node yet.
bool Generation::BeginSearch(Lane& lane) const {
  uint32_t found = 0;
  if (!FindInBucket(lane.row_key, lane.hash, &found)) return false;
  if (found != 0) {
    Prefetch(NodeAt(found)->newest.load(std::memory_order_acquire));
    return false;
  }
  lane.target = Target(lane.row_key);
  lane.at = head_;
  lane.level = generation_format::kMaxHeight - 1;
  lane.above = 0;
  lane.next = Link(head_, lane.level).load(std::memory_order_acquire);
  return true;
}

// Makes one comparison and fetches what the next one needs; false when there is none.
bool Generation::Advance(Lane& lane) const {
  if (lane.next != 0 && lane.next != lane.above) {
    const Node* node = NodeAt(lane.next);
    if (node == nullptr) return false;
    if (lane.target.CompareStart(*node) < 0) {
      lane.at = lane.next;
      lane.next = Link(lane.at, lane.level).load(std::memory_order_acquire);
      Prefetch(lane.next);
      return true;
    }
  }
  lane.above = lane.next;
  do {
    if (lane.level == 0) return false;
    --lane.level;
    lane.next = Link(lane.at, lane.level).load(std::memory_order_acquire);
  } while (lane.next == 0 || lane.next == lane.above);
  Prefetch(lane.next);
  return true;
}

void Generation::FetchPlaces(std::span<const Bytes> row_keys) const {
  std::array<Lane, kLanes> lanes;
  for (; !row_keys.empty(); row_keys = row_keys.subspan(std::min(kLanes, row_keys.size()))) {
    const size_t count = std::min(kLanes, row_keys.size());
    for (size_t i = 0; i < count; ++i) {
      lanes[i].row_key = row_keys[i];
      lanes[i].hash = Hash(row_keys[i]);
      PrefetchBucket(lanes[i].hash);
    }
    for (size_t i = 0; i < count; ++i) {
      Prefetch(
          generation_format::BucketHead(Bucket(lanes[i].hash).load(std::memory_order_acquire)));
    }
    size_t active = 0;
    for (size_t i = 0; i < count; ++i) {
      if (BeginSearch(lanes[i])) lanes[active++] = lanes[i];
    }
    for (int turn = 0; active > 0 && turn < kMostTurns; ++turn) {
      for (size_t i = 0; i < active;) {
        if (Advance(lanes[i])) {
          ++i;
        } else {
          lanes[i] = lanes[--active];
        }
      }
    }
  }
}

}  // namespace ringleader
