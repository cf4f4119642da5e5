// How long a thread should look on before it sleeps.
//
// To be woken takes the kernel several microseconds. Where messages come more often than that, to
// look on costs no more than to sleep, and the answer is there many times sooner; where they come
// seldom it only burns. So it is worth as long as a wake-up takes, and only while the last messages
// came within that time, or while somebody is waiting for an answer. A thread that spins takes a
// processor from those that it waits for, so with fewer than three of them it never does.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <string>

#include "env/clock.h"
#include "env/file.h"

namespace ringleader {

inline constexpr unsigned kSpinProcessors = 3;
inline constexpr uint64_t kMinSpinNs = 5'000;
inline constexpr uint64_t kMaxSpinNs = 50'000;

// Processors that this thread may use: those of its affinity mask, or fewer where the quota of a
// control group allows less time than they have. At least 1. `root` is "/" but for tests.
unsigned UsableProcessors(FileSystem& files, const std::string& root = "/");

class AdaptiveSpin {
 public:
  explicit AdaptiveSpin(unsigned usable_processors)
      : allowed_(usable_processors >= kSpinProcessors) {}

  // Something has come.
  void Arrived(uint64_t now_ns);
  // It came while the thread slept, and ran so long after it was sent.
  void Woken(uint64_t cost_ns);

  // 0: sleep at once. `awaited`: an answer is outstanding.
  uint64_t BudgetNs(bool awaited) const;

  // Looks until `look()` is true, for the budget, and then once more after giving way to others.
  template <typename Look>
  bool Spin(Clock& clock, bool awaited, const Look& look) {
    const uint64_t budget_ns = BudgetNs(awaited);
    if (budget_ns == 0) return false;
    const uint64_t until = clock.MonotonicNanos() + budget_ns;
    do {
      for (int i = 0; i < kLooksPerTime; ++i) {
        if (look()) return true;
        Pause();
      }
    } while (clock.MonotonicNanos() < until);
    GiveWay();
    return look();
  }

 private:
  static constexpr int kLooksPerTime = 16;

  static void Pause();
  static void GiveWay();

  const bool allowed_;
  // Counts as this long: one long wait is forgotten after a few short ones.
  static constexpr uint64_t kLongestNs = 4 * kMaxSpinNs;
  // Moving means.
  uint64_t wake_ns_ = 10'000;  // until one has been measured
  uint64_t gap_ns_ = kLongestNs;
  uint64_t last_ns_ = 0;
};

}  // namespace ringleader
