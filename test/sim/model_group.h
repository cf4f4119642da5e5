// A group of Replicators over logs without bytes, with every choice left to whoever drives it.
//
// Nothing happens by itself: messages lie in the network until they are delivered, lost or
// repeated; what was appended, and each hard state, stays volatile until it is flushed; time stands
// until it is moved. So the same model serves the exhaustive explorer, which tries every choice,
// the scenarios, which write them down, and random walks, which draw them.
//
// After every step the group is checked (Check): whoever acknowledged a transaction finds it in the
// log of every later primary, no ballot has two primaries, and so on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/replicator.h"
#include "model_log.h"
#include "model_rules.h"
#include "model_shared.h"

namespace ringleader::sim {

struct Packet {
  Message message;
  std::vector<ModelRecord> records;  // of Records
  // Of SnapshotPiece: everything below the position, which the model carries as records.
  std::vector<ModelRecord> snapshot;
  mutable Note note;  // for a packet never changes

  static constexpr auto Fields(auto& self, auto&& field) {
    field("message", self.message);
    field("records", self.records);
    field("snapshot", self.snapshot);
  }
};

// What a member's disk holds for certain.
struct ModelDisk {
  std::optional<HardState> hard_state;
  ModelLog log;
  std::vector<ModelRecord> below;  // what came in a snapshot, or was trimmed
  uint64_t discarded = 0;          // records kept from roll-backs

  static constexpr auto Fields(auto& self, auto&& field) {
    field("hard_state", self.hard_state);
    field("log", self.log);
    field("below", self.below);
    field("discarded", self.discarded);
  }
};

class ModelGroup;

class ModelMember {
 public:
  explicit ModelMember(const CoreOptions& options) : options_(options) {}

  bool up() const { return core_.has_value(); }
  const Replicator& core() const { return *core_; }
  const CoreOptions& options() const { return options_; }
  MemberId id() const { return options_.self; }
  const ModelLog& log() const { return log_; }
  const ModelDisk& disk() const { return disk_; }
  bool writable() const { return writable_; }
  Nanos clock() const { return now_; }
  bool log_dirty() const { return up() && log_.end() > flushed_; }
  const std::optional<HardState>& saving() const { return saving_; }
  const std::optional<WitnessRequest>& asking() const { return asking_; }
  const std::vector<Notice>& notices() const { return notices_; }
  const std::vector<ReadReady>& reads() const { return reads_; }
  // Log and disk since the beginning: what the log itself no longer holds.
  const std::vector<ModelRecord>& below() const { return below_; }
  bool flushing() const { return flushing_.has_value(); }
  // The whole log since the beginning, also what the log itself no longer holds.
  std::vector<ModelRecord> History() const;
  size_t records() const { return below_.size() + log_.records().size(); }
  const ModelRecord& record(size_t index) const {
    return index < below_.size() ? below_[index] : log_.records()[index - below_.size()];
  }

  static constexpr auto Fields(auto& self, auto&& field) {
    field("core", self.core_);
    field("log", self.log_);
    field("disk", self.disk_);
    field("flushed", self.flushed_);
    field("writable", self.writable_);
    field("flushing", self.flushing_);
    field("saving", self.saving_);
    field("asking", self.asking_);
    field("now", self.now_);
  }

 private:
  friend class ModelGroup;

  CoreOptions options_;
  std::optional<Replicator> core_;  // none while it is down
  ModelLog log_;                    // with what is not flushed yet
  std::vector<ModelRecord> below_;
  Lsn flushed_;
  uint64_t history_ = 0;
  std::optional<LogFlushed> flushing_;  // a flush that has begun
  bool writable_ = false;
  Nanos now_ = 1;          // its own clock
  int64_t drift_ppm_ = 0;  // how much faster than the others'
  std::optional<HardState> saving_;
  std::optional<WitnessRequest> asking_;
  ModelDisk disk_;
  std::vector<Notice> notices_;  // of the last choice
  std::vector<ReadReady> reads_;
};

class ModelGroup {
 public:
  // Members come up with empty disks; nothing is founded yet.
  explicit ModelGroup(const std::vector<CoreOptions>& members);

