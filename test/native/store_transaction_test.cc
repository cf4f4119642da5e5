// Transactions over a real store: what they see, and what makes them conflict.
#include "store/transaction.h"

#include "store_fixture.h"

namespace ringleader {
namespace {

using test::AsBytes;
using test::Begin;
using test::Finish;
using test::KeyOf;
using test::OpenStore;
using test::PutRow;
using test::RemoveRow;
using test::RowsOf;
using test::TakeView;
using test::ValueOf;

// A store with one database.
struct Fixture {
  std::unique_ptr<Store> store = OpenStore(test::TempDir());
  DatabaseId database = test::MakeDatabase(*store, "rows");

  std::string Key(std::string_view key) const { return KeyOf(database, key); }
  void Put(std::string_view key, std::string_view value) { PutRow(*store, Key(key), value); }
  void Remove(std::string_view key) { RemoveRow(*store, Key(key)); }
  std::string Now(std::string_view key) {
    const auto view = TakeView(*store);
    return ValueOf(*view, Key(key));
  }
};

void Write(Fixture& fixture, Transaction& transaction, std::string_view key,
           std::string_view value) {
  CHECK_OK(transaction.Put(AsBytes(fixture.Key(key)), AsBytes(value)));
}

void ReadRange(Fixture& fixture, Transaction& transaction, std::string_view low,
               std::string_view high) {
  transaction.AddRange(AsBytes(fixture.Key(low)), AsBytes(fixture.Key(high)));
}

TEST(store_transaction, reads_its_own_writes) {
  Fixture fixture;
  for (const char* key : {"a", "b", "c"}) fixture.Put(key, "old");
  const auto transaction = Begin(*fixture.store);
  Write(fixture, *transaction, "b", "new");
  Write(fixture, *transaction, "bb", "new");
  CHECK_OK(transaction->Remove(AsBytes(fixture.Key("c"))));
  CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "old");
  CHECK_EQ(ValueOf(*transaction, fixture.Key("b")), "new");
  CHECK_EQ(ValueOf(*transaction, fixture.Key("bb")), "new");
  CHECK_EQ(ValueOf(*transaction, fixture.Key("c")), "none");
  CHECK_VALUE(const auto cursor, transaction->OpenCursor());
  CHECK_EQ(RowsOf(*cursor, fixture.database), "a=old b=new bb=new ");
  // Nobody else sees any of it before it commits, and all of it afterwards.
  const auto before = TakeView(*fixture.store);
  CHECK_EQ(RowsOf(*before, fixture.database), "a=old b=old c=old ");
  CHECK_EQ(Finish(*fixture.store, *transaction), Verdict::kCommitted);
  CHECK_EQ(RowsOf(*before, fixture.database), "a=old b=old c=old ");
  CHECK_EQ(RowsOf(*TakeView(*fixture.store), fixture.database), "a=old b=new bb=new ");
}

TEST(store_transaction, keeps_its_snapshot_while_others_commit) {
  Fixture fixture;
  fixture.Put("a", "1");
  const auto transaction = Begin(*fixture.store);
  fixture.Put("a", "2");
  fixture.Put("b", "2");
  CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "1");
  CHECK_EQ(ValueOf(*transaction, fixture.Key("b")), "none");
  CHECK_OK(fixture.store->Fold());
  fixture.Remove("a");
  CHECK_OK(fixture.store->Fold());
  CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "1");
  CHECK_VALUE(const auto cursor, transaction->OpenCursor());
  CHECK_EQ(RowsOf(*cursor, fixture.database), "a=1 ");
}

TEST(store_transaction, a_row_that_was_read_and_has_changed_is_a_conflict) {
  Fixture fixture;
  const auto attempt = [&](const std::function<void()>& meanwhile) {
    fixture.Put("read", "1");
    fixture.Remove("missing");
    const auto transaction = Begin(*fixture.store);
    CHECK_EQ(ValueOf(*transaction, fixture.Key("read")), "1");
    CHECK_EQ(ValueOf(*transaction, fixture.Key("missing")), "none");
    Write(fixture, *transaction, "written", "by the transaction");
    fixture.Put("written", "before");
    meanwhile();
    const Verdict verdict = Finish(*fixture.store, *transaction);
    const bool happened = fixture.Now("written") == "by the transaction";
    CHECK_EQ(happened, verdict == Verdict::kCommitted);
    return verdict;
  };
  CHECK_EQ(attempt([] {}), Verdict::kCommitted);
  CHECK_EQ(attempt([&] { fixture.Put("other", "2"); }), Verdict::kCommitted);
  CHECK_EQ(attempt([&] { fixture.Put("read", "2"); }), Verdict::kConflict);
  CHECK_EQ(attempt([&] { fixture.Put("read", "1"); }), Verdict::kConflict);
  CHECK_EQ(attempt([&] { fixture.Remove("read"); }), Verdict::kConflict);
  CHECK_EQ(attempt([&] { fixture.Put("missing", "2"); }), Verdict::kConflict);
}

