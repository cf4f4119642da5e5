// A value that copies share until one of them is changed: a step of a group changes one member, and
// an explorer copies the group for every step.
//
// Threads: one at a time, copies included.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

namespace ringleader::sim {

// What somebody has worked out from a value, until the value is changed. `made_at` is for what it
// was worked out from besides the value.
struct Note {
  uint64_t value = 0;
  uint64_t made_at = 0;
  bool made = false;
};

template <typename T>
class Shared {
 public:
  Shared() : Shared(T()) {}
  explicit Shared(T value) : held_(std::make_shared<Held>(std::move(value))) {}

  const T& operator*() const { return held_->value; }
  const T* operator->() const { return &held_->value; }
  Note& note() const { return held_->note; }

  // For a change. The reference holds until the next copy is made.
  T& Edit() {
    if (held_.use_count() > 1) held_ = std::make_shared<Held>(held_->value);
    held_->note = {};
    return held_->value;
  }

 private:
  struct Held {
    explicit Held(T from) : value(std::move(from)) {}
    T value;
    Note note;
  };
  std::shared_ptr<Held> held_;
};

}  // namespace ringleader::sim
