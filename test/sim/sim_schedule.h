// What will happen, and when: the only clock of a run. Simulated time goes from one event to the
// next.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "core/types.h"

namespace ringleader::simulator {

class SimSchedule {
 public:
  using Action = std::function<void()>;

  Nanos now() const { return now_; }
  bool empty() const { return heap_.empty(); }
  uint64_t events() const { return events_; }

  void At(Nanos at, Action action) {
    heap_.push_back({std::max(at, now_), next_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  void In(Nanos delay, Action action) { At(now_ + delay, std::move(action)); }
  // Those of one time in the order in which they were asked for.
  void RunNext() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ = event.at;
    ++events_;
    event.action();
  }

 private:
  struct Event {
    Nanos at;
    uint64_t number;
    Action action;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.at != b.at ? a.at > b.at : a.number > b.number;
  }

  std::vector<Event> heap_;
  Nanos now_ = 1;
  uint64_t next_ = 0;
  uint64_t events_ = 0;
};

}  // namespace ringleader::simulator
