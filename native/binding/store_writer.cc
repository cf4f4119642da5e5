#include "binding/store_writer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/mutant.h"
#include "env/env.h"

namespace ringleader::binding {
namespace {

constexpr size_t kPayloadBytes = size_t{256} << 10;
constexpr size_t kBatchRecords = 4096;
constexpr size_t kWordsPerRecord = 3;
constexpr size_t kNumbersPerResult = 7;
constexpr double kFailed = -1;
constexpr double kUnchanged = -2;
constexpr uint32_t kUnknownDatabase = 1 << 16;

constexpr size_t kAtomicHeaderBytes = 32;

double LoadDouble(const uint8_t* from) { return std::bit_cast<double>(LoadLe<uint64_t>(from)); }

Status StatusOf(const StoreSubmission& item) {
  if (!item.status.ok()) return item.status;
  switch (item.commit.verdict) {
    case Verdict::kCommitted:
    case Verdict::kUnchanged:
      return Status::Ok();
    case Verdict::kConflict:
      return Status(Code::kConflict, "what the transaction had read has been changed by another");
    case Verdict::kDropped:
      return Status(Code::kDropped, "the database has been dropped or cleared");
    case Verdict::kInvalid:
      return item.commit.error;
    case Verdict::kPending:
      break;
  }
  RL_CHECK(false);
}

}  // namespace

StoreWriter::StoreWriter(Store& store, StoreReader& reader, ProgressSignal* signal)
    : store_(store), reader_(reader) {
  queue_.emplace(PosixEnv().threads,
                 SubmissionQueue<StoreSubmission>::Steps{[this](auto items) { return Run(items); },
                                                         [this](auto& item) { RunOne(item); },
                                                         [signal] { signal->Raise(); }});
}

void StoreWriter::Define(Napi::Env env, Napi::Object memory) {
  const auto share = [&](const char* name, size_t size) {
    return binding::ShareMemory(env, memory, name, size);
  };
  payload_ = static_cast<uint8_t*>(share("payload", kPayloadBytes));
  words_ = static_cast<uint32_t*>(share("entries", kBatchRecords * kWordsPerRecord * 4));
  results_ = static_cast<double*>(share("results", kBatchRecords * kNumbersPerResult * 8));
}

// --- on the queue's thread, too ------------------------------------------------------------------

size_t StoreWriter::Run(std::span<StoreSubmission> items) {
  std::vector<Commit*> commits;
  for (StoreSubmission& item : items) commits.push_back(&item.commit);
  const auto tried = store_.TryCommit(commits);
  const size_t done = tried.ok() ? tried.value() : 0;
  for (const StoreSubmission& item : items.first(done)) {
    if (item.commit.verdict != Verdict::kCommitted) continue;
    store_.log().Request(item.commit.appended.end, item.log_level());
  }
  return done;
}

void StoreWriter::RunOne(StoreSubmission& item) {
  item.status = store_.CommitOne(item.commit);
  if (!item.status.ok() || item.commit.verdict != Verdict::kCommitted) return;
  store_.log().Request(item.commit.appended.end, item.log_level());
}

// --- on the JavaScript thread --------------------------------------------------------------------

void StoreWriter::AddAtomic(Bytes bytes, StoreSubmission* item) {
  RL_CHECK(bytes.size() >= kAtomicHeaderBytes);
  auto atomic = std::make_unique<AtomicOperation>();
  atomic->kind = static_cast<AtomicKind>(bytes[0]);
  const size_t key_bytes = LoadLe<uint16_t>(bytes.data() + 2);
  const size_t value_bytes = LoadLe<uint32_t>(bytes.data() + 4);
  const size_t expected_bytes = LoadLe<uint32_t>(bytes.data() + 8);
  atomic->expected_version = Lsn(static_cast<uint64_t>(LoadDouble(bytes.data() + 16)));
  atomic->delta = LoadDouble(bytes.data() + 24);
  Bytes rest = bytes.subspan(kAtomicHeaderBytes);
  RL_CHECK(key_bytes + value_bytes + expected_bytes == rest.size());
  const auto take = [&](size_t size) {
    const Bytes taken = rest.first(size);
    rest = rest.subspan(size);
    return std::vector<uint8_t>(taken.begin(), taken.end());
  };
  atomic->row_key = take(key_bytes);
  atomic->value = take(value_bytes);
  atomic->expected_value = take(expected_bytes);
  item->commit.atomic = atomic.get();
  item->atomic = std::move(atomic);
}

uint64_t StoreWriter::KnownCatalogue(uint32_t word) const {
  return (word & kUnknownDatabase) != 0 ? 0 : reader_.catalogue();
}

// False where the record is no more: the transaction has ended.
bool StoreWriter::AddRecord(const uint32_t* words, const uint8_t** payload) {
  StoreSubmission& item = items_.emplace_back();
  item.kind = static_cast<RecordKind>(words[1] & 0xff);
  item.level = static_cast<uint8_t>(words[1] >> 8);
  item.promises = words[2];
  if (item.kind == RecordKind::kTransaction) {
    uint64_t catalogue = 0;
    item.transaction = reader_.TakeTransaction(words[0], &catalogue);
    if (item.transaction == nullptr) return false;
    item.commit = item.transaction->PrepareCommit();
    item.commit.catalogue = catalogue;
    reader_.GiveBack(item.transaction->TakeView());
    return true;
  }
  const Bytes bytes(*payload, words[0]);
  RL_CHECK(bytes.data() + bytes.size() <= payload_ + kPayloadBytes);
  *payload += words[0];
  item.commit.catalogue = KnownCatalogue(words[1]);
  if (item.kind == RecordKind::kAtomic) {
    AddAtomic(bytes, &item);
  } else {
    item.commit.payload = bytes;
  }
  return true;
}

int32_t StoreWriter::Submit(size_t count) {
  RL_CHECK(count <= kBatchRecords);
  if (reader_.stale()) return StoreReader::kStale;
  items_.clear();
  const uint8_t* payload = payload_;
  for (size_t i = 0; i < count; ++i) {
    RL_CHECK(AddRecord(words_ + kWordsPerRecord * i, &payload));
  }
  return SubmitAll();
}

int32_t StoreWriter::SubmitOne(Bytes payload, uint32_t word, uint32_t promises) {
  if (reader_.stale()) return StoreReader::kStale;
  items_.clear();
  StoreSubmission& item = items_.emplace_back();
  item.kind = static_cast<RecordKind>(word & 0xff);
  item.level = static_cast<uint8_t>(word >> 8);
  item.promises = promises;
  item.commit.catalogue = KnownCatalogue(word);
  if (item.kind == RecordKind::kAtomic) {
    AddAtomic(payload, &item);
  } else {
    item.commit.payload = payload;
  }
  return SubmitAll();
}

int32_t StoreWriter::SubmitAll() {
  failures_.clear();
  befores_.clear();
  size_t done = 0;
  // Whoever has the turn must not stand behind those that wait for its end. If that fails, the
  // queue tells why.
  for (StoreSubmission& item : items_) {
    if (item.commit.ticket == 0) continue;
    Commit* reserved = &item.commit;
    const auto ignored = store_.TryCommit({&reserved, 1});
    (void)ignored;
  }
  if (queue_->outstanding() == 0) {
    commits_.clear();
    for (StoreSubmission& item : items_) commits_.push_back(&item.commit);
    const auto tried = store_.TryCommit(commits_);
    if (tried.ok()) done = tried.value();  // otherwise the queue tells each of them why
  }
  Lsn wanted[4] = {};
  for (size_t i = 0; i < done; ++i) {
    PutResult(i, items_[i]);
    if (items_[i].commit.verdict != Verdict::kCommitted) continue;
    wanted[static_cast<size_t>(items_[i].log_level())] = items_[i].commit.appended.end;
  }
  for (const Level level : {Level::kWritten, Level::kFlushed}) {
    const Lsn end = wanted[static_cast<size_t>(level)];
    if (end != Lsn()) store_.log().Request(end, level);
  }
  if (done < items_.size()) Queue(std::span(items_).subspan(done));
  std::reverse(failures_.begin(), failures_.end());
  std::reverse(befores_.begin(), befores_.end());
  EndTransactions(items_);
  items_.clear();
  return static_cast<int32_t>(done);
}

// With payloads of their own: those at hand are used again.
void StoreWriter::Queue(std::span<StoreSubmission> items) {
  size_t size = 0;
  for (const StoreSubmission& item : items) {
    if (item.kind == RecordKind::kOperations) size += item.commit.payload.size();
  }
  const std::shared_ptr<uint8_t[]> bytes(new uint8_t[size]);
  uint8_t* to = bytes.get();
  std::vector<StoreSubmission> queued;
  for (StoreSubmission& item : items) {
    StoreSubmission& copy = queued.emplace_back(std::move(item));
    if (copy.kind != RecordKind::kOperations) continue;
    const Bytes payload = copy.commit.payload;
    std::copy(payload.begin(), payload.end(), to);
    if (!RL_MUTANT(kShareQueuedBytes)) copy.commit.payload = {to, payload.size()};
    copy.bytes = bytes;
    to += payload.size();
  }
  queue_->Push(std::move(queued));
}

void StoreWriter::PutResult(size_t i, StoreSubmission& item) {
  double* result = results_ + kNumbersPerResult * i;
  const Appended& appended = item.commit.appended;
  result[0] = static_cast<double>(appended.lsn.value);
  result[1] = static_cast<double>(appended.end.value);
  result[2] = static_cast<double>(item.level);
  result[3] = item.promises;
  result[4] = static_cast<double>(item.kind);
  result[5] = item.atomic != nullptr ? item.atomic->sum : 0;
  result[6] = appended.term.value;
  Status status = StatusOf(item);
  if (!status.ok()) {
    result[0] = kFailed;
    failures_.push_back(std::move(status));
  } else if (item.commit.verdict == Verdict::kUnchanged) {
    result[0] = kUnchanged;
  }
  if (item.atomic != nullptr && item.atomic->kind == AtomicKind::kRemove) {
    befores_.push_back(std::move(item.atomic->before));
  }
}

// Their memory is used again. Those of queued ones are not here.
void StoreWriter::EndTransactions(std::span<StoreSubmission> items) {
  for (StoreSubmission& item : items) {
    if (item.transaction != nullptr) reader_.GiveBack(std::move(item.transaction));
  }
}

size_t StoreWriter::Collect() {
  std::vector<StoreSubmission> taken = queue_->Take(kBatchRecords);
  failures_.clear();
  befores_.clear();
  for (size_t i = 0; i < taken.size(); ++i) PutResult(i, taken[i]);
  EndTransactions(taken);
  std::reverse(failures_.begin(), failures_.end());
  std::reverse(befores_.begin(), befores_.end());
  return taken.size();
}

std::optional<Status> StoreWriter::TakeFailure() {
  if (failures_.empty()) return std::nullopt;
  std::optional<Status> taken(std::move(failures_.back()));
  failures_.pop_back();
  return taken;
}

std::optional<std::vector<uint8_t>> StoreWriter::TakeBefore() {
  if (befores_.empty()) return std::nullopt;
  auto taken = std::move(befores_.back());
  befores_.pop_back();
  return taken;
}

}  // namespace ringleader::binding
