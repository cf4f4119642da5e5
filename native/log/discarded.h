// Keeps what a roll-back discards, in a file that can be read afterwards.
//
//   discarded/<fork, 16 hex digits>-<counter>.<incarnation, 16 hex digits>.log
//   <the same>.tmp     one that is being written; means nothing
//
//   header (96) | the log's bytes from the fork to its end | checksum of these (4)
//
// (docs/FORMATS.md#discarded-records.) Made before Log::RollBack, by a member whose log has left
// its group's: file, its name and the directory's are flushed when SaveDiscarded returns, so a
// crash anywhere leaves either nothing that counts or the whole file; whoever comes up again does
// it once more. A ballot belongs to one copy, whose log goes on only behind what it has: so two
// files of one name hold the same bytes as far as both go, and the longer one is kept. Threads: one
// per directory; readers any.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "log/log.h"
#include "log/record_stream.h"
#include "log/transaction_assembler.h"

namespace ringleader {

inline constexpr char kDiscardedDirectoryName[] = "discarded";

struct DiscardedHead {
  Id128 group_id{};
  uint64_t segment_bytes = 0;
  Lsn fork;  // what was kept of the log ends here
  Lsn end;   // what was discarded ends here
  // Ballot of the last term of what was discarded.
  Term counter;
  uint64_t incarnation = 0;
  uint64_t saved_us = 0;  // wall clock

  bool operator==(const DiscardedHead&) const = default;
};

// Path of the file, or nullopt where nothing lies behind the fork. `fork`: the end of a transaction
// or the log's start, in a log that does not grow meanwhile. kNoSpace leaves nothing behind.
Result<std::optional<std::string>> SaveDiscarded(Env& env, const std::string& directory, Log& log,
                                                 Lsn fork, Term counter, uint64_t incarnation);

// Paths of all that are whole, ascending by fork.
Result<std::vector<std::string>> ListDiscarded(Env& env, const std::string& directory);

// The transactions of such a file, in their order.
class DiscardedReader {
 public:
  // kCorruption where the header fails its checks or the file is short; kNewerFormat.
  static Result<std::unique_ptr<DiscardedReader>> Open(Env& env, const std::string& path);

  const DiscardedHead& head() const { return head_; }
  // nullopt at the end; pieces of a transaction that was not whole are left out. kCorruption where
  // a record fails its checks.
  Result<std::optional<LogEntry>> Next();
  // The checksum over all of it.
  Status Verify();

 private:
  explicit DiscardedReader(std::unique_ptr<File> file) : file_(std::move(file)) {}

  Status Fill(uint64_t size);
  Result<bool> NextRecord(Record* record);

  std::unique_ptr<File> file_;
  DiscardedHead head_;
  std::optional<RecordStream> stream_;
  std::vector<uint8_t> buffer_;  // from `buffered_` on
  Lsn buffered_;
  TransactionAssembler assembler_;
};

}  // namespace ringleader
