// A random walk over a group: one seed is one run, the same on every machine.
//
// Each run draws its own parameters first (a swarm): how many members, under which quorums, which
// faults there are and how often. So a run that never crashes anybody goes deep where one that
// crashes everybody all the time cannot, and the other way round. After every step the group's
// rules are looked at (ModelGroup::Check).
//
// It ends with the question whether the group lives: some members are left down or cut off for
// good, as many as the group has to bear, the others are healed; then a primary has to take a
// write, and everybody has to have it, within a bounded time.
#pragma once

#include <cstdint>
#include <string>

namespace ringleader::sim {

struct WalkOptions {
  uint64_t seed = 1;
  uint64_t steps = 3000;
  bool trace = false;  // each choice to standard output
  // Two members of which one is preferred, and one vote elects. Nothing is promised to outlast an
  // election there; but no ballot has two primaries, logs agree where their terms do, and in the
  // end both have one log.
  bool preferred = false;
};

struct WalkReport {
  std::string problem;  // empty: all is well
  std::string plan;     // the parameters, for people
  uint64_t hash = 0;    // of all choices and what came of them
  uint64_t choices = 0, steps = 0, committed = 0, reigns = 0, changes = 0, reads = 0;
};

WalkReport Walk(const WalkOptions& options);

}  // namespace ringleader::sim
