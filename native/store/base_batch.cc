// Batches of the base tree: LMDB's write transactions.
//
// LMDB trusts the pages that it changes. So the way to every row is walked and checked first in the
// state before the batch, whose pages no transaction touches while the write lock is held. Pages
// that the batch has changed itself are in LMDB's own memory.
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/coding.h"
#include "base/mutant.h"
#include "store/base_internal.h"
#include "store/base_tree.h"

namespace ringleader {

using namespace base_internal;  // NOLINT: its own part

namespace {

// Less free space than this, and an I/O error is taken for a full disk: LMDB reports a write that
// was cut short as an I/O error.
constexpr uint64_t kFullDiskBytes = uint64_t{16} << 20;

struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};

MDB_val ToVal(Bytes bytes) { return {bytes.size(), const_cast<uint8_t*>(bytes.data())}; }
Bytes ToBytes(const MDB_val& val) {
  return Bytes(static_cast<const uint8_t*>(val.mv_data), val.mv_size);
}

}  // namespace

struct BaseTree::Batch::State {
  State(BaseTree& base, MDB_txn* write)
      : tree(base), txn(write), walk(before.pages, before.meta.rows, BaseKeys::kRows) {}

  Status Begin();
  Status Check(Bytes row_key, bool removes);
  Status Write(Bytes row_key, Lsn version, Bytes value);
  Status Erase(Bytes row_key, bool* was_there);
  Result<uint64_t*> Count(DatabaseId database);
  Result<uint64_t> Entries();
  Status WriteNotes();
  Status Fail(Status status) {
    if (failed.ok()) failed = std::move(status);
    return failed;
  }
  Status Failed(int code, const char* what) { return Fail(LmdbStatus(code, what)); }

  BaseTree& tree;
  TxnPtr txn;
  std::unique_ptr<MDB_cursor, CloseCursor> cursor;
  BaseView before;
  BaseWalk walk;
  uint64_t removed_beside = 0;  // leaf whose neighbours have been checked
  Status failed;                // of the first call that did; nothing can be committed after it
  Lsn applied;
  std::map<DatabaseId, uint64_t> counts;  // of databases that the batch has touched
  std::set<std::string> big;              // rows on overflow pages of this batch
};

Status BaseTree::Batch::State::Begin() {
  RL_RETURN_IF_ERROR(tree.LoadView(mdb_txn_id(txn.get()) - 1, &before));
  applied = before.stamp.applied;
  MDB_cursor* opened = nullptr;
  const int code = mdb_cursor_open(txn.get(), kMainDbi, &opened);
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot write to the base tree");
  cursor.reset(opened);
  return Status::Ok();
}

Status BaseTree::Batch::State::Check(Bytes row_key, bool removes) {
  RL_RETURN_IF_ERROR(failed);
  const Status damage = BaseDamage("a page to be changed does not hold together");
  if (walk.SeekChange(row_key) != Step::kAt) return Fail(damage);
  if (!removes || walk.leaf_number() == removed_beside) return Status::Ok();
  // LMDB merges a page that has become too empty with one beside it.
  BaseWalk next = walk, previous = walk;
  if (next.NextLeaf() == Step::kDamaged || previous.PrevLeaf() == Step::kDamaged) {
    return Fail(damage);
  }
  removed_beside = walk.leaf_number();
  return Status::Ok();
}

Result<uint64_t> BaseTree::Batch::State::Entries() {
  MDB_stat stat;
  const int code = mdb_stat(txn.get(), kMainDbi, &stat);
  if (code != MDB_SUCCESS) return Failed(code, "cannot count the rows of the base tree");
  return uint64_t{stat.ms_entries};
}

Status BaseTree::Batch::State::Write(Bytes row_key, Lsn version, Bytes value) {
  RL_RETURN_IF_ERROR(Check(row_key, false));
  // LMDB writes over overflow pages of the same transaction in place and keeps more of them than
  // the new value needs; here the number always follows from the length.
  std::string name;
  const bool is_big = row_key.size() + value.size() > tree.page_bytes_ / 4;  // or nearly so
  if (is_big || !big.empty()) name.assign(row_key.begin(), row_key.end());
  bool was_there = false;
  if (!big.empty() && big.count(name) != 0) RL_RETURN_IF_ERROR(Erase(row_key, &was_there));
  MDB_val key = ToVal(row_key);
  MDB_val stored{value.size() + kBaseTrailerBytes, nullptr};
  const int code = mdb_cursor_put(cursor.get(), &key, &stored, MDB_RESERVE);
  if (code != MDB_SUCCESS) return Failed(code, "cannot write a row to the base tree");
  uint8_t* const to = static_cast<uint8_t*>(stored.mv_data);
  if (!value.empty()) std::memcpy(to, value.data(), value.size());
  StoreBaseTrailer(row_key, version, value, to + value.size());
  if (is_big) big.insert(std::move(name));
  return Status::Ok();
}

