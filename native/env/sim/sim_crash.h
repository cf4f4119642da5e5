// What a power cut may leave of a disk.
//
// The rules, each with the reason why nothing weaker and nothing stronger is simulated:
//
//   1. Bytes written since the last successful SyncData of the file may be there or not, each write
//      and each 512-byte sector of it independently. The kernel writes pages back when and in which
//      order it likes, and a disk may reorder what is in its cache; a sector is what it writes
//      whole.
//   2. A sector that survives holds everything written to it up to that write, earlier writes
//      included: it is copied out of the page cache, which never holds a later write alone.
//   3. The size moves through the values it had since the last SyncData, in order, and may stop at
//      any of them, without regard to the bytes: file systems journal sizes and not data. Where it
//      leads, the new bytes read as zero; where it lags, bytes beyond it are gone. Truncation and
//      reservation belong to the size.
//   4. SyncData makes bytes and size of one file durable, and not its name.
//   5. Names (create, mkdir, rename, remove) survive for certain only after SyncDirectory, a rename
//      between directories after that of both. Until then each may have happened or not; but a
//      rename is atomic, and an operation that survives brings along the earlier ones that concern
//      the same name or the same file. Without that a file could have two names or none, which no
//      file system with atomic rename permits. With `ordered_entries` they survive as a prefix, as
//      on ext4, whose journal keeps their order.
//   6. What has no name after the cut is gone, synced or not; a name whose removal or replacement
//      did not survive leads to the old inode with its old bytes.
//   7. After a failed SyncData everything that was dirty counts as clean: the kernel may have
//   dropped
//      the dirty marks, so a later SyncData that succeeds proves nothing about it. It may survive a
//      cut by chance. Reads go on seeing it. Rewriting a sector makes it dirty again, as a whole.
//      Sizes are metadata and stay pending: a later success makes them durable, over lost bytes.
//      After a failed SyncDirectory no later one makes the names durable that were pending, unless
//      by rule 5.
//   8. A write that a fault rule loses never reaches the disk, but by rule 2 a later write to the
//      same sector carries it along.
//
// Not simulated: stale blocks of other files showing through (data=writeback), and sectors that are
// unreadable after the cut (bit flips are a fault rule).
// Threads: none; the disk's mutex guards it.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "env/sim/sim_image.h"
#include "env/sim/sim_rng.h"

namespace ringleader {

struct CrashPolicy {
  enum class Keep : uint8_t { kNothing, kEverything, kRandom };

  Keep keep = Keep::kRandom;
  // Of kRandom: how likely each part survives; below 0 it is drawn from the seed, extremes
  // included.
  double probability = -1;
  // false: a write survives whole or not at all.
  bool torn_writes = true;
  bool ordered_entries = false;

  static CrashPolicy Nothing() { return {.keep = Keep::kNothing}; }
  static CrashPolicy Everything() { return {.keep = Keep::kEverything}; }
  static CrashPolicy Random(double probability = -1) { return {.probability = probability}; }
};

// Follows the operations of a disk and knows at each point what is certain and what is not.
class SimDurability {
 public:
  SimDurability() = default;
  // Everything in `image` is durable.
  explicit SimDurability(SimImage image) : durable_(std::move(image)) {}

  void Apply(const SimOpPointer& op);
  // The disk after a power cut right now.
  SimImage Crash(const CrashPolicy& policy, uint64_t seed) const;
  // Changes durable bytes in place, for simulated bit rot.
  SimContent* DurableContent(uint64_t inode);

 private:
  enum class Data : uint8_t { kDirty, kUncertain, kNever, kNone };
  struct PendingOp {
    SimOpPointer op;
    Data data;
    bool changes_size;
    uint64_t size_after;
  };
  struct PendingFile {
    std::vector<PendingOp> ops;
    uint64_t size = 0;  // as the page cache has it
  };
  struct PendingEntry {
    SimOpPointer op;
    bool needs_directory;
    bool needs_to_directory;
    bool uncertain = false;
  };
  class Choice;

  void ApplyFileOp(const SimOpPointer& op);
  void SyncFile(uint64_t inode);
  void SyncFileAfterLoss(SimNode* node, PendingFile* file);
  void GiveUp(const SimOp& failed);
  void SyncDirectory(uint64_t directory);
  void DropIfUnused(uint64_t inode);
  static void CrashFile(const PendingFile& file, Choice* choice, SimNode* node);
  void CrashEntries(bool ordered, Choice* choice, SimImage* image) const;

  SimImage durable_;
  std::map<uint64_t, PendingFile> files_;  // with operations since their last sync
  std::vector<PendingEntry> entries_;
};

}  // namespace ringleader
