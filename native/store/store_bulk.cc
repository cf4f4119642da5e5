// Bulk loads: rows go straight into the base, in their order, without log and overlay.
//
// They go under an id that no name has yet, in this order:
//   the id is taken          by a transaction of its own, so that nobody else gets it
//   the id is a dropped one  noted in the base: until further notice its rows are rubbish
//   rows                     batch by batch, each one synced; the fold comes in between
//   a new epoch              views that are renewed take the base anew, and with it the rows
//   kBulkLoad in the log     whoever has only the log learns that it lacks rows
//   the name gets the id     a transaction; the load has happened
// The fold takes the id off the list of the dropped when the base has the name too, and with it
// nothing can take the name back any more (folder_dropped.cc). So whatever dies or is rolled back
// on the way leaves rows that are still on the list, and go.
//
// Rows carry the LSN at which their id was taken: below that of every view that knows the name. An
// older view reads an older snapshot of the base, and has no name for what else it may find there.
#include <array>
#include <utility>

#include "base/coding.h"
#include "base/mutant.h"
#include "store/bulk_role.h"
#include "store/merge_cursor.h"
#include "store/store_parts.h"

namespace ringleader {
namespace {

constexpr size_t kBatchRows = 100'000;
constexpr size_t kBatchBytes = size_t{64} << 20;

Status RolledBack() {
  return Status(Code::kConflict, "the environment was rolled back during the bulk load");
}

// Rows that wait for their batch. They are copied, so that nobody has to wait for the caller's next
// row while the base is locked.
class RowBuffer {
 public:
  explicit RowBuffer(DatabaseId id) { StoreRowPrefix(prefix_.data(), id); }

  // Takes rows until the buffer is full or there are no more: false then.
  Result<bool> Fill(const std::function<Result<bool>(Store::BulkRow*)>& next) {
    bytes_.clear();
    places_.clear();
    while (places_.size() < kBatchRows && bytes_.size() < kBatchBytes) {
      Store::BulkRow row;
      RL_ASSIGN_OR_RETURN(const bool more, next(&row));
      if (!more) return false;
      RL_RETURN_IF_ERROR(Add(row));
    }
    return true;
  }

  Status Write(BaseTree& base, Lsn version) const {
    if (places_.empty()) return Status::Ok();
    RL_ASSIGN_OR_RETURN(const auto batch, base.Begin());
    const Bytes all(bytes_);
    for (const Place& place : places_) {
      const Bytes row_key = all.subspan(place.at, place.row_key_bytes);
      const Bytes value = all.subspan(place.at + place.row_key_bytes, place.value_bytes);
      RL_RETURN_IF_ERROR(batch->Put(row_key, version, value));
    }
    return batch->Commit();
  }

  uint64_t rows() const { return places_.size(); }

 private:
  struct Place {
    size_t at;
    size_t row_key_bytes;
    size_t value_bytes;
  };

  Status Add(const Store::BulkRow& row) {
    if (row.key.empty()) return Status(Code::kInvalidArgument, "a key has at least one byte");
    if (row.key.size() > kMaxKeyBytes) {
      return Status(Code::kTooLarge, "a key has at most 1,978 bytes");
    }
    if (row.value.size() > kMaxValueBytes) {
      return Status(Code::kTooLarge, "a value has at most 1 GiB");
    }
    if (!last_key_.empty() && CompareRowKeys(last_key_, row.key) >= 0) {
      return Status(Code::kInvalidArgument,
                    "the keys of a bulk load have to be in strictly ascending order");
    }
    last_key_.assign(row.key.begin(), row.key.end());
    places_.push_back({bytes_.size(), prefix_.size() + row.key.size(), row.value.size()});
    bytes_.insert(bytes_.end(), prefix_.begin(), prefix_.end());
    bytes_.insert(bytes_.end(), row.key.begin(), row.key.end());
    bytes_.insert(bytes_.end(), row.value.begin(), row.value.end());
    return Status::Ok();
  }

