#include "core/configuration.h"

#include <algorithm>
#include <utility>

#include "core/names.h"

namespace ringleader {
namespace {

Status Wrong(const char* what) { return Status(Code::kInvalidArgument, what); }

bool ById(const Member& left, const Member& right) { return left.id < right.id; }

uint32_t CountVoters(const std::vector<Member>& members) {
  return static_cast<uint32_t>(std::count_if(members.begin(), members.end(), [](const Member& one) {
    return one.kind == MemberKind::kVoter;
  }));
}

// V and K of a group of so many voters.
void CountByMajority(Configuration* configuration) {
  const uint32_t voters = CountVoters(configuration->members);
  configuration->voters = voters;
  if (configuration->rule == QuorumRule::kInSync) {
    // The register elects and says who keeps: one of two has to be able to ask it alone.
    configuration->votes = configuration->copies = 1;
    return;
  }
  configuration->votes = voters / 2 + 1;
  configuration->copies = voters - voters / 2;
}

Status CheckMembers(const std::vector<Member>& members) {
  if (members.size() > kMaxMembers) return Wrong("a group has more members than are allowed");
  for (size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    if (member.id == kNobody) return Wrong("a member without an id");
    if (NameOf(member.kind).empty()) return Wrong("a member of an unknown kind");
    if (i > 0 && members[i - 1].id >= member.id) return Wrong("members are not in order of ids");
    for (size_t j = 0; member.incarnation.value != 0 && j < i; ++j) {
      // A directory that was copied without a new identity: both would write under one ballot.
      if (members[j].incarnation == member.incarnation) {
        return Wrong("two members have the same incarnation");
      }
    }
  }
  return Status::Ok();
}

// A step speaks of one copy: where it says which, it has to be the member's.
bool IsSameCopy(const Member& member, const Member& named) {
  return named.incarnation.value == 0 || named.incarnation == member.incarnation;
}

Status AddMember(const Member& member, std::vector<Member>* members) {
  if (member.kind == MemberKind::kVoter) return Wrong("a new member starts as a learner or a view");
  members->insert(std::upper_bound(members->begin(), members->end(), member, ById), member);
  return Status::Ok();
}

Status ReplaceMember(const Member& replacement, Member* member) {
  if (replacement.incarnation.value == 0 || replacement.incarnation == member->incarnation) {
    return Wrong("a member is replaced by another incarnation");
  }
  member->incarnation = replacement.incarnation;
  if (member->kind == MemberKind::kVoter) member->kind = MemberKind::kLearner;
  return Status::Ok();
}

// All but kAdd: the member is there.
Status ChangeMember(const MembershipChange& change, std::vector<Member>* members,
                    std::vector<Member>::iterator member) {
  using Kind = MembershipChange::Kind;
  if (change.kind == Kind::kReplace) return ReplaceMember(change.member, &*member);
  if (!IsSameCopy(*member, change.member)) return Wrong("the member is another incarnation");
  switch (change.kind) {
    case Kind::kPromote:
      if (member->kind != MemberKind::kLearner) return Wrong("only a learner becomes a voter");
      member->kind = MemberKind::kVoter;
      return Status::Ok();
    case Kind::kDemote:
      if (member->kind != MemberKind::kVoter) return Wrong("only a voter becomes a learner");
      member->kind = MemberKind::kLearner;
      return Status::Ok();
    case Kind::kRemove:
      members->erase(member);
      return Status::Ok();
    case Kind::kSetPriority:
      member->priority = change.member.priority;
      return Status::Ok();
    case Kind::kAdd:
    case Kind::kReplace:
      break;
  }
  return Wrong("an unknown change of membership");
}

}  // namespace

const Member* Configuration::Find(MemberId id) const {
  const auto at = std::find_if(members.begin(), members.end(),
                               [id](const Member& member) { return member.id == id; });
  return at == members.end() ? nullptr : &*at;
}

bool Configuration::IsVoter(MemberId id) const {
  const Member* member = Find(id);
  return member != nullptr && member->kind == MemberKind::kVoter;
}

Configuration MajorityOf(std::vector<Member> members, uint64_t version) {
  Configuration configuration;
  configuration.version = version;
  configuration.members = std::move(members);
  std::sort(configuration.members.begin(), configuration.members.end(), ById);
  CountByMajority(&configuration);
  return configuration;
}

Status CheckConfiguration(const Configuration& configuration) {
  if (configuration.version == 0) return Wrong("a configuration without a version");
  if (NameOf(configuration.rule).empty()) return Wrong("an unknown quorum rule");
  RL_RETURN_IF_ERROR(CheckMembers(configuration.members));
  const uint32_t voters = CountVoters(configuration.members);
  if (voters > kMaxVoters) return Wrong("a group has more voters than are allowed");
  if (configuration.voters != voters) return Wrong("the number of voters is another");
  if (configuration.rule == QuorumRule::kInSync && voters > 2) {
    return Wrong("the in-sync rule is for two voters");
  }
  if (configuration.votes == 0 || configuration.votes > voters) {
    return Wrong("the votes that elect are between 1 and the number of voters");
  }
  if (configuration.copies == 0 || configuration.copies > voters) {
    return Wrong("the copies that commit are between 1 and the number of voters");
  }
  return Status::Ok();
}

Result<Configuration> Apply(const Configuration& from, const MembershipChange& change) {
  Configuration next = from;
  const MemberId id = change.member.id;
  const auto at = std::find_if(next.members.begin(), next.members.end(),
                               [id](const Member& member) { return member.id == id; });
  const bool adds = change.kind == MembershipChange::Kind::kAdd;
  if (adds == (at != next.members.end())) {
    return Wrong(adds ? "the member is in the group already" : "the member is not in the group");
  }
  RL_RETURN_IF_ERROR(adds ? AddMember(change.member, &next.members)
                          : ChangeMember(change, &next.members, at));
  next.version = from.version + 1;
  if (CountVoters(next.members) != from.voters) CountByMajority(&next);
  RL_RETURN_IF_ERROR(CheckConfiguration(next));
  return next;
}

}  // namespace ringleader
