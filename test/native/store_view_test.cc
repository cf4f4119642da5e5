// Views over a real store: what they see, for how long, and in what order they are taken.
#include "store/view.h"

#include <atomic>
#include <memory>
#include <vector>

#include "child_process.h"
#include "concurrent.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using test::AsBytes;
using test::KeyOf;
using test::OpenStore;
using test::PutRow;
using test::RemoveRow;
using test::RowsOf;
using test::TakeView;
using test::ValueOf;

TEST(store_view, of_an_empty_store_stays_empty) {
  const auto store = OpenStore(test::TempDir());
  const auto view = TakeView(*store);
  const DatabaseId database = test::MakeDatabase(*store, "rows");
  PutRow(*store, KeyOf(database, "a"), "1");
  CHECK_EQ(ValueOf(*view, KeyOf(database, "a")), "none");
  CHECK_VALUE(const auto before, ListDatabases(*view));
  CHECK(before.empty());
  CHECK_OK(view->Renew());
  CHECK_EQ(ValueOf(*view, KeyOf(database, "a")), "1");
}

TEST(store_view, is_current_until_somebody_commits) {
  const auto store = OpenStore(test::TempDir());
  const DatabaseId database = test::MakeDatabase(*store, "rows");
  const auto view = store->NewView();
  CHECK(!view->current());
  CHECK_OK(view->Renew());
  CHECK(view->current());
  PutRow(*store, KeyOf(database, "a"), "1");
  CHECK(!view->current());
  CHECK_OK(view->Renew());
  CHECK(view->current());
  // Another list of generations: a view that is taken now has another one too.
  CHECK_OK(store->Fold());
  CHECK(!view->current());
  CHECK_OK(view->Renew());
  CHECK(view->current());
  view->Release();
  CHECK(!view->current());
}

TEST(store_view, sees_everything_up_to_its_lsn_and_nothing_else) {
  const auto store = OpenStore(test::TempDir());
  const std::string a = KeyOf(test::MakeDatabase(*store, "rows"), "a");
  std::vector<std::unique_ptr<View>> views;
  for (int i = 0; i < 20; ++i) {
    const Lsn end = PutRow(*store, a, std::to_string(i));
    views.push_back(TakeView(*store));
    CHECK_EQ(views.back()->lsn(), end);
    CHECK_VALUE(const std::optional<Row> row, views.back()->Get(AsBytes(a)));
    CHECK(row.has_value());
    CHECK_EQ(row->version, end);
    if (i % 5 == 4) CHECK_OK(store->Fold());
  }
  for (int i = 0; i < 20; ++i) CHECK_EQ(ValueOf(*views[i], a), std::to_string(i));
}

TEST(store_view, is_held_from_renew_to_release) {
  const auto store = OpenStore(test::TempDir());
  const DatabaseId database = test::MakeDatabase(*store, "rows");
  const auto view = store->NewView();
  CHECK(!view->held());
  CHECK_OK(view->Renew());
  CHECK(view->held());
  view->Release();
  CHECK(!view->held());
  view->Release();
  PutRow(*store, KeyOf(database, "a"), "1");
  CHECK_OK(view->Renew());
  CHECK_EQ(ValueOf(*view, KeyOf(database, "a")), "1");
  // While the list of generations stands, and after it has changed.
  PutRow(*store, KeyOf(database, "a"), "2");
  CHECK_OK(view->Renew());
  CHECK_EQ(ValueOf(*view, KeyOf(database, "a")), "2");
  CHECK_OK(store->Fold());
  CHECK_OK(view->Renew());
  CHECK_EQ(ValueOf(*view, KeyOf(database, "a")), "2");
}

TEST(store_view, a_tombstone_ends_the_search) {
  const auto store = OpenStore(test::TempDir());
  const DatabaseId database = test::MakeDatabase(*store, "rows");
  const auto key = [&](const char* name) { return KeyOf(database, name); };
  for (const char* name : {"kept", "removed", "put again"}) PutRow(*store, key(name), "base");
  CHECK_OK(store->Fold());
  const auto before = TakeView(*store);
  RemoveRow(*store, key("removed"));
  RemoveRow(*store, key("put again"));
  const auto between = TakeView(*store);
  PutRow(*store, key("put again"), "new");
  const auto after = TakeView(*store);
  const auto check = [&] {
    CHECK_EQ(RowsOf(*before, database), "kept=base put again=base removed=base ");
    CHECK_EQ(RowsOf(*between, database), "kept=base ");
    CHECK_EQ(RowsOf(*after, database), "kept=base put again=new ");
    CHECK_EQ(ValueOf(*before, key("removed")), "base");
    CHECK_EQ(ValueOf(*between, key("removed")), "none");
    CHECK_EQ(ValueOf(*between, key("put again")), "none");
    CHECK_EQ(ValueOf(*between, key("kept")), "base");
    CHECK_EQ(ValueOf(*after, key("put again")), "new");
  };
  check();
  CHECK_OK(store->Fold());
  check();
}

