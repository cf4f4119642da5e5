// Appends records that were shipped from another member: LogAppender::AppendRecords.
//
// Everything is checked outside the writer lock, some records at a time, against the state that the
// log had when it was held last; inside it is only copied. Padding and page of a segment's border
// go in together with the record behind them, as on the primary: so the log ends behind a record.
#include <algorithm>

#include "base/mutant.h"
#include "log/log_appender.h"
#include "log/shipped_overlap.h"

namespace ringleader {
namespace {

constexpr size_t kChunkRecords = 64;  // appended under one lock
constexpr uint64_t kChunkBytes = uint64_t{256} << 10;

Status Misfit(Lsn at, const char* what) {
  return Status(Code::kCorruption, "the log's bytes at " + std::to_string(at.value) + ": " + what);
}

// A record, with what of a segment's border lies in front of it.
struct Group {
  Bytes bytes;
  Lsn end;
  Record record;
  uint32_t records = 0;  // padding counted
};

}  // namespace

class LogAppender::Shipment {
 public:
  Shipment(LogAppender& log, Bytes raw, WriterHook* hook) : log_(log), raw_(raw), hook_(hook) {}

  ShippedAppend Run(Lsn from) {
    if (!Begin(from)) return std::move(result_);
    while (result_.stop == ShipStop::kNothing && !raw_.empty()) {
      groups_.clear();
      const Status checked = Check();
      if (!groups_.empty()) {
        if (hook_ != nullptr) Foresee();
        Place();
      }
      if (!checked.ok() && result_.stop == ShipStop::kNothing) Fail(checked);
    }
    return std::move(result_);
  }

 private:
  bool Begin(Lsn from);
  Status FollowRun();
  bool Lock();
  void Unlock() { log_.env_.threads.Unlock(log_.region_->writer.mutex); }
  Status Check();
  Status CheckGroup(Group* group, RecordStream* stream) const;
  Status CheckRecord(const Record& record, Term before);
  void Foresee();
  void Place();
  bool HasRoom(const Group& group);
  bool PlaceOne(const Group& group);
  bool Admit(Entry& entry);
  void Copy(const Group& group);
  void Note(size_t placed);

  void Stop(ShipStop stop) { result_.stop = stop; }
  void Fail(const Status& status) {
    result_.status = status;
    Stop(ShipStop::kError);
  }

