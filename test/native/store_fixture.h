// A store in a directory of its own, and short ways to say what a test does with it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "log_fixture.h"
#include "store/store.h"
#include "store_rows.h"

namespace ringleader::test {

// Small generations; whatever happens in the background happens when the test calls for it.
inline StoreOptions QuietStore() {
  StoreOptions options;
  options.log = SmallLog();
  options.generation_bytes = uint64_t{1} << 20;
  options.fold_interval_ns = kForeverNs;
  return options;
}

// The same with its threads.
inline StoreOptions BusyStore() {
  StoreOptions options = QuietStore();
  options.log.service_threads = true;
  return options;
}

inline std::unique_ptr<Store> OpenStore(const std::string& directory,
                                        const StoreOptions& options = QuietStore(),
                                        Env& env = PosixEnv()) {
  CHECK_VALUE(std::unique_ptr<Store> store, Store::Open(env, directory, options));
  return store;
}

inline DatabaseId MakeDatabase(Store& store, const std::string& name) {
  CHECK_VALUE(const Database database, store.OpenDatabase(name, {}, true));
  return database.id;
}

inline std::unique_ptr<View> TakeView(Store& store) {
  std::unique_ptr<View> view = store.NewView();
  CHECK_OK(view->Renew());
  return view;
}

inline std::unique_ptr<Transaction> Begin(Store& store,
                                          Isolation isolation = Isolation::kSerializable) {
  CHECK_VALUE(std::unique_ptr<Transaction> transaction, Transaction::Begin(store, isolation, 0));
  return transaction;
}

inline Verdict Finish(Store& store, Transaction& transaction) {
  Commit commit = transaction.PrepareCommit();
  CHECK_OK(store.CommitOne(commit));
  CHECK(commit.verdict != Verdict::kPending);
  return commit.verdict;
}

// Commits writes without having read anything; returns where the transaction ends.
inline Lsn CommitWrites(Store& store, const WriteSet& writes) {
  const std::vector<uint8_t> payload = writes.Encode();
  Commit commit;
  commit.payload = payload;
  CHECK_OK(store.CommitOne(commit));
  CHECK_EQ(commit.verdict, Verdict::kCommitted);
  return commit.appended.end;
}

inline Lsn PutRow(Store& store, const std::string& row_key, std::string_view value) {
  WriteSet writes;
  CHECK_OK(writes.Put(AsBytes(row_key), AsBytes(value)));
  return CommitWrites(store, writes);
}

inline Lsn RemoveRow(Store& store, const std::string& row_key) {
  WriteSet writes;
  CHECK_OK(writes.Remove(AsBytes(row_key)));
  return CommitWrites(store, writes);
}

// The value of a row as a view or a transaction has it; "none" where there is no row.
template <typename Reader>
std::string ValueOf(Reader& reader, const std::string& row_key) {
  CHECK_VALUE(const std::optional<Row> row, reader.Get(AsBytes(row_key)));
  return row ? AsText(row->value) : "none";
}

// All rows of a database, "key=value " each.
inline std::string RowsOf(MergeCursor& cursor, DatabaseId database) {
  std::string all;
  CHECK_OK(cursor.SeekAtLeast(AsBytes(KeyOf(database, ""))));
  while (cursor.valid() && LoadRowPrefix(cursor.row_key()) == database) {
    all += At(cursor) + " ";
    CHECK_OK(cursor.Next());
  }
  return all;
}

inline std::string RowsOf(View& view, DatabaseId database) {
  CHECK_VALUE(const auto cursor, MergeCursor::Open(view, nullptr));
  return RowsOf(*cursor, database);
}

}  // namespace ringleader::test
