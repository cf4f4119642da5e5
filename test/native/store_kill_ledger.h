// What the processes of a store's kill campaign tell each other, and what every view must show.
//
// Databases: `accounts`, between which money is moved; `left` and `right`, in which every writer
// writes the same counter; `flags`, where a writer has a row while its counter is odd; `journal`,
// with a row for every attempt at a transaction; `sums`, with one number that is added to.
//
// Each start of a writer is a life. Its attempts are numbered from 0, and each writes its number
// plus one as the counter, so a counter says which attempt of a life was the last one to commit. An
// attempt is tried before its commit begins, and committed or refused once the verdict is known.
// Death of a process undoes no commit.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "store_fixture.h"

namespace ringleader::test {

inline constexpr uint32_t kStoreLives = 1u << 15;
inline constexpr uint32_t kAttempts = 1024;
inline constexpr uint32_t kAccounts = 24;
inline constexpr uint64_t kMoneyPerAccount = 1000;

enum class AttemptFate : uint8_t { kNone, kTried, kCommitted, kRefused };
enum class Phase : uint32_t { kNone, kOpening, kWorking, kClosing };

struct StoreLife {
  std::atomic<uint32_t> tried;      // attempts begun
  std::atomic<uint32_t> committed;  // one more than the last attempt known to have committed
  std::array<std::atomic<AttemptFate>, kAttempts> fate;
};

struct StoreLedger {
  std::atomic<uint32_t> lives;
  std::atomic<uint32_t> stop;
  std::array<std::atomic<Phase>, 16> phase;  // by slot of the campaign
  std::atomic<uint64_t> adds_tried;
  std::atomic<uint64_t> adds_committed;
  std::atomic<uint64_t> commits;
  std::atomic<uint64_t> conflicts;
  std::atomic<uint64_t> views;
  std::atomic<uint64_t> openings;
  std::atomic<uint64_t> recoveries;
  std::atomic<uint64_t> folds;  // of the region that is there
  std::atomic<uint64_t> repairs;
  std::array<StoreLife, kStoreLives> life;
};

struct StoreDatabases {
  DatabaseId accounts, left, right, flags, journal, sums;
};

inline StoreDatabases MakeStoreDatabases(Store& store) {
  return {MakeDatabase(store, "accounts"), MakeDatabase(store, "left"),
          MakeDatabase(store, "right"),    MakeDatabase(store, "flags"),
          MakeDatabase(store, "journal"),  MakeDatabase(store, "sums")};
}

inline std::string Digits(uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(10 - digits.size(), '0') + digits;
}

inline std::string JournalKey(DatabaseId journal, uint32_t life, uint32_t attempt) {
  return KeyOf(journal, Digits(life) + Digits(attempt));
}

// Mostly small; some take several records of the log, a few are larger than its ring.
inline std::string JournalValue(uint32_t life, uint32_t attempt) {
  const uint64_t number = uint64_t{life} << 32 | attempt;
  uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15u;
  mixed ^= mixed >> 29;
  const uint64_t kind = mixed % 1000;
  size_t size = 8 + mixed / 1000 % 200;
  if (kind >= 850) size += mixed / 1000 % 5000;
  if (kind >= 985) size += 30'000;
  if (kind >= 997) size += 90'000;
  return AsText(Payload(number, size));
}

inline uint64_t NumberIn(const std::string& text) { return std::stoull(text); }

// What had been committed at some moment: lives and their counters.
using StorePromises = std::vector<std::pair<uint32_t, uint32_t>>;

inline StorePromises PromisesOf(const StoreLedger& ledger, uint32_t count) {
  const uint32_t lives = ledger.lives.load(std::memory_order_acquire);
  StorePromises promises;
  for (uint32_t i = lives - std::min(count, lives); i < lives; ++i) {
    promises.emplace_back(i, ledger.life[i].committed.load(std::memory_order_acquire));
  }
  return promises;
}

// Looks at views of one store, one after the other.
class ViewChecker {
 public:
  ViewChecker(const StoreLedger& ledger, const StoreDatabases& databases)
      : ledger_(ledger), databases_(databases) {}

  // `promises`: taken before the view was.
  void Check(View& view, const StorePromises& promises) {
    if (view.lsn() < last_) Fail(__FILE__, __LINE__, "a view went back");
    last_ = view.lsn();
    CheckMoney(view);
    CheckSum(view);
    for (const auto& [life, promised] : promises) CheckLife(view, life, promised);
  }

