// Who leads: canvass, then a binding vote.
//
// The canvass costs nobody anything. It finds the freshest member, so that the vote that follows is
// won at the first attempt and no member with an older log disturbs a group that works. Only the
// vote is binding, and the vote alone makes elections safe:
//   - a voter raises its promise to the candidate's ballot and flushes that before it answers. From
//     then on it acknowledges nothing under a lower ballot. Berkeley DB's voters go on
//     acknowledging the old primary until they hear of the new one, and so lose what a majority has
//     acknowledged;
//   - it votes only for a log at least as fresh as its own flushed one. A committed record is
//     flushed on K voters, V voters elect, K + V > N: somebody who has the record votes, having
//     acknowledged it before, since after it would not have. So the candidate has it too.
// Priority decides among equally fresh logs only: to let it win over freshness is to choose whom to
// lose records for.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

namespace {

// A well-mixed 64-bit number (Steele, Lea, Flood: SplitMix64). Spreads candidates in time; nothing
// about safety rests on it.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

bool Better(const CanvassAnswer& a, const CanvassAnswer& b) {
  if (a.last != b.last) return a.last > b.last;
  if (a.priority != b.priority) return a.priority > b.priority;
  return a.incarnation > b.incarnation;
}

}  // namespace

Nanos Replicator::ElectionDelay() const {
  const uint64_t spread =
      Mix(options_.incarnation.value ^ Mix(state_.election.round + state_.election.failures));
  return options_.election_timeout + spread % (options_.election_timeout / 2 + 1);
}

Ballot Replicator::NextBallot() const {
  const Term highest = std::max(state_.promise.hard.promised.counter, state_.election.seen);
  return {Term(highest.value + 1), options_.incarnation};
}

bool Replicator::MayLead() const {
  return IsVoter() && Priority() > 0 && !state_.broken && !state_.halted &&
         !state_.log.rolling_back && !IsFilling();
}

bool Replicator::IsDonor() const {
  return IsVoter() && Priority() == 0 && state_.role == Role::kReplica && !state_.broken &&
         !state_.halted && !state_.log.rolling_back && !IsFilling();
}

// Under the in-sync rule it is the register that says who may take over.
bool Replicator::MayOffer() const {
  return IsDonor() && !options_.base_api && configuration().rule == QuorumRule::kVotes;
}

// Whoever counts the votes knows whether this member is a voter; it may not know itself, with an
// older configuration than the candidate's, or with a newer one that the candidate does not know
// to be committed. A vote is safe whoever gives it: it is as binding and as choosy.
bool Replicator::MayVote() const {
  if (state_.broken || state_.halted) return false;
  return IsVoter() || !options_.base_api;
}

// Whether this member must not help anybody to a new reign now. `handover`: the primary that has
// asked for it.
bool Replicator::Busy(Ballot handover) const {
  if (state_.now < state_.election.free_at) return true;
  if (state_.role == Role::kPrimary) {
    const bool asked = state_.primary.nominated && handover == state_.primary.term;
    if (asked) return false;
    return options_.base_api || HasQuorum(options_.election_timeout);
  }
  const ReplicaState& replica = state_.replica;
  if (replica.ballot.none() || handover == replica.ballot) return false;
  if (state_.now < replica.lease_until && !RL_MUTANT(kLeaseIgnored)) return true;
  if (options_.base_api) return false;  // the application decides when to elect
  // A primary that is merely heard of proves nothing: it may itself have lost everybody else.
  return replica.quorum_at != 0 && state_.now - replica.quorum_at < options_.election_timeout;
}

void Replicator::On(const CallElection& event) {
  if (event.priority != UINT32_MAX) options_.priority = event.priority;
  if (state_.role == Role::kPrimary) {
    state_.primary.heartbeat_now = true;  // there is a primary: say so
    return;
  }
  if (options_.base_api) {
    SetVoters(event.voters, event.votes);
  }
  if (!MayLead()) {
    Tell(NoticeKind::kElectionFailed);
    return;
  }
  StartCanvass(event.timeout > 0 ? event.timeout : options_.election_timeout);
}

