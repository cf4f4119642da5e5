// What the parts of a single-step kill sweep share: the test, the witness that stays alive, and the
// target program that is killed (programs/kill_step_target.cc).
//
// The ledger lies in memory of its own file descriptor, which the target inherits. Appends of all
// processes are numbered in one sequence, since only one process at a time does anything. An append
// is attempted, then acked; one whose process died in between is decided by the next reader that
// looks for it, once and for all.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "harness.h"
#include "log/log.h"
#include "log_fixture.h"

namespace ringleader::test {

inline constexpr uint32_t kMaxStepAppends = 8192;
inline constexpr char kTrailingConsumer[] = "trailing";
inline constexpr char kBrokenConsumer[] = "broken";
inline constexpr char kSteppedConsumer[] = "stepped";

enum class AppendFate : uint32_t {
  kNone,
  kAttempted,
  kAcked,    // or found by a reader: it must stay
  kDropped,  // looked for and not found: it must not come back
};

struct StepLedger {
  struct Append {
    std::atomic<uint32_t> size;
    std::atomic<AppendFate> fate;
  };

  std::atomic<uint32_t> section_done;  // the target has come to the end of what is tested
  std::atomic<uint32_t> appends;       // attempted so far
  std::atomic<uint32_t> released;      // a consumer may have let go of those below
  std::atomic<uint64_t> repairs;       // of the region that the witness sees
  std::atomic<uint64_t> takeovers;
  std::array<char, 1024> report;  // why the target gave up
  std::array<Append, kMaxStepAppends> append;
};

// An append that has been noted but not made.
class NotedAppend {
 public:
  NotedAppend(StepLedger& ledger, size_t size)
      : ledger_(ledger),
        number_(ledger.appends.load(std::memory_order_acquire)),
        payload_(Payload(number_, size)) {
    CHECK(number_ < kMaxStepAppends && size >= sizeof(uint64_t));
    ledger.append[number_].size.store(static_cast<uint32_t>(size), std::memory_order_release);
    ledger.append[number_].fate.store(AppendFate::kAttempted, std::memory_order_release);
    ledger.appends.store(number_ + 1, std::memory_order_release);
  }

  Entry entry() const { return EntryOf(payload_); }
  void Ack() { ledger_.append[number_].fate.store(AppendFate::kAcked, std::memory_order_release); }

 private:
  StepLedger& ledger_;
  const uint32_t number_;
  const std::vector<uint8_t> payload_;
};

inline Appended AppendNoted(StepLedger& ledger, Log& log, size_t size) {
  NotedAppend noted(ledger, size);
  CHECK_VALUE(const Appended appended, log.Append(noted.entry()));
  noted.Ack();
  return appended;
}

// Everything that was acked is there, whole, in order and once; what was not decided is decided.
inline void ReadLedger(StepLedger& ledger, Log& log) {
  const uint32_t released = ledger.released.load(std::memory_order_acquire);
  uint32_t next = 0;
  bool any = false;
  const auto miss = [&](uint32_t until) {
    for (; next < until; ++next) {
      std::atomic<AppendFate>& fate = ledger.append[next].fate;
      const AppendFate was = fate.load(std::memory_order_acquire);
      const bool recycled = !any && next < released;
      if (was == AppendFate::kAcked && !recycled) {
        Fail(__FILE__, __LINE__, "append " + std::to_string(next) + " is lost");
      }
      if (was == AppendFate::kAttempted) {
        fate.store(AppendFate::kDropped, std::memory_order_release);
      }
    }
  };
  for (const Stored& stored : ReadAll(log, log.Stat().start)) {
    CHECK(stored.payload.size() >= sizeof(uint64_t));
    const uint64_t number = LoadLe<uint64_t>(stored.payload.data());
    CHECK(number >= next && number < ledger.appends.load(std::memory_order_acquire));
    const auto index = static_cast<uint32_t>(number);
    miss(index);
    StepLedger::Append& append = ledger.append[index];
    CHECK(stored.payload == Payload(number, append.size.load(std::memory_order_acquire)));
    if (append.fate.load(std::memory_order_acquire) == AppendFate::kDropped) {
      Fail(__FILE__, __LINE__, "append " + std::to_string(index) + " has come back");
    }
    append.fate.store(AppendFate::kAcked, std::memory_order_release);
    any = true;
    next = index + 1;
  }
  miss(ledger.appends.load(std::memory_order_acquire));
}

}  // namespace ringleader::test
