// Snapshots of a store: what is in one, what is refused, and what is there after one has been put
// in place, for processes that were there meanwhile and after a crash at any point.
#include <atomic>
#include <filesystem>
#include <thread>

#include "child_process.h"
#include "concurrent.h"
#include "env_sim_fixture.h"
#include "ship_fixture.h"
#include "split_files.h"
#include "store/snapshot_install.h"
#include "store/snapshot_stream.h"
#include "store_fixture.h"
#include "watched_files.h"

namespace ringleader {
namespace {

using namespace test;

const Id128 kGroup{4, 4, 4};

StoreOptions OfGroup(StoreOptions options = QuietStore()) {
  options.log.group_id = kGroup;
  return options;
}

// What is told of the group goes with a snapshot as it is.
std::vector<uint8_t> GroupAt(Lsn position) {
  return {'g', static_cast<uint8_t>(position.value), static_cast<uint8_t>(position.value >> 8)};
}

// Writes one of what the source has folded, where a member keeps what it receives.
SnapshotHeader WriteInto(Store& source, Env& env, const std::string& directory, uint64_t id) {
  CHECK_OK(source.Fold());
  CHECK_OK(MakeSnapshotDirectory(env, directory));
  const auto file =
      OpenFile(env.files, SnapshotPath(directory, kIncomingName), OpenMode::kCreateEmpty);
  Store::SnapshotOrder order;
  order.id = id;
  order.max_bytes = uint64_t{1} << 30;
  order.consumer = "snapshot";
  order.describe = [](Lsn position) -> Result<std::vector<uint8_t>> { return GroupAt(position); };
  order.stop = [] { return false; };
  CHECK_VALUE(const SnapshotHeader header, source.WriteSnapshot(*file, order));
  return header;
}

Store::SnapshotInstall OrderFor(const std::string& directory, const SnapshotHeader& header) {
  Store::SnapshotInstall order;
  order.path = SnapshotPath(directory, kIncomingName);
  order.expected = header;
  order.follows = "group";
  order.accept = [header](Bytes group) {
    const std::vector<uint8_t> wanted = GroupAt(header.position);
    return std::equal(group.begin(), group.end(), wanted.begin(), wanted.end())
               ? Status::Ok()
               : Status(Code::kCorruption, "another group");
  };
  order.permit = [] { return std::optional(Lsn()); };
  order.stop = [] { return false; };
  return order;
}

// A store with rows in the base and in the overlay, dropped ones too.
DatabaseId WriteHistory(Store& store, const std::string& value, int rows) {
  const DatabaseId id = MakeDatabase(store, "rows");
  const DatabaseId gone = MakeDatabase(store, "gone");
  for (int i = 0; i < rows; ++i) {
    PutRow(store, KeyOf(id, "k" + std::to_string(i)), value);
    PutRow(store, KeyOf(gone, "k" + std::to_string(i)), value);
    if (i == rows / 2) CHECK_OK(store.Fold());
  }
  PutRow(store, KeyOf(id, "large"), std::string(300'000, value[0]));
  CHECK_OK(store.DropDatabase("gone"));
  return id;
}

std::string All(Store& store, DatabaseId id) { return RowsOf(*TakeView(store), id); }

// What the source has beyond the snapshot, over the wire.
void ShipRest(Store& source, Store& member, Lsn from) {
  CHECK_OK(member.log().SetGate(Gate::Closed(GateReason::kReplica)).status());
  const auto reader = source.log().ReadRaw(from);
  for (;;) {
    CHECK_VALUE(const RawRun run, reader->Next(uint64_t{1} << 20));
    if (run.end == run.from) return;
    const ShippedAppend done = member.AppendShipped(run.from, run.bytes);
    CHECK_OK(done.status);
    CHECK(done.stop == ShipStop::kNothing);
  }
}

TEST(store_snapshot, rows_and_log_take_the_place_of_the_old_ones) {
  for (const int old_rows : {0, 3, 900}) {
    const std::string from = TempDir(), to = TempDir();
    const auto source = OpenStore(from, OfGroup());
    const DatabaseId id = WriteHistory(*source, "new", 300);
    auto member = OpenStore(to, OfGroup());
    if (old_rows > 0) WriteHistory(*member, "old", old_rows);
    auto before = TakeView(*member);
    const std::string seen = RowsOf(*before, id);
    const SnapshotHeader header = WriteInto(*source, PosixEnv(), to, 7);
    const std::string snapshot = All(*source, id);
    PutRow(*source, KeyOf(id, "later"), "1");
    CHECK_OK(member->InstallSnapshot(OrderFor(to, header)));
    CHECK_EQ(RowsOf(*before, id), seen);
    before.reset();
    CHECK_EQ(All(*member, id), snapshot);
    CHECK_EQ(member->log().End(Level::kFlushed).value, header.position.value);
    CHECK_EQ(member->Stat().base.applied.value, header.position.value);
    CHECK_OK(member->Verify().status());
    CHECK_CODE(member->InstallSnapshot(OrderFor(to, {kGroup, kMinSegmentBytes, Lsn(8), 7})),
               Code::kCorruption);
    ShipRest(*source, *member, header.position);
    CHECK_EQ(All(*member, id), All(*source, id));
    CHECK_VALUE(const bool anew, InstalledAnew(PosixEnv(), to));
    CHECK(anew);
    CHECK_OK(NoticeInstalled(PosixEnv(), to));
    CHECK_OK(member->Close());
    member = OpenStore(to, OfGroup());
    CHECK_EQ(All(*member, id), All(*source, id));
    CHECK_OK(member->Fold());
    CHECK_OK(member->Verify().status());
    CHECK_OK(member->Close());
    CHECK_OK(source->Close());
  }
}

// The gap is told to whoever needed what is gone; the log is held for the base all the same.
TEST(store_snapshot, consumers_of_the_old_log_are_told) {
  const std::string from = TempDir(), to = TempDir();
  const auto source = OpenStore(from, OfGroup());
  WriteHistory(*source, "new", 300);
  const auto member = OpenStore(to, OfGroup());
  CHECK_OK(member->log().PutConsumer({"reader", Lsn(), 0, 0, false}));
  CHECK_OK(member->log().PutConsumer({"group", Lsn(), 0, 0, false}));
  const SnapshotHeader header = WriteInto(*source, PosixEnv(), to, 7);
  CHECK_OK(member->InstallSnapshot(OrderFor(to, header)));
  CHECK_VALUE(const std::vector<Consumer> consumers, member->log().Consumers());
  for (const Consumer& one : consumers) {
    CHECK_EQ(one.broken, one.name == "reader");
    if (!one.broken) CHECK_EQ(one.position.value, header.position.value);
  }
  CHECK_EQ(consumers.size(), 3u);
  CHECK_CODE(member->log().AdvanceConsumer("reader", header.position), Code::kTrimmed);
  CHECK_CODE(member->log().Read(Lsn())->Next().status(), Code::kTrimmed);
  CHECK_OK(member->Close());
  CHECK_OK(source->Close());
}

TEST(store_snapshot, damage_anywhere_changes_nothing) {
  const std::string from = TempDir(), to = TempDir();
  const auto source = OpenStore(from, OfGroup());
  const DatabaseId id = WriteHistory(*source, "new", 40);
  const auto member = OpenStore(to, OfGroup());
  WriteHistory(*member, "old", 10);
  const std::string rows = All(*member, id);
  const SnapshotHeader header = WriteInto(*source, PosixEnv(), to, 7);
  const std::string path = SnapshotPath(to, kIncomingName);
  const std::vector<uint8_t> good = ReadAll(PosixEnv().files, path);
  const auto refused = [&](const std::vector<uint8_t>& bytes) {
    {
      const auto file = OpenFile(PosixEnv().files, path, OpenMode::kCreateEmpty);
      CHECK_OK(file->WriteAt(0, bytes));
    }
    const Status status = member->InstallSnapshot(OrderFor(to, header));
    CHECK(status.code() == Code::kCorruption || status.code() == Code::kNewerFormat);
    CHECK_EQ(status.fate() == Fate::kNone, true);
  };
  SimRng rng(Seed());
  for (uint64_t i = 0; i < Scale(150); ++i) {
    std::vector<uint8_t> bytes = good;
    const size_t at = i < 64 ? i : rng.Below(bytes.size());
    bytes[at] ^= static_cast<uint8_t>(1 + rng.Below(255));
    refused(bytes);
  }
  for (uint64_t i = 0; i < Scale(40); ++i) {
    std::vector<uint8_t> bytes = good;
    bytes.resize(rng.Below(bytes.size()));
    refused(bytes);
  }
  std::vector<uint8_t> longer = good;
  longer.resize(good.size() + 12);
  refused(longer);
  CHECK_EQ(All(*member, id), rows);
  CHECK_VALUE(const bool begun, InstallBegun(PosixEnv(), to));
  CHECK(!begun);
  {
    const auto file = OpenFile(PosixEnv().files, path, OpenMode::kCreateEmpty);
    CHECK_OK(file->WriteAt(0, good));
  }
  auto order = OrderFor(to, header);
  order.permit = [] { return std::optional<Lsn>(); };
  CHECK_CODE(member->InstallSnapshot(order), Code::kBusy);
  order.permit = [&header] { return std::optional(header.position + 8); };
  CHECK_CODE(member->InstallSnapshot(order), Code::kBusy);
  CHECK_EQ(All(*member, id), rows);
  PutRow(*member, KeyOf(id, "more"), "1");  // it goes on as if nothing had been
  CHECK_OK(member->Fold());
  CHECK_OK(member->Verify().status());
  CHECK_OK(member->InstallSnapshot(OrderFor(to, header)));
  CHECK_EQ(All(*member, id), All(*source, id));
  CHECK_OK(member->Close());
  CHECK_OK(source->Close());
}

// Looks at a store that is replaced meanwhile: every view is of one history.
struct Seen {
  std::atomic<uint64_t> views, ready, stop;
};

void LookOn(const std::string& directory, DatabaseId id, Seen& seen) {
  const auto store = OpenStore(directory, OfGroup(BusyStore()));
  auto kept = TakeView(*store);
  const std::string first = RowsOf(*kept, id);
  seen.ready.store(1, std::memory_order_release);
  while (seen.stop.load(std::memory_order_acquire) == 0) {
    const auto view = TakeView(*store);
    const std::string sample = ValueOf(*view, KeyOf(id, "k0"));
    for (const char* key : {"k1", "k7", "k20", "k39"}) {
      CHECK_EQ(ValueOf(*view, KeyOf(id, key)), sample);
    }
    seen.views.fetch_add(1, std::memory_order_acq_rel);
  }
  CHECK_EQ(RowsOf(*kept, id), first);
  kept.reset();
  const std::string last = RowsOf(*TakeView(*store), id);
  CHECK(last != first);
  CHECK_OK(store->Verify().status());
  CHECK_OK(store->Close());
}

TEST(store_snapshot, processes_that_are_attached_see_one_history_or_the_other) {
  SkipUnderThreadSanitizer();
  const std::string from = TempDir(), to = TempDir();
  const auto source = OpenStore(from, OfGroup());
  SharedValue<Seen> seen;
  DatabaseId id = 0;
  {
    // Rows in base and overlay: half of each is what a view must not see.
    const auto first = OpenStore(to, OfGroup());
    id = WriteHistory(*first, "old", 40);
    CHECK_OK(first->Close());
  }
  CHECK_EQ(WriteHistory(*source, "v0", 40), id);
  Child child([&] { LookOn(to, id, *seen); });
  AWAIT(seen->ready.load(std::memory_order_acquire) != 0);
  const auto member = OpenStore(to, OfGroup());
  for (uint64_t round = 1; round <= Scale(12); ++round) {
    const SnapshotHeader header = WriteInto(*source, PosixEnv(), to, round);
    CHECK_OK(member->InstallSnapshot(OrderFor(to, header)));
    CHECK_EQ(All(*member, id), All(*source, id));
    CHECK_OK(NoticeInstalled(PosixEnv(), to));
    const uint64_t views = seen->views.load(std::memory_order_acquire);
    AWAIT(seen->views.load(std::memory_order_acquire) > views + 5);
    // What comes over the wire stays in the overlay.
    WriteSet writes;
    const std::string value = "v" + std::to_string(round);
    for (int i = 0; i < 40; ++i) {
      CHECK_OK(writes.Put(AsBytes(KeyOf(id, "k" + std::to_string(i))), AsBytes(value)));
    }
    CommitWrites(*source, writes);
    ShipRest(*source, *member, header.position);
    for (int i = 0; i < 40; ++i) {
      CHECK_OK(writes.Put(AsBytes(KeyOf(id, "k" + std::to_string(i))), AsBytes(value + "+")));
    }
    CommitWrites(*source, writes);
  }
  seen->stop.store(1, std::memory_order_release);
  child.Join();
  CHECK_OK(member->Close());
  CHECK_OK(source->Close());
}

// Every call that changes a file fails once: it is the old state or the new one, and what has
// failed behind the decision is finished by whoever opens the environment next.
TEST(store_snapshot, a_failure_anywhere_leaves_one_of_two_states) {
  const std::string from = TempDir();
  const auto source = OpenStore(from, OfGroup());
  const DatabaseId id = WriteHistory(*source, "new", 60);
  uint64_t none = 0, finished = 0;
  for (uint64_t point = 1;; ++point) {
    const std::string to = TempDir();
    uint64_t left = 0;
    WatchedFiles files([&](const std::string& call, const std::string& path) {
      if (left == 0 || call == "read" || call == "open" || path.find("/base") != path.npos) {
        return Status::Ok();
      }
      return --left == 0 ? Status(Code::kIo, "a device error", EIO) : Status::Ok();
    });
    Env env = files.env();
    auto member = OpenStore(to, OfGroup(), env);
    WriteHistory(*member, "old", 30);
    const std::string old = All(*member, id);
    const SnapshotHeader header = WriteInto(*source, PosixEnv(), to, 7);
    // What has not been flushed may go with a flush that fails.
    CHECK_OK(member->log().WaitFor(member->log().End(Level::kMemory), Level::kFlushed));
    left = point;
    const Status status = member->InstallSnapshot(OrderFor(to, header));
    const bool reached = left == 0;
    left = 0;
    (void)member->Close().ok();
    member.reset();
    member = OpenStore(to, OfGroup());
    CHECK_OK(member->Verify().status());
    const bool is_new = All(*member, id) == All(*source, id);
    CHECK(is_new || All(*member, id) == old);
    if (status.ok()) CHECK(is_new);
    if (!status.ok() && status.fate() == Fate::kNone) CHECK(!is_new);
    none += is_new ? 0 : 1;
    finished += is_new && !status.ok() ? 1 : 0;
    if (is_new) ShipRest(*source, *member, header.position);
    CHECK_OK(member->Close());
    if (!reached) break;
  }
  CHECK(none > 3 && finished > 3);
  CHECK_OK(source->Close());
}

// At every operation on the disk: the old state or the new one, with the rows that go with it.
TEST(store_snapshot, a_power_cut_anywhere_leaves_one_of_two_states) {
  const std::string from = TempDir();
  const auto source = OpenStore(from, OfGroup());
  const DatabaseId id = WriteHistory(*source, "new", 60);
  for (const int old_rows : {20, 400}) {
    const std::string to = TempDir(), bases = TempDir();
    SimDisk disk({.device = 0xfeed, .seed = Seed()});
    MakePath(disk, to);
    SplitFiles files(disk);
    Env env = files.env();
    auto member = OpenStore(to, OfGroup(), env);
    WriteHistory(*member, "old", old_rows);
    const std::string old = All(*member, id);
    const SnapshotHeader header = WriteInto(*source, env, to, 7);
    CHECK_OK(member->log().WaitFor(member->log().End(Level::kMemory), Level::kFlushed));
    ReplaceDirectory(to + "/base", bases + "/old");
    const uint64_t began = disk.last_op();
    uint64_t decided = 0;  // the base has committed behind this operation, and before the next
    files.before_remove = [&](const std::string& path) {
      if (decided == 0 && path.ends_with(".seg")) decided = disk.last_op();
    };
    CHECK_OK(member->InstallSnapshot(OrderFor(to, header)));
    const uint64_t ended = disk.last_op();
    CHECK(began < decided && decided < ended);
    CHECK_OK(member->Close());
    ReplaceDirectory(to + "/base", bases + "/new");
    uint64_t olds = 0, news = 0;
    const auto check = [&](uint64_t point, bool is_new, const CrashPolicy& policy) {
      const auto cut = disk.CrashState(point, policy, Seed() * 1000 + point);
      SplitFiles found(*cut);
      Env cut_env = found.env();
      ReplaceDirectory(bases + (is_new ? "/new" : "/old"), to + "/base");
      const auto store = OpenStore(to, OfGroup(), cut_env);
      CHECK_EQ(All(*store, id), is_new ? All(*source, id) : old);
      CHECK_OK(store->Verify().status());
      if (is_new) ShipRest(*source, *store, header.position);
      CHECK_OK(store->Close());
      (is_new ? news : olds) += 1;
    };
    for (uint64_t point = began; point <= ended; ++point) {
      for (const CrashPolicy& policy :
           {CrashPolicy::Nothing(), CrashPolicy::Everything(), CrashPolicy::Random()}) {
        if (point <= decided) check(point, false, policy);
        if (point >= decided) check(point, true, policy);
      }
    }
    CHECK(olds > 5 && news > 5);
  }
  CHECK_OK(source->Close());
}

}  // namespace
}  // namespace ringleader
