#include "store/committer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/coding.h"
#include "base/mutant.h"
#include "store/atomic_rule.h"
#include "store/catalogue.h"
#include "store/operations.h"

namespace ringleader {
namespace {

constexpr size_t kChunk = 64;  // commits prepared and tried together
constexpr uint64_t kLookAgainNs = 10'000'000;
constexpr uint32_t kManyOperations = 65535;
// Room is kept for inserting the transactions of a dead writer once more, up to this size.
constexpr uint64_t kRedoBytes = uint64_t{1} << 20;
constexpr int kMaxRefreshes = 1000;

Status OverlayDamaged() {
  return Status(Code::kCorruption, "the overlay in shared memory is damaged");
}

}  // namespace

struct Committer::Prepared {
  PayloadSummary summary;
  // Of an atomic operation: the payload that its rule makes of the row as the view showed it.
  std::vector<uint8_t> payload;
  Lsn read_at;
  bool changed = false;  // in the section, after the checksum of its payload was made
  uint64_t hash = 0;
};

// --- inserting ----------------------------------------------------------------------------------

Status Committer::Insert(Generation& generation, Lsn end, Bytes payload, bool again) {
  OperationReader reader(payload);
  Operation operation;
  while (reader.Next(&operation)) {
    const uint64_t hash = HashRowKey(operation.row_key);
    if (again) {
      Row row;
      const Found found = generation.Newest(operation.row_key, hash, &row);
      if (found == Found::kDamaged) return OverlayDamaged();
      // Insertions happen in order: what is above this one was made after it.
      if (found != Found::kNothing && row.version > end) continue;
      const bool there = found != Found::kNothing && row.version == end;
      if (there && operation.removes() && found == Found::kRemoved) continue;
      if (there && !operation.removes() && found == Found::kValue &&
          std::ranges::equal(row.value, operation.value)) {
        continue;
      }
    }
    RL_RETURN_IF_ERROR(
        generation.Insert(end, operation.row_key, hash, operation.removes(), operation.value));
  }
  if (reader.damaged()) {
    return Status(Code::kCorruption, "the log holds a record that is no transaction of databases");
  }
  return Status::Ok();
}

// The hook of whoever appends without a commit, and of the repair after a death.
class Committer::Plain : public WriterHook {
 public:
  explicit Plain(Committer& committer) : committer_(committer) {}

  // Records that are not transactions of databases pass; those that are come from Section.
  Admission Admit(size_t, Lsn, Entry& entry) override {
    return entry.type == RecordType::kTransaction ? Admission::kRefuse : Admission::kAppend;
  }
  Status Insert(Lsn, const Entry&) override { return Status::Ok(); }

  Status Redo(Lsn end, const Entry& entry) override {
    if (entry.type != RecordType::kTransaction) return Status::Ok();
    RL_ASSIGN_OR_RETURN(const PayloadSummary summary, SummarizePayload(entry.payload));
    RL_ASSIGN_OR_RETURN(const GenerationSetRef set, committer_.overlay_.Current());
    Generation& active = set->active();
    if (active.used_bytes() + summary.overlay_bytes > active.capacity()) {
      return Status(Code::kFailed, "no room to insert what a dead process had committed");
    }
    RL_RETURN_IF_ERROR(Committer::Insert(active, end, entry.payload, true));
    if (summary.changes_catalogue) {
      committer_.region_->commit.catalogue.store(end.value, std::memory_order_release);
    }
    return Status::Ok();
  }

  void Mend() override { committer_.overlay_.MendRotation(); }

 private:
  Committer& committer_;
};

// --- the writer section -------------------------------------------------------------------------

// One call's commits inside the writer section.
class Committer::Section : public WriterHook {
 public:
  Section(Committer& committer, GenerationSetRef set, std::span<Commit*> commits,
          std::span<Prepared> prepared)
      : committer_(committer),
        region_(committer.region_),
        set_(std::move(set)),
        commits_(commits),
        prepared_(prepared) {}

  Stop stop() const { return stop_; }
  void Restart() { stop_ = Stop::kNone; }

