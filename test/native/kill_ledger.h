// What the processes of a kill campaign tell each other, and what the log must hold because of it.
//
// The ledger lies in memory that the parent shares with its children, so what a process wrote into
// it outlives the process. Each start of a writer is a life of its own; its appends are numbered
// from 0. An append is attempted before it begins and acked after it has returned. Whoever reads
// the log holds it to this: the transactions of a life are 0, 1, 2, ... without gap or repetition,
// whole, none beyond what was attempted and none missing of what was acked, at whatever level.
//
// One process, the consumer, moves the log's consumer forward behind itself, so segments are
// recycled all the time. What it has read is in the ledger; everybody else expects the rest.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "harness.h"
#include "log/log.h"
#include "log_fixture.h"

namespace ringleader::test {

inline constexpr uint32_t kMaxLives = 1u << 18;
inline constexpr char kConsumerName[] = "campaign";

struct Life {
  std::atomic<uint32_t> attempted;             // appends begun
  std::array<std::atomic<uint32_t>, 3> acked;  // appends confirmed, by level
  // Stored by the consumer: how many it has read, and where the last one of them stands. The
  // position is stored first, so it may be one transaction ahead where a consumer was killed.
  std::atomic<uint32_t> consumed;
  std::atomic<uint64_t> consumed_lsn;

  // Death of a process undoes no append, whatever its level.
  uint32_t Promised() const {
    uint32_t most = 0;
    for (const auto& count : acked) most = std::max(most, count.load(std::memory_order_acquire));
    return most;
  }
};

struct Ledger {
  std::atomic<uint32_t> lives;         // handed out
  std::atomic<uint32_t> stop;          // everybody ends in order
  std::atomic<uint64_t> acks;          // of all lives
  std::atomic<uint64_t> consumed;      // transactions, repetitions left out
  std::atomic<uint64_t> consumed_end;  // where the consumer is
  std::atomic<uint64_t> walks;         // of readers through the whole log
  std::atomic<uint64_t> recoveries;
  std::atomic<uint64_t> salvaged_bytes;
  // Of the region that is there; the parent takes them when everybody has died.
  std::atomic<uint64_t> repairs;
  std::atomic<uint64_t> takeovers;
  std::atomic<uint64_t> recycled;
  std::array<Life, kMaxLives> life;
};

inline uint64_t NumberOf(uint32_t life, uint32_t sequence) {
  return uint64_t{life} << 32 | sequence;
}

// Mostly small; some take several records, a few are larger than the ring.
inline size_t SizeOf(uint64_t number) {
  uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15u;
  mixed ^= mixed >> 29;
  mixed *= 0xbf58476d1ce4e5b9u;
  mixed ^= mixed >> 32;
  const uint64_t kind = mixed % 1000;
  const uint64_t spread = mixed >> 10;
  if (kind < 750) return 8 + spread % 200;
  if (kind < 930) return 200 + spread % 2000;
  if (kind < 985) return 4000 + spread % 9000;
  if (kind < 997) return 16000 + spread % 30000;
  return 70000 + spread % 80000;
}

struct Numbered {
  uint32_t life;
  uint32_t sequence;
};

// Which append this is. Fails unless it was attempted and is here to the last byte.
inline Numbered Identify(const Ledger& ledger, const LogEntry& entry) {
  const std::string where = "transaction at " + std::to_string(entry.lsn.value);
  if (entry.payload.size() < sizeof(uint64_t)) Fail(__FILE__, __LINE__, where + " is too short");
  const uint64_t number = LoadLe<uint64_t>(entry.payload.data());
  const Numbered who{static_cast<uint32_t>(number >> 32), static_cast<uint32_t>(number)};
  if (who.life >= ledger.lives.load(std::memory_order_acquire) ||
      who.sequence >= ledger.life[who.life].attempted.load(std::memory_order_acquire)) {
    Fail(__FILE__, __LINE__, where + " was never appended");
  }
  const std::vector<uint8_t> expected = Payload(number, SizeOf(number));
  if (!std::equal(entry.payload.begin(), entry.payload.end(), expected.begin(), expected.end())) {
    Fail(__FILE__, __LINE__, where + " is not what was appended");
  }
  return who;
}

// What had been promised at some moment: lives and their counts.
using Promises = std::vector<std::pair<uint32_t, uint32_t>>;

// Of the last `count` lives: those before are dead, and were looked at when they died.
inline Promises PromisesOf(const Ledger& ledger, uint32_t count) {
  const uint32_t lives = ledger.lives.load(std::memory_order_acquire);
  Promises promises;
  for (uint32_t i = lives - std::min(count, lives); i < lives; ++i) {
    promises.emplace_back(i, ledger.life[i].Promised());
  }
  return promises;
}

// One reader's way through the log from its start on.
class Walk {
 public:
  explicit Walk(const Ledger& ledger) : ledger_(ledger) {}

  void See(const LogEntry& entry) {
    const Numbered who = Identify(ledger_, entry);
    const auto [found, first] = next_.try_emplace(who.life, who.sequence);
    // What is missing in front has been recycled, which the consumer allowed.
    const uint32_t consumed = ledger_.life[who.life].consumed.load(std::memory_order_acquire);
    const bool fits = first ? who.sequence <= consumed : who.sequence == found->second;
    if (!fits) {
      Fail(__FILE__, __LINE__,
           Describe(who.life, who.sequence) + " does not continue what was read");
    }
    found->second = who.sequence + 1;
  }

  // To be called at the end of the log, with what had been promised before the walk reached it.
  void Expect(const Promises& promises) const {
    for (const auto& [life, promised] : promises) {
      const auto found = next_.find(life);
      const uint32_t consumed = ledger_.life[life].consumed.load(std::memory_order_acquire);
      const uint32_t have = found != next_.end() ? found->second : consumed;
      if (have < promised) {
        Fail(__FILE__, __LINE__,
             Describe(life, have) + " is lost; " + std::to_string(promised) + " were acknowledged");
      }
    }
  }

  // With everybody dead: nothing that the consumer has read and that was not recycled is gone.
  void ExpectConsumed(Lsn start) const {
    for (const auto& [life, unused] : PromisesOf(ledger_, kMaxLives)) {
      const Life& one = ledger_.life[life];
      const uint32_t consumed = one.consumed.load(std::memory_order_acquire);
      if (one.consumed_lsn.load(std::memory_order_acquire) < start.value || consumed == 0) continue;
      const auto found = next_.find(life);
      if (found == next_.end() || found->second < consumed) {
        Fail(__FILE__, __LINE__, Describe(life, consumed - 1) + " was read and is gone");
      }
    }
  }

 private:
  static std::string Describe(uint32_t life, uint32_t sequence) {
    return "append " + std::to_string(sequence) + " of life " + std::to_string(life);
  }

  const Ledger& ledger_;
  std::map<uint32_t, uint32_t> next_;  // by life
};

// Walks from the log's start to its visible end. False where the walk was overtaken by recycling.
inline bool WalkAll(Log& log, Walk& walk) {
  const std::unique_ptr<LogReader> reader = log.Read(log.Stat().start);
  for (;;) {
    const Result<std::optional<LogEntry>> entry = reader->Next();
    if (entry.status().code() == Code::kTrimmed) return false;
    CHECK_OK(entry.status());
    if (!entry.value()) return true;
    walk.See(*entry.value());
  }
}

}  // namespace ringleader::test
