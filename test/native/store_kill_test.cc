// Processes that are killed at random moments while they work on one small store.
//
// Writers move money, count and add; one process folds all the time, readers hold every view to
// what store_kill_ledger.h says, one opens and closes. Generations and log are so small that every
// mechanism is in use all the time. A process is killed every few milliseconds and replaced; now
// and then all die at once, and whoever opens next recovers. Before it is killed a process is
// stopped, and the parent looks which locks it holds.
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <memory>
#include <random>
#include <thread>

#include "child_process.h"
#include "kill_snapshot.h"
#include "store/store_region.h"
#include "store_kill_ledger.h"

namespace ringleader {
namespace {

using namespace test;

using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr size_t kWriters = 3;
constexpr size_t kFolder = kWriters;
constexpr size_t kOpener = kWriters + 1;
// Readers have the slots behind it.
constexpr size_t kSlots = kWriters + 4;
constexpr uint32_t kRecentLives = 48;
constexpr uint64_t kKillsPerRound = 150;
constexpr std::chrono::milliseconds kPatience{60'000};

class Dice {
 public:
  explicit Dice(uint64_t seed) : bits_(seed) {}
  uint64_t Below(uint64_t limit) { return bits_() % limit; }
  bool OneIn(uint64_t count) { return Below(count) == 0; }
  microseconds Micros(uint64_t from, uint64_t to) { return microseconds(from + Below(to - from)); }

 private:
  std::mt19937_64 bits_;
};

StoreOptions CampaignStore(Dice& dice) {
  StoreOptions options = BusyStore();
  options.log.flush_interval_ns = (1 + dice.Below(20)) * 1'000'000;
  options.fold_interval_ns = (5 + dice.Below(200)) * 1'000'000;
  options.max_frozen = 1 + static_cast<uint32_t>(dice.Below(3));
  options.max_readers = 256;
  options.reservation_lease_ns = 20'000'000;
  return options;
}

bool Stopping(const StoreLedger& ledger) {
  return ledger.stop.load(std::memory_order_acquire) != 0;
}

void RaiseTo(std::atomic<uint64_t>& word, uint64_t value) {
  uint64_t seen = word.load(std::memory_order_acquire);
  while (seen < value && !word.compare_exchange_weak(seen, value, std::memory_order_acq_rel)) {
  }
}

// A store as one process of the campaign has it.
class Worker {
 public:
  Worker(StoreLedger& ledger, const std::string& directory, size_t slot, uint64_t seed)
      : ledger_(ledger), directory_(directory), slot_(slot), dice_(seed) {}

 protected:
  void Open() {
    Enter(Phase::kOpening);
    store_ = OpenStore(directory_, CampaignStore(dice_));
    Enter(Phase::kWorking);
    ledger_.openings.fetch_add(1, std::memory_order_acq_rel);
    if (store_->Stat().log.recovery_ns != 0) {
      ledger_.recoveries.fetch_add(1, std::memory_order_acq_rel);
    }
  }

  void Close() {
    const StoreStat stat = store_->Stat();
    RaiseTo(ledger_.folds, stat.folds);
    RaiseTo(ledger_.repairs, stat.log.writer_repairs);
    Enter(Phase::kClosing);
    CHECK_OK(store_->Close());
    store_.reset();
    Enter(Phase::kNone);
  }

  void Enter(Phase phase) { ledger_.phase[slot_].store(phase, std::memory_order_release); }
  void Nap(uint64_t from, uint64_t to) { std::this_thread::sleep_for(dice_.Micros(from, to)); }

  StoreLedger& ledger_;
  const std::string directory_;
  const size_t slot_;
  Dice dice_;
  std::unique_ptr<Store> store_;
};

StoreDatabases FindDatabases(Store& store) {
  const auto find = [&](const char* name) {
    CHECK_VALUE(const Database database, store.OpenDatabase(name, {}, false));
    return database.id;
  };
  return {find("accounts"), find("left"),    find("right"),
          find("flags"),    find("journal"), find("sums")};
}

// --- a writer ------------------------------------------------------------------------------------

class Writer : Worker {
 public:
  Writer(StoreLedger& ledger, const std::string& directory, size_t slot, uint64_t seed,
         uint32_t life)
      : Worker(ledger, directory, slot, seed), life_(life) {}

  void Run() {
    Open();
    databases_ = FindDatabases(*store_);
    while (!Stopping(ledger_)) {
      if (next_ + 16 > kAttempts) {
        Nap(1000, 2000);
        continue;
      }
      switch (dice_.Below(8)) {
        case 0:
          Add();
          break;
        case 1:
          WriteBlindly();
          break;
        default:
          Move();
          break;
      }
      if (dice_.OneIn(12)) Nap(50, 1500);
      if (dice_.OneIn(12)) Flush();
    }
    Close();
  }

 private:
  StoreLife& life() { return ledger_.life[life_]; }

  uint32_t Try() {
    life().tried.store(next_ + 1, std::memory_order_release);
    life().fate[next_].store(AttemptFate::kTried, std::memory_order_release);
    return next_++;
  }

  void Settle(uint32_t attempt, Verdict verdict, Lsn end) {
    CHECK(verdict == Verdict::kCommitted || verdict == Verdict::kConflict);
    const bool committed = verdict == Verdict::kCommitted;
    life().fate[attempt].store(committed ? AttemptFate::kCommitted : AttemptFate::kRefused,
                               std::memory_order_release);
    if (committed) life().committed.store(attempt + 1, std::memory_order_release);
    if (committed) last_ = end;
    (committed ? ledger_.commits : ledger_.conflicts).fetch_add(1, std::memory_order_acq_rel);
  }

  // What every attempt writes.
  template <typename Writes>
  void Note(Writes& writes, uint32_t attempt) {
    const std::string name = Digits(life_), counter = std::to_string(attempt + 1);
    CHECK_OK(writes.Put(AsBytes(KeyOf(databases_.left, name)), AsBytes(counter)));
    CHECK_OK(writes.Put(AsBytes(JournalKey(databases_.journal, life_, attempt)),
                        AsBytes(JournalValue(life_, attempt))));
    const std::string flag = KeyOf(databases_.flags, name);
    CHECK_OK(attempt % 2 == 0 ? writes.Put(AsBytes(flag), AsBytes("odd"))
                              : writes.Remove(AsBytes(flag)));
    CHECK_OK(writes.Put(AsBytes(KeyOf(databases_.right, name)), AsBytes(counter)));
  }

  // Moves money between two accounts, until it commits; with a reservation from the third time on.
  void Move() {
    for (int tries = 0; !Stopping(ledger_) && next_ < kAttempts; ++tries) {
      uint64_t ticket = 0;
      if (tries >= 2) {
        const auto reserved = store_->Reserve(20'000'000);
        if (reserved.ok()) ticket = reserved.value();
      }
      CHECK_VALUE(const auto transaction,
                  Transaction::Begin(*store_, Isolation::kSerializable, ticket));
      MoveIn(*transaction);
      const uint32_t attempt = Try();
      Note(*transaction, attempt);
      Commit commit = transaction->PrepareCommit();
      CHECK_OK(store_->CommitOne(commit));
      Settle(attempt, commit.verdict, commit.appended.end);
      if (ticket != 0) store_->GiveBack(ticket);
      if (commit.verdict == Verdict::kCommitted) return;
    }
  }

  void MoveIn(Transaction& transaction) {
    const auto account = [&] { return KeyOf(databases_.accounts, Digits(dice_.Below(kAccounts))); };
    const std::string from = account(), to = account();
    const uint64_t had = NumberIn(ValueOf(transaction, from));
    const uint64_t amount = dice_.Below(had + 1);
    CHECK_OK(transaction.Put(AsBytes(from), AsBytes(std::to_string(had - amount))));
    const uint64_t has = NumberIn(ValueOf(transaction, to));
    CHECK_OK(transaction.Put(AsBytes(to), AsBytes(std::to_string(has + amount))));
  }

  void Add() {
    AtomicOperation add;
    add.kind = AtomicKind::kAdd;
    const std::string key = KeyOf(databases_.sums, "sum");
    add.row_key.assign(key.begin(), key.end());
    add.delta = 1;
    Commit commit;
    commit.atomic = &add;
    ledger_.adds_tried.fetch_add(1, std::memory_order_acq_rel);
    CHECK_OK(store_->CommitOne(commit));
    CHECK_EQ(commit.verdict, Verdict::kCommitted);
    ledger_.adds_committed.fetch_add(1, std::memory_order_acq_rel);
  }

  // Several transactions at once that rest on nothing.
  void WriteBlindly() {
    const size_t count = 2 + dice_.Below(6);
    std::vector<std::vector<uint8_t>> payloads(count);
    std::vector<Commit> commits(count);
    std::vector<Commit*> pointers;
    const uint32_t first = next_;
    for (size_t i = 0; i < count; ++i) {
      WriteSet writes;
      Note(writes, first + static_cast<uint32_t>(i));
      payloads[i] = writes.Encode();
      commits[i].payload = payloads[i];
      pointers.push_back(&commits[i]);
    }
    for (size_t i = 0; i < count; ++i) Try();
    CHECK_VALUE(const size_t done, store_->TryCommit(pointers));
    for (size_t i = 0; i < count; ++i) {
      if (i >= done) CHECK_OK(store_->CommitOne(commits[i]));
      Settle(first + static_cast<uint32_t>(i), commits[i].verdict, commits[i].appended.end);
    }
  }

  void Flush() {
    if (last_.value == 0) return;
    CHECK_OK(store_->log().WaitFor(last_, dice_.OneIn(2) ? Level::kFlushed : Level::kWritten));
  }

  const uint32_t life_;
  StoreDatabases databases_{};
  uint32_t next_ = 0;
  Lsn last_;
};

// --- the others ----------------------------------------------------------------------------------

class FoldWorker : Worker {
 public:
  using Worker::Worker;
  void Run() {
    Open();
    while (!Stopping(ledger_)) {
      const Status folded = store_->Fold(50'000'000);
      if (folded.code() != Code::kTimeout) CHECK_OK(folded);
      Nap(200, 5000);
    }
    Close();
  }
};

class OpenWorker : Worker {
 public:
  using Worker::Worker;
  void Run() {
    while (!Stopping(ledger_)) {
      Open();
      CHECK_OK(store_->NewView()->Renew());
      Close();
      Nap(100, 1500);
    }
  }
};

class ReadWorker : Worker {
 public:
  using Worker::Worker;
  void Run() {
    Open();
    const StoreDatabases databases = FindDatabases(*store_);
    ViewChecker checker(ledger_, databases);
    auto view = store_->NewView();
    while (!Stopping(ledger_)) {
      const StorePromises promises = PromisesOf(ledger_, kRecentLives);
      CHECK_OK(view->Renew());
      checker.Check(*view, promises);
      if (!promises.empty()) {
        const auto& [life, promised] = promises[dice_.Below(promises.size())];
        checker.CheckJournal(*view, life, promised);
      }
      ledger_.views.fetch_add(1, std::memory_order_acq_rel);
      if (dice_.OneIn(3)) view->Release();
      Nap(50, 1500);
    }
    view.reset();
    Close();
  }
};

// --- what a process holds ------------------------------------------------------------------------

// The thread that holds a robust mutex, 0 = none.
pid_t HolderOf(const uint8_t* mutex) {
  constexpr int kOwnerMask = 0x3fffffff;
  int word = 0;
  std::memcpy(&word, mutex, sizeof word);
  return word & kOwnerMask;
}

// Looks at the locks of an environment that is in use.
class LockWatch {
 public:
  explicit LockWatch(std::string directory) : directory_(std::move(directory)) {}

  bool HoldsWriterLock(pid_t pid) {
    return Holds(pid, RegionPath(directory_),
                 offsetof(RegionLayout, writer) + offsetof(WriterSection, mutex));
  }
  bool HoldsFoldRole(pid_t pid) {
    std::string path = RegionPath(directory_);
    path.replace(path.size() - 6, 6, "store");
    return Holds(pid, path, offsetof(StoreLayout, fold) + offsetof(FoldWords, role));
  }
  // The second cache line of LMDB's lock file is its writer mutex.
  bool HoldsWriteTransaction(pid_t pid) { return Holds(pid, directory_ + "/base/lock.mdb", 64); }

 private:
  static bool Holds(pid_t pid, const std::string& path, size_t offset) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    std::array<uint8_t, sizeof(int)> word{};
    const ssize_t got = pread(fd, word.data(), word.size(), static_cast<off_t>(offset));
    close(fd);
    if (got != static_cast<ssize_t>(word.size())) return false;
    const pid_t holder = HolderOf(word.data());
    if (holder == 0) return false;
    const std::string task = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(holder);
    return access(task.c_str(), F_OK) == 0;
  }

  const std::string directory_;
};

// --- the campaign --------------------------------------------------------------------------------

class StoreCampaign {
 public:
  explicit StoreCampaign(uint64_t kills)
      : kills_(kills), dice_(Seed()), directory_(TempDir() + "/env"), locks_(directory_) {
    const auto store = OpenStore(directory_);
    databases_ = MakeStoreDatabases(*store);
    WriteSet writes;
    for (uint64_t i = 0; i < kAccounts; ++i) {
      CHECK_OK(writes.Put(AsBytes(KeyOf(databases_.accounts, Digits(i))),
                          AsBytes(std::to_string(kMoneyPerAccount))));
    }
    CommitWrites(*store, writes);
    CHECK_OK(store->Close());
  }

