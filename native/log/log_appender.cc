#include "log/log_appender.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "log/pending_records.h"

namespace ringleader {
namespace {

constexpr size_t kRunEntries = 64;  // appended under one lock
constexpr uint64_t kRunBytes = uint64_t{128} << 10;
constexpr int kTryLockAttempts = 64;
constexpr uint64_t kHoldSampleMask = 1023;

uint32_t PayloadCrc(Bytes payload) { return MaskCrc(Crc32c(payload)); }

Status TermWentBack() {
  return Status(Code::kInvalidArgument, "the term of an append is below the log's");
}

Status NotPrimary(GateReason reason) {
  switch (reason) {
    case GateReason::kReplica:
      return Status(Code::kNotPrimary, "another member of the group is its primary, or none is");
    case GateReason::kHandOver:
      return Status(Code::kNotPrimary, "the primary is handing over to another member");
    default:
      return Status(Code::kNotPrimary, "the member has come up and does not know yet who leads");
  }
}

}  // namespace

struct LogAppender::Piece {
  Bytes payload;
  uint32_t payload_crc;
  uint8_t type;
  uint8_t flags;
  uint16_t operations;
  uint32_t term;
  uint64_t now_us;
};

LogAppender::LogAppender(Env& env, LogRegion& region, const SegmentFiles& files,
                         LogFlusher& flusher, LogKeeper& keeper, const Id128& group_id)
    : env_(env),
      region_(region),
      files_(files),
      flusher_(flusher),
      keeper_(keeper),
      group_id_(group_id),
      segment_bytes_(files.segment_bytes()),
      max_payload_(MaxRecordPayload(segment_bytes_)) {}

Status LogAppender::CheckEntry(const Entry& entry) const {
  if (entry.payload.size() > kMaxTransactionBytes) {
    return Status(Code::kTooLarge, "a transaction holds at most 4 GiB");
  }
  if (entry.type == RecordType::kPadding || entry.type == RecordType(0) ||
      static_cast<uint8_t>(entry.type) > kMaxRecordType) {
    return Status(Code::kInvalidArgument, "no such record type");
  }
  if (entry.type == RecordType::kConfiguration && entry.payload.size() > max_payload_) {
    return Status(Code::kTooLarge, "a configuration is larger than a record");
  }
  return flusher_.Failure();
}

const WriterState& LogAppender::Current() const {
  return region_->writer.states[region_->writer.current.load(std::memory_order_acquire) & 1];
}

// A writer died with the lock. Its state either counts already or never will: what is left to do
// is the part of the layer above and the publication, which it may not have come to.
Status LogAppender::Repair() {
  region_->writer.repairs.fetch_add(1, std::memory_order_acq_rel);
  RL_RETURN_IF_ERROR(flusher_.CheckRollBack());
  const WriterState& state = Current();
  if (hook_ != nullptr) {
    hook_->Mend();
    const Lsn published(region_->ends.visible.load(std::memory_order_acquire));
    const Status redone =
        RL_MUTANT(kSkipRedo)
            ? Status::Ok()
            : VisitPending(region_, files_, published, Lsn(state.visible),
                           [this](Lsn end, const Entry& entry) { return hook_->Redo(end, entry); });
    if (!redone.ok()) {
      flusher_.Fail(redone.sys_errno());
      return flusher_.Failure();
    }
  }
  PublishEnds(state);
  return Status::Ok();
}

// Of a lock just taken: mends what a dead holder left. The lock is gone where that fails.
Status LogAppender::Enter(LockResult lock) {
  const Status fit = lock == LockResult::kOwnerDied ? Repair() : flusher_.CheckRollBack();
  if (!fit.ok()) env_.threads.Unlock(region_->writer.mutex);
  return fit;
}

Status LogAppender::LockWriter() {
  const LockResult lock = env_.threads.Lock(region_->writer.mutex);
  if (lock == LockResult::kLocked || lock == LockResult::kOwnerDied) return Enter(lock);
  return Status(Code::kCorruption, "shared memory is damaged: the writer lock");
}

bool LogAppender::TryLockWriter() {
  for (int i = 0; i < kTryLockAttempts; ++i) {
    const LockResult lock = env_.threads.TryLock(region_->writer.mutex);
    if (lock == LockResult::kLocked || lock == LockResult::kOwnerDied) return Enter(lock).ok();
    if (lock == LockResult::kBroken) return false;
  }
  return false;
}

Gate LogAppender::gate() const {
  return GateOf(region_->gate.word.load(std::memory_order_acquire));
}

// Under the writer lock: whether an entry may be appended by `role`.
Status LogAppender::CheckGate(const Entry& entry, Role role) const {
  const Gate now = gate();
  if (role == Role::kNewPrimary) {
    if (now.state != GateState::kClosed) {
      return Status(Code::kInvalidArgument, "a reign begins where the gate is closed");
    }
    if (entry.term.value <= Current().term) return TermWentBack();
    return Status::Ok();
  }
  if (now.state == GateState::kClosed && !RL_MUTANT(kIgnoreGate)) return NotPrimary(now.reason);
  if (now.state == GateState::kOpen && entry.term.value != 0 && entry.term != now.term) {
    return Status(Code::kInvalidArgument, "the term of an append is not that of the primary");
  }
  return Status::Ok();
}

Result<Lsn> LogAppender::SetGate(const Gate& gate) {
  RL_RETURN_IF_ERROR(LockWriter());
  const WriterState& state = Current();
  const Lsn tail(state.tail);
  const bool fits = gate.state != GateState::kOpen || gate.term.value == state.term;
  if (fits) region_->gate.word.store(GateWord(gate), std::memory_order_release);  // W5
  env_.threads.Unlock(region_->writer.mutex);
  if (!fits) {
    return Status(Code::kInvalidArgument, "the gate opens in the term of the log's last record");
  }
  return tail;
}

void LogAppender::Flip(const WriterState& state) {
  WriterSection& writer = region_->writer;
  const uint32_t current = writer.current.load(std::memory_order_acquire) & 1;
  const uint32_t spare = RL_MUTANT(kUpdateStateInPlace) ? current : 1 - current;
  writer.states[spare] = state;
  writer.current.store(spare, std::memory_order_release);
}

void LogAppender::PublishEnds(const WriterState& state) {
  PublishedEnds& ends = region_->ends;
  // Relaxed: statistics, each true on its own.
  ends.records.store(state.records, std::memory_order_relaxed);
  ends.transactions.store(state.transactions, std::memory_order_relaxed);
  ends.payload_bytes.store(state.payload_bytes, std::memory_order_relaxed);
  ends.term.store(state.term, std::memory_order_relaxed);
  ends.tail.store(state.tail, std::memory_order_release);  // W1
  ends.visible.store(state.visible, std::memory_order_release);
}

void LogAppender::MoveBack(Lsn to, const ChainState& chain) {
  WriterState state = Current();
  state.tail = state.visible = to.value;
  state.prev_crc = chain.prev_crc;
  state.term = chain.term.value;
  state.commit_time_us = chain.commit_time_us;
  Flip(state);
  PublishEnds(state);
}

LogAppender::Room LogAppender::RoomFor(const WriterState& state, uint64_t payload, Lsn* end) const {
  const uint64_t record = RecordBytes(payload);
  uint64_t at = state.tail;
  const uint64_t offset = at % segment_bytes_;
  if (offset != 0 && offset + record > segment_bytes_) at += segment_bytes_ - offset;
  if (at % segment_bytes_ == 0) at += kSegmentPageBytes;
  *end = Lsn(at + record);
  if (end->value > region_->space.prepared_end.load(std::memory_order_acquire)) {  // pairs with W3
    return Room::kNoSegment;
  }
  const uint64_t written = region_->flushed.written.load(std::memory_order_acquire);
  return end->value - written > region_.ring_bytes() ? Room::kRingFull : Room::kReady;
}

// Ends the segment: a padding record over the rest where a header fits, zeros where none does.
void LogAppender::FillSegment(WriterState& state) {
  const uint64_t left = segment_bytes_ - state.tail % segment_bytes_;
  region_.ZeroIn(Lsn(state.tail), left);
  if (left >= kRecordHeaderBytes) {
    RecordHeader header{};
    header.length = static_cast<uint32_t>(left - kRecordHeaderBytes);
    header.lsn = state.tail;
    header.term = state.term;
    header.type = static_cast<uint8_t>(RecordType::kPadding);
    header.commit_time_us = state.commit_time_us;
    header.prev_crc = state.prev_crc;
    SealRecordHeader(header);
    region_.CopyIn(Lsn(state.tail), {reinterpret_cast<const uint8_t*>(&header), sizeof header});
    state.prev_crc = header.header_crc;
    ++state.records;
  }
  state.tail += left;
}

Lsn LogAppender::Place(WriterState& state, const Piece& piece) {
  const uint64_t record = RecordBytes(piece.payload.size());
  const uint64_t offset = state.tail % segment_bytes_;
  if (offset != 0 && offset + record > segment_bytes_) FillSegment(state);
  if (state.tail % segment_bytes_ == 0) {
    std::array<uint8_t, kSegmentPageBytes> page;
    const ChainState before{state.prev_crc, Term(state.term), state.commit_time_us};
    BuildSegmentPage(group_id_, Lsn(state.tail), segment_bytes_, before, page);
    region_.CopyIn(Lsn(state.tail), page);
    state.tail += kSegmentPageBytes;
  }
  const Lsn lsn(state.tail);
  state.commit_time_us = std::max(state.commit_time_us, piece.now_us);
  state.term = std::max(state.term, piece.term);
  RecordHeader header;
  header.length = static_cast<uint32_t>(piece.payload.size());
  header.payload_crc = piece.payload_crc;
  header.lsn = lsn.value;
  header.term = state.term;
  header.type = piece.type;
  header.flags = piece.flags;
  header.operations = piece.operations;
  header.commit_time_us = state.commit_time_us;
  header.prev_crc = state.prev_crc;
  SealRecordHeader(header);
  const uint64_t used = kRecordHeaderBytes + piece.payload.size();
  if (RL_MUTANT(kPublishBeforeCopy)) {
    WriterState early = state;
    early.tail = early.visible = lsn.value + record;
    early.prev_crc = header.header_crc;
    Flip(early);
    PublishEnds(early);
  }
  region_.CopyIn(lsn, {reinterpret_cast<const uint8_t*>(&header), sizeof header});
  region_.CopyIn(lsn + kRecordHeaderBytes, piece.payload);
  if (used < record) region_.ZeroIn(lsn + used, record - used);
  state.tail = lsn.value + record;
  state.prev_crc = header.header_crc;
  ++state.records;
  state.payload_bytes += piece.payload.size();
  return lsn;
}

// `first`: what the hook calls the first of these entries. `waits`: it has the next one wait.
size_t LogAppender::AppendRun(std::span<const Entry> entries, std::span<const uint32_t> crcs,
                              uint64_t now_us, std::span<Appended> appended, size_t first,
                              WriterHook* hook, bool* waits) {
  WriterState state = Current();
  const bool sampled = (state.transactions & kHoldSampleMask) == 0;
  const uint64_t began = sampled ? env_.clock.MonotonicNanos() : 0;
  const uint64_t tail_before = state.tail;
  const bool one_term = gate().state == GateState::kOpen;
  Status status;
  size_t count = 0;
  for (; count < entries.size() && status.ok(); ++count) {
    Entry entry = entries[count];
    uint32_t crc = crcs[count];
    if (hook != nullptr) {
      const Admission admission = hook->Admit(first + count, Lsn(state.tail), entry);
      *waits = admission == Admission::kStop;
      if (*waits) break;
      appended[count] = Appended();
      if (admission == Admission::kRefuse) continue;
      if (admission == Admission::kAppendChanged) crc = PayloadCrc(entry.payload);
    }
    if (entry.term.value != 0 && entry.term.value < state.term) break;
    if (one_term && entry.term.value > state.term) break;
    Lsn end;
    if (RoomFor(state, entry.payload.size(), &end) != Room::kReady) break;
    const Piece piece{
        entry.payload,    crc,   static_cast<uint8_t>(entry.type), 0, entry.operations,
        entry.term.value, now_us};
    const Lsn lsn = Place(state, piece);
    appended[count] = {lsn, Lsn(state.tail), flusher_.History(), Term(state.term)};
    state.visible = state.tail;
    ++state.transactions;
    if (hook != nullptr) {
      if (RL_MUTANT(kInsertBeforeFlip)) status = hook->Insert(Lsn(state.tail), entry);
      Flip(state);
      if (!RL_MUTANT(kInsertBeforeFlip)) status = hook->Insert(Lsn(state.tail), entry);
    }
  }
  if (!status.ok()) {
    flusher_.Fail(status.sys_errno());
    return 0;
  }
  if (state.tail != tail_before) {
    if (hook == nullptr) Flip(state);
    PublishEnds(state);
  }
  if (sampled && count == 1) {
    region_->writer.hold_samples.fetch_add(1, std::memory_order_acq_rel);
    region_->writer.hold_ns.fetch_add(env_.clock.MonotonicNanos() - began,
                                      std::memory_order_acq_rel);
  }
  return count;
}

Result<size_t> LogAppender::TryAppend(std::span<const Entry> entries, std::span<Appended> appended,
                                      WriterHook* hook) {
  RL_CHECK(appended.size() >= entries.size());
  if (hook == nullptr) hook = hook_;
  size_t done = 0;
  while (done < entries.size()) {
    std::array<uint32_t, kRunEntries> crcs;
    size_t run = 0;
    uint64_t bytes = 0;
    while (run < kRunEntries && done + run < entries.size() && bytes < kRunBytes) {
      const Entry& entry = entries[done + run];
      const Status valid = CheckEntry(entry);
      if (!valid.ok() && run == 0 && done == 0) return valid;
      if (!valid.ok() || entry.payload.size() > max_payload_) break;
      crcs[run++] = PayloadCrc(entry.payload);
      bytes += entry.payload.size();
    }
    const uint64_t now_us = env_.clock.WallMicros();
    if (run == 0 || !TryLockWriter()) return done;
    const Status admitted = CheckGate(entries[done], Role::kWriter);
    if (!admitted.ok()) {
      env_.threads.Unlock(region_->writer.mutex);
      if (done == 0) return admitted;
      return done;
    }
    bool waits = false;
    const size_t placed = AppendRun(entries.subspan(done, run), std::span(crcs).first(run), now_us,
                                    appended.subspan(done, run), done, hook, &waits);
    env_.threads.Unlock(region_->writer.mutex);
    done += placed;
    if (placed < run) return done;
  }
  return done;
}

Status LogAppender::MakeRoom(Room room, Lsn end, uint64_t history) {
  if (room == Room::kNoSegment) return keeper_.EnsurePrepared(end);
  const Status written =
      flusher_.WaitFor(Lsn(end.value - region_.ring_bytes()), Level::kWritten, kForeverNs, history);
  if (written.code() == Code::kRolledBack) return Status::Ok();  // there is room now
  // The append itself has not begun.
  return written.WithFate(Fate::kNone);
}

Result<Appended> LogAppender::AppendSmall(const Entry& entry, WriterHook* hook, Role role) {
  const uint32_t crc = PayloadCrc(entry.payload);
  for (;;) {
    RL_RETURN_IF_ERROR(flusher_.Failure());
    Appended appended;
    const uint64_t now_us = env_.clock.WallMicros();
    RL_RETURN_IF_ERROR(LockWriter());
    const Status admitted = CheckGate(entry, role);
    size_t placed = 0;
    bool waits = false;
    if (admitted.ok()) {
      placed = AppendRun({&entry, 1}, {&crc, 1}, now_us, {&appended, 1}, 0, hook, &waits);
    }
    const bool refused = appended.end.value == 0;  // by the hook
    if (placed == 1 && role == Role::kNewPrimary && !refused) {
      region_->gate.word.store(GateWord(Gate::Open(entry.term)), std::memory_order_release);  // W5
    }
    const WriterState state = Current();
    const uint64_t history = flusher_.History();
    env_.threads.Unlock(region_->writer.mutex);
    RL_RETURN_IF_ERROR(admitted);
    if (placed == 1) return appended;
    RL_RETURN_IF_ERROR(flusher_.Failure());
    if (entry.term.value != 0 && entry.term.value < state.term) return TermWentBack();
    if (waits) return Status(Code::kBusy, "the append has to wait");
    Lsn end;
    const Room room = RoomFor(state, entry.payload.size(), &end);
    if (room != Room::kReady) RL_RETURN_IF_ERROR(MakeRoom(room, end, history));
  }
}

// All pieces lie next to each other: the lock is kept while the ring drains. Nothing is in the log
// before the first piece is; a failure on the way leaves a run without an end, which never
// happened.
Result<Appended> LogAppender::AppendPieces(const Entry& entry, WriterHook* hook) {
  WriterState state = Current();
  if (entry.term.value != 0 && entry.term.value < state.term) return TermWentBack();
  Appended appended;
  const uint64_t now_us = env_.clock.WallMicros();
  for (uint64_t at = 0; at < entry.payload.size();) {
    const Bytes payload =
        entry.payload.subspan(at, std::min(max_payload_, entry.payload.size() - at));
    Lsn end;
    for (;;) {
      const Room room = RoomFor(state, payload.size(), &end);
      if (room == Room::kReady) break;
      RL_RETURN_IF_ERROR(MakeRoom(room, end, flusher_.History()));
    }
    const bool last = at + payload.size() == entry.payload.size();
    const uint8_t flags =
        static_cast<uint8_t>((at > 0 ? kRecordContinues : 0) | (last ? 0 : kRecordMore));
    const Piece piece{payload, PayloadCrc(payload), static_cast<uint8_t>(entry.type),
                      flags,   entry.operations,    entry.term.value,
                      now_us};
    const Lsn lsn = Place(state, piece);
    if (at == 0) appended.lsn = lsn;
    if (last) {
      state.visible = state.tail;
      ++state.transactions;
    }
    // The pieces so far go to the disk; readers see them with the last one. If there never is a
    // last one, the next record drops them.
    Flip(state);
    if (last && hook != nullptr) {
      const Status inserted = hook->Insert(Lsn(state.tail), entry);
      if (!inserted.ok()) {
        flusher_.Fail(inserted.sys_errno());
        return inserted.WithFate(Fate::kUnknown);
      }
    }
    PublishEnds(state);
    at += payload.size();
  }
  appended.end = Lsn(state.tail);
  appended.history = flusher_.History();
  appended.term = Term(state.term);
  return appended;
}

Result<Appended> LogAppender::AppendLarge(const Entry& entry, WriterHook* hook) {
  RL_RETURN_IF_ERROR(LockWriter());
  const Status let_in = CheckGate(entry, Role::kWriter);
  if (!let_in.ok()) {
    env_.threads.Unlock(region_->writer.mutex);
    return let_in;
  }
  Entry admitted = entry;
  const Admission admission =
      hook == nullptr ? Admission::kAppend : hook->Admit(0, Lsn(Current().tail), admitted);
  Result<Appended> appended = Appended();
  if (admission == Admission::kAppend || admission == Admission::kAppendChanged) {
    appended = AppendPieces(admitted, hook);
  }
  if (admission == Admission::kStop) appended = Status(Code::kBusy, "the append has to wait");
  env_.threads.Unlock(region_->writer.mutex);
  return appended;
}

Result<Appended> LogAppender::Append(const Entry& entry, WriterHook* hook) {
  RL_RETURN_IF_ERROR(CheckEntry(entry));
  if (hook == nullptr) hook = hook_;
  return entry.payload.size() <= max_payload_ ? AppendSmall(entry, hook, Role::kWriter)
                                              : AppendLarge(entry, hook);
}

Result<Appended> LogAppender::AppendTerm(const TermRecord& record) {
  const auto payload = EncodeTermRecord(record);
  Entry entry;
  entry.payload = payload;
  entry.type = RecordType::kTermStart;
  entry.term = record.counter;
  return AppendOfGroup(entry, Role::kNewPrimary);
}

Result<Appended> LogAppender::AppendConfiguration(Term term, Bytes payload) {
  if (term.value == 0) return Status(Code::kInvalidArgument, "a group has no term 0");
  Entry entry;
  entry.payload = payload;
  entry.type = RecordType::kConfiguration;
  entry.term = term;
  return AppendOfGroup(entry, Role::kWriter);
}

// One of the records that a group makes of itself: no hook has a reason to refuse it.
Result<Appended> LogAppender::AppendOfGroup(const Entry& entry, Role role) {
  RL_RETURN_IF_ERROR(CheckEntry(entry));
  auto appended = AppendSmall(entry, hook_, role);
  if (!appended.ok() || appended->end.value != 0) return appended;
  return Status(Code::kInvalidArgument, "a record of the group was refused");
}

Status LogAppender::InSection(const std::function<Status(Lsn tail)>& section) {
  RL_RETURN_IF_ERROR(LockWriter());
  const Status status = section(Lsn(Current().tail));
  env_.threads.Unlock(region_->writer.mutex);
  return status;
}

}  // namespace ringleader