TEST(store_view, outlives_the_retirement_of_what_it_sees) {
  const auto store = OpenStore(test::TempDir(), test::BusyStore());
  const DatabaseId database = test::MakeDatabase(*store, "rows");
  constexpr int kRounds = 12;
  constexpr int kRows = 400;
  std::vector<std::unique_ptr<View>> views;
  std::vector<std::string> expected;
  for (int round = 0; round < kRounds; ++round) {
    WriteSet writes;
    for (int i = 0; i < kRows; ++i) {
      const std::string row_key = KeyOf(database, "k" + std::to_string(i));
      if ((i + round) % 3 == 0) {
        CHECK_OK(writes.Remove(AsBytes(row_key)));
      } else {
        // A few rounds fill a generation of a megabyte.
        const std::string value = std::to_string(round) + std::string(1000, '.');
        CHECK_OK(writes.Put(AsBytes(row_key), AsBytes(value)));
      }
    }
    test::CommitWrites(*store, writes);
    views.push_back(TakeView(*store));
    expected.push_back(RowsOf(*views.back(), database));
  }
  CHECK_OK(store->Fold());
  CHECK(store->Stat().folds >= 3);
  for (int round = 0; round < kRounds; ++round) {
    CHECK(RowsOf(*views[round], database) == expected[round]);
    const std::string first = ValueOf(*views[round], KeyOf(database, "k1"));
    CHECK_EQ(first.substr(0, first.find('.')),
             (1 + round) % 3 == 0 ? "none" : std::to_string(round));
  }
}

TEST(store_view, is_refused_where_no_reader_place_is_left) {
  StoreOptions options = test::QuietStore();
  options.max_readers = 16;
  const auto store = OpenStore(test::TempDir(), options);
  std::vector<std::unique_ptr<View>> views;
  Status status;
  while (status.ok() && views.size() <= 64) {
    views.push_back(store->NewView());
    status = views.back()->Renew();
  }
  CHECK_CODE(status, Code::kBusy);
  CHECK(views.size() > 8);
  CHECK(!views.back()->held());
  views.front().reset();
  CHECK_OK(views.back()->Renew());
  CHECK(views.back()->held());
}

// --- the order in which a view is taken ----------------------------------------------------------

// The host's shared memory, with something happening whenever an area of it is opened.
class WatchedMemory final : public SharedMemory {
 public:
  explicit WatchedMemory(SharedMemory& memory) : memory_(memory) {}

  void OnOpen(std::function<void()> on_open) { on_open_ = std::move(on_open); }

  Result<std::unique_ptr<SharedMapping>> Create(const std::string& name, size_t size) override {
    return memory_.Create(name, size);
  }
  Result<std::unique_ptr<SharedMapping>> Open(const std::string& name) override {
    if (const auto on_open = std::exchange(on_open_, nullptr)) on_open();
    return memory_.Open(name);
  }
  Status Remove(const std::string& name) override { return memory_.Remove(name); }
  Result<std::unique_ptr<SharedMapping>> CreateAt(const std::string& path, size_t size) override {
    return memory_.CreateAt(path, size);
  }
  Result<std::unique_ptr<SharedMapping>> OpenAt(const std::string& path) override {
    return memory_.OpenAt(path);
  }

 private:
  SharedMemory& memory_;
  std::function<void()> on_open_;
};

// Lets one process wait until the other one has come to a step.
class Steps {
 public:
  void Reach(uint32_t step) { step_->store(step, std::memory_order_release); }
  void Await(uint32_t step) {
    while (step_->load(std::memory_order_acquire) < step) usleep(200);
  }

 private:
  test::SharedValue<std::atomic<uint32_t>> step_;
};

