// Becoming one of the processes that share an environment, and ceasing to be one.
//
//   lock   an empty file; byte 0 is held while somebody opens or closes, byte 1 shared by everybody
//          who is attached
//
// The control page notes which file that was: a copy of the directory has another one.
//
// The kernel drops both when their holder dies, however it dies, so "nobody is attached" is a fact
// and not a guess. Whoever finds nobody attached has the environment to itself: it salvages,
// recovers and makes the region. Everybody else attaches to the region that is there.
//
// States a crash during opening can leave: no control file (the directory is formatted again), a
// region without a valid header (dropped), a rewritten tail (recovery is repeatable).
// Threads: one at a time per object.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "env/env.h"
#include "log/control_file.h"
#include "log/log_recovery.h"
#include "log/log_region.h"
#include "log/segment_files.h"

namespace ringleader {

struct LogOptions {
  bool create = true;                             // format the directory where it is new
  uint64_t segment_bytes = kDefaultSegmentBytes;  // power of two, 64 KiB to 1 GiB; fixed at format
  uint64_t ring_bytes = kDefaultRingBytes;  // power of two, 64 KiB to 4 GiB, at least four of the
                                            // largest records (SmallestRing); of a new region
  uint32_t segments_ahead = 2;              // kept ready in front of the writers, 1 to 64
  std::optional<Id128> group_id;            // at format; random where absent
  // Directory for closed segments; empty = this process archives nothing. The archive is a
  // consumer: once there is one, segments stay until some process has copied them.
  std::string archive;
  // Opens a directory that seems to have been copied while it was in use, as after a crash: for one
  // that was moved to another disk after one.
  bool adopt_copy = false;
  uint64_t flush_interval_ns = 100'000'000;  // appends nobody waits for are flushed this late
  bool service_threads = true;               // off: only calls move the log (tests, tools)
};

// kInvalidArgument naming the first option that is out of range.
Status CheckLogOptions(const LogOptions& options);

class LogAttachment {
 public:
  // Until Settle, nobody else can open or close.
  static Result<std::unique_ptr<LogAttachment>> Open(Env& env, const std::string& directory,
                                                     const LogOptions& options);
  Status Settle();
  bool alone() const { return recovered.has_value(); }  // as it was at opening
  const FileInfo& lock_info() const { return lock_info_; }
  // Calls `closing`, telling whether nobody else is attached; then it removes the region. Detaches
  // in any case.
  Status Close(const std::function<Status(bool last)>& closing);

  ControlState control;  // as it was at opening; identities do not change
  std::optional<ControlFile> control_file;
  std::unique_ptr<LogRegion> region;
  std::optional<RecoveredLog> recovered;  // where this opening had to
  uint64_t recovery_ns = 0;

 private:
  LogAttachment(Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}

  Status LoadOrFormat(const LogOptions& options, bool alone);
  Status Format(const LogOptions& options);
  Status LockStatus(const std::string& path, const Status& opened);
  Status JudgeCopy(const LogOptions& options);
  Status Recover(const LogOptions& options);
  RegionInit Expected() const;

  Env& env_;
  const std::string directory_;
  std::unique_ptr<File> lock_;
  FileInfo lock_info_;
  bool copied_ = false;
};

}  // namespace ringleader
