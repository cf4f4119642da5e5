#include "env/sim/sim_clock.h"

#include <algorithm>

namespace ringleader {
namespace {

// Neither zero nor round: code that takes either clock to start at zero, or the two for one, fails.
constexpr uint64_t kFirstNanos = 3'141'592'653;
constexpr uint64_t kFirstWallMicros = 1'700'000'000'123'456;

}  // namespace

SimClock::SimClock(uint64_t seed)
    : rng_(seed), now_nanos_(kFirstNanos), wall_offset_micros_(kFirstWallMicros) {}

void SimClock::Jitter() {
  if (jitter_nanos_ > 0) now_nanos_ += rng_.Below(jitter_nanos_ + 1);
}

uint64_t SimClock::MonotonicNanos() {
  const std::lock_guard lock(mutex_);
  Jitter();
  return now_nanos_;
}

uint64_t SimClock::WallMicros() {
  const std::lock_guard lock(mutex_);
  Jitter();
  return wall_offset_micros_ + (now_nanos_ - kFirstNanos) / 1000;
}

uint64_t SimClock::Now() const {
  const std::lock_guard lock(mutex_);
  return now_nanos_;
}

void SimClock::Advance(uint64_t nanos) {
  const std::lock_guard lock(mutex_);
  now_nanos_ += nanos;
}

void SimClock::AdvanceTo(uint64_t nanos) {
  const std::lock_guard lock(mutex_);
  now_nanos_ = std::max(now_nanos_, nanos);
}

void SimClock::JumpWall(int64_t micros) {
  const std::lock_guard lock(mutex_);
  wall_offset_micros_ += static_cast<uint64_t>(micros);
}

void SimClock::SetJitter(uint64_t max_nanos) {
  const std::lock_guard lock(mutex_);
  jitter_nanos_ = max_nanos;
}

}  // namespace ringleader
