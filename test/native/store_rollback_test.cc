// Roll-backs of the store: the rows of an earlier end are the newest ones for everybody, views keep
// what they see, transactions conflict, and the ids of databases are looked up again.
#include <atomic>
#include <map>
#include <random>

#include "concurrent.h"
#include "store/catalogue.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using namespace test;

using Rows = std::map<std::string, std::string>;

std::string TextOf(const Rows& rows) {
  std::string all;
  for (const auto& [key, value] : rows) all += key + "=" + value + " ";
  return all;
}

std::string Now(Store& store, DatabaseId database) { return RowsOf(*TakeView(store), database); }

TEST(store_rollback, the_state_of_then_is_the_newest) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  const std::string a = KeyOf(database, "a"), b = KeyOf(database, "b");
  PutRow(*store, a, "1");
  const Lsn then = PutRow(*store, b, "1");
  PutRow(*store, a, "2");
  const Lsn later = RemoveRow(*store, b);
  auto before = TakeView(*store);
  auto transaction = Begin(*store);
  CHECK_EQ(ValueOf(*transaction, a), "2");
  CHECK_OK(store->RollBack(then));
  CHECK_EQ(Now(*store, database), "a=1 b=1 ");
  CHECK_EQ(RowsOf(*before, database), "a=2 ");
  CHECK_EQ(ValueOf(*transaction, a), "2");
  CHECK_OK(transaction->Put(AsBytes(b), AsBytes("of another history")));
  CHECK_EQ(Finish(*store, *transaction), Verdict::kConflict);
  CHECK_EQ(store->Stat().rollbacks, 1u);
  CHECK_CODE(store->RollBack(later + 4096), Code::kInvalidArgument);
  // The same positions again, for other rows.
  PutRow(*store, a, "3");
  CHECK_EQ(Now(*store, database), "a=3 b=1 ");
  CHECK_EQ(RowsOf(*before, database), "a=2 ");
  CHECK_OK(before->Renew());
  CHECK_EQ(RowsOf(*before, database), "a=3 b=1 ");
  CHECK_OK(store->Fold());
  CHECK_EQ(Now(*store, database), "a=3 b=1 ");
  CHECK_CODE(store->RollBack(then), Code::kTrimmed);
  before.reset();
  transaction.reset();
  CHECK_OK(store->Close());
  store = OpenStore(directory);
  CHECK_EQ(Now(*store, database), "a=3 b=1 ");
}

// An id that was given in the discarded history, and is given again, is another database.
TEST(store_rollback, databases_are_looked_up_again) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  Store* const other = store.get();
  const DatabaseId kept = MakeDatabase(*store, "kept");
  const Lsn then = PutRow(*store, KeyOf(kept, "a"), "1");
  const DatabaseId gone = MakeDatabase(*store, "gone");
  PutRow(*other, KeyOf(gone, "a"), "1");
  const uint64_t state = other->CatalogueState();
  CHECK_OK(store->RollBack(then));
  CHECK(other->CatalogueState() != state);
  WriteSet writes;
  CHECK_OK(writes.Put(AsBytes(KeyOf(gone, "b")), AsBytes("2")));
  const std::vector<uint8_t> payload = writes.Encode();
  for (const uint64_t known : {uint64_t{0}, state}) {
    Commit commit;
    commit.payload = payload;
    commit.catalogue = known;
    CHECK_OK(other->CommitOne(commit));
    CHECK_EQ(commit.verdict, Verdict::kDropped);
  }
  const DatabaseId fresh = MakeDatabase(*other, "fresh");
  CHECK(other->CatalogueState() != state);
  CHECK_EQ(Now(*store, fresh), "");
  CHECK_EQ(Now(*store, kept), "a=1 ");
  CHECK_VALUE(const auto databases, store->Databases());
  CHECK_EQ(databases.size(), 2u);
}

