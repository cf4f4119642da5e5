// Other rows in place of all that the base holds, in one transaction of LMDB: so whoever reads the
// base goes on with the old state, and nobody ever sees anything between the two.
//
// LMDB frees the pages of the old tree by following them, and keeps them until the last snapshot of
// the old state has gone. They are walked and checked first, as a batch does with the pages that it
// changes. New pages are in its memory up to 512 MiB; beyond that it writes them ahead of the
// commit, to places that no state uses.
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "base/coding.h"
#include "store/base_internal.h"
#include "store/base_tree.h"

namespace ringleader {

using namespace base_internal;  // NOLINT: its own part

namespace {

struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};

}  // namespace

struct BaseTree::Replacement::State {
  State(BaseTree& base, MDB_txn* write) : tree(base), txn(write) {}

  Status Begin();
  Status CheckOldPages();
  Status Write(Bytes row_key, Lsn version, Bytes value, unsigned flags);
  Status WriteNotes(Lsn applied);
  Status Fail(Status status) {
    if (failed.ok()) failed = std::move(status);
    return failed;
  }

  BaseTree& tree;
  TxnPtr txn;
  std::unique_ptr<MDB_cursor, CloseCursor> cursor;
  BaseView before;
  Status failed;  // of the first call that did; nothing can be committed after it
  std::vector<uint8_t> last;
  std::map<DatabaseId, uint64_t> counts;
  std::set<DatabaseId> dropped;
};

Status BaseTree::Replacement::State::CheckOldPages() {
  BaseWalk walk(before.pages, before.meta.rows, BaseKeys::kRows);
  uint64_t entries = 0;
  Step step = walk.First();
  for (; step == Step::kAt; step = walk.Next()) ++entries;
  if (step == Step::kEnd && entries == before.meta.rows.entries) return Status::Ok();
  return BaseDamage("a page of the rows that are to go does not hold together");
}

Status BaseTree::Replacement::State::Begin() {
  RL_RETURN_IF_ERROR(tree.LoadView(mdb_txn_id(txn.get()) - 1, &before));
  RL_RETURN_IF_ERROR(CheckOldPages());
  int code = mdb_drop(txn.get(), kMainDbi, 0);
  MDB_cursor* opened = nullptr;
  if (code == MDB_SUCCESS) code = mdb_cursor_open(txn.get(), kMainDbi, &opened);
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot write to the base tree");
  cursor.reset(opened);
  return Status::Ok();
}

Status BaseTree::Replacement::State::Write(Bytes row_key, Lsn version, Bytes value,
                                           unsigned flags) {
  MDB_val key{row_key.size(), const_cast<uint8_t*>(row_key.data())};
  MDB_val stored{value.size() + kBaseTrailerBytes, nullptr};
  const int code = mdb_cursor_put(cursor.get(), &key, &stored, flags | MDB_RESERVE);
  if (code != MDB_SUCCESS) {
    return Fail(LmdbStatus(code, "cannot write a row to the base tree"));
  }
  auto* const to = static_cast<uint8_t*>(stored.mv_data);
  if (!value.empty()) std::memcpy(to, value.data(), value.size());
  StoreBaseTrailer(row_key, version, value, to + value.size());
  return Status::Ok();
}

// The stamp comes last: it counts the others, and itself.
Status BaseTree::Replacement::State::WriteNotes(Lsn applied) {
  for (const auto& [database, count] : counts) {
    uint8_t value[8];
    StoreLe(value, count);
    RL_RETURN_IF_ERROR(Write(NoteKey(NoteKind::kRows, database), applied, value, 0));
  }
  for (const DatabaseId database : dropped) {
    RL_RETURN_IF_ERROR(Write(NoteKey(NoteKind::kDropped, database), applied, {}, 0));
  }
  MDB_stat stat;
  const int code = mdb_stat(txn.get(), kMainDbi, &stat);
  if (code != MDB_SUCCESS) return Fail(LmdbStatus(code, "cannot count the rows of the base tree"));
  BaseStamp stamp = before.stamp;
  stamp.transaction = before.meta.transaction + 1;
  stamp.applied = applied;
  stamp.entries = uint64_t{stat.ms_entries} + 1;
  return Write(NoteKey(NoteKind::kStamp), applied, EncodeBaseStamp(stamp), 0);
}

BaseTree::Replacement::Replacement(BaseTree& tree, MDB_txn* txn)
    : state_(std::make_unique<State>(tree, txn)) {}

BaseTree::Replacement::~Replacement() = default;

Result<std::unique_ptr<BaseTree::Replacement>> BaseTree::BeginReplacement() {
  MDB_txn* txn = nullptr;
  const int code = mdb_txn_begin(mdb_, nullptr, 0, &txn);
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot write to the base tree");
  std::unique_ptr<Replacement> replacement(new Replacement(*this, txn));
  RL_RETURN_IF_ERROR(replacement->state_->Begin());
  return replacement;
}

Status BaseTree::Replacement::Put(Bytes row_key, Lsn version, Bytes value) {
  State& state = *state_;
  RL_RETURN_IF_ERROR(state.failed);
  if (row_key.size() <= kRowPrefixBytes || LoadRowPrefix(row_key) == kBaseNotesId) {
    return Status(Code::kInvalidArgument, "not the key of a row");
  }
  if (row_key.size() > kMaxRowKeyBytes || value.size() > kMaxValueBytes) {
    return Status(Code::kTooLarge, "a row is too large for the base tree");
  }
  if (!state.last.empty() && CompareRowKeys(state.last, row_key) >= 0) {
    return Status(Code::kInvalidArgument, "the rows are not in the order of their keys");
  }
  RL_RETURN_IF_ERROR(state.Write(row_key, version, value, MDB_APPEND));
  state.last.assign(row_key.begin(), row_key.end());
  ++state.counts[LoadRowPrefix(row_key)];
  return Status::Ok();
}

Status BaseTree::Replacement::AddDropped(DatabaseId database) {
  RL_RETURN_IF_ERROR(state_->failed);
  if (database == kBaseNotesId) return Status(Code::kInvalidArgument, "not the id of a database");
  state_->dropped.insert(database);
  return Status::Ok();
}

Status BaseTree::Replacement::Commit(Lsn applied) {
  State& state = *state_;
  RL_CHECK(state.txn != nullptr);
  RL_RETURN_IF_ERROR(state.failed);
  RL_RETURN_IF_ERROR(state.WriteNotes(applied));
  state.cursor.reset();
  const int code = mdb_txn_commit(state.txn.release());
  state.failed = Status(Code::kClosed, "the replacement has ended");
  return code == MDB_SUCCESS ? Status::Ok() : state.tree.FailedCommit(code);
}

}  // namespace ringleader