  void Run() {
    for (uint64_t round = 0; killed_ < kills_; ++round) {
      for (size_t slot = 0; slot < kSlots; ++slot) Start(slot);
      const uint64_t until = std::min(kills_, killed_ + kKillsPerRound);
      while (killed_ < until) {
        std::this_thread::sleep_for(dice_.Micros(500, 8000));
        if (dice_.OneIn(40)) {
          KillAll();
          for (size_t slot = 0; slot < kSlots; ++slot) Start(slot);
        } else {
          const size_t slot = dice_.Below(kSlots);
          Kill(slot);
          Start(slot);
        }
      }
      round % 2 == 0 ? KillAll() : StopAll();
      CheckAlone();
    }
  }

  void Report() const {
    const auto at = [&](std::atomic<uint64_t> StoreLedger::*count) {
      return static_cast<unsigned long long>(((*ledger_).*count).load(std::memory_order_acquire));
    };
    const auto say = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf(
        "store_kill: %llu kills, %llu times all at once; %llu held the writer lock, %llu the fold "
        "role, %llu a write transaction of the base; %llu while opening, %llu while closing; %llu "
        "openings, %llu recoveries; %llu commits, %llu conflicts, %llu adds; %llu views checked\n",
        say(killed_), say(wiped_out_), say(held_writer_), say(held_fold_), say(held_base_),
        say(opening_), say(closing_), at(&StoreLedger::openings), at(&StoreLedger::recoveries),
        at(&StoreLedger::commits), at(&StoreLedger::conflicts), at(&StoreLedger::adds_committed),
        at(&StoreLedger::views));
  }