TEST(store_transaction, what_it_wrote_itself_is_not_read) {
  Fixture fixture;
  const auto transaction = Begin(*fixture.store);
  Write(fixture, *transaction, "a", "mine");
  CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "mine");
  fixture.Put("a", "other");
  CHECK_EQ(Finish(*fixture.store, *transaction), Verdict::kCommitted);
  CHECK_EQ(fixture.Now("a"), "mine");
}

// What happens to a transaction that has looked at the rows from d up to, not including, m.
Verdict AfterReadingARange(const std::function<void(Fixture&)>& meanwhile,
                           Isolation isolation = Isolation::kSerializable) {
  Fixture fixture;
  for (const char* key : {"d", "f", "m"}) fixture.Put(key, "1");
  const auto transaction = Begin(*fixture.store, isolation);
  ReadRange(fixture, *transaction, "d", "m");
  Write(fixture, *transaction, "x", "1");
  meanwhile(fixture);
  return Finish(*fixture.store, *transaction);
}

TEST(store_transaction, a_change_inside_a_range_that_was_read_is_a_conflict) {
  const auto put = [](const char* key) {
    return AfterReadingARange([key](Fixture& fixture) { fixture.Put(key, "2"); });
  };
  CHECK_EQ(put("e"), Verdict::kConflict);  // a row more
  CHECK_EQ(put("f"), Verdict::kConflict);  // another value
  CHECK_EQ(put("d"), Verdict::kConflict);  // the lower end belongs to it
  CHECK_EQ(put("d0"), Verdict::kConflict);
  CHECK_EQ(put("lzz"), Verdict::kConflict);
  CHECK_EQ(AfterReadingARange([](Fixture& fixture) { fixture.Remove("f"); }), Verdict::kConflict);
  CHECK_EQ(AfterReadingARange([](Fixture& fixture) { fixture.Remove("d"); }), Verdict::kConflict);
}

TEST(store_transaction, a_change_just_outside_a_range_is_none) {
  const auto put = [](const char* key) {
    return AfterReadingARange([key](Fixture& fixture) { fixture.Put(key, "2"); });
  };
  CHECK_EQ(put("c"), Verdict::kCommitted);
  CHECK_EQ(put("c\xff\xff"), Verdict::kCommitted);
  CHECK_EQ(put("m"), Verdict::kCommitted);  // the upper end does not
  CHECK_EQ(put("m0"), Verdict::kCommitted);
  CHECK_EQ(AfterReadingARange([](Fixture& fixture) { fixture.Remove("m"); }), Verdict::kCommitted);
  const auto other = [](Fixture& fixture) {
    const DatabaseId id = fixture.database;
    CHECK_EQ(test::MakeDatabase(*fixture.store, "other"), id + 1);
    PutRow(*fixture.store, KeyOf(id + 1, "e"), "2");
  };
  CHECK_EQ(AfterReadingARange(other), Verdict::kCommitted);
}

TEST(store_transaction, a_range_may_have_no_end) {
  Fixture fixture;
  const auto attempt = [&](const char* key) {
    const auto transaction = Begin(*fixture.store);
    transaction->AddRange(AsBytes(fixture.Key("m")), {});
    Write(fixture, *transaction, "a", "1");
    fixture.Put(key, "2");
    return Finish(*fixture.store, *transaction);
  };
  CHECK_EQ(attempt("l"), Verdict::kCommitted);
  CHECK_EQ(attempt("m"), Verdict::kConflict);
  CHECK_EQ(attempt("\xff\xff\xff"), Verdict::kConflict);
}

// Two read both rows, and each writes the other one's: harmless one after the other, wrong at once.
std::pair<Verdict, Verdict> WriteSkew(Isolation isolation) {
  Fixture fixture;
  fixture.Put("x", "1");
  fixture.Put("y", "1");
  const auto first = Begin(*fixture.store, isolation);
  const auto second = Begin(*fixture.store, isolation);
  for (Transaction* transaction : {first.get(), second.get()}) {
    CHECK_EQ(ValueOf(*transaction, fixture.Key("x")), "1");
    CHECK_EQ(ValueOf(*transaction, fixture.Key("y")), "1");
  }
  Write(fixture, *first, "x", "0");
  Write(fixture, *second, "y", "0");
  const Verdict verdict = Finish(*fixture.store, *first);
  return {verdict, Finish(*fixture.store, *second)};
}

TEST(store_transaction, write_skew_is_refused_to_the_serializable) {
  CHECK(WriteSkew(Isolation::kSerializable) == std::pair(Verdict::kCommitted, Verdict::kConflict));
  CHECK(WriteSkew(Isolation::kSnapshot) == std::pair(Verdict::kCommitted, Verdict::kCommitted));
}

