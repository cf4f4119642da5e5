// Each switch is without a default, so that the compiler names the enumerator that is missing.
#include "core/names.h"

namespace ringleader {

std::string_view NameOf(MemberKind kind) {
  switch (kind) {
    case MemberKind::kVoter:
      return "voter";
    case MemberKind::kLearner:
      return "learner";
    case MemberKind::kView:
      return "view";
  }
  return {};
}

std::string_view NameOf(QuorumRule rule) {
  switch (rule) {
    case QuorumRule::kVotes:
      return "votes";
    case QuorumRule::kInSync:
      return "in-sync";
  }
  return {};
}

std::string_view NameOf(MembershipChange::Kind kind) {
  switch (kind) {
    case MembershipChange::Kind::kAdd:
      return "add";
    case MembershipChange::Kind::kPromote:
      return "promote";
    case MembershipChange::Kind::kDemote:
      return "demote";
    case MembershipChange::Kind::kRemove:
      return "remove";
    case MembershipChange::Kind::kSetPriority:
      return "set-priority";
    case MembershipChange::Kind::kReplace:
      return "replace";
  }
  return {};
}

std::string_view NameOf(CanvassVerdict verdict) {
  switch (verdict) {
    case CanvassVerdict::kReady:
      return "ready";
    case CanvassVerdict::kBusy:
      return "busy";
    case CanvassVerdict::kStranger:
      return "stranger";
  }
  return {};
}

std::string_view NameOf(AckProblem problem) {
  switch (problem) {
    case AckProblem::kNone:
      return "none";
    case AckProblem::kGap:
      return "gap";
    case AckProblem::kFork:
      return "fork";
    case AckProblem::kRefused:
      return "refused";
    case AckProblem::kBroken:
      return "broken";
  }
  return {};
}

std::string_view NameOf(TwoMembers rule) {
  switch (rule) {
    case TwoMembers::kStrict:
      return "strict";
    case TwoMembers::kPreferred:
      return "preferred";
  }
  return {};
}

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kReplica:
      return "replica";
    case Role::kCandidate:
      return "candidate";
    case Role::kPrimary:
      return "primary";
  }
  return {};
}

std::string_view NameOf(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::kRole:
      return "role";
    case NoticeKind::kElected:
      return "elected";
    case NoticeKind::kNewPrimary:
      return "new-primary";
    case NoticeKind::kElectionFailed:
      return "election-failed";
    case NoticeKind::kHoldElection:
      return "hold-election";
    case NoticeKind::kDuplicatePrimary:
      return "duplicate-primary";
    case NoticeKind::kNewMember:
      return "new-member";
    case NoticeKind::kStartupDone:
      return "startup-done";
    case NoticeKind::kJoinFailure:
      return "join-failure";
    case NoticeKind::kSnapshotDone:
      return "snapshot-done";
    case NoticeKind::kRolledBack:
      return "rolled-back";
    case NoticeKind::kHalted:
      return "halted";
    case NoticeKind::kConfigured:
      return "configured";
    case NoticeKind::kChangeRefused:
      return "change-refused";
    case NoticeKind::kHandOverDone:
      return "hand-over-done";
    case NoticeKind::kHandOverFailed:
      return "hand-over-failed";
    case NoticeKind::kLostQuorum:
      return "lost-quorum";
    case NoticeKind::kStranger:
      return "stranger";
    case NoticeKind::kInSync:
      return "in-sync";
  }
  return {};
}

std::string_view NameOf(WitnessOutcome outcome) {
  switch (outcome) {
    case WitnessOutcome::kDone:
      return "done";
    case WitnessOutcome::kConflict:
      return "conflict";
    case WitnessOutcome::kUnknown:
      return "unknown";
  }
  return {};
}

}  // namespace ringleader
