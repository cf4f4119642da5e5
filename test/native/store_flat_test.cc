// What a store takes does not grow with what it has done: memory, shared memory, file descriptors
// and disk after many transactions, folds, openings and closings.
//
// With RINGLEADER_TEST_SCALE=50 a million transactions and a thousand openings.
#include <filesystem>
#include <fstream>

#include "kill_snapshot.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using namespace test;

#if defined(__has_feature)
#define CLANG_SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define CLANG_SANITIZER 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || CLANG_SANITIZER
constexpr bool kSanitized = true;  // memory that is freed is kept for a while
#else
constexpr bool kSanitized = false;
#endif

struct Taken {
  uint64_t anonymous_kb = 0;
  uint64_t mapped = 0;  // mappings of shared memory
  uint64_t files = 0;
  uint64_t shared_names = 0;
  uint64_t disk_bytes = 0;
};

uint64_t CountEntries(const std::string& directory, const std::string& prefix) {
  uint64_t count = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    count += entry.path().string().starts_with(prefix) ? 1 : 0;
  }
  return count;
}

Taken Measure(const std::string& directory) {
  Taken taken;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) taken.anonymous_kb = std::stoull(line.substr(8));
  }
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    taken.mapped += line.find("/dev/shm/ringleader-") != std::string::npos ? 1 : 0;
  }
  taken.files = CountEntries("/proc/self/fd", "");
  const std::string region = RegionPath(directory);
  const std::string prefix = region.substr(0, region.rfind('-') + 1);
  taken.shared_names = CountEntries("/dev/shm", prefix);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    std::error_code gone;  // a segment may be recycled under another name meanwhile
    const uint64_t size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (!gone) taken.disk_bytes += size;
  }
  return taken;
}

void Report(const char* after, uint64_t count, const Taken& before, const Taken& now) {
  std::printf(
      "store_flat: %llu %s: %lld kB of memory, %lld kB of disk more; %llu mappings, %llu "
      "files, %llu names of shared memory\n",
      static_cast<unsigned long long>(count), after,
      static_cast<long long>(now.anonymous_kb) - static_cast<long long>(before.anonymous_kb),
      (static_cast<long long>(now.disk_bytes) - static_cast<long long>(before.disk_bytes)) / 1024,
      static_cast<unsigned long long>(now.mapped), static_cast<unsigned long long>(now.files),
      static_cast<unsigned long long>(now.shared_names));
}

void CheckFlat(const Taken& before, const Taken& now) {
  if (!kSanitized) CHECK(now.anonymous_kb <= before.anonymous_kb + 2048);
  // One generation more or less may be there at the moment.
  CHECK(now.mapped <= before.mapped + 2);
  CHECK(now.shared_names <= before.shared_names + 2);
  CHECK(now.files <= before.files + 1);
  CHECK(now.disk_bytes <= before.disk_bytes + (uint64_t{2} << 20));
}

// Transactions that read, write and remove in a small set of rows.
void Work(Store& store, DatabaseId database, uint64_t transactions, Choices& choices) {
  const std::string value(60, 'v');
  for (uint64_t i = 0; i < transactions; ++i) {
    const auto transaction = Begin(store);
    const std::string key = KeyOf(database, std::to_string(choices.Below(500)));
    const bool there = ValueOf(*transaction, key) != "none";
    CHECK_OK(there && choices.OneIn(3) ? transaction->Remove(AsBytes(key))
                                       : transaction->Put(AsBytes(key), AsBytes(value)));
    CHECK_EQ(Finish(store, *transaction), Verdict::kCommitted);
  }
}

TEST(store_flat, many_transactions) {
  const std::string directory = TempDir() + "/env";
  const auto store = OpenStore(directory, BusyStore());
  const DatabaseId database = MakeDatabase(*store, "rows");
  Choices choices(Seed());
  const uint64_t transactions = Scale(20'000);
  const auto settle = [&] {
    CHECK_OK(store->Fold());
    CHECK_OK(store->log().Tick());
    return Measure(directory);
  };
  Work(*store, database, std::max<uint64_t>(transactions / 2, 5000), choices);
  const Taken before = settle();
  Work(*store, database, transactions, choices);
  const Taken now = settle();
  Report("transactions", transactions, before, now);
  CheckFlat(before, now);
}

TEST(store_flat, many_openings) {
  const std::string directory = TempDir() + "/env";
  Choices choices(Seed());
  DatabaseId database = MakeDatabase(*OpenStore(directory, BusyStore()), "rows");
  const auto open = [&] {
    const auto store = OpenStore(directory, BusyStore());
    Work(*store, database, 5, choices);
    if (choices.OneIn(3)) CHECK_OK(store->Fold());
    CHECK_OK(store->Close());
  };
  const uint64_t openings = Scale(20);
  for (uint64_t i = 0; i < openings / 2 + 5; ++i) open();
  const Taken before = Measure(directory);
  for (uint64_t i = 0; i < openings; ++i) open();
  const Taken now = Measure(directory);
  Report("openings", openings, before, now);
  CheckFlat(before, now);
  CHECK_EQ(now.mapped, uint64_t{0});
  CHECK_EQ(now.shared_names, uint64_t{0});
}

}  // namespace
}  // namespace ringleader
