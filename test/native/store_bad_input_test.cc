// Directories that are not what they should be: refused by a typed error, or recovered by rule.
// Never wrong data, never the end of the process.
#include <sys/stat.h>

#include <vector>

#include "base/crc32c.h"
#include "child_process.h"
#include "log/control_file.h"
#include "log/segment_files.h"
#include "store_copy_fixture.h"

namespace ringleader {
namespace {

using namespace test;  // NOLINT: this is a test

// A closed environment with rows in the base and in the log, whose log has been recycled.
Contents MakeEnvironment(const std::string& directory) {
  const auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "d");
  for (uint64_t round = 0; round < 3; ++round) {
    PutMany(*store, database, round * 1000, 400);
    CHECK_OK(store->Fold());
    CHECK_OK(store->log().Tick());
  }
  PutMany(*store, database, 10'000, 50);
  CHECK_OK(store->Verify().status());
  Contents contents = ContentsOf(*store);
  CHECK(store->Stat().log.start > Lsn());
  CHECK_OK(store->Close());
  return contents;
}

Status OpenStatus(const std::string& directory, const StoreOptions& options = QuietStore()) {
  const auto store = Store::Open(PosixEnv(), directory, options);
  return store.status();
}

std::string FirstSegment(const std::string& directory) {
  CHECK_VALUE(const auto names, PosixEnv().files.List(directory + "/log"));
  CHECK(!names.empty());
  return directory + "/log/" + names.front();
}

// --- copies and moves ---------------------------------------------------------------------------

TEST(store_bad_input, a_copy_of_a_closed_environment_is_adopted) {
  const std::string directory = TempDir();
  const Contents contents = MakeEnvironment(directory + "/env");
  CopyDirectory(directory + "/env", directory + "/copy");
  const auto original = OpenStore(directory + "/env");
  const auto copy = OpenStore(directory + "/copy");
  CHECK(ContentsOf(*copy) == contents);
  CHECK(copy->log().identity().incarnation != original->log().identity().incarnation);
  const uint64_t incarnation = copy->log().identity().incarnation;
  CHECK_OK(copy->Close());
  // Once.
  const auto again = OpenStore(directory + "/copy");
  CHECK_EQ(again->log().identity().incarnation, incarnation);
}

TEST(store_bad_input, a_copy_made_in_use_is_refused) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory + "/env");
  const DatabaseId database = MakeDatabase(*store, "d");
  PutMany(*store, database, 0, 50);
  CHECK_OK(store->log().WaitFor(store->Stat().log.tail, Level::kFlushed));
  CopyDirectory(directory + "/env", directory + "/copy");
  const Status refused = OpenStatus(directory + "/copy");
  CHECK_CODE(refused, Code::kCorruption);
  CHECK(refused.message().find("Environment.backup") != std::string::npos);
  // Without the file `lock` it is no other.
  CHECK_OK(PosixEnv().files.Remove(directory + "/copy/lock"));
  CHECK_CODE(OpenStatus(directory + "/copy"), Code::kCorruption);
  // Unless the caller says that nobody was writing.
  StoreOptions adopt = QuietStore();
  adopt.log.adopt_copy = true;
  {
    const auto adopted = OpenStore(directory + "/copy", adopt);
    CHECK_EQ(ContentsOf(*adopted).at("d").size(), size_t{50});
    CHECK(adopted->log().identity().incarnation != store->log().identity().incarnation);
  }
  CHECK_OK(OpenStatus(directory + "/copy"));
}

// The control file is the first that was copied, and the environment was opened a moment later.
TEST(store_bad_input, a_copy_that_was_overtaken_is_refused) {
  const std::string directory = TempDir();
  MakeEnvironment(directory + "/env");
  CHECK_OK(PosixEnv().files.MakeDirectory(directory + "/copy"));
  CopyDirectory(directory + "/env/control", directory + "/copy/control");
  const auto store = OpenStore(directory + "/env");
  PutMany(*store, MakeDatabase(*store, "d"), 0, 20);
  CHECK_OK(store->log().WaitFor(store->Stat().log.tail, Level::kFlushed));
  CopyDirectory(directory + "/env/log", directory + "/copy/log");
  CopyDirectory(directory + "/env/base", directory + "/copy/base");
  CHECK_CODE(OpenStatus(directory + "/copy"), Code::kCorruption);
}

