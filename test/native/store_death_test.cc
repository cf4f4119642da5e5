// Death at chosen points: between a record's place in the log and its place in the overlay.
//
// A child appends through a hook of its own, which stops half-way through what a commit does there.
// Whoever uses the store next has to find everything that counts, and nothing else.
#include <sched.h>
#include <sys/wait.h>

#include "child_process.h"
#include "env_posix_mount.h"
#include "slow_sync.h"
#include "store_dying.h"

namespace ringleader {
namespace {

using namespace test;

std::vector<uint8_t> PutPayload(const std::string& row_key, const std::string& value) {
  WriteSet writes;
  CHECK_OK(writes.Put(AsBytes(row_key), AsBytes(value)));
  return writes.Encode();
}

TEST(store_death, what_counts_is_inserted_by_the_next_writer) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  const std::string first = KeyOf(database, "first"), second = KeyOf(database, "second");
  PutRow(*store, first, "old");
  DieInserting(directory, {PutPayload(first, "new"), PutPayload(second, "new")}, 1);
  // The second one had its place in the log: it counts, although its writer never came to say so.
  const Lsn end = PutRow(*store, KeyOf(database, "third"), "alive");
  const auto view = TakeView(*store);
  CHECK_EQ(RowsOf(*view, database), "first=new second=new third=alive ");
  CHECK_EQ(store->Stat().log.writer_repairs, uint64_t{1});
  CHECK_EQ(view->lsn(), end);
  view->Release();
  CHECK_OK(store->Fold());
  const auto folded = TakeView(*store);
  CHECK_EQ(RowsOf(*folded, database), "first=new second=new third=alive ");
}

TEST(store_death, a_fold_publishes_what_a_dead_writer_left) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  PutRow(*store, KeyOf(database, "a"), "1");
  DieInserting(directory, {PutPayload(KeyOf(database, "b"), "2")}, 0);
  CHECK_OK(store->Fold());
  CHECK_EQ(RowsOf(*TakeView(*store), database), "a=1 b=2 ");
}

TEST(store_death, whoever_opens_alone_finds_it_too) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  CHECK_OK(store->Close());
  DieInserting(directory, {PutPayload(KeyOf(database, "a"), "1")}, 0);
  store = OpenStore(directory);
  CHECK_EQ(RowsOf(*TakeView(*store), database), "a=1 ");
}

