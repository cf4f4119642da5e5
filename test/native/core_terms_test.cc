// The table of terms, and where two logs part: held against logs that are lists of records.
#include <algorithm>
#include <random>
#include <vector>

#include "core/limits.h"
#include "core/terms.h"
#include "harness.h"

namespace ringleader {
namespace {

using namespace test;

Ballot BallotOf(uint32_t counter, uint64_t incarnation = 0xa) {
  return {Term(counter), Incarnation(incarnation)};
}
TermStart Row(uint32_t counter, uint64_t start, uint64_t incarnation = 0xa) {
  return {BallotOf(counter, incarnation), Lsn(start)};
}
TermTable TableOf(const std::vector<TermStart>& rows) {
  TermTable table;
  for (const TermStart& row : rows) CHECK(table.Add(row));
  return table;
}

TEST(core_terms, rows_ascend_in_both_columns) {
  TermTable table = TableOf({Row(2, 100)});
  const TermTable before = table;
  CHECK(!table.Add(Row(2, 200)));       // the same ballot
  CHECK(!table.Add(Row(1, 200, 0xf)));  // a lower one
  CHECK(!table.Add(Row(3, 100)));       // the same place
  CHECK(!table.Add(Row(3, 99)));
  CHECK(!table.Add({Ballot{}, Lsn(200)}));
  CHECK(table == before);
  CHECK(table.Add(Row(2, 101, 0xb)));
  CHECK(table.Add(Row(3, 102)));
  CHECK(table.last() == BallotOf(3));
  CHECK(TermTable().last().none());
  CHECK(Ascends(table.rows()));
  CHECK(!Ascends({Row(2, 1), Row(2, 2)}) && !Ascends({Row(1, 2), Row(2, 2)}));
  CHECK(Ascends({}) && Ascends({{Ballot{}, Lsn()}, Row(1, 1)}));
}

TEST(core_terms, a_record_is_of_the_term_that_starts_below_its_end) {
  const TermTable table = TableOf({{Ballot{}, Lsn()}, Row(1, 100), Row(4, 200, 0xb)});
  CHECK(table.At(Lsn()).none() && table.At(Lsn(100)).none());
  CHECK(table.At(Lsn(101)) == BallotOf(1) && table.At(Lsn(200)) == BallotOf(1));
  CHECK(table.At(Lsn(201)) == BallotOf(4, 0xb) && table.At(kMaxLsn) == BallotOf(4, 0xb));
  CHECK((table.PositionAt(Lsn(150)) == Position{BallotOf(1), Lsn(150)}));
  const TermTable late = TableOf({Row(3, 100)});
  CHECK(late.At(Lsn(100)).none() && late.At(Lsn(101)) == BallotOf(3));
}

TEST(core_terms, a_cut_takes_the_terms_that_begin_behind_it) {
  const TermTable table = TableOf({Row(1, 0), Row(2, 100), Row(3, 200)});
  for (const auto& [end, rows] :
       {std::pair{201, 3}, {200, 2}, {101, 2}, {100, 1}, {1, 1}, {0, 0}}) {
    TermTable cut = table;
    cut.CutTo(Lsn(static_cast<uint64_t>(end)));
    CHECK_EQ(cut.rows().size(), static_cast<size_t>(rows));
  }
}

TEST(core_terms, parts_of_the_table) {
  const TermTable table = TableOf({Row(1, 0), Row(2, 100), Row(3, 200), Row(4, 300)});
  const std::vector<TermStart>& all = table.rows();
  CHECK(table.Between(Lsn(), Lsn(301), 4) == all);
  CHECK((table.Between(Lsn(100), Lsn(300), 4) == std::vector<TermStart>{all[1], all[2]}));
  CHECK((table.Between(Lsn(100), Lsn(300), 1) == std::vector<TermStart>{all[2]}));
  CHECK((table.Between(Lsn(1), Lsn(301), 2) == std::vector<TermStart>{all[2], all[3]}));
  CHECK(table.Between(Lsn(1), Lsn(100), 4).empty() && table.Between(Lsn(100), Lsn(300), 0).empty());
  CHECK((table.Newest(2) == std::vector<TermStart>{all[2], all[3]}));
  CHECK(table.Newest(4) == all && table.Newest(5) == all && table.Newest(0).empty());
  CHECK(TermTable().Newest(3).empty() && TermTable().Between(Lsn(), kMaxLsn, 3).empty());
}

TEST(core_terms, the_oldest_row_is_forgotten_beyond_the_limit) {
  std::vector<TermStart> rows;
  TermTable table;
  for (uint32_t i = 0; i <= kMaxTerms; ++i) {
    rows.push_back(Row(i + 1, 100 * (i + 1)));
    CHECK(table.Add(rows.back()));
    const size_t kept = std::min<size_t>(i + 1, kMaxTerms);
    CHECK_EQ(table.rows().size(), kept);
    CHECK(table.rows().front() == (i < kMaxTerms ? rows.front() : rows[1]));
  }
  CHECK(table.At(Lsn(200)).none());  // was of term 1
  CHECK(table.At(Lsn(201)) == BallotOf(2));
  for (const size_t count : {kMaxTerms - 1, kMaxTerms, kMaxTerms + 1}) {
    TermTable reset = TableOf({Row(7, 7)});
    reset.Reset({rows.begin(), rows.begin() + static_cast<ptrdiff_t>(count)});
    const size_t kept = std::min(count, kMaxTerms);
    CHECK_EQ(reset.rows().size(), kept);
    CHECK(reset.last() == rows[count - 1].term);
  }
}

TEST(core_terms, logs_part_at_the_end_of_the_last_term_they_share) {
  const TermTable table = TableOf({Row(1, 0), Row(2, 100), Row(4, 200)});
  const Lsn end(300);
  CHECK_EQ(table.Fork(end, table.rows(), end), end);
  CHECK_EQ(table.Fork(end, table.rows(), Lsn(250)), Lsn(250));
  CHECK_EQ(table.Fork(end, {Row(1, 0), Row(2, 100), Row(3, 180)}, Lsn(900)), Lsn(180));
  CHECK_EQ(table.Fork(end, {Row(1, 0), Row(2, 100), Row(5, 260)}, Lsn(900)), Lsn(200));
  CHECK_EQ(table.Fork(end, {Row(1, 0), Row(2, 50, 0xb)}, Lsn(900)), Lsn(50));
  CHECK_EQ(table.Fork(end, {Row(4, 200)}, Lsn(280)), Lsn(280));
  CHECK_EQ(table.Fork(end, {Row(1, 0, 0xb)}, Lsn(900)), Lsn());
  CHECK_EQ(table.Fork(end, {}, Lsn(900)), Lsn());
  CHECK_EQ(TermTable().Fork(end, table.rows(), Lsn(900)), Lsn());
}

// Nobody can have such a row, so what else its sender says proves nothing.
TEST(core_terms, a_row_that_begins_elsewhere_is_not_shared) {
  const TermTable table = TableOf({Row(1, 0), Row(2, 100)});
  CHECK_EQ(table.Fork(Lsn(300), {Row(1, 0), Row(2, 90)}, Lsn(300)), Lsn(90));
  CHECK_EQ(table.Fork(Lsn(300), {Row(2, 90)}, Lsn(300)), Lsn());
}

// --- The model: what the table has to know without looking at records ----------------------------

struct ModelRecord {
  Ballot ballot;
  Lsn start, end;
  uint64_t number = 0;  // of this record among all that were ever written

