// The overlay: the generations that are in memory now, as one process has mapped them.
//
// The list stands in the store's region: oldest, newest (the active one), and whether the one after
// it is ready. Whoever folds makes generations and retires them; a writer that finds the active one
// full moves on to the one that is ready. Every change ends with a new epoch.
//
// Each generation is shared memory of its own. Retiring one removes its name; its memory goes when
// the last process that has it mapped lets go. That is the whole protocol between readers and the
// fold: a reader that holds a set has what it needs for as long as it holds it.
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "env/shared_area.h"
#include "store/generation.h"
#include "store/store_region.h"

namespace ringleader {

// A generation and the memory it lies in.
struct MappedGeneration {
  SharedArea area;
  Generation generation;
};

struct GenerationSet {
  uint64_t epoch = 0;
  // Oldest first; the last one is the active one.
  std::vector<std::shared_ptr<MappedGeneration>> list;
  std::shared_ptr<MappedGeneration> ready;  // the one after it, where there is one

  Generation& active() const { return list.back()->generation; }
};
using GenerationSetRef = std::shared_ptr<const GenerationSet>;

class Overlay {
 public:
  Overlay(Env& env, SharedAreas areas, StoreRegion& region);

  // kUnsupported in a child of fork: neither the locks nor the threads of its parent are its own.
  Status CheckProcess() const;
  // The generations of now. Cheap while the list stands.
  Result<GenerationSetRef> Current();
  uint64_t epoch() const { return region_->list.epoch.load(std::memory_order_acquire); }
  // Of commits: odd while a roll-back is switching from one history to the next.
  uint64_t history() const { return region_->commit.history.load(std::memory_order_acquire); }
  // Set once, before anybody else has the object: the log's visible end.
  void ReadVisibleFrom(const std::atomic<uint64_t>* visible) { visible_ = visible; }
  // The end of what may be read.
  Lsn visible() const { return Lsn(visible_->load(std::memory_order_acquire)); }

  // Alone, in a new region: the first generation, active, for what is appended from `start` on.
  Status Start(Lsn start, uint64_t bytes);
  // Holder of the fold role, or alone: makes the generation after the newest one, of `bytes` of
  // memory, where there is none. kBusy where all slots are in use.
  Status Prepare(uint64_t bytes, AreaPlace place = AreaPlace::kMemory);
  // Holder of the fold role: the oldest one leaves the list, and its name goes.
  Status RetireOldest();
  // The next holder of the fold role after a death: finishes a retirement that had begun.
  void MendRetirement();
  // Alone: removes the names of generations that an abandoned region may still have, and those in
  // the environment's directory, which may be of another boot.
  static void RemoveLeftovers(Env& env, const std::string& directory, const SharedAreas& areas,
                              const Id128& environment_id);
  // Alone, at the end: removes all names.
  void RemoveAll();

  // For a roll-back, whose new history has generations of its own (store_rollback.cc).
  // Holder of the fold role: makes one that is in no list yet. kBusy where its slot is in use.
  Result<std::shared_ptr<MappedGeneration>> MakeUnlisted(uint64_t sequence, Lsn start,
                                                         uint64_t bytes);
  // Holder of the writer lock too: these are all there are.
  void Replace(uint64_t first, uint64_t last);
  // Removes the names of those two and all between.
  void RemoveNames(uint64_t first, uint64_t last);
  // Set once, before anybody else has the object: returns when no roll-back is under way, or fails
  // where one was cut short.
  void AwaitRollBacksWith(std::function<Status()> await) { await_roll_back_ = std::move(await); }
  Status AwaitRollBack() const { return await_roll_back_(); }

  // Holder of the writer lock: the generation that is ready becomes the active one, and what is
  // appended at or above `at` goes there. False where none is ready.
  bool Rotate(Lsn at);
  // The same at the visible end, while nothing waits to be published. Not at the end of the log: a
  // transaction of several records whose writer died half-way lies in between, and never happened.
  bool Rotate() { return Rotate(visible()); }
  // Holder of the writer lock after a writer's death: whatever it was changing has changed.
  void MendRotation();

 private:
  Status Make(uint64_t sequence, Lsn start, uint64_t bytes, AreaPlace place = AreaPlace::kMemory);
  Result<std::shared_ptr<MappedGeneration>> Map(uint64_t sequence);
  void NextEpoch() { region_->list.epoch.fetch_add(1, std::memory_order_acq_rel); }

  Env& env_;
  const SharedAreas areas_;
  StoreRegion& region_;
  const uint32_t process_;
  const std::atomic<uint64_t>* visible_ = nullptr;
  std::function<Status()> await_roll_back_;
  std::mutex mutex_;  // guards set_
  GenerationSetRef set_;
};

}  // namespace ringleader
