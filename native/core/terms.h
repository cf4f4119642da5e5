// Which term wrote which part of the log.
//
// Every primary begins its reign with a TERM record that names its ballot, so a log is a row of
// terms, each from its start to the start of the next. Two facts make this table enough to compare
// two logs without looking at a single record:
//   - a ballot belongs to one copy, and that copy writes one log: where two logs both have a term,
//     what they have of it is the same bytes up to the end of the shorter one;
//   - a primary's log at its start is what it was elected with: where two logs share a term, they
//     share everything before it.
// So the fork of two logs lies at the end of the last term they share, in the log that has less of
// it. Berkeley DB looks for it a record per round trip.
#pragma once

#include <cstddef>
#include <vector>

#include "core/types.h"

namespace ringleader {

struct TermStart {
  Ballot term;
  Lsn start;  // of its TERM record

  constexpr auto operator<=>(const TermStart&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) {
    field("term", self.term);
    field("start", self.start);
  }
};

// Strictly in both columns: what a row of terms in a log is like, and what a message's rows have to
// be like before they come here (wire/message_codec.h refuses others).
bool Ascends(const std::vector<TermStart>& rows);

// Rows ascend strictly in both columns. The first one may have no ballot: a log that was written to
// before its group had a primary begins with {Ballot{}, Lsn 0}. That row is shared like any other:
// a group id is minted with the log that has it, and other members begin with a copy or with
// nothing.
class TermTable {
 public:
  TermTable() = default;

  // False, and unchanged, where the row does not ascend. Beyond kMaxTerms the oldest row is
  // forgotten: what lies before its successor is of a term that nobody knows any more. (Calling it
  // the successor's would make a log that is cut there look fresher than it is.)
  bool Add(const TermStart& row);
  // The log now ends at `end`: terms that begin at or above it never happened.
  void CutTo(Lsn end);
  // Another log is in its place (a snapshot), with these terms, which ascend.
  void Reset(std::vector<TermStart> rows);

  // The term of the record that ends at `lsn`: the last one that starts below. None for 0 and for
  // what lies before the table.
  Ballot At(Lsn lsn) const;
  Position PositionAt(Lsn lsn) const { return {At(lsn), lsn}; }
  Ballot last() const { return rows_.empty() ? Ballot{} : rows_.back().term; }
  const std::vector<TermStart>& rows() const { return rows_; }

  // At most `limit` rows: those that begin in [from, to), newest kept.
  std::vector<TermStart> Between(Lsn from, Lsn to, size_t limit) const;
  std::vector<TermStart> Newest(size_t limit) const;

  // How far a log that ends at `end` with this table, and one that ends at `other_end` with the
  // rows `other` (perhaps without its oldest ones, ascending), are certainly the same. 0 where no
  // row is shared. Exact where neither lacks a row that the other has.
  Lsn Fork(Lsn end, const std::vector<TermStart>& other, Lsn other_end) const;

  bool operator==(const TermTable&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) { field("rows", self.rows_); }

 private:
  std::vector<TermStart> rows_;
};

}  // namespace ringleader
