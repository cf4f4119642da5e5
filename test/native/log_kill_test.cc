// Processes that are killed at random moments while they write and read one small log.
//
// Writers, a consumer and a reader share an environment whose segments and ring are so small that
// every mechanism is in use all the time: segments end, the ring fills, segments are recycled,
// transactions of several records drain the ring under the writer lock. A process is killed every
// few milliseconds and replaced; some are stopped for a moment; now and then all die at once, and
// whoever opens next recovers. kill_ledger.h says what must hold.
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <memory>
#include <random>
#include <thread>

#include "child_process.h"
#include "kill_ledger.h"

namespace ringleader {
namespace {

using namespace test;

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kWriters = 4;
constexpr uint32_t kRecentLives = 64;
constexpr uint64_t kKillsPerRound = 150;
constexpr uint64_t kMaxAheadBytes = uint64_t{1} << 20;
constexpr milliseconds kPatience{60'000};

class Dice {
 public:
  explicit Dice(uint64_t seed) : bits_(seed) {}
  uint64_t Below(uint64_t limit) { return bits_() % limit; }
  bool OneIn(uint64_t count) { return Below(count) == 0; }
  microseconds Micros(uint64_t from, uint64_t to) { return microseconds(from + Below(to - from)); }

 private:
  std::mt19937_64 bits_;
};

LogOptions CampaignLog(Dice& dice) {
  LogOptions options = SmallLog();
  options.service_threads = dice.OneIn(2);
  options.flush_interval_ns = (1 + dice.Below(20)) * 1'000'000;
  return options;
}

void RaiseTo(std::atomic<uint64_t>& word, uint64_t value) {
  uint64_t seen = word.load(std::memory_order_acquire);
  while (seen < value && !word.compare_exchange_weak(seen, value, std::memory_order_acq_rel)) {
  }
}

void NoteStat(Ledger& ledger, const Log& log) {
  const LogStat stat = log.Stat();
  RaiseTo(ledger.repairs, stat.writer_repairs);
  RaiseTo(ledger.takeovers, stat.flusher_takeovers);
  RaiseTo(ledger.recycled, stat.segments_recycled);
}

std::unique_ptr<Log> OpenNoted(Ledger& ledger, const std::string& directory,
                               const LogOptions& options) {
  auto log = OpenLog(PosixEnv(), directory, options);
  const LogStat stat = log->Stat();
  if (stat.recovery_ns != 0) ledger.recoveries.fetch_add(1, std::memory_order_acq_rel);
  ledger.salvaged_bytes.fetch_add(stat.salvaged_bytes, std::memory_order_acq_rel);
  return log;
}

bool Stopping(const Ledger& ledger) { return ledger.stop.load(std::memory_order_acquire) != 0; }

// --- a writer ------------------------------------------------------------------------------------

class Writer {
 public:
  Writer(Ledger& ledger, const std::string& directory, uint32_t life, uint64_t seed)
      : ledger_(ledger), life_(life), dice_(seed), options_(CampaignLog(dice_)) {
    log_ = OpenNoted(ledger, directory, options_);
  }

  void Run() {
    while (!Stopping(ledger_)) {
      const Lsn end = dice_.OneIn(8) ? AppendSeveral() : AppendOneMore();
      Ack(Level::kMemory);
      switch (dice_.Below(8)) {
        case 0:
          Await(end, Level::kWritten);
          break;
        case 1:
          Await(end, Level::kFlushed);
          break;
        case 2:
          AwaitService(end);
          break;
        default:
          break;
      }
      if (dice_.OneIn(16) || Ahead(end)) std::this_thread::sleep_for(dice_.Micros(50, 1000));
      if (dice_.OneIn(16)) NoteStat(ledger_, *log_);
      if (!options_.service_threads && dice_.OneIn(32)) CHECK_OK(log_->Tick());
    }
    NoteStat(ledger_, *log_);
    CHECK_OK(log_->Close());
  }

 private:
  Life& life() { return ledger_.life[life_]; }

  // So far in front of the consumer that walks through the log would take too long.
  bool Ahead(Lsn end) const {
    return end.value > ledger_.consumed_end.load(std::memory_order_acquire) + kMaxAheadBytes;
  }

  Lsn AppendOneMore() {
    life().attempted.store(next_ + 1, std::memory_order_release);
    const uint64_t number = NumberOf(life_, next_);
    const Appended at = AppendOne(*log_, number, SizeOf(number));
    ++next_;
    return at.end;
  }

  // As many as there is room for; one at least.
  Lsn AppendSeveral() {
    const auto count = static_cast<uint32_t>(1 + dice_.Below(12));
    std::vector<std::vector<uint8_t>> payloads;
    std::vector<Entry> entries;
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t number = NumberOf(life_, next_ + i);
      payloads.push_back(Payload(number, SizeOf(number)));
      entries.push_back(EntryOf(payloads.back()));
    }
    life().attempted.store(next_ + count, std::memory_order_release);
    std::vector<Appended> appended(count);
    CHECK_VALUE(const size_t placed, log_->TryAppend(entries, appended));
    next_ += static_cast<uint32_t>(placed);
    return placed > 0 ? appended[placed - 1].end : AppendOneMore();
  }

  void Ack(Level level) {
    std::atomic<uint32_t>& acked = life().acked[static_cast<size_t>(level)];
    if (level == Level::kMemory) {
      // Relaxed: nobody else stores it.
      const uint32_t before = acked.load(std::memory_order_relaxed);
      ledger_.acks.fetch_add(next_ - before, std::memory_order_acq_rel);
    }
    acked.store(next_, std::memory_order_release);
  }

  void Await(Lsn end, Level level) {
    CHECK_OK(log_->WaitFor(end, level));
    CHECK(log_->Reached(end, level));
    Ack(level);
  }

  void AwaitService(Lsn end) {
    if (!options_.service_threads) return;
    log_->Request(end, Level::kFlushed);
    while (!log_->Reached(end, Level::kFlushed)) {
      CHECK_OK(log_->Failure());
      std::this_thread::sleep_for(microseconds(50));
    }
    Ack(Level::kFlushed);
  }

  Ledger& ledger_;
  const uint32_t life_;
  Dice dice_;
  const LogOptions options_;
  std::unique_ptr<Log> log_;
  uint32_t next_ = 0;
};

// --- readers -------------------------------------------------------------------------------------

void Consume(Ledger& ledger, const LogEntry& entry) {
  const Numbered who = Identify(ledger, entry);
  Life& life = ledger.life[who.life];
  const uint64_t last = life.consumed_lsn.load(std::memory_order_acquire);
  const uint32_t consumed = life.consumed.load(std::memory_order_acquire);
  if (entry.lsn.value < last) {  // read before, by a consumer that died
    CHECK(who.sequence < consumed);
    return;
  }
  if (entry.lsn.value == last) {
    CHECK(who.sequence == consumed || who.sequence + 1 == consumed);
  } else {
    CHECK_EQ(who.sequence, consumed);
  }
  life.consumed_lsn.store(entry.lsn.value, std::memory_order_release);
  if (who.sequence == consumed) ledger.consumed.fetch_add(1, std::memory_order_acq_rel);
  life.consumed.store(who.sequence + 1, std::memory_order_release);
}

void RunConsumer(Ledger& ledger, const std::string& directory, uint64_t seed) {
  Dice dice(seed);
  const auto log = OpenNoted(ledger, directory, CampaignLog(dice));
  CHECK_VALUE(const std::vector<Consumer> consumers, log->Consumers());
  CHECK_EQ(consumers.size(), size_t{1});
  CHECK(consumers[0].name == kConsumerName && !consumers[0].broken);
  const auto reader = log->Read(consumers[0].position);
  while (!Stopping(ledger)) {
    const Promises promises = PromisesOf(ledger, kRecentLives);
    Lsn end;
    uint64_t entries = 0;
    for (;; ++entries) {
      CHECK_VALUE(const std::optional<LogEntry> entry, reader->Next());
      if (!entry) break;
      Consume(ledger, *entry);
      end = entry->end;
      ledger.consumed_end.store(end.value, std::memory_order_release);
      if (entries % 64 == 63) CHECK_OK(log->AdvanceConsumer(kConsumerName, end));
    }
    for (const auto& [life, promised] : promises) {
      CHECK(ledger.life[life].consumed.load(std::memory_order_acquire) >= promised);
    }
    if (end > Lsn()) CHECK_OK(log->AdvanceConsumer(kConsumerName, end));
    if (dice.OneIn(8)) CHECK_OK(log->Tick());
    NoteStat(ledger, *log);
    std::this_thread::sleep_for(dice.Micros(100, 2000));
  }
  CHECK_OK(log->Close());
}

void RunReader(Ledger& ledger, const std::string& directory, uint64_t seed) {
  Dice dice(seed);
  const auto log = OpenNoted(ledger, directory, CampaignLog(dice));
  while (!Stopping(ledger)) {
    const Promises promises = PromisesOf(ledger, kRecentLives);
    Walk walk(ledger);
    if (WalkAll(*log, walk)) {
      walk.Expect(promises);
      ledger.walks.fetch_add(1, std::memory_order_acq_rel);
    }
    std::this_thread::sleep_for(dice.Micros(100, 1000));
  }
  CHECK_OK(log->Close());
}

// --- the campaign --------------------------------------------------------------------------------

// How a child has ended, or nullopt where it runs. Leaves it to be joined.
std::optional<siginfo_t> Ending(const Child& child) {
  siginfo_t info{};
  CHECK_EQ(waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOHANG | WNOWAIT), 0);
  if (info.si_pid == 0) return std::nullopt;
  return info;
}

class Campaign {
 public:
  explicit Campaign(uint64_t kills) : kills_(kills), dice_(Seed()), directory_(TempDir() + "/env") {
    const auto log = OpenLog(PosixEnv(), directory_, SmallLog());
    CHECK_OK(log->PutConsumer({kConsumerName, Lsn(), 0, 0, false}));
    CHECK_OK(log->Close());
  }

