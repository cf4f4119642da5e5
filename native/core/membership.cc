// Members come and go one at a time, by records of the log.
//
// A configuration holds from the moment its record is appended, not from when it is committed: the
// quorum that commits the record has to be one of the new configuration too. A primary changes
// nothing before its own TERM record is committed: two primaries that each change one member from
// the same configuration would otherwise count quorums that never meet. A learner becomes a voter
// only when it has flushed the log as it was when this reign began, or the group would be left
// waiting for a member that has to catch up first.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

void Replicator::On(const FoundGroup& event) {
  const char* reason = nullptr;
  const Member* self = event.configuration.Find(options_.self);
  if (options_.base_api) {
    reason = "a group of the base API has no configuration";
  } else if (configuration().version > 0 || !state_.replica.ballot.none()) {
    reason = "this member belongs to a group already";
  } else if (event.configuration.version != 1 || !CheckConfiguration(event.configuration).ok()) {
    reason = "this is no first configuration";
  } else if (self == nullptr || self->incarnation != options_.incarnation ||
             self->kind != MemberKind::kVoter || self->priority == 0) {
    // Nobody else has the record that says who may lead.
    reason = "the first member has to be a voter of the group, and one that may lead";
  } else if (state_.broken || state_.role != Role::kReplica || IsFilling() ||
             state_.election.phase != ElectionPhase::kIdle) {
    reason = "not now";
  }
  if (reason != nullptr) {
    Tell(NoticeKind::kChangeRefused).reason = reason;
    return;
  }
  if (event.configuration.rule == QuorumRule::kInSync) {
    StartSwap({});  // into a register that has to be blank
    state_.election.founding = event.configuration;
    return;
  }
  state_.election.founding = event.configuration;
  state_.election.phase = ElectionPhase::kAppointed;
  state_.election.candidate = NextBallot();
  Promise(state_.election.candidate);
}

// The TERM record of the first reign is there: the configuration comes right behind it.
void Replicator::Found() {
  state_.primary.changing = state_.election.founding->version;
  out_->log.emplace_back(
      AppendConfiguration{*std::exchange(state_.election.founding, std::nullopt)});
}

void Replicator::On(const ChangeMembers& event) {
  PrimaryState& primary = state_.primary;
  const auto refuse = [this](const char* reason) {
    Tell(NoticeKind::kChangeRefused).reason = reason;
  };
  if (state_.role != Role::kPrimary) return refuse("this member does not lead");
  if (options_.base_api) return refuse("a group of the base API has no configuration");
  const bool early = primary.term_end.value == 0 || state_.commit < primary.term_end;
  if (early && !RL_MUTANT(kEarlyChange)) {
    return refuse("this reign has not committed its first record");
  }
  const bool under_way = state_.log.configurations.back().end > state_.commit;
  if (primary.changing != 0 || (under_way && !RL_MUTANT(kTwoChanges))) {
    return refuse("the change before is not committed yet");
  }
  if (primary.handover != kNobody) return refuse("a hand-over is under way");
  if (event.change.kind == MembershipChange::Kind::kPromote) {
    const Progress* peer = Peer(event.change.member.id);
    const bool behind = peer == nullptr || peer->flushed < primary.term_end;
    if (behind && !RL_MUTANT(kPromoteEarly)) {
      return refuse("the learner has not caught up with this reign");
    }
  }
  Result<Configuration> next = Apply(configuration(), event.change);
  if (!next.ok()) return refuse("no such step from this configuration");
  if (next->rule == QuorumRule::kInSync && !SomebodyInSync(*next)) {
    return refuse("no other voter is in sync");
  }
  primary.changing = next->version;
  out_->log.emplace_back(AppendConfiguration{std::move(*next)});
}

// Whether a voter of the configuration is in the register. Without one nobody could ever lead.
bool Replicator::SomebodyInSync(const Configuration& configuration) const {
  return std::any_of(
      configuration.members.begin(), configuration.members.end(), [this](const Member& member) {
        return member.kind == MemberKind::kVoter && state_.in_sync.known.Holds(member.incarnation);
      });
}

void Replicator::On(const ConfigurationAppended& event) {
  PrimaryState& primary = state_.primary;
  RL_CHECK(state_.role == Role::kPrimary && primary.changing == event.configuration.version);
  RL_CHECK(event.end > state_.log.end);
  state_.log.end = event.end;
  state_.log.configurations.push_back({event.end, event.configuration});
  RL_CHECK(state_.log.configurations.size() <= kMaxOpenConfigurations);
  primary.changing = 0;
  primary.strangers.clear();
  ResetPeers();
  primary.heartbeat_now = true;
  Tell(NoticeKind::kConfigured).position = state_.log.terms.PositionAt(event.end);
}

void Replicator::ConfigurationsCommitted() {
  if (state_.role != Role::kPrimary || options_.base_api) return;
  if (configuration().version == 0 || IsVoter()) return;
  if (state_.log.configurations.back().end > state_.commit) return;
  // It has led its own removal through; what comes next is for the others.
  StepDown(NoticeKind::kConfigured);
}

}  // namespace ringleader
