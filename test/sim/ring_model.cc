#include "ring_model.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <type_traits>
#include <unordered_map>

namespace ringleader::sim {
namespace {

constexpr size_t kMostSlots = 4;
constexpr size_t kMostBuffered = 8;
constexpr uint8_t kNowhere = 0xff;

enum Word : uint8_t { kTail, kHead, kReaderSleep, kWriterSleep, kRoomAt, kSlots };
constexpr size_t kWords = kSlots + kMostSlots;

enum class At : uint8_t {
  // both
  kDone,
  kWait,
  kAwake,
  // the producer
  kAppend,
  kLookAtHead,
  kPublish,
  kLookAtReader,
  kAskForRoom,
  kSleepForRoom,
  kLastLookAtHead,
  // the consumer
  kLookAtTail,
  kRead,
  kRelease,
  kLookAtWriter,
  kLookAtRoom,
  kSleepForData,
  kLastLookAtTail,
};

struct Store {
  uint8_t word, value, release;
};

struct Thread {
  At at;
  uint8_t fenced;  // goes on when its buffer is empty
  uint8_t buffered;
  uint8_t epoch;     // own `sleep`
  uint8_t rung;      // epoch of the other that was rung for
  uint8_t position;  // frames appended, or read
  uint8_t known;     // of the other's position
  uint8_t shown;     // own position in memory, or on its way there
  uint8_t extra;     // producer: wants to sleep; consumer: epoch of the writer it has seen
  uint8_t bell;
  std::array<Store, kMostBuffered> buffer;
};

struct State {
  std::array<uint8_t, kWords> memory;
  Thread producer, consumer;
};
static_assert(std::has_unique_object_representations_v<State>);

class Model {
 public:
  explicit Model(const RingModelOptions& options) : options_(options) {}

  static State First() {
    State state{};
    state.memory[kRoomAt] = kNowhere;
    state.producer.at = At::kAppend;
    state.consumer.at = At::kLookAtTail;
    return state;
  }

  // Calls `take(next, step)` for all that may follow.
  template <typename Take>
  void Follow(const State& state, const Take& take) {
    Commit(state, &State::producer, "producer", take);
    Commit(state, &State::consumer, "consumer", take);
    if (Runs(state.producer)) Produce(state, take);
    if (Runs(state.consumer)) Consume(state, take);
  }

  bool Finished(const State& state) const {
    return state.producer.at == At::kDone && state.consumer.position == options_.frames;
  }
  const std::string& problem() const { return problem_; }

 private:
  bool Is(RingBug bug) const { return options_.bug == bug; }
  static bool Runs(const Thread& thread) {
    return thread.at != At::kDone && (thread.at != At::kWait || thread.bell != 0) &&
           (thread.fenced == 0 || thread.buffered == 0);
  }

  template <typename Take>
  void Commit(const State& state, Thread State::*which, const char* who, const Take& take) {
    const Thread& thread = state.*which;
    for (size_t i = 0; i < thread.buffered; ++i) {
      const Store& store = thread.buffer[i];
      bool may = true;
      for (size_t j = 0; j < i; ++j) {
        may = may && store.release == 0 && thread.buffer[j].word != store.word;
      }
      if (!may) continue;
      State next = state;
      next.memory[store.word] = store.value;
      Thread& changed = next.*which;
      std::copy(changed.buffer.begin() + static_cast<ptrdiff_t>(i) + 1, changed.buffer.end(),
                changed.buffer.begin() + static_cast<ptrdiff_t>(i));
      changed.buffer.back() = {};
      --changed.buffered;
      take(next, std::string(who) + "'s store of " + NameOfWord(store.word) + " = " +
                     std::to_string(store.value) + " is seen");
    }
  }

  static std::string NameOfWord(uint8_t word) {
    static const char* const names[] = {"tail", "head", "reader's sleep", "writer's sleep",
                                        "room_at"};
    return word < kSlots ? names[word] : "slot " + std::to_string(word - kSlots);
  }

  // Into the buffer; `fence`: nothing more before it is in memory.
  void Put(Thread& thread, uint8_t word, uint8_t value, bool release, bool fence) {
    if (thread.buffered == kMostBuffered) {
      problem_ = "the model's buffer is too small";
      return;
    }
    thread.buffer[thread.buffered++] = {word, value, release ? uint8_t{1} : uint8_t{0}};
    thread.fenced = fence ? 1 : 0;
  }

  uint8_t SlotOf(uint8_t position) const {
    return static_cast<uint8_t>(kSlots + position % options_.slots);
  }