  void Run() {
    for (uint64_t round = 0; killed_ < kills_; ++round) {
      for (size_t slot = 0; slot < children_.size(); ++slot) Start(slot);
      const uint64_t until = std::min(kills_, killed_ + kKillsPerRound);
      while (killed_ < until) {
        std::this_thread::sleep_for(dice_.Micros(500, 5000));
        const uint64_t roll = dice_.Below(40);
        if (roll == 0) {
          KillAll();
          for (size_t slot = 0; slot < children_.size(); ++slot) Start(slot);
        } else if (roll <= 3) {
          Hold(dice_.Below(children_.size()));
        } else {
          const size_t slot = dice_.Below(children_.size());
          Kill(slot);
          Start(slot);
        }
      }
      round % 2 == 0 ? KillAll() : StopAll();
      CheckAlone();
    }
  }

  void Report() const {
    std::printf(
        "log_kill: %llu kills, %llu times all at once; %llu hit a writer that held the lock, "
        "%llu a flusher; %llu recoveries, %llu bytes salvaged; %llu segments recycled; %llu "
        "transactions acknowledged, %llu consumed, %llu walks through the log\n",
        Long(killed_), Long(wiped_out_), Long(repairs_), Long(takeovers_),
        Long(Load(&Ledger::recoveries)), Long(Load(&Ledger::salvaged_bytes)), Long(recycled_),
        Long(Load(&Ledger::acks)), Long(Load(&Ledger::consumed)), Long(Load(&Ledger::walks)));
  }

