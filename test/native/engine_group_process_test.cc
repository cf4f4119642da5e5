// Several processes of a member's environment: those that do not drive the replication know from
// the board what has become of what they wrote, and how old what they read is.
#include <cstring>

#include "child_process.h"
#include "engine/copy_rule.h"
#include "engine_fixture.h"

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kSecond = 1'000'000'000;

// What a test and its child tell each other.
struct Talk {
  char directory[512] = {};
  std::atomic<uint32_t> database{0};
  std::atomic<uint64_t> go{0};
  std::atomic<uint64_t> end{0};
  std::atomic<uint64_t> answer{0};
  std::atomic<uint32_t> ready{0};
};

void Start(Talk& talk, const std::string& directory, DatabaseId database) {
  std::strncpy(talk.directory, directory.c_str(), sizeof talk.directory - 1);
  talk.database.store(database, std::memory_order_release);
  talk.go.store(1, std::memory_order_release);
}

template <typename Condition>
void AwaitIn(const Condition& condition) {
  for (int tries = 0; tries < 6000; ++tries) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Fail(__FILE__, __LINE__, "waited in vain");
}

// In the child: another opening of the member's environment.
std::unique_ptr<Store> Attach(Talk& talk) {
  AwaitIn([&talk] { return talk.go.load(std::memory_order_acquire) != 0; });
  StoreOptions options = BusyStore();
  options.log.group_id = Id128{7, 7, 7};
  return OpenStore(talk.directory, options);
}

GroupBoard BoardOf(Store& store) {
  CHECK_VALUE(GroupBoard board, GroupBoard::Of(PosixEnv(), store.log()));
  return board;
}

// Looks until it is as wanted; what was seen then.
template <typename Condition>
BoardState AwaitBoard(GroupBoard& board, const char* what, const Condition& condition) {
  for (int looks = 0; looks < 3000; ++looks) {
    const uint32_t sequence = board.Sequence();
    CHECK_VALUE(BoardState state, board.Look());
    if (condition(state)) return state;
    (void)board.Await(sequence, kSecond / 50);
  }
  Fail(__FILE__, __LINE__, std::string("the board never said: ") + what);
}

TEST(engine_group_process, who_writes_beside_the_driver_waits_for_its_quorum) {
  SkipUnderThreadSanitizer();
  SharedValue<Talk> talk;
  Child child([&talk] {
    const std::unique_ptr<Store> store = Attach(*talk);
    GroupBoard board = BoardOf(*store);
    for (int i = 0; i < 50; ++i) {
      const DatabaseId rows = talk->database.load(std::memory_order_acquire);
      const uint64_t history = store->log().History();
      const Lsn end = PutRow(*store, KeyOf(rows, "child" + std::to_string(i)), "value");
      const CopyRule quorum{CopyKind::kQuorum, 0, CopyLevel::kFlushed, false};
      const BoardState state = AwaitBoard(
          board, "committed", [&](const BoardState& seen) { return Reached(seen, quorum) >= end; });
      CHECK(state.role == Role::kPrimary && state.history >= history);
      CHECK(!store->log().RolledBack(end, history));
      const Survival survival = Survives(state, end, store->log().End(Level::kFlushed));
      CHECK(survival.process && survival.power && survival.election);
      // All members of the test lie on one disk, and say so.
      CHECK(!survival.any_one_disk && state.disk != 0 && state.members.size() == 2);
      for (const BoardMember& member : state.members) {
        CHECK(member.disk == state.disk || member.flushed.value == 0);
      }
      const Ballot term = TermAt(state, end);
      CHECK(term == state.term && term.incarnation.value == store->log().identity().incarnation);
      CHECK(Judge(state, {end, term}) == TokenFate::kCommitted);
      const Ballot other{Term(term.counter.value + 1), term.incarnation};
      CHECK(Judge(state, {end, other}) == TokenFate::kRolledBack);
      // Others than the primary have it too.
      AwaitBoard(board, "all have it", [end](const BoardState& seen) {
        return Reached(seen, {CopyKind::kAll, 0, CopyLevel::kApplied, false}) >= end;
      });
      talk->end.store(end.value, std::memory_order_release);
    }
    CHECK_OK(store->Close());
  });
  TestGroup group(3);
  group.Found();
  TestMember& primary = group.AwaitPrimary();
  Start(*talk, primary.directory(), MakeDatabase(primary.store(), "rows"));
  child.Join();
  group.AwaitAgreement();
  CHECK(group[1].status().commit.value >= talk->end.load(std::memory_order_acquire));
}

