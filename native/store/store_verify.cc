// Verification: everything that is stored is read, and every place is held against the others.
//
//   log        every record from the start to the end that was visible at the beginning
//   overlay    every generation: order, links, versions inside its stretch of the log
//   catalogue  ids used once, below the next id; names that names can be
//   base       every page and row (BaseTree::Verify), and no rows that belong to nobody
//   view       its rows counted by a walk over all places, against what the places hold one by one
//
// All but the first rest on one view, so writers may go on meanwhile. They do not disturb the log
// either: what is recycled under the reader is looked for no more.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/check.h"
#include "store/merge_cursor.h"
#include "store/operations.h"
#include "store/store_parts.h"

namespace ringleader {
namespace {

constexpr int kMaxTries = 100;

Status Damage(const std::string& what) { return Status(Code::kCorruption, what); }

Result<uint64_t> CheckLogFrom(Log& log, Lsn start, Lsn end) {
  const std::unique_ptr<LogReader> reader = log.Read(start);
  for (uint64_t records = 0;; ++records) {
    RL_ASSIGN_OR_RETURN(const std::optional<LogEntry> entry, reader->Next());
    if (!entry || entry->lsn >= end) return records;
    if (entry->type == RecordType::kTransaction) {
      const auto summary = SummarizePayload(entry->payload);
      if (!summary.ok()) {
        return Damage("log at " + std::to_string(entry->lsn.value) +
                      ": no transaction of databases");
      }
    }
    if (entry->end >= end) return records + 1;
  }
}

Result<uint64_t> CheckLog(Log& log) {
  for (int tries = 0;; ++tries) {
    const LogStat stat = log.Stat();
    const auto records = CheckLogFrom(log, stat.start, stat.visible);
    const bool again = records.status().code() == Code::kTrimmed && tries < kMaxTries;
    if (!again) return records;
  }
}

// One view, looked at from all sides.
class ViewCheck {
 public:
  explicit ViewCheck(View& view) : view_(view) {}

  Status Catalogue();
  Status BaseDatabases();
  Status Overlay();
  Status Walk();

  uint64_t rows() const { return rows_; }
  uint64_t databases() const { return live_.size(); }

 private:
  Status CatalogueRow(Bytes row_key, Bytes value);
  Status OverlayRow(size_t place, Bytes row_key, const Row& row, bool removed);