// A process that died leaves an environment that was not closed: it may be moved, not copied.
TEST(store_bad_input, a_move_after_a_death_is_recovered) {
  const std::string directory = TempDir();
  Child child([&] {
    const auto store = OpenStore(directory + "/env");
    PutMany(*store, MakeDatabase(*store, "d"), 0, 50);
    CHECK_OK(store->log().WaitFor(store->Stat().log.tail, Level::kFlushed));
    raise(SIGKILL);
  });
  CHECK_EQ(child.JoinKilled(), SIGKILL);
  CopyDirectory(directory + "/env", directory + "/copy");
  CHECK_OK(PosixEnv().files.Rename(directory + "/env", directory + "/moved"));
  CHECK_EQ(ContentsOf(directory + "/moved").at("d").size(), size_t{50});
  CHECK_CODE(OpenStatus(directory + "/copy"), Code::kCorruption);
}

// Somebody removes the lock file of an environment that is in use: the next process would be alone
// in it beside all the others.
TEST(store_bad_input, a_lock_file_replaced_in_use_is_noticed) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  PutMany(*store, MakeDatabase(*store, "d"), 0, 10);
  CHECK_OK(PosixEnv().files.Remove(directory + "/lock"));
  Child child([&] { CHECK_CODE(OpenStatus(directory), Code::kCorruption); });
  child.Join();
}

TEST(store_bad_input, a_lock_file_replaced_after_closing_costs_nothing) {
  const std::string directory = TempDir();
  const Contents contents = MakeEnvironment(directory);
  CHECK_OK(PosixEnv().files.Remove(directory + "/lock"));
  CHECK(ContentsOf(directory) == contents);
}

// --- parts that are missing or do not belong together -------------------------------------------

TEST(store_bad_input, the_base_is_gone) {
  const std::string directory = TempDir();
  MakeEnvironment(directory);
  CHECK_OK(PosixEnv().files.Rename(directory + "/base/data.mdb", directory + "/kept"));
  for (int i = 0; i < 2; ++i) CHECK_CODE(OpenStatus(directory), Code::kCorruption);
  RemoveDirectory(directory + "/base");
  CHECK_CODE(OpenStatus(directory), Code::kCorruption);
  CHECK_OK(PosixEnv().files.MakeDirectory(directory + "/base"));
  CHECK_OK(PosixEnv().files.Rename(directory + "/kept", directory + "/base/data.mdb"));
  CHECK_OK(OpenStatus(directory));
  // Nor is a base made anew where the log still has everything.
  const std::string fresh = TempDir();
  CHECK_OK(OpenStatus(fresh));
  RemoveDirectory(fresh + "/base");
  CHECK_CODE(OpenStatus(fresh), Code::kCorruption);
}

TEST(store_bad_input, the_log_is_gone) {
  const std::string directory = TempDir();
  MakeEnvironment(directory);
  CHECK_OK(PosixEnv().files.Rename(directory + "/log", directory + "/kept"));
  CHECK_CODE(OpenStatus(directory), Code::kCorruption);
  CHECK_OK(PosixEnv().files.MakeDirectory(directory + "/log"));
  CHECK_CODE(OpenStatus(directory), Code::kCorruption);
  RemoveDirectory(directory + "/log");
  CHECK_OK(PosixEnv().files.Rename(directory + "/kept", directory + "/log"));
  const std::string first = FirstSegment(directory);
  CHECK_OK(PosixEnv().files.Rename(first, directory + "/kept"));
  CHECK_CODE(OpenStatus(directory), Code::kCorruption);
  CHECK_OK(PosixEnv().files.Rename(directory + "/kept", first));
  CHECK_OK(OpenStatus(directory));
}