TEST(engine_group_process, who_reads_beside_a_replicas_driver_knows_how_old_it_is) {
  SkipUnderThreadSanitizer();
  SharedValue<Talk> talk;
  Child child([&talk] {
    const std::unique_ptr<Store> store = Attach(*talk);
    GroupBoard board = BoardOf(*store);
    Lsn before;
    for (int i = 0; i < 20; ++i) {
      const BoardState state = AwaitBoard(board, "a moving commit position", [&](auto& seen) {
        return seen.commit > before && seen.role == Role::kReplica;
      });
      before = state.commit;
      CHECK(state.self == MemberId(2) && state.primary == MemberId(1) && state.commit <= state.end);
      CHECK(Reached(state, {CopyKind::kQuorum, 0, CopyLevel::kFlushed, false}) == state.commit);
    }
    // Newer than its heartbeats are apart; a busy machine may take long to say so.
    AwaitBoard(board, "fresh", [](const BoardState& seen) {
      return LagNs(seen, PosixEnv().clock.MonotonicNanos()) < kSecond;
    });
    talk->ready.store(1, std::memory_order_release);
    // Cut off, it grows old.
    AwaitIn([&talk] { return talk->go.load(std::memory_order_acquire) == 2; });
    AwaitBoard(board, "old", [](const BoardState& seen) {
      return LagNs(seen, PosixEnv().clock.MonotonicNanos()) > kSecond;
    });
    CHECK_OK(store->Close());
  });
  TestGroup group(3);
  group.Found();
  TestMember& primary = group.AwaitPrimary();
  CHECK_EQ(primary.id().value, 1u);
  const DatabaseId rows = MakeDatabase(primary.store(), "rows");
  Start(*talk, group[1].directory(), rows);
  for (int i = 0; talk->ready.load(std::memory_order_acquire) == 0 && child.alive(); ++i) {
    PutRow(primary.store(), KeyOf(rows, std::to_string(i)), "value");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  group.Cut(2);
  talk->go.store(2, std::memory_order_release);
  child.Join();
}

// A round proves nothing about what was acknowledged after it began.
TEST(engine_group_process, a_linearizable_read_sees_what_was_acknowledged_before_it_was_asked_for) {
  TestGroup group(3);
  group.Found();
  TestMember& primary = group.AwaitPrimary();
  TestMember& replica = group[primary.id().value % 3];
  const DatabaseId rows = MakeDatabase(primary.store(), "rows");
  group.AwaitAgreement();
  GroupBoard board = BoardOf(replica.store());
  const auto served = [&board](uint64_t ticket) {
    return AwaitBoard(board, "served",
                      [ticket](const BoardState& seen) { return seen.reads.served >= ticket; })
        .reads;
  };
  uint64_t overtaken = 0;
  for (int round = 0; round < 200 && overtaken < 5; ++round) {
    group.HoldReplies(true);
    const uint64_t first = board.AskRead();
    for (int i = 0; i < 40 && group.replies_held() == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    const bool answered = group.replies_held() > 0;
    const Lsn acknowledged = PutRow(primary.store(), KeyOf(rows, std::to_string(round)), "value");
    group.Await("the commit", [&] { return primary.status().commit >= acknowledged; });
    const uint64_t second = board.AskRead();
    group.HoldReplies(false);
    CHECK(second > first);
    const BoardReads reads = served(second);
    if (!reads.granted) continue;  // the answer had been waited for too long
    CHECK(reads.position >= acknowledged);
    if (answered) ++overtaken;
  }
  CHECK(overtaken > 0);
}

TEST(engine_group_process, one_process_drives_the_replication_and_the_next_one_takes_over) {
  SkipUnderThreadSanitizer();
  SharedValue<Talk> talk;
  CoreOptions core;
  core.self = MemberId(1);
  core.election_timeout = 300'000'000;
  core.heartbeat_interval = 50'000'000;
  const std::string directory = TempDir();
  Child child([&] {
    TestGroup nobody(1);
    StoreOptions options = BusyStore();
    options.log.group_id = Id128{7, 7, 7};
    const std::unique_ptr<Store> store = OpenStore(directory, options);
    CHECK_VALUE(const auto driver,
                Replication::Open(PosixEnv(), directory, *store, core, &nobody[0], &nobody[0]));
    driver->Do(FoundGroup{MajorityOf({{MemberId(1), driver->incarnation()}}, 1)});
    GroupBoard board = BoardOf(*store);
    AwaitBoard(board, "primary", [](auto& seen) { return seen.role == Role::kPrimary; });
    talk->ready.store(1, std::memory_order_release);
    for (;;) pause();
  });
  AwaitIn([&] { return talk->ready.load(std::memory_order_acquire) == 1; });
  StoreOptions options = BusyStore();
  options.log.group_id = Id128{7, 7, 7};
  const std::unique_ptr<Store> store = OpenStore(directory, options);
  GroupBoard board = BoardOf(*store);
  TestGroup nobody(1);
  const auto open = [&] {
    return Replication::Open(PosixEnv(), directory, *store, core, &nobody[0], &nobody[0]);
  };
  const Status refused = open().status();
  CHECK_CODE(refused, Code::kBusy);
  CHECK(refused.ToString().find(std::to_string(child.pid())) != std::string::npos);
  const DatabaseId rows = MakeDatabase(*store, "rows");
  const Lsn end = PutRow(*store, KeyOf(rows, "a"), "value");
  AwaitBoard(board, "committed", [end](const BoardState& seen) { return seen.commit >= end; });
  // With its driver the reign ends; what stands on the board is how it was.
  child.Kill();
  CHECK_VALUE(const BoardState left, board.Look());
  CHECK(left.role == Role::kPrimary && left.holder_pid != 0);
  CHECK_VALUE(auto driver, open());
  const BoardState next = AwaitBoard(board, "another reign", [&left](const BoardState& seen) {
    return seen.role == Role::kPrimary && seen.term > left.term && seen.commit >= left.commit;
  });
  CHECK_EQ(next.holder_pid, PosixEnv().host.ProcessId());
  CHECK(Judge(next, {end, left.term}) == TokenFate::kCommitted);
  driver.reset();
  CHECK_VALUE(const BoardState given_up, board.Look());
  CHECK(given_up.holder_pid == 0 && given_up.role == Role::kReplica && given_up.commit >= end);
  CHECK_OK(store->Close());
}

}  // namespace
}  // namespace ringleader
