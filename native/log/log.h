// The write-ahead log of an environment, as the rest of the engine and the binding see it.
//
// One Log object per environment and process; any number of processes at once. Opening attaches to
// the shared region, or recovers and makes one where nobody is attached (log_attachment.h). Closing
// flushes everything. A process that dies instead loses nothing it had appended.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "log/group_scan.h"
#include "log/log_appender.h"
#include "log/log_attachment.h"
#include "log/log_exchange.h"
#include "log/log_flusher.h"
#include "log/log_keeper.h"
#include "log/log_reader.h"
#include "log/log_rollback.h"
#include "log/log_service.h"
#include "log/raw_reader.h"

namespace ringleader {

struct LogStat {
  Lsn start, tail, visible, written, durable, prepared_end;
  Term term;
  uint64_t records = 0, transactions = 0, payload_bytes = 0;  // since the region was made
  uint64_t writes = 0, flushes = 0, flushed_bytes = 0;
  uint64_t last_flush_ns = 0, longest_flush_ns = 0;
  uint64_t flush_age_ns = 0;  // how long the flush under way has taken; 0 = none is. A hung disk
                              // shows here.
  uint64_t writer_repairs = 0, flusher_takeovers = 0;
  uint64_t hold_samples = 0, hold_ns = 0;
  uint64_t segments_prepared = 0, segments_recycled = 0;
  bool disk_full = false;
  int failed_errno = 0;
  uint64_t segment_bytes = 0, ring_bytes = 0;
  bool ring_in_file = false;
  // Of this process's own opening; zeros where it attached to a running environment.
  uint64_t recovered_records = 0, salvaged_bytes = 0, recovery_ns = 0;
  bool recovered_torn_tail = false;
  uint64_t housekeeping_failures = 0;  // of this process, see last_housekeeping_failure
  std::string last_housekeeping_failure;
};

class Log;

// What is opened and closed together with the log, while nobody else can do either.
class LogCompanion {
 public:
  virtual ~LogCompanion() = default;
  // `alone`: nobody is attached, and the log has just been recovered. An error ends the opening.
  virtual Status Opening(Log& log, bool alone) = 0;
  // Everything is flushed; `last`: nobody else is attached.
  virtual Status Closing(bool last) = 0;
};

class Log {
 public:
  // `companion`: may be null; must outlive the log.
  static Result<std::unique_ptr<Log>> Open(Env& env, const std::string& directory,
                                           const LogOptions& options,
                                           LogCompanion* companion = nullptr);
  // Closes, where Close has not been called.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Durable: everything appended by anybody, flushed. Afterwards every call fails with kClosed.
  Status Close();

  // For simulations: its process is dead. Destroying it does nothing then but to give memory back.
  void Forget() { closed_ = true; }

  // In memory when it returns; see LogAppender.
  Result<Appended> Append(const Entry& entry, WriterHook* hook = nullptr);
  Result<size_t> TryAppend(std::span<const Entry> entries, std::span<Appended> appended,
                           WriterHook* hook = nullptr);
  // See LogAppender, for all of these.
  ShippedAppend AppendRecords(Lsn from, Bytes raw, WriterHook* hook = nullptr);
  Status AwaitRoom(const ShippedAppend& stopped);
  Result<Appended> AppendTerm(const TermRecord& record);
  Result<Appended> AppendConfiguration(Term term, Bytes payload);
  Result<Lsn> SetGate(const Gate& gate);
  Gate gate() const { return appender_->gate(); }
  void SetHook(WriterHook* hook) { appender_->SetHook(hook); }
  Status InSection(const std::function<Status(Lsn tail)>& section);
  // Returns when the log has reached `level` up to `end`; does the work itself where nobody is.
  Status WaitFor(Lsn end, Level level, uint64_t timeout_ns = kForeverNs);
  // The same; kRolledBack, whatever has been appended since, where a roll-back has taken it back.
  Status WaitFor(const Appended& appended, Level level, uint64_t timeout_ns = kForeverNs);

