// The shared memory of an environment's store: what all its processes see at once, beside the log's
// region and the generations themselves.
//
// Lives exactly as long as the log's region: made by whoever opens alone, removed by whoever closes
// last. Every word has one kind of writer (docs/CONCURRENCY.md).
//
// List of generations. `oldest`, `newest` and `ready` are sequence numbers; a generation's slot is
// its number modulo the number of slots. The holder of the writer lock moves `newest`, the holder
// of the fold role the other two. `epoch` changes after every change; who dies in between leaves it
// to the next holder of the same lock, which always changes it once more.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/status.h"
#include "env/env.h"
#include "env/shared_area.h"
#include "log/log_format.h"

namespace ringleader {

inline constexpr uint64_t kStoreRegionMagic = 0x3147455252545321;  // "!STRREG1"
inline constexpr uint32_t kStoreRegionVersion = 3;
inline constexpr size_t kStoreRegionBytes = 8192;
inline constexpr size_t kGenerationSlots = 32;
inline constexpr uint64_t kOpenEnd = ~uint64_t{0};

struct StoreHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t crc;  // masked, of everything else in the header
  Id128 environment_id;
  Id128 boot_id;
  uint64_t hash_seed;  // of all generations (HashKeys)
};

// Of one generation: written before the generation is reachable, `end` when it is frozen.
struct GenerationSlot {
  std::atomic<uint64_t> bytes;
  std::atomic<uint64_t> start;  // LSN: its versions are at or above
  std::atomic<uint64_t> end;    // LSN: and below; kOpenEnd until it is frozen
  std::atomic<uint32_t> in_file;
};

struct alignas(64) GenerationList {
  std::atomic<uint64_t> epoch;
  std::atomic<uint64_t> oldest;
  std::atomic<uint64_t> newest;  // the active one
  std::atomic<uint64_t> ready;   // newest, or newest + 1 where the next one exists
  GenerationSlot slots[kGenerationSlots];
};

// Written by the holder of the writer lock.
struct alignas(64) CommitWords {
  // Changes with every transaction that writes rows of database 0, and with every roll-back; never
  // comes back to a value it has had.
  std::atomic<uint64_t> catalogue;
  std::atomic<uint64_t> catalogue_end;  // LSN: a view that reaches as far sees that state
  // Roll-backs, counted twice: odd while the words around it are of two histories.
  std::atomic<uint64_t> history;
  std::atomic<uint64_t> commits;
  std::atomic<uint64_t> conflicts;
};

// Written by the holder of the fold role, but for the requests.
struct alignas(64) FoldWords {
  RobustMutex role;
  std::atomic<uint64_t> applied;  // LSN: the base holds everything below
  // The oldest generation is being folded: nothing below its end can be rolled back any more.
  std::atomic<uint64_t> started;  // LSN
  // Bytes up to which the active generation may be filled now; rises while the fold progresses, so
  // that writers slow down bit by bit instead of stopping.
  std::atomic<uint64_t> admit;
  std::atomic<uint64_t> folds;
  std::atomic<uint64_t> rows;
  std::atomic<uint64_t> ns;
  alignas(64) std::atomic<uint64_t> limit;  // LSN, set by the caller: never folded beyond
  std::atomic<uint64_t> freeze;  // request: freeze the active generation if it began below this LSN
  std::atomic<uint64_t> want_bytes;  // request: the next generation has to hold this much
  std::atomic<uint64_t> held_up;     // commits that had to wait for room
  std::atomic<uint64_t> max_frozen;  // set at creation
  std::atomic<uint64_t> dropped;     // not 0: the base may have rows of dropped databases
  std::atomic<int32_t> failed;       // errno of the last fold, 0 = it went well
};

// First come, first served (reservation.h).
struct alignas(64) ReservationWords {
  std::atomic<uint64_t> next;         // tickets drawn
  std::atomic<uint64_t> serving;      // tickets that are done with; equal to `next`: nobody's turn
  std::atomic<uint64_t> deadline_ns;  // when the turn under way ends by itself
};

// Wakes whoever waits for room, a turn, or work to fold.
struct alignas(64) StoreProgress {
  std::atomic<uint32_t> sequence;
  std::atomic<uint32_t> waiters;
};

struct StoreLayout {
  StoreHeader header;
  GenerationList list;
  CommitWords commit;
  FoldWords fold;
  ReservationWords reservation;
  StoreProgress progress;
  RobustMutex bulk_role;
};
static_assert(sizeof(StoreLayout) <= kStoreRegionBytes);

class StoreRegion {
 public:
  // Replaces any earlier one; alone only.
  static Result<std::unique_ptr<StoreRegion>> Create(Env& env, const SharedAreas& areas,
                                                     const Id128& environment_id);
  // kNotFound, or kCorruption where the header fails its checks.
  static Result<std::unique_ptr<StoreRegion>> Attach(Env& env, const SharedAreas& areas,
                                                     const Id128& environment_id);
  static Status Remove(const SharedAreas& areas);

  StoreLayout& operator*() { return *layout_; }
  StoreLayout* operator->() { return layout_; }

  GenerationSlot& slot(uint64_t sequence) {
    return layout_->list.slots[sequence % kGenerationSlots];
  }

  // Tells waiters to look again.
  void Announce();
  uint32_t ProgressSequence() const {
    return layout_->progress.sequence.load(std::memory_order_acquire);
  }
  // Sleeps until the next Announce after `sequence` was read, or the time limit.
  void AwaitProgress(uint32_t sequence, uint64_t timeout_ns);

 private:
  StoreRegion(Env& env, SharedArea area);

  Env& env_;
  SharedArea area_;
  StoreLayout* layout_;
};

}  // namespace ringleader
