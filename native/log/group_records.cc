#include "log/group_records.h"

namespace ringleader {

Status NoteGroupRecord(const Record& record, std::vector<TermRow>* terms,
                       std::vector<ConfigurationRow>* configurations) {
  const auto damaged = [&record](const char* what) {
    return Status(Code::kCorruption, "log at " + std::to_string(record.lsn().value) + ": " + what);
  };
  if (record.type() == RecordType::kConfiguration) {
    if (record.header.flags != 0) return damaged("a configuration in pieces");
    configurations->push_back({record.end(), {record.payload.begin(), record.payload.end()}});
  }
  if (record.type() != RecordType::kTermStart) return Status::Ok();
  RL_ASSIGN_OR_RETURN(const TermRecord term, DecodeTermRecord(record.payload));
  if (term.counter != record.term()) {
    return damaged("the start of another term than the record's");
  }
  terms->push_back({term, record.lsn()});
  return Status::Ok();
}

}  // namespace ringleader
