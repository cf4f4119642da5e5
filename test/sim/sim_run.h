// One run of the full simulator: a group, its clients, and what happens to them.
//
//   1. A group is founded. Clients write and read; faults strike; members come and go. After every
//      step the members check themselves (sim_member.h), and now and then whole logs are read.
//   2. When the clients have had enough, a core of members that is a quorum is healed, and all
//      others are gone for good: the core has to elect, commit something new and agree, in bounded
//      time.
//
// A run follows from its plan: the same plan gives the same hash.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "sim_member.h"

namespace ringleader::simulator {

struct SimReport {
  std::string problem;  // empty: everything holds
  uint64_t hash = 0;
  std::vector<uint64_t> strikes_hit;  // the numbers of those that had an effect
  uint64_t operations = 0, acknowledged = 0, retries = 0, events = 0, strikes = 0;
  Nanos time = 0;
  SimStats stats;
  NetworkStats network;
  std::array<uint64_t, kFaults> struck{};

  void Add(const SimReport& other);
  std::string Text() const;
};

class SimRun {
 public:
  SimRun(const SimPlan& plan, bool trace);
  SimReport Run();

 private:
  enum class Doing : uint8_t { kNothing, kWriting, kReading };
  struct Client {
    Doing doing = Doing::kNothing;
    uint64_t attempt = 0;
    Command command;
    size_t filler = 0;
    Lsn floor;  // what was acknowledged, or read, before it asked
    uint64_t read = 0;
    uint32_t member = 0;
  };

  // --- sim_run.cc
  void Found();
  bool RunUntil(const std::function<bool()>& done, Nanos limit);
  void CheckAll();
  bool Done() const { return operations_ >= plan_.operations; }
  SimMember* AnyUp(SimRng& rng);
  SimMember* Primary(SimRng& rng);
  void Live();
  uint32_t ChooseCore();
  bool IsQuorum(uint32_t core) const;

  // --- sim_run_clients.cc
  void Begin(uint32_t client);
  void Think(uint32_t client);
  void TryWrite(uint32_t client);
  void TryRead(uint32_t client);
  void ReadDurable();
  void OnWritten(uint32_t client, uint64_t request, Lsn at);
  void OnRead(uint64_t id, bool granted, Lsn position);
  void AwaitApplied(uint32_t client, Lsn position, uint64_t attempt);
  void Finish(uint32_t client);
  void Retry(uint32_t client);
  void AfterAttempt(uint32_t client, Nanos delay, void (SimRun::*then)(uint32_t));

  // --- sim_run_faults.cc
  void StrikeLater();
  void Strike();
  bool Hit(Fault fault, SimMember& member);
  bool HitProcess(Fault fault, SimMember& member);
  bool HitDisk(Fault fault, SimMember& member);
  bool HitGroup(Fault fault);
  bool MayLoseDisk(const SimMember& member);
  bool ChangeMembership();
  void StopFor(SimMember& member, bool power, Nanos length);
  const Configuration* NewestConfiguration() const;

  const SimPlan plan_;
  SimRng rng_;
  SimRng striking_;       // when faults strike
  SimRng strike_;         // what one of them is like: begun anew for each, so that to leave one out
  uint64_t strikes_ = 0;  // changes no other
  SimSchedule schedule_;
  SimLedger ledger_;
  SimWitness witness_;
  SimReport report_;
  SimContext context_;
  SimNetwork network_;
  std::vector<Client> clients_;
  uint64_t operations_ = 0;
  Lsn read_;  // the furthest position that a linearizable read has returned
  bool live_ = false;
};

}  // namespace ringleader::simulator
