// Real environments that replicate: what was committed is everywhere, whoever leads.
#include "engine/copy_rule.h"
#include "engine_fixture.h"
#include "log/discarded.h"
#include "watched_files.h"

namespace ringleader {
namespace {

using namespace test;

// Writes that many rows at the primary; returns where the last one ends.
Lsn WriteRows(TestMember& primary, DatabaseId database, const std::string& prefix, int count) {
  Lsn end;
  for (int i = 0; i < count; ++i) {
    end = PutRow(primary.store(), KeyOf(database, prefix + std::to_string(i)), "value");
  }
  return end;
}

std::string AllRows(TestMember& member, DatabaseId database, ReadLevel level) {
  const std::unique_ptr<View> view = member.store().NewView(level);
  CHECK_OK(view->Renew());
  return RowsOf(*view, database);
}

void CheckSame(TestGroup& group, DatabaseId database) {
  std::string first;
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group[i].up()) continue;
    const std::string rows = AllRows(group[i], database, ReadLevel::kLocal);
    CHECK(rows == AllRows(group[i], database, ReadLevel::kDurable));
    if (first.empty()) first = rows;
    CHECK(rows == first && !rows.empty());
    CHECK_OK(group[i].store().Verify().status());
    CHECK_EQ(group[i].Failure(), "");
  }
}

TEST(engine_replication, what_a_primary_commits_is_on_every_member) {
  TestGroup group(3);
  group.Found();
  TestMember& primary = group.AwaitPrimary();
  CHECK_EQ(primary.id().value, 1u);
  const DatabaseId rows = MakeDatabase(primary.store(), "rows");
  WriteRows(primary, rows, "a", 500);
  group.AwaitAgreement();
  CheckSame(group, rows);
  // Nobody writes at a replica.
  WriteSet writes;
  CHECK_OK(writes.Put(AsBytes(KeyOf(rows, "b")), AsBytes("value")));
  const std::vector<uint8_t> payload = writes.Encode();
  Commit commit;
  commit.payload = payload;
  CHECK_CODE(group[1].store().CommitOne(commit), Code::kNotPrimary);
}

