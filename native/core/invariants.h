// What holds of one member after every step: a check of the rules by other means than the rules.
//
// Two kinds. Of a state: positions lie in their order, a role has what it needs, no reign is led
// without its promise. Of a change: what is promised, committed or flushed does not go back, a
// reign does not change its ballot. The model looks after every step, an engine in debug builds;
// each names the first thing that does not hold.
//
// Threads: as the Replicator, one at a time. A copy goes on from where the other was.
#pragma once

#include <optional>
#include <string>

#include "core/replicator.h"

namespace ringleader {

class Invariants {
 public:
  // Empty where everything holds. `core` is the one of the last call, or a new one of the same
  // member after Restarted.
  std::string Check(const Replicator& core);
  // What was not flushed may be gone; what was promised and flushed may not.
  void Restarted();

 private:
  // Of the last state that was looked at: what a later one must not go behind.
  struct Before {
    bool running = false;  // no restart since
    Nanos now = 0;
    Role role = Role::kReplica;
    Ballot term;            // of the reign led
    Ballot promised;        // whether flushed or not
    Ballot saved_promise;   // on the disk for certain
    uint64_t sequence = 0;  // of the newest save on the disk
    Lsn commit, end, flushed;
    uint64_t history = 0;
    bool election_safe = false;
    uint64_t register_version = 0;
  };

  std::string CheckChange(const Replicator& core) const;
  void Remember(const Replicator& core);

  Before before_;
};

}  // namespace ringleader
