// What the parts of a single-step kill sweep over a store share: the test, the witness that stays
// alive, and the target program that is killed (programs/store_step_target.cc).
//
// Transactions of all processes are numbered in one sequence, since only one process at a time does
// anything. Transaction n puts a row of its own into `a`, writes its number into a row of `a` and
// one of `b`, and puts or removes a row of `b`. One whose process died before it knew is decided by
// the next process that looks, once and for all.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "store_fixture.h"

namespace ringleader::test {

inline constexpr uint32_t kMaxStepTransactions = 16384;
inline constexpr uint64_t kStepBoundNs = 10'000'000'000;

enum class StepFate : uint32_t { kNone, kTried, kThere, kGone };

struct StoreStepLedger {
  struct Transaction {
    std::atomic<uint32_t> size;
    std::atomic<StepFate> fate;
  };

  std::atomic<uint32_t> section_done;  // the target has come to the end of what is tested
  std::atomic<uint32_t> count;
  std::atomic<uint64_t> repairs;  // of the region that the witness sees
  std::atomic<uint64_t> ends;     // how often it found that the environment had ended
  // Transactions that are rolled back together: all of them are there, or none.
  std::atomic<uint32_t> together_first, together_end;
  std::array<char, 1024> report;  // why the target gave up
  std::array<Transaction, kMaxStepTransactions> transaction;
};

struct StepDatabases {
  DatabaseId a, b;
};

inline StepDatabases FindStepDatabases(Store& store) {
  CHECK_VALUE(const Database a, store.OpenDatabase("a", {}, true));
  CHECK_VALUE(const Database b, store.OpenDatabase("b", {}, true));
  return {a.id, b.id};
}

inline std::string StepNumber(uint32_t number) {
  const std::string digits = std::to_string(number);
  return std::string(8 - digits.size(), '0') + digits;
}

inline std::string StepRow(const StepDatabases& databases, uint32_t number) {
  return KeyOf(databases.a, "row" + StepNumber(number));
}

// A transaction that has been noted but not committed.
class NotedTransaction {
 public:
  NotedTransaction(StoreStepLedger& ledger, const StepDatabases& databases, size_t size)
      : ledger_(ledger), number_(ledger.count.load(std::memory_order_acquire)) {
    CHECK(number_ < kMaxStepTransactions);
    ledger.transaction[number_].size.store(static_cast<uint32_t>(size), std::memory_order_release);
    ledger.transaction[number_].fate.store(StepFate::kTried, std::memory_order_release);
    ledger.count.store(number_ + 1, std::memory_order_release);
    const std::string last = StepNumber(number_);
    const std::string flag = KeyOf(databases.b, "flag");
    CHECK_OK(writes_.Put(AsBytes(StepRow(databases, number_)), Payload(number_, size)));
    CHECK_OK(writes_.Put(AsBytes(KeyOf(databases.a, "last")), AsBytes(last)));
    CHECK_OK(number_ % 2 == 0 ? writes_.Put(AsBytes(flag), AsBytes(last))
                              : writes_.Remove(AsBytes(flag)));
    CHECK_OK(writes_.Put(AsBytes(KeyOf(databases.b, "last")), AsBytes(last)));
    payload_ = writes_.Encode();
    commit_.payload = payload_;
  }
  NotedTransaction(const NotedTransaction&) = delete;
  NotedTransaction& operator=(const NotedTransaction&) = delete;

  Commit& commit() { return commit_; }
  const std::vector<uint8_t>& payload() const { return payload_; }
  void Settle() {
    CHECK_EQ(commit_.verdict, Verdict::kCommitted);
    ledger_.transaction[number_].fate.store(StepFate::kThere, std::memory_order_release);
  }

