// Simulated time: it moves when somebody moves it.
//
// Three things do: a test (Advance), the scheduler (when every thread sleeps, to the earliest
// deadline), and, where SetJitter asks for it, every reading itself, so that code which polls the
// time without sleeping gets somewhere.
// Threads: safe from any thread.
#pragma once

#include <cstdint>
#include <mutex>

#include "env/clock.h"
#include "env/sim/sim_rng.h"

namespace ringleader {

class SimClock : public Clock {
 public:
  explicit SimClock(uint64_t seed = 1);

  uint64_t MonotonicNanos() override;
  uint64_t WallMicros() override;

  // The time without the jitter of a reading.
  uint64_t Now() const;
  void Advance(uint64_t nanos);
  // Does nothing where that time has passed.
  void AdvanceTo(uint64_t nanos);
  // Moves the wall clock alone: an operator or a time server set it.
  void JumpWall(int64_t micros);
  // Every reading moves the time by up to `max_nanos`, drawn from the seed; 0 turns that off.
  void SetJitter(uint64_t max_nanos);

 private:
  void Jitter();

  mutable std::mutex mutex_;
  SimRng rng_;
  uint64_t now_nanos_;
  uint64_t wall_offset_micros_;
  uint64_t jitter_nanos_ = 0;
};

}  // namespace ringleader