TEST(store_transaction, no_update_is_lost) {
  for (const Isolation isolation : {Isolation::kSerializable, Isolation::kSnapshot}) {
    Fixture fixture;
    fixture.Put("counter", "1");
    const auto first = Begin(*fixture.store, isolation);
    const auto second = Begin(*fixture.store, isolation);
    for (Transaction* transaction : {first.get(), second.get()}) {
      const std::string value = ValueOf(*transaction, fixture.Key("counter"));
      Write(fixture, *transaction, "counter", value + "1");
    }
    CHECK_EQ(Finish(*fixture.store, *first), Verdict::kCommitted);
    CHECK_EQ(Finish(*fixture.store, *second), Verdict::kConflict);
    CHECK_EQ(fixture.Now("counter"), "11");
  }
}

TEST(store_transaction, snapshot_isolation_validates_no_reads) {
  const auto inside = [](Fixture& fixture) { fixture.Put("e", "2"); };
  CHECK_EQ(AfterReadingARange(inside, Isolation::kSnapshot), Verdict::kCommitted);
  const auto written = [](Fixture& fixture) { fixture.Put("x", "2"); };
  CHECK_EQ(AfterReadingARange(written, Isolation::kSnapshot), Verdict::kConflict);
  const auto removed = [](Fixture& fixture) { fixture.Remove("x"); };
  CHECK_EQ(AfterReadingARange(removed, Isolation::kSnapshot), Verdict::kConflict);
}

TEST(store_transaction, writes_that_rest_on_nothing_never_conflict) {
  Fixture fixture;
  const auto transaction = Begin(*fixture.store);
  Write(fixture, *transaction, "a", "mine");
  fixture.Put("a", "other");
  CHECK_OK(fixture.store->Fold());
  fixture.Put("a", "other");
  CHECK_OK(fixture.store->Fold());
  CHECK_EQ(Finish(*fixture.store, *transaction), Verdict::kCommitted);
  CHECK_EQ(fixture.Now("a"), "mine");
}

// Versions newer than its snapshot may have left the overlay: that nothing has changed could not be
// told any more.
TEST(store_transaction, one_that_is_older_than_the_overlay_conflicts) {
  Fixture fixture;
  fixture.Put("a", "1");
  for (const Isolation isolation : {Isolation::kSerializable, Isolation::kSnapshot}) {
    const auto transaction = Begin(*fixture.store, isolation);
    CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "1");
    Write(fixture, *transaction, "b", "1");
    fixture.Put("c", "1");
    CHECK_OK(fixture.store->Fold());
    CHECK_EQ(Finish(*fixture.store, *transaction), Verdict::kConflict);
  }
}

TEST(store_transaction, a_fold_of_what_it_sees_is_no_conflict) {
  Fixture fixture;
  fixture.Put("a", "1");
  const auto transaction = Begin(*fixture.store);
  CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "1");
  ReadRange(fixture, *transaction, "a", "z");
  Write(fixture, *transaction, "a", "2");
  CHECK_OK(fixture.store->Fold());
  CHECK_EQ(Finish(*fixture.store, *transaction), Verdict::kCommitted);
  CHECK_EQ(fixture.Now("a"), "2");
}

TEST(store_transaction, a_consistent_read_has_nothing_to_commit) {
  Fixture fixture;
  fixture.Put("a", "1");
  const Lsn before = TakeView(*fixture.store)->lsn();
  const auto transaction = Begin(*fixture.store);
  CHECK_EQ(transaction->snapshot(), before);
  CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "1");
  CHECK(!transaction->has_writes());
  transaction->Release();
  CHECK_EQ(TakeView(*fixture.store)->lsn(), before);
}

TEST(store_transaction, what_prepare_gave_out_outlives_the_view) {
  Fixture fixture;
  fixture.Put("a", "1");
  const auto transaction = Begin(*fixture.store);
  CHECK_EQ(ValueOf(*transaction, fixture.Key("a")), "1");
  Write(fixture, *transaction, "b", "2");
  Commit commit = transaction->PrepareCommit();
  transaction->Release();
  CHECK_OK(fixture.store->CommitOne(commit));
  CHECK_EQ(commit.verdict, Verdict::kCommitted);
  const auto view = TakeView(*fixture.store);
  CHECK_VALUE(const std::optional<Row> row, view->Get(AsBytes(fixture.Key("b"))));
  CHECK(row.has_value());
  CHECK_EQ(row->version, commit.appended.end);
  CHECK_EQ(view->lsn(), commit.appended.end);
}

TEST(store_transaction, refuses_rows_over_the_limits) {
  Fixture fixture;
  const auto transaction = Begin(*fixture.store);
  const std::string longest(kMaxKeyBytes, 'k');
  CHECK_CODE(transaction->Put(AsBytes(fixture.Key(longest + "k")), {}), Code::kTooLarge);
  CHECK_CODE(transaction->Remove(AsBytes(fixture.Key(""))), Code::kInvalidArgument);
  CHECK(!transaction->has_writes());
  Write(fixture, *transaction, longest, "1");
  CHECK_EQ(Finish(*fixture.store, *transaction), Verdict::kCommitted);
  CHECK_EQ(fixture.Now(longest), "1");
}

}  // namespace
}  // namespace ringleader
