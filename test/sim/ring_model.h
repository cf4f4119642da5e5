// Every run of a ring in small: a producer, a consumer, and memory that lets stores be seen late
// and out of order.
//
// The two programs are those of native/transport/ring: append, publish, look whether the other side
// sleeps, ring; receive, release, look whether the other side waits for room; fall asleep, look
// once more, wait, wake up. Each load and each store is a step of its own. A store goes into a
// buffer of its thread first, and from there into memory whenever it likes, before earlier ones of
// other words too; a release store goes after all that came before it, and behind a sequentially
// consistent one its thread waits until it is there. Slots stand for frames, and who publishes, how
// much at a time, and when what was read is given back, is anybody's choice.
//
// It is wrong that a slot is read with anything but what was written for it, or that somebody waits
// for ever. What the model leaves out: the processor that loads early (all loads that matter are
// acquire loads, or depend on one), positions that wrap, more than one frame in a slot's place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringleader::sim {

// Planted bugs, all of which the exploration has to find.
enum class RingBug : uint8_t {
  kNone,
  kTailBeforeFrame,        // the tail is stored before the frame
  kTailRelaxed,            // ... after it, but may be seen before it
  kNoFenceAfterTail,       // the look whether the reader sleeps does not wait for the tail
  kNoFenceAfterSleep,      // the last look before sleeping does not wait for `sleep`
  kNoLastLook,             // there is none
  kHeadBeforeRead,         // what is about to be read is given back
  kNoFenceAfterHead,       // the look whether the writer waits does not wait for the head
  kNoFenceAfterRoomSleep,  // the writer's last look at the head does not wait for its `sleep`
  kNoLastLookForRoom,      // there is none
  kRoomAfterSleep,         // the writer says for how much it sleeps when it sleeps
  kRingOnce,               // who has rung once never rings again
  kNoBound,                // the writer does not look whether there is room
  kCount,
};
const char* NameOf(RingBug bug);

struct RingModelOptions {
  uint8_t slots = 2;
  uint8_t frames = 4;
  RingBug bug = RingBug::kNone;
  uint64_t most_states = 20'000'000;
};

struct RingModelReport {
  uint64_t states = 0;
  uint64_t transitions = 0;
  bool exhausted = false;
  std::string problem;             // empty: there is none
  std::vector<std::string> trace;  // how it comes to the problem
};

RingModelReport ExploreRing(const RingModelOptions& options);

}  // namespace ringleader::sim