Status BaseTree::Batch::State::Erase(Bytes row_key, bool* was_there) {
  RL_RETURN_IF_ERROR(Check(row_key, true));
  *was_there = false;
  MDB_val key = ToVal(row_key);
  MDB_val value;
  int code = mdb_cursor_get(cursor.get(), &key, &value, MDB_SET);
  if (code == MDB_NOTFOUND) return Status::Ok();
  if (code == MDB_SUCCESS) code = mdb_cursor_del(cursor.get(), 0);
  if (code != MDB_SUCCESS) return Failed(code, "cannot remove a row from the base tree");
  *was_there = true;
  return Status::Ok();
}

Result<uint64_t*> BaseTree::Batch::State::Count(DatabaseId database) {
  const auto found = counts.find(database);
  if (found != counts.end()) return &found->second;
  RL_ASSIGN_OR_RETURN(const uint64_t count, FindBaseCount(before, database));
  return &counts.emplace(database, count).first->second;
}

// The stamp comes last: it counts the others.
Status BaseTree::Batch::State::WriteNotes() {
  bool was_there = false;
  for (const auto& [database, count] : counts) {
    const std::vector<uint8_t> key = NoteKey(NoteKind::kRows, database);
    uint8_t value[8];
    StoreLe(value, count);
    const Status status = count == 0 ? Erase(key, &was_there) : Write(key, applied, value);
    RL_RETURN_IF_ERROR(status);
  }
  BaseStamp stamp = before.stamp;
  stamp.transaction = before.meta.transaction + 1;
  stamp.applied = RL_MUTANT(kAppliedOutsideBatch) ? stamp.applied : applied;
  RL_ASSIGN_OR_RETURN(stamp.entries, Entries());
  return Write(NoteKey(NoteKind::kStamp), applied, EncodeBaseStamp(stamp));
}

BaseTree::Batch::Batch(BaseTree& tree, MDB_txn* txn) : state_(std::make_unique<State>(tree, txn)) {}

BaseTree::Batch::~Batch() = default;

Result<std::unique_ptr<BaseTree::Batch>> BaseTree::Begin() {
  MDB_txn* txn = nullptr;
  const int code = mdb_txn_begin(mdb_, nullptr, 0, &txn);
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot write to the base tree");
  std::unique_ptr<Batch> batch(new Batch(*this, txn));
  RL_RETURN_IF_ERROR(batch->state_->Begin());
  return batch;
}

Status BaseTree::Batch::Put(Bytes row_key, Lsn version, Bytes value) {
  if (row_key.size() <= kRowPrefixBytes || LoadRowPrefix(row_key) == kBaseNotesId) {
    return Status(Code::kInvalidArgument, "not the key of a row");
  }
  if (row_key.size() > kMaxRowKeyBytes || value.size() > kMaxValueBytes) {
    return Status(Code::kTooLarge, "a row is too large for the base tree");
  }
  RL_RETURN_IF_ERROR(state_->failed);
  RL_ASSIGN_OR_RETURN(uint64_t* const count, state_->Count(LoadRowPrefix(row_key)));
  RL_ASSIGN_OR_RETURN(const uint64_t before, state_->Entries());
  RL_RETURN_IF_ERROR(state_->Write(row_key, version, value));
  RL_ASSIGN_OR_RETURN(const uint64_t after, state_->Entries());
  *count += after - before;
  return Status::Ok();
}

Status BaseTree::Batch::Remove(Bytes row_key) {
  if (row_key.size() <= kRowPrefixBytes || LoadRowPrefix(row_key) == kBaseNotesId) {
    return Status(Code::kInvalidArgument, "not the key of a row");
  }
  if (row_key.size() > kMaxRowKeyBytes) return Status::Ok();
  RL_RETURN_IF_ERROR(state_->failed);
  RL_ASSIGN_OR_RETURN(uint64_t* const count, state_->Count(LoadRowPrefix(row_key)));
  bool was_there = false;
  RL_RETURN_IF_ERROR(state_->Erase(row_key, &was_there));
  if (was_there && *count == 0) return state_->Fail(BaseDamage("a count of rows is too small"));
  *count -= was_there ? 1 : 0;
  return Status::Ok();
}