 private:
  StoreStepLedger& ledger_;
  const uint32_t number_;
  WriteSet writes_;
  std::vector<uint8_t> payload_;
  Commit commit_;
};

inline Lsn CommitNoted(StoreStepLedger& ledger, Store& store, const StepDatabases& databases,
                       size_t size) {
  NotedTransaction noted(ledger, databases, size);
  CHECK_OK(store.CommitOne(noted.commit(), kStepBoundNs));
  noted.Settle();
  return noted.commit().appended.end;
}

// All that counts is there, whole. `decide`: what was not decided is. That takes a commit since the
// death: what a dead writer has put into the log is visible from the next one on.
inline void CheckTransactions(StoreStepLedger& ledger, Store& store, const StepDatabases& databases,
                              bool decide) {
  const auto view = TakeView(store);
  CHECK_VALUE(const auto cursor, MergeCursor::Open(*view, nullptr));
  CHECK_OK(cursor->SeekAtLeast(AsBytes(KeyOf(databases.a, "row"))));
  const uint32_t count = ledger.count.load(std::memory_order_acquire);
  std::optional<uint32_t> last;
  for (uint32_t number = 0; number < count; ++number) {
    std::atomic<StepFate>& fate = ledger.transaction[number].fate;
    const StepFate was = fate.load(std::memory_order_acquire);
    const std::string key = StepRow(databases, number);
    const bool there = cursor->valid() && AsText(cursor->row_key()) == key;
    const std::string name = "transaction " + StepNumber(number);
    if (there && was == StepFate::kGone) Fail(__FILE__, __LINE__, name + " has come back");
    if (!there && was == StepFate::kThere) Fail(__FILE__, __LINE__, name + " is lost");
    if (there) fate.store(StepFate::kThere, std::memory_order_release);
    if (!there && decide) fate.store(StepFate::kGone, std::memory_order_release);
    if (!there) continue;
    const size_t size = ledger.transaction[number].size.load(std::memory_order_acquire);
    CHECK(cursor->row().version <= view->lsn());
    const auto expected = Payload(number, size);
    CHECK(std::ranges::equal(cursor->row().value, expected));
    CHECK(ValueOf(*view, key) == AsText(expected));
    last = number;
    CHECK_OK(cursor->Next());
  }
  CHECK(!cursor->valid() || LoadRowPrefix(cursor->row_key()) != databases.a);
  const std::string expected = last ? StepNumber(*last) : "none";
  CHECK_EQ(ValueOf(*view, KeyOf(databases.a, "last")), expected);
  CHECK_EQ(ValueOf(*view, KeyOf(databases.b, "last")), expected);
  const bool flag = last && *last % 2 == 0;
  CHECK_EQ(ValueOf(*view, KeyOf(databases.b, "flag")), flag ? expected : "none");
}

// Whether those that were to be rolled back are there; decided, and all the same.
inline bool CheckTogether(const StoreStepLedger& ledger) {
  const uint32_t first = ledger.together_first.load(std::memory_order_acquire);
  const uint32_t end = ledger.together_end.load(std::memory_order_acquire);
  if (first == end) return false;
  const StepFate fate = ledger.transaction[first].fate.load(std::memory_order_acquire);
  for (uint32_t number = first; number < end; ++number) {
    CHECK(ledger.transaction[number].fate.load(std::memory_order_acquire) == fate);
  }
  CHECK(fate == StepFate::kThere || fate == StepFate::kGone);
  return fate == StepFate::kThere;
}

// Everything a process must be able to do after another one has died, within a bounded time.
inline void CheckStore(StoreStepLedger& ledger, Store& store, bool fold) {
  const StepDatabases databases = FindStepDatabases(store);
  CheckTransactions(ledger, store, databases, false);
  const Lsn end = CommitNoted(ledger, store, databases, 60);
  CHECK_OK(store.log().WaitFor(end, Level::kFlushed, kStepBoundNs));
  CheckTransactions(ledger, store, databases, true);
  CHECK_OK(store.log().Tick());
  if (!fold) return;
  CHECK_OK(store.Fold(kStepBoundNs));
  CHECK(store.Stat().base.applied >= end);
  CheckTransactions(ledger, store, databases, true);
}

}  // namespace ringleader::test
