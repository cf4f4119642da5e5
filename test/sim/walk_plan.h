// The parameters of one random walk, drawn from its seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/configuration.h"
#include "core/options.h"
#include "random.h"

namespace ringleader::sim {

struct WalkPlan {
  size_t voters = 3;  // of the first configuration
  size_t spares = 0;  // further members, which may be added
  bool in_sync = false;
  bool odd_quorums = false;  // V and K other than by majority
  bool preferred = false;    // of two, the first: one vote elects, one copy commits

  // In percent of what they concern; 0 = never in this run.
  uint64_t loss = 0, repeat = 0, reorder = 0, delay = 0, witness_loss = 0;
  // Weights among the choices.
  uint64_t crashes = 0, pauses = 0, cuts = 0, trims = 0, handovers = 0, changes = 0, disks = 0,
           reads = 0, elections = 0;
  uint64_t writes = 12;
  Nanos stride = 0;       // time moves by up to so much at a time
  int64_t drift_ppm = 0;  // clocks are off by at most so much
  CoreOptions core;       // of everybody, but for id, incarnation and priority
  std::vector<uint32_t> priorities;

  static WalkPlan Draw(Random& random);
  // The same faults, for two of whom the first is preferred.
  void PreferOne();
  // The first configuration.
  Configuration First() const;
  CoreOptions Member(size_t index) const;
  std::string Text() const;
};

// So that nobody mistakes an incarnation for an id.
inline constexpr uint64_t kFirstIncarnation = 100;

}  // namespace ringleader::sim