  // --- Choices. Each is one step; the index is that of the member, or of the packet.
  void Move(Nanos by);
  // Of one clock alone: for whoever holds that no two clocks have anything in common.
  void MoveOne(size_t member, Nanos by) { members_[member].Edit().now_ += by; }
  void SetDrift(size_t member, int64_t ppm) { members_[member].Edit().drift_ppm_ = ppm; }
  void TickAll();
  void Tick(size_t member) { Step(member, ringleader::Tick{}); }
  void Deliver(size_t packet);
  void Repeat(size_t packet);  // delivers it, and leaves it in the network
  void Delay(size_t packet);   // behind all that is on its way
  void Lose(size_t packet);
  void Write(size_t member, uint64_t value);  // of a primary that lets writers in
  void Flush(size_t member);                  // the log, all of it
  // The same in two steps: what is appended, or rolled back, meanwhile is not part of it.
  void StartFlush(size_t member);
  void FinishFlush(size_t member);
  void SaveHardState(size_t member);
  void AnswerWitness(size_t member, bool lost);  // lost: done, perhaps, but nobody hears of it
  void FailWitness(size_t member);               // not done, and nobody knows that
  // A swap that a member had asked for when it went down is done now, or lost for good.
  void SwapLate(size_t swap);
  void LoseSwap(size_t swap);
  void Crash(size_t member);  // power: all that is not flushed is gone
  void Kill(size_t member);   // the process: what was written to the kernel stays
  void Restart(size_t member);
  void Trim(size_t member, Lsn start);
  void NewDisk(size_t member, Incarnation incarnation);  // of a member that is down
  void Do(size_t member, Event event) { Step(member, std::move(event)); }

  // --- Lies. What was promised may be broken from then on, and Check looks at less.
  //
  // A member that is down finds less on its disk than it had flushed: a log that ends at `end`.
  void LoseFlushed(size_t member, Lsn end);
  // The witness holds something else, as after it was restored from a copy.
  void SetWitness(const WitnessRegister& value);

  // What recovery finds of the hard state of a member that is down. No lie where it was never
  // saved.
  void SetHardState(size_t member, const std::optional<HardState>& hard_state);

  // --- What there is
  Nanos now() const { return now_; }
  size_t size() const { return members_.size(); }
  const ModelMember& member(size_t index) const { return *members_[index]; }
  // For what somebody works out from a member: lost when it changes.
  Note& note(size_t index) const { return members_[index].note(); }
  size_t IndexOf(MemberId id) const;
  const std::vector<Packet>& network() const { return network_; }
  const WitnessRegister& witness() const { return witness_; }
  const std::vector<WitnessRequest>& late_swaps() const { return late_swaps_; }
  const ModelRules& rules() const { return rules_; }
  // What a primary has told its writers is committed: value by the end of its record.
  const std::map<uint64_t, ModelRecord>& acknowledged() const { return *acknowledged_; }
  uint64_t steps() const { return steps_; }

  // The first rule that does not hold; empty where all do. Remembers what may never go back.
  std::string Check();

  uint64_t Hash() const;

 private:
  void Step(size_t member, Event event, const Packet* packet = nullptr);
  void Perform(size_t member, Outputs& out, const Packet* packet);
  std::optional<Event> PerformLog(size_t member, const LogAction& action, const Packet* packet);
  void SendShip(size_t member, const Ship& ship);
  void Acknowledge(size_t member);
  std::string CheckMember(const ModelMember& member);
  std::string CheckLogs() const;
  std::string CheckPair(const ModelMember& a, const ModelMember& b) const;
  bool Swap(const WitnessRequest& asked);

  Nanos now_ = 1;
  uint64_t steps_ = 0;
  int depth_ = 0;      // of Step: what a step asks for may be further steps
  bool lied_ = false;  // a disk or the witness has broken its promise
  std::vector<Shared<ModelMember>> members_;
  std::vector<Packet> network_;
  WitnessRegister witness_;
  std::vector<WitnessRequest> late_swaps_;
  ModelRules rules_;
  Shared<std::map<uint64_t, ModelRecord>> acknowledged_;
  Shared<std::map<Ballot, MemberId>> primaries_;  // who has led which ballot
};

}  // namespace ringleader::sim
