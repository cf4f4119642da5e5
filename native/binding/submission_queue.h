// Work that could not be done at once: a thread that may wait does it, in order.
//
// The JavaScript thread appends and commits by itself as long as there is room. What finds none
// goes here with its bytes, and so does everything after it until this queue is empty again, so
// that the order stays. The thread starts with the first push. Items carry their results.
//
// Threads: Push and Take on one thread; `on_done` and the steps are called on the queue's own.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "env/threads.h"

namespace ringleader::binding {

template <typename Item>
class SubmissionQueue {
 public:
  struct Steps {
    // Does as many as can be done right now, from the first one on, and returns how many. Never
    // waits.
    std::function<size_t(std::span<Item>)> run;
    // Does one, waiting as long as it takes.
    std::function<void(Item&)> run_one;
    // Some items are done since the last Take.
    std::function<void()> on_done;
  };

  SubmissionQueue(Threads& threads, Steps steps) : threads_(threads), steps_(std::move(steps)) {}

  // Ends the thread after the item it is at; what has not begun never happens.
  ~SubmissionQueue() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    work_.notify_one();
    thread_.reset();
  }
  SubmissionQueue(const SubmissionQueue&) = delete;
  SubmissionQueue& operator=(const SubmissionQueue&) = delete;

  // Whatever the items refer to must live until they have been taken.
  void Push(std::vector<Item> items) {
    outstanding_ += items.size();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      blocks_.push_back(std::move(items));
    }
    if (!thread_) thread_ = threads_.Spawn("rl-append", [this] { Run(); });
    work_.notify_one();
  }

  // Moves at most `limit` items out that are done, in the order of the pushes.
  std::vector<Item> Take(size_t limit) {
    std::vector<Item> taken;
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t count = std::min(limit, done_.size());
    taken.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      taken.push_back(std::move(done_.front()));
      done_.pop_front();
    }
    outstanding_ -= count;
    return taken;
  }

  // Items that have not been taken.
  size_t outstanding() const { return outstanding_; }

 private:
  void Finish(std::span<Item> items) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (Item& item : items) done_.push_back(std::move(item));
    }
    steps_.on_done();
  }

  void RunBlock(std::span<Item> items) {
    while (!items.empty()) {
      // Many at once where there is room again; one at a time, with waiting, where there is not.
      size_t done = steps_.run(items);
      if (done == 0) {
        steps_.run_one(items[0]);
        done = 1;
      }
      Finish(items.first(done));
      items = items.subspan(done);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_) return;
    }
  }

  void Run() {
    for (;;) {
      std::vector<Item> block;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        work_.wait(lock, [this] { return stopping_ || !blocks_.empty(); });
        if (stopping_) return;
        block = std::move(blocks_.front());
        blocks_.pop_front();
      }
      RunBlock(block);
    }
  }

  Threads& threads_;
  const Steps steps_;
  size_t outstanding_ = 0;  // of the pushing thread

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::vector<Item>> blocks_;  // under mutex_, like everything below
  std::deque<Item> done_;
  bool stopping_ = false;

  std::unique_ptr<Thread> thread_;
};

}  // namespace ringleader::binding
