#include "sim_ledger.h"

#include <algorithm>

#include "core/state_hash.h"
#include "sim_state.h"

namespace ringleader::simulator {

void SimLedger::Fail(const std::string& problem) {
  if (problem_.empty()) problem_ = problem;
}

void SimLedger::Differs(uint32_t member, const char* what, Lsn end) {
  Fail("member " + std::to_string(member) + ": " + what + " at " + std::to_string(end.value));
}

void SimLedger::Commits(Ballot reign, Lsn commit) {
  if (commit <= committed_) return;
  committed_ = commit;
  reigns_.emplace_back(commit, reign);
}

Ballot SimLedger::ReignOf(Lsn end) const {
  const auto at = std::ranges::lower_bound(reigns_, end, {}, &std::pair<Lsn, Ballot>::first);
  return at == reigns_.end() ? Ballot{} : at->second;
}

const SimLedger::Row* SimLedger::Find(Lsn end) const {
  const auto at = std::ranges::lower_bound(rows_, end, {}, &Row::end);
  return at == rows_.end() || at->end != end ? nullptr : &*at;
}

void SimLedger::Applies(uint32_t member, const LogEntry& entry, uint64_t state, size_t* hint) {
  if (entry.end > committed_) Differs(member, "applied before any primary committed it", entry.end);
  const uint64_t hash = HashOfEntry(entry);
  if (rows_.empty() || entry.end > rows_.back().end) {
    if (!rows_.empty() && entry.lsn < rows_.back().end) {
      return Differs(member, "a transaction across the end of another", entry.end);
    }
    rows_.push_back({entry.lsn, entry.end, hash, state, ReignOf(entry.end)});
    *hint = rows_.size();
    return;
  }
  if (*hint >= rows_.size() || rows_[*hint].end != entry.end) {
    const Row* row = Find(entry.end);
    if (row == nullptr) return Differs(member, "nobody else has committed what ends", entry.end);
    *hint = static_cast<size_t>(row - rows_.data());
  }
  const Row& row = rows_[(*hint)++];
  if (row.entry != hash) return Differs(member, "two transactions are committed", entry.end);
  if (row.state != state) Differs(member, "another state after the same transaction", entry.end);
}

void SimLedger::Installs(uint32_t member, Lsn end, uint64_t state) {
  const Row* row = Find(end);
  if (row == nullptr) return Differs(member, "a snapshot of what nobody has committed", end);
  if (row->state != state) Differs(member, "a snapshot of another state", end);
}

void SimLedger::Holds(uint32_t member, const LogEntry& entry, Ballot ballot) {
  const uint64_t hash = HashOfEntry(entry);
  StateHash place;
  place.Word(entry.end.value);
  place.Word(ballot.counter.value);
  place.Word(ballot.incarnation.value);
  const auto [at, fresh] = held_.try_emplace(place.value(), hash);
  if (!fresh && at->second != hash) {
    Differs(member, "two logs differ under one ballot", entry.end);
  }
}

const SimLedger::Row* SimLedger::NeededBy(Ballot ballot) const {
  for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
    if (row->reign < ballot) return &*row;
  }
  return nullptr;
}

void SimLedger::Acknowledges(Lsn end) {
  if (end > committed_) Fail("acknowledged before it was committed: " + std::to_string(end.value));
  acknowledged_ = std::max(acknowledged_, end);
}

}  // namespace ringleader::simulator