  bool met_everything() const {
    return held_writer_ > 0 && held_fold_ > 0 && held_base_ > 0 && opening_ > 0 && closing_ > 0;
  }
  uint64_t commits() const { return (*ledger_).commits.load(std::memory_order_acquire); }
  uint64_t views() const { return (*ledger_).views.load(std::memory_order_acquire); }

 private:
  void Start(size_t slot) {
    StoreLedger& ledger = *ledger_;
    const uint64_t seed = dice_.Below(~uint64_t{0});
    ledger.phase[slot].store(Phase::kNone, std::memory_order_release);
    std::function<void()> body;
    if (slot < kWriters) {
      const uint32_t life = ledger.lives.load(std::memory_order_acquire);
      CHECK(life < kStoreLives);
      ledger.lives.store(life + 1, std::memory_order_release);
      body = [&, seed, slot, life] { Writer(ledger, directory_, slot, seed, life).Run(); };
    } else if (slot == kFolder) {
      body = [&, seed, slot] { FoldWorker(ledger, directory_, slot, seed).Run(); };
    } else if (slot == kOpener) {
      body = [&, seed, slot] { OpenWorker(ledger, directory_, slot, seed).Run(); };
    } else {
      body = [&, seed, slot] { ReadWorker(ledger, directory_, slot, seed).Run(); };
    }
    children_[slot] = std::make_unique<Child>(body);
  }

