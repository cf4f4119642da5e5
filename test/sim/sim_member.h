// One simulated member: the real Replicator, driven as input.h and output.h demand, over the real
// log and the real hard state's file (sim_store.h), on a clock of its own.
//
// What takes time in the world takes simulated time here: a flush, a save of the hard state and a
// roll-back begin, other things happen, and then they end. What the disk is asked is asked of a
// simulated disk, which may refuse, forget or be cut off at any call.
//
// Checked here, in each step: the rules of invariants.h; that nothing is promised which is not on
// the disk; that a commit position is flushed on a quorum; and through the ledger, what is applied.
// Threads: one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/invariants.h"
#include "core/replicator.h"
#include "sim_ledger.h"
#include "sim_network.h"
#include "sim_plan.h"
#include "sim_schedule.h"
#include "sim_store.h"
#include "sim_witness.h"
#include "wire/message_codec.h"

namespace ringleader::simulator {

struct SimStats {
  uint64_t steps = 0, writes = 0, reads = 0, elections = 0, roll_backs = 0, snapshots = 0;
  uint64_t trims = 0, starts = 0, kills = 0, power_cuts = 0, cuts_inside = 0, disk_failures = 0;
  uint64_t discarded = 0, configurations = 0, handovers = 0, refused_frames = 0, applied = 0;
};

class SimMember;

// What the members of a run share.
struct SimContext {
  const SimPlan& plan;
  SimSchedule& schedule;
  SimLedger& ledger;
  SimWitness& witness;
  SimStats& stats;
  SimNetwork* network = nullptr;
  std::vector<std::unique_ptr<SimMember>> members = {};
  Id128 group = {};
  uint64_t hash = 0;    // of everything that has happened
  bool trace = false;   // and say it
  bool frozen = false;  // the liveness phase: no faults any more
  // `at`: where it was applied; 0 = nobody knows what will become of it.
  std::function<void(uint32_t client, uint64_t request, Lsn at)> on_written = {};
  std::function<void(uint64_t id, bool granted, Lsn position)> on_read = {};

  // Something that has happened, and belongs to the hash.
  void Note(uint32_t member, const std::string& text);
  // For the trace only.
  void Say(uint32_t member, const std::string& text) const;
};

class SimMember {
 public:
  SimMember(SimContext* context, uint32_t index, uint64_t seed);

  // --- What happens to it
  void Start();
  void Stop(bool power);
  void Pause(Nanos length) { paused_until_ = context_.schedule.now() + length; }
  void NewDisk();
  void Deliver(const Frame& frame);
  void Do(Event event) { Step(std::move(event)); }
  // False where it is certain that nothing was written.
  bool Write(const Command& command, size_t filler);
  void CutNext() { cut_next_ = true; }
  // For so long its disk does that; SetCapacity where there is no rule.
  void Hurt(const std::optional<FaultRule>& rule, Nanos length);
  void HealDisk();
  void ReadTruly();
  void StickFlush(Nanos length) { stuck_until_ = context_.schedule.now() + length; }

  // --- What there is
  bool up() const { return core_.has_value(); }
  bool broken() const { return broken_; }
  bool paused() const { return context_.schedule.now() < paused_until_; }
  bool writable() const { return up() && writable_ && !broken_; }
  const Replicator& core() const { return *core_; }
  MemberId id() const { return options_.self; }
  Incarnation incarnation() const { return options_.incarnation; }
  const SimState& state() const { return state_; }
  SimStore& store() { return *store_; }
  bool IsPrimary() const { return up() && core_->role() == Role::kPrimary; }
  // Whether the disk certainly holds the log of that ballot up to there.
  bool HasFlushed(Lsn end, Ballot ballot) const;
  // The log against the ledger, all of it. For intervals.
  void CheckLog();
  std::string Describe() const;

