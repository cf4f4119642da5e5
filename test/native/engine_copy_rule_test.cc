// What follows from a look at the board: tables of rules, and facts held against enumeration.
#include "engine/copy_rule.h"

#include <algorithm>
#include <random>
#include <vector>

#include "harness.h"

namespace ringleader {
namespace {

using namespace test;

const Ballot kEarlier{Term(1), Incarnation(0xa)};
const Ballot kReign{Term(2), Incarnation(0xb)};
const Ballot kRival{Term(2), Incarnation(0xc)};
const Ballot kLater{Term(3), Incarnation(0xc)};

BoardMember MemberAt(uint32_t id, uint64_t position, uint64_t disk = 0, bool voter = true) {
  BoardMember member;
  member.id = MemberId(id);
  member.voter = voter;
  member.disk = disk;
  member.received = Lsn(position);
  member.written = Lsn(position - position / 10);
  member.flushed = Lsn(position - position / 5);
  member.applied = Lsn(position - position / 2);
  return member;
}

// A primary of five voters and a view, each on a disk of its own; flushed at 80, 160, 240, 320.
BoardState PrimaryOfFive() {
  BoardState state;
  state.role = Role::kPrimary;
  state.self = state.primary = MemberId(1);
  state.term = kReign;
  state.term_end = Lsn(60);
  state.end = Lsn(500);
  state.commit = Lsn(160);
  state.voters = 5;
  state.votes = 3;
  state.copies = 3;
  state.self_votes = state.election_safe = true;
  state.disk = 1;
  for (uint32_t id = 2; id <= 5; ++id) {
    state.members.push_back(MemberAt(id, uint64_t{id - 1} * 100, id));
  }
  state.members.push_back(MemberAt(6, 450, 6, false));
  state.terms = {{kEarlier, Lsn(10)}, {kReign, Lsn(50)}};
  return state;
}

CopyRule Count(uint32_t count, CopyLevel level, bool distinct = false) {
  return {CopyKind::kCount, count, level, distinct};
}
CopyRule Quorum(CopyLevel level, bool distinct = false) {
  return {CopyKind::kQuorum, 0, level, distinct};
}
CopyRule All(CopyLevel level, bool distinct = false) {
  return {CopyKind::kAll, 0, level, distinct};
}

uint64_t At(const BoardState& state, const CopyRule& rule) { return Reached(state, rule).value; }

TEST(engine_copy_rule, counted_copies_are_those_of_any_other_members) {
  const BoardState state = PrimaryOfFive();
  CHECK(Reached(state, Count(0, CopyLevel::kApplied)) == kMaxLsn);
  CHECK_EQ(At(state, Count(1, CopyLevel::kReceived)), 450u);
  CHECK_EQ(At(state, Count(2, CopyLevel::kReceived)), 400u);
  CHECK_EQ(At(state, Count(2, CopyLevel::kWritten)), 360u);
  CHECK_EQ(At(state, Count(2, CopyLevel::kFlushed)), 320u);
  CHECK_EQ(At(state, Count(5, CopyLevel::kApplied)), 50u);
  CHECK_EQ(At(state, Count(6, CopyLevel::kReceived)), 0u);
}

TEST(engine_copy_rule, a_quorum_is_the_commit_position_when_it_is_flushed) {
  BoardState state = PrimaryOfFive();
  CHECK_EQ(At(state, Quorum(CopyLevel::kFlushed)), 160u);
  // The primary's own copy is one of three: two of the four others, and no view.
  CHECK_EQ(At(state, Quorum(CopyLevel::kReceived)), 300u);
  CHECK_EQ(At(state, Quorum(CopyLevel::kApplied)), 150u);
  state.self_votes = false;
  CHECK_EQ(At(state, Quorum(CopyLevel::kReceived)), 200u);
  state.commit = Lsn(400);  // committed is received, whatever the answers have told yet
  CHECK_EQ(At(state, Quorum(CopyLevel::kReceived)), 400u);
  state.changing = true;
  CHECK_EQ(At(state, Quorum(CopyLevel::kWritten)), 400u);
  state.copies = 0;
  CHECK_EQ(At(state, Quorum(CopyLevel::kFlushed)), 0u);
}

TEST(engine_copy_rule, the_register_says_who_keeps_a_copy) {
  BoardState state = PrimaryOfFive();
  state.in_sync = true;
  state.voters = 2;
  state.votes = state.copies = 1;
  state.members = {MemberAt(2, 300, 2)};
  CHECK_EQ(At(state, Quorum(CopyLevel::kReceived)), 160u);
  CHECK_EQ(At(state, Quorum(CopyLevel::kFlushed)), 160u);
  CHECK_EQ(At(state, Quorum(CopyLevel::kApplied)), 150u);
}

TEST(engine_copy_rule, all_are_the_other_voters_that_there_should_be) {
  BoardState state = PrimaryOfFive();
  CHECK_EQ(At(state, All(CopyLevel::kReceived)), 100u);
  state.voters = 6;  // one of them has not been heard of
  CHECK_EQ(At(state, All(CopyLevel::kReceived)), 0u);
  state.voters = 1;
  state.members.clear();
  CHECK(Reached(state, All(CopyLevel::kReceived)) == kMaxLsn);
  CHECK_EQ(At(BoardState(), All(CopyLevel::kReceived)), 0u);
}

TEST(engine_copy_rule, a_member_that_is_not_primary_knows_the_commit_position_and_no_copies) {
  BoardState state = PrimaryOfFive();
  state.role = Role::kReplica;
  for (const CopyLevel level : {CopyLevel::kReceived, CopyLevel::kWritten, CopyLevel::kFlushed}) {
    CHECK_EQ(At(state, Quorum(level)), 160u);
    CHECK_EQ(At(state, Quorum(level, true)), 0u);
    CHECK_EQ(At(state, Count(1, level)), 0u);
    CHECK_EQ(At(state, All(level)), 0u);
  }
  CHECK_EQ(At(state, Quorum(CopyLevel::kApplied)), 0u);
}

TEST(engine_copy_rule, copies_on_one_disk_are_one_copy) {
  BoardState state = PrimaryOfFive();
  state.members[3].disk = 4;  // members 4 and 5 share one
  CHECK_EQ(At(state, Count(2, CopyLevel::kReceived, true)), 400u);
  CHECK_EQ(At(state, Count(3, CopyLevel::kReceived, true)), 200u);
  CHECK_EQ(At(state, Count(5, CopyLevel::kReceived, true)), 0u);
  CHECK_EQ(At(state, All(CopyLevel::kReceived, true)), 0u);
  CHECK_EQ(At(state, Quorum(CopyLevel::kReceived, true)), 200u);
  CHECK_EQ(At(state, Quorum(CopyLevel::kFlushed, true)), 160u);
  state.members[2].disk = state.members[3].disk = 1;  // and it is the primary's
  CHECK_EQ(At(state, Quorum(CopyLevel::kReceived, true)), 100u);
  CHECK_EQ(At(state, Quorum(CopyLevel::kFlushed, true)), 80u);
}

TEST(engine_copy_rule, an_unknown_disk_is_no_other_disk) {
  BoardState state = PrimaryOfFive();
  state.members[4].disk = 0;
  CHECK_EQ(At(state, Count(1, CopyLevel::kReceived, true)), 400u);
  state.disk = 0;
  CHECK_EQ(At(state, Count(1, CopyLevel::kReceived, true)), 0u);
  state.disk = 7;
  for (BoardMember& member : state.members) member.disk = 0;
  CHECK(!Survives(state, Lsn(100), Lsn(500)).any_one_disk);
  state.members[4].disk = 7;
  CHECK(!Survives(state, Lsn(100), Lsn(500)).any_one_disk);
  state.members[4].disk = 8;
  CHECK(Survives(state, Lsn(100), Lsn(500)).any_one_disk);
  CHECK(!Survives(state, Lsn(361), Lsn(500)).any_one_disk);
  CHECK(!Survives(state, Lsn(100), Lsn(99)).any_one_disk);
}

// Positions only grow, and the numbers of the group stay: then no rule falls back.
TEST(engine_copy_rule, what_has_been_reached_stays_reached) {
  std::mt19937_64 random(Seed());
  for (uint64_t run = 0; run < Scale(300); ++run) {
    BoardState state = PrimaryOfFive();
    for (BoardMember& member : state.members) member.disk = random() % 5;
    std::vector<CopyRule> rules;
    for (uint8_t level = 1; level <= 4; ++level) {
      for (const bool distinct : {false, true}) {
        rules.push_back(Quorum(static_cast<CopyLevel>(level), distinct));
        rules.push_back(All(static_cast<CopyLevel>(level), distinct));
        for (uint32_t k = 0; k <= 6; ++k) {
          rules.push_back(Count(k, static_cast<CopyLevel>(level), distinct));
        }
      }
    }
    std::vector<Lsn> before(rules.size());
    for (int step = 0; step < 40; ++step) {
      BoardMember& member = state.members[random() % state.members.size()];
      member.received = member.received + random() % 50;
      member.written = std::min(member.received, member.written + random() % 80);
      member.flushed = std::min(member.written, member.flushed + random() % 80);
      member.applied = std::min(member.received, member.applied + random() % 80);
      if (random() % 3 == 0) state.commit = state.commit + random() % 20;
      for (size_t i = 0; i < rules.size(); ++i) {
        const Lsn reached = Reached(state, rules[i]);
        CHECK(reached >= before[i]);
        CopyRule weaker = rules[i];
        weaker.distinct_disks = false;
        CHECK(Reached(state, weaker) >= reached);
        before[i] = reached;
      }
    }
  }
}

// Every set of V voters against the copies, for every V, every set of copies, every N up to 6.
TEST(engine_copy_rule, an_election_is_survived_where_every_set_of_votes_meets_a_copy) {
  for (uint32_t voters = 1; voters <= 6; ++voters) {
    for (uint32_t votes = 1; votes <= voters; ++votes) {
      for (uint32_t copies = 0; copies < (1U << voters); ++copies) {
        BoardState state;
        state.role = Role::kPrimary;
        state.term = kReign;
        state.term_end = Lsn(20);
        state.end = Lsn(200);
        state.voters = voters;
        state.votes = votes;
        state.copies = voters - votes + 1;
        state.self_votes = state.election_safe = true;
        for (uint32_t id = 1; id < voters; ++id) {
          state.members.push_back(MemberAt(id, 0));
          state.members.back().flushed = Lsn((copies >> id & 1) != 0 ? 100 : 99);
        }
        bool met = true;
        for (uint32_t set = 0; set < (1U << voters); ++set) {
          const bool elects = static_cast<uint32_t>(__builtin_popcount(set)) == votes;
          if (elects && (set & copies) == 0) met = false;
        }
        const Lsn own((copies & 1) != 0 ? 100 : 99);
        CHECK_EQ(Survives(state, Lsn(100), own).election, met);
        state.commit = Lsn(100);
        CHECK(Survives(state, Lsn(100), own).election);
        state.election_safe = false;
        CHECK_EQ(Survives(state, Lsn(100), own).election, met);
      }
    }
  }
}

// Copies of what an earlier reign wrote are no promise until the reign's own first record is there:
// an election in between may choose a log that has something newer in their place.
TEST(engine_copy_rule, what_a_reign_has_inherited_needs_its_first_record) {
  BoardState state = PrimaryOfFive();
  state.commit = Lsn();
  for (BoardMember& member : state.members) member.flushed = Lsn(45);
  CHECK(!Survives(state, Lsn(45), Lsn(500)).election);
  state.term_end = Lsn();  // the record is not even written
  for (BoardMember& member : state.members) member.flushed = Lsn(60);
  CHECK(!Survives(state, Lsn(45), Lsn(500)).election);
  state.term_end = Lsn(60);
  CHECK(Survives(state, Lsn(45), Lsn(500)).election);
  state.changing = true;
  CHECK(!Survives(state, Lsn(45), Lsn(500)).election);
  state.changing = false;
  state.role = Role::kReplica;
  CHECK(!Survives(state, Lsn(45), Lsn(500)).election);
}

TEST(engine_copy_rule, some_disk_survives_a_power_failure) {
  BoardState state = PrimaryOfFive();
  state.commit = Lsn();
  CHECK((Survives(state, Lsn(400), Lsn(399)) == Survival{true, false, false, false}));
  CHECK(Survives(state, Lsn(400), Lsn(400)).power);
  CHECK(Survives(state, Lsn(360), Lsn()).power);
  CHECK(!Survives(state, Lsn(361), Lsn()).power);
  state.commit = Lsn(450);
  CHECK(Survives(state, Lsn(450), Lsn()).power);
}

TEST(engine_copy_rule, a_token_is_judged_by_the_reign_that_wrote_there) {
  BoardState state = PrimaryOfFive();  // kEarlier from 10, kReign from 50, committed to 160
  const auto judge = [&state](uint64_t end, Ballot term) { return Judge(state, {Lsn(end), term}); };
  CHECK(judge(50, kEarlier) == TokenFate::kCommitted);
  CHECK(judge(51, kEarlier) == TokenFate::kRolledBack);
  CHECK(judge(51, kReign) == TokenFate::kCommitted);
  CHECK(judge(160, kReign) == TokenFate::kCommitted);
  CHECK(judge(160, kRival) == TokenFate::kRolledBack);
  CHECK(judge(161, kReign) == TokenFate::kOpen);
  // Its reign was over before that: it never comes.
  CHECK(judge(161, kEarlier) == TokenFate::kRolledBack);
  CHECK(judge(161, kLater) == TokenFate::kOpen);
  // A start that is not committed proves nothing.
  state.commit = Lsn(50);
  CHECK(judge(70, kEarlier) == TokenFate::kOpen);
  state.commit = Lsn(51);
  CHECK(judge(70, kEarlier) == TokenFate::kRolledBack);
  // Below the oldest row.
  CHECK(judge(10, Ballot{Term(0), Incarnation(0)}) == TokenFate::kForgotten);
  CHECK(judge(10, kEarlier) == TokenFate::kRolledBack);
  state.terms.clear();
  CHECK(judge(10, kEarlier) == TokenFate::kForgotten);
  CHECK(judge(70, kEarlier) == TokenFate::kOpen);
  CHECK(Judge(BoardState(), {Lsn(10), kEarlier}) == TokenFate::kOpen);
}

TEST(engine_copy_rule, the_term_of_a_transaction_is_known_once_the_board_has_come_so_far) {
  const BoardState state = PrimaryOfFive();
  CHECK(TermAt(state, Lsn(10)).none());
  CHECK(TermAt(state, Lsn(11)) == kEarlier);
  CHECK(TermAt(state, Lsn(50)) == kEarlier);
  CHECK(TermAt(state, Lsn(500)) == kReign);
  CHECK(TermAt(state, Lsn(501)).none());
}

TEST(engine_copy_rule, a_primary_lags_behind_nobody) {
  BoardState state = PrimaryOfFive();
  CHECK_EQ(LagNs(state, 1000), 0u);
  state.role = Role::kReplica;
  CHECK_EQ(LagNs(state, 1000), UINT64_MAX);
  state.fresh_ns = 400;
  CHECK_EQ(LagNs(state, 1000), 600u);
  CHECK_EQ(LagNs(state, 300), 0u);
}

}  // namespace
}  // namespace ringleader