  View& view_;
  std::set<DatabaseId> live_, dropped_;
  DatabaseId next_id_ = 1;
  std::map<DatabaseId, uint64_t> expected_;  // rows, by what base and generations hold
  uint64_t rows_ = 0;
};

Status ViewCheck::CatalogueRow(Bytes row_key, Bytes value) {
  if (std::ranges::equal(row_key, NextIdRowKey())) {
    if (value.size() != sizeof next_id_) return Damage("the catalogue's next id is damaged");
    next_id_ = LoadRowPrefix(value);
    return Status::Ok();
  }
  if (const auto dropped = DroppedId(row_key)) {
    dropped_.insert(*dropped);
    return Status::Ok();
  }
  RL_ASSIGN_OR_RETURN(const Database database, DecodeDatabase(row_key, value));
  if (live_.insert(database.id).second) return Status::Ok();
  return Damage("two databases have the id " + std::to_string(database.id));
}

Status ViewCheck::Catalogue() {
  RL_ASSIGN_OR_RETURN(const auto cursor, MergeCursor::Open(view_, nullptr));
  RL_RETURN_IF_ERROR(cursor->SeekAtLeast({}));
  while (cursor->valid() && LoadRowPrefix(cursor->row_key()) == kCatalogueId) {
    RL_RETURN_IF_ERROR(CatalogueRow(cursor->row_key(), cursor->row().value));
    RL_RETURN_IF_ERROR(cursor->Next());
  }
  if (!live_.empty() && *live_.rbegin() >= next_id_) {
    return Damage("a database has an id that is still to be given out");
  }
  for (const DatabaseId id : dropped_) {
    if (live_.contains(id)) return Damage("a database is dropped and has a name");
  }
  return Status::Ok();
}

// What the base has belongs to a database, or is going.
Status ViewCheck::BaseDatabases() {
  BaseTree::Snapshot& base = view_.base();
  RL_ASSIGN_OR_RETURN(const auto cursor, BaseTree::Cursor::Open(base));
  RL_RETURN_IF_ERROR(cursor->SeekAtLeast({}));
  while (cursor->valid()) {
    const DatabaseId id = LoadRowPrefix(cursor->row_key());
    RL_ASSIGN_OR_RETURN(expected_[id], base.Rows(id));
    const bool known = id == kCatalogueId || live_.contains(id) || dropped_.contains(id);
    if (!known) {
      RL_ASSIGN_OR_RETURN(const auto note, base.Get(NoteKey(NoteKind::kDropped, id)));
      if (!note) {
        return Damage("the base has rows of the database " + std::to_string(id) +
                      ", which does not exist");
      }
    }
    if (id == kMaxDatabaseId) break;
    std::array<uint8_t, kRowPrefixBytes> next;
    StoreRowPrefix(next.data(), id + 1);
    RL_RETURN_IF_ERROR(cursor->SeekAtLeast(next));
  }
  return Status::Ok();
}

// A row as the generation at `place` shows it: it counts unless a newer generation has it too.
Status ViewCheck::OverlayRow(size_t place, Bytes row_key, const Row& row, bool removed) {
  const auto& list = view_.generations().list;
  const uint64_t hash = list[place]->generation.Hash(row_key);
  for (size_t newer = place + 1; newer < list.size(); ++newer) {
    Row other;
    const Found found = list[newer]->generation.Find(row_key, hash, view_.lsn(), &other);
    if (found == Found::kDamaged) return Damage("the overlay in shared memory is damaged");
    if (found != Found::kNothing) return Status::Ok();
  }
  RL_ASSIGN_OR_RETURN(const auto seen, view_.Get(row_key));
  const bool same =
      removed ? !seen.has_value()
              : seen && seen->version == row.version && std::ranges::equal(seen->value, row.value);
  if (!same) return Damage("a row of the overlay is not what a view of it shows");
  RL_ASSIGN_OR_RETURN(const auto below, view_.base().Get(row_key));
  uint64_t& count = expected_[LoadRowPrefix(row_key)];
  if (removed && below) count -= 1;
  if (!removed && !below) count += 1;
  return Status::Ok();
}

Status ViewCheck::Overlay() {
  const auto& list = view_.generations().list;
  for (size_t place = 0; place < list.size(); ++place) {
    Generation::Cursor cursor(list[place]->generation);
    for (bool more = cursor.SeekAtLeast({}); more; more = cursor.Next()) {
      Row row;
      const Found found = cursor.Read(view_.lsn(), &row);
      if (found == Found::kDamaged) return Damage("the overlay in shared memory is damaged");
      if (found == Found::kNothing) continue;
      RL_RETURN_IF_ERROR(OverlayRow(place, cursor.row_key(), row, found == Found::kRemoved));
    }
    if (cursor.damaged()) return Damage("the overlay in shared memory is damaged");
  }
  return Status::Ok();
}

Status ViewCheck::Walk() {
  RL_ASSIGN_OR_RETURN(const auto cursor, MergeCursor::Open(view_, nullptr));
  RL_RETURN_IF_ERROR(cursor->SeekAtLeast({}));
  std::map<DatabaseId, uint64_t> counted;
  std::vector<uint8_t> before;
  while (cursor->valid()) {
    const Bytes row_key = cursor->row_key();
    if (!before.empty() && CompareRowKeys(before, row_key) >= 0) {
      return Damage("rows are out of order");
    }
    before.assign(row_key.begin(), row_key.end());
    const DatabaseId id = LoadRowPrefix(row_key);
    // Rows of a bulk load that came to nothing may be newer than the view.
    const bool counts = id == kCatalogueId || live_.contains(id);
    if (counts && cursor->row().version > view_.lsn()) return Damage("a row is newer than the log");
    counted[id] += 1;
    RL_RETURN_IF_ERROR(cursor->Next());
  }
  for (const auto& [id, count] : expected_) {
    if (counted[id] != count) {
      return Damage("the database " + std::to_string(id) + " shows " + std::to_string(counted[id]) +
                    " rows, base and overlay hold " + std::to_string(count));
    }
  }
  if (expected_.size() != counted.size()) return Damage("a database comes from nowhere");
  for (const DatabaseId id : live_) {
    if (const auto found = counted.find(id); found != counted.end()) rows_ += found->second;
  }
  return Status::Ok();
}

// Every generation of the view, while the list says where each one begins and ends.
Status CheckGenerations(StoreRegion& region, ringleader::Overlay& overlay, View* view) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    RL_RETURN_IF_ERROR(view->Renew());
    const GenerationSet& set = view->generations();
    std::vector<std::pair<Lsn, Lsn>> stretches;
    for (const auto& place : set.list) {
      const GenerationSlot& slot = region.slot(place->generation.sequence());
      const uint64_t end = slot.end.load(std::memory_order_acquire);
      stretches.emplace_back(Lsn(slot.start.load(std::memory_order_acquire)),
                             end == kOpenEnd ? kMaxLsn : Lsn(end));
    }
    if (overlay.epoch() != set.epoch) continue;
    for (size_t i = 0; i < stretches.size(); ++i) {
      if (i > 0 && stretches[i].first != stretches[i - 1].second) {
        return Damage("the generations of the overlay leave a gap");
      }
      RL_RETURN_IF_ERROR(set.list[i]->generation.Verify(stretches[i].first, stretches[i].second));
    }
    return Status::Ok();
  }
  return Status(Code::kBusy, "the generations of the overlay change too often");
}

}  // namespace

Result<Store::Verified> Store::Verify() {
  Verified verified;
  RL_RETURN_IF_ERROR(log_->Failure());
  RL_ASSIGN_OR_RETURN(verified.records, CheckLog(*log_));
  RL_RETURN_IF_ERROR(parts_->base->Verify().status());
  const std::unique_ptr<View> view = NewView();
  RL_RETURN_IF_ERROR(CheckGenerations(*parts_->region, *parts_->overlay, view.get()));
  ViewCheck check(*view);
  RL_RETURN_IF_ERROR(check.Catalogue());
  RL_RETURN_IF_ERROR(check.BaseDatabases());
  RL_RETURN_IF_ERROR(check.Overlay());
  RL_RETURN_IF_ERROR(check.Walk());
  verified.rows = check.rows();
  verified.databases = check.databases();
  return verified;
}

}  // namespace ringleader