  Admission Admit(size_t index, Lsn tail, Entry& entry) override {
    Commit& commit = *commits_[index];
    Prepared& prepared = prepared_[index];
    index_ = index;
    if (commit.verdict != Verdict::kPending) return Admission::kRefuse;
    if (committer_.overlay_.epoch() != set_->epoch) return StopFor(Stop::kRefresh);
    if (!committer_.reservation_.Admits(commit.ticket)) return StopFor(Stop::kReserved);
    const uint64_t catalogue = region_->commit.catalogue.load(std::memory_order_acquire);
    if (commit.catalogue != catalogue) return StopFor(Stop::kCatalogue);
    bool changed = false;
    if (commit.atomic != nullptr) {
      const Verdict verdict = ApplyAtomic(commit, prepared, &changed);
      if (verdict == Verdict::kPending) return StopFor(Stop::kReread);
      if (verdict != Verdict::kCommitted) return Refuse(commit, verdict);
      entry.payload = prepared.payload;
    } else if (Conflicts(commit)) {
      // Relaxed: statistics.
      region_->commit.conflicts.fetch_add(1, std::memory_order_relaxed);
      return Refuse(commit, commit.error.ok() ? Verdict::kConflict : Verdict::kInvalid);
    }
    const Admission admission = MakeRoom(tail, prepared.summary.overlay_bytes);
    return changed && admission == Admission::kAppend ? Admission::kAppendChanged : admission;
  }

  Status Insert(Lsn end, const Entry& entry) override {
    RL_RETURN_IF_ERROR(Committer::Insert(set_->active(), end, entry.payload, false));
    if (prepared_[index_].summary.changes_catalogue) {
      region_->commit.catalogue.store(end.value, std::memory_order_release);
    }
    // Relaxed: statistics.
    region_->commit.commits.fetch_add(1, std::memory_order_relaxed);
    return Status::Ok();
  }

  Status Redo(Lsn, const Entry&) override { return Status::Ok(); }  // the permanent hook's
  void Mend() override {}

 private:
  Admission StopFor(Stop stop) {
    stop_ = stop;
    return Admission::kStop;
  }
  static Admission Refuse(Commit& commit, Verdict verdict) {
    commit.verdict = verdict;
    return Admission::kRefuse;
  }

  // The newest version of a row that is in any generation.
  Found Newest(Bytes row_key, uint64_t hash, Row* row) const {
    for (auto place = set_->list.rbegin(); place != set_->list.rend(); ++place) {
      const Found found = (*place)->generation.Newest(row_key, hash, row);
      if (found != Found::kNothing) return found;
    }
    return Found::kNothing;
  }

  // Versions above this are all in the generations at hand.
  Lsn Horizon() const {
    const uint64_t oldest = set_->list.front()->generation.sequence();
    return Lsn(region_.slot(oldest).start.load(std::memory_order_acquire));
  }

  bool Changed(Commit& commit, Bytes row_key) {
    Row row;
    switch (Newest(row_key, HashRowKey(row_key), &row)) {
      case Found::kNothing:
        return false;
      case Found::kDamaged:
        commit.error = OverlayDamaged();
        return true;
      default:
        return row.version > commit.snapshot;
    }
  }

  bool RangeChanged(Commit& commit, const ReadSet::Range& range) {
    const auto bytes = [](const std::string& text) {
      return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    };
    for (const auto& place : set_->list) {
      const uint64_t end =
          region_.slot(place->generation.sequence()).end.load(std::memory_order_acquire);
      if (end <= commit.snapshot.value) continue;
      Generation::Cursor cursor(place->generation);
      for (bool more = cursor.SeekAtLeast(bytes(range.low)); more; more = cursor.Next()) {
        if (!range.high.empty() && CompareRowKeys(cursor.row_key(), bytes(range.high)) >= 0) break;
        Row row;
        const Found found = cursor.Read(kMaxLsn, &row);
        if (found != Found::kNothing && row.version > commit.snapshot) return true;
      }
      if (cursor.damaged()) {
        commit.error = OverlayDamaged();
        return true;
      }
    }
    return false;
  }

