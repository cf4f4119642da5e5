// The runs of a small group, breadth first, as far as a few bounds: what is found first is found by
// one of the shortest ways.
//
// What is explored is the real core over ModelGroup. A state is told from others by a hash of 64
// bits (explore_key.h says what goes in): of ten million states two are taken for one with a
// chance of one in 300,000. Each member's clock moves by itself, to its own next deadline: no two
// clocks have anything in common, which is more than real ones do to each other, and holds as long
// as no lease is given.
//
// "All" means all within the bounds, and these leave out more than they count:
//   - what lies behind a state with too many messages on their way, or too high a ballot;
//   - times between two deadlines, and ticks beyond the bound;
//   - a message that is equal to one on its way, and a tick while the member's own heartbeat is on
//     its way;
//   - disks that are slow when nobody may crash any more: then they save and flush at once;
//   - with fifo, messages from one member to another that overtake each other;
//   - flushes that take a while, reads, leases, hand-overs, trimming and snapshots: scenarios and
//     random walks have those.
// What the rules of the model remember beyond the state, such as who led which ballot, is not part
// of the hash: of two ways to a state, only what the first one remembers is held against what
// follows.
//
// Members are not taken for interchangeable. Ballots of equal counters, and equals in a canvass,
// are ordered by incarnation, so a group in which two members have changed places goes on in
// another way.
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
  // A new disk has the incarnation of the old one: a broken world, in which promises are lost.
  bool keeps_identity = false;
};

struct ExploreOptions {
  std::string group = "three";  // a name of ExploreGroups
  ExploreBounds bounds;
  uint64_t max_states = 1'000'000;
  double max_seconds = 60;
  uint64_t kept_groups = 400'000;  // of the frontier, in memory; others are made again
  // Of every so many states it is looked at whether the group lives on from there; 0 = of none.
  uint64_t live_every = 64;
};

struct ExploreReport {
  std::string problem;             // empty: none was found
  std::vector<std::string> trace;  // the shortest way to it
  bool exhausted = false;          // all there is within the bounds
  uint64_t states = 0, transitions = 0, depth = 0;
  uint64_t left = 0;   // states all of whose steps have been made
  uint64_t lived = 0;  // states from which it was looked at whether the group lives on
  uint64_t committed = 0, reigns = 0;  // the most in any state: that something happened at all
  double seconds = 0;
};

// "two", "three", "witness" (two and a register), "promote" (two and a learner), "remove" (three,
// of whom one goes): bounds with which each is exhausted within seconds. False where there is no
// such group.
bool SetExploreGroup(const std::string& name, ExploreOptions* options);

// The bounds that an hour is given for: three writes, two crashes, two elections, a message that is
// lost and one that is repeated, a change more of the clocks. No group is known to be exhausted
// within them: the report says how far it has come.
void SetExploreLong(ExploreOptions* options);

ExploreReport Explore(const ExploreOptions& options);

// The way to the state that is being left, and the choice: for a program that is about to be ended
// by a failed check of the core itself.
std::vector<std::string> ExploreTraceOnAbort();

}  // namespace ringleader::sim
