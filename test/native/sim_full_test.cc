// The full simulator with a small budget: each seed twice, with the same hash. Long runs:
// npm run sim:full, npm run sim:long.
#include <algorithm>

#include "harness.h"
#include "sim_run.h"
#include "sim_shrink.h"

#if defined(__has_feature)
#define CLANG_SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define CLANG_SANITIZER 0
#endif

namespace ringleader {
namespace {

using namespace simulator;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || CLANG_SANITIZER
constexpr uint64_t kSeeds = 20;
#else
constexpr uint64_t kSeeds = 200;
#endif

constexpr uint64_t kOperations = 400;

TEST(sim_full, groups_keep_their_promises) {
  for (uint64_t i = 0; i < test::Scale(kSeeds); ++i) {
    const SimPlan plan = DrawPlan(test::Seed() * 1'000'000 + i, kOperations, 0);
    const SimReport report = SimRun(plan, false).Run();
    if (!report.problem.empty()) {
      throw test::Failure{report.problem + "\n    npm run sim -- --shrink " + ArgumentsOf(plan)};
    }
    CHECK(report.acknowledged > 0);
    CHECK_EQ(SimRun(plan, false).Run().hash, report.hash);
  }
}

// Seeds that have found something. What they draw may change with the simulator; then they are
// seeds like any other.
TEST(sim_full, what_was_found_stays_found) {
  struct Found {
    uint64_t seed, operations;
  };
  // A far member outside the window; the freshest log where nobody may lead; the only voter in the
  // register leaving; a roll-back to the end of padding; a control page that was never flushed; a
  // roll-back that left less written than flushed; a swap that came late; padding taken for
  // records, and for other records.
  for (const Found& found : {Found{1, 500},
                             {70, 1000},
                             {30045, 3000},
                             {30053, 3000},
                             {5000007, 2000},
                             {5001453, 1000},
                             {5000781, 1000},
                             {5001994, 1000},
                             {6000098, 1000},
                             {8000127, 1000},
                             {9000265, 2000}}) {
    const SimReport report = SimRun(DrawPlan(found.seed, found.operations, 0), false).Run();
    CHECK_EQ(report.problem, "");
  }
}

// A plan without a strike is the plan without what that strike did, and nothing else.
TEST(sim_full, strikes_are_left_out_one_by_one) {
  SimPlan plan = DrawPlan(test::Seed() * 1'000'000 + 3, kOperations, 3);
  plan.faults = ~uint64_t{0} >> (64 - kFaults);
  const SimReport all = SimRun(plan, false).Run();
  CHECK_EQ(all.problem, "");
  CHECK(!all.strikes_hit.empty());
  SimPlan named = plan;
  named.strikes = all.strikes_hit;
  CHECK_EQ(SimRun(named, false).Run().hash, all.hash);
  named.strikes->pop_back();
  const SimReport less = SimRun(named, false).Run();
  CHECK_EQ(less.problem, "");
  CHECK(std::ranges::includes(all.strikes_hit, less.strikes_hit) ||
        less.strikes_hit.size() < all.strikes_hit.size());
}

TEST(sim_full, failures_of_one_kind_differ_in_numbers_only) {
  CHECK_EQ(KindOf("member 2: commits 4096 on 1 copies"),
           KindOf("member 0: commits 80 on 2 copies"));
  CHECK(KindOf("member 2: halts") != KindOf("member 2: a promise is forgotten"));
  CHECK_EQ(KindOf("the group does not recover:\n    member 1"),
           KindOf("the group does not recover:\n    member 2"));
}

}  // namespace
}  // namespace ringleader