  // Whether anything the commit rests on has changed since its snapshot.
  bool Conflicts(Commit& commit) {
    if (commit.reads == nullptr && !commit.first_committer_wins) return false;
    if (commit.history != region_->commit.history.load(std::memory_order_acquire)) return true;
    if (commit.snapshot < Horizon()) return true;  // too old to tell
    if (commit.reads != nullptr) {
      for (const std::string& key : commit.reads->keys()) {
        const Bytes row_key(reinterpret_cast<const uint8_t*>(key.data()), key.size());
        if (Changed(commit, row_key)) return true;
      }
      for (const ReadSet::Range& range : commit.reads->ranges()) {
        if (RangeChanged(commit, range)) return true;
      }
    }
    if (!commit.first_committer_wins) return false;
    OperationReader reader(commit.payload);
    Operation operation;
    while (reader.Next(&operation)) {
      if (Changed(commit, operation.row_key)) return true;
    }
    return false;
  }

  // kPending: the row has to be read again. kCommitted: the payload is ready.
  Verdict ApplyAtomic(Commit& commit, Prepared& prepared, bool* changed) {
    AtomicOperation& atomic = *commit.atomic;
    if (prepared.read_at < Horizon() ||
        commit.history != region_->commit.history.load(std::memory_order_acquire)) {
      return Verdict::kPending;
    }
    Row row;
    const Found found = Newest(atomic.row_key, prepared.hash, &row);
    if (found == Found::kDamaged) {
      commit.error = OverlayDamaged();
      return Verdict::kInvalid;
    }
    if (found != Found::kNothing && row.version > prepared.read_at) {
      std::optional<Row> current;
      if (found == Found::kValue) current = row;
      const Status applied = ApplyAtomicRule(current, &atomic, &prepared.payload);
      if (!applied.ok()) {
        commit.error = applied;
        return Verdict::kInvalid;
      }
      // What was admitted once and found no room is asked again, with the payload of then.
      prepared.read_at = row.version;
      prepared.changed = true;
      if (!prepared.payload.empty()) {
        const auto summary = SummarizePayload(prepared.payload);
        RL_CHECK(summary.ok());
        prepared.summary = summary.value();
      }
    }
    *changed = prepared.changed;
    return prepared.payload.empty() ? Verdict::kUnchanged : Verdict::kCommitted;
  }

  Admission MakeRoom(Lsn tail, uint64_t bytes) {
    const Generation& active = set_->active();
    const uint64_t used = active.used_bytes();
    const uint64_t wanted = bytes <= kRedoBytes ? 2 * bytes : bytes;
    if (used + wanted > active.capacity()) {
      uint64_t want = region_->fold.want_bytes.load(std::memory_order_acquire);
      const uint64_t memory = Generation::BytesFor(wanted);
      if (want < memory) region_->fold.want_bytes.store(memory, std::memory_order_release);
      // An empty one that is too small is passed over: the next one is made to measure.
      return StopFor(committer_.overlay_.Rotate(tail) ? Stop::kRefresh : Stop::kRoom);
    }
    const bool admitted =
        used == 0 || used + bytes <= region_->fold.admit.load(std::memory_order_acquire);
    return admitted ? Admission::kAppend : StopFor(Stop::kRoom);
  }

  Committer& committer_;
  StoreRegion& region_;
  GenerationSetRef set_;
  std::span<Commit*> commits_;
  std::span<Prepared> prepared_;
  size_t index_ = 0;  // of the entry that was admitted last
  Stop stop_ = Stop::kNone;
};

// --- outside the section ------------------------------------------------------------------------

Committer::Committer(Env& env, Log& log, Overlay& overlay, BaseTree& base, StoreRegion& region,
                     Reservation& reservation, std::function<void()> room_wanted)
    : env_(env),
      log_(log),
      overlay_(overlay),
      base_(base),
      region_(region),
      reservation_(reservation),
      room_wanted_(std::move(room_wanted)),
      plain_(std::make_unique<Plain>(*this)) {}

Committer::~Committer() = default;

WriterHook& Committer::hook() { return *plain_; }

std::unique_ptr<View> Committer::BorrowView() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (views_.empty()) return std::make_unique<View>(overlay_, base_);
  std::unique_ptr<View> view = std::move(views_.back());
  views_.pop_back();
  return view;
}

