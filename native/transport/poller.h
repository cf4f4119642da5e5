// What a thread waits for when it has nothing to do: sockets, doorbells and its own bell, in one
// set (epoll, edge-triggered).
//
// Threads: one, but for Ring.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace ringleader {

// Who is told that something has happened to a descriptor. What it is told is a hint: it finds out
// by trying.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // `events` as epoll has them: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. May add and
  // remove descriptors, its own too, and destroy watchers.
  virtual void OnReady(int descriptor, uint32_t events) = 0;
};

class Poller {
 public:
  static Result<Poller> Open();
  ~Poller();
  Poller(Poller&& other) noexcept;
  Poller& operator=(Poller&& other) noexcept;

  // From now on `watcher` is told once of every change of the descriptor, both directions. The
  // poller does not own it, and it has to be removed before it is closed.
  Status Add(int descriptor, Watcher* watcher);
  // After it the watcher is not told of it any more, not even of what has happened already.
  void Remove(int descriptor);

  // Tells watchers of what has happened, having waited at most `timeout_ns` for something.
  Status Wait(uint64_t timeout_ns);
  // Ends the wait under way, or the next one. From any thread, and from a signal handler.
  void Ring();
  // The bell itself, an eventfd: a write of any 8 bytes but 0 rings.
  int bell() const;

 private:
  Poller() = default;

  struct State;
  State* state_ = nullptr;
};

}  // namespace ringleader
