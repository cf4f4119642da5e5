// The generator behind every simulated choice: xoshiro256** 1.0 seeded through splitmix64.
//
// Both are written out here, not taken from <random>, because the distributions of the standard
// library differ between implementations: a seed has to name the same run everywhere.
#pragma once

#include <bit>
#include <cstdint>

#include "base/check.h"

namespace ringleader {

class SimRng {
 public:
  explicit SimRng(uint64_t seed) {
    for (uint64_t& word : state_) word = SplitMix(seed);
  }

  uint64_t Next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, limit).
  uint64_t Below(uint64_t limit) {
    RL_CHECK(limit > 0);
    // Multiply-shift; the bias of at most limit / 2^64 does not matter to a simulation.
    return static_cast<uint64_t>((static_cast<Wide>(Next()) * limit) >> 64);
  }

  // Uniform in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

  bool Chance(double probability) { return Unit() < probability; }

 private:
  __extension__ using Wide = unsigned __int128;

  static uint64_t SplitMix(uint64_t& state) {
    uint64_t value = (state += 0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
  }

  uint64_t state_[4];
};

}  // namespace ringleader