void Committer::ReturnView(std::unique_ptr<View> view) {
  view->Release();
  const std::lock_guard<std::mutex> lock(mutex_);
  views_.push_back(std::move(view));
}

// Applies the rule of an atomic operation to the row as it is now.
Status Committer::ReadForAtomic(Commit& commit, Prepared* prepared) {
  std::unique_ptr<View> view = BorrowView();
  Status status = view->Renew();
  if (status.ok()) {
    prepared->read_at = view->lsn();
    prepared->changed = false;
    commit.history = view->history();
    const auto row = view->Get(commit.atomic->row_key);
    status =
        row.ok() ? ApplyAtomicRule(row.value(), commit.atomic, &prepared->payload) : row.status();
  }
  ReturnView(std::move(view));
  return status;
}

void Committer::Prepare(Commit& commit, Prepared* prepared) {
  if (commit.verdict != Verdict::kPending) return;
  Bytes payload = commit.payload;
  if (commit.atomic != nullptr) {
    prepared->hash = HashRowKey(commit.atomic->row_key);
    commit.error = ReadForAtomic(commit, prepared);
    payload = prepared->payload;
  }
  if (commit.error.ok()) {
    auto summary = SummarizePayload(payload);
    if (summary.ok()) prepared->summary = summary.value();
    if (!summary.ok()) commit.error = Status(Code::kInvalidArgument, summary.status().message());
  }
  if (commit.error.ok() && commit.catalogue == 0) commit.error = CheckDatabases(commit, payload);
  if (!commit.error.ok() && commit.verdict == Verdict::kPending) commit.verdict = Verdict::kInvalid;
}

// Whether all databases that the payload writes to exist, as of a state of the catalogue that is
// noted in the commit.
Status Committer::CheckDatabases(Commit& commit, Bytes payload) {
  for (;;) {
    const uint64_t state = region_->commit.catalogue.load(std::memory_order_acquire);
    RL_CHECK(state != 0);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (live_state_ == state) {
        OperationReader reader(payload);
        Operation operation;
        while (reader.Next(&operation)) {
          const DatabaseId id = LoadRowPrefix(operation.row_key);
          if (id == kCatalogueId || std::ranges::binary_search(live_, id)) continue;
          commit.verdict = Verdict::kDropped;
          return Status::Ok();
        }
        commit.catalogue = state;
        return Status::Ok();
      }
    }
    std::unique_ptr<View> view = BorrowView();
    Status status = view->Renew();
    std::vector<DatabaseId> live;
    if (status.ok()) {
      const auto databases = ListDatabases(*view);
      status = databases.status();
      if (databases.ok()) {
        for (const Database& database : databases.value()) live.push_back(database.id);
      }
    }
    const bool current = view->lsn().value >= state || state == kFirstCatalogueState;
    ReturnView(std::move(view));
    RL_RETURN_IF_ERROR(status);
    if (!current) {
      // A change that counts but is not visible yet. Its writer may have died: the next holder of
      // the lock makes it visible.
      RL_RETURN_IF_ERROR(log_.InSection([](Lsn) { return Status::Ok(); }));
      continue;
    }
    std::ranges::sort(live);
    const std::lock_guard<std::mutex> lock(mutex_);
    live_ = std::move(live);
    live_state_ = state;
  }
}