// Base API: what the application says of the group; 0 = what is known.
void Replicator::SetVoters(uint32_t voters, uint32_t votes) {
  Configuration& heard = state_.heard;
  if (voters > 0) heard.voters = voters;
  if (heard.voters == 0) heard.voters = static_cast<uint32_t>(heard.members.size());
  heard.votes = votes > 0 ? votes : heard.voters / 2 + 1;
  uint32_t& smallest = state_.promise.hard.smallest_votes;
  if (smallest == 0 || heard.votes < smallest) {
    smallest = heard.votes;
    Save();
  }
  heard.copies = heard.voters >= smallest ? heard.voters - smallest + 1 : 1;
}

void Replicator::On(const LeadNow& event) {
  ElectionState& election = state_.election;
  const PromiseState& promise = state_.promise;
  if (state_.role == Role::kPrimary) {
    state_.primary.heartbeat_now = true;
    return;
  }
  if (!options_.base_api || !MayLead()) {
    Tell(NoticeKind::kChangeRefused).reason = "this member may not lead unelected";
    return;
  }
  const bool won =
      election.phase == ElectionPhase::kWon && election.candidate == promise.hard.promised;
  if (!event.won.none() && !(won && election.candidate == event.won) && !RL_MUTANT(kAppointLoser)) {
    Tell(NoticeKind::kChangeRefused).reason = "the election that was won is over";
    return;
  }
  if (won) {
    Lead();
    return;
  }
  EndElection();
  Unfollow();
  election.phase = ElectionPhase::kAppointed;
  election.candidate = NextBallot();
  Promise(election.candidate);
}

void Replicator::On(const MemberDied& event) {
  ElectionState& election = state_.election;
  const Member* member = configuration().Find(event.member);
  if (member == nullptr || member->incarnation != event.incarnation) return;
  if (std::find(election.dead.begin(), election.dead.end(), event.member) == election.dead.end() &&
      election.dead.size() < kMaxMembers) {
    election.dead.push_back(event.member);
  }
  if (state_.role == Role::kPrimary || state_.replica.primary != event.member) return;
  // It has ended, so nobody reads under its lease and nobody is led by it.
  state_.replica.quorum_at = 0;
  state_.replica.lease_until = 0;
  election.due = state_.now;
}

void Replicator::StartCanvass(Nanos timeout) {
  ElectionState& election = state_.election;
  EndElection();
  election.phase = ElectionPhase::kCanvassing;
  ++election.round;
  election.ends = state_.now + timeout;
  const bool first = !state_.promise.hard.established;
  election.waits_until =
      state_.now +
      std::min(timeout, first ? std::max(options_.canvass_wait, options_.full_election_wait)
                              : options_.canvass_wait);
  election.answers = {{options_.self, FlushedPosition(), Priority(), options_.incarnation}};
  SendToVoters(Canvass{election.round, FlushedPosition(), Priority(), configuration().version});
  JudgeCanvass();
}

void Replicator::On(const Message& message, const Canvass& canvass) {
  if (!MayVote()) return;
  if (canvass.priority == 0) return TakeOffer(message, canvass);
  const Configuration& now = configuration();
  CanvassReply reply;
  reply.round = canvass.round;
  reply.last = FlushedPosition();
  reply.priority = MayLead() ? Priority() : 0;
  reply.configuration = now.version;
  reply.settled = SettledPosition();
  if (!MayCount(message) && !options_.base_api && canvass.configuration <= now.version) {
    reply.verdict = CanvassVerdict::kStranger;
  } else if (Busy({})) {
    reply.verdict = CanvassVerdict::kBusy;
  }
  if (state_.role == Role::kPrimary) state_.primary.heartbeat_now = true;
  if (options_.base_api && state_.role == Role::kReplica &&
      state_.election.phase == ElectionPhase::kIdle) {
    Tell(NoticeKind::kHoldElection).member = message.from;
  }
  SendTo(message.from, std::move(reply));
}

void Replicator::On(const Message& message, const CanvassReply& reply) {
  ElectionState& election = state_.election;
  if (election.phase != ElectionPhase::kCanvassing || reply.round != election.round) return;
  if (Settle(reply.settled)) {
    std::erase_if(election.answers, [this](const CanvassAnswer& answer) {
      return !MayCount(answer.id, answer.incarnation);
    });
    if (!MayLead()) return EndElection();
  }
  if (!MayCount(message)) return;
  if (reply.verdict == CanvassVerdict::kBusy) {
    // Base API: only a primary is busy. Where it is one that this member would follow, its
    // heartbeat is on the way and ends this.
    if (!options_.base_api) FailElection();
    return;
  }
  if (reply.verdict != CanvassVerdict::kReady) return;
  std::erase_if(election.answers,
                [&message](const CanvassAnswer& answer) { return answer.id == message.from; });
  election.answers.push_back({message.from, reply.last, reply.priority, message.incarnation});
  JudgeCanvass();
}

