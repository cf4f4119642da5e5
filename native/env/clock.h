// Time and where it comes from.
#pragma once

#include <cstdint>

namespace ringleader {

class Clock {
 public:
  virtual ~Clock() = default;

  // Never goes back; the same for all processes of one host; starts anywhere.
  virtual uint64_t MonotonicNanos() = 0;
  // Microseconds since 1970-01-01 UTC; may jump.
  virtual uint64_t WallMicros() = 0;
};

}  // namespace ringleader
