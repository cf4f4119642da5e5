// Disks and shared memory that are too small, and values that are too large for comfort.
#include <sys/statvfs.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "env_posix_mount.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kSecond = 1'000'000'000;

std::string Numbered(uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(8 - digits.size(), '0') + digits;
}

// Bytes that do not repeat, so that nothing can be said to have kept the wrong ones.
std::string ValueFor(uint64_t number, size_t size) { return AsText(Payload(number, size)); }

// Puts rows until that fails; returns how many it has put, and why it has stopped.
uint64_t PutUntilFull(Store& store, DatabaseId database, uint64_t from, uint64_t most,
                      Status* stopped) {
  *stopped = Status::Ok();
  uint64_t number = from;
  for (; number < from + most; ++number) {
    WriteSet writes;
    CHECK_OK(
        writes.Put(AsBytes(KeyOf(database, Numbered(number))), AsBytes(ValueFor(number, 20'000))));
    const std::vector<uint8_t> payload = writes.Encode();
    Commit commit;
    commit.payload = payload;
    *stopped = store.CommitOne(commit, 20 * kSecond);
    if (!stopped->ok()) break;
    CHECK_EQ(commit.verdict, Verdict::kCommitted);
  }
  return number;
}

void CheckRows(Store& store, DatabaseId database, uint64_t rows) {
  const auto view = TakeView(store);
  CHECK_VALUE(const auto cursor, MergeCursor::Open(*view, nullptr));
  CHECK_OK(cursor->SeekAtLeast(AsBytes(KeyOf(database, ""))));
  uint64_t number = 0;
  for (; cursor->valid() && LoadRowPrefix(cursor->row_key()) == database; ++number) {
    CHECK(AsText(cursor->row_key()) == KeyOf(database, Numbered(number)));
    CHECK(AsText(cursor->row().value) == ValueFor(number, 20'000));
    CHECK_OK(cursor->Next());
  }
  CHECK_EQ(number, rows);
}

void Bind(const std::string& from, const std::string& to) {
  if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw Skip{"cannot mount at " + to + ": " + std::strerror(errno)};
  }
}

void Resize(const std::string& directory, const char* size) {
  if (mount("none", directory.c_str(), "tmpfs", MS_REMOUNT, size) != 0) {
    throw Skip{std::string("cannot remount: ") + std::strerror(errno)};
  }
}

// The base tree's disk fills up while the log's has room: commits go on until the overlay is full,
// then fail without effect, and go on when there is space again.
TEST(store_space, a_full_disk_under_the_base_is_waited_out) {
  const std::string directory = TempDir() + "/env";
  std::filesystem::create_directories(directory + "/base");
  WithMount("tmpfs", "size=3m", [&](const std::string& small) {
    Bind(small, directory + "/base");
    auto store = OpenStore(directory, BusyStore());
    const DatabaseId database = MakeDatabase(*store, "rows");
    Status stopped;
    const uint64_t rows = PutUntilFull(*store, database, 0, 2000, &stopped);
    CHECK_EQ(stopped.code(), Code::kNoSpace);
    CHECK_EQ(stopped.fate(), Fate::kNone);
    CHECK(store->Stat().fold_failures > 0);
    CHECK(store->Stat().generations <= BusyStore().max_frozen + 1);
    CheckRows(*store, database, rows);
    CHECK_CODE(store->Fold(kSecond), Code::kNoSpace);
    Resize(directory + "/base", "size=64m");
    CHECK_OK(store->Fold(20 * kSecond));
    const uint64_t more = PutUntilFull(*store, database, rows, 200, &stopped);
    CHECK_OK(stopped);
    CHECK_EQ(more, rows + 200);
    CheckRows(*store, database, more);
    CHECK_OK(store->Close());
    store = OpenStore(directory);
    CheckRows(*store, database, more);
    CHECK_OK(store->Verify().status());
    CHECK_OK(store->Close());
  });
}

// Shared memory that holds no generation: they are files in the environment's directory then.
TEST(store_space, generations_are_files_where_shared_memory_is_small) {
  SkipUnderThreadSanitizer();
  const std::string directory = TempDir() + "/env";
  WithMount("tmpfs", "size=512k", [&](const std::string& small) {
    Bind(small, "/dev/shm");
    const auto store = OpenStore(directory, BusyStore());
    CHECK(store->Stat().overlay_in_file);
    const DatabaseId database = MakeDatabase(*store, "rows");
    Status stopped;
    CHECK_EQ(PutUntilFull(*store, database, 0, 300, &stopped), uint64_t{300});
    CheckRows(*store, database, 300);
    CHECK(store->Stat().folds > 0);
    // Another process finds them.
    Child other([&] {
      const auto joined = OpenStore(directory, BusyStore());
      CHECK_EQ(joined->Stat().log.recovery_ns, uint64_t{0});
      CheckRows(*joined, database, 300);
    });
    other.Join();
    CHECK_OK(store->Fold());
    CHECK_OK(store->Close());
  });
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    CHECK(!entry.path().filename().string().starts_with("gen."));
  }
}

// What a power cut leaves of such files goes when the environment is opened.
TEST(store_space, files_of_generations_of_another_boot_are_removed) {
  const std::string directory = TempDir() + "/env";
  OpenStore(directory)->Close().ok();
  const std::string left = directory + "/gen.77";
  CHECK_VALUE(const auto file, PosixEnv().files.Open(left, OpenMode::kCreate));
  CHECK_OK(file->Allocate(0, kMiB));
  const std::string other = directory + "/gen.txt";
  CHECK_OK(PosixEnv().files.Open(other, OpenMode::kCreate).status());
  const auto store = OpenStore(directory);
  CHECK(!std::filesystem::exists(left));
  CHECK(std::filesystem::exists(other));
}

// Neither place has room for another generation: commits fail without effect instead of dying by
// SIGBUS, and go on when there is room.
TEST(store_space, no_memory_at_all_is_an_error_and_passes) {
  WithMount("tmpfs", "size=3m", [](const std::string& small) {
    Bind(small, "/dev/shm");
    const std::string directory = small + "/env";  // on the same small file system
    const auto refused = Store::Open(PosixEnv(), directory, [] {
      StoreOptions options = BusyStore();
      options.generation_bytes = 8 * kMiB;
      return options;
    }());
    CHECK_CODE(refused.status(), Code::kNoSpace);
    Resize("/dev/shm", "size=5m");
    const auto store = OpenStore(directory, BusyStore());
    const DatabaseId database = MakeDatabase(*store, "rows");
    Status stopped;
    const uint64_t rows = PutUntilFull(*store, database, 0, 2000, &stopped);
    CHECK_EQ(stopped.code(), Code::kNoSpace);
    CHECK_EQ(stopped.fate(), Fate::kNone);
    CheckRows(*store, database, rows);
    Resize("/dev/shm", "size=200m");
    // The log looks again now and then.
    uint64_t more = rows;
    for (int looks = 0; looks < 100 && more < rows + 300; ++looks) {
      more = PutUntilFull(*store, database, more, rows + 300 - more, &stopped);
      if (!stopped.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    CHECK_OK(stopped);
    CHECK_EQ(more, rows + 300);
    CheckRows(*store, database, more);
    CHECK_OK(store->Close());
  });
}

// A transaction far larger than a generation gets one that is made to measure.
TEST(store_space, a_value_of_two_hundred_megabytes) {
  struct statvfs memory;
  const bool room = statvfs("/dev/shm", &memory) == 0 &&
                    uint64_t{memory.f_bavail} * memory.f_frsize > 1024 * kMiB;
  if (!room) throw Skip{"/dev/shm has less than 1 GiB"};
  const std::string directory = TempDir() + "/env";
  StoreOptions options;
  options.generation_bytes = 8 * kMiB;
  auto store = OpenStore(directory, options);
  const DatabaseId database = MakeDatabase(*store, "rows");
  std::string value(200 * kMiB, 'v');
  for (size_t at = 0; at < value.size(); at += 4096) std::memcpy(&value[at], &at, sizeof at);
  PutRow(*store, KeyOf(database, "before"), "small");
  PutRow(*store, KeyOf(database, "large"), value);
  PutRow(*store, KeyOf(database, "after"), "small");
  const auto check = [&] {
    const auto view = TakeView(*store);
    CHECK(ValueOf(*view, KeyOf(database, "large")) == value);
    CHECK_EQ(ValueOf(*view, KeyOf(database, "before")), "small");
    CHECK_EQ(ValueOf(*view, KeyOf(database, "after")), "small");
  };
  check();
  CHECK_OK(store->Fold());
  check();
  CHECK(store->Stat().overlay_bytes < 100 * kMiB);
  CHECK_OK(store->Close());
  store = OpenStore(directory, options);
  check();
}

}  // namespace
}  // namespace ringleader
