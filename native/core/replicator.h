// The replication protocol of one member: a pure function from what happens to what has to be done.
//
// No I/O, clock, thread or random number: time comes with each input, and two Replicators that get
// the same inputs give the same outputs. So the same code runs in the engine, in the seeded
// simulator and under exhaustive exploration. input.h says what a driver owes, output.h in which
// order it does what is asked.
//
// What holds, whatever is lost, repeated, delayed or reordered, whoever dies and comes back, as
// long as K + V > N and disks keep what they said they had flushed:
//   - no two primaries ever share a ballot;
//   - what is committed is in the log of every later primary (docs/PROTOCOL.md has the argument);
//   - two logs that share a position share everything below it.
//
// The rules stand in one file each: election.cc (who leads), primary.cc (shipping, commit, quorum),
// replica.cc (taking records, rolling back), catch_up.cc (gaps, snapshots), reads.cc, handover.cc,
// membership.cc, insync.cc (two members and a witness).
//
// Threads: one at a time. A copy is an independent member in the same state.
#pragma once

#include <string_view>

#include "base/mutant.h"
#include "core/input.h"
#include "core/options.h"
#include "core/output.h"
#include "core/state.h"

namespace ringleader {

class Replicator {
 public:
  Replicator(const CoreOptions& options, const Start& start, Nanos now);

  // Appends to `out`, which the driver clears.
  void Step(const Input& input, Outputs* out);
  // When the next Tick is due at the latest.
  Nanos Deadline() const;
  // The message for a Ship whose records end at `end`; the driver puts in the bytes.
  Message Complete(const Ship& ship, Lsn end) const;
  // The message for what the driver makes itself: SnapshotPiece.
  Message Envelope(MemberId to, Body body) const;

  const CoreOptions& options() const { return options_; }
  const CoreState& state() const { return state_; }
  Role role() const { return state_.role; }
  Lsn commit() const { return state_.commit; }
  // Of the reign that this member leads or follows; none where it does neither.
  Ballot term() const;
  MemberId primary() const;
  // The newest one in the log; base API: what the application said.
  const Configuration& configuration() const;
  // Committed means that no election can undo it.
  bool ElectionSafe() const;

  static constexpr auto Fields(auto& self, auto&& field) { field("state", self.state_); }

 private:
  // --- replicator.cc: inputs that concern everybody, and what all rules share
  void On(const Tick&) {}
  void On(const Receive& event);
  void On(const LogAppended& event);
  void On(const LogWritten& event);
  void On(const LogFlushed& event);
  void On(const LogApplied& event);
  void On(const LogTrimmed& event);
  void On(const DiskFailed& event);
  void On(const HardStateSaved& event);
  void On(const SetLimit& event);
  void On(const SetLevels& event);
  void On(const FollowNow& event);
  void Advance();
  void Promise(Ballot ballot);
  bool PromiseFlushed() const;
  void Save();
  void SaveCommit();
  void SendTo(MemberId to, Body body);
  void SendToVoters(const Body& body);
  Notice& Tell(NoticeKind kind);
  Position FlushedPosition() const;
  // The configurations whose quorums are needed: the newest one, and the one before it while the
  // newest may still be taken back. No older one: each was committed before the next was made.
  std::vector<const Configuration*> InEffect() const;
  // Whether so many voters as elect are `wanted`, under each of them.
  template <typename Wanted>
  bool Elects(const Wanted& wanted) const;
  static const Member* VoterIn(const Configuration& configuration, MemberId id,
                               Incarnation incarnation);
  // Whether it, or the sender, is a voter of one of them.
  bool MayCount(MemberId id, Incarnation incarnation) const;
  bool MayCount(const Message& message) const;
  // What this member is: a voter where one of them says so. One that is being removed is still
  // needed, to vote or even to lead, until it is known that the removal is committed.
  const Member* Self() const;
  bool IsSelf(const Member& member) const {
    return member.id == options_.self && member.incarnation == options_.incarnation;
  }
  bool IsVoter() const;
  uint32_t Priority() const;
  // How far a clock may be off after so long.
  Nanos Drift(Nanos time) const { return time / 1'000'000 * options_.clock_drift_ppm; }
  void HearOf(const Message& message);
  void RaiseCommit(Lsn to);
  void TakeTables(Lsn end, const std::vector<TermStart>& terms,
                  const std::vector<ConfigurationAt>& configurations);