// Random commits, folds, roll-backs and reopenings, against a map of every state there was.
TEST(store_rollback, like_a_map_with_a_history) {
  for (uint64_t run = 0; run < Scale(2); ++run) {
    std::mt19937_64 bits(Seed() * 100 + run);
    const auto below = [&](uint64_t limit) { return bits() % limit; };
    const std::string directory = TempDir();
    auto store = OpenStore(directory);
    Store* other = store.get();
    const DatabaseId database = MakeDatabase(*store, "rows");
    std::vector<std::pair<Lsn, Rows>> states{{store->log().End(Level::kMemory), {}}};
    size_t folded = 0;
    for (int step = 0; step < 300; ++step) {
      Store& one = below(2) == 0 ? *store : *other;
      if (below(20) == 0) {
        const size_t to = folded + below(states.size() - folded);
        const auto view = TakeView(*other);
        CHECK_OK(one.RollBack(states[to].first));
        CHECK_EQ(RowsOf(*view, database), TextOf(states.back().second));
        states.resize(to + 1);
      } else if (below(40) == 0) {
        CHECK_OK(one.Fold());
        folded = states.size() - 1;
      } else if (below(40) == 0) {
        CHECK_OK(store->Close());
        store = OpenStore(directory);
        other = store.get();
      } else {
        Rows rows = states.back().second;
        const std::string key(1, static_cast<char>('a' + below(12)));
        Lsn end;
        if (below(4) == 0) {
          rows.erase(key);
          end = RemoveRow(one, KeyOf(database, key));
        } else {
          rows[key] = std::to_string(bits()) + std::string(below(4000), 'x');
          end = PutRow(one, KeyOf(database, key), rows[key]);
        }
        states.emplace_back(end, rows);
      }
      if (below(4) == 0 || step == 299) {
        CHECK_EQ(Now(*other, database), TextOf(states.back().second));
      }
    }
    CHECK_OK(store->Close());
    store = OpenStore(directory);
    CHECK_EQ(Now(*store, database), TextOf(states.back().second));
    CHECK_OK(store->Verify().status());
  }
}

// One rolls back while others read and commit: what a view shows is one state, whole.
TEST(store_rollback, others_go_on) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory, BusyStore());
  Store* const other = store.get();
  const DatabaseId database = MakeDatabase(*store, "rows");
  const std::string left = KeyOf(database, "left"), right = KeyOf(database, "right");
  const auto put_both = [&](Store& one, const std::string& value) {
    WriteSet writes;
    CHECK_OK(writes.Put(AsBytes(left), AsBytes(value)));
    CHECK_OK(writes.Put(AsBytes(right), AsBytes(value)));
    return CommitWrites(one, writes);
  };
  put_both(*store, "0");
  std::atomic<uint64_t> commits{0}, views{0};
  Worker writer([&](const std::stop_token& stop) {
    for (uint64_t i = 1; !stop.stop_requested(); ++i) {
      put_both(*other, std::to_string(i));
      commits.fetch_add(1, std::memory_order_acq_rel);
    }
  });
  Worker reader([&](const std::stop_token& stop) {
    const auto view = other->NewView();
    while (!stop.stop_requested()) {
      CHECK_OK(view->Renew());
      const std::string value = ValueOf(*view, left);
      CHECK_EQ(ValueOf(*view, right), value);
      views.fetch_add(1, std::memory_order_acq_rel);
    }
  });
  AWAIT(views.load(std::memory_order_acquire) > 0);
  uint64_t done = 0;
  for (uint64_t i = 0; i < Scale(40); ++i) {
    const Lsn to = put_both(*store, "mine " + std::to_string(i));
    const uint64_t before = commits.load(std::memory_order_acquire);
    usleep(2000);
    // Two: the first may lie before what is taken back.
    AWAIT(commits.load(std::memory_order_acquire) >= before + 2);
    const Status rolled = store->RollBack(to);
    if (rolled.code() == Code::kTrimmed) continue;  // folded meanwhile
    CHECK_OK(rolled);
    ++done;
  }
  writer.Stop();
  reader.Stop();
  // Those that found nothing above their end are not counted.
  const uint64_t counted = store->Stat().rollbacks;
  CHECK(counted > 0 && counted <= done);
  CHECK_OK(store->Verify().status());
}

}  // namespace
}  // namespace ringleader