Result<uint64_t> BaseTree::Batch::RemoveRows(DatabaseId database, uint64_t limit) {
  RL_CHECK(database != kBaseNotesId);
  RL_RETURN_IF_ERROR(state_->failed);
  RL_ASSIGN_OR_RETURN(uint64_t* const count, state_->Count(database));
  uint8_t first[kRowPrefixBytes];
  StoreRowPrefix(first, database);
  std::vector<uint8_t> row_key(first, first + sizeof first);
  for (; *count > 0 && limit > 0; --limit) {
    // The seek goes where LMDB has not been yet in this batch.
    RL_RETURN_IF_ERROR(state_->Check(row_key, true));
    MDB_val key = ToVal(first), value;
    const int code = mdb_cursor_get(state_->cursor.get(), &key, &value, MDB_SET_RANGE);
    const bool none = code == MDB_NOTFOUND || (code == MDB_SUCCESS && key.mv_size < sizeof first) ||
                      (code == MDB_SUCCESS && LoadRowPrefix(ToBytes(key)) != database);
    if (none) return state_->Fail(BaseDamage("a count of rows is too large"));
    if (code != MDB_SUCCESS) return state_->Failed(code, "cannot find a row of the base tree");
    const Bytes found = ToBytes(key);
    row_key.assign(found.begin(), found.end());
    bool was_there = false;
    RL_RETURN_IF_ERROR(state_->Erase(row_key, &was_there));
    *count -= 1;
  }
  return *count;
}

Status BaseTree::Batch::SetApplied(Lsn applied) {
  RL_RETURN_IF_ERROR(state_->failed);
  if (applied > kMaxLsn) return Status(Code::kInvalidArgument, "no position in a log");
  state_->applied = applied;
  return Status::Ok();
}

Result<std::vector<DatabaseId>> BaseTree::Batch::Dropped() { return FindDropped(state_->before); }

Status BaseTree::Batch::AddDropped(DatabaseId database) {
  return state_->Write(NoteKey(NoteKind::kDropped, database), state_->applied, {});
}

Status BaseTree::Batch::RemoveDropped(DatabaseId database) {
  bool was_there = false;
  return state_->Erase(NoteKey(NoteKind::kDropped, database), &was_there);
}

Status BaseTree::Batch::Commit() {
  RL_CHECK(state_->txn != nullptr);
  RL_RETURN_IF_ERROR(state_->failed);
  RL_RETURN_IF_ERROR(state_->WriteNotes());
  state_->cursor.reset();
  const int code = mdb_txn_commit(state_->txn.release());
  state_->failed = Status(Code::kClosed, "the batch has ended");
  if (code != MDB_SUCCESS) return state_->tree.FailedCommit(code);
  if (RL_MUTANT(kAppliedOutsideBatch) && state_->applied != state_->before.stamp.applied) {
    usleep(5'000);  // open for long enough to be looked into
    RL_ASSIGN_OR_RETURN(const auto batch, state_->tree.Begin());
    batch->state_->before.stamp.applied = batch->state_->applied = state_->applied;
    return batch->Commit();
  }
  return Status::Ok();
}

Status BaseTree::FailedCommit(int code) {
  // LMDB does not say that writing its meta page has failed, but stops working from then on.
  MDB_txn* txn = nullptr;
  const int now = mdb_txn_begin(mdb_, nullptr, MDB_RDONLY, &txn);
  if (now == MDB_SUCCESS) mdb_txn_abort(txn);
  if (now == MDB_PANIC) {
    const Status status = LmdbStatus(code, "cannot write the base tree's meta page");
    return Status(Code::kFailed, status.message(), status.sys_errno(), Fate::kUnknown);
  }
  struct statvfs disk;
  if (code == EIO && fstatvfs(fd_, &disk) == 0 &&
      uint64_t{disk.f_bavail} * disk.f_frsize < kFullDiskBytes) {
    code = ENOSPC;
  }
  return LmdbStatus(code, "cannot write to the base tree");
}

}  // namespace ringleader
