// Roll-backs of a store that several processes use: what the others see meanwhile, and what a death
// in the middle of one leaves.
#include <atomic>
#include <filesystem>

#include "child_process.h"
#include "concurrent.h"
#include "kill_snapshot.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using namespace test;

std::string Number(uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(8 - digits.size(), '0') + digits;
}

// A journal: rows 1 to n, and a row that says n. Transactions of all processes add to it; what a
// roll-back leaves is a journal again, or it has mixed two histories.
class Journal {
 public:
  explicit Journal(DatabaseId database) : database_(database), last_(KeyOf(database, "last")) {}

  // Where it ends; nothing after a conflict.
  std::optional<Appended> Add(Store& store) const {
    const auto transaction = Begin(store);
    const std::string before = ValueOf(*transaction, last_);
    const std::string number = Number(before == "none" ? 1 : std::stoull(before) + 1);
    CHECK_OK(transaction->Put(AsBytes(KeyOf(database_, "row" + number)), AsBytes(number)));
    CHECK_OK(transaction->Put(AsBytes(last_), AsBytes(number)));
    Commit commit = transaction->PrepareCommit();
    CHECK_OK(store.CommitOne(commit));
    if (commit.verdict == Verdict::kConflict) return std::nullopt;
    CHECK_EQ(commit.verdict, Verdict::kCommitted);
    return commit.appended;
  }
  Lsn MustAdd(Store& store) const {
    for (;;) {
      const auto appended = Add(store);
      if (appended) return appended->end;
    }
  }

  // How long it is.
  uint64_t Check(View& view) const {
    const std::string last = ValueOf(view, last_);
    const uint64_t length = last == "none" ? 0 : std::stoull(last);
    std::string expected = length == 0 ? "" : "last=" + last + " ";
    for (uint64_t i = 1; i <= length; ++i) {
      expected += "row" + Number(i) + "=" + Number(i) + " ";
    }
    CHECK_EQ(RowsOf(view, database_), expected);
    return length;
  }
  uint64_t Check(Store& store) const { return Check(*TakeView(store)); }

 private:
  const DatabaseId database_;
  const std::string last_;
};

struct Told {
  std::atomic<bool> stop;
  std::atomic<uint64_t> views, commits;  // of the process that looks on
  std::atomic<uint64_t> done, trimmed;
};

void RollBackAgainAndAgain(const std::string& directory, Told& told) {
  const auto store = OpenStore(directory, BusyStore());
  const Journal journal(MakeDatabase(*store, "journal"));
  AWAIT(told.views.load(std::memory_order_acquire) > 0);
  for (uint64_t i = 0; i < Scale(40); ++i) {
    const Lsn to = journal.MustAdd(*store);
    const uint64_t before = told.commits.load(std::memory_order_acquire);
    usleep(2000);
    // Two: the first may lie before what is taken back.
    AWAIT(told.commits.load(std::memory_order_acquire) >= before + 2);
    const Status rolled = store->RollBack(to);
    if (rolled.code() == Code::kTrimmed) {
      told.trimmed.fetch_add(1, std::memory_order_acq_rel);
    } else {
      CHECK_OK(rolled);
      told.done.fetch_add(1, std::memory_order_acq_rel);
    }
    journal.Check(*store);
  }
  CHECK_OK(store->Close());
  told.stop.store(true, std::memory_order_release);
}

// Of the process that looks on: a thread that commits and waits, and views that are kept.
void WriteMeanwhile(Store& store, const Journal& journal, Told& told, const std::stop_token& stop,
                    uint64_t* taken_back) {
  while (!stop.stop_requested()) {
    const auto appended = journal.Add(store);
    if (!appended) continue;
    told.commits.fetch_add(1, std::memory_order_acq_rel);
    const Status durable = store.log().WaitFor(*appended, Level::kFlushed);
    if (durable.code() != Code::kRolledBack) CHECK_OK(durable);
    *taken_back += durable.ok() ? 0 : 1;
  }
}