// A replica whose disk hangs says what it has received where somebody waits for that, and only
// then.
TEST(engine_replication, copies_in_memory_are_told_of_where_somebody_waits_for_them) {
  std::atomic<bool> hung{false};
  WatchedFiles files([&](const std::string& call, const std::string& path) {
    while (call == "flush" && path.ends_with(".seg") && hung.load(std::memory_order_acquire)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return Status::Ok();
  });
  Env env = files.env();
  TestGroup group(3);
  const struct Thaw {  // or the members would not end
    std::atomic<bool>& hung;
    ~Thaw() { hung.store(false, std::memory_order_release); }
  } thaw{hung};
  group.adapt = [&](MemberId member, MemberSetup& setup) {
    // The answer to a heartbeat tells of everything.
    setup.core.election_timeout = 300'000'000'000;
    setup.core.heartbeat_interval = 100'000'000'000;
    if (member != MemberId(1)) setup.store_env = &env;
  };
  group.Found();
  TestMember& primary = group.AwaitPrimary();
  const DatabaseId rows = MakeDatabase(primary.store(), "rows");
  CHECK_VALUE(GroupBoard board, GroupBoard::Of(PosixEnv(), primary.store().log()));
  const auto write = [&] { return PutRow(primary.store(), KeyOf(rows, "row"), "value"); };
  const auto reached = [&](CopyLevel level, Lsn end) {
    CHECK_VALUE(const BoardState state, board.Look());
    return Reached(state, {CopyKind::kAll, 0, level}) >= end;
  };
  const Lsn first = write();
  group.Await("copies on disks", [&] { return reached(CopyLevel::kFlushed, first); });
  hung.store(true, std::memory_order_release);
  board.Want(AckLevel::kReceived);
  const Lsn wanted = write();
  group.Await("copies in memory", [&] { return reached(CopyLevel::kReceived, wanted); });
  CHECK(!reached(CopyLevel::kFlushed, wanted) && primary.status().commit < wanted);
  std::this_thread::sleep_for(std::chrono::nanoseconds(2 * kWantedNs));
  const Lsn unwanted = write();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(!reached(CopyLevel::kReceived, unwanted));
  hung.store(false, std::memory_order_release);
  group.Await("copies on disks", [&] { return reached(CopyLevel::kFlushed, unwanted); });
}

TEST(engine_replication, the_others_go_on_without_the_primary_and_it_comes_back) {
  TestGroup group(3);
  group.Found();
  TestMember& first = group.AwaitPrimary();
  const DatabaseId rows = MakeDatabase(first.store(), "rows");
  WriteRows(first, rows, "a", 100);
  group.AwaitAgreement();
  first.Stop();
  TestMember& second = group.AwaitPrimary();
  CHECK(second.id() != first.id());
  WriteRows(second, rows, "b", 100);
  group.AwaitAgreement();
  first.Start();
  WriteRows(second, rows, "c", 100);
  group.AwaitAgreement();
  CheckSame(group, rows);
}

TEST(engine_replication, what_nobody_else_has_is_rolled_back_and_kept_in_a_file) {
  TestGroup group(3);
  group.Found();
  TestMember& first = group.AwaitPrimary();
  const DatabaseId rows = MakeDatabase(first.store(), "rows");
  WriteRows(first, rows, "a", 50);
  group.AwaitAgreement();
  const std::string agreed = AllRows(first, rows, ReadLevel::kDurable);
  group.Cut(first.id().value);
  const Lsn lost = WriteRows(first, rows, "lost", 20);
  group.Await("the writes to be known", [&] { return first.status().end >= lost; });
  const std::unique_ptr<View> before = first.store().NewView();
  CHECK_OK(before->Renew());
  // Local readers see it, durable ones do not.
  CHECK(AllRows(first, rows, ReadLevel::kLocal).find("lost19") != std::string::npos);
  CHECK(AllRows(first, rows, ReadLevel::kDurable) == agreed);
  TestMember& second = group.AwaitPrimary();
  CHECK(second.id() != first.id());
  WriteRows(second, rows, "b", 50);
  group.Cut(0);
  group.AwaitAgreement();
  CheckSame(group, rows);
  CHECK(AllRows(first, rows, ReadLevel::kLocal).find("lost") == std::string::npos);
  CHECK(RowsOf(*before, rows).find("lost19") != std::string::npos);  // a view keeps what it sees
  CHECK_VALUE(const std::vector<std::string> files, ListDiscarded(PosixEnv(), first.directory()));
  CHECK_EQ(files.size(), 1u);
  CHECK_VALUE(const auto reader, DiscardedReader::Open(PosixEnv(), files[0]));
  uint64_t discarded = 0;
  for (;;) {
    CHECK_VALUE(const std::optional<LogEntry> entry, reader->Next());
    if (!entry) break;
    ++discarded;
  }
  CHECK_EQ(discarded, 20u);
}

TEST(engine_replication, a_transaction_may_be_larger_than_a_message) {
  TestGroup group(3);
  group.Found();
  TestMember& primary = group.AwaitPrimary();
  const DatabaseId rows = MakeDatabase(primary.store(), "rows");
  WriteSet writes;
  const std::string value(100'000, 'v');
  for (int i = 0; i < 50; ++i) {
    CHECK_OK(writes.Put(AsBytes(KeyOf(rows, std::to_string(i))), AsBytes(value)));
  }
  CommitWrites(primary.store(), writes);
  WriteRows(primary, rows, "b", 5);
  group.AwaitAgreement();
  CheckSame(group, rows);
}

TEST(engine_replication, messages_may_be_lost_repeated_and_late) {
  TestGroup group(3, Seed());
  group.Found();
  group.AwaitPrimary();
  group.Disturb(10);
  DatabaseId rows = 0;
  uint64_t acknowledged = 0;
  for (uint64_t i = 0; i < Scale(300); ++i) {
    TestMember& primary = group.AwaitPrimary();
    if (rows == 0) {
      rows = MakeDatabase(primary.store(), "rows");
      continue;
    }
    WriteSet writes;
    CHECK_OK(writes.Put(AsBytes(KeyOf(rows, std::to_string(i))), AsBytes("value")));
    const std::vector<uint8_t> payload = writes.Encode();
    Commit commit;
    commit.payload = payload;
    const Status status = primary.store().CommitOne(commit);
    CHECK(status.ok() || status.code() == Code::kNotPrimary);
    if (status.ok()) ++acknowledged;
  }
  group.Disturb(0);
  group.AwaitAgreement();
  CheckSame(group, rows);
  CHECK(acknowledged > 0);
}

}  // namespace
}  // namespace ringleader
