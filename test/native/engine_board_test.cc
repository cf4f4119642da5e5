// The board: what is published is seen whole, by every process, whoever dies on the way.
#include "engine/group_board.h"

#include <random>
#include <thread>

#include "child_process.h"
#include "concurrent.h"
#include "engine/copy_rule.h"
#include "engine/disk_identity.h"
#include "log_fixture.h"
#include "temp_dirs.h"

namespace ringleader {
namespace {

using namespace test;

GroupBoard BoardOf(Log& log) {
  CHECK_VALUE(GroupBoard board, GroupBoard::Of(PosixEnv(), log));
  return board;
}

BoardState LookAt(const GroupBoard& board) {
  CHECK_VALUE(BoardState state, board.Look());
  return state;
}

// Every field is another value, so that no two can be taken for each other.
BoardState FullState(size_t members, size_t terms) {
  BoardState state;
  state.role = Role::kPrimary;
  state.term = {Term(1000), Incarnation(0x8000'0000'0000'0001)};
  state.self = MemberId(1);
  state.primary = MemberId(7);
  state.end = Lsn(900);
  state.commit = Lsn(800);
  state.term_end = Lsn(700);
  state.history = 3;
  state.voters = 15;
  state.votes = 8;
  state.copies = 9;
  state.self_votes = state.in_sync = state.changing = state.election_safe = true;
  state.disk = UINT64_MAX;
  state.fresh_ns = 12;
  state.permanent_failed = Lsn(600);
  state.reads = {44, true, Lsn(555)};
  for (uint32_t i = 0; i < members; ++i) {
    state.members.push_back({MemberId(i + 2), i % 2 == 0, uint64_t{i} << 40, Lsn(i + 400),
                             Lsn(i + 300), Lsn(i + 200), Lsn(i + 100)});
  }
  for (uint32_t i = 0; i < terms; ++i) {
    state.terms.push_back({{Term(i + 1), Incarnation(i)}, Lsn(uint64_t{i} * 10)});
  }
  state.steps = 1;
  state.refused_frames = 2;
  state.dropped_messages = 4;
  state.roll_backs = 5;
  return state;
}

TEST(engine_board, nothing_stands_on_a_new_board) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  const GroupBoard board = BoardOf(*log);
  CHECK(LookAt(board) == BoardState());
  CHECK_OK(log->Close());
  CHECK_CODE(GroupBoard::Of(PosixEnv(), *log).status(), Code::kClosed);
}

TEST(engine_board, what_is_published_is_seen_whole) {
  const std::string directory = TempDir();
  const auto log = OpenLog(PosixEnv(), directory, SmallLog());
  GroupBoard board = BoardOf(*log);
  const auto other = OpenLog(PosixEnv(), directory, SmallLog());  // as another process has it
  const GroupBoard seen = BoardOf(*other);
  for (const size_t members : {size_t{31}, size_t{0}, size_t{2}}) {
    BoardState state = FullState(members, 3);
    CHECK(board.Publish(state));
    CHECK(LookAt(seen) == state);
  }
  // The newest rows, where there are too many.
  BoardState state = FullState(kMaxMembers, kBoardTerms + 9);
  CHECK(board.Publish(state));
  state.terms.erase(state.terms.begin(), state.terms.begin() + 9);
  CHECK(LookAt(seen) == state);
}

TEST(engine_board, who_has_nothing_new_to_say_wakes_nobody) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  GroupBoard board = BoardOf(*log);
  BoardState state = FullState(2, 2);
  CHECK(board.Publish(state));
  const uint32_t sequence = board.Sequence();
  ++state.steps;
  CHECK(!board.Publish(state));
  CHECK(!board.Await(sequence, 1'000'000));
  CHECK_EQ(LookAt(board).steps, 1u);
  state.commit = state.commit + 1;
  CHECK(board.Publish(state));
  CHECK(board.Await(sequence, 1'000'000'000));
  CHECK_EQ(LookAt(board).steps, 2u);
}

TEST(engine_board, a_sleeper_hears_of_a_publication_and_of_a_ring) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  GroupBoard board = BoardOf(*log);
  for (int round = 0; round < 20; ++round) {
    const uint32_t sequence = board.Sequence();
    std::thread other([&log, round] {
      GroupBoard theirs = BoardOf(*log);
      BoardState state = FullState(1, 1);
      state.commit = Lsn(static_cast<uint64_t>(round));
      if (round % 2 == 0) {
        theirs.Ring();
      } else {
        CHECK(theirs.Publish(state));
      }
    });
    const auto began = std::chrono::steady_clock::now();
    while (!board.Await(sequence, 20'000'000'000)) {
    }
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(15));
    other.join();
  }
}

TEST(engine_board, tickets_are_given_out_once) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  GroupBoard board = BoardOf(*log);
  const uint32_t activity = log->ActivitySequence();
  CHECK_EQ(board.AskRead(), 1u);
  CHECK_EQ(BoardOf(*log).AskRead(), 2u);
  CHECK_EQ(board.AskedReads(), 2u);
  CHECK(log->ActivitySequence() != activity);  // the pump hears of it
}

// All positions of a state are the same number, so one that is put together of two is found out.
BoardState NumberedState(uint64_t number) {
  BoardState state = FullState(8, 0);
  state.end = state.commit = state.term_end = state.permanent_failed = Lsn(number);
  for (BoardMember& member : state.members) {
    member.received = member.written = member.flushed = member.applied = Lsn(number);
  }
  for (uint64_t i = 0; i < 40; ++i) {
    state.terms.push_back({{Term(static_cast<uint32_t>(i + 1)), Incarnation(number)}, Lsn(i)});
  }
  return state;
}

void CheckNumbered(const BoardState& state) {
  const uint64_t number = state.commit.value;
  BoardState whole = NumberedState(number);
  whole.holder_pid = state.holder_pid;
  CHECK(state == whole);
}

TEST(engine_board, readers_beside_a_writer_see_one_state_at_a_time) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  std::atomic<bool> done{false};
  CHECK(BoardOf(*log).Publish(NumberedState(1)));
  std::thread writer([&] {
    GroupBoard board = BoardOf(*log);
    for (uint64_t number = 2; !done.load(std::memory_order_acquire); ++number) {
      CHECK(board.Publish(NumberedState(number)));
    }
  });
  const GroupBoard board = BoardOf(*log);
  uint64_t seen = 0;
  std::string failure;
  for (uint64_t looks = 0; looks < Scale(20'000); ++looks) {
    BoardState state;
    const Status status = board.Look(&state);
    if (status.code() == Code::kBusy) continue;
    if (!status.ok() || state.commit.value < seen) failure = "look: " + status.ToString();
    if (!failure.empty()) break;
    seen = state.commit.value;
    CheckNumbered(state);
  }
  done.store(true, std::memory_order_release);
  writer.join();
  CHECK_EQ(failure, "");
  CHECK(seen > 1);
}

TEST(engine_board, a_writer_that_dies_leaves_the_state_before) {
  SkipUnderThreadSanitizer();
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  std::mt19937_64 random(Seed());
  uint64_t seen = 0;
  for (uint64_t round = 0; round < Scale(40); ++round) {
    SharedValue<std::atomic<uint64_t>> begun;
    const uint64_t first = seen + 1;
    Child child([&] {
      GroupBoard board = BoardOf(*log);  // its memory is shared with the parent's
      for (uint64_t number = first;; ++number) {
        CHECK(board.Publish(NumberedState(number)));
        begun->store(number, std::memory_order_release);
      }
    });
    const uint64_t some = first + random() % 200;
    while (begun->load(std::memory_order_acquire) < some) std::this_thread::yield();
    child.Kill();
    const BoardState left = LookAt(BoardOf(*log));
    CheckNumbered(left);
    const uint64_t told = begun->load(std::memory_order_acquire);
    CHECK(left.commit.value == told || left.commit.value == told + 1);
    seen = left.commit.value;
  }
  // The next one goes on as if nothing had been.
  GroupBoard board = BoardOf(*log);
  CHECK(board.Publish(NumberedState(seen + 1)));
  CheckNumbered(LookAt(board));
}

// Whatever stands in the memory: a state that keeps its promises, or kCorruption.
TEST(engine_board, scribbled_memory_is_found_out) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  GroupBoard board = BoardOf(*log);
  CHECK(board.Publish(FullState(5, 20)));
  const MutableBytes bytes = log->Board();
  const std::vector<uint8_t> sound(bytes.begin(), bytes.end());
  std::mt19937_64 random(Seed());
  uint64_t damaged = 0;
  for (uint64_t run = 0; run < Scale(3000); ++run) {
    std::copy(sound.begin(), sound.end(), bytes.begin());
    const size_t range = run % 3 == 0 ? bytes.size() : 17'500;  // where the image that counts is
    for (uint64_t n = 1 + random() % 6; n > 0; --n) {
      bytes[random() % range] = static_cast<uint8_t>(random());
    }
    BoardState state;
    const Status status = board.Look(&state);
    CHECK(status.ok() || status.code() == Code::kCorruption);
    if (!status.ok()) ++damaged;
    CHECK(state.members.size() <= kMaxMembers && state.terms.size() <= kBoardTerms);
  }
  CHECK(damaged > 0);
  std::copy(sound.begin(), sound.end(), bytes.begin());
  CHECK(LookAt(board) == FullState(5, 20));
}

TEST(engine_board, one_process_has_the_role_and_its_death_frees_it) {
  SkipUnderThreadSanitizer();
  const std::string directory = TempDir();
  const auto log = OpenLog(PosixEnv(), directory, SmallLog());
  SharedValue<std::atomic<uint32_t>> holder;
  Child child([&] {
    CHECK_VALUE(const auto role, ReplicationRole::Take(PosixEnv(), directory, BoardOf(*log)));
    holder->store(PosixEnv().host.ProcessId(), std::memory_order_release);
    for (;;) pause();
  });
  while (holder->load(std::memory_order_acquire) == 0) std::this_thread::yield();
  const auto refused = ReplicationRole::Take(PosixEnv(), directory, BoardOf(*log));
  CHECK_CODE(refused.status(), Code::kBusy);
  CHECK(refused.status().ToString().find(std::to_string(child.pid())) != std::string::npos);
  CHECK_EQ(LookAt(BoardOf(*log)).holder_pid, static_cast<uint32_t>(child.pid()));
  child.Kill();
  {
    CHECK_VALUE(const auto role, ReplicationRole::Take(PosixEnv(), directory, BoardOf(*log)));
    CHECK_EQ(BoardOf(*log).holder_pid(), PosixEnv().host.ProcessId());
    CHECK_CODE(ReplicationRole::Take(PosixEnv(), directory, BoardOf(*log)).status(), Code::kBusy);
  }
  CHECK_EQ(BoardOf(*log).holder_pid(), 0u);
  CHECK_OK(ReplicationRole::Take(PosixEnv(), directory, BoardOf(*log)).status());
}

TEST(engine_board, a_disk_is_known_again_wherever_one_looks_from) {
  const std::string directory = TempDir();
  const uint64_t disk = DiskIdentity(PosixEnv(), directory);
  CHECK(disk != 0);
  CHECK_OK(PosixEnv().files.MakeDirectory(JoinPath(directory, "below")));
  CHECK_EQ(DiskIdentity(PosixEnv(), JoinPath(directory, "below")), disk);
  CHECK_EQ(DiskIdentity(PosixEnv(), JoinPath(directory, "none")), 0u);
  CHECK(DiskIdentityOf("a") != DiskIdentityOf("b"));
  CHECK(DiskIdentityOf("a") != 0 && DiskIdentityOf("a") == DiskIdentityOf("a"));
  // File systems in memory have no disk: those of one machine count as one.
  if (PosixEnv().files.Info("/dev/shm").ok() && PosixEnv().files.Info("/proc").ok()) {
    CHECK_EQ(DiskIdentity(PosixEnv(), "/dev/shm"), DiskIdentity(PosixEnv(), "/proc"));
  }
}

}  // namespace
}  // namespace ringleader
