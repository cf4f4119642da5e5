// The fold: what it may move and when, who does it, how large generations get, and what it costs
// those who read meanwhile.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

#include "child_process.h"
#include "concurrent.h"
#include "slow_sync.h"
#include "store/folder.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using namespace test;

using std::chrono::milliseconds;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kSecond = 1'000'000'000;

std::string Numbered(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(8 - digits.size(), '0') + digits;
}

// Rows `from` to `to - 1`, in transactions of a thousand.
void PutMany(Store& store, DatabaseId database, uint64_t from, uint64_t to,
             const std::string& value) {
  while (from < to) {
    WriteSet writes;
    for (uint64_t i = 0; i < 1000 && from < to; ++i, ++from) {
      CHECK_OK(writes.Put(AsBytes(KeyOf(database, Numbered(from))), AsBytes(value)));
    }
    CommitWrites(store, writes);
  }
}

uint64_t CountRows(Store& store, DatabaseId database) {
  const auto view = TakeView(store);
  CHECK_VALUE(const auto cursor, MergeCursor::Open(*view, nullptr));
  CHECK_OK(cursor->SeekAtLeast(AsBytes(KeyOf(database, ""))));
  uint64_t rows = 0;
  for (; cursor->valid() && LoadRowPrefix(cursor->row_key()) == database; ++rows) {
    CHECK_OK(cursor->Next());
  }
  return rows;
}

// --- what may be folded --------------------------------------------------------------------------

TEST(store_fold, moves_rows_and_forgets_memory) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  PutMany(*store, database, 0, 3000, "value");
  RemoveRow(*store, KeyOf(database, Numbered(7)));
  CHECK_OK(store->Fold());
  const StoreStat stat = store->Stat();
  CHECK_EQ(stat.base.applied, stat.log.visible);
  CHECK_EQ(stat.overlay_versions, uint64_t{0});
  CHECK_EQ(CountRows(*store, database), uint64_t{2999});
  CHECK_OK(store->Fold());  // nothing left to do
  CHECK_OK(store->Close());
  store = OpenStore(directory);
  CHECK_EQ(store->Stat().replayed_records, uint64_t{0});
  CHECK_EQ(CountRows(*store, database), uint64_t{2999});
}

TEST(store_fold, never_passes_the_limit) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  const Lsn below = PutRow(*store, KeyOf(database, "a"), "1");
  store->SetFoldLimit(below);
  CHECK_OK(store->Fold());
  CHECK_EQ(store->Stat().base.applied, below);
  const Lsn middle = PutRow(*store, KeyOf(database, "b"), "2");
  store->SetFoldLimit(middle);
  const Lsn end = PutRow(*store, KeyOf(database, "c"), "3");
  // What is frozen ends beyond the limit: none of it may be folded, and nobody waits for it.
  CHECK_OK(store->Fold());
  CHECK(store->Stat().base.applied <= middle);
  store->SetFoldLimit(Lsn(end.value - 1));
  CHECK_OK(store->Fold());
  CHECK(store->Stat().base.applied < end);
  store->SetFoldLimit(end);
  CHECK_OK(store->Fold());
  CHECK_EQ(store->Stat().base.applied, end);
  CHECK_EQ(RowsOf(*TakeView(*store), database), "a=1 b=2 c=3 ");
}

