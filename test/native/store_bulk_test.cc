// Bulk loads: all of the rows or none, whatever dies, fails or goes on meanwhile.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "child_process.h"
#include "concurrent.h"
#include "store_copy_fixture.h"

namespace ringleader {
namespace {

using namespace test;  // NOLINT: this is a test

constexpr uint64_t kBatch = 100'000;

// Rows "k<10 digits>" in order, `count` of them; `at` is called before each.
struct Rows {
  explicit Rows(uint64_t rows, std::function<Status(uint64_t)> before = nullptr)
      : count(rows), at(std::move(before)) {}

  std::function<Result<bool>(Store::BulkRow*)> next() {
    return [this](Store::BulkRow* row) -> Result<bool> {
      if (at != nullptr) RL_RETURN_IF_ERROR(at(given));
      if (given == count) return false;
      key = Key(given);
      value = "v" + std::to_string(given++);
      *row = {AsBytes(key), AsBytes(value)};
      return true;
    };
  }
  static std::string Key(uint64_t number) {
    const std::string digits = std::to_string(number);
    return "k" + std::string(10 - digits.size(), '0') + digits;
  }

  uint64_t count, given = 0;
  std::function<Status(uint64_t)> at;
  std::string key, value;
};

Result<uint64_t> Load(Store& store, const std::string& name, uint64_t count) {
  Rows rows(count);
  return store.BulkLoad(name, rows.next());
}

// Of a database, in the base as it is now, whether it has a name or not.
uint64_t RowsInBase(Store& store, DatabaseId id) {
  CHECK_VALUE(const uint64_t rows, TakeView(store)->base().Rows(id));
  return rows;
}

// Every id that the base has rows of, the catalogue aside.
uint64_t DatabasesInBase(Store& store) {
  uint64_t databases = 0;
  for (DatabaseId id = 1; id < 100; ++id) databases += RowsInBase(store, id) > 0 ? 1 : 0;
  return databases;
}

TEST(store_bulk, rows_are_there_and_stay) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  CHECK_VALUE(const Database empty, store->OpenDatabase("d", AsBytes("metadata"), true));
  for (const uint64_t count : {uint64_t{0}, uint64_t{1}, uint64_t{1000}}) {
    const std::string name = "of " + std::to_string(count);
    CHECK_VALUE(const uint64_t rows, Load(*store, name, count));
    CHECK_EQ(rows, count);
    CHECK_EQ(ContentsOf(*store).at(name).size(), count);
  }
  CHECK_VALUE(const uint64_t loaded, Load(*store, "d", 500));
  CHECK_EQ(loaded, uint64_t{500});
  const Contents contents = ContentsOf(*store);
  CHECK_EQ(contents.at("d").at(Rows::Key(499)), std::string("v499"));
  CHECK_VALUE(const Database filled, store->OpenDatabase("d", {}, false));
  CHECK(filled.id != empty.id);
  CHECK_EQ(AsText(filled.metadata), std::string("metadata"));
  CHECK_OK(store->Verify().status());
  // Like rows that have been committed: changed, removed, found by their version.
  PutRow(*store, KeyOf(filled.id, Rows::Key(3)), "changed");
  RemoveRow(*store, KeyOf(filled.id, Rows::Key(4)));
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{499});
  CHECK_OK(store->Fold());
  CHECK_OK(store->Close());
  store = OpenStore(directory);
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{499});
  CHECK_EQ(ContentsOf(*store).at("of 1000").size(), size_t{1000});
  CHECK_OK(store->Verify().status());
}

// A version tells that there is a row: 0 would say that there is none.
TEST(store_bulk, rows_have_versions) {
  const auto store = OpenStore(TempDir());
  CHECK_OK(Load(*store, "d", 10).status());
  CHECK_VALUE(const Database database, store->OpenDatabase("d", {}, false));
  const auto view = TakeView(*store);
  CHECK_VALUE(const auto row, view->Get(AsBytes(KeyOf(database.id, Rows::Key(1)))));
  CHECK(row && row->version > Lsn() && row->version < view->lsn());
}

