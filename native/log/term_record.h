// The payload of a record of type 3: whose reign begins (docs/FORMATS.md#term-start).
//
// The counter of the ballot stands in the record's header too, as the term of this record and of
// all behind it until the next one of its kind.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"

namespace ringleader {

struct TermRecord {
  Term counter;              // of the ballot; never 0
  uint64_t incarnation = 0;  // of the ballot: the copy that leads
  uint32_t member = 0;       // as the application numbers it

  bool operator==(const TermRecord&) const = default;
};

inline constexpr size_t kTermRecordBytes = 16;

std::array<uint8_t, kTermRecordBytes> EncodeTermRecord(const TermRecord& record);
// kCorruption for anything that Encode would not have written.
Result<TermRecord> DecodeTermRecord(Bytes payload);

}  // namespace ringleader
