#include "log/log_service.h"

#include <algorithm>

#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr uint64_t kLookAgainNs = 1'000'000'000;
constexpr uint64_t kFullRetryNs = 100'000'000;

void RaiseTo(std::atomic<uint64_t>& word, uint64_t value) {
  uint64_t seen = word.load(std::memory_order_acquire);
  while (seen < value && !word.compare_exchange_weak(seen, value, std::memory_order_acq_rel)) {
  }
}

}  // namespace

LogService::LogService(Env& env, LogRegion& region, LogFlusher& flusher, LogKeeper& keeper,
                       uint64_t flush_interval_ns, uint64_t ahead_bytes)
    : env_(env),
      region_(region),
      flusher_(flusher),
      keeper_(keeper),
      flush_interval_ns_(flush_interval_ns),
      ahead_bytes_(ahead_bytes) {
  flush_thread_ = env_.threads.Spawn("rl-flush", [this] { FlushLoop(); });
  keep_thread_ = env_.threads.Spawn("rl-keep", [this] { KeepLoop(); });
}

LogService::~LogService() {
  stopping_.store(true, std::memory_order_release);
  Ring(flush_bell_);
  Ring(keep_bell_);
  flush_thread_.reset();
  keep_thread_.reset();
}

void LogService::OnProgress(std::function<void()> on_progress) {
  const std::lock_guard<std::mutex> lock(note_mutex_);
  on_progress_ = std::move(on_progress);
}

void LogService::Notify() {
  const std::lock_guard<std::mutex> lock(note_mutex_);
  if (on_progress_) on_progress_();
}

void LogService::Ring(Bell& bell) {
  // Sequentially consistent with Sleep: either the sleeper sees the ring or we see it idle.
  bell.rings.fetch_add(1, std::memory_order_seq_cst);
  if (bell.idle.load(std::memory_order_seq_cst) != 0) env_.threads.WakeAll(bell.rings);
}

void LogService::Sleep(Bell& bell, uint32_t rings, uint64_t timeout_ns) {
  bell.idle.store(1, std::memory_order_seq_cst);
  if (bell.rings.load(std::memory_order_seq_cst) == rings) {
    env_.threads.Wait(bell.rings, rings, timeout_ns);
  }
  bell.idle.store(0, std::memory_order_seq_cst);
}

void LogService::Request(Lsn end, Level level) {
  if (level == Level::kMemory) return NoteAppend();
  RaiseTo(level == Level::kFlushed ? want_flushed_ : want_written_, end.value);
  Ring(flush_bell_);
}

void LogService::NoteAppend() {
  if (flush_bell_.idle.load(std::memory_order_acquire) == 1) Ring(flush_bell_);
}

void LogService::RingKeeper() { Ring(keep_bell_); }

void LogService::Note(const Status& status) {
  if (status.ok()) return;
  failures_.fetch_add(1, std::memory_order_acq_rel);
  const std::lock_guard<std::mutex> lock(note_mutex_);
  last_failure_ = status.ToString();
}

std::string LogService::last_housekeeping_failure() const {
  const std::lock_guard<std::mutex> lock(note_mutex_);
  return last_failure_;
}

// A position beyond the end of the log was asked for before a roll-back: it is lowered to the end.
Lsn LogService::Wanted(std::atomic<uint64_t>& want) {
  uint64_t wanted = want.load(std::memory_order_acquire);
  // Loaded after it: what is asked for has been appended before.
  const uint64_t tail = region_->ends.tail.load(std::memory_order_acquire);  // pairs with W1
  if (wanted <= tail) return Lsn(wanted);
  want.compare_exchange_strong(wanted, tail, std::memory_order_acq_rel);
  return Lsn(tail);
}

void LogService::FlushOnce(uint32_t rings) {
  const Lsn flush = Wanted(want_flushed_);
  const Lsn write = Wanted(want_written_);
  if (!flusher_.Failure().ok()) {
    Notify();
    return Sleep(flush_bell_, rings, kLookAgainNs);
  }
  const bool flush_due = !flusher_.Reached(flush, Level::kFlushed);
  if (flush_due || !flusher_.Reached(write, Level::kWritten)) {
    const Status done = flush_due ? flusher_.WaitFor(flush, Level::kFlushed, kLookAgainNs)
                                  : flusher_.WaitFor(write, Level::kWritten, kLookAgainNs);
    if (done.ok()) (flush_due ? told_flushed_ : told_written_) = flush_due ? flush : write;
    Notify();
    if (done.code() == Code::kNoSpace) {
      Note(done);
      Sleep(flush_bell_, rings, kFullRetryNs);
    }
    return;
  }
  // Another process's step may have reached what was asked for before this thread looked: its
  // Announce, which comes a little later, wakes nobody who is asleep here.
  if (!RL_MUTANT(kForgetFulfilled) && (flush != told_flushed_ || write != told_written_)) {
    told_flushed_ = flush;
    told_written_ = write;
    Notify();
  }
  const Lsn tail(region_->ends.tail.load(std::memory_order_acquire));  // pairs with W1
  if (flusher_.Reached(tail, Level::kFlushed)) return Sleep(flush_bell_, rings, kLookAgainNs);
  // Appended, and nobody waits for the flush: others get the time to join the group.
  const uint64_t now = env_.clock.MonotonicNanos();
  late_end_ = std::min(late_end_, tail);
  if (flusher_.Reached(late_end_, Level::kFlushed)) {
    late_end_ = tail;
    late_at_ns_ = now + flush_interval_ns_;
  }
  if (now >= late_at_ns_) return RaiseTo(want_flushed_, tail.value);
  flush_bell_.idle.store(2, std::memory_order_seq_cst);  // asleep, but not for NoteAppend
  if (flush_bell_.rings.load(std::memory_order_seq_cst) == rings) {
    env_.threads.Wait(flush_bell_.rings, rings, late_at_ns_ - now);
  }
  flush_bell_.idle.store(0, std::memory_order_seq_cst);
}

void LogService::FlushLoop() {
  uint32_t told = flusher_.ProgressSequence();
  while (!Stopping()) {
    const uint32_t rings = flush_bell_.rings.load(std::memory_order_acquire);
    FlushOnce(rings);
    const uint32_t sequence = flusher_.ProgressSequence();
    if (sequence != told) Notify();
    told = sequence;
  }
}

void LogService::KeepLoop() {
  while (!Stopping()) {
    const uint32_t rings = keep_bell_.rings.load(std::memory_order_acquire);
    Note(keeper_.Tick());
    bool more = true;
    while (more && !Stopping()) {
      const auto archived = keeper_.ArchiveOne();
      Note(archived.status());
      more = archived.ok() && archived.value();
    }
    const uint64_t tail = region_->ends.tail.load(std::memory_order_acquire);
    const uint64_t ready = region_->space.prepared_end.load(std::memory_order_acquire);
    const bool behind = ready < tail + ahead_bytes_ && flusher_.Failure().ok() &&
                        region_->space.full_since_ns.load(std::memory_order_acquire) == 0;
    if (!Stopping()) Sleep(keep_bell_, rings, behind ? kFullRetryNs / 10 : kLookAgainNs);
  }
}

}  // namespace ringleader