// A primary whose group does not commit: what may not be folded goes into more and larger
// generations, in files, and no writer waits. Nothing is frozen for its age then.
TEST(store_fold, writers_go_on_while_the_limit_stands) {
  const std::string directory = TempDir();
  StoreOptions options = BusyStore();
  options.max_frozen = 1;
  options.fold_interval_ns = kSecond / 1000;
  auto store = OpenStore(directory, options);
  const DatabaseId database = MakeDatabase(*store, "rows");
  const Lsn limit = store->Stat().log.visible;
  CHECK_OK(store->Fold());
  store->SetFoldLimit(limit);
  options.fold_limit = limit;
  const std::string value(20'000, 'v');
  constexpr uint64_t kRows = 600;
  for (uint64_t row = 0; row < kRows; ++row) {
    PutRow(*store, KeyOf(database, Numbered(row)), value);
    if (row % 20 == 0) CHECK_OK(store->Fold());  // nobody waits for what may not be
  }
  const auto check = [&] {
    const StoreStat stat = store->Stat();
    CHECK_EQ(stat.base.applied, limit);
    CHECK(stat.generations >= 3 && stat.generations <= 8);
    CHECK(stat.overlay_in_file);
    CHECK_EQ(CountRows(*store, database), kRows);
  };
  check();
  std::this_thread::sleep_for(milliseconds(50));
  check();
  CHECK_OK(store->Close());
  store = OpenStore(directory, options);
  CHECK(store->Stat().replayed_records >= kRows);
  check();
  store->SetFoldLimit(kMaxLsn);
  PutRow(*store, KeyOf(database, Numbered(kRows)), "after");
  CHECK_OK(store->Fold());
  CHECK(store->Stat().generations <= 2);
  CHECK_EQ(CountRows(*store, database), kRows + 1);
  CHECK_OK(store->Close());
}

TEST(store_fold, what_the_limit_holds_back_can_be_rolled_back) {
  StoreOptions options = BusyStore();
  options.max_frozen = 1;
  const auto store = OpenStore(TempDir(), options);
  const DatabaseId database = MakeDatabase(*store, "rows");
  const Lsn limit = store->Stat().log.visible;
  store->SetFoldLimit(limit);
  for (uint64_t row = 0; row < 300; ++row) {
    PutRow(*store, KeyOf(database, Numbered(row)), std::string(20'000, 'v'));
  }
  CHECK(store->Stat().overlay_in_file);
  CHECK_OK(store->RollBack(limit));
  CHECK_EQ(CountRows(*store, database), uint64_t{0});
  PutRow(*store, KeyOf(database, Numbered(7)), "after");
  CHECK_EQ(CountRows(*store, database), uint64_t{1});
}

TEST(store_fold, waits_until_the_log_is_flushed) {
  const auto store = OpenStore(TempDir());
  const DatabaseId database = MakeDatabase(*store, "rows");
  const Lsn end = PutRow(*store, KeyOf(database, "a"), "1");
  CHECK(store->Stat().log.durable < end);
  CHECK_OK(store->Fold());
  const StoreStat stat = store->Stat();
  CHECK_EQ(stat.base.applied, end);
  CHECK(stat.log.durable >= stat.base.applied);
}

// --- who does it ---------------------------------------------------------------------------------

TEST(store_fold, another_process_finishes_what_a_dead_one_began) {
  const std::string directory = TempDir();
  StoreOptions options = QuietStore();
  options.generation_bytes = 64 * kMiB;
  constexpr uint64_t kRows = 130'000;
  const auto store = OpenStore(directory, options);
  const DatabaseId database = MakeDatabase(*store, "rows");
  CHECK_OK(store->Fold());
  const Lsn before = store->Stat().base.applied;
  PutMany(*store, database, 0, 20'000, "first");
  PutMany(*store, database, 0, kRows, "second");
  SharedValue<std::atomic<uint32_t>> open;
  Child child([&] {
    const SlowBase slow(100'000);
    const auto folding = OpenStore(directory, options);
    CHECK_OK(folding->Fold());
  });
  // Some sub-transactions have been written, the last one has not.
  AWAIT(store->Stat().folded_rows >= 50'000);
  child.Kill();
  CHECK_EQ(store->Stat().base.applied, before);
  CHECK(store->Stat().base.rows >= 50'000);
  CHECK_EQ(CountRows(*store, database), kRows);
  CHECK_OK(store->Fold());
  CHECK_EQ(store->Stat().base.applied, store->Stat().log.visible);
  CHECK_EQ(CountRows(*store, database), kRows);
  CHECK_EQ(ValueOf(*TakeView(*store), KeyOf(database, Numbered(11))), "second");
}

TEST(store_fold, rows_of_dropped_databases_go_bit_by_bit) {
  StoreOptions options = BusyStore();
  options.generation_bytes = 16 * kMiB;
  const auto store = OpenStore(TempDir(), options);
  const DatabaseId dropped = MakeDatabase(*store, "dropped");
  const DatabaseId cleared = MakeDatabase(*store, "cleared");
  const DatabaseId kept = MakeDatabase(*store, "kept");
  PutMany(*store, dropped, 0, 45'000, "x");
  PutMany(*store, cleared, 0, 1000, "x");
  PutMany(*store, kept, 0, 1000, "x");
  CHECK_OK(store->Fold());
  const auto before = TakeView(*store);
  CHECK_OK(store->DropDatabase("dropped"));
  CHECK_VALUE(const Database fresh, store->ClearDatabase("cleared"));
  CHECK(fresh.id != cleared);
  CHECK(MakeDatabase(*store, "dropped") != dropped);
  CHECK_OK(store->Fold());
  const auto gone = [&](DatabaseId id) {
    const auto view = TakeView(*store);
    CHECK_VALUE(const uint64_t rows, view->base().Rows(id));
    return rows == 0;
  };
  AWAIT(gone(dropped) && gone(cleared));
  CHECK_EQ(CountRows(*store, kept), uint64_t{1000});
  CHECK_EQ(CountRows(*store, fresh.id), uint64_t{0});
  // Whoever was looking still sees them.
  CHECK_EQ(ValueOf(*before, KeyOf(dropped, Numbered(44'999))), "x");
  CHECK_EQ(ValueOf(*before, KeyOf(cleared, Numbered(0))), "x");
}

// --- size of generations -------------------------------------------------------------------------

// Real time, moved forward by the test.
class MovedClock : public Clock {
 public:
  uint64_t MonotonicNanos() override {
    return PosixEnv().clock.MonotonicNanos() + ahead_ns_.load(std::memory_order_acquire);
  }
  uint64_t WallMicros() override { return PosixEnv().clock.WallMicros(); }
  void Move(uint64_t ns) { ahead_ns_.fetch_add(ns, std::memory_order_acq_rel); }

 private:
  std::atomic<uint64_t> ahead_ns_{0};
};

uint64_t ActiveBytes(Store& store) {
  return TakeView(store)->generations().list.back()->area.mapping->size();
}

TEST(store_fold, generations_grow_with_the_load_and_shrink_without_it) {
  MovedClock clock;
  Env& real = PosixEnv();
  Env env{real.files, clock, real.random, real.host, real.memory, real.threads};
  StoreOptions options = QuietStore();
  options.generation_bytes = 40 * kMiB;
  const auto store = OpenStore(TempDir(), options, env);
  const DatabaseId database = MakeDatabase(*store, "rows");
  CHECK_EQ(ActiveBytes(*store), 8 * kMiB);
  uint64_t number = 0;
  const auto fold_after = [&](uint64_t ns) {
    PutRow(*store, KeyOf(database, Numbered(number++)), "value");
    clock.Move(ns);
    CHECK_OK(store->Fold());
    return ActiveBytes(*store);
  };
  // The first one's age is not known, and the one after it has been made already.
  fold_after(kSecond);
  fold_after(kSecond);
  CHECK(fold_after(kSecond) >= 16 * kMiB);
  fold_after(kSecond);
  CHECK_EQ(fold_after(kSecond), 40 * kMiB);  // no further than allowed
  CHECK_EQ(fold_after(kSecond), 40 * kMiB);
  for (int i = 0; i < 10; ++i) fold_after(40 * kSecond);
  CHECK_EQ(ActiveBytes(*store), kFirstGenerationBytes);
}

// --- back-pressure -------------------------------------------------------------------------------

TEST(store_fold, writers_slow_down_to_the_pace_of_the_fold) {
  // Slower than any writer on any machine, until one has been held up.
  std::optional<SlowBase> slow(std::in_place, 2'000'000);
  StoreOptions options = BusyStore();
  options.log.segment_bytes = 4 * kMiB;  // so that the log is none of what they wait for
  options.log.ring_bytes = 16 * kMiB;
  const auto store = OpenStore(TempDir(), options);
  const DatabaseId database = MakeDatabase(*store, "rows");
  constexpr uint64_t kWriters = 3;
  constexpr uint64_t kEach = 60;
  const std::string value(30'000, 'v');
  std::atomic<uint64_t> done{0};
  std::vector<std::thread> writers;
  std::vector<std::string> failures(kWriters);
  for (uint64_t w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      try {
        for (uint64_t i = 0; i < kEach; ++i) {
          PutRow(*store, KeyOf(database, Numbered(w * kEach + i)), value);
        }
      } catch (const Failure& failure) {
        failures[w] = failure.text;
      }
      done.fetch_add(1, std::memory_order_acq_rel);
    });
  }
  uint32_t most = 0;
  while (done.load(std::memory_order_acquire) < kWriters) {
    const StoreStat now = store->Stat();
    most = std::max(most, now.generations);
    if (now.held_up > 0) slow.reset();
    std::this_thread::sleep_for(milliseconds(1));
  }
  for (std::thread& writer : writers) writer.join();
  for (const std::string& failure : failures) CHECK_EQ(failure, "");
  const StoreStat stat = store->Stat();
  CHECK(most <= QuietStore().max_frozen + 1);
  CHECK(stat.held_up > 0);
  CHECK(stat.folds > 2);
  CHECK_EQ(CountRows(*store, database), kWriters * kEach);
  std::printf(
      "store_fold: %llu commits of 30 kB against a slow base: %llu times held up, at most "
      "%u generations\n",
      static_cast<unsigned long long>(kWriters * kEach),
      static_cast<unsigned long long>(stat.held_up), most);
}

// --- what it costs a reader that stays -----------------------------------------------------------

uint64_t MappedGenerations() {
  std::ifstream maps("/proc/self/maps");
  uint64_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find("-gen.") != std::string::npos ? 1 : 0;
  }
  return count;
}

TEST(store_fold, a_long_reader_keeps_its_view_and_little_else) {
  const auto store = OpenStore(TempDir());
  const DatabaseId database = MakeDatabase(*store, "rows");
  constexpr uint64_t kRows = 4000;
  PutMany(*store, database, 0, kRows, std::string(100, 'a'));
  CHECK_OK(store->Fold());
  PutRow(*store, KeyOf(database, Numbered(5)), "in the overlay");
  const uint64_t mapped_before = MappedGenerations();
  const auto reader = TakeView(*store);
  const uint64_t bytes_before = store->Stat().base.file_bytes;
  constexpr uint64_t kFolds = 30;
  constexpr uint64_t kPerFold = 2000;
  Choices choices(Seed());
  for (uint64_t fold = 0; fold < kFolds; ++fold) {
    WriteSet writes;
    for (uint64_t i = 0; i < kPerFold; ++i) {
      CHECK_OK(writes.Put(AsBytes(KeyOf(database, Numbered(choices.Below(kRows)))),
                          AsBytes(std::string(100, static_cast<char>('b' + fold % 20)))));
    }
    CommitWrites(*store, writes);
    CHECK_OK(store->Fold());
  }
  CHECK_EQ(ValueOf(*reader, KeyOf(database, Numbered(5))), "in the overlay");
  CHECK_EQ(ValueOf(*reader, KeyOf(database, Numbered(6))), std::string(100, 'a'));
  const uint64_t grown = store->Stat().base.file_bytes - bytes_before;
  const uint64_t per_operation = grown / (kFolds * kPerFold);
  std::printf(
      "store_fold: %llu folds under one reader: the base grew by %llu bytes per operation\n",
      static_cast<unsigned long long>(kFolds), static_cast<unsigned long long>(per_operation));
  CHECK(per_operation <= 1024);
  // Only the generation that it reads from stays mapped beside those in use.
  CHECK(MappedGenerations() <= mapped_before + 2);
  reader->Release();
  CHECK_EQ(MappedGenerations(), mapped_before);
  // What it held back is used again.
  const uint64_t bytes_after = store->Stat().base.file_bytes;
  for (int i = 0; i < 5; ++i) {
    PutMany(*store, database, 0, kPerFold, "again");
    CHECK_OK(store->Fold());
  }
  CHECK_EQ(store->Stat().base.file_bytes, bytes_after);
}

}  // namespace
}  // namespace ringleader