  // A process that is stopped holds what it held.
  void LookAtStopped(size_t slot) {
    const pid_t pid = children_[slot]->pid();
    kill(pid, SIGSTOP);
    siginfo_t info{};
    const int wanted = WSTOPPED | WEXITED | WNOWAIT;
    if (waitid(P_PID, static_cast<id_t>(pid), &info, wanted) != 0) return;
    if (info.si_code != CLD_STOPPED) return;
    held_writer_ += locks_.HoldsWriterLock(pid) ? 1 : 0;
    held_fold_ += locks_.HoldsFoldRole(pid) ? 1 : 0;
    held_base_ += locks_.HoldsWriteTransaction(pid) ? 1 : 0;
    const Phase phase = ledger_->phase[slot].load(std::memory_order_acquire);
    opening_ += phase == Phase::kOpening ? 1 : 0;
    closing_ += phase == Phase::kClosing ? 1 : 0;
  }

  void Kill(size_t slot) {
    LookAtStopped(slot);
    kill(children_[slot]->pid(), SIGKILL);
    Bury(slot);
    ++killed_;
  }

  // A child that has ended by itself has failed, and says why.
  void Bury(size_t slot) {
    const auto patience = steady_clock::now() + kPatience;
    siginfo_t info{};
    const auto id = static_cast<id_t>(children_[slot]->pid());
    for (;;) {
      CHECK_EQ(waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT), 0);
      if (info.si_pid != 0) break;
      if (steady_clock::now() > patience) Fail(__FILE__, __LINE__, "a process hangs");
      std::this_thread::sleep_for(microseconds(200));
    }
    if (info.si_code == CLD_EXITED) {
      children_[slot]->Join();
      CHECK(Stopping(*ledger_));
    } else {
      CHECK_EQ(children_[slot]->JoinKilled(), SIGKILL);
    }
    children_[slot].reset();
  }