TEST(store_bad_input, the_control_file_is_gone) {
  const std::string directory = TempDir();
  MakeEnvironment(directory);
  CHECK_OK(PosixEnv().files.Remove(directory + "/control"));
  CHECK_CODE(OpenStatus(directory), Code::kCorruption);
}

// The base of one environment in the directory of another, in every direction.
TEST(store_bad_input, a_base_of_another_environment) {
  const std::string directory = TempDir();
  MakeEnvironment(directory + "/one");
  MakeEnvironment(directory + "/two");
  CHECK_OK(
      PosixEnv().files.Rename(directory + "/one/base/data.mdb", directory + "/two/base/data.mdb"));
  CHECK_CODE(OpenStatus(directory + "/two"), Code::kCorruption);
}

// The same environment at two ages: a base that is ahead of its log, and a log that has been
// recycled beyond its base.
TEST(store_bad_input, a_base_and_a_log_of_different_ages) {
  const std::string directory = TempDir();
  {
    const auto store = OpenStore(directory + "/env");
    PutMany(*store, MakeDatabase(*store, "d"), 0, 100);
  }
  CopyDirectory(directory + "/env", directory + "/young");
  MakeEnvironment(directory + "/env");
  CopyDirectory(directory + "/env", directory + "/old_base");
  CopyDirectory(directory + "/young/base/data.mdb", directory + "/old_base/base/data.mdb");
  CHECK_CODE(OpenStatus(directory + "/old_base"), Code::kCorruption);
  CopyDirectory(directory + "/young", directory + "/new_base");
  CopyDirectory(directory + "/env/base/data.mdb", directory + "/new_base/base/data.mdb");
  CHECK_CODE(OpenStatus(directory + "/new_base"), Code::kCorruption);
}

// --- damage -------------------------------------------------------------------------------------

// Opens, verifies and reads everything. What is not refused has to be right.
void ExpectRightOrRefused(const std::string& directory, const Contents& contents,
                          uint64_t* refused) {
  auto opened = Store::Open(PosixEnv(), directory, QuietStore());
  Status status = opened.status();
  if (status.ok()) {
    Store& store = **opened;
    status = store.Verify().status();
    const auto view = store.NewView();
    CHECK_OK(view->Renew());
    const auto databases = ListDatabases(*view);
    if (databases.ok() && databases.value().size() == 1) {
      for (const auto& [key, value] : contents.at("d")) {
        const auto row = view->Get(AsBytes(KeyOf(databases.value()[0].id, key)));
        if (!row.ok()) {
          CHECK_CODE(row.status(), Code::kCorruption);
        } else {
          CHECK(row.value().has_value());
          CHECK(AsText(row.value()->value) == value);
        }
      }
    }
  }
  if (status.ok()) return;
  CHECK_CODE(status, Code::kCorruption);
  ++*refused;
}

// A bit of every so many bytes of each file, one at a time.
TEST(store_bad_input, damage_is_found_or_harmless) {
  const std::string directory = TempDir();
  const Contents contents = MakeEnvironment(directory + "/env");
  Choices choices(Seed());
  const auto damage = [&](const std::string& file, uint64_t from, uint64_t to, uint64_t times) {
    uint64_t refused = 0;
    for (uint64_t i = 0; i < times; ++i) {
      const std::string copy = directory + "/copy";
      CopyDirectory(directory + "/env", copy);
      ChangeByte(copy + file, from + choices.Below(to - from));
      ExpectRightOrRefused(copy, contents, &refused);
      RemoveDirectory(copy);
    }
    return refused;
  };
  CHECK_VALUE(const FileInfo base, PosixEnv().files.Info(directory + "/env/base/data.mdb"));
  CHECK(damage("/base/data.mdb", 0, base.size, Scale(40)) > 0);
  const std::string segment = FirstSegment(directory + "/env").substr(directory.size() + 4);
  CHECK(damage(segment, 0, 80, Scale(5)) > 0);
  CHECK(damage(segment, 0, 8192, Scale(10)) > 0);
  // Either slot of the control file serves alone; both damaged are refused.
  damage("/control", 0, 2 * kControlSlotBytes, Scale(5));
  ChangeByte(directory + "/env/control", 100);
  ChangeByte(directory + "/env/control", kControlSlotBytes + 100);
  CHECK_CODE(OpenStatus(directory + "/env"), Code::kCorruption);
}

