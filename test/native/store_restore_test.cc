// Restores: every transaction of backup and archive can be the last one, and nothing else is.
#include <utility>
#include <vector>

#include "concurrent.h"
#include "log/control_file.h"
#include "log/segment_files.h"
#include "store/restore.h"
#include "store_copy_fixture.h"

namespace ringleader {
namespace {

using namespace test;  // NOLINT: this is a test

constexpr uint64_t kSegment = kMinSegmentBytes;

// An environment with an archive, a backup in the middle of its life, and what it held after every
// transaction since.
struct Life {
  explicit Life(const std::string& path) : directory(path) {
    StoreOptions options = BusyStore();
    options.log.archive = Archive();
    store = OpenStore(directory + "/env", options);
    database = MakeDatabase(*store, "d");
    PutMany(*store, database, 0, 300);
    CHECK_OK(store->Fold());
    Live(20);
    CHECK_VALUE(backup, store->Backup(Backup()));
    Live(200);
    // Segments go to the archive when they are full.
    const Lsn last = steps.back().first;
    Live(200);
    CHECK_OK(store->log().WaitFor(store->Stat().log.visible, Level::kFlushed));
    AWAIT(Archived(last));
    archived_end = SegmentStart(last, kSegment) + kSegment;
  }

  std::string Archive() const { return directory + "/archive"; }
  std::string Backup() const { return directory + "/backup"; }
  std::string Target() { return directory + "/target" + std::to_string(targets++); }

  bool Archived(Lsn lsn) const {
    return PosixEnv()
        .files.Info(JoinPath(Archive(), SegmentName(SegmentStart(lsn, kSegment))))
        .ok();
  }
  void Live(int transactions) {
    for (int i = 0; i < transactions; ++i) {
      const std::string number = std::to_string(steps.size());
      const Lsn end =
          PutRow(*store, KeyOf(database, "key" + number), std::string(600, 'n') + number);
      steps.emplace_back(end, number);
    }
  }
  // What a restore has to hold whose last transaction is the one before `step`.
  Contents Expected(size_t step) const {
    Contents contents;
    auto& rows = contents["d"];
    for (uint64_t number = 0; number < 300; ++number) {
      rows["key" + std::to_string(number)] = std::to_string(number) + std::string(300, 'v');
    }
    for (size_t i = 0; i < step; ++i) {
      rows["key" + steps[i].second] = std::string(600, 'n') + steps[i].second;
    }
    return contents;
  }

