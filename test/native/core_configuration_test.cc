// Who may be in a group, how it changes a member at a time, and which quorums meet.
#include <bit>
#include <string>
#include <vector>

#include "core/configuration.h"
#include "harness.h"

namespace ringleader {
namespace {

using namespace test;
using Kind = MembershipChange::Kind;

Member MemberOf(uint32_t id, MemberKind kind = MemberKind::kVoter) {
  Member member;
  member.id = MemberId(id);
  member.incarnation = Incarnation(0xa0 + id);
  member.kind = kind;
  return member;
}

std::vector<Member> MembersOf(size_t voters, size_t views = 0) {
  std::vector<Member> members;
  for (size_t i = 0; i < voters + views; ++i) {
    const auto kind = i < voters ? MemberKind::kVoter : MemberKind::kView;
    members.push_back(MemberOf(static_cast<uint32_t>(i + 1), kind));
  }
  return members;
}

Configuration GroupOf(size_t voters, size_t views = 0) {
  return MajorityOf(MembersOf(voters, views), 7);
}

bool Refused(const Configuration& configuration) {
  const Status status = CheckConfiguration(configuration);
  if (!status.ok()) CHECK_EQ(status.code(), Code::kInvalidArgument);
  return !status.ok();
}

bool Refused(const Configuration& from, const MembershipChange& change) {
  const auto next = Apply(from, change);
  if (!next.ok()) CHECK_EQ(next.status().code(), Code::kInvalidArgument);
  return !next.ok();
}

TEST(core_configuration, majorities) {
  const struct {
    uint32_t voters, votes, copies;
  } expected[] = {{1, 1, 1}, {2, 2, 1}, {3, 2, 2}, {4, 3, 2}, {5, 3, 3}, {6, 4, 3}, {7, 4, 4}};
  for (const auto& [voters, votes, copies] : expected) {
    const Configuration group = GroupOf(voters, 2);
    CHECK_EQ(group.voters, voters);
    CHECK_EQ(group.votes, votes);
    CHECK_EQ(group.copies, copies);
    CHECK(group.ElectionSafe());
    CHECK_OK(CheckConfiguration(group));
  }
  // In any order.
  const Configuration group = MajorityOf({MemberOf(9), MemberOf(2), MemberOf(4)}, 1);
  CHECK_OK(CheckConfiguration(group));
  CHECK(group.Find(MemberId(4)) != nullptr && group.Find(MemberId(4))->id == MemberId(4));
  CHECK(group.Find(MemberId(5)) == nullptr && group.Find(kNobody) == nullptr);
  CHECK(group.IsVoter(MemberId(9)) && !group.IsVoter(MemberId(5)));
  CHECK(!GroupOf(1, 1).IsVoter(MemberId(2)));
}

TEST(core_configuration, limits) {
  CHECK(Refused(GroupOf(0)) && Refused(GroupOf(0, 3)));
  CHECK_OK(CheckConfiguration(GroupOf(1)));
  CHECK_OK(CheckConfiguration(GroupOf(kMaxVoters - 1)));
  CHECK_OK(CheckConfiguration(GroupOf(kMaxVoters)));
  CHECK(Refused(GroupOf(kMaxVoters + 1)));
  CHECK_OK(CheckConfiguration(GroupOf(3, kMaxMembers - 4)));
  CHECK_OK(CheckConfiguration(GroupOf(3, kMaxMembers - 3)));
  CHECK(Refused(GroupOf(3, kMaxMembers - 2)));
  for (const uint32_t wrong : {0u, 4u}) {
    Configuration group = GroupOf(3);
    group.votes = wrong;
    CHECK(Refused(group));
    group = GroupOf(3);
    group.copies = wrong;
    CHECK(Refused(group));
  }
  for (const uint32_t good : {1u, 3u}) {
    Configuration group = GroupOf(3);
    group.votes = group.copies = good;
    CHECK_OK(CheckConfiguration(group));
    CHECK_EQ(group.ElectionSafe(), good == 3);
  }
}

TEST(core_configuration, what_is_none) {
  const auto spoiled = [](auto&& spoil) {
    Configuration group = GroupOf(3, 1);
    spoil(group);
    return Refused(group);
  };
  CHECK(spoiled([](auto& group) { group.version = 0; }));
  CHECK(spoiled([](auto& group) { group.voters = 4; }));
  CHECK(spoiled([](auto& group) { group.voters = 2; }));
  CHECK(spoiled([](auto& group) { group.rule = static_cast<QuorumRule>(3); }));
  CHECK(spoiled([](auto& group) { group.rule = QuorumRule::kInSync; }));  // of three
  CHECK(spoiled([](auto& group) { group.members[3].kind = static_cast<MemberKind>(0); }));
  CHECK(spoiled([](auto& group) { group.members[3].id = kNobody; }));
  CHECK(spoiled([](auto& group) { std::swap(group.members[0], group.members[1]); }));
  CHECK(spoiled([](auto& group) { group.members[1].id = group.members[0].id; }));
  CHECK(spoiled([](auto& group) { group.members[3].incarnation = group.members[0].incarnation; }));
  // In a group of the base API nobody tells the incarnations.
  CHECK(!spoiled([](auto& group) {
    for (Member& member : group.members) member.incarnation = Incarnation();
  }));
  Configuration two = GroupOf(2, 1);
  two.rule = QuorumRule::kInSync;
  CHECK_OK(CheckConfiguration(two));
}

TEST(core_configuration, a_member_comes_in_and_becomes_a_voter) {
  const Configuration group = GroupOf(3);
  CHECK_VALUE(const Configuration added,
              Apply(group, {Kind::kAdd, MemberOf(4, MemberKind::kLearner)}));
  CHECK_EQ(added.version, group.version + 1);
  CHECK_EQ(added.voters, 3u);
  CHECK(added.Find(MemberId(4))->kind == MemberKind::kLearner);
  CHECK_VALUE(const Configuration promoted, Apply(added, {Kind::kPromote, MemberOf(4)}));
  CHECK(promoted == MajorityOf(MembersOf(4), group.version + 2));
  CHECK_VALUE(const Configuration demoted, Apply(promoted, {Kind::kDemote, MemberOf(2)}));
  CHECK(!demoted.IsVoter(MemberId(2)) && demoted.voters == 3 && demoted.copies == 2);
  CHECK_VALUE(const Configuration removed, Apply(demoted, {Kind::kRemove, MemberOf(2)}));
  CHECK(removed.Find(MemberId(2)) == nullptr && removed.members.size() == 3);

  CHECK(Refused(group, {Kind::kAdd, MemberOf(4)}));  // not as a voter
  CHECK(Refused(group, {Kind::kAdd, MemberOf(3, MemberKind::kLearner)}));
  CHECK(Refused(group, {Kind::kAdd, MemberOf(UINT32_MAX, MemberKind::kLearner)}));
  for (const Kind kind :
       {Kind::kPromote, Kind::kDemote, Kind::kRemove, Kind::kSetPriority, Kind::kReplace}) {
    CHECK(Refused(group, {kind, MemberOf(4)}));  // not there
  }
  CHECK(Refused(group, {Kind::kPromote, MemberOf(3)}));
  CHECK(Refused(added, {Kind::kDemote, MemberOf(4)}));
  CHECK(Refused(group, {static_cast<Kind>(0), MemberOf(4)}));
  CHECK(Refused(group, {static_cast<Kind>(7), MemberOf(3)}));
}

TEST(core_configuration, the_last_voter_stays) {
  const Configuration group = GroupOf(1, 1);
  CHECK(Refused(group, {Kind::kRemove, MemberOf(1)}));
  CHECK(Refused(group, {Kind::kDemote, MemberOf(1)}));
  Member fresh = MemberOf(1);
  fresh.incarnation = Incarnation(0xff);
  CHECK(Refused(group, {Kind::kReplace, fresh}));
  CHECK(!Refused(group, {Kind::kRemove, MemberOf(2)}));
}

TEST(core_configuration, limits_of_steps) {
  Configuration group = GroupOf(kMaxVoters, kMaxMembers - kMaxVoters - 1);
  const MembershipChange add{Kind::kAdd, MemberOf(90, MemberKind::kLearner)};
  CHECK_VALUE(group, Apply(group, add));
  CHECK_EQ(group.members.size(), kMaxMembers);
  CHECK(Refused(group, {Kind::kAdd, MemberOf(91, MemberKind::kLearner)}));
  CHECK(Refused(group, {Kind::kPromote, MemberOf(90)}));
  CHECK_VALUE(group, Apply(group, {Kind::kDemote, MemberOf(1)}));
  CHECK_VALUE(group, Apply(group, {Kind::kPromote, MemberOf(90)}));
  CHECK_EQ(group.voters, kMaxVoters);
}

// A step means the copy that whoever asked for it knew.
TEST(core_configuration, a_step_names_its_copy) {
  const Configuration group =
      MajorityOf({MemberOf(1), MemberOf(2), MemberOf(3), MemberOf(4, MemberKind::kLearner)}, 7);
  Member other = MemberOf(4);
  other.incarnation = Incarnation(0xff);
  CHECK(Refused(group, {Kind::kPromote, other}));
  CHECK(Refused(group, {Kind::kRemove, other}));
  Member any = MemberOf(4);
  any.incarnation = Incarnation();
  CHECK(!Refused(group, {Kind::kPromote, any}));
  CHECK(!Refused(group, {Kind::kPromote, MemberOf(4)}));
  Member taken = MemberOf(9, MemberKind::kLearner);
  taken.incarnation = MemberOf(2).incarnation;
  CHECK(Refused(group, {Kind::kAdd, taken}));
}

TEST(core_configuration, a_new_disk_is_a_new_learner) {
  Configuration group = GroupOf(3, 1);
  group.members[1].priority = 5;
  Member fresh = MemberOf(2);
  CHECK(Refused(group, {Kind::kReplace, fresh}));  // the same copy
  fresh.incarnation = Incarnation();
  CHECK(Refused(group, {Kind::kReplace, fresh}));
  fresh.incarnation = Incarnation(0xff);
  CHECK_VALUE(const Configuration replaced, Apply(group, {Kind::kReplace, fresh}));
  CHECK((*replaced.Find(fresh.id) == Member{fresh.id, Incarnation(0xff), MemberKind::kLearner, 5}));
  CHECK_EQ(replaced.voters, 2u);
  CHECK_EQ(replaced.votes, 2u);
  fresh.id = MemberId(4);
  CHECK_VALUE(const Configuration view, Apply(group, {Kind::kReplace, fresh}));
  CHECK(view.Find(fresh.id)->kind == MemberKind::kView);
}

TEST(core_configuration, quorums_of_choice_stay_while_the_voters_do) {
  Configuration group = GroupOf(5);
  group.votes = 4;
  group.copies = 2;
  Member member = MemberOf(2);
  member.priority = 0;
  CHECK_VALUE(const Configuration next, Apply(group, {Kind::kSetPriority, member}));
  CHECK_EQ(next.Find(member.id)->priority, 0u);
  CHECK(next.votes == 4 && next.copies == 2);
  CHECK_VALUE(const Configuration less, Apply(group, {Kind::kRemove, member}));
  CHECK(less.votes == 3 && less.copies == 2);
}

// --- Which quorums meet --------------------------------------------------------------------------

uint32_t VoterBits(const Configuration& configuration) {
  uint32_t bits = 0;
  for (const Member& member : configuration.members) {
    if (member.kind == MemberKind::kVoter) bits |= 1u << member.id.value;
  }
  return bits;
}

bool IsQuorum(uint32_t members, const Configuration& configuration, uint32_t needed) {
  return std::popcount(members & VoterBits(configuration)) >= static_cast<int>(needed);
}

// Whether every set of copies for which `commits` holds has one of every set that elects.
template <typename Commits>
bool MeetsEveryElection(const Configuration& electing, uint32_t all, Commits&& commits) {
  for (uint32_t copies = 0; copies <= all; ++copies) {
    if ((copies & ~all) != 0 || !commits(copies)) continue;
    // The voters that none of the copies belongs to.
    if (IsQuorum(all & ~copies, electing, electing.votes)) return false;
  }
  return true;
}

// The record of a configuration needs copies of both, the old and the new one.
TEST(core_configuration, no_election_passes_a_change_by) {
  for (size_t voters = 1; voters <= 7; ++voters) {
    const auto newcomer = static_cast<uint32_t>(voters + 1);
    const Configuration less = MajorityOf(MembersOf(voters), 1);
    const Configuration more = MajorityOf(MembersOf(newcomer), 2);
    const uint32_t all = VoterBits(more);
    const auto both = [&](uint32_t copies) {
      return IsQuorum(copies, less, less.copies) && IsQuorum(copies, more, more.copies);
    };
    CHECK(MeetsEveryElection(less, all, both) && MeetsEveryElection(more, all, both));
    // The new one alone: an election that has not heard of it passes it by, where N is odd.
    const auto new_alone = [&](uint32_t copies) { return IsQuorum(copies, more, more.copies); };
    CHECK(MeetsEveryElection(more, all, new_alone));
    CHECK_EQ(MeetsEveryElection(less, all, new_alone), voters % 2 == 0);
  }
}

}  // namespace
}  // namespace ringleader
