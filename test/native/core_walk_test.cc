// Random walks and exhaustive exploration of the replication core (test/sim), as far as a few
// seconds go. Every planted bug of the protocol is noticed by the first seeds.
#include <numeric>

#include "explore.h"
#include "harness.h"
#include "walk.h"

using namespace ringleader;
using sim::Explore;
using sim::ExploreOptions;
using sim::ExploreReport;
using sim::Walk;
using sim::WalkOptions;
using sim::WalkReport;

namespace {

// Problems are told with the seed, or the shortest way to them.
void WalkSeeds(const std::vector<uint64_t>& seeds, bool preferred = false) {
  uint64_t committed = 0;
  for (const uint64_t seed : seeds) {
    WalkOptions options;
    options.seed = seed;
    options.preferred = preferred;
    const WalkReport report = Walk(options);
    committed += preferred ? report.reigns : report.committed;
    if (report.problem.empty()) continue;
    CHECK_EQ("seed " + std::to_string(seed) + ": " + report.problem, std::string());
  }
  CHECK(committed > 0);
}

void ExploreAll(const char* group, uint64_t least_states) {
  ExploreOptions options;
  CHECK(sim::SetExploreGroup(group, &options));
  options.max_seconds = 300;
  options.live_every = 16;  // planted bugs that let a group stand still show in some states only
  const ExploreReport report = Explore(options);
  std::string way = report.problem;
  for (const std::string& line : report.trace) way += "\n    " + line;
  CHECK_EQ(way, std::string());
  CHECK(report.exhausted);
  CHECK(report.states >= least_states);
  CHECK(report.reigns >= 2);
}

}  // namespace

TEST(core_walk, random_groups_keep_what_they_promise) {
  std::vector<uint64_t> seeds(test::Scale(250));
  std::iota(seeds.begin(), seeds.end(), test::Seed());
  WalkSeeds(seeds);
}

TEST(core_walk, two_of_whom_one_is_preferred_come_together) {
  std::vector<uint64_t> seeds(test::Scale(60));
  std::iota(seeds.begin(), seeds.end(), test::Seed());
  WalkSeeds(seeds, true);
}

// The first seeds that noticed planted bugs which others take long to notice. They say so only as
// long as a walk draws as it did.
TEST(core_walk, seeds_that_have_found_something) { WalkSeeds({263, 455, 718, 1009, 1475}); }

TEST(core_walk, a_seed_is_the_same_run_every_time) {
  WalkOptions options;
  for (options.seed = 1; options.seed <= 10; ++options.seed) {
    const WalkReport once = Walk(options);
    const WalkReport again = Walk(options);
    CHECK_EQ(once.hash, again.hash);
    CHECK_EQ(once.steps, again.steps);
  }
}

TEST(core_explore, every_run_of_two_members) { ExploreAll("two", 20'000); }
TEST(core_explore, every_run_of_three_members) { ExploreAll("three", 20'000); }

// As far as a few seconds go; the program explore, without arguments, goes on to the end.
TEST(core_explore, runs_of_two_members_and_a_witness) {
  ExploreOptions options;
  CHECK(sim::SetExploreGroup("witness", &options));
  options.max_states = 30'000;
  const ExploreReport report = Explore(options);
  CHECK_EQ(report.problem, std::string());
  CHECK(report.committed >= 3);
}

// A new disk that passes for the old one has forgotten what it acknowledged. No rule of the core
// can help; that it is found shows that the explorer looks.
TEST(core_explore, finds_what_a_disk_under_an_old_identity_loses) {
  ExploreOptions options;
  CHECK(sim::SetExploreGroup("witness", &options));
  options.bounds.keeps_identity = true;
  const ExploreReport report = Explore(options);
  CHECK(!report.problem.empty());
  CHECK(!report.trace.empty());
}