  uint64_t repairs() const { return repairs_; }
  uint64_t takeovers() const { return takeovers_; }
  uint64_t recycled() const { return recycled_; }
  uint64_t Load(std::atomic<uint64_t> Ledger::*count) const {
    return ((*ledger_).*count).load(std::memory_order_acquire);
  }

 private:
  static unsigned long long Long(uint64_t value) { return value; }

  void Start(size_t slot) {
    Ledger& ledger = *ledger_;
    const uint64_t seed = dice_.Below(~uint64_t{0});
    std::function<void()> body;
    if (slot < kWriters) {
      const uint32_t life = ledger.lives.load(std::memory_order_acquire);
      CHECK(life < kMaxLives);
      ledger.lives.store(life + 1, std::memory_order_release);
      body = [&ledger, seed, life, this] { Writer(ledger, directory_, life, seed).Run(); };
    } else if (slot == kWriters) {
      body = [&ledger, seed, this] { RunConsumer(ledger, directory_, seed); };
    } else {
      body = [&ledger, seed, this] { RunReader(ledger, directory_, seed); };
    }
    children_[slot] = std::make_unique<Child>(body);
  }

  // A child that has ended by itself has failed, and says why.
  void Kill(size_t slot) {
    Child& child = *children_[slot];
    kill(child.pid(), SIGKILL);
    Bury(slot);
    ++killed_;
  }

