// Who belongs to the group, and how many of them it takes.
//
// A configuration is a record of the log. It is in effect from the moment it is appended, and goes
// away with the record where the log is rolled back. One member changes at a time, and only after
// the one before is committed. Its record is committed by K copies of the new configuration *and* K
// of the one before it: with the new ones alone, three voters that become four (K = 2) would commit
// on the newcomer and one other, and the two that have not heard of it would elect without them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "core/limits.h"
#include "core/types.h"

namespace ringleader {

enum class MemberKind : uint8_t {
  kVoter = 1,    // votes, and its flushed copies count
  kLearner = 2,  // gets the log; will be a voter once it has caught up
  kView = 3,     // gets the log, for good; never votes, never counts
};

struct Member {
  MemberId id;
  Incarnation incarnation;  // 0 in a group of the base API, where nobody tells
  MemberKind kind = MemberKind::kVoter;
  uint32_t priority = 100;  // 0 = never primary

  bool operator==(const Member&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("incarnation", self.incarnation);
    field("kind", self.kind);
    field("priority", self.priority);
  }
};

// What makes a copy count, and what makes a primary.
enum class QuorumRule : uint8_t {
  kVotes = 1,   // `votes` of the voters elect, `copies` of them keep
  kInSync = 2,  // two voters and a witness register (witness.h)
};

struct Configuration {
  uint64_t version = 0;  // 0 = none yet; one more with every change
  QuorumRule rule = QuorumRule::kVotes;
  uint32_t voters = 0;  // N: voters in `members`, or as many as the application says (base API)
  uint32_t votes = 0;   // V: votes that elect a primary
  uint32_t copies = 0;  // K: flushed copies that commit a record
  std::vector<Member> members;  // ascending by id; in a group of the base API those heard of

  bool operator==(const Configuration&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) {
    field("version", self.version);
    field("rule", self.rule);
    field("voters", self.voters);
    field("votes", self.votes);
    field("copies", self.copies);
    field("members", self.members);
  }

  // Null where there is no such member.
  const Member* Find(MemberId id) const;
  bool IsVoter(MemberId id) const;
  // K + V > N: every set of copies that commits meets every set of votes that elects, so no
  // election can lose what is committed.
  bool ElectionSafe() const { return copies + votes > voters; }
};

// N voters with the smallest majority V, and K = N - V + 1 copies, which is just enough.
Configuration MajorityOf(std::vector<Member> members, uint64_t version);

// Whether it is one that a group can run with: a version, members sorted, distinct in id and
// incarnation, within limits, 0 < V <= N, 0 < K <= N, N the number of voters, and no more than two
// of them under the in-sync rule. kInvalidArgument says what is wrong.
Status CheckConfiguration(const Configuration& configuration);

// One step from a configuration to the next.
struct MembershipChange {
  enum class Kind : uint8_t {
    kAdd = 1,      // as a learner or a view
    kPromote = 2,  // a learner that has caught up becomes a voter
    kDemote = 3,   // a voter becomes a learner
    kRemove = 4,
    kSetPriority = 5,
    kReplace = 6,  // the same id with a new disk: comes in as a learner, or a view again
  };
  Kind kind = Kind::kAdd;
  Member member;  // kPromote to kSetPriority: an incarnation other than 0 has to be the member's

  static constexpr auto Fields(auto& self, auto&& field) {
    field("kind", self.kind);
    field("member", self.member);
  }
};

// The next configuration; kInvalidArgument where the step makes none. Where the number of voters
// changes, V and K follow it by majority.
Result<Configuration> Apply(const Configuration& from, const MembershipChange& change);

}  // namespace ringleader
