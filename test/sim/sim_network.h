// The simulated network: decides of each frame whether, when and how often it arrives.
//
// A path from one member to another may lose, delay, repeat, reorder and damage; it may be cut, or
// clogged: then what is sent waits and arrives all at once.
// Threads: one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/sim/sim_rng.h"
#include "sim_plan.h"
#include "sim_schedule.h"

namespace ringleader::simulator {

using Frame = std::shared_ptr<const std::vector<uint8_t>>;

struct NetworkStats {
  uint64_t sent = 0, delivered = 0, lost = 0, cut = 0, repeated = 0, damaged = 0;
  uint64_t bytes = 0, partitions = 0, clogs = 0;
};

class SimNetwork {
 public:
  using Deliver = std::function<void(uint32_t to, const Frame& frame)>;

  SimNetwork(const SimPlan& plan, SimSchedule* schedule, uint64_t seed, Deliver deliver);

  // `type`: index of the message's body.
  void Send(uint32_t from, uint32_t to, size_t type, Frame frame);

  // Cuts paths by one of the shapes, until Heal.
  std::string Partition();
  // One path stands still for a while.
  void Clog(Nanos length);
  // Messages of one type, among everybody, are lost.
  void LoseType(Nanos length);
  void Heal();
  // The liveness phase: from now on paths among `core` work, all others do not.
  void Freeze(uint32_t core);

  const NetworkStats& stats() const { return stats_; }

 private:
  struct Path {
    bool cut = false;
    Nanos clogged_until = 0;
    Nanos last = 0;  // when what was sent last arrives
  };

  Path& At(uint32_t from, uint32_t to) { return paths_[from * plan_.members() + to]; }
  void Cut(uint32_t from, uint32_t to, bool one_way);
  Nanos Delay();
  void Arrive(uint32_t to, Nanos at, Frame frame);

  const SimPlan& plan_;
  SimSchedule* const schedule_;
  SimRng rng_;
  const Deliver deliver_;
  std::vector<Path> paths_;
  size_t lost_type_ = SIZE_MAX;
  Nanos lost_until_ = 0;
  bool frozen_ = false;
  NetworkStats stats_;
};

}  // namespace ringleader::simulator