  template <typename Take>
  void Produce(const State& state, const Take& take) {
    State next = state;
    Thread& self = next.producer;
    const auto& memory = state.memory;
    self.fenced = 0;
    switch (self.at) {
      case At::kAppend:
        return Append(state, take);
      case At::kLookAtHead:
        self.known = memory[kHead];
        // No room: flush what there is, and sleep.
        self.extra = self.position - self.known >= options_.slots ? 1 : 0;
        self.at = self.extra == 0               ? At::kAppend
                  : self.shown != self.position ? At::kPublish
                                                : At::kAskForRoom;
        return take(next, "producer looks at head " + std::to_string(self.known));
      case At::kPublish:
        self.shown = self.position;
        self.at = At::kLookAtReader;
        if (!Is(RingBug::kTailBeforeFrame)) {
          Put(self, kTail, self.position, !Is(RingBug::kTailRelaxed),
              !Is(RingBug::kNoFenceAfterTail));
        }
        return take(next, "producer publishes " + std::to_string(self.position));
      case At::kLookAtReader:
        if (Odd(memory[kReaderSleep], self.rung)) {
          self.rung = memory[kReaderSleep];
          next.consumer.bell = 1;
        }
        self.at = self.extra != 0                    ? At::kAskForRoom
                  : self.position == options_.frames ? At::kDone
                                                     : At::kAppend;
        return take(next, "producer looks whether the reader sleeps");
      case At::kAskForRoom:
        if (!Is(RingBug::kRoomAfterSleep)) PutRoom(self);
        self.at = At::kSleepForRoom;
        return take(next, "producer says how much it waits for");
      case At::kSleepForRoom:
        Put(self, kWriterSleep, ++self.epoch, true, !Is(RingBug::kNoFenceAfterRoomSleep));
        self.at = At::kLastLookAtHead;
        return take(next, "producer is about to sleep");
      case At::kLastLookAtHead:
        if (Is(RingBug::kRoomAfterSleep)) PutRoom(self);
        self.at = memory[kHead] + options_.slots > self.position && !Is(RingBug::kNoLastLookForRoom)
                      ? At::kAwake
                      : At::kWait;
        return take(next, "producer looks at head once more");
      case At::kWait:
        self.bell = 0;
        self.at = At::kAwake;
        return take(next, "producer is woken");
      default:
        Put(self, kWriterSleep, ++self.epoch, true, false);
        self.at = At::kLookAtHead;
        return take(next, "producer is awake");
    }
  }

  void PutRoom(Thread& self) {
    Put(self, kRoomAt, static_cast<uint8_t>(self.position - options_.slots + 1), true, false);
  }

  // One more, or what there is is published.
  template <typename Take>
  void Append(const State& state, const Take& take) {
    State next = state;
    Thread& self = next.producer;
    self.fenced = 0;
    self.extra = 0;
    if (self.position != self.shown) {
      State flushed = next;
      flushed.producer.at = At::kPublish;
      take(flushed, "producer flushes");
    }
    if (self.position == options_.frames) return;
    if (self.position - self.known >= options_.slots && !Is(RingBug::kNoBound)) {
      self.at = At::kLookAtHead;
      return take(next, "producer finds no room");
    }
    if (Is(RingBug::kTailBeforeFrame)) {
      Put(self, kTail, static_cast<uint8_t>(self.position + 1), true, false);
    }
    const bool release = false;
    Put(self, SlotOf(self.position), static_cast<uint8_t>(self.position + 1), release, false);
    ++self.position;
    take(next, "producer appends " + std::to_string(self.position));
  }

  template <typename Take>
  void Consume(const State& state, const Take& take) {
    State next = state;
    Thread& self = next.consumer;
    const auto& memory = state.memory;
    self.fenced = 0;
    switch (self.at) {
      case At::kLookAtTail:
        self.known = memory[kTail];
        self.at = self.known != self.position        ? At::kRead
                  : self.position == options_.frames ? At::kDone
                  : self.shown != self.position      ? At::kRelease
                                                     : At::kSleepForData;
        return take(next, "consumer looks at tail " + std::to_string(self.known));
      case At::kRead:
        return Read(state, take);
      case At::kRelease:
        self.shown = self.position;
        if (!Is(RingBug::kHeadBeforeRead)) {
          Put(self, kHead, self.position, true, !Is(RingBug::kNoFenceAfterHead));
        }
        self.at = At::kLookAtWriter;
        return take(next, "consumer gives back " + std::to_string(self.position));
      case At::kLookAtWriter:
        self.extra = memory[kWriterSleep];
        self.at = Odd(self.extra, self.rung) ? At::kLookAtRoom : At::kLookAtTail;
        return take(next, "consumer looks whether the writer waits");
      case At::kLookAtRoom:
        if (memory[kRoomAt] <= self.shown) {
          self.rung = self.extra;
          next.producer.bell = 1;
        }
        self.at = At::kLookAtTail;
        return take(next, "consumer looks how much the writer waits for");
      case At::kSleepForData:
        Put(self, kReaderSleep, ++self.epoch, true, !Is(RingBug::kNoFenceAfterSleep));
        self.at = At::kLastLookAtTail;
        return take(next, "consumer is about to sleep");
      case At::kLastLookAtTail:
        self.at =
            memory[kTail] != self.position && !Is(RingBug::kNoLastLook) ? At::kAwake : At::kWait;
        return take(next, "consumer looks at tail once more");
      case At::kWait:
        self.bell = 0;
        self.at = At::kAwake;
        return take(next, "consumer is woken");
      default:
        Put(self, kReaderSleep, ++self.epoch, true, false);
        self.at = At::kLookAtTail;
        return take(next, "consumer is awake");
    }
  }