// The room that was reserved for each of them is enough to insert all of them once more, because
// what is there is recognized: also where it would not fit in a second time.
TEST(store_death, redo_needs_room_for_what_is_missing_only) {
  const std::string directory = TempDir();
  StoreOptions options = QuietStore();
  options.log.segment_bytes = uint64_t{4} << 20;
  options.log.ring_bytes = uint64_t{16} << 20;
  const auto store = OpenStore(directory, options);
  const DatabaseId database = MakeDatabase(*store, "rows");
  const std::string big(12'000, 'b');
  const auto room = [&] {
    const auto view = TakeView(*store);
    const Generation& active = view->generations().active();
    return active.capacity() - active.used_bytes();
  };
  for (int i = 0; room() > 2 * big.size() + 5000; ++i) {
    PutRow(*store, KeyOf(database, "fill" + std::to_string(i)), std::string(1000, 'f'));
  }
  const std::vector<std::vector<uint8_t>> payloads = {PutPayload(KeyOf(database, "a"), big),
                                                      PutPayload(KeyOf(database, "b"), big),
                                                      PutPayload(KeyOf(database, "c"), "small")};
  DieInserting(directory, payloads, 2);
  CHECK(room() < big.size());
  PutRow(*store, KeyOf(database, "d"), "alive");
  const auto view = TakeView(*store);
  CHECK_EQ(ValueOf(*view, KeyOf(database, "a")), big);
  CHECK_EQ(ValueOf(*view, KeyOf(database, "b")), big);
  CHECK_EQ(ValueOf(*view, KeyOf(database, "c")), "small");
  CHECK_EQ(ValueOf(*view, KeyOf(database, "d")), "alive");
}

// What a dead writer has taken of a generation, and not used, is free again for whoever inserts its
// transaction: also where the value is larger than the room that is left then.
TEST(store_death, redo_has_room_for_a_transaction_of_any_size) {
  for (const bool known : {false, true}) {
    const std::string directory = TempDir();
    StoreOptions options = QuietStore();
    options.log.segment_bytes = uint64_t{4} << 20;
    options.log.ring_bytes = uint64_t{16} << 20;
    options.generation_bytes = uint64_t{8} << 20;
    auto store = OpenStore(directory, options);
    const DatabaseId database = MakeDatabase(*store, "rows");
    const std::string small = KeyOf(database, "a"), large = KeyOf(database, "b");
    PutRow(*store, small, "old");
    if (known) PutRow(*store, large, "old");
    const auto room = [&] {
      const auto view = TakeView(*store);
      const Generation& active = view->generations().active();
      return active.capacity() - active.used_bytes();
    };
    const std::string big(room() * 2 / 3, 'b');
    WriteSet writes;
    CHECK_OK(writes.Put(AsBytes(small), AsBytes("new")));
    CHECK_OK(writes.Put(AsBytes(large), AsBytes(big)));
    DieCopying(directory, options, writes.Encode());
    CHECK(room() < big.size());
    const Lsn end = PutRow(*store, KeyOf(database, "c"), "alive");
    CHECK_EQ(store->Stat().log.writer_repairs, uint64_t{1});
    const auto expect = [&] {
      const auto view = TakeView(*store);
      CHECK_EQ(ValueOf(*view, small), "new");
      CHECK(ValueOf(*view, large) == big);
      CHECK_EQ(ValueOf(*view, KeyOf(database, "c")), "alive");
      CHECK_OK(view->generations().active().Verify(Lsn(), end));
    };
    expect();
    CHECK_OK(store->Fold());
    expect();
    CHECK_OK(store->Close());
    store = OpenStore(directory, options);
    expect();
  }
}

// A transaction of several records whose writer dies before the last one never happened, and nobody
// stumbles over what it leaves at the end of the log.
TEST(store_death, half_a_transaction_is_none) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  const Lsn end = PutRow(*store, KeyOf(database, "a"), "1");
  Child child([&] {
    const auto dying = OpenStore(directory);
    g_die_in_sync.store(true, std::memory_order_release);  // where it comes to the second segment
    PutRow(*dying, KeyOf(database, "half"), std::string(200'000, 'h'));
  });
  CHECK_EQ(child.JoinKilled(), SIGKILL);
  CHECK_OK(store->Fold());
  CHECK_EQ(store->Stat().log.visible, end);
  CHECK(store->Stat().log.tail > end);
  CHECK_EQ(store->Stat().base.applied, end);
  CHECK_EQ(RowsOf(*TakeView(*store), database), "a=1 ");
  PutRow(*store, KeyOf(database, "b"), "2");
  CHECK_OK(store->Fold());
  CHECK_OK(store->Close());
  store = OpenStore(directory);
  CHECK_EQ(RowsOf(*TakeView(*store), database), "a=1 b=2 ");
  CHECK_OK(store->Verify().status());
}

// A database that a dead writer has dropped is dropped for everybody.
TEST(store_death, a_change_of_the_catalogue_is_redone) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  const DatabaseId database = MakeDatabase(*store, "rows");
  PutRow(*store, KeyOf(database, "a"), "1");
  WriteSet drop;
  CHECK_OK(drop.Remove(DatabaseRowKey("rows")));
  CHECK_OK(drop.Put(DroppedRowKey(database), {}));
  DieInserting(directory, {drop.Encode()}, 0);
  const std::vector<uint8_t> payload = PutPayload(KeyOf(database, "b"), "2");
  Commit commit;
  commit.payload = payload;
  CHECK_OK(store->CommitOne(commit));
  // The first look may have been taken before the repair; the writer section looks once more.
  CHECK_EQ(commit.verdict, Verdict::kDropped);
  CHECK_VALUE(const auto databases, store->Databases());
  CHECK(databases.empty());
}

// What a process has opened is not for its children: they would let go of its locks.
TEST(store_death, a_child_of_fork_opens_for_itself) {
  SkipUnderThreadSanitizer();
  const std::string directory = TempDir();
  StoreOptions options = BusyStore();
  auto store = OpenStore(directory, options);
  const DatabaseId database = MakeDatabase(*store, "rows");
  PutRow(*store, KeyOf(database, "a"), "1");
  CHECK_OK(store->Fold());
  auto view = TakeView(*store);
  const std::vector<uint8_t> payload = PutPayload(KeyOf(database, "b"), "2");
  Child child([&] {
    Commit commit;
    commit.payload = payload;
    Commit* const commits[] = {&commit};
    CHECK_CODE(store->CommitOne(commit), Code::kUnsupported);
    CHECK_CODE(store->TryCommit({const_cast<Commit**>(commits), 1}).status(), Code::kUnsupported);
    CHECK_EQ(commit.verdict, Verdict::kPending);
    CHECK_CODE(view->Renew(), Code::kUnsupported);
    CHECK_CODE(store->NewView()->Renew(), Code::kUnsupported);
    CHECK_CODE(store->Fold(), Code::kUnsupported);
    view.reset();
    CHECK_CODE(store->Close(), Code::kUnsupported);
    const auto own = OpenStore(directory, options);
    PutRow(*own, KeyOf(database, "c"), "3");
    CHECK_EQ(RowsOf(*TakeView(*own), database), "a=1 c=3 ");
    CHECK_OK(own->Close());
  });
  child.Join();
  CHECK_EQ(RowsOf(*view, database), "a=1 ");
  CHECK_OK(view->Renew());
  CHECK_EQ(RowsOf(*view, database), "a=1 c=3 ");
  CHECK_EQ(store->Stat().base.readers, 1u);
  // The parent is still attached: whoever comes now need not recover.
  Child other([&] {
    const auto joined = OpenStore(directory, options);
    CHECK_EQ(joined->Stat().log.recovery_ns, uint64_t{0});
  });
  other.Join();
  PutRow(*store, KeyOf(database, "b"), "2");
  CHECK_OK(view->Renew());
  CHECK_EQ(RowsOf(*view, database), "a=1 b=2 c=3 ");
}

// Two PID namespaces cannot see each other's threads die: one environment is not for both.
TEST(store_death, processes_of_another_pid_namespace_are_refused) {
  const std::string directory = TempDir();
  const auto store = OpenStore(directory);
  Child child([&] {
    if (!Unshare(CLONE_NEWPID)) throw Skip{"PID namespaces are refused"};
    const pid_t inner = fork();
    CHECK(inner >= 0);
    if (inner == 0) {
      _exit(Store::Open(PosixEnv(), directory, QuietStore()).status().code() == Code::kForeignHost
                ? 0
                : 1);
    }
    int status = 0;
    CHECK_EQ(waitpid(inner, &status, 0), inner);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  });
  child.Join();
  MakeDatabase(*store, "goes on");
}

}  // namespace
}  // namespace ringleader