  bool operator==(const ModelRecord&) const = default;
};
using ModelLog = std::vector<ModelRecord>;

size_t CommonRecords(const ModelLog& left, const ModelLog& right) {
  const auto differ = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  return static_cast<size_t>(differ.first - left.begin());
}
Lsn EndOf(const ModelLog& log) { return log.empty() ? Lsn() : log.back().end; }

std::vector<TermStart> RowsOf(const ModelLog& log) {
  std::vector<TermStart> rows;
  for (const ModelRecord& record : log) {
    if (rows.empty() || rows.back().term != record.ballot) {
      rows.push_back({record.ballot, record.start});
    }
  }
  return rows;
}

// A group whose members lead, append, copy from each other and lose what they had, at random.
class Group {
 public:
  Group(std::mt19937_64& random, size_t members) : random_(random), members_(members) {
    // A log from before the group, at its founder.
    for (uint64_t i = random_() % 4; i > 0; --i) Append(members_[0], Ballot{});
  }

  const ModelLog& log(size_t member) const { return members_[member].log; }
  size_t size() const { return members_.size(); }

  void Step() {
    const size_t chosen = random_() % members_.size();
    Of& member = members_[chosen];
    switch (random_() % 10) {
      case 0:
      case 1: {
        const uint32_t last = member.log.empty() ? 0 : member.log.back().ballot.counter.value;
        member.counter = std::max(member.counter, last) + 1 + static_cast<uint32_t>(random_() % 2);
        member.leads = true;
        Append(member, BallotOf(member.counter, chosen + 1));
        break;
      }
      case 2: {
        member.leads = false;
        member.log.resize(member.log.size() - random_() % (member.log.size() / 4 + 1));
        break;
      }
      case 3:
      case 4: {
        const ModelLog& from = members_[random_() % members_.size()].log;
        if (&from == &member.log) return;
        member.leads = false;
        const size_t common = CommonRecords(member.log, from);
        const size_t copied = random_() % (from.size() - common + 1);
        member.log.assign(from.begin(), from.begin() + static_cast<ptrdiff_t>(common + copied));
        break;
      }
      default:
        if (member.leads) Append(member, BallotOf(member.counter, chosen + 1));
    }
  }

