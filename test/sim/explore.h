// Every run of a small group, as far as a few bounds: breadth first, so that what is found first is
// found by the shortest way.
//
// What is explored is the real core over ModelGroup. A state is told from others by a hash of 64
// bits (explore_key.h). Times are hashed as distances from the member's own clock, and what is
// older than everything that the core asks about as simply old: the core only ever compares
// distances, and never a time of one member with that of another. So the states are finite, though
// the clocks run on. Each member's clock moves by itself, to its own next deadline: no two clocks
// have anything in common, which is more than real ones do to each other, and holds as long as no
// lease is given. Counts of saves are hashed as distances too; counts of canvasses and ballots are
// bounded.
//
// Bounds cut off what lies behind them. Beyond that is left out: times between two deadlines, a
// message that is equal to one on its way, a heartbeat while one is on its way, disks that are slow
// when nobody may crash any more, and, with fifo, messages that overtake each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringleader::sim {

struct ExploreBounds {
  uint32_t writes = 1;
  uint32_t crashes = 1;
  uint32_t losses = 0;   // of messages, and of answers of the witness
  uint32_t repeats = 0;  // of messages
  uint32_t disks = 0;    // replaced
  uint32_t changes = 0;  // of members
  uint32_t ballots = 1;  // beyond the one that the group begins with
  uint32_t rounds = 1;   // canvasses of each member
  uint32_t packets = 2;  // in flight
  uint32_t ticks = 4;    // of any clock
  bool fifo = true;      // what one member sends another does not overtake
};

struct ExploreOptions {
  std::string group = "three";  // a name of ExploreGroups
  ExploreBounds bounds;
  uint64_t max_states = 1'000'000;
  double max_seconds = 60;
  uint64_t kept_groups = 100'000;  // of the frontier, in memory; others are made again
};

struct ExploreReport {
  std::string problem;             // empty: none was found
  std::vector<std::string> trace;  // the shortest way to it
  bool exhausted = false;          // all there is within the bounds
  uint64_t states = 0, transitions = 0, depth = 0;
  uint64_t committed = 0, reigns = 0;  // the most in any state: that something happened at all
  double seconds = 0;
};

// "two", "three", "witness" (two and a register), "promote" (two and a learner), "remove" (three,
// of whom one goes): bounds with which each is exhausted within seconds. False where there is no
// such group.
bool SetExploreGroup(const std::string& name, ExploreOptions* options);

ExploreReport Explore(const ExploreOptions& options);

// The way to the state that is being left, and the choice: for a program that is about to be ended
// by a failed check of the core itself.
std::vector<std::string> ExploreTraceOnAbort();

}  // namespace ringleader::sim