TEST(store_bad_input, files_that_are_cut_short) {
  const std::string directory = TempDir();
  const Contents contents = MakeEnvironment(directory + "/env");
  const std::string segment = FirstSegment(directory + "/env").substr(directory.size() + 4);
  for (const std::string& file :
       {std::string("/base/data.mdb"), segment, std::string("/control")}) {
    CHECK_VALUE(const FileInfo info, PosixEnv().files.Info(directory + "/env" + file));
    for (const uint64_t size : {uint64_t{0}, uint64_t{100}, info.size / 2}) {
      const std::string copy = directory + "/copy";
      CopyDirectory(directory + "/env", copy);
      {
        CHECK_VALUE(const auto cut, PosixEnv().files.Open(copy + file, OpenMode::kReadWrite));
        CHECK_OK(cut->Truncate(size));
      }
      uint64_t refused = 0;
      ExpectRightOrRefused(copy, contents, &refused);
      CHECK_EQ(refused, uint64_t{1});
      RemoveDirectory(copy);
    }
  }
}

// A record that is whole, but no transaction of databases: a directory that Log has written to.
TEST(store_bad_input, a_log_of_something_else) {
  const std::string directory = TempDir();
  {
    const auto log = OpenLog(PosixEnv(), directory, SmallLog());
    AppendOne(*log, 1, 1000);
    CHECK_OK(log->Close());
  }
  CHECK_CODE(OpenStatus(directory), Code::kCorruption);
}

// --- later formats ------------------------------------------------------------------------------

TEST(store_bad_input, files_of_a_later_version) {
  const std::string directory = TempDir();
  MakeEnvironment(directory + "/env");
  {
    CopyDirectory(directory + "/env", directory + "/control");
    CHECK_VALUE(const auto file,
                PosixEnv().files.Open(directory + "/control/control", OpenMode::kReadWrite));
    for (const uint64_t at : {uint64_t{0}, uint64_t{kControlSlotBytes}}) {
      std::vector<uint8_t> slot(kControlSlotBytes);
      CHECK_OK(ReadExactly(*file, at, slot, "control"));
      StoreLe<uint32_t>(slot.data() + 8, 99);
      StoreLe<uint32_t>(slot.data() + kControlSlotBytes - 4,
                        MaskCrc(Crc32c(Bytes(slot).first(kControlSlotBytes - 4))));
      CHECK_OK(file->WriteAt(at, slot));
    }
    CHECK_CODE(OpenStatus(directory + "/control"), Code::kNewerFormat);
  }
  {
    CopyDirectory(directory + "/env", directory + "/segment");
    CHECK_VALUE(const auto file,
                PosixEnv().files.Open(FirstSegment(directory + "/segment"), OpenMode::kReadWrite));
    std::vector<uint8_t> page(kSegmentHeaderBytes);
    CHECK_OK(ReadExactly(*file, 0, page, "segment"));
    StoreLe<uint32_t>(page.data() + 8, 99);
    StoreLe<uint32_t>(page.data() + 68, MaskCrc(Crc32c(Bytes(page).first(68))));
    CHECK_OK(file->WriteAt(0, page));
    CHECK_CODE(OpenStatus(directory + "/segment"), Code::kNewerFormat);
  }
}

TEST(store_bad_input, what_is_no_directory) {
  const std::string directory = TempDir();
  CHECK_OK(PosixEnv().files.Open(directory + "/file", OpenMode::kCreate).status());
  CHECK(!OpenStatus(directory + "/file").ok());
  StoreOptions options = QuietStore();
  options.log.create = false;
  CHECK_CODE(OpenStatus(directory + "/none", options), Code::kNotFound);
  CHECK(!PosixEnv().files.Info(directory + "/none").ok());
}

}  // namespace
}  // namespace ringleader
