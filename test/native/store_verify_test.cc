// Verification: what is whole passes, also while it changes; every kind of damage is named.
#include <memory>
#include <vector>

#include "concurrent.h"
#include "log/segment_files.h"
#include "store/catalogue.h"
#include "store/generation_format.h"
#include "store_copy_fixture.h"

namespace ringleader {
namespace {

using namespace test;  // NOLINT: this is a test

TEST(store_verify, counts_what_there_is) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  CHECK_VALUE(const Store::Verified none, store->Verify());
  CHECK_EQ(none.rows + none.records + none.databases, uint64_t{0});
  const DatabaseId first = MakeDatabase(*store, "first");
  const DatabaseId second = MakeDatabase(*store, "second");
  PutMany(*store, first, 0, 100);
  PutMany(*store, second, 0, 10);
  RemoveRow(*store, KeyOf(first, "key1"));
  CHECK_VALUE(const Store::Verified fresh, store->Verify());
  CHECK_EQ(fresh.rows, uint64_t{109});
  CHECK_EQ(fresh.records, uint64_t{113});
  CHECK_EQ(fresh.databases, uint64_t{2});
  CHECK_OK(store->Fold());
  // Rows in base and overlay, changed, removed, made anew; one removed that never was.
  PutMany(*store, first, 50, 100);
  RemoveRow(*store, KeyOf(first, "key2"));
  RemoveRow(*store, KeyOf(first, "key3"));
  PutRow(*store, KeyOf(first, "key3"), "again");
  RemoveRow(*store, KeyOf(second, "nothing"));
  CHECK_VALUE(const Store::Verified mixed, store->Verify());
  CHECK_EQ(mixed.rows, uint64_t{158});
  CHECK_OK(store->DropDatabase("first"));
  CHECK_VALUE(const Store::Verified dropped, store->Verify());
  CHECK_EQ(dropped.rows, uint64_t{10});
  CHECK_EQ(dropped.databases, uint64_t{1});
  CHECK_OK(store->Fold());
  CHECK_VALUE(const Store::Verified folded, store->Verify());
  CHECK_EQ(folded.rows, uint64_t{10});
  CHECK_OK(store->Close());
  store = OpenStore(directory);
  CHECK_VALUE(const Store::Verified reopened, store->Verify());
  CHECK_EQ(reopened.rows, uint64_t{10});
}

// Several generations, and versions of one row in all of them.
TEST(store_verify, walks_every_generation) {
  StoreOptions options = QuietStore();
  options.max_frozen = 4;
  options.fold_limit = Lsn();
  const auto store = OpenStore(TempDir(), options);
  const DatabaseId database = MakeDatabase(*store, "d");
  uint64_t rows = 0;
  while (store->Stat().generations < 3) {
    PutMany(*store, database, rows, 200);
    rows += 200;
    for (int i = 0; i < 50; ++i) PutRow(*store, KeyOf(database, "hot"), std::to_string(i));
    if (rows % 1000 == 0) CHECK_OK(store->Fold());
  }
  CHECK_VALUE(const Store::Verified verified, store->Verify());
  CHECK_EQ(verified.rows, rows + 1);
}

TEST(store_verify, passes_while_writers_run) {
  const auto store = OpenStore(TempDir(), BusyStore());
  const DatabaseId database = MakeDatabase(*store, "d");
  std::vector<std::unique_ptr<Worker>> writers;
  for (uint64_t number = 0; number < 2; ++number) {
    writers.push_back(std::make_unique<Worker>([&, number](const std::stop_token& stop) {
      Choices choices(number + 1);
      while (!stop.stop_requested()) {
        const std::string row_key = KeyOf(database, std::to_string(choices.Below(2000)));
        if (choices.OneIn(3)) {
          RemoveRow(*store, row_key);
        } else {
          PutRow(*store, row_key, std::string(choices.Below(900), 'v'));
        }
      }
    }));
  }
  const auto enough = [&](uint64_t times) { return times >= Scale(10) && store->Stat().folds > 2; };
  for (uint64_t i = 0; !enough(i); ++i) {
    if (i % 2 == 1) CHECK_OK(store->Fold());
    CHECK_OK(store->Verify().status());
  }
  for (const auto& writer : writers) writer->Stop();
  CHECK(store->Stat().folds > 2);
}

// --- damage -------------------------------------------------------------------------------------

std::vector<uint8_t> IdBytes(DatabaseId id) {
  std::vector<uint8_t> bytes(sizeof id);
  StoreRowPrefix(bytes.data(), id);
  return bytes;
}

// Writes a row of the catalogue as it must never be, and expects to hear of it.
Status VerifyWith(const std::vector<uint8_t>& row_key, const std::vector<uint8_t>& value) {
  const auto store = OpenStore(TempDir());
  MakeDatabase(*store, "a");
  MakeDatabase(*store, "b");
  CHECK_OK(store->Verify().status());
  WriteSet writes;
  CHECK_OK(writes.Put(row_key, value));
  CommitWrites(*store, writes);
  return store->Verify().status();
}

TEST(store_verify, finds_a_catalogue_that_contradicts_itself) {
  const Database twice{"c", 1, {}};
  CHECK_CODE(VerifyWith(DatabaseRowKey("c"), EncodeDatabase(twice)), Code::kCorruption);
  const Database ahead{"c", 3, {}};
  CHECK_CODE(VerifyWith(DatabaseRowKey("c"), EncodeDatabase(ahead)), Code::kCorruption);
  CHECK_CODE(VerifyWith(NextIdRowKey(), IdBytes(2)), Code::kCorruption);
  CHECK_OK(VerifyWith(NextIdRowKey(), IdBytes(3)));
  CHECK_CODE(VerifyWith(NextIdRowKey(), {1, 2, 3}), Code::kCorruption);
  CHECK_CODE(VerifyWith(DatabaseRowKey("c"), {1, 2}), Code::kCorruption);
  CHECK_CODE(VerifyWith(DroppedRowKey(1), {}), Code::kCorruption);
  CHECK_OK(VerifyWith(DroppedRowKey(77), {}));
  std::vector<uint8_t> unknown = NextIdRowKey();
  unknown.back() = 'x';
  CHECK_CODE(VerifyWith(unknown, {}), Code::kCorruption);
}

// Rows under an id that is neither a database's nor on the list of the dropped.
TEST(store_verify, finds_rows_that_belong_to_nobody) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  PutMany(*store, MakeDatabase(*store, "d"), 0, 10);
  CHECK_OK(store->Fold());
  BaseOptions options;
  options.environment_id = store->log().identity().environment_id;
  CHECK_OK(store->Close());
  const auto change = [&](const std::function<void(BaseTree::Batch&)>& with) {
    CHECK_VALUE(const auto base, BaseTree::Open(PosixEnv(), directory, options));
    CHECK_VALUE(const auto batch, base->Begin());
    with(*batch);
    CHECK_OK(batch->Commit());
  };
  change([](BaseTree::Batch& batch) {
    CHECK_OK(batch.Put(AsBytes(KeyOf(77, "k")), Lsn(5000), AsBytes("v")));
  });
  store = OpenStore(directory);
  CHECK_CODE(store->Verify().status(), Code::kCorruption);
  CHECK_OK(store->Close());
  change([](BaseTree::Batch& batch) { CHECK_OK(batch.AddDropped(77)); });
  store = OpenStore(directory);
  CHECK_VALUE(const Store::Verified verified, store->Verify());
  CHECK_EQ(verified.rows, uint64_t{10});
}