// The configuration, and not all that is committed: an election needs no more.
Position Replicator::SettledPosition() const {
  if (options_.base_api || !ElectionSafe()) return {};
  const std::vector<ConfigurationAt>& known = state_.log.configurations;
  const auto newest = std::find_if(known.rbegin(), known.rend(), [this](const ConfigurationAt& at) {
    return at.end <= state_.commit;
  });
  return newest != known.rend() ? state_.log.terms.PositionAt(newest->end) : Position{};
}

// What ends at `settled` is committed. Where that is news of the newest configuration, the one
// before it has no say any more: its voters may be gone, and one of them that has been demoted
// would be nominated for ever by those that do not know, and refused by those that do.
bool Replicator::Settle(const Position& settled) {
  const LogState& log = state_.log;
  if (InEffect().size() < 2 || log.rolling_back) return false;
  if (settled.lsn < log.configurations.back().end || settled.lsn > log.end) return false;
  // Of another history nothing follows for this log.
  const bool same = !settled.term.none() && log.terms.At(settled.lsn) == settled.term;
  if (!same && !RL_MUTANT(kSettleUncompared)) return false;
  RaiseCommit(settled.lsn);
  return true;
}

void Replicator::JudgeCanvass() {
  ElectionState& election = state_.election;
  const Configuration& now = configuration();
  const auto answered = [&election](const Member& member) {
    return std::any_of(election.answers.begin(), election.answers.end(),
                       [&member](const CanvassAnswer& answer) { return answer.id == member.id; });
  };
  if (!Elects(answered)) return;
  const auto missing = [&election, &answered](const Member& member) {
    return member.kind == MemberKind::kVoter && !answered(member) &&
           std::find(election.dead.begin(), election.dead.end(), member.id) == election.dead.end();
  };
  bool everybody = !options_.base_api || election.answers.size() >= now.voters;
  for (const Configuration* one : InEffect()) {
    if (options_.base_api) break;
    everybody = everybody && std::none_of(one->members.begin(), one->members.end(), missing);
  }
  if (!everybody && state_.now < election.waits_until) return;
  const CanvassAnswer* freshest = nullptr;
  const CanvassAnswer* best = nullptr;
  for (const CanvassAnswer& answer : election.answers) {
    if (freshest == nullptr || Better(answer, *freshest)) freshest = &answer;
    if (answer.priority == 0) continue;
    if (best == nullptr || Better(answer, *best)) best = &answer;
  }
  if (best == nullptr) {
    FailElection();
  } else if (now.rule == QuorumRule::kInSync) {
    // Who is in the register has everything acknowledged. Nobody else can tell who that is.
    StartSwap({});
  } else if (best->id != options_.self) {
    const MemberId nominee = best->id;
    EndElection();
    SendTo(nominee, Nominate{});
  } else if (freshest->last > best->last && election.donations < kMaxDonations) {
    // Somebody who may not lead has records that nobody else here has. They may be acknowledged:
    // they are fetched, not voted down.
    AskDonor(freshest->id);
  } else {
    CallVote({});
  }
}

void Replicator::AskDonor(MemberId donor) {
  ElectionState& election = state_.election;
  const uint32_t donations = election.donations + 1;
  EndElection();
  election.donor = donor;
  election.donations = donations;
  election.due = state_.now + options_.canvass_wait;
  SendTo(donor, Request{state_.log.terms.PositionAt(state_.log.end), options_.append_bytes});
}

// Some of the donor's records are there: on to the rest. Only tries that bring nothing are counted.
// What the donor knows to be committed is: the configuration before it has no say any more.
void Replicator::AskForDonation() {
  ElectionState& election = state_.election;
  if (election.donor == kNobody) return;
  election.donations = 0;
  election.due = state_.now + options_.canvass_wait;
  RaiseCommit(std::min(election.donor_commit, state_.log.end));
  if (state_.log.end >= election.donor_end) return;
  SendTo(election.donor,
         Request{state_.log.terms.PositionAt(state_.log.end), options_.append_bytes});
}

