// Puts transactions together again out of the records that come by.
//
// A transaction is a record, or a run of them (log_format.h). A run whose beginning has not come by
// is passed over, as is one that the next transaction drops, and padding.
// Threads: one.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "log/log_format.h"

namespace ringleader {

// One transaction as it was appended.
struct LogEntry {
  Lsn lsn;
  Lsn end;
  Term term;
  RecordType type = RecordType::kTransaction;
  uint16_t operations = 0;
  uint64_t commit_time_us = 0;
  Bytes payload;  // valid until the next call of whoever gave it
};

class TransactionAssembler {
 public:
  // Takes the next record; true where a transaction ends with it, which entry() is then. Its
  // payload is the record's own where it has only one. kCorruption where it is over the limit.
  Result<bool> Add(const Record& record);
  // Forgets the pieces of one that is under way.
  void Reset() { open_ = false; }

  // The first record of one has come by, and not the last.
  const LogEntry& entry() const { return entry_; }

 private:
  LogEntry entry_;
  std::vector<uint8_t> pieces_;
  bool open_ = false;
};

}  // namespace ringleader