  LogAppender& log_;
  Bytes raw_;  // what has not been checked yet
  WriterHook* const hook_;
  ShippedAppend result_;
  WriterState state_{};
  std::optional<RecordStream> stream_;
  bool open_ = false;  // what has been checked ends inside a transaction
  RecordType type_ = RecordType::kTransaction;
  uint64_t run_bytes_ = 0;
  std::vector<Group> groups_;
  std::vector<Entry> coming_;  // of `groups_`, those that are transactions of one record
  size_t transactions_ = 0;    // admitted in this call
};

bool LogAppender::Shipment::Lock() {
  if (log_.TryLockWriter()) {
    const Gate gate = log_.gate();
    if (gate.state == GateState::kClosed) return true;
    Unlock();
    Fail(Status(Code::kInvalidArgument, "shipped records go where the gate is closed"));
    return false;
  }
  const Status failure = log_.flusher_.Failure();
  if (failure.ok()) Stop(ShipStop::kBusy);
  if (!failure.ok()) Fail(failure);
  return false;
}

bool LogAppender::Shipment::Begin(Lsn from) {
  result_.end = Lsn(log_.region_->ends.tail.load(std::memory_order_acquire));  // pairs with W1
  result_.history = log_.flusher_.History();
  const Status failure = log_.flusher_.Failure();
  if (!failure.ok()) Fail(failure);
  if (!failure.ok() || !Lock()) return false;
  state_ = log_.Current();
  result_.end = Lsn(state_.tail);
  result_.history = log_.flusher_.History();
  Result<bool> same = true;
  if (from < result_.end) {
    same = HasRecords(log_.region_, log_.files_, from, result_.end, raw_);
  }
  Unlock();
  if (from > result_.end) {
    Fail(Status(Code::kInvalidArgument, "records begin beyond the end of the log"));
    return false;
  }
  if (!same.ok() || !*same) {
    result_.end = from;
    if (same.ok()) Stop(ShipStop::kFork);
    if (!same.ok()) Fail(same.status());
    return false;
  }
  raw_ = raw_.subspan(std::min<uint64_t>(result_.end - from, raw_.size()));
  const ChainState chain{state_.prev_crc, Term(state_.term), state_.commit_time_us};
  stream_.emplace(log_.group_id_, log_.segment_bytes_, result_.end, chain);
  const Status followed = raw_.empty() ? Status::Ok() : FollowRun();
  if (!followed.ok()) Fail(followed);
  return followed.ok();
}

// What the log ends with: known from the last call, or read back.
Status LogAppender::Shipment::FollowRun() {
  PendingRun& run = log_.run_;
  const bool known = run.end == result_.end && log_.run_history_ == result_.history &&
                     (run.filled || !run.open || hook_ == nullptr);
  if (!known) {
    RL_ASSIGN_OR_RETURN(run, CollectRun(log_.region_, log_.files_, Lsn(state_.visible), result_.end,
                                        hook_ != nullptr));
    log_.run_history_ = result_.history;
  }
  open_ = run.open;
  type_ = run.type;
  run_bytes_ = run.payload.size();
  return Status::Ok();
}

Status LogAppender::Shipment::CheckGroup(Group* group, RecordStream* stream) const {
  uint64_t used = 0;
  RecordStream::Item item;
  do {
    const Bytes rest = raw_.subspan(used);
    const Lsn at = stream->position();
    const RecordStream::Step step = stream->Look(rest, &item);
    if (step == RecordStream::Step::kBad) return stream->Explain(rest);
    if (step == RecordStream::Step::kShort || item.bytes > rest.size()) {
      return Misfit(at, "they end inside a record");
    }
    const bool padding = item.kind == RecordStream::Kind::kPadding;
    if ((padding || item.kind == RecordStream::Kind::kRest) && !Zeros(item, rest)) {
      return Misfit(at, "padding that is not zero");
    }
    group->records += padding || item.kind == RecordStream::Kind::kRecord ? 1 : 0;
    used += item.bytes;
    stream->Pass(item);
  } while (item.kind != RecordStream::Kind::kRecord);
  group->bytes = raw_.first(used);
  group->end = stream->position();
  group->record = item.record;
  return Status::Ok();
}

// What of a record's place among the others its checksums do not tell.
Status LogAppender::Shipment::CheckRecord(const Record& record, Term before) {
  if (record.continues() && (!open_ || record.type() != type_)) {
    return Misfit(record.lsn(), "a piece of a transaction that is not under way");
  }
  if (!record.continues()) run_bytes_ = 0;
  run_bytes_ += record.header.length;
  if (run_bytes_ > kMaxTransactionBytes)
    return Misfit(record.lsn(), "a transaction over the limit");
  if (record.type() == RecordType::kTermStart) {
    const auto term = DecodeTermRecord(record.payload);
    if (!term.ok() || term.value().counter != record.term() || record.term() <= before ||
        record.header.flags != 0) {
      return Misfit(record.lsn(), "a term's start that is none");
    }
  }
  if (record.type() == RecordType::kConfiguration && record.header.flags != 0) {
    return Misfit(record.lsn(), "a configuration in pieces");
  }
  open_ = record.more();
  type_ = record.type();
  return Status::Ok();
}

Status LogAppender::Shipment::Check() {
  uint64_t bytes = 0;
  while (!raw_.empty() && groups_.size() < kChunkRecords && bytes < kChunkBytes) {
    RecordStream stream = *stream_;
    Group group;
    RL_RETURN_IF_ERROR(CheckGroup(&group, &stream));
    RL_RETURN_IF_ERROR(CheckRecord(group.record, stream_->chain()->term));
    stream_ = stream;
    bytes += group.bytes.size();
    raw_ = raw_.subspan(group.bytes.size());
    groups_.push_back(group);
  }
  return Status::Ok();
}

void LogAppender::Shipment::Foresee() {
  coming_.clear();
  for (const Group& group : groups_) {
    const Record& record = group.record;
    if (record.more() || record.continues() || record.type() != RecordType::kTransaction) continue;
    Entry& entry = coming_.emplace_back();
    entry.payload = record.payload;
  }
  if (coming_.size() > 1) hook_->Foresee(coming_);
}

void LogAppender::Shipment::Place() {
  if (!Lock()) return;
  const WriterState& now = log_.Current();
  if (now.tail != state_.tail || now.prev_crc != state_.prev_crc ||
      log_.flusher_.History() != result_.history) {
    Unlock();
    return Fail(Status(Code::kBusy, "the log has been changed meanwhile"));
  }
  size_t placed = 0;
  while (placed < groups_.size() && PlaceOne(groups_[placed])) ++placed;
  // A transaction that could not be inserted counts, and is not to be seen: the environment ends.
  const bool counts = placed > 0 && log_.flusher_.Failure().ok();
  if (counts) {
    if (hook_ == nullptr) log_.Flip(state_);
    log_.PublishEnds(state_);
    result_.end = Lsn(state_.tail);
  }
  Unlock();
  if (counts) Note(placed);
}

// Of the first so many groups, what the caller wants to know of.
void LogAppender::Shipment::Note(size_t placed) {
  for (const Group& group : std::span(groups_).first(placed)) {
    if (!group.record.more()) result_.whole = group.end;
    // Checked before.
    RL_CHECK(NoteGroupRecord(group.record, &result_.terms, &result_.configurations).ok());
  }
}

bool LogAppender::Shipment::HasRoom(const Group& group) {
  result_.wanted = group.end;
  if (group.end.value > log_.region_->space.prepared_end.load(std::memory_order_acquire)) {
    Stop(ShipStop::kSegment);  // pairs with W3
    return false;
  }
  const uint64_t written = log_.region_->flushed.written.load(std::memory_order_acquire);
  if (group.end.value - written > log_.region_.ring_bytes()) {
    Stop(ShipStop::kRing);
    return false;
  }
  return true;
}

bool LogAppender::Shipment::Admit(Entry& entry) {
  const Admission admission = hook_->Admit(transactions_, Lsn(state_.tail), entry);
  if (admission == Admission::kAppend) return true;
  if (admission == Admission::kStop) {
    Stop(ShipStop::kHook);
  } else {
    Fail(Status(Code::kInvalidArgument, "a shipped transaction was refused"));
  }
  return false;
}

void LogAppender::Shipment::Copy(const Group& group) {
  const RecordHeader& header = group.record.header;
  log_.region_.CopyIn(Lsn(state_.tail), group.bytes);
  state_.tail = group.end.value;
  state_.prev_crc = header.header_crc;
  state_.term = header.term;
  state_.commit_time_us = header.commit_time_us;
  state_.records += group.records;
  state_.payload_bytes += header.length;
  if (group.record.more() && !RL_MUTANT(kShowPieces)) return;
  state_.visible = state_.tail;
  state_.transactions += 1;
}

bool LogAppender::Shipment::PlaceOne(const Group& group) {
  if (!HasRoom(group)) return false;
  const Record& record = group.record;
  PendingRun& run = log_.run_;
  const bool assembles = hook_ != nullptr && record.continues() && run.begun;
  const bool hooked = hook_ != nullptr && !record.more() && (!record.continues() || run.begun);
  const size_t had = run.payload.size();
  if (assembles) {
    run.payload.insert(run.payload.end(), record.payload.begin(), record.payload.end());
  }
  Entry entry;
  entry.payload = record.continues() ? Bytes(run.payload) : record.payload;
  entry.type = record.type();
  entry.operations = record.header.operations;
  entry.term = record.term();
  if (hooked && !Admit(entry)) {
    run.payload.resize(had);
    return false;
  }
  Copy(group);
  if (hook_ != nullptr) log_.Flip(state_);
  if (hooked) {
    ++transactions_;
    const Status inserted = hook_->Insert(group.end, entry);
    if (!inserted.ok()) {
      log_.flusher_.Fail(inserted.sys_errno());
      Fail(inserted.WithFate(Fate::kUnknown));
      return false;
    }
  }
  if (!record.more()) {
    run = PendingRun();
  } else if (!record.continues()) {
    run.payload.clear();
    if (hook_ != nullptr) run.payload.assign(record.payload.begin(), record.payload.end());
    run.filled = hook_ != nullptr;
    run.begun = true;
  }
  run.open = record.more();
  run.type = record.type();
  run.end = group.end;
  return true;
}

ShippedAppend LogAppender::AppendRecords(Lsn from, Bytes raw, WriterHook* hook) {
  const std::lock_guard<std::mutex> lock(shipping_);
  return Shipment(*this, raw, hook == nullptr ? hook_ : hook).Run(from);
}

Status LogAppender::AwaitRoom(const ShippedAppend& stopped) {
  switch (stopped.stop) {
    case ShipStop::kRing:
      return MakeRoom(Room::kRingFull, stopped.wanted, stopped.history);
    case ShipStop::kSegment:
      return MakeRoom(Room::kNoSegment, stopped.wanted, stopped.history);
    case ShipStop::kFork:
      return Status(Code::kInvalidArgument, "the log has other records there");
    default:
      return stopped.status;
  }
}

}  // namespace ringleader