TEST(store_bulk, earlier_views_and_ids_do_not_see_it) {
  const auto store = OpenStore(TempDir());
  const DatabaseId old = MakeDatabase(*store, "d");
  const auto before = TakeView(*store);
  CHECK_OK(Load(*store, "d", 100).status());
  CHECK_EQ(ContentsOf(*before).at("d").size(), size_t{0});
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{100});
  WriteSet writes;
  CHECK_OK(writes.Put(AsBytes(KeyOf(old, "late")), AsBytes("x")));
  const std::vector<uint8_t> payload = writes.Encode();
  Commit commit;
  commit.payload = payload;
  CHECK_OK(store->CommitOne(commit));
  CHECK_EQ(commit.verdict, Verdict::kDropped);
}

TEST(store_bulk, refuses_a_database_with_rows) {
  const auto store = OpenStore(TempDir());
  const DatabaseId database = MakeDatabase(*store, "d");
  PutRow(*store, KeyOf(database, "a"), "b");
  CHECK_CODE(Load(*store, "d", 10).status(), Code::kExists);
  CHECK_OK(store->Fold());
  CHECK_CODE(Load(*store, "d", 10).status(), Code::kExists);
  RemoveRow(*store, KeyOf(database, "a"));
  CHECK_OK(Load(*store, "d", 10).status());
  CHECK_CODE(Load(*store, "", 10).status(), Code::kInvalidArgument);
  CHECK_CODE(Load(*store, std::string(256, 'n'), 10).status(), Code::kTooLarge);
}

// Somebody writes to it after the load has begun: the load does not happen.
TEST(store_bulk, refuses_a_database_that_gets_rows) {
  const auto store = OpenStore(TempDir());
  const DatabaseId database = MakeDatabase(*store, "d");
  Rows rows(10, [&](uint64_t at) {
    if (at == 5) PutRow(*store, KeyOf(database, "first"), "come");
    return Status::Ok();
  });
  CHECK_CODE(store->BulkLoad("d", rows.next()).status(), Code::kExists);
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{1});
}

// Rows of loads that came to nothing go, and their databases are as before.
TEST(store_bulk, that_fails_leaves_nothing) {
  const auto store = OpenStore(TempDir(), BusyStore());
  MakeDatabase(*store, "d");
  const std::vector<std::pair<std::string, Code>> bad{{"a", Code::kInvalidArgument},
                                                      {Rows::Key(0), Code::kInvalidArgument},
                                                      {"", Code::kInvalidArgument},
                                                      {std::string(1979, 'k'), Code::kTooLarge}};
  for (const auto& one : bad) {
    const std::string& key = one.first;
    int given = 0;
    const auto failed = store->BulkLoad("d", [&](Store::BulkRow* row) -> Result<bool> {
      static const std::string first = Rows::Key(0);
      *row = {AsBytes(given++ == 0 ? first : key), AsBytes("v")};
      return true;
    });
    CHECK_CODE(failed.status(), one.second);
  }
  // The first batch is in the base when this one fails.
  Rows rows(2 * kBatch, [](uint64_t at) {
    return at == kBatch + 10 ? Status(Code::kClosed, "given up") : Status::Ok();
  });
  CHECK_CODE(store->BulkLoad("d", rows.next()).status(), Code::kClosed);
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{0});
  CHECK_OK(store->Verify().status());
  AWAIT(DatabasesInBase(*store) == 0);
  CHECK_OK(store->Verify().status());
  CHECK_OK(Load(*store, "d", 10).status());
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{10});
}

// The largest key and a value of more than a batch.
TEST(store_bulk, takes_what_commits_take) {
  const auto store = OpenStore(TempDir());
  const std::string long_key(kMaxKeyBytes, 'k');
  const std::string big((size_t{64} << 20) + 5, 'b');
  const std::vector<std::pair<std::string, std::string>> rows{
      {"a", ""}, {"b", big}, {long_key, "end"}};
  size_t given = 0;
  CHECK_OK(store
               ->BulkLoad("d",
                          [&](Store::BulkRow* row) -> Result<bool> {
                            if (given == rows.size()) return false;
                            *row = {AsBytes(rows[given].first), AsBytes(rows[given].second)};
                            ++given;
                            return true;
                          })
               .status());
  const auto all = ContentsOf(*store).at("d");
  CHECK_EQ(all.size(), size_t{3});
  CHECK_EQ(all.at("a"), std::string());
  CHECK(all.at("b") == big);
  CHECK_EQ(all.at(long_key), std::string("end"));
}

