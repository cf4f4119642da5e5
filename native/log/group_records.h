// The records of a log that concern its group: who led from where on, and what the group was.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "log/log_format.h"
#include "log/term_record.h"

namespace ringleader {

// A record that says who leads.
struct TermRow {
  TermRecord term;
  Lsn start;  // of the record

  bool operator==(const TermRow&) const = default;
};

// A record of a configuration, which the log does not look into.
struct ConfigurationRow {
  Lsn end;  // of the record
  std::vector<uint8_t> payload;

  bool operator==(const ConfigurationRow&) const = default;
};

// Notes a record that is one of these. kCorruption where it claims to be, and is not.
Status NoteGroupRecord(const Record& record, std::vector<TermRow>* terms,
                       std::vector<ConfigurationRow>* configurations);

}  // namespace ringleader
