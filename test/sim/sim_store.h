// What a simulated member keeps on its disk, through the real log and the real hard state's file.
//
//   m/group           the hard state
//   m/e<n>/           an environment: log/, control, and
//   m/e<n>/checkpoint   the data at some position, and the tables of what the log has no more
//   m/current         which of them counts; none = e1
//   m/incoming        a snapshot that is being fetched
//   m/outgoing        one that is being sent
//   m/discarded/      what roll-backs have taken
//
// A snapshot is a checkpoint and the log's bytes from the start of a segment up to its position. It
// is installed as a new environment beside the old one; the rename of m/current decides.
// Threads: one. Every call may fail as disks do; after a failure of anything but space the store
// has to be killed and opened again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/input.h"
#include "core/message.h"
#include "engine/hard_state_file.h"
#include "env/sim/sim_env.h"
#include "log/discarded.h"
#include "log/log.h"
#include "sim_state.h"

namespace ringleader::simulator {

struct Checkpoint {
  SimState state;
  std::vector<TermStart> terms;   // that begin below
  ConfigurationAt configuration;  // the newest below; version 0 = none
};

class SimStore {
 public:
  SimStore(const Id128& group, uint64_t seed, Nanos skew);
  ~SimStore();
  SimStore(const SimStore&) = delete;
  SimStore& operator=(const SimStore&) = delete;

  // Starts a process and comes up with what is there. `checkpoint` gets the data.
  Status Open(Start* start, Checkpoint* checkpoint);
  bool is_open() const { return log_ != nullptr; }
  void Kill();
  void PowerCut(const CrashPolicy& policy, uint64_t seed);

  SimWorld& world() { return world_; }
  SimDisk& disk() { return world_.disk(); }
  Log& log() { return *log_; }
  HardStateFile& hard_state() { return *hard_state_; }
  // Where the last whole transaction ends, as the core counts: an empty log ends at 0, and
  // neither padding nor the page of a segment is part of what members compare.
  Lsn end();
  static Lsn CoreEnd(Lsn end) { return end.value <= kSegmentPageBytes ? Lsn() : end; }
  // Makes the log end there; kCorruption where it has whole transactions above `end`.
  Status DropRest(Lsn end);

  // Durable when it returns; then the log may go up to there.
  Status SaveCheckpoint(const Checkpoint& checkpoint);
  Status Housekeep();
  Lsn start() const { return log_->Stat().start; }

  // Keeps what goes, and makes the log end at `to` or at the end of the transaction before.
  Result<Lsn> RollBack(Lsn to, Ballot discarded);

  Result<std::vector<uint8_t>> MakeSnapshot(const Checkpoint& checkpoint);
  // A snapshot that is being sent, so that a later process can go on with it.
  Status KeepOutgoing(const SnapshotHead& head, Bytes bytes);
  // False where there is none, or it is no good.
  bool ReadOutgoing(SnapshotHead* head, std::vector<uint8_t>* bytes);
  Status KeepPiece(uint64_t id, uint64_t offset, Bytes bytes);
  // What was fetched takes the place of the log; kCorruption where it is not whole. What of the
  // old log lies behind `commit` is kept as after a roll-back.
  Status Install(Lsn commit, Ballot last, Checkpoint* checkpoint);

  // What is in no file of discarded transactions although it was rolled back; empty = nothing.
  std::string CheckDiscarded();

  uint64_t roll_backs() const { return roll_backs_; }
  uint64_t discarded() const { return expected_.size(); }

 private:
  struct Gone {
    Lsn end;
    uint64_t hash;
    bool certain;  // false: a roll-back that may not have come to its end
  };

  Env& env() { return process_->env(); }
  std::string Environment() const;
  Status Prepare();
  Status OpenLog();
  Status ReadTables(const Checkpoint& checkpoint, Start* start);
  Status ReadIncoming(Start* start);
  Result<std::vector<uint8_t>> ReadFile(const std::string& path);
  Status ReplaceFile(const std::string& directory, const std::string& name, Bytes bytes);
  Status LoadCheckpoint(Checkpoint* checkpoint);
  Status WriteEnvironment(const std::string& directory, const Checkpoint& checkpoint, Bytes tail);
  Status KeepBehind(Lsn fork, Ballot discarded);
  void Abandon();

  const Id128 group_;
  SimWorld world_;
  SimProcess* process_ = nullptr;
  std::unique_ptr<Log> log_;
  std::unique_ptr<HardStateFile> hard_state_;
  uint64_t generation_ = 1;  // of the environment that counts
  Lsn end_;                  // as told last
  std::vector<Gone> expected_;
  uint64_t roll_backs_ = 0;
};

std::vector<uint8_t> EncodeCheckpoint(const Checkpoint& checkpoint);
bool DecodeCheckpoint(Bytes bytes, Checkpoint* checkpoint);
std::vector<uint8_t> EncodeConfiguration(const Configuration& configuration);
bool DecodeConfiguration(Bytes bytes, Configuration* configuration);

}  // namespace ringleader::simulator