  void CheckJournal(View& view, uint32_t life, uint32_t promised) {
    CHECK_VALUE(const auto cursor, MergeCursor::Open(view, nullptr));
    const std::string low = JournalKey(databases_.journal, life, 0);
    CHECK_OK(cursor->SeekAtLeast(AsBytes(low)));
    uint32_t next = 0;
    const auto miss = [&](uint32_t until) {
      for (; next < until; ++next) {
        const AttemptFate fate = ledger_.life[life].fate[next].load(std::memory_order_acquire);
        if (fate == AttemptFate::kCommitted && next < promised) {
          Fail(__FILE__, __LINE__, Name(life, next) + " is lost");
        }
      }
    };
    while (cursor->valid() && cursor->row_key().size() == low.size()) {
      const std::string key = AsText(cursor->row_key());
      if (key.compare(0, low.size() - 10, low, 0, low.size() - 10) != 0) break;
      const auto attempt = static_cast<uint32_t>(NumberIn(key.substr(low.size() - 10)));
      miss(attempt);
      if (attempt >= ledger_.life[life].tried.load(std::memory_order_acquire)) {
        Fail(__FILE__, __LINE__, Name(life, attempt) + " was never tried");
      }
      if (ledger_.life[life].fate[attempt].load(std::memory_order_acquire) ==
          AttemptFate::kRefused) {
        Fail(__FILE__, __LINE__, Name(life, attempt) + " was refused and is there");
      }
      CHECK(AsText(cursor->row().value) == JournalValue(life, attempt));
      next = attempt + 1;
      CHECK_OK(cursor->Next());
    }
    miss(promised);
    CHECK_EQ(next > 0, ValueOf(view, Counter(databases_.left, life)) != "none");
  }

  std::string Counter(DatabaseId database, uint32_t life) const {
    return KeyOf(database, Digits(life));
  }

 private:
  static std::string Name(uint32_t life, uint32_t attempt) {
    return "attempt " + std::to_string(attempt) + " of life " + std::to_string(life);
  }

  // Nothing is made and nothing lost, whichever way one looks.
  void CheckMoney(View& view) {
    CHECK_VALUE(const auto cursor, MergeCursor::Open(view, nullptr));
    std::vector<std::pair<std::string, uint64_t>> forward, backward;
    const auto see = [&](auto& rows) {
      CHECK(cursor->row().version <= view.lsn());
      rows.emplace_back(AsText(cursor->row_key()), NumberIn(AsText(cursor->row().value)));
    };
    const auto here = [&] {
      return cursor->valid() && LoadRowPrefix(cursor->row_key()) == databases_.accounts;
    };
    CHECK_OK(cursor->SeekAtLeast(AsBytes(KeyOf(databases_.accounts, ""))));
    while (here()) {
      see(forward);
      CHECK_OK(cursor->Next());
    }
    CHECK_OK(cursor->SeekBelow(AsBytes(KeyOf(databases_.accounts + 1, ""))));
    while (here()) {
      see(backward);
      CHECK_OK(cursor->Prev());
    }
    std::reverse(backward.begin(), backward.end());
    CHECK(forward == backward);
    CHECK_EQ(forward.size(), size_t{kAccounts});
    uint64_t sum = 0;
    for (const auto& [key, money] : forward) {
      CHECK_EQ(ValueOf(view, key), std::to_string(money));
      sum += money;
    }
    CHECK_EQ(sum, kAccounts * kMoneyPerAccount);
  }

  void CheckSum(View& view) {
    const uint64_t least = adds_seen_;
    CHECK_VALUE(const auto row, view.Get(AsBytes(KeyOf(databases_.sums, "sum"))));
    if (!row) return;
    CHECK_EQ(row->value.size(), sizeof(double));
    double sum = 0;
    std::memcpy(&sum, row->value.data(), sizeof sum);
    adds_seen_ = static_cast<uint64_t>(sum);
    CHECK(adds_seen_ >= least);
    CHECK(adds_seen_ <= ledger_.adds_tried.load(std::memory_order_acquire));
  }

  // Every transaction is there whole or not at all, and what was committed stays.
  void CheckLife(View& view, uint32_t life, uint32_t promised) {
    CHECK_VALUE(const auto left, view.Get(AsBytes(Counter(databases_.left, life))));
    CHECK_VALUE(const auto right, view.Get(AsBytes(Counter(databases_.right, life))));
    CHECK_EQ(left.has_value(), right.has_value());
    if (!left) {
      if (promised > 0) Fail(__FILE__, __LINE__, Name(life, promised - 1) + " is lost: no counter");
      return;
    }
    const uint64_t counter = NumberIn(AsText(left->value));
    CHECK_EQ(counter, NumberIn(AsText(right->value)));
    CHECK_EQ(left->version, right->version);
    CHECK(left->version <= view.lsn());
    if (counter < promised) {
      Fail(__FILE__, __LINE__,
           Name(life, promised - 1) + " is lost: the counter is " + std::to_string(counter));
    }
    CHECK(counter <= ledger_.life[life].tried.load(std::memory_order_acquire));
    CHECK_EQ(ValueOf(view, Counter(databases_.flags, life)) != "none", counter % 2 == 1);
    auto& [version, seen] = seen_[life];
    CHECK(left->version >= version && counter >= seen);
    CHECK_EQ(left->version == version, counter == seen);
    version = left->version;
    seen = counter;
  }

  const StoreLedger& ledger_;
  const StoreDatabases databases_;
  Lsn last_;
  uint64_t adds_seen_ = 0;
  std::map<uint32_t, std::pair<Lsn, uint64_t>> seen_;  // version and counter, by life
};

}  // namespace ringleader::test