// Between the moment when a view knows the list of generations and the moment when it has them
// mapped, another process folds one of them, retires it, and writes to the next one. Had the view
// looked at the base before, it would miss what was folded.
TEST(store_view, misses_nothing_that_is_folded_while_it_is_taken) {
  const std::string directory = test::TempDir();
  Steps steps;
  const std::string a = KeyOf(1, "a");
  const std::string b = KeyOf(1, "b");
  test::Child other([&] {
    const auto store = OpenStore(directory);
    CHECK_EQ(test::MakeDatabase(*store, "rows"), 1u);
    steps.Reach(1);
    steps.Await(2);
    CHECK_OK(store->Fold());
    PutRow(*store, a, "1");
    steps.Reach(3);
    steps.Await(4);
    CHECK_OK(store->Fold());
    PutRow(*store, b, "2");
    steps.Reach(5);
    steps.Await(6);
  });
  steps.Await(1);
  Env& posix = PosixEnv();
  WatchedMemory memory(posix.memory);
  Env env{posix.files, posix.clock, posix.random, posix.host, memory, posix.threads};
  {
    bool opened = false;
    const auto store = OpenStore(directory, test::QuietStore(), env);
    const auto view = TakeView(*store);
    CHECK_EQ(ValueOf(*view, a), "none");
    steps.Reach(2);
    steps.Await(3);
    memory.OnOpen([&] {
      opened = true;
      steps.Reach(4);
      steps.Await(5);
    });
    CHECK_OK(view->Renew());
    CHECK(opened);
    CHECK_EQ(ValueOf(*view, a), "1");
    CHECK_EQ(ValueOf(*view, b), "2");
  }
  steps.Reach(6);
  other.Join();
}

// --- at once -------------------------------------------------------------------------------------

// Every transaction writes the same number to all rows; whoever sees two numbers has seen half of
// one. Generations fill, freeze, are folded and retired all the while.
class SameEverywhere {
 public:
  static constexpr int kRows = 16;

  explicit SameEverywhere(Store& store)
      : store_(store), database_(test::MakeDatabase(store, "rows")) {}

  Status Write(uint64_t number) {
    WriteSet writes;
    std::vector<uint8_t> value(1000);
    StoreLe(value.data(), number);
    for (int i = 0; i < kRows; ++i) RL_RETURN_IF_ERROR(writes.Put(AsBytes(Key(i)), value));
    const std::vector<uint8_t> payload = writes.Encode();
    Commit commit;
    commit.payload = payload;
    return store_.CommitOne(commit);
  }

  // What is wrong with the newest state, or null. `last`: the number seen before, and now.
  const char* Look(View& view, uint64_t* last) const {
    if (!view.Renew().ok()) return "a view cannot be taken";
    uint64_t number = 0;
    for (int i = kRows - 1; i >= 0; --i) {
      const auto row = view.Get(AsBytes(Key(i)));
      if (!row.ok()) return "a row cannot be read";
      const uint64_t here = row.value() ? LoadLe<uint64_t>(row.value()->value.data()) : 0;
      if (i == kRows - 1) number = here;
      if (here != number) return "half a transaction";
    }
    if (number < *last) return "a view went back";
    *last = number;
    return Walk(view, number);
  }

 private:
  const char* Walk(View& view, uint64_t number) const {
    const auto opened = MergeCursor::Open(view, nullptr);
    if (!opened.ok()) return "a cursor cannot be opened";
    MergeCursor& cursor = *opened.value();
    int rows = 0;
    if (!cursor.SeekAtLeast(AsBytes(Key(0))).ok()) return "a cursor cannot seek";
    for (; cursor.valid(); ++rows) {
      if (LoadLe<uint64_t>(cursor.row().value.data()) != number) return "half of one, by cursor";
      if (!cursor.Next().ok()) return "a cursor cannot move";
    }
    return rows == (number == 0 ? 0 : kRows) ? nullptr : "rows are missing";
  }
  std::string Key(int i) const { return KeyOf(database_, "k" + std::to_string(100 + i)); }

  Store& store_;
  const DatabaseId database_;
};

TEST(store_view, never_sees_half_a_transaction) {
  const uint64_t rounds = test::Scale(300);
  const auto store = OpenStore(test::TempDir(), test::BusyStore());
  SameEverywhere rows(*store);
  std::atomic<uint64_t> looks{0};
  std::vector<std::unique_ptr<test::Worker>> readers;
  for (int r = 0; r < 3; ++r) {
    readers.push_back(std::make_unique<test::Worker>([&, r](const std::stop_token& stop) {
      const auto view = store->NewView();
      for (uint64_t last = 0; !stop.stop_requested();) {
        if (r == 0) view->Release();
        if (const char* what = rows.Look(*view, &last)) test::Fail(__FILE__, __LINE__, what);
        looks.fetch_add(1, std::memory_order_acq_rel);
      }
    }));
  }
  AWAIT(looks.load(std::memory_order_acquire) > 0);
  for (uint64_t round = 1; round <= rounds; ++round) {
    CHECK_OK(rows.Write(round));
    if (round % 50 == 0) CHECK_OK(store->Fold());
  }
  for (const auto& reader : readers) reader->Stop();
  CHECK(store->Stat().folds >= rounds / 50);
}

}  // namespace
}  // namespace ringleader