Result<size_t> Committer::TryCommit(std::span<Commit*> commits) {
  size_t done = 0;
  while (done < commits.size()) {
    const size_t count = std::min(kChunk, commits.size() - done);
    const std::span<Commit*> chunk = commits.subspan(done, count);
    std::array<Prepared, kChunk> prepared;
    std::array<Entry, kChunk> entries;
    std::array<Appended, kChunk> appended;
    for (size_t i = 0; i < count; ++i) {
      Prepare(*chunk[i], &prepared[i]);
      entries[i].payload =
          chunk[i]->atomic != nullptr ? Bytes(prepared[i].payload) : chunk[i]->payload;
      entries[i].operations =
          static_cast<uint16_t>(std::min(prepared[i].summary.operations, kManyOperations));
      if (chunk[i]->verdict != Verdict::kPending) entries[i].payload = Bytes();
    }
    size_t placed = 0;
    for (int tries = 0; placed < count; ++tries) {
      RL_ASSIGN_OR_RETURN(GenerationSetRef set, overlay_.Current());
      Section section(*this, std::move(set), chunk.subspan(placed),
                      std::span(prepared).subspan(placed));
      RL_ASSIGN_OR_RETURN(const size_t now,
                          log_.TryAppend(std::span(entries).subspan(placed, count - placed),
                                         std::span(appended).subspan(placed), &section));
      for (size_t i = placed; i < placed + now; ++i) {
        if (chunk[i]->verdict != Verdict::kPending) continue;
        chunk[i]->verdict = Verdict::kCommitted;
        chunk[i]->appended = appended[i];
      }
      placed += now;
      if (placed == count) break;
      Commit& next = *chunk[placed];
      const Stop stop = section.stop();
      if (stop == Stop::kCatalogue) next.catalogue = 0;
      const bool again = stop == Stop::kCatalogue || stop == Stop::kReread;
      if (again) {
        Prepare(next, &prepared[placed]);
        entries[placed].payload =
            next.atomic != nullptr ? Bytes(prepared[placed].payload) : next.payload;
        if (next.verdict != Verdict::kPending) entries[placed].payload = Bytes();
      }
      if ((again || stop == Stop::kRefresh) && tries < kMaxRefreshes) {
        if (stop == Stop::kRefresh) room_wanted_();
        continue;
      }
      if (stop == Stop::kRoom) room_wanted_();
      return done + placed;
    }
    done += count;
  }
  return done;
}

void Committer::Wait(Stop stop, uint32_t sequence) {
  if (stop == Stop::kReserved && reservation_.ExpireOverdue()) return;
  if (stop == Stop::kRoom) {
    // Relaxed: statistics.
    region_->fold.held_up.fetch_add(1, std::memory_order_relaxed);
    room_wanted_();
  }
  region_.AwaitProgress(sequence, kLookAgainNs);
}

Status Committer::CommitOne(Commit& commit, uint64_t timeout_ns) {
  const uint64_t began = env_.clock.MonotonicNanos();
  Commit* const one = &commit;
  Prepared prepared;
  Prepare(commit, &prepared);
  while (commit.verdict == Verdict::kPending) {
    const uint32_t sequence = region_.ProgressSequence();
    RL_ASSIGN_OR_RETURN(GenerationSetRef set, overlay_.Current());
    Section section(*this, std::move(set), {const_cast<Commit**>(&one), 1}, {&prepared, 1});
    Entry entry;
    entry.payload = commit.atomic != nullptr ? Bytes(prepared.payload) : commit.payload;
    entry.operations =
        static_cast<uint16_t>(std::min(prepared.summary.operations, kManyOperations));
    const auto appended = log_.Append(entry, &section);
    if (appended.ok()) {
      if (commit.verdict == Verdict::kPending) {
        commit.verdict = Verdict::kCommitted;
        commit.appended = appended.value();
      }
      break;
    }
    if (appended.status().code() != Code::kBusy) return appended.status();
    switch (section.stop()) {
      case Stop::kNone:
        break;
      case Stop::kRefresh:
        room_wanted_();
        break;
      case Stop::kCatalogue:
        commit.catalogue = 0;
        [[fallthrough]];
      case Stop::kReread:
        Prepare(commit, &prepared);
        break;
      case Stop::kReserved:
      case Stop::kRoom: {
        const int failed = region_->fold.failed.load(std::memory_order_acquire);
        if (section.stop() == Stop::kRoom && failed != 0) {
          return ErrnoStatus(failed, "the overlay is full, and the last fold failed");
        }
        Wait(section.stop(), sequence);
        break;
      }
    }
    RL_RETURN_IF_ERROR(log_.Failure());
    if (timeout_ns != kForeverNs && env_.clock.MonotonicNanos() - began > timeout_ns) {
      return Status(Code::kTimeout, "the commit found no room in time");
    }
  }
  return Status::Ok();
}

}  // namespace ringleader
