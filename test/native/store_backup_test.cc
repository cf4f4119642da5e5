// Backups: the state of one moment, whatever goes on meanwhile; nothing half-made is ever taken.
#include <algorithm>
#include <atomic>
#include <vector>

#include "concurrent.h"
#include "store/folder.h"
#include "store_copy_fixture.h"
#include "watched_files.h"

namespace ringleader {
namespace {

using namespace test;  // NOLINT: this is a test

// A store with rows in the base, in frozen generations and in the active one, and some removed.
std::unique_ptr<Store> MakeMixed(const std::string& directory) {
  auto store = OpenStore(directory);
  const DatabaseId first = MakeDatabase(*store, "first");
  PutMany(*store, first, 0, 400);
  CHECK_OK(store->Fold());
  const DatabaseId second = MakeDatabase(*store, "second");
  PutMany(*store, second, 0, 100);
  RemoveRow(*store, KeyOf(first, "key7"));
  return store;
}

TEST(store_backup, has_the_state_of_its_lsn) {
  const std::string directory = TempDir();
  const auto store = MakeMixed(directory + "/env");
  const Contents before = ContentsOf(*store);
  CHECK_EQ(before.at("first").size(), size_t{399});
  CHECK_EQ(before.at("second").size(), size_t{100});
  const Lsn visible = TakeView(*store)->lsn();
  CHECK_VALUE(const Lsn lsn, store->Backup(directory + "/copy"));
  CHECK_EQ(lsn, visible);
  PutMany(*store, MakeDatabase(*store, "third"), 0, 50);

  const auto copy = OpenStore(directory + "/copy");
  CHECK_EQ(TakeView(*copy)->lsn(), lsn);
  CHECK(ContentsOf(*copy) == before);
  // A copy of the same environment, and of an age of its own.
  CHECK(copy->log().identity().environment_id == store->log().identity().environment_id);
  CHECK(copy->log().identity().group_id == store->log().identity().group_id);
  CHECK(copy->log().identity().incarnation != store->log().identity().incarnation);
  CHECK_VALUE(const Store::Verified verified, copy->Verify());
  CHECK_EQ(verified.rows, uint64_t{499});
  CHECK_EQ(verified.databases, uint64_t{2});
  // And it goes on as an environment of its own.
  PutMany(*copy, MakeDatabase(*copy, "fourth"), 0, 50);
  CHECK_OK(copy->Fold());
  CHECK_OK(copy->Close());
  CHECK_EQ(ContentsOf(directory + "/copy").at("fourth").size(), size_t{50});
}

// Every length of the log around ends of segments: a copy ends where its last record ends.
TEST(store_backup, of_every_length_of_the_log) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory + "/env");
  int number = 0;
  const auto check = [&] {
    const std::string to = directory + "/copy" + std::to_string(number++);
    CHECK_OK(store->Backup(to).status());
    CHECK(ContentsOf(to) == ContentsOf(*store));
    RemoveDirectory(to);
  };
  check();  // of nothing at all
  const DatabaseId database = MakeDatabase(*store, "d");
  Choices choices(Seed());
  for (int i = 0; i < 40; ++i) {
    PutRow(*store, KeyOf(database, std::to_string(i)), std::string(choices.Below(7000), 'x'));
    if (choices.OneIn(4)) CHECK_OK(store->Fold());
    if (choices.OneIn(3)) CHECK_OK(store->log().Tick());
    check();
  }
  CHECK(store->Stat().log.tail.value > 2 * kMinSegmentBytes);
}

// Two rows that every transaction changes together, written as fast as possible.
class PairWriter {
 public:
  PairWriter(Store& store, DatabaseId database)
      : store_(store),
        database_(database),
        worker_([this](const std::stop_token& stop) { Run(stop); }) {}

  void Stop() { worker_.Stop(); }
  uint64_t count() const { return count_.load(std::memory_order_acquire); }
  // Where the transaction that wrote `number` ends; after Stop.
  const std::vector<Lsn>& ends() const { return ends_; }

 private:
  void Run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::string value = std::to_string(ends_.size());
      WriteSet writes;
      CHECK_OK(writes.Put(AsBytes(KeyOf(database_, "a")), AsBytes(value)));
      CHECK_OK(writes.Put(AsBytes(KeyOf(database_, "z")), AsBytes(value)));
      CHECK_OK(writes.Put(AsBytes(KeyOf(database_, "m" + std::to_string(ends_.size() % 5000))),
                          AsBytes(std::string(500, 'm'))));
      ends_.push_back(CommitWrites(store_, writes));
      count_.fetch_add(1, std::memory_order_acq_rel);
    }
  }

  Store& store_;
  const DatabaseId database_;
  std::atomic<uint64_t> count_{0};
  std::vector<Lsn> ends_;
  Worker worker_;
};

