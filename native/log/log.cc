#include "log/log.h"

#include <algorithm>

namespace ringleader {
namespace {

Status Closed() { return Status(Code::kClosed, "the log is closed"); }

}  // namespace

Result<std::unique_ptr<Log>> Log::Open(Env& env, const std::string& directory,
                                       const LogOptions& options, LogCompanion* companion) {
  if (!options.archive.empty()) RL_RETURN_IF_ERROR(EnsureDirectory(env.files, options.archive));
  std::unique_ptr<Log> log(new Log(env));
  RL_ASSIGN_OR_RETURN(log->attachment_, LogAttachment::Open(env, directory, options));
  LogAttachment& at = *log->attachment_;
  const uint64_t segment = at.control.segment_bytes;
  log->files_ = std::make_unique<SegmentFiles>(env, JoinPath(directory, "log"), segment);
  log->flusher_ = std::make_unique<LogFlusher>(env, *at.region, *log->files_);
  log->keeper_ = std::make_unique<LogKeeper>(env, *at.region, *log->files_, *log->flusher_,
                                             std::move(*at.control_file), options.archive,
                                             options.segments_ahead);
  log->appender_ = std::make_unique<LogAppender>(env, *at.region, *log->files_, *log->flusher_,
                                                 *log->keeper_, at.control.group_id);
  RL_RETURN_IF_ERROR(log->keeper_->StartArchive());
  if (options.service_threads) {
    log->service_ =
        std::make_unique<LogService>(env, *at.region, *log->flusher_, *log->keeper_,
                                     options.flush_interval_ns, options.segments_ahead * segment);
  }
  if (companion != nullptr) RL_RETURN_IF_ERROR(companion->Opening(*log, at.alone()));
  log->companion_ = companion;
  RL_RETURN_IF_ERROR(at.Settle());
  return log;
}

Log::~Log() {
  if (!attachment_ || closed_) return;
  const Status ignored = Close();
  (void)ignored;  // whoever wants to know calls Close
}

Status Log::Close() {
  if (closed_) return Closed();
  closed_ = true;
  service_.reset();
  const auto flush_all = [this] {
    for (;;) {
      const uint64_t history = flusher_->History();
      const Lsn tail(region()->ends.tail.load(std::memory_order_acquire));  // pairs with W1
      const Status flushed = flusher_->WaitFor(tail, Level::kFlushed, kForeverNs, history);
      if (flushed.code() != Code::kRolledBack) return flushed;
    }
  };
  const Status flushed = flush_all();
  const Status left = attachment_->Close([&](bool last) {
    if (last) RL_RETURN_IF_ERROR(flush_all());
    if (companion_ != nullptr) RL_RETURN_IF_ERROR(companion_->Closing(last));
    return last ? keeper_->Save(true) : Status::Ok();
  });
  appender_.reset();
  keeper_.reset();
  flusher_.reset();
  return flushed.ok() ? left : flushed;
}

Result<Appended> Log::Append(const Entry& entry, WriterHook* hook) {
  if (closed_) return Closed();
  auto appended = appender_->Append(entry, hook);
  if (appended.ok() && appended->end.value != 0 && service_) NoteAppends({&appended.value(), 1});
  return appended;
}

Result<size_t> Log::TryAppend(std::span<const Entry> entries, std::span<Appended> appended,
                              WriterHook* hook) {
  if (closed_) return Closed();
  auto count = appender_->TryAppend(entries, appended, hook);
  if (count.ok() && service_) NoteAppends(appended.first(count.value()));
  return count;
}

ShippedAppend Log::AppendRecords(Lsn from, Bytes raw, WriterHook* hook) {
  ShippedAppend result;
  if (closed_) {
    result.status = Closed();
    result.stop = ShipStop::kError;
    return result;
  }
  const uint64_t before = region()->ends.tail.load(std::memory_order_acquire);  // pairs with W1
  result = appender_->AppendRecords(from, raw, hook);
  const Appended appended{Lsn(before), result.end, result.history};
  if (service_ && result.end.value > before) NoteAppends({&appended, 1});
  return result;
}

Status Log::AwaitRoom(const ShippedAppend& stopped) {
  return closed_ ? Closed() : appender_->AwaitRoom(stopped);
}

Result<Appended> Log::AppendTerm(const TermRecord& record) {
  if (closed_) return Closed();
  return Noted(appender_->AppendTerm(record));
}

Result<Appended> Log::AppendConfiguration(Term term, Bytes payload) {
  if (closed_) return Closed();
  return Noted(appender_->AppendConfiguration(term, payload));
}

Result<Appended> Log::Noted(Result<Appended> appended) {
  if (appended.ok() && service_) NoteAppends({&appended.value(), 1});
  return appended;
}

Result<Lsn> Log::SetGate(const Gate& gate) {
  if (closed_) return Closed();
  return appender_->SetGate(gate);
}

Status Log::InSection(const std::function<Status(Lsn tail)>& section) {
  return closed_ ? Closed() : appender_->InSection(section);
}

// The keeper has work whenever the writers enter a new segment.
void Log::NoteAppends(std::span<const Appended> appended) {
  Lsn end;
  for (const Appended& one : appended) end = std::max(end, one.end);
  if (end.value == 0) return;  // the hook has refused them all
  const uint64_t segment = end.value / files_->segment_bytes();
  // Relaxed: a hint, and one ring too many or too late does no harm.
  if (segment_seen_.exchange(segment, std::memory_order_relaxed) != segment) {
    service_->RingKeeper();
  }
  service_->NoteAppend();
  // Relaxed: it changes under the writer lock, which this thread has held since.
  if (region()->gate.word.load(std::memory_order_relaxed) != 0) flusher_->NoteAppend();
}

Status Log::WaitFor(Lsn end, Level level, uint64_t timeout_ns) {
  if (closed_) return Closed();
  if (end.value > region()->ends.tail.load(std::memory_order_acquire)) {
    return Status(Code::kInvalidArgument, "nothing has been appended up to that position");
  }
  return flusher_->WaitFor(end, level, timeout_ns);
}

Status Log::WaitFor(const Appended& appended, Level level, uint64_t timeout_ns) {
  if (closed_) return Closed();
  return flusher_->WaitFor(appended.end, level, timeout_ns, appended.history);
}

uint32_t Log::ActivitySequence() const { return closed_ ? 0 : flusher_->ProgressSequence(); }

void Log::AwaitActivity(uint32_t sequence, Lsn seen, uint64_t timeout_ns) {
  if (!closed_) flusher_->AwaitActivity(sequence, seen, timeout_ns);
}

void Log::AnnounceActivity() {
  if (!closed_) flusher_->Announce();
}

uint64_t Log::History() const { return closed_ ? 0 : flusher_->History(); }

bool Log::RolledBack(Lsn end, uint64_t history) const {
  return !closed_ && flusher_->RolledBack(end, history);
}

void Log::OnProgress(std::function<void()> on_progress) {
  RL_CHECK(service_ != nullptr);
  service_->OnProgress(std::move(on_progress));
}

void Log::Request(Lsn end, Level level) {
  if (!closed_) service_->Request(end, level);
}

bool Log::Reached(Lsn end, Level level) const { return !closed_ && flusher_->Reached(end, level); }

Lsn Log::End(Level level) const {
  if (closed_) return Lsn();
  const RegionLayout& shared = *region();
  switch (level) {
    case Level::kMemory:
      return Lsn(shared.ends.visible.load(std::memory_order_acquire));
    case Level::kWritten:
      return Lsn(shared.flushed.written.load(std::memory_order_acquire));
    case Level::kFlushed:
      return Lsn(shared.flushed.durable.load(std::memory_order_acquire));
  }
  return Lsn();
}

Lsn Log::Start() const {
  return closed_ ? Lsn() : Lsn(region()->space.start.load(std::memory_order_acquire));
}

Status Log::Failure() const { return closed_ ? Closed() : flusher_->Failure(); }

std::unique_ptr<LogReader> Log::Read(Lsn from) {
  return std::make_unique<LogReader>(region(), *files_, *flusher_, from);
}

std::unique_ptr<RawReader> Log::ReadRaw(Lsn from) {
  return std::make_unique<RawReader>(region(), *files_, *flusher_, from);
}

Result<GroupScan> Log::ScanGroup(Lsn from) {
  if (closed_) return Closed();
  const Lsn tail(region()->ends.tail.load(std::memory_order_acquire));  // pairs with W1
  RL_RETURN_IF_ERROR(flusher_->WaitFor(tail, Level::kWritten));
  const Lsn start(region()->space.start.load(std::memory_order_acquire));
  return ringleader::ScanGroup(*files_, region()->header.group_id, std::max(from, start), tail);
}

Result<uint64_t> Log::Verify() {
  if (closed_) return Closed();
  LogReader reader(region(), *files_, *flusher_,
                   Lsn(region()->space.start.load(std::memory_order_acquire)));
  for (uint64_t entries = 0;; ++entries) {
    RL_ASSIGN_OR_RETURN(const std::optional<LogEntry> entry, reader.Next());
    if (!entry) return entries;
  }
}

LogStat Log::Stat() const {
  LogStat stat;
  if (closed_) return stat;
  constexpr auto kNow = std::memory_order_acquire;
  const RegionLayout& shared = *region();
  stat.start = Lsn(shared.space.start.load(kNow));
  // Read from the back, so that no position is reported ahead of the one it follows.
  stat.durable = Lsn(shared.flushed.durable.load(kNow));
  stat.written = Lsn(shared.flushed.written.load(kNow));
  stat.visible = Lsn(shared.ends.visible.load(kNow));
  stat.tail = Lsn(shared.ends.tail.load(kNow));
  stat.prepared_end = Lsn(shared.space.prepared_end.load(kNow));
  stat.term = Term(shared.ends.term.load(kNow));
  stat.records = shared.ends.records.load(kNow);
  stat.transactions = shared.ends.transactions.load(kNow);
  stat.payload_bytes = shared.ends.payload_bytes.load(kNow);
  stat.writes = shared.flusher.writes.load(kNow);
  stat.flushes = shared.flusher.flushes.load(kNow);
  stat.flushed_bytes = shared.flusher.flushed_bytes.load(kNow);
  stat.last_flush_ns = shared.flusher.last_flush_ns.load(kNow);
  stat.longest_flush_ns = shared.flusher.longest_flush_ns.load(kNow);
  const uint64_t started = shared.flusher.started_ns.load(kNow);
  const uint64_t now = env_.clock.MonotonicNanos();
  // A flusher that died leaves its start behind; it counts only while there is something to flush.
  const bool pending = stat.durable < stat.tail;
  stat.flush_age_ns = pending && started != 0 && now > started ? now - started : 0;
  stat.writer_repairs = shared.writer.repairs.load(kNow);
  stat.flusher_takeovers = shared.flusher.takeovers.load(kNow);
  stat.hold_samples = shared.writer.hold_samples.load(kNow);
  stat.hold_ns = shared.writer.hold_ns.load(kNow);
  stat.segments_prepared = shared.keeper.segments_prepared.load(kNow);
  stat.segments_recycled = shared.keeper.segments_recycled.load(kNow);
  stat.disk_full = shared.space.full_since_ns.load(kNow) != 0;
  stat.failed_errno = shared.progress.failed.load(kNow);
  stat.segment_bytes = files_->segment_bytes();
  stat.ring_bytes = region().ring_bytes();
  stat.ring_in_file = region().in_file();
  if (attachment_->recovered) {
    stat.recovered_records = attachment_->recovered->records;
    stat.salvaged_bytes = attachment_->recovered->salvaged_bytes;
    stat.recovered_torn_tail = attachment_->recovered->torn;
    stat.recovery_ns = attachment_->recovery_ns;
  }
  if (service_) {
    stat.housekeeping_failures = service_->housekeeping_failures();
    stat.last_housekeeping_failure = service_->last_housekeeping_failure();
  }
  return stat;
}

Status Log::PutConsumer(const Consumer& consumer) {
  return closed_ ? Closed() : keeper_->PutConsumer(consumer);
}

Status Log::AdvanceConsumer(const std::string& name, Lsn position) {
  return closed_ ? Closed() : keeper_->retention().Advance(name, position);
}

Status Log::RemoveConsumer(const std::string& name) {
  return closed_ ? Closed() : keeper_->RemoveConsumer(name);
}

Result<std::vector<Consumer>> Log::Consumers() const {
  if (closed_) return Closed();
  return keeper_->retention().List();
}

Status Log::Tick() { return closed_ ? Closed() : keeper_->Tick(); }

}  // namespace ringleader