  const std::string directory;
  std::unique_ptr<Store> store;
  DatabaseId database = 0;
  Lsn backup, archived_end;
  std::vector<std::pair<Lsn, std::string>> steps;  // end of a transaction, and what it wrote
  int targets = 0;
};

Result<Restored> RestoreLife(Life& life, const std::string& target, const RestoreLimit& limit) {
  return RestoreTo(PosixEnv(), life.Backup(), life.Archive(), target, limit);
}

TEST(store_restore, to_every_kind_of_place) {
  Life life(TempDir());
  std::vector<size_t> tried{0, 1, 19, 20, 21, 220};
  Choices choices(Seed());
  for (int i = 0; i < 10; ++i) tried.push_back(choices.Below(221));
  for (const size_t step : tried) {
    const Lsn end = step == 0 ? life.steps[0].first : life.steps[step - 1].first;
    const size_t expected = step == 0 ? 1 : step;
    for (const uint64_t more : {0, 1, 7}) {
      const std::string target = life.Target();
      CHECK_VALUE(const Restored restored, RestoreLife(life, target, {end + more, std::nullopt}));
      CHECK_EQ(restored.lsn, end);
      CHECK(ContentsOf(target) == life.Expected(expected));
      RemoveDirectory(target);
    }
  }
}

TEST(store_restore, without_a_limit_takes_all_there_is) {
  Life life(TempDir());
  const std::string all = life.Target();
  CHECK_VALUE(const Restored restored, RestoreLife(life, all, {}));
  CHECK(restored.lsn >= life.steps[219].first);
  size_t steps = 0;
  while (steps < life.steps.size() && life.steps[steps].first <= restored.lsn) ++steps;
  CHECK(ContentsOf(all) == life.Expected(steps));
  const std::string alone = life.Target();
  CHECK_VALUE(const Restored own, RestoreTo(PosixEnv(), life.Backup(), "", alone, {}));
  CHECK_EQ(own.lsn, life.backup);
  CHECK(ContentsOf(alone) == life.Expected(20));
}

TEST(store_restore, to_a_time) {
  Life life(TempDir());
  std::vector<std::pair<Lsn, uint64_t>> times;
  const auto reader = life.store->log().Read(life.store->Stat().log.start);
  for (;;) {
    CHECK_VALUE(const std::optional<LogEntry> entry, reader->Next());
    if (!entry) break;
    times.emplace_back(entry->end, entry->commit_time_us);
  }
  for (const size_t step : {30, 100, 219}) {
    const Lsn end = life.steps[step].first;
    uint64_t time = 0;
    for (const auto& [at, us] : times) time = at == end ? us : time;
    CHECK(time != 0);
    // The last one that was committed at that time or before.
    Lsn last;
    for (const auto& [at, us] : times) last = us <= time ? at : last;
    const std::string target = life.Target();
    CHECK_VALUE(const Restored restored, RestoreLife(life, target, {std::nullopt, time}));
    CHECK_EQ(restored.lsn, last);
    CHECK_EQ(restored.time_us, time);
    size_t steps = 0;
    while (life.steps[steps].first <= last) ++steps;
    CHECK(ContentsOf(target) == life.Expected(steps));
  }
  CHECK_CODE(RestoreLife(life, life.Target(), {std::nullopt, uint64_t{1}}).status(),
             Code::kTrimmed);
}

// It goes on as an environment, and nothing of what was cut comes back.
TEST(store_restore, is_an_environment_of_its_own) {
  Life life(TempDir());
  const std::string target = life.Target();
  CHECK_OK(RestoreLife(life, target, {life.steps[100].first, std::nullopt}).status());
  auto store = OpenStore(target);
  CHECK(store->log().identity().group_id == life.store->log().identity().group_id);
  CHECK(store->log().identity().incarnation != life.store->log().identity().incarnation);
  CHECK_EQ(store->Stat().log.tail, life.steps[100].first);
  PutRow(*store, KeyOf(life.database, "after"), "the cut");
  CHECK_OK(store->Close());
  Contents expected = life.Expected(101);
  expected["d"]["after"] = "the cut";
  CHECK(ContentsOf(target) == expected);
  // The backup is as it was.
  CHECK(ContentsOf(life.Backup()) == life.Expected(20));
}

TEST(store_restore, limits_that_cannot_be_reached) {
  Life life(TempDir());
  CHECK_CODE(RestoreLife(life, life.Target(), {Lsn(4096), std::nullopt}).status(), Code::kTrimmed);
  CHECK_CODE(RestoreLife(life, life.Target(), {kMaxLsn, std::nullopt}).status(), Code::kNotFound);
  CHECK_CODE(
      RestoreTo(PosixEnv(), life.Backup(), "", life.Target(), {life.backup + 1, std::nullopt})
          .status(),
      Code::kNotFound);
  CHECK_CODE(RestoreTo(PosixEnv(), life.directory + "/nothing", "", life.Target(), {}).status(),
             Code::kNotFound);
  CHECK_CODE(RestoreLife(life, life.Backup(), {}).status(), Code::kExists);
}

TEST(store_restore, a_gap_in_the_archive) {
  Life life(TempDir());
  const Lsn missing = SegmentStart(life.steps[120].first, kSegment);
  CHECK(missing > SegmentStart(life.backup, kSegment));
  CHECK_OK(PosixEnv().files.Remove(JoinPath(life.Archive(), SegmentName(missing))));
  CHECK_CODE(RestoreLife(life, life.Target(), {}).status(), Code::kNotFound);
  CHECK_CODE(RestoreLife(life, life.Target(), {life.steps[219].first, std::nullopt}).status(),
             Code::kNotFound);
  // What lies in front of it can be reached.
  size_t step = 120;
  while (life.steps[step].first >= missing) --step;
  const std::string target = life.Target();
  CHECK_OK(RestoreLife(life, target, {life.steps[step].first, std::nullopt}).status());
  CHECK(ContentsOf(target) == life.Expected(step + 1));
}

TEST(store_restore, a_damaged_segment) {
  Life life(TempDir());
  const Lsn damaged = SegmentStart(life.steps[120].first, kSegment);
  const std::string path = JoinPath(life.Archive(), SegmentName(damaged));
  for (const uint64_t at : {uint64_t{40}, kSegmentPageBytes + 100, kSegment / 2}) {
    ChangeByte(path, at);
    const std::string target = life.Target();
    CHECK_CODE(RestoreLife(life, target, {}).status(), Code::kCorruption);
    CHECK(!PosixEnv().files.Info(target + "/control").ok());
    ChangeByte(path, at);
  }
  CHECK_OK(RestoreLife(life, life.Target(), {}).status());
  ChangeByte(life.Backup() + "/base/data.mdb", 40);
  CHECK_CODE(RestoreLife(life, life.Target(), {}).status(), Code::kCorruption);
  ChangeByte(life.Backup() + "/base/data.mdb", 40);
  CHECK_OK(PosixEnv().files.Remove(life.Backup() + "/base/data.mdb"));
  CHECK_CODE(RestoreLife(life, life.Target(), {}).status(), Code::kCorruption);
}

TEST(store_restore, an_archive_of_another_group) {
  const std::string directory = TempDir();
  CHECK_OK(PosixEnv().files.MakeDirectory(directory + "/one"));
  CHECK_OK(PosixEnv().files.MakeDirectory(directory + "/other"));
  Life life(directory + "/one");
  Life other(directory + "/other");
  CHECK_CODE(RestoreTo(PosixEnv(), life.Backup(), other.Archive(), life.Target(), {}).status(),
             Code::kInvalidArgument);
}

// The backup, restored and written to on its own, has another history from there on.
TEST(store_restore, an_archive_of_another_history) {
  const std::string directory = TempDir();
  Life life(directory);
  const std::string target = life.Target();
  CHECK_OK(RestoreTo(PosixEnv(), life.Backup(), "", target, {}).status());
  StoreOptions options = QuietStore();
  auto store = OpenStore(target, options);
  PutMany(*store, life.database, 0, 150);
  CHECK_OK(store->Fold());
  CHECK_OK(store->Backup(directory + "/later").status());
  CHECK_CODE(
      RestoreTo(PosixEnv(), directory + "/later", life.Archive(), life.Target(), {}).status(),
      Code::kInvalidArgument);
}

TEST(store_restore, from_what_is_open_or_was_not_closed) {
  const std::string directory = TempDir();
  Life life(directory);
  const auto open = OpenStore(life.Backup());
  CHECK_CODE(RestoreLife(life, life.Target(), {}).status(), Code::kBusy);
  PutMany(*open, life.database, 0, 5);
  CopyDirectory(life.Backup(), directory + "/copied");
  CHECK_CODE(RestoreTo(PosixEnv(), directory + "/copied", "", life.Target(), {}).status(),
             Code::kInvalidArgument);
}

// Rows of a bulk load are in the base only.
TEST(store_restore, stops_at_a_bulk_load) {
  const std::string directory = TempDir();
  StoreOptions options = BusyStore();
  options.log.archive = directory + "/archive";
  const auto store = OpenStore(directory + "/env", options);
  const DatabaseId database = MakeDatabase(*store, "d");
  PutMany(*store, database, 0, 10);
  CHECK_OK(store->Backup(directory + "/backup").status());
  const Lsn before = PutMany(*store, database, 10, 10);
  int left = 100;
  std::string key;
  CHECK_OK(store
               ->BulkLoad("loaded",
                          [&](Store::BulkRow* row) -> Result<bool> {
                            key = std::to_string(1000 - left);
                            *row = {AsBytes(key), AsBytes("value")};
                            return left-- > 0;
                          })
               .status());
  const Lsn after = PutMany(*store, database, 1000, 400);
  CHECK_OK(store->log().WaitFor(after, Level::kFlushed));
  const std::string first = directory + "/archive/" + SegmentName(Lsn());
  AWAIT(PosixEnv().files.Info(first).ok());
  const auto restore = [&](const std::string& target, const RestoreLimit& limit) {
    return RestoreTo(PosixEnv(), directory + "/backup", directory + "/archive", target, limit)
        .status();
  };
  CHECK_CODE(restore(directory + "/a", {}), Code::kUnsupported);
  CHECK_OK(restore(directory + "/b", {before, std::nullopt}));
  CHECK_EQ(ContentsOf(directory + "/b").at("d").size(), size_t{20});
  // A backup made after it has the rows.
  CHECK_OK(store->Backup(directory + "/backup2").status());
  CHECK_OK(
      RestoreTo(PosixEnv(), directory + "/backup2", directory + "/archive", directory + "/c", {})
          .status());
  CHECK_EQ(ContentsOf(directory + "/c").at("loaded").size(), size_t{100});
}

}  // namespace
}  // namespace ringleader
