// The fold: moves frozen generations into the base tree, oldest first.
//
// One process folds at a time, whoever holds the fold role; every process has a thread that looks
// when it is woken and a few times a second. A fold goes through the generation in row-key order
// and writes the newest version of each row, in sub-transactions of at most 50,000 rows that are
// fully synced one by one; the last one sets the applied LSN. A death in between costs nothing: the
// next holder starts that generation again, and doing it twice is doing it once.
//
// A generation is folded only when the log is flushed beyond its end, and the caller's limit (the
// group's commit point) has passed it: so the base never holds anything that power loss or a new
// primary could take back.
//
// Back-pressure. Writers may fill the active generation up to `admit`, which rises while the fold
// progresses: they slow down to the pace of the fold instead of stopping for the length of one.
// What only the limit keeps out of the base holds nobody up: a primary whose group does not commit
// goes on, with more and larger generations, in files.
//
// Size of generations. The next one is twice as large as the last when that one filled up quickly,
// and half as large when it had to be frozen unfilled; so a quiet environment keeps little memory
// and a busy one folds in large sorted batches.
//
// Rows of dropped databases are removed from the base bit by bit when nothing else is to do.
// Threads: Start and Stop once; everything else any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/status.h"
#include "env/env.h"
#include "log/log.h"
#include "store/base_tree.h"
#include "store/overlay.h"
#include "store/store_region.h"

namespace ringleader {

// The consumer that holds the log back for the base.
inline constexpr char kBaseConsumer[] = "base";
// The one that does for a backup while it is made.
inline constexpr char kBackupConsumer[] = "backup";
inline constexpr uint64_t kFirstGenerationBytes = uint64_t{8} << 20;

struct FolderOptions {
  uint64_t generation_bytes = 0;  // of the largest one that is not made for a single transaction
  uint64_t fold_interval_ns = 0;
};

// The size of a generation after one of `last` bytes while the caller's limit keeps all of them out
// of the base: the slots are few, so they grow, up to what a file of 4 GiB holds.
uint64_t HeldBackBytes(uint64_t last);

class Folder {
 public:
  Folder(Env& env, Log& log, Overlay& overlay, BaseTree& base, StoreRegion& region,
         const FolderOptions& options);
  ~Folder();

  // Starts and ends the thread.
  void Start();
  void Stop();
  // There may be something to do.
  void Wake();

  // Does what is due, in the calling thread, if nobody else is at it: at most one generation. True
  // where it did something.
  Result<bool> Tick();
  // Alone or holder of the role: folds the oldest generation, which is frozen.
  Status FoldOldest();
  // Waits for the role, for who wants the base and the list to stay as they are.
  Status LockRole();
  void UnlockRole() { env_.threads.Unlock(region_->fold.role); }
  // Freezes what the overlay holds now and returns when all of it is in the base.
  Status FoldAll(uint64_t timeout_ns);

  uint64_t failures() const { return failures_.load(std::memory_order_acquire); }
  std::string last_failure() const;

 private:
  Status TakeRole(bool* taken);
  Status MendRole();
  Result<bool> TickHolding();
  Status MakeReady();
  bool FoldAllowed(uint64_t end) const;
  bool HeldByLimit(Lsn target) const;
  uint64_t FrozenAllowed(uint64_t oldest, uint64_t newest);
  bool FreezeDue(uint64_t newest);
  Status Freeze();
  Status WriteRows(const Generation& generation, Lsn end);
  Result<bool> RemoveDropped();
  Result<bool> RemoveDroppedHolding();
  Status ForgetDeadBackup();
  void SetAdmit(double oldest_left);
  void Note(const Status& status);
  void Loop();

  Env& env_;
  Log& log_;
  Overlay& overlay_;
  BaseTree& base_;
  StoreRegion& region_;
  const FolderOptions options_;
  std::unique_ptr<Thread> thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint32_t> bell_{0};
  std::atomic<uint64_t> failures_{0};
  mutable std::mutex note_mutex_;
  std::string last_failure_;
  // Of the active generation, as this process has seen it.
  uint64_t seen_newest_ = 0;
  uint64_t seen_since_ns_ = 0;
  uint64_t readers_checked_ns_ = 0;
  // What the list of the dropped had nothing to do for.
  struct Looked {
    uint64_t applied = 0, catalogue = 0, history = 0;
    bool operator==(const Looked&) const = default;
  };
  Looked looked_;
};

}  // namespace ringleader
