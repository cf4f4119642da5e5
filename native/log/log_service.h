// The background threads of one process: one that flushes, one that keeps house.
//
// The flushing thread serves callers that cannot block, JavaScript above all: they append, Request
// a level, and are called back. It also flushes what nobody asked for, a little later. It has no
// privilege: it works through LogFlusher::WaitFor like everybody else, so whichever process has
// something to flush does it for all.
//
// Sleeping: a thread that finds nothing to do raises `idle` and waits on its bell; whoever gives it
// work rings. Every thread also looks once a second, which is how the leftovers of a process that
// died are flushed.
// Threads: Request, NoteAppend and RingKeeper from any thread; OnProgress before the first Request;
// it is called until the destructor returns, and for a position a little after Reached says so.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "env/env.h"
#include "log/log_flusher.h"
#include "log/log_keeper.h"
#include "log/log_region.h"

namespace ringleader {

class LogService {
 public:
  LogService(Env& env, LogRegion& region, LogFlusher& flusher, LogKeeper& keeper,
             uint64_t flush_interval_ns, uint64_t ahead_bytes);
  // Stops and joins both threads; nothing is flushed.
  ~LogService();

  void OnProgress(std::function<void()> on_progress);
  void Request(Lsn end, Level level);
  // After an append that nobody waits for.
  void NoteAppend();
  void RingKeeper();

  uint64_t housekeeping_failures() const { return failures_.load(std::memory_order_acquire); }
  std::string last_housekeeping_failure() const;

 private:
  // A word that a thread sleeps on.
  struct Bell {
    std::atomic<uint32_t> rings{0};
    std::atomic<uint32_t> idle{0};
  };

  void Ring(Bell& bell);
  void Sleep(Bell& bell, uint32_t rings, uint64_t timeout_ns);
  void FlushLoop();
  Lsn Wanted(std::atomic<uint64_t>& want);
  void FlushOnce(uint32_t rings);
  void KeepLoop();
  void Note(const Status& status);
  void Notify();
  bool Stopping() const { return stopping_.load(std::memory_order_acquire); }

  Env& env_;
  LogRegion& region_;
  LogFlusher& flusher_;
  LogKeeper& keeper_;
  const uint64_t flush_interval_ns_;
  const uint64_t ahead_bytes_;
  std::function<void()> on_progress_;
  std::atomic<uint64_t> want_flushed_{0};
  std::atomic<uint64_t> want_written_{0};
  // Of the flushing thread: what lies below late_end_ is flushed at late_at_ns_ at the latest.
  Lsn late_end_;
  uint64_t late_at_ns_ = 0;
  // Of the flushing thread: the requests whose end on_progress_ has been told of.
  Lsn told_flushed_;
  Lsn told_written_;
  std::atomic<bool> stopping_{false};
  Bell flush_bell_;
  Bell keep_bell_;
  std::atomic<uint64_t> failures_{0};
  mutable std::mutex note_mutex_;
  std::string last_failure_;
  std::unique_ptr<Thread> flush_thread_;
  std::unique_ptr<Thread> keep_thread_;
};

}  // namespace ringleader