TEST(store_backup, is_one_moment_while_writers_go_on) {
  const std::string directory = TempDir();
  StoreOptions options = BusyStore();
  options.log.ring_bytes = uint64_t{1} << 20;
  const auto store = OpenStore(directory + "/env", options);
  const DatabaseId database = MakeDatabase(*store, "pairs");
  PutRow(*store, KeyOf(database, "a"), "none");
  PutRow(*store, KeyOf(database, "z"), "none");
  std::vector<Lsn> lsns;
  PairWriter writer(*store, database);
  const uint64_t copies = Scale(6);
  for (uint64_t i = 0; i < copies; ++i) {
    AWAIT(writer.count() > i);
    CHECK_OK(store->Fold());
    CHECK_VALUE(const Lsn lsn, store->Backup(directory + "/copy" + std::to_string(i)));
    lsns.push_back(lsn);
  }
  writer.Stop();
  CHECK(writer.ends().size() >= copies);
  for (uint64_t i = 0; i < copies; ++i) {
    const Contents contents = ContentsOf(directory + "/copy" + std::to_string(i));
    const auto last = std::ranges::upper_bound(writer.ends(), lsns[i]);
    const auto count = static_cast<size_t>(last - writer.ends().begin());
    const std::string expected = count == 0 ? "none" : std::to_string(count - 1);
    CHECK_EQ(contents.at("pairs").at("a"), expected);
    CHECK_EQ(contents.at("pairs").at("z"), expected);
  }
  CHECK_OK(store->Verify().status());
}