  std::array<uint8_t, kRowPrefixBytes> prefix_;
  std::vector<uint8_t> bytes_;
  std::vector<Place> places_;
  std::vector<uint8_t> last_key_;
};

// kExists where the database has rows. That it has none is recorded in the transaction.
Status CheckEmpty(Transaction& transaction, const Database& database) {
  std::array<uint8_t, kRowPrefixBytes> low, high;
  StoreRowPrefix(low.data(), database.id);
  StoreRowPrefix(high.data(), database.id + 1);
  transaction.AddRange(low, high);
  RL_ASSIGN_OR_RETURN(const auto cursor, transaction.OpenCursor());
  RL_RETURN_IF_ERROR(cursor->SeekAtLeast(low));
  if (cursor->valid() && LoadRowPrefix(cursor->row_key()) == database.id) {
    return Status(Code::kExists, "the database " + database.name + " has rows already");
  }
  return Status::Ok();
}

}  // namespace

std::vector<uint8_t> EncodeBulkLoad(DatabaseId id, uint64_t rows) {
  std::vector<uint8_t> payload;
  Encoder out(&payload);
  out.Fixed(id);
  out.Fixed(rows);
  return payload;
}

// Takes an id for the load and puts it on the list of the dropped.
Result<DatabaseId> Store::TakeBulkId(const std::string& name, uint64_t* history, Lsn* version) {
  DatabaseId id = 0;
  Appended taken;
  RL_RETURN_IF_ERROR(ChangeCatalogue(
      [&](Transaction& transaction) -> Result<bool> {
        RL_ASSIGN_OR_RETURN(const auto found, FindInCatalogue(transaction, name));
        if (found) RL_RETURN_IF_ERROR(CheckEmpty(transaction, *found));
        *history = transaction.view().history();
        RL_ASSIGN_OR_RETURN(id, TakeDatabaseId(transaction));
        return true;
      },
      &taken));
  *version = taken.end;
  (**parts_->region).fold.dropped.store(1, std::memory_order_release);
  RL_ASSIGN_OR_RETURN(const auto batch, parts_->base->Begin());
  RL_RETURN_IF_ERROR(batch->AddDropped(id));
  RL_RETURN_IF_ERROR(batch->Commit());
  // Rolled back in between, the id may be somebody else's. From here on the note keeps them off.
  if (parts_->overlay->history() != *history) return RolledBack();
  return id;
}

// The name gets the rows.
Status Store::NameBulkLoad(const std::string& name, DatabaseId id, uint64_t rows,
                           uint64_t history) {
  // A view that stands keeps its snapshot of the base as long as the list of generations does.
  (**parts_->region).list.epoch.fetch_add(1, std::memory_order_acq_rel);
  const std::vector<uint8_t> payload = EncodeBulkLoad(id, rows);
  Entry entry;
  entry.payload = payload;
  entry.type = RecordType::kBulkLoad;
  RL_RETURN_IF_ERROR(log_->Append(entry).status());
  Appended named;
  RL_RETURN_IF_ERROR(ChangeCatalogue(
      [&](Transaction& transaction) -> Result<bool> {
        if (transaction.view().history() != history) return RolledBack();
        RL_ASSIGN_OR_RETURN(const auto found, FindInCatalogue(transaction, name));
        Database database;
        database.name = name;
        if (found) {
          RL_RETURN_IF_ERROR(CheckEmpty(transaction, *found));
          database = *found;
          RL_RETURN_IF_ERROR(transaction.Put(DroppedRowKey(found->id), {}));
        }
        database.id = id;
        RL_RETURN_IF_ERROR(transaction.Put(DatabaseRowKey(name), EncodeDatabase(database)));
        return true;
      },
      &named));
  return log_->WaitFor(named.end, Level::kFlushed).WithFate(Fate::kUnknown);
}

Result<uint64_t> Store::BulkLoad(const std::string& name,
                                 const std::function<Result<bool>(BulkRow*)>& next) {
  RL_RETURN_IF_ERROR(CheckDatabaseName(name));
  BulkRole role(env_, *parts_->region);
  RL_RETURN_IF_ERROR(role.Take(BulkRole::kPatienceNs));
  uint64_t history = 0;
  Lsn version;
  RL_ASSIGN_OR_RETURN(const DatabaseId id, TakeBulkId(name, &history, &version));
  RowBuffer buffer(id);
  uint64_t rows = 0;
  for (bool more = true; more;) {
    RL_ASSIGN_OR_RETURN(more, buffer.Fill(next));
    rows += buffer.rows();
    if (!more && RL_MUTANT(kBulkLoadEarlyName)) {
      RL_RETURN_IF_ERROR(NameBulkLoad(name, id, rows, history));
    }
    RL_RETURN_IF_ERROR(buffer.Write(*parts_->base, version));
  }
  if (!RL_MUTANT(kBulkLoadEarlyName)) RL_RETURN_IF_ERROR(NameBulkLoad(name, id, rows, history));
  return rows;
}

}  // namespace ringleader
