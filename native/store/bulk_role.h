// The right to put rows into the base beside the fold, to remove rows of dropped databases, or to
// rely on neither being done: one holder at a time over all processes. Held by a bulk load, by a
// backup, and for moments by the fold while it removes rows.
#pragma once

#include "base/status.h"
#include "env/env.h"
#include "store/store_region.h"

namespace ringleader {

class BulkRole {
 public:
  static constexpr uint64_t kPatienceNs = 10'000'000'000;

  BulkRole(Env& env, StoreRegion& region) : env_(env), region_(region) {}
  ~BulkRole() {
    if (held_) env_.threads.Unlock(region_->bulk_role);
  }
  BulkRole(const BulkRole&) = delete;
  BulkRole& operator=(const BulkRole&) = delete;

  // Returns once this thread has it; kBusy where others keep it for longer than that.
  Status Take(uint64_t patience_ns) {
    const uint64_t began = env_.clock.MonotonicNanos();
    for (;;) {
      const uint32_t sequence = region_.ProgressSequence();
      switch (env_.threads.TryLock(region_->bulk_role)) {
        case LockResult::kLocked:
        case LockResult::kOwnerDied:  // what it has left behind is noted in base and log
          held_ = true;
          return Status::Ok();
        case LockResult::kBroken:
          return Status(Code::kCorruption, "shared memory is damaged: the bulk role");
        case LockResult::kBusy:
          break;
      }
      if (env_.clock.MonotonicNanos() - began >= patience_ns) {
        return Status(Code::kBusy, "a bulk load or a backup is under way");
      }
      region_.AwaitProgress(sequence, kLookAgainNs);
    }
  }

 private:
  static constexpr uint64_t kLookAgainNs = 10'000'000;

  Env& env_;
  StoreRegion& region_;
  bool held_ = false;
};

}  // namespace ringleader