// A row from the future.
TEST(store_verify, finds_a_row_that_is_newer_than_the_log) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "d");
  PutMany(*store, database, 0, 10);
  CHECK_OK(store->Fold());
  BaseOptions options;
  options.environment_id = store->log().identity().environment_id;
  CHECK_OK(store->Close());
  {
    CHECK_VALUE(const auto base, BaseTree::Open(PosixEnv(), directory, options));
    CHECK_VALUE(const auto batch, base->Begin());
    CHECK_OK(batch->Put(AsBytes(KeyOf(database, "k")), Lsn(1'000'000'000), AsBytes("v")));
    CHECK_OK(batch->Commit());
  }
  store = OpenStore(directory);
  CHECK_CODE(store->Verify().status(), Code::kCorruption);
}

TEST(store_verify, finds_damage_in_the_log) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  PutMany(*store, MakeDatabase(*store, "d"), 0, 400);
  CHECK_OK(store->log().WaitFor(store->Stat().log.tail, Level::kFlushed));
  for (const uint64_t at : {uint64_t{5000}, uint64_t{60'000}}) {
    const std::string path = directory + "/log/" + SegmentName(Lsn());
    ChangeByte(path, at);
    CHECK_CODE(store->Verify().status(), Code::kCorruption);
    ChangeByte(path, at);
    CHECK_OK(store->Verify().status());
  }
}

TEST(store_verify, finds_damage_in_the_base) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  PutMany(*store, MakeDatabase(*store, "d"), 0, 400);
  CHECK_OK(store->Fold());
  const std::string path = directory + "/base/data.mdb";
  CHECK_VALUE(const FileInfo info, PosixEnv().files.Info(path));
  // Somewhere on every page but those of the meta data: most of it is in use.
  uint64_t found = 0;
  for (uint64_t at = 2 * 4096 + 2000; at < info.size; at += 4096) {
    ChangeByte(path, at);
    const Status status = store->Verify().status();
    ChangeByte(path, at);
    if (status.ok()) continue;
    CHECK_CODE(status, Code::kCorruption);
    ++found;
  }
  CHECK(found > 20);
  CHECK_OK(store->Verify().status());
}

// --- generations --------------------------------------------------------------------------------

TEST(store_verify, generations_are_checked_link_by_link) {
  const auto fill = [](HeapGeneration& generation) {
    generation.Put(100, KeyOf(1, "a"), "one");
    generation.Put(200, KeyOf(1, "b"), "two");
    generation.Put(300, KeyOf(1, "a"), "three");
    generation.Remove(400, KeyOf(1, "b"));
    generation.Put(400, KeyOf(1, "c"), "four");
  };
  HeapGeneration whole;
  fill(whole);
  CHECK_OK(whole.get()->Verify(Lsn(99), Lsn(400)));
  CHECK_CODE(whole.get()->Verify(Lsn(100), Lsn(400)), Code::kCorruption);
  CHECK_CODE(whole.get()->Verify(Lsn(99), Lsn(399)), Code::kCorruption);
  // Every byte behind header and buckets, changed: it is found, or it says nothing about order.
  uint64_t found = 0;
  const size_t size = whole.bytes_of_memory().size();
  for (size_t at = size / 2; at-- > 0;) {
    if (whole.bytes_of_memory()[at] == 0) continue;
    uint8_t& byte = whole.bytes_of_memory()[at];
    const uint8_t good = byte;
    byte ^= 0x80;
    const Status status = whole.get()->Verify(Lsn(99), Lsn(400));
    byte = good;
    if (status.ok()) continue;
    CHECK_CODE(status, Code::kCorruption);
    ++found;
  }
  CHECK(found >= 10);
  CHECK_OK(whole.get()->Verify(Lsn(99), Lsn(400)));
}

}  // namespace
}  // namespace ringleader
