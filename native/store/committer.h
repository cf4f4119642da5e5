// Commits: validation, place in the log, insertion into the overlay (commit.h has the rules).
//
// Outside the writer lock: payloads are checked, checksums made, atomic operations applied to what
// their view shows. Inside: a few loads, one probe per row read, one insertion per row written.
//
// Redo. A writer that dies between its record's place and its visibility leaves records that count.
// The next holder of the lock inserts them again before it does anything else. An insertion that
// had happened already is recognized and not made twice, so that redo finds the room that was
// reserved. Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/status.h"
#include "log/log.h"
#include "store/commit.h"
#include "store/commit_section.h"
#include "store/overlay.h"
#include "store/reservation.h"
#include "store/view.h"

namespace ringleader {

class Committer {
 public:
  // `room_wanted`: called when commits have to wait for the fold.
  Committer(Env& env, Log& log, Overlay& overlay, BaseTree& base, StoreRegion& region,
            Reservation& reservation, std::function<void()> room_wanted);
  ~Committer();

  Result<size_t> TryCommit(std::span<Commit*> commits);
  Status CommitOne(Commit& commit, uint64_t timeout_ns);

  // What the log's appender calls when no commit is behind it: term records, redo.
  WriterHook& hook();

 private:
  class Plain;

  void Prepare(Commit& commit, PreparedCommit* prepared);
  Status ReadForAtomic(Commit& commit, PreparedCommit* prepared);
  Status CheckDatabases(Commit& commit, Bytes payload);
  void EndTurn(const Commit& commit);
  void Wait(Stop stop, uint32_t sequence);
  std::unique_ptr<View> BorrowView();
  void ReturnView(std::unique_ptr<View> view);

  Env& env_;
  Log& log_;
  Overlay& overlay_;
  BaseTree& base_;
  StoreRegion& region_;
  Reservation& reservation_;
  const std::function<void()> room_wanted_;
  const HashKeys hash_keys_;
  std::unique_ptr<Plain> plain_;
  std::mutex mutex_;  // guards the two below
  std::vector<std::unique_ptr<View>> views_;
  std::vector<DatabaseId> live_;  // databases as of live_state_, sorted
  uint64_t live_state_ = 0;
};

}  // namespace ringleader
