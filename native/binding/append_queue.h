// Appends that could not be made at once: a thread that may wait makes them, in order.
//
// The JavaScript thread appends by itself as long as there is room. What finds none goes here with
// its bytes, and so does everything after it until this queue is empty again, so that the order of
// appends stays. The thread starts with the first push.
//
// Threads: Push and Take on one thread; `on_done` is called on the queue's own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "env/threads.h"
#include "log/log.h"

namespace ringleader::binding {

// One transaction and how far it is to be taken.
struct Submission {
  Entry entry;
  Level level = Level::kFlushed;
};

class AppendQueue {
 public:
  struct Done {
    Status status;
    Appended appended;  // where status is ok
    Level level = Level::kFlushed;
  };

  // `on_done`: some appends are done since the last Take.
  AppendQueue(Log& log, Threads& threads, std::function<void()> on_done);
  // Ends the thread after the append it is at; what has not begun never happens.
  ~AppendQueue();
  AppendQueue(const AppendQueue&) = delete;
  AppendQueue& operator=(const AppendQueue&) = delete;

  // Copies the payloads.
  void Push(std::span<const Submission> submissions);
  // Moves at most `limit` results out, in the order of the pushes.
  std::vector<Done> Take(size_t limit);
  // Submissions whose results have not been taken.
  size_t outstanding() const { return outstanding_; }

 private:
  // The submissions of one push; their payloads lie in `bytes`.
  struct Block {
    std::unique_ptr<uint8_t[]> bytes;
    std::vector<Entry> entries;
    std::vector<Level> levels;
  };

  void Run();
  void AppendBlock(const Block& block);
  void Finish(std::vector<Done>& done);

  Log& log_;
  Threads& threads_;
  const std::function<void()> on_done_;
  size_t outstanding_ = 0;  // of the pushing thread

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Block> blocks_;  // under mutex_, like everything below
  std::deque<Done> done_;
  bool stopping_ = false;

  std::unique_ptr<Thread> thread_;
};

}  // namespace ringleader::binding