  void Bury(size_t slot) {
    Child& child = *children_[slot];
    const auto patience = steady_clock::now() + kPatience;
    std::optional<siginfo_t> ending;
    while (!(ending = Ending(child))) {
      if (steady_clock::now() > patience) Fail(__FILE__, __LINE__, "a process hangs");
      std::this_thread::sleep_for(microseconds(200));
    }
    if (ending->si_code == CLD_EXITED) {
      child.Join();
      CHECK(Stopping(*ledger_));
    } else {
      CHECK_EQ(child.JoinKilled(), SIGKILL);
    }
    children_[slot].reset();
  }

  void KillAll() {
    for (const auto& child : children_) kill(child->pid(), SIGKILL);
    for (size_t slot = 0; slot < children_.size(); ++slot) Bury(slot);
    killed_ += children_.size();
    ++wiped_out_;
    TakeCounts();
  }

  // A process that makes no progress for a moment, whatever it holds, is waited for.
  void Hold(size_t slot) {
    const pid_t pid = children_[slot]->pid();
    kill(pid, SIGSTOP);
    std::this_thread::sleep_for(dice_.Micros(1000, 20'000));
    kill(pid, SIGCONT);
  }

  void StopAll() {
    ledger_->stop.store(1, std::memory_order_release);
    for (size_t slot = 0; slot < children_.size(); ++slot) Bury(slot);
    TakeCounts();
    ledger_->stop.store(0, std::memory_order_release);
  }

  void TakeCounts() {
    repairs_ += ledger_->repairs.exchange(0, std::memory_order_acq_rel);
    takeovers_ += ledger_->takeovers.exchange(0, std::memory_order_acq_rel);
    recycled_ += ledger_->recycled.exchange(0, std::memory_order_acq_rel);
  }

  // Nobody is left: everything that was ever promised is here or was consumed.
  void CheckAlone() {
    const auto log = OpenNoted(*ledger_, directory_, SmallLog());
    CHECK_OK(log->Verify().status());
    Walk walk(*ledger_);
    CHECK(WalkAll(*log, walk));
    walk.Expect(PromisesOf(*ledger_, kMaxLives));
    walk.ExpectConsumed(log->Stat().start);
    CHECK_OK(log->Tick());
    CHECK_OK(log->Close());
  }

  const uint64_t kills_;
  Dice dice_;
  const std::string directory_;
  SharedValue<Ledger> mutable ledger_;
  std::array<std::unique_ptr<Child>, kWriters + 2> children_;
  uint64_t killed_ = 0;
  uint64_t wiped_out_ = 0;
  uint64_t repairs_ = 0;
  uint64_t takeovers_ = 0;
  uint64_t recycled_ = 0;
};

TEST(log_kill, nothing_appended_is_lost_whoever_dies) {
  constexpr uint64_t kShort = 450;
  const uint64_t kills = Scale(kShort);
  Campaign campaign(kills);
  campaign.Run();
  campaign.Report();
  CHECK(campaign.Load(&Ledger::acks) > 0);
  if (kills < 5 * kShort) return;
  // Long enough that each of these must have come up, or the campaign misses what it is for.
  CHECK(campaign.repairs() > 0);
  CHECK(campaign.takeovers() > 0);
  CHECK(campaign.recycled() > 0);
  CHECK(campaign.Load(&Ledger::recoveries) > 0);
  CHECK(campaign.Load(&Ledger::salvaged_bytes) > 0);
}

}  // namespace
}  // namespace ringleader