// Of a member that may not lead: nobody does, and perhaps because nobody knows what it knows.
void Replicator::Offer() {
  ElectionState& election = state_.election;
  election.due = state_.now + ElectionDelay();
  if (Busy({})) return;
  ++election.round;
  SendToVoters(Canvass{election.round, FlushedPosition(), 0, configuration().version});
}

// Taken by whoever lacks some of what is offered, even where it would not stand for election by the
// configuration that it knows: a newer one, among those records, may have made it a voter, or its
// donor one. A candidate finds a donor that it knows by itself.
void Replicator::TakeOffer(const Message& message, const Canvass& offer) {
  if (state_.role == Role::kPrimary) state_.primary.heartbeat_now = true;
  const ElectionState& election = state_.election;
  const bool canvasses =
      election.phase == ElectionPhase::kCanvassing && offer.configuration > configuration().version;
  if (state_.role == Role::kPrimary || Busy({})) return;
  if (election.phase != ElectionPhase::kIdle && !canvasses) return;
  if (IsFilling() || state_.log.rolling_back || state_.replica.appending.value != 0) return;
  // Or it has all of it, and does not know that its newest configuration is committed.
  const Position end = state_.log.terms.PositionAt(state_.log.end);
  if (offer.last < end || (offer.last == end && InEffect().size() < 2)) return;
  // It has tried often enough: now it asks for votes without them.
  if (MayLead() && election.donations >= kMaxDonations) return;
  AskDonor(message.from);
}

void Replicator::On(const Message& message, const Nominate& nominate) {
  if (!MayLead() || state_.role == Role::kPrimary) return;
  if (nominate.handover) {
    // Only of the primary that this member follows: anybody else has nothing to hand over.
    if (message.ballot != state_.replica.ballot || message.from != state_.replica.primary) return;
    // Base API: nobody has told it how many there are, and its own vote would do.
    if (configuration().votes == 0) return;
    if (configuration().rule == QuorumRule::kInSync) {
      StartSwap(message.ballot);
    } else {
      CallVote(message.ballot);
    }
  } else if (state_.election.phase == ElectionPhase::kIdle && !Busy({}) && !options_.base_api) {
    StartCanvass(options_.election_timeout);
  }
}

void Replicator::CallVote(Ballot handover) {
  RL_CHECK(configuration().rule == QuorumRule::kVotes);
  ElectionState& election = state_.election;
  EndElection();
  election.phase = ElectionPhase::kVoting;
  election.candidate = NextBallot();
  election.handover = handover;
  election.ends = state_.now + options_.election_timeout;
  election.waits_until = 0;
  if (state_.role != Role::kPrimary) {
    Unfollow();
    state_.role = Role::kCandidate;
    Tell(NoticeKind::kRole);
  }
  Promise(election.candidate);
}

void Replicator::On(const Message& message, const Vote& vote) {
  if (message.ballot.incarnation != message.incarnation) return;
  if (!MayVote()) return;
  if (configuration().rule == QuorumRule::kInSync) return;  // the witness decides
  const Ballot promised = state_.promise.hard.promised;
  bool fresh = vote.last >= FlushedPosition() || RL_MUTANT(kVoteForStale);
  if (RL_MUTANT(kVoteForLonger)) fresh = vote.last.lsn >= FlushedPosition().lsn;
  const bool again = message.ballot == promised && promised.incarnation != options_.incarnation;
  if (fresh && again) {
    // The answer may have been lost.
    state_.election.grant = PendingGrant{message.from, message.ballot};
    GiveGrant();
  } else if (fresh && (message.ballot > promised || RL_MUTANT(kVoteBelowPromise)) &&
             !Busy(vote.handover)) {
    if (state_.role == Role::kPrimary) StepDown(NoticeKind::kRole);
    EndElection();
    Unfollow();
    Promise(message.ballot);
    state_.election.grant = PendingGrant{message.from, message.ballot};
    state_.election.due = state_.now + ElectionDelay();
  } else {
    SendTo(message.from, VoteReply{message.ballot, false, FlushedPosition()});
  }
}