// While others write, fold and read.
TEST(store_bulk, goes_on_beside_writers) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory, BusyStore());
  const DatabaseId other = MakeDatabase(*store, "other");
  uint64_t written = 0;
  Worker writer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      PutRow(*store, KeyOf(other, std::to_string(written++)), std::string(1000, 'o'));
    }
  });
  const auto loaded = Load(*store, "d", 2 * kBatch + 1);
  const auto folded = store->Fold();
  writer.Stop();
  CHECK_OK(loaded.status());
  CHECK_OK(folded);
  CHECK_VALUE(const Store::Verified verified, store->Verify());
  CHECK_EQ(verified.rows, 2 * kBatch + 1 + written);
  CHECK_OK(store->Close());
  const Contents contents = ContentsOf(directory);
  CHECK_EQ(contents.at("d").size(), 2 * kBatch + 1);
  CHECK_EQ(contents.at("other").size(), written);
}

// The name comes last: whoever sees it sees all rows.
TEST(store_bulk, whoever_sees_the_name_sees_all_rows) {
  const auto store = OpenStore(TempDir());
  const DatabaseId old = MakeDatabase(*store, "d");
  std::atomic<uint64_t> seen{~uint64_t{0}};
  std::atomic<bool> looking{false};
  Worker reader([&](const std::stop_token& stop) {
    const auto view = store->NewView();
    while (!stop.stop_requested()) {
      CHECK_OK(view->Renew());
      looking.store(true, std::memory_order_release);
      CHECK_VALUE(const auto database, FindDatabase(*view, "d"));
      CHECK(database.has_value());
      if (database->id == old) continue;
      CHECK_VALUE(const uint64_t rows, view->base().Rows(database->id));
      seen.store(rows, std::memory_order_release);
      return;
    }
  });
  AWAIT(looking.load(std::memory_order_acquire));
  const auto loaded = Load(*store, "d", kBatch + kBatch / 2);
  reader.Join();
  CHECK_OK(loaded.status());
  CHECK_EQ(seen.load(std::memory_order_acquire), kBatch + kBatch / 2);
}

// Killed before, between and after the batches, and just before the end.
TEST(store_bulk, a_death_leaves_all_or_nothing) {
  for (const uint64_t dies_at : {uint64_t{0}, kBatch - 1, kBatch + 1, 2 * kBatch + 5}) {
    const std::string directory = TempDir();
    Child child([&] {
      const auto store = OpenStore(directory);
      MakeDatabase(*store, "d");
      Rows rows(2 * kBatch + 5, [&](uint64_t at) {
        if (at == dies_at) raise(SIGKILL);
        return Status::Ok();
      });
      CHECK_OK(store->BulkLoad("d", rows.next()).status());
    });
    CHECK_EQ(child.JoinKilled(), SIGKILL);
    const auto store = OpenStore(directory, BusyStore());
    CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{0});
    CHECK_OK(store->Verify().status());
    AWAIT(DatabasesInBase(*store) == 0);
    CHECK_OK(Load(*store, "d", 7).status());
    CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{7});
    CHECK_OK(store->Verify().status());
  }
  const std::string directory = TempDir();
  Child child([&] {
    const auto store = OpenStore(directory);
    CHECK_OK(Load(*store, "d", kBatch + 5).status());
    raise(SIGKILL);
  });
  CHECK_EQ(child.JoinKilled(), SIGKILL);
  CHECK_EQ(ContentsOf(directory).at("d").size(), kBatch + 5);
}

// While the fold may not have the name, the rows stay on the list of the dropped, and stay.
TEST(store_bulk, waits_on_the_list_until_its_name_is_folded) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory, BusyStore());
  PutMany(*store, MakeDatabase(*store, "other"), 0, 10);
  CHECK_OK(store->Fold());
  store->SetFoldLimit(TakeView(*store)->lsn());
  CHECK_OK(Load(*store, "d", 1000).status());
  CHECK_VALUE(const Database database, store->OpenDatabase("d", {}, false));
  const auto listed = [&] {
    CHECK_VALUE(const auto note,
                TakeView(*store)->base().Get(NoteKey(NoteKind::kDropped, database.id)));
    return note.has_value();
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK(listed());
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{1000});
  CHECK_OK(store->Close());
  StoreOptions held = BusyStore();
  held.fold_limit = Lsn();
  store = OpenStore(directory, held);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK(listed());
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{1000});
  CHECK_OK(store->Verify().status());
  store->SetFoldLimit(kMaxLsn);
  CHECK_OK(store->Fold());
  AWAIT(!listed());
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{1000});
  // Dropped like any other.
  CHECK_OK(store->DropDatabase("d"));
  CHECK_OK(store->Fold());
  AWAIT(RowsInBase(*store, database.id) == 0);
  CHECK_OK(store->Verify().status());
}

