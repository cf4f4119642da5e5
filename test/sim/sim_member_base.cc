// What an application does that uses the base API: it calls elections, it appoints who has won, and
// it makes one of two primaries follow. It knows how many members there are, and asks for a
// majority of them.
#include "sim_member.h"

namespace ringleader::simulator {

void SimMember::BeginApplication() {
  Step(FollowNow{});
  After(rng_.Below(options_.election_timeout), [this] { LookForPrimary(); });
}

void SimMember::LookForPrimary() {
  After(options_.election_timeout / 4 + rng_.Below(options_.election_timeout),
        [this] { LookForPrimary(); });
  if (IsLost()) Elect();
}

// Nobody has been heard of for long, and nothing is under way that would change that. Without this
// every canvass that a member hears would make it canvass itself.
bool SimMember::IsLost() {
  const CoreState& state = core_->state();
  const bool idle = state.election.phase == ElectionPhase::kIdle;
  if (broken_ || rolling_ || core_->role() != Role::kReplica || !idle) return false;
  const ReplicaState& replica = state.replica;
  return replica.ballot.none() || LocalNow() - replica.heard_at >= options_.election_timeout;
}

void SimMember::Elect() {
  CallElection election;
  election.voters = context_.plan.voters;
  election.votes = election.voters / 2 + 1;
  Step(election);
}

void SimMember::TellApplication(const Notice& notice) {
  switch (notice.kind) {
    case NoticeKind::kElected:
      // Refused where it has voted for somebody else meanwhile.
      After(0, [this, won = notice.term] { Step(LeadNow{won}); });
      return;
    case NoticeKind::kHoldElection:
      After(rng_.Below(options_.election_timeout / 4), [this] {
        if (IsLost()) Elect();
      });
      return;
    case NoticeKind::kDuplicatePrimary:
      After(0, [this] {
        if (core_->role() == Role::kPrimary) Step(FollowNow{});
      });
      return;
    default:
      return;
  }
}

}  // namespace ringleader::simulator