void Replicator::GiveGrant() {
  ElectionState& election = state_.election;
  if (!election.grant || !PromiseFlushed()) return;
  const PendingGrant grant = *election.grant;
  election.grant.reset();
  if (grant.candidate != state_.promise.hard.promised) return;
  SendTo(grant.to, VoteReply{grant.candidate, true, FlushedPosition()});
}

void Replicator::On(const Message& message, const VoteReply& reply) {
  ElectionState& election = state_.election;
  if (election.phase != ElectionPhase::kVoting || reply.candidate != election.candidate) return;
  if (!reply.granted) {
    // Somebody else is ahead, by ballot: this one cannot be won with that vote any more.
    if (message.ballot > election.candidate) FailElection();
    return;
  }
  if (!MayCount(message) && !RL_MUTANT(kStrangerVotes)) return;
  if (!PromiseFlushed()) return;
  std::vector<MemberId>& votes = election.votes;
  if (std::find(votes.begin(), votes.end(), message.from) != votes.end()) return;
  votes.push_back(message.from);
  CountVotes();
}

void Replicator::CountVotes() {
  ElectionState& election = state_.election;
  const auto voted = [&election](const Member& member) {
    return std::find(election.votes.begin(), election.votes.end(), member.id) !=
           election.votes.end();
  };
  if (!Elects(voted) || !PromiseFlushed()) return;
  RL_CHECK(election.candidate == state_.promise.hard.promised);
  if (options_.base_api && state_.role != Role::kPrimary) {
    election.phase = ElectionPhase::kWon;
    election.ends = election.waits_until = 0;
    Tell(NoticeKind::kElected).term = election.candidate;
  } else {
    Lead();
  }
}

void Replicator::EndElection() {
  ElectionState& election = state_.election;
  election.phase = ElectionPhase::kIdle;
  election.candidate = election.handover = Ballot{};
  election.ends = election.waits_until = 0;
  election.donations = 0;
  election.donor = kNobody;
  election.donor_end = election.donor_commit = Lsn();
  election.answers.clear();
  election.votes.clear();
  election.founding.reset();
  election.due = state_.now + ElectionDelay();
  if (state_.role == Role::kCandidate) {
    state_.role = Role::kReplica;
    Tell(NoticeKind::kRole);
  }
}

void Replicator::FailElection() {
  const bool tell = options_.base_api;
  EndElection();
  ++state_.election.failures;
  state_.election.due = state_.now + ElectionDelay();
  if (tell) Tell(NoticeKind::kElectionFailed);
  // A primary whose members have promised more than its own ballot can commit nothing under it.
  if (state_.role == Role::kPrimary) StepDown(NoticeKind::kLostQuorum);
}

void Replicator::ElectionTimers() {
  ElectionState& election = state_.election;
  switch (election.phase) {
    case ElectionPhase::kIdle:
      if (options_.base_api || state_.role == Role::kPrimary) return;
      if (!MayLead()) {
        if (MayOffer() && state_.now >= OfferAt()) Offer();
        return;
      }
      if (state_.now < election.due) return;
      if (Busy({})) {
        election.due = state_.now + ElectionDelay();
      } else {
        const uint32_t donations = election.donations;
        StartCanvass(options_.election_timeout);
        if (election.phase == ElectionPhase::kCanvassing) election.donations = donations;
      }
      return;
    case ElectionPhase::kCanvassing:
      if (election.waits_until != 0 && state_.now >= election.waits_until) {
        JudgeCanvass();
        election.waits_until = 0;  // from now on each answer is judged as it comes
      }
      if (election.phase == ElectionPhase::kCanvassing && state_.now >= election.ends) {
        FailElection();
      }
      return;
    case ElectionPhase::kVoting:
      if (state_.now >= election.ends) {
        FailElection();
      } else if (!election.votes.empty() && state_.now >= election.waits_until) {
        SendToVoters(Vote{FlushedPosition(), configuration().version, election.handover});
        election.waits_until = state_.now + options_.heartbeat_interval;
      }
      return;
    case ElectionPhase::kSwapping:
      if (state_.now >= election.ends) {
        FailElection();
      } else if (!state_.in_sync.certain && state_.now >= state_.in_sync.retry_at) {
        ReadWitness();
      }
      return;
    case ElectionPhase::kWon:
    case ElectionPhase::kAppointed:
      return;
  }
}

}  // namespace ringleader