 private:
  struct Of {
    ModelLog log;
    uint32_t counter = 0;  // highest it has led with
    bool leads = false;
  };

  void Append(Of& member, const Ballot& ballot) {
    const Lsn start = EndOf(member.log);
    member.log.push_back({ballot, start, start + 8 * (1 + random_() % 9), ++records_});
  }

  std::mt19937_64& random_;
  std::vector<Of> members_;
  uint64_t records_ = 0;
};

void CheckLookups(const ModelLog& log) {
  const TermTable table = TableOf(RowsOf(log));
  for (const ModelRecord& record : log) {
    CHECK(table.At(record.end) == record.ballot);
    CHECK((table.PositionAt(record.end) == Position{record.ballot, record.end}));
  }
  for (const ModelRecord& record : log) {
    TermTable cut = table;
    cut.CutTo(record.start);
    const ModelLog left(log.begin(), std::find(log.begin(), log.end(), record));
    CHECK(cut.rows() == RowsOf(left));
  }
}

// Rows without the oldest `forgotten`.
std::vector<TermStart> Without(std::vector<TermStart> rows, size_t forgotten) {
  rows.erase(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(std::min(forgotten, rows.size())));
  return rows;
}

bool Holds(const std::vector<TermStart>& rows, const Ballot& ballot) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const TermStart& row) { return row.term == ballot; });
}

void CheckFork(std::mt19937_64& random, const ModelLog& left, const ModelLog& right) {
  const size_t common = CommonRecords(left, right);
  const Lsn fork = common == 0 ? Lsn() : left[common - 1].end;
  const std::vector<TermStart> left_rows = RowsOf(left), right_rows = RowsOf(right);
  CHECK_EQ(TableOf(left_rows).Fork(EndOf(left), right_rows, EndOf(right)), fork);
  const auto left_part = Without(left_rows, random() % (left_rows.size() + 1));
  const auto right_part = Without(right_rows, random() % (right_rows.size() + 1));
  const bool known = common > 0 && Holds(left_part, left[common - 1].ballot) &&
                     Holds(right_part, left[common - 1].ballot);
  const Lsn certain = TableOf(left_part).Fork(EndOf(left), right_part, EndOf(right));
  CHECK_EQ(certain, known ? fork : Lsn());
}

TEST(core_terms, forks_are_where_the_records_part) {
  std::mt19937_64 random(Seed());
  uint64_t parted = 0;
  for (uint64_t round = 0; round < Scale(300); ++round) {
    Group group(random, 2 + random() % 4);
    for (uint64_t steps = 20 + random() % 150; steps > 0; --steps) group.Step();
    for (size_t left = 0; left < group.size(); ++left) {
      CheckLookups(group.log(left));
      for (size_t right = 0; right < group.size(); ++right) {
        CheckFork(random, group.log(left), group.log(right));
        const size_t common = CommonRecords(group.log(left), group.log(right));
        parted += common > 0 && common < group.log(left).size() && common < group.log(right).size();
      }
    }
  }
  CHECK(parted > Scale(300));  // there were real forks among them
}

}  // namespace
}  // namespace ringleader