// While the base is being written to the copy, everything is folded and the log would be recycled.
TEST(store_backup, holds_the_log_until_it_is_copied) {
  const std::string directory = TempDir();
  Store* running = nullptr;
  DatabaseId database = 0;
  bool done = false;
  WatchedFiles files([&](const std::string& call, const std::string& path) {
    const bool now = call == "flush" && path == directory + "/copy/base/data.mdb";
    if (!now || done) return Status::Ok();
    done = true;
    for (uint64_t round = 0; round < 4; ++round) {
      PutMany(*running, database, round * 1000, 600);
      CHECK_OK(running->Fold());
      CHECK_OK(running->log().Tick());
    }
    return Status::Ok();
  });
  Env env = files.env();
  const auto store = OpenStore(directory + "/env", QuietStore(), env);
  running = store.get();
  database = MakeDatabase(*store, "d");
  PutMany(*store, database, 100'000, 300);
  CHECK_OK(store->Fold());
  PutMany(*store, database, 200'000, 300);
  CHECK_OK(store->Backup(directory + "/copy").status());
  CHECK(done);
  CHECK(ContentsOf(directory + "/copy") == ContentsOf(*store));
  // Afterwards nobody holds it any more.
  const Lsn start = store->Stat().log.start;
  PutMany(*store, database, 300'000, 600);
  CHECK_OK(store->Fold());
  CHECK_OK(store->log().Tick());
  CHECK(store->Stat().log.start > start + kMinSegmentBytes);
  CHECK_VALUE(const auto consumers, store->log().Consumers());
  CHECK_EQ(consumers.size(), size_t{1});
  CHECK_EQ(consumers[0].name, std::string(kBaseConsumer));
}

// A process that died during a backup has left its consumer. The fold takes it away.
TEST(store_backup, that_died_is_forgotten) {
  const std::string directory = TempDir();
  auto store = MakeMixed(directory + "/env");
  const Lsn start = store->Stat().log.start;
  CHECK_OK(store->log().PutConsumer({kBackupConsumer, start, 0, 0, false}));
  CHECK_OK(store->log().PutConsumer({"other", start, 0, 0, false}));
  CHECK_OK(store->Close());
  store = OpenStore(directory + "/env", BusyStore());
  std::vector<Consumer> consumers;
  const auto count = [&] {
    CHECK_VALUE(consumers, store->log().Consumers());
    return consumers.size();
  };
  AWAIT(count() == 2);
  for (const Consumer& consumer : consumers) CHECK(consumer.name != kBackupConsumer);
}

// Without threads there is no such fold; the next backup begins anew.
TEST(store_backup, takes_over_from_one_that_died) {
  const std::string directory = TempDir();
  const auto store = MakeMixed(directory + "/env");
  CHECK_OK(store->log().PutConsumer({kBackupConsumer, store->Stat().log.start, 0, 0, false}));
  CHECK_OK(store->Backup(directory + "/copy").status());
  CHECK_VALUE(const auto consumers, store->log().Consumers());
  CHECK_EQ(consumers.size(), size_t{1});
}

TEST(store_backup, goes_into_a_directory_that_is_empty_or_new) {
  const std::string directory = TempDir();
  const auto store = MakeMixed(directory + "/env");
  FileSystem& files = PosixEnv().files;
  CHECK_OK(files.MakeDirectory(directory + "/full"));
  CHECK_OK(files.Open(directory + "/full/file", OpenMode::kCreate).status());
  CHECK_CODE(store->Backup(directory + "/full").status(), Code::kExists);
  CHECK_CODE(store->Backup(directory + "/full/file").status(), Code::kNotADirectory);
  CHECK_CODE(store->Backup(directory + "/env").status(), Code::kExists);
  CHECK_CODE(store->Backup(directory + "/none/copy").status(), Code::kNotFound);
  CHECK_OK(files.MakeDirectory(directory + "/empty"));
  CHECK_OK(store->Backup(directory + "/empty").status());
  CHECK_CODE(store->Backup(directory + "/empty").status(), Code::kExists);
  CHECK(ContentsOf(directory + "/empty") == ContentsOf(*store));
}

// Whatever call the machine stops at: nobody takes what is there for an environment, unless it is
// all of one.
TEST(store_backup, half_made_is_never_taken) {
  const std::string directory = TempDir();
  uint64_t left = ~uint64_t{0};
  WatchedFiles files([&](const std::string& call, const std::string& path) {
    const bool changes = call != "open" && call != "read";
    const bool ours = changes && path.find("/copy") != std::string::npos;
    if (!ours || left == ~uint64_t{0}) return Status::Ok();
    if (left == 0) return Status(Code::kIo, "the machine has stopped");
    --left;
    return Status::Ok();
  });
  Env env = files.env();
  const auto store = OpenStore(directory + "/env", QuietStore(), env);
  PutMany(*store, MakeDatabase(*store, "d"), 0, 300);
  const Contents contents = ContentsOf(*store);
  uint64_t stopped = 0;
  for (uint64_t calls = 0;; ++calls) {
    const std::string copy = directory + "/copy" + std::to_string(calls);
    left = calls;
    const auto made = store->Backup(copy);
    left = ~uint64_t{0};
    if (made.ok()) {
      CHECK(ContentsOf(copy) == contents);
      break;
    }
    CHECK_CODE(made.status(), Code::kIo);
    ++stopped;
    const bool named = PosixEnv().files.Info(copy + "/control").ok();
    if (named) {
      // Only the flush of the name was left to do.
      CHECK(ContentsOf(copy) == contents);
      continue;
    }
    if (!PosixEnv().files.Info(copy).ok()) continue;
    StoreOptions options = QuietStore();
    options.log.create = false;
    CHECK(!Store::Open(PosixEnv(), copy, options).ok());
    const auto segments = PosixEnv().files.List(copy + "/log");
    if (!segments.ok() || segments.value().empty()) continue;
    CHECK_CODE(Store::Open(PosixEnv(), copy, QuietStore()).status(), Code::kCorruption);
  }
  CHECK(stopped > 10);
}

// An error on the way leaves a directory that the next try can use.
TEST(store_backup, that_failed_can_be_tried_again) {
  const std::string directory = TempDir();
  bool full = true;
  WatchedFiles files([&](const std::string& call, const std::string& path) {
    const bool ours = call == "write" && path.find("/copy/log/") != std::string::npos;
    return ours && full ? Status(Code::kNoSpace, "the disk is full") : Status::Ok();
  });
  Env env = files.env();
  const auto store = OpenStore(directory + "/env", QuietStore(), env);
  PutMany(*store, MakeDatabase(*store, "d"), 0, 10);
  CHECK_CODE(store->Backup(directory + "/copy").status(), Code::kNoSpace);
  full = false;
  CHECK_OK(store->Backup(directory + "/copy").status());
  CHECK(ContentsOf(directory + "/copy") == ContentsOf(*store));
}

TEST(store_backup, of_a_damaged_log_fails) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory + "/env");
  PutMany(*store, MakeDatabase(*store, "d"), 0, 100);
  CHECK_OK(store->log().WaitFor(store->Stat().log.tail, Level::kFlushed));
  ChangeByte(directory + "/env/log/0000000000000000.seg", 20'000);
  CHECK_CODE(store->Backup(directory + "/copy").status(), Code::kCorruption);
  CHECK(!PosixEnv().files.Info(directory + "/copy/control").ok());
}

}  // namespace
}  // namespace ringleader
