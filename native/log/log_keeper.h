// Keeps the log's house: segments made ready ahead of the writers, segments that nobody needs
// recycled, the control page saved, closed segments copied to the archive.
//
// One keeper works at a time over all processes, under the keeper role; whoever finds the role free
// does what is due. Every process has a thread that looks once a second and when the flusher has
// crossed into a new segment; an appender that finds no room does the most urgent part itself.
//
// The durable mark. The control page says up to where the log is known to be flushed. It is saved
// about once a second, before any segment is recycled, and at close. Recovery refuses a log that
// ends below it: what was flushed once and is gone is damage, not a torn tail.
// Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "log/control_file.h"
#include "log/log_flusher.h"
#include "log/log_region.h"
#include "log/retention.h"
#include "log/segment_files.h"

namespace ringleader {

inline constexpr uint64_t kControlSaveIntervalNs = 1'000'000'000;
// The consumer that stands for the archive: what it has not copied stays, whichever processes run.
inline constexpr char kArchiveConsumer[] = "archive";

class LogKeeper {
 public:
  // `archive`: a directory for closed segments, or empty.
  LogKeeper(Env& env, LogRegion& region, const SegmentFiles& files, LogFlusher& flusher,
            ControlFile control, std::string archive, uint32_t segments_ahead);

  // Returns once the segments below `end` exist. kNoSpace where the disk is full; asked again, the
  // disk is tried again at most ten times a second.
  Status EnsurePrepared(Lsn end);
  // Does whatever is due. Returns at once where another thread is at it.
  Status Tick();
  // Makes the archive a consumer, where there is one to write.
  Status StartArchive();
  // Copies one closed segment to the archive; false where none is due.
  Result<bool> ArchiveOne();

  // Consumers; Put and Remove are on disk when they return.
  Status PutConsumer(const Consumer& consumer);
  Status RemoveConsumer(const std::string& name);
  Retention& retention() { return retention_; }

  // Saves positions and consumers. `clean`: nobody is attached any more, everything is flushed.
  Status Save(bool clean);

  // For a roll-back, which holds all roles. The first says on disk that it is under way, the second
  // that the log ends at `end`; the third removes what the archive has of the discarded history.
  Status SaveRollBack(Lsn to);
  Status EndRollBack(Lsn end);
  Status DropArchived();

 private:
  Status LockRole();
  void UnlockRole();
  LockResult TryLockRole();
  Status SaveLocked(bool clean);
  Status Write(ControlState& state, const std::vector<uint8_t>& before, Lsn durable);
  Result<bool> ArchiveOneLocked();
  Status PrepareOneLocked(bool fill);
  Status RecycleOldestLocked(Lsn to, bool* recycled);
  Status TrimLocked();
  Result<Lsn> FloorLocked();
  uint64_t SegmentWrittenUs(Lsn position) const;
  Status Judge(Status status);

  Env& env_;
  LogRegion& region_;
  const SegmentFiles& files_;
  LogFlusher& flusher_;
  ControlFile control_;
  const std::string archive_;
  const uint32_t segments_ahead_;
  Retention retention_;
  uint64_t archived_history_;  // roll-backs that the archive knows of
};

}  // namespace ringleader