 private:
  struct PendingWrite {
    Lsn end;
    uint32_t client;
    uint64_t request;
  };
  struct Outgoing {
    SnapshotHead head;
    std::vector<uint8_t> bytes;
  };

  // --- sim_member.cc: steps
  Nanos LocalNow();
  Nanos GlobalOf(Nanos local) const;
  void After(Nanos delay, SimSchedule::Action action);
  void Step(Event event);
  void StepOne(Event event);
  void Perform(const Outputs& out, Lsn commit_before, Ballot reign);
  void Settle();
  void ArmTimer();
  void Fail(const std::string& problem);
  void Remember();
  void Unknown();
  void DiskFailed(const Status& status);
  void Notices(const Outputs& out);
  void Send(const Message& message);
  void CheckSpoken(const Message& message);
  void SaveHardState(const HardState& state);
  void CheckCommit(Ballot reign, Lsn commit);
  void CheckLead();

  // --- sim_member_base.cc: the application of the base API
  void BeginApplication();
  void LookForPrimary();
  bool IsLost();
  void TellApplication(const Notice& notice);
  void Elect();

  // --- sim_member_log.cc: the log
  std::optional<Event> PerformLog(const LogAction& action);
  Event Append(const AppendRecords& append);
  Event Append(const AppendTerm& append);
  Event Append(const AppendConfiguration& append);
  void RollBackLater(const RollBack& action);
  void RollBackNow();
  Event SendShip(const Ship& ship);
  void StartFlush();
  void FinishFlush(Lsn end, uint64_t history);
  void ApplyCommitted();
  void Acknowledge();
  void Housekeep();
  void TellAppended();
  void ForgetReaders();
  // Runs something on the disk that the power may be cut in the middle of; then true.
  bool CutInside(const std::function<void()>& work);

  // --- sim_member_snapshot.cc
  Checkpoint MakeCheckpoint() const;
  void SendSnapshot(const SendPiece& piece);
  void Keep(const KeepPiece& piece, std::vector<Event>* next);
  void InstallSnapshot(const KeepPiece& piece, uint64_t kept, std::vector<Event>* next);

  SimContext& context_;
  const uint32_t index_;
  SimRng rng_;
  CoreOptions options_;
  std::unique_ptr<SimStore> store_;
  std::optional<Replicator> core_;
  Invariants invariants_;
  int64_t drift_ppm_ = 0;
  Nanos skew_ = 0, clock_base_ = 0, made_at_ = 0;

  uint8_t version_ = 0;  // the highest of messages that its program speaks

  uint64_t epoch_ = 0;  // of the process: what was going on in an older one is over
  Nanos paused_until_ = 0, stuck_until_ = 0;
  Nanos armed_at_ = UINT64_MAX;
  bool broken_ = false;
  bool cut_next_ = false;
  bool stepping_ = false;
  int depth_ = 0;
  std::vector<Event> waiting_;  // for the step under way to end

  bool writable_ = false;
  bool untold_ = false;  // writers have appended what the core does not know of
  uint64_t history_ = 0;
  bool flushing_ = false;
  Lsn flushed_;
  std::optional<RollBack> rolling_;
  std::vector<PendingWrite> pending_;

  SimState state_;
  size_t ledger_hint_ = 0;
  std::unique_ptr<LogReader> applier_;
  std::optional<LogEntry> next_entry_;  // read, and not committed yet
  std::map<uint32_t, std::unique_ptr<RawReader>> shippers_;
  EncodedMessage encoded_;
  std::optional<Outgoing> outgoing_;

  // Kept while it is down.
  Ballot spoken_;  // the highest promise that others have heard of
  Lsn known_flushed_;
  Lsn certain_;  // that much of the log nothing may take
  TermTable known_terms_;
  bool hurt_ = false;  // the disk has had faults since it came up without any
  bool healthy_ = true;
  std::vector<uint64_t> misreads_;  // the rules by which reads are wrong
};

}  // namespace ringleader::simulator