  // Asks the service thread to bring the log to `level` up to `end`; `on_progress` is called from
  // that thread after every step towards anything asked for, and after a failure. Set it first.
  // It may come after Reached has said so, and during Close: what it refers to outlives the log.
  void OnProgress(std::function<void()> on_progress);
  void Request(Lsn end, Level level);
  bool Reached(Lsn end, Level level) const;
  // For who has the replication role: sleeps until something is written or flushed, a transaction
  // beyond `seen` is visible, somebody announces himself, or the time is over. Read `sequence`,
  // then whatever might be news, then wait.
  uint32_t ActivitySequence() const;
  void AwaitActivity(uint32_t sequence, Lsn seen, uint64_t timeout_ns);
  void AnnounceActivity();
  // How far the log has got: the end of what is visible, written, flushed. 0 once closed.
  Lsn End(Level level) const;
  // The first position that it still has. 0 once closed.
  Lsn Start() const;
  Status Failure() const;

  // Makes the log end at `to`, the end of a transaction or the log's start, for all processes, on
  // disk too; see log_rollback.h. kTrimmed below the start, kInvalidArgument where no transaction
  // ends. An error of unknown fate has ended the environment: recovery finds one of the two ends.
  // Consumers above are lowered to `to`.
  Status RollBack(Lsn to, RollBackHook* hook = nullptr);
  // Puts another log in place of this one, for all processes, on disk too; see log_exchange.h. What
  // this log has at or below `common` the new one continues. kInvalidArgument or kCorruption where
  // `log` is not what CheckNewLog takes.
  Status Exchange(const NewLog& log, Lsn common, ExchangeHook& hook);
  // Where the last transaction ends that ends at or below `at`: a log may have pieces of one behind
  // it, and a fork with another log may lie between pieces. The log's start where there is none: 0
  // in an empty log. This is the way to find out where the log stands for its group; Appended::end
  // and ShippedAppend::whole are such places too. End is not before the first append: a crash may
  // leave padding, or the page of a segment, behind the last transaction.
  Result<Lsn> LastEnd(Lsn at = kMaxLsn);
  // Roll-backs since the region was made, and whether one after `history` went below `end`.
  uint64_t History() const;
  bool RolledBack(Lsn end, uint64_t history) const;

  std::unique_ptr<LogReader> Read(Lsn from);
  std::unique_ptr<RawReader> ReadRaw(Lsn from);
  // The records that say who led and what the group was, from the first one at or above `from`.
  Result<GroupScan> ScanGroup(Lsn from = Lsn());
  // Reads and checks every record the log holds; returns how many.
  Result<uint64_t> Verify();
  LogStat Stat() const;

  Status PutConsumer(const Consumer& consumer);
  Status AdvanceConsumer(const std::string& name, Lsn position);
  Status RemoveConsumer(const std::string& name);
  Result<std::vector<Consumer>> Consumers() const;

  // Does whatever housekeeping is due, in the calling thread.
  Status Tick();

  // Shared memory for who replicates the environment, zeros at first; empty once closed.
  MutableBytes Board() { return closed_ ? MutableBytes() : region().Board(); }

  const ControlState& identity() const { return attachment_->control; }
  const FileInfo& lock_info() const { return attachment_->lock_info(); }
  // The word behind End(Level::kMemory), for those who read it very often. Lives until Close.
  const std::atomic<uint64_t>* visible_word() const { return &region()->ends.visible; }

 private:
  explicit Log(Env& env) : env_(env) {}

  LogRegion& region() const { return *attachment_->region; }
  void NoteAppends(std::span<const Appended> appended);
  Result<Appended> Noted(Result<Appended> appended);
  Status RollBackInSection(Lsn to, Lsn tail, RollBackHook* hook);
  Status RollBackHolding(Lsn to, const LogCut& cut, RollBackHook* hook);
  Status ExchangeHolding(const NewLog& log, const ChainState& chain, Lsn common,
                         StagedSegment& staged, ExchangeHook& hook);

  Env& env_;
  LogCompanion* companion_ = nullptr;
  std::unique_ptr<LogAttachment> attachment_;
  std::unique_ptr<SegmentFiles> files_;
  std::unique_ptr<LogFlusher> flusher_;
  std::unique_ptr<LogKeeper> keeper_;
  std::unique_ptr<LogAppender> appender_;
  std::unique_ptr<LogService> service_;
  std::atomic<uint64_t> segment_seen_{0};
  bool closed_ = false;
};

}  // namespace ringleader