// --- roll-backs ---------------------------------------------------------------------------------

// A load that is not yet folded can be taken back. Its rows go, and until they have gone nobody
// gets the id that they lie under.
TEST(store_bulk, can_be_rolled_back) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId other = MakeDatabase(*store, "other");
  const Lsn before = PutMany(*store, other, 0, 10);
  CHECK_OK(Load(*store, "d", 1000).status());
  CHECK_VALUE(const Database loaded, store->OpenDatabase("d", {}, false));
  CHECK_OK(store->RollBack(before));
  CHECK_EQ(ContentsOf(*store).count("d"), size_t{0});
  CHECK_EQ(RowsInBase(*store, loaded.id), uint64_t{1000});
  CHECK_OK(store->Verify().status());
  const DatabaseId next = MakeDatabase(*store, "next");
  CHECK(next != loaded.id);
  CHECK_EQ(ContentsOf(*store).at("next").size(), size_t{0});
  CHECK_OK(store->Close());
  store = OpenStore(directory, BusyStore());
  CHECK_EQ(ContentsOf(*store).at("next").size(), size_t{0});
  AWAIT(RowsInBase(*store, loaded.id) == 0);
  CHECK_OK(Load(*store, "d", 7).status());
  CHECK_VALUE(const Store::Verified verified, store->Verify());
  CHECK_EQ(verified.rows, uint64_t{17});
}

TEST(store_bulk, stays_where_the_roll_back_ends_above) {
  const auto store = OpenStore(TempDir());
  const DatabaseId other = MakeDatabase(*store, "other");
  CHECK_OK(Load(*store, "d", 1000).status());
  const Lsn after = PutMany(*store, other, 0, 1);
  PutMany(*store, other, 1, 10);
  CHECK_OK(store->RollBack(after));
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{1000});
  CHECK_OK(store->Fold());
  CHECK_CODE(store->RollBack(Lsn(after.value - 1)), Code::kTrimmed);
  CHECK_OK(store->Verify().status());
}

// Dropped and not folded: its rows stay, because the name may come back.
TEST(store_bulk, comes_back_when_its_drop_is_rolled_back) {
  StoreOptions options = BusyStore();
  options.fold_limit = Lsn();
  const auto store = OpenStore(TempDir(), options);
  const DatabaseId other = MakeDatabase(*store, "other");
  CHECK_OK(Load(*store, "d", 1000).status());
  const Lsn loaded = PutMany(*store, other, 0, 1);
  CHECK_OK(store->DropDatabase("d"));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK_OK(store->RollBack(loaded));
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{1000});
  CHECK_OK(store->Verify().status());
  store->SetFoldLimit(kMaxLsn);
  CHECK_OK(store->Fold());
  CHECK_EQ(ContentsOf(*store).at("d").size(), size_t{1000});
}

// The log says where rows are that it does not have.
TEST(store_bulk, is_named_in_the_log) {
  const auto store = OpenStore(TempDir());
  CHECK_OK(Load(*store, "d", 10).status());
  CHECK_VALUE(const Database database, store->OpenDatabase("d", {}, false));
  const auto reader = store->log().Read(Lsn());
  std::vector<std::vector<uint8_t>> loads;
  for (;;) {
    CHECK_VALUE(const auto entry, reader->Next());
    if (!entry) break;
    if (entry->type == RecordType::kBulkLoad) {
      loads.emplace_back(entry->payload.begin(), entry->payload.end());
    }
  }
  std::vector<uint8_t> expected{0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0};
  expected[0] = static_cast<uint8_t>(database.id);
  CHECK_EQ(loads.size(), size_t{1});
  CHECK(loads[0] == expected);
}

}  // namespace
}  // namespace ringleader
