// What powercut_writer appends and powercut_checker expects: number N is one transaction whose size
// and bytes follow from N.
#pragma once

#include "log_fixture.h"

namespace ringleader::test {

inline constexpr char kPowercutConsumer[] = "base";

// Mostly small, some across pages and sectors, one in twenty-three of several records.
inline size_t PowercutSize(uint64_t number) {
  const uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15u >> 32;
  const size_t smallest = sizeof number;
  if (number % 23 == 7) return MaxRecordPayload(kMinSegmentBytes) * (1 + mixed % 3) + mixed % 61;
  return smallest + (mixed % 3 == 0 ? mixed % 6000 : mixed % 300);
}

inline std::vector<uint8_t> PowercutPayload(uint64_t number) {
  return Payload(number, PowercutSize(number));
}

}  // namespace ringleader::test