TEST(store_rollback_process, the_others_read_and_write_on) {
  SkipUnderThreadSanitizer();
  const std::string directory = TempDir();
  SharedValue<Told> told;
  {
    const auto store = OpenStore(directory);
    MakeDatabase(*store, "journal");
  }
  Child child([&] { RollBackAgainAndAgain(directory, *told); });
  auto store = OpenStore(directory, BusyStore());
  const Journal journal(MakeDatabase(*store, "journal"));
  uint64_t taken_back = 0;
  Worker writer([&](const std::stop_token& stop) {
    WriteMeanwhile(*store, journal, *told, stop, &taken_back);
  });
  uint64_t shrunk = 0, longest = 0;
  while (!told->stop.load(std::memory_order_acquire) && child.alive()) {
    const auto kept = TakeView(*store);
    const uint64_t length = journal.Check(*kept);
    usleep(500);
    CHECK_EQ(journal.Check(*kept), length);
    shrunk += length < longest ? 1 : 0;
    longest = length;
    told->views.fetch_add(1, std::memory_order_acq_rel);
  }
  writer.Stop();
  child.Join();
  CHECK(told->done.load(std::memory_order_acquire) > 0);
  CHECK_EQ(store->Stat().rollbacks, store->log().History());
  CHECK(store->Stat().rollbacks > 0);
  std::printf(
      "store_rollback_process: %llu roll-backs, %llu views, %llu saw less than the one "
      "before, %llu commits taken back\n",
      static_cast<unsigned long long>(store->Stat().rollbacks),
      static_cast<unsigned long long>(told->views.load(std::memory_order_acquire)),
      static_cast<unsigned long long>(shrunk), static_cast<unsigned long long>(taken_back));
  CHECK_OK(store->Verify().status());
  CHECK_OK(store->Fold());
  const uint64_t left = journal.Check(*store);
  CHECK_OK(store->Close());
  store = OpenStore(directory);
  CHECK_EQ(journal.Check(*store), left);
}

// --- deaths -------------------------------------------------------------------------------------

std::string SharedNamesOf(const std::string& directory) {
  const std::string region = RegionPath(directory);
  return region.substr(0, region.rfind('-') + 1);
}

uint64_t CountNames(const std::string& prefix) {
  uint64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    count += entry.path().string().starts_with(prefix) ? 1 : 0;
  }
  return count;
}

// A process dies somewhere in a roll-back. Who is still there goes on with one of the two ends, or
// is told that the environment has ended and finds one of them when it comes back; and nothing of
// the two histories is left behind.
TEST(store_rollback_process, a_death_leaves_one_of_two_states) {
  constexpr uint64_t kKept = 20, kAll = 60;
  uint64_t ended = 0, cut = 0;
  for (uint64_t round = 0; round < Scale(24); ++round) {
    const std::string directory = TempDir();
    auto store = OpenStore(directory);
    const Journal journal(MakeDatabase(*store, "journal"));
    Lsn to;
    for (uint64_t i = 0; i < kAll; ++i) {
      const Lsn end = journal.MustAdd(*store);
      if (i + 1 == kKept) to = end;
    }
    auto kept = TakeView(*store);
    const std::string names = SharedNamesOf(directory);
    SharedValue<std::atomic<bool>> begins;
    Child child([&] {
      const auto rolling = OpenStore(directory);
      begins->store(true, std::memory_order_release);
      CHECK_OK(rolling->RollBack(to));
      pause();
    });
    while (!begins->load(std::memory_order_acquire)) usleep(20);
    usleep(static_cast<useconds_t>((Seed() * 31 + round * 7919) % 4000));
    child.Kill();
    // The lock tells of the death, and of what it left.
    const Status whole = store->log().InSection([](Lsn) { return Status::Ok(); });
    CHECK_EQ(journal.Check(*kept), kAll);
    kept.reset();
    if (!whole.ok()) {
      CHECK_CODE(whole, Code::kFailed);
      CHECK_CODE(store->RollBack(to), Code::kFailed);
      ++ended;
      CHECK(!store->Close().ok());
      store = OpenStore(directory);
    }
    const uint64_t found = journal.Check(*store);
    CHECK(found == kKept || found == kAll);
    cut += found == kKept ? 1 : 0;
    journal.MustAdd(*store);
    CHECK_OK(store->RollBack(to));
    CHECK_EQ(journal.Check(*store), kKept);
    CHECK_OK(store->Fold());
    CHECK_OK(store->Verify().status());
    CHECK_OK(store->Close());
    CHECK_EQ(CountNames(names), uint64_t{0});
    store = OpenStore(directory);
    CHECK_EQ(journal.Check(*store), kKept);
  }
  std::printf("store_rollback_process: %llu deaths ended the environment, %llu left the new end\n",
              static_cast<unsigned long long>(ended), static_cast<unsigned long long>(cut));
}

}  // namespace
}  // namespace ringleader
