#include "store/commit_section.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "store/atomic_rule.h"

namespace ringleader {
namespace {

// Transactions up to this size are admitted where they fit in twice: so whoever has to insert what
// a dead writer left need not look for the room that it took and did not use.
constexpr uint64_t kRedoBytes = uint64_t{1} << 20;

Status OverlayDamaged() {
  return Status(Code::kCorruption, "the overlay in shared memory is damaged");
}

// All of it was admitted once, so what is missing fits where the dead have left nothing behind.
Status FindRedoRoom(Generation& generation, const Operation& operation) {
  const uint64_t bytes = Generation::InsertBytes(operation.row_key.size(), operation.value.size());
  const auto fits = [&] { return generation.used_bytes() + bytes <= generation.capacity(); };
  if (fits()) return Status::Ok();
  RL_RETURN_IF_ERROR(generation.Reclaim());
  if (fits()) return Status::Ok();
  return Status(Code::kFailed, "no room to insert what a dead process had committed");
}

Admission Refuse(Commit& commit, Verdict verdict) {
  commit.verdict = verdict;
  return Admission::kRefuse;
}

}  // namespace

void FetchPlaces(const Generation& generation, std::span<const Entry> entries) {
  std::array<Bytes, 64> row_keys;
  while (!entries.empty()) {
    const size_t run = std::min(row_keys.size(), entries.size());
    size_t count = 0;
    for (const Entry& entry : entries.first(run)) {
      Operation operation;
      if (OperationReader(entry.payload).Next(&operation)) row_keys[count++] = operation.row_key;
    }
    generation.FetchPlaces(std::span(row_keys).first(count));
    entries = entries.subspan(run);
  }
}

Status InsertPayload(Generation& generation, Lsn end, Bytes payload, bool again) {
  OperationReader reader(payload);
  Operation operation;
  while (reader.Next(&operation)) {
    const uint64_t hash = generation.Hash(operation.row_key);
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
    if (again) RL_RETURN_IF_ERROR(FindRedoRoom(generation, operation));
    RL_RETURN_IF_ERROR(
        generation.Insert(end, operation.row_key, hash, operation.removes(), operation.value));
  }
  if (reader.damaged()) {
    return Status(Code::kCorruption, "the log holds a record that is no transaction of databases");
  }
  return Status::Ok();
}

Admission CommitSection::Admit(size_t index, Lsn, Entry& entry) {
  Commit& commit = *commits_[index];
  PreparedCommit& prepared = prepared_[index];
  index_ = index;
  if (commit.verdict != Verdict::kPending) return Admission::kRefuse;
  if (overlay_.epoch() != set_->epoch) return StopFor(Stop::kRefresh);
  if (!reservation_.Admits(commit.ticket)) return StopFor(Stop::kReserved);
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
  const Admission admission = StopFor(
      MakeRoom(overlay_, region_, set_->active(), prepared.summary.overlay_bytes, inserted_));
  return changed && admission == Admission::kAppend ? Admission::kAppendChanged : admission;
}

Status CommitSection::Insert(Lsn end, const Entry& entry) {
  inserted_ = true;
  RL_RETURN_IF_ERROR(InsertPayload(set_->active(), end, entry.payload, false));
  if (prepared_[index_].summary.changes_catalogue) NoteCatalogueChange(region_, end);
  // Relaxed: statistics.
  region_->commit.commits.fetch_add(1, std::memory_order_relaxed);
  return Status::Ok();
}

// The end first: who sees the new state sees how far a view of it has to reach.
void NoteCatalogueChange(StoreRegion& region, Lsn end) {
  region->commit.catalogue_end.store(end.value, std::memory_order_release);
  region->commit.catalogue.fetch_add(1, std::memory_order_acq_rel);
}

Admission CommitSection::StopFor(Stop stop) {
  stop_ = stop;
  return stop == Stop::kNone ? Admission::kAppend : Admission::kStop;
}

// The newest version of a row that is in any generation.
Found CommitSection::Newest(Bytes row_key, uint64_t hash, Row* row) const {
  for (auto place = set_->list.rbegin(); place != set_->list.rend(); ++place) {
    const Found found = (*place)->generation.Newest(row_key, hash, row);
    if (found != Found::kNothing) return found;
  }
  return Found::kNothing;
}

// Versions above this are all in the generations at hand.
Lsn CommitSection::Horizon() const {
  const uint64_t oldest = set_->list.front()->generation.sequence();
  return Lsn(region_.slot(oldest).start.load(std::memory_order_acquire));
}

bool CommitSection::Changed(Commit& commit, Bytes row_key) {
  Row row;
  switch (Newest(row_key, set_->active().Hash(row_key), &row)) {
    case Found::kNothing:
      return false;
    case Found::kDamaged:
      commit.error = OverlayDamaged();
      return true;
    default:
      return row.version > commit.snapshot;
  }
}

bool CommitSection::RangeChanged(Commit& commit, const ReadSet::Range& range) {
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
bool CommitSection::Conflicts(Commit& commit) {
  if (commit.reads == nullptr && !commit.first_committer_wins) return false;
  if (commit.history != region_->commit.history.load(std::memory_order_acquire)) return true;
  if (commit.snapshot < Horizon()) return true;  // too old to tell
  if (commit.reads != nullptr) {
    for (const ReadSet::Key& key : commit.reads->keys()) {
      if (Changed(commit, commit.reads->RowKeyOf(key))) return true;
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
Verdict CommitSection::ApplyAtomic(Commit& commit, PreparedCommit& prepared, bool* changed) {
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

Stop MakeRoom(Overlay& overlay, StoreRegion& region, const Generation& active, uint64_t bytes,
              bool inserted) {
  const uint64_t used = active.used_bytes();
  const uint64_t wanted = bytes <= kRedoBytes ? 2 * bytes : bytes;
  if (used + wanted > active.capacity()) {
    uint64_t want = region->fold.want_bytes.load(std::memory_order_acquire);
    const uint64_t memory = Generation::BytesFor(wanted);
    if (want < memory) region->fold.want_bytes.store(memory, std::memory_order_release);
    // Not while transactions of this call wait to be published: whoever had to insert them again
    // would look for them, and for room, in the generation that is active by then.
    if (inserted) return Stop::kRefresh;
    // An empty one that is too small is passed over: the next one is made to measure.
    return overlay.Rotate() ? Stop::kRefresh : Stop::kRoom;
  }
  const bool admitted =
      used == 0 || used + bytes <= region->fold.admit.load(std::memory_order_acquire);
  return admitted ? Stop::kNone : Stop::kRoom;
}

}  // namespace ringleader