  // What was read is given back now or later.
  template <typename Take>
  void Read(const State& state, const Take& take) {
    State next = state;
    Thread& self = next.consumer;
    self.fenced = 0;
    if (Is(RingBug::kHeadBeforeRead) && self.shown == self.position) {
      Put(self, kHead, ++self.shown, true, true);
      return take(next, "consumer gives back what it will read");
    }
    const uint8_t found = state.memory[SlotOf(self.position)];
    ++self.position;
    if (found != self.position) {
      problem_ = "frame " + std::to_string(self.position) + " is read as " + std::to_string(found);
    }
    const std::string step = "consumer reads " + std::to_string(found);
    self.at = self.position == self.known ? At::kLookAtTail : At::kRead;
    take(next, step);
    if (self.position == options_.frames || Is(RingBug::kHeadBeforeRead)) return;
    self.at = At::kRelease;
    take(next, step);
  }

  bool Odd(uint8_t sleep, uint8_t rung) const {
    if (Is(RingBug::kRingOnce) && rung != 0) return false;
    return sleep % 2 == 1 && sleep != rung;
  }

  const RingModelOptions options_;
  std::string problem_;
};

struct StateHash {
  size_t operator()(const State& state) const {
    const char* const bytes = reinterpret_cast<const char*>(&state);
    return std::hash<std::string_view>()({bytes, sizeof state});
  }
};
struct StateEqual {
  bool operator()(const State& one, const State& other) const {
    return std::memcmp(&one, &other, sizeof one) == 0;
  }
};

// Breadth first, so that a trace is as short as any.
class Exploration {
 public:
  explicit Exploration(const RingModelOptions& options) : options_(options), model_(options) {}

  RingModelReport Run() {
    Reach(Model::First(), 0, "");
    while (next_ < order_.size() && report_.problem.empty()) {
      if (order_.size() > options_.most_states) return Finish(false);
      Expand(next_++);
    }
    return Finish(report_.problem.empty());
  }

 private:
  struct Reached {
    const State* state;
    uint64_t from;
    std::string step;
  };

  void Expand(uint64_t index) {
    const State state = *order_[index].state;
    uint64_t ways = 0;
    model_.Follow(state, [&](const State& next, const std::string& step) {
      ++ways;
      ++report_.transitions;
      if (!model_.problem().empty() && report_.problem.empty()) {
        report_.problem = model_.problem();
        Trace(index);
        report_.trace.push_back(step);
      }
      Reach(next, index, step);
    });
    if (ways == 0 && !model_.Finished(state) && report_.problem.empty()) {
      report_.problem = "somebody sleeps for ever";
      Trace(index);
    }
  }

  void Reach(const State& state, uint64_t from, const std::string& step) {
    const auto [entry, fresh] = seen_.try_emplace(state, order_.size());
    if (fresh) order_.push_back({&entry->first, from, step});
  }

  void Trace(uint64_t index) {
    for (; index != 0; index = order_[index].from) report_.trace.push_back(order_[index].step);
    std::reverse(report_.trace.begin(), report_.trace.end());
  }

  RingModelReport Finish(bool exhausted) {
    report_.states = order_.size();
    report_.exhausted = exhausted;
    return std::move(report_);
  }

  const RingModelOptions options_;
  Model model_;
  std::unordered_map<State, uint64_t, StateHash, StateEqual> seen_;
  std::vector<Reached> order_;
  uint64_t next_ = 0;
  RingModelReport report_;
};

}  // namespace

const char* NameOf(RingBug bug) {
  static const char* const names[] = {"None",
                                      "TailBeforeFrame",
                                      "TailRelaxed",
                                      "NoFenceAfterTail",
                                      "NoFenceAfterSleep",
                                      "NoLastLook",
                                      "HeadBeforeRead",
                                      "NoFenceAfterHead",
                                      "NoFenceAfterRoomSleep",
                                      "NoLastLookForRoom",
                                      "RoomAfterSleep",
                                      "RingOnce",
                                      "NoBound"};
  static_assert(std::size(names) == static_cast<size_t>(RingBug::kCount));
  return names[static_cast<size_t>(bug)];
}

RingModelReport ExploreRing(const RingModelOptions& options) { return Exploration(options).Run(); }

}  // namespace ringleader::sim
