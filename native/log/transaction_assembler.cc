#include "log/transaction_assembler.h"

namespace ringleader {

Result<bool> TransactionAssembler::Add(const Record& record) {
  if (record.type() == RecordType::kPadding) return false;
  if (!record.continues()) {
    open_ = true;
    pieces_.clear();
    entry_ = {record.lsn(),
              record.end(),
              record.term(),
              record.type(),
              record.header.operations,
              record.header.commit_time_us,
              record.payload};
  }
  if (!open_) return false;
  if (record.continues() || record.more()) {
    if (pieces_.size() + record.payload.size() > kMaxTransactionBytes) {
      return Status(Code::kCorruption, "log at " + std::to_string(record.lsn().value) +
                                           ": a transaction over the limit");
    }
    pieces_.insert(pieces_.end(), record.payload.begin(), record.payload.end());
    entry_.end = record.end();
    entry_.payload = pieces_;
  }
  open_ = record.more();
  return !open_;
}

}  // namespace ringleader
