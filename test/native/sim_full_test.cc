// The full simulator with a small budget: each seed twice, with the same hash. Long runs:
// npm run sim:full.
#include "harness.h"
#include "sim_run.h"

namespace ringleader {
namespace {

using namespace simulator;

TEST(sim_full, groups_keep_their_promises) {
  for (uint64_t i = 0; i < test::Scale(20); ++i) {
    const uint64_t seed = test::Seed() * 1000 + i;
    const SimPlan plan = DrawPlan(seed, 400, 0);
    const SimReport report = SimRun(plan, false).Run();
    if (!report.problem.empty()) {
      throw test::Failure{report.problem + "\n    npm run sim:full -- --ops 400 --seed " +
                          std::to_string(seed)};
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
  // register leaving; a roll-back to the end of padding.
  for (const Found& found : {Found{1, 500}, {70, 1000}, {30045, 3000}, {30053, 3000}}) {
    const SimReport report = SimRun(DrawPlan(found.seed, found.operations, 0), false).Run();
    CHECK_EQ(report.problem, "");
  }
}

}  // namespace
}  // namespace ringleader
