#include "core/terms.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "core/limits.h"

namespace ringleader {
namespace {

bool StartsBelow(const TermStart& row, Lsn lsn) { return row.start < lsn; }

// Where the term of row `index` ends, in a log of that end.
Lsn EndOfRow(const std::vector<TermStart>& rows, size_t index, Lsn log_end) {
  return index + 1 < rows.size() ? std::min(rows[index + 1].start, log_end) : log_end;
}

}  // namespace

bool Ascends(const std::vector<TermStart>& rows) {
  for (size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].term <= rows[i - 1].term || rows[i].start <= rows[i - 1].start) return false;
  }
  return true;
}

bool TermTable::Add(const TermStart& row) {
  if (!rows_.empty() && (row.term <= rows_.back().term || row.start <= rows_.back().start)) {
    return false;
  }
  rows_.push_back(row);
  if (rows_.size() > kMaxTerms) rows_.erase(rows_.begin());
  return true;
}

void TermTable::CutTo(Lsn end) {
  while (!rows_.empty() && rows_.back().start >= end) rows_.pop_back();
}

void TermTable::Reset(std::vector<TermStart> rows) {
  RL_CHECK(Ascends(rows));
  rows_ = std::move(rows);
  if (rows_.size() > kMaxTerms) {
    rows_.erase(rows_.begin(), rows_.end() - static_cast<ptrdiff_t>(kMaxTerms));
  }
}

Ballot TermTable::At(Lsn lsn) const {
  const auto after = std::lower_bound(rows_.begin(), rows_.end(), lsn, StartsBelow);
  return after == rows_.begin() ? Ballot{} : std::prev(after)->term;
}

std::vector<TermStart> TermTable::Between(Lsn from, Lsn to, size_t limit) const {
  auto first = std::lower_bound(rows_.begin(), rows_.end(), from, StartsBelow);
  const auto last = std::lower_bound(first, rows_.end(), to, StartsBelow);
  const auto count = static_cast<size_t>(last - first);
  if (count > limit) first += static_cast<ptrdiff_t>(count - limit);
  return {first, last};
}

std::vector<TermStart> TermTable::Newest(size_t limit) const {
  const size_t count = std::min(limit, rows_.size());
  return {rows_.end() - static_cast<ptrdiff_t>(count), rows_.end()};
}

Lsn TermTable::Fork(Lsn end, const std::vector<TermStart>& other, Lsn other_end) const {
  // Both ascend, so the last row that they share is found by going back in whichever is ahead.
  size_t here = rows_.size();
  size_t there = other.size();
  while (here > 0 && there > 0) {
    const TermStart& mine = rows_[here - 1];
    const TermStart& theirs = other[there - 1];
    if (mine.term == theirs.term) {
      // A term begins at one place only. Rows that say otherwise prove nothing.
      if (mine.start == theirs.start) {
        if (RL_MUTANT(kForkOneRowOn) && here < rows_.size()) ++here;
        return std::min(EndOfRow(rows_, here - 1, end), EndOfRow(other, there - 1, other_end));
      }
      --here;
      --there;
    } else if (mine.term > theirs.term) {
      --here;
    } else {
      --there;
    }
  }
  return Lsn();
}

}  // namespace ringleader
