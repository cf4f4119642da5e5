// Moves the log from the ring to the disk: group commit.
//
// One flusher works at a time, over all processes of the environment: whoever holds the flusher
// role. There is no fixed holder. A thread that needs a position to be written or flushed takes the
// role if it is free and does one step for everybody who has appended until then; otherwise it
// waits for the holder's step to end. A committer that is alone thus flushes in its own thread,
// without a single hand-over; many committers form groups by themselves.
//
// A step (role held):
//   1. take the published end of the log, or the last end of a record that is in this segment and
//      at most 8 MiB away;
//   2. pwrite the ring's bytes up to it, publish `written`;
//   3. if asked for, fdatasync, publish `durable`; wake the waiters.
//
// What the steps keep true:
//   - a segment is flushed before the first byte of the next one is written, so damage in any but
//     the last segment in use can never be a torn write;
//   - at most 16 MiB are written and not flushed, so a valid record further than that behind a bad
//     one proves that the bad one had been flushed;
//   - repeating a step that died half-way writes the same bytes to the same place.
//
// The first failed write or flush ends the environment. After a failed fdatasync the kernel may
// have dropped the pages and reports the error once; a second fdatasync that succeeds proves
// nothing, so there is none. (Rebello et al., "Can Applications Recover from fsync Failures?",
// USENIX ATC 2020.) A full disk is no failure: the bytes stay in the ring and the step is tried
// again.
// Threads: any. The open file is used by the role's holder only.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "env/env.h"
#include "log/log_region.h"
#include "log/segment_files.h"

namespace ringleader {

// How far an append has got on this member.
enum class Level : uint8_t {
  kMemory,   // in the shared ring: survives the death of any process
  kWritten,  // the kernel has it: also survives the loss of the ring
  kFlushed,  // the disk has it: survives power loss
};

inline constexpr uint64_t kMaxGroupBytes = uint64_t{8} << 20;
inline constexpr uint64_t kMaxUnflushedBytes = uint64_t{16} << 20;
inline constexpr uint64_t kForeverNs = ~uint64_t{0};

class LogFlusher {
 public:
  LogFlusher(Env& env, LogRegion& region, const SegmentFiles& files);

  bool Reached(Lsn end, Level level) const;
  // Returns when the log has reached `level` up to `end`, working on it as described above.
  // Fails with kFailed or kNoSpace, both of unknown fate, or kTimeout; with kRolledBack where what
  // ended there, appended in that history, is gone for good.
  Status WaitFor(Lsn end, Level level, uint64_t timeout_ns = kForeverNs);
  Status WaitFor(Lsn end, Level level, uint64_t timeout_ns, uint64_t history);

  // Roll-backs so far. Positions above the end of a roll-back that came later mean nothing any
  // more.
  uint64_t History() const;
  // Whether a roll-back after `history` went below `end`.
  bool RolledBack(Lsn end, uint64_t history) const;
  // A roll-back is under way, or was cut short.
  bool RollingBack() const;
  // For readers, which have followed `*history`: brings that up to date, waiting for a roll-back
  // that is under way, and says whether there has been one. kRolledBack where one went below
  // `position`, kFailed where it was cut short.
  Result<bool> FollowHistory(Lsn position, uint64_t* history);
  // Holder of the writer lock, of the keeper's or the flusher's role: kOk, or kFailed where a
  // roll-back was cut short, which ends the environment.
  Status CheckRollBack();

  // kOk, or the failure that ended this environment.
  Status Failure() const;
  // Ends the environment; the first caller's errno stays.
  void Fail(int sys_errno);

  // Tells waiters to look at the positions again.
  void Announce();
  // Sleeps until the next Announce after `sequence` was read, or the time limit.
  uint32_t ProgressSequence() const;
  void AwaitProgress(uint32_t sequence, uint64_t timeout_ns);
  // The same, but an append beyond `seen` is progress too. One thread of all processes at a time.
  void AwaitActivity(uint32_t sequence, Lsn seen, uint64_t timeout_ns);
  // After an append in an environment that belongs to a group.
  void NoteAppend();

 private:
  Status AwaitRollBack();
  Status Step(Level level);
  Lsn GroupEnd(Lsn from, Lsn tail) const;
  Status WriteUpTo(Lsn from, Lsn to);
  Status FlushUpTo(Lsn to);
  Result<File*> FileOf(Lsn start);
  Status Judge(Status status);

  Env& env_;
  LogRegion& region_;
  const SegmentFiles& files_;
  std::unique_ptr<File> file_;  // used under the flusher role only
  Lsn file_start_ = kMaxLsn;
  uint64_t file_history_ = 0;  // a roll-back replaces files
};

}  // namespace ringleader