  void KillAll() {
    for (const auto& child : children_) kill(child->pid(), SIGKILL);
    for (size_t slot = 0; slot < kSlots; ++slot) Bury(slot);
    killed_ += kSlots;
    ++wiped_out_;
  }

  void StopAll() {
    ledger_->stop.store(1, std::memory_order_release);
    for (size_t slot = 0; slot < kSlots; ++slot) Bury(slot);
    ledger_->stop.store(0, std::memory_order_release);
  }

  // Nobody is left: everything that was ever committed is here, whole, and nothing else.
  void CheckAlone() {
    const auto store = OpenStore(directory_);
    const StorePromises promises = PromisesOf(*ledger_, kStoreLives);
    auto view = TakeView(*store);
    ViewChecker checker(*ledger_, databases_);
    checker.Check(*view, promises);
    for (const auto& [life, promised] : promises) checker.CheckJournal(*view, life, promised);
    double sum = 0;
    const std::string stored = ValueOf(*view, KeyOf(databases_.sums, "sum"));
    if (stored.size() == sizeof sum) std::memcpy(&sum, stored.data(), sizeof sum);
    CHECK(static_cast<uint64_t>(sum) >= ledger_->adds_committed.load(std::memory_order_acquire));
    view.reset();
    CHECK_OK(store->Verify().status());
    CHECK_OK(store->Close());
  }

  const uint64_t kills_;
  Dice dice_;
  const std::string directory_;
  LockWatch locks_;
  StoreDatabases databases_{};
  SharedValue<StoreLedger> mutable ledger_;
  std::array<std::unique_ptr<Child>, kSlots> children_;
  uint64_t killed_ = 0;
  uint64_t wiped_out_ = 0;
  uint64_t held_writer_ = 0;
  uint64_t held_fold_ = 0;
  uint64_t held_base_ = 0;
  uint64_t opening_ = 0;
  uint64_t closing_ = 0;
};

TEST(store_kill, nothing_committed_is_lost_whoever_dies) {
  constexpr uint64_t kShort = 400;
  const uint64_t kills = Scale(kShort);
  StoreCampaign campaign(kills);
  campaign.Run();
  campaign.Report();
  CHECK(campaign.commits() > 0);
  CHECK(campaign.views() > 0);
  // Long enough that each of these must have come up, or the campaign misses what it is for.
  if (kills >= 5 * kShort) CHECK(campaign.met_everything());
}

}  // namespace
}  // namespace ringleader
