// What the group has committed, as seen from outside, and whether everybody keeps to it.
//
// The ledger is the one history that the members have committed: whoever applies a transaction
// first writes it down, and everybody else must apply the same one at the same place, with the same
// hash of all before it. The first thing that does not fit is kept in problem().
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/types.h"
#include "log/log_reader.h"

namespace ringleader::simulator {

class SimLedger {
 public:
  struct Row {
    Lsn lsn, end;
    uint64_t entry = 0;  // hash of it
    uint64_t state = 0;  // hash of everything up to it
    Ballot reign;        // in which it was first counted as committed
  };

  const std::string& problem() const { return problem_; }
  // The first one counts.
  void Fail(const std::string& problem);

  // A primary counts everything below as committed.
  void Commits(Ballot reign, Lsn commit);
  Lsn committed() const { return committed_; }

  // `hint` is the caller's, and makes looking up the next row quick.
  void Applies(uint32_t member, const LogEntry& entry, uint64_t state, size_t* hint);
  // A snapshot that ends there has that state.
  void Installs(uint32_t member, Lsn end, uint64_t state);
  // A transaction in somebody's log, committed or not, of a ballot.
  void Holds(uint32_t member, const LogEntry& entry, Ballot ballot);
  // What a primary of that ballot must have at the least; null = nothing.
  const Row* NeededBy(Ballot ballot) const;
  // The row of a transaction that ends there; null = none.
  const Row* Find(Lsn end) const;
  const std::vector<Row>& rows() const { return rows_; }

  // A client was told that a transaction is committed.
  void Acknowledges(Lsn end);
  Lsn acknowledged() const { return acknowledged_; }

 private:
  void Differs(uint32_t member, const char* what, Lsn end);
  Ballot ReignOf(Lsn end) const;

  std::vector<Row> rows_;
  Lsn committed_;
  std::vector<std::pair<Lsn, Ballot>> reigns_;  // commit position, who raised it there
  Lsn acknowledged_;
  std::unordered_map<uint64_t, uint64_t> held_;  // hash of end and ballot: hash of the entry
  std::string problem_;
};

}  // namespace ringleader::simulator
