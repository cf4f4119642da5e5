#include "log/term_record.h"

#include "base/coding.h"

namespace ringleader {

std::array<uint8_t, kTermRecordBytes> EncodeTermRecord(const TermRecord& record) {
  std::array<uint8_t, kTermRecordBytes> payload;
  StoreLe(payload.data(), record.counter.value);
  StoreLe(payload.data() + 4, record.member);
  StoreLe(payload.data() + 8, record.incarnation);
  return payload;
}

Result<TermRecord> DecodeTermRecord(Bytes payload) {
  if (payload.size() != kTermRecordBytes) {
    return Status(Code::kCorruption, "the record of a term's start has another size");
  }
  TermRecord record;
  record.counter = Term(LoadLe<uint32_t>(payload.data()));
  record.member = LoadLe<uint32_t>(payload.data() + 4);
  record.incarnation = LoadLe<uint64_t>(payload.data() + 8);
  if (record.counter.value == 0) {
    return Status(Code::kCorruption, "the record of a term's start names no term");
  }
  return record;
}

}  // namespace ringleader