  // --- election.cc
  void On(const CallElection& event);
  void On(const LeadNow& event);
  void On(const MemberDied& event);
  void On(const Message& message, const Canvass& canvass);
  void On(const Message& message, const CanvassReply& reply);
  void On(const Message& message, const Nominate& nominate);
  void On(const Message& message, const Vote& vote);
  void On(const Message& message, const VoteReply& reply);
  void SetVoters(uint32_t voters, uint32_t votes);
  void StartCanvass(Nanos timeout);
  Position SettledPosition() const;
  bool Settle(const Position& settled);
  void JudgeCanvass();
  void AskDonor(MemberId donor);
  void AskForDonation();
  void Offer();
  void TakeOffer(const Message& message, const Canvass& offer);
  void CallVote(Ballot handover);
  void CountVotes();
  void GiveGrant();
  bool MayVote() const;
  bool Busy(Ballot handover) const;
  bool MayLead() const;
  // Whether this member is one that the others may get records from, since it may not lead.
  bool MayOffer() const;
  bool IsDonor() const;
  // Behind those who may lead: most elections need no help.
  Nanos OfferAt() const { return state_.election.due + options_.election_timeout; }
  void EndElection();
  void FailElection();
  void ElectionTimers();
  Nanos ElectionDelay() const;
  Ballot NextBallot() const;

  // --- primary.cc
  void On(const TermAppended& event);
  void On(const Shipped& event);
  void On(const Message& message, const Ack& ack);
  void On(const Message& message, const Request& request);
  void On(const Message& message, const Hello& hello);
  void Lead();
  void StepDown(NoticeKind why);
  void ResetPeers();
  Progress* Peer(MemberId id);
  // Null where there is none of just that copy.
  const Progress* Peer(MemberId id, Incarnation incarnation) const;
  bool Counts(const Progress& peer) const {
    return VoterIn(configuration(), peer.id, peer.incarnation) != nullptr;
  }
  void MeetStranger(const Message& message);
  void Resync(Progress& peer, const Ack& ack);
  Lsn ShipLimit(Lsn from) const;
  void ShipAll();
  void ShipTo(Progress& peer);
  void AdvanceCommit();
  void SendHeartbeats();
  void PrimaryTimers();
  bool HasQuorum(Nanos window) const;
  bool FollowedSince(const Member& member, Nanos sent_at) const;
  Lsn KeptBy(const Configuration& configuration) const;
  void HigherBallot(Ballot seen);

  // --- replica.cc
  void On(const LogRolledBack& event);
  void On(const SyncNow& event);
  void On(const Message& message, const Records& records);
  void On(const Message& message, const Heartbeat& heartbeat);
  bool Accept(const Message& message);
  void Follow(const Message& message);
  void Unfollow();
  void TakeRecords(const Records& records, bool from_primary);
  void Diverged(Lsn fork);
  void SendAck();
  void ReplicaTimers();

  // --- catch_up.cc
  void On(const SnapshotKept& event);
  void On(const SnapshotInstalled& event);
  void On(const Message& message, const Refusal& refusal);
  void On(const Message& message, const Outdated& outdated);
  void On(const Message& message, const SnapshotRequest& request);
  void On(const Message& message, const SnapshotPiece& piece);
  void NoteMissing(AckProblem problem, bool now);
  void AskForMissing();
  void WantSnapshot(MemberId donor, Lsn from);
  void AskForPiece();
  void EndFetch();
  // Whether log and tables are about to be replaced by a snapshot.
  bool IsFilling() const { return state_.replica.fetch.wanted || state_.replica.fetch.keeping; }
  MemberId PeerToAsk() const;

  // --- reads.cc
  void On(const AskRead& event);
  void On(const Message& message, const ReadRequest& request);
  void On(const Message& message, const ReadReply& reply);
  void AskedOf(MemberId from, uint64_t id);
  void AnswerRead(MemberId asker, const ReadReady& answer);
  void AnswerReads();
  void RefuseReads();
  bool LeaseHolds() const;
  bool Confirmed(Nanos asked_at) const;

  // --- handover.cc
  void On(const HandOverTo& event);
  void AdvanceHandover();
  void AbortHandover(const char* reason);

  // --- membership.cc
  void On(const ChangeMembers& event);
  void On(const FoundGroup& event);
  void On(const ConfigurationAppended& event);
  void Found();
  bool SomebodyInSync(const Configuration& configuration) const;
  void ConfigurationsCommitted();

  // --- insync.cc
  void On(const WitnessAnswer& event);
  void StartSwap(Ballot handover);
  void GoOnSwapping();
  void SwapForReign();
  void JudgeRegister();
  void AdvanceInSync();
  void CommitInSync();
  Lsn GrowsFrom() const;
  bool MayCount(Incarnation copy) const;
  void Shrink(Incarnation gone);
  void Grow(const Progress& peer);
  void StopGrowing();
  bool WaitsFor(Incarnation copy) const;
  void ReadWitness();
  void SwapWitness(const WitnessRegister& value);

  CoreOptions options_;
  CoreState state_;
  Outputs* out_ = nullptr;  // of the step under way
};

template <typename Wanted>
bool Replicator::Elects(const Wanted& wanted) const {
  for (const Configuration* one : InEffect()) {
    uint32_t voters = 0;
    for (const Member& member : one->members) {
      if (member.kind == MemberKind::kVoter && wanted(member)) ++voters;
    }
    if (voters + (RL_MUTANT(kOneVoteLess) ? 1 : 0) < one->votes) return false;
  }
  return true;
}

}  // namespace ringleader
