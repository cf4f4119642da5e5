#include "binding/append_queue.h"

#include <algorithm>
#include <utility>

namespace ringleader::binding {

AppendQueue::AppendQueue(Log& log, Threads& threads, std::function<void()> on_done)
    : log_(log), threads_(threads), on_done_(std::move(on_done)) {}

AppendQueue::~AppendQueue() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.reset();
}

void AppendQueue::Push(std::span<const Submission> submissions) {
  Block block;
  size_t size = 0;
  for (const Submission& submission : submissions) size += submission.entry.payload.size();
  block.bytes.reset(new uint8_t[size]);
  uint8_t* to = block.bytes.get();
  for (const Submission& submission : submissions) {
    Entry entry = submission.entry;
    std::copy(entry.payload.begin(), entry.payload.end(), to);
    entry.payload = {to, entry.payload.size()};
    to += entry.payload.size();
    block.entries.push_back(entry);
    block.levels.push_back(submission.level);
  }
  outstanding_ += submissions.size();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    blocks_.push_back(std::move(block));
  }
  if (!thread_) thread_ = threads_.Spawn("rl-append", [this] { Run(); });
  work_.notify_one();
}

std::vector<AppendQueue::Done> AppendQueue::Take(size_t limit) {
  std::vector<Done> taken;
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

void AppendQueue::Finish(std::vector<Done>& done) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Done& one : done) done_.push_back(std::move(one));
  }
  done.clear();
  on_done_();
}

void AppendQueue::AppendBlock(const Block& block) {
  const std::span<const Entry> entries(block.entries);
  std::vector<Appended> appended(entries.size());
  std::vector<Done> done;
  size_t next = 0;
  while (next < entries.size()) {
    // Many at once where there is room again; one at a time, with waiting, where there is not.
    const auto run = log_.TryAppend(entries.subspan(next), std::span(appended).subspan(next));
    const size_t placed = run.ok() ? run.value() : 0;
    for (size_t i = next; i < next + placed; ++i) {
      log_.Request(appended[i].end, block.levels[i]);
      done.push_back({Status::Ok(), appended[i], block.levels[i]});
    }
    next += placed;
    if (next < entries.size() && placed == 0) {
      const auto one = log_.Append(entries[next]);
      if (one.ok()) log_.Request(one.value().end, block.levels[next]);
      done.push_back({one.status(), one.ok() ? one.value() : Appended(), block.levels[next]});
      ++next;
    }
    Finish(done);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
  }
}

void AppendQueue::Run() {
  for (;;) {
    Block block;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      work_.wait(lock, [this] { return stopping_ || !blocks_.empty(); });
      if (stopping_) return;
      block = std::move(blocks_.front());
      blocks_.pop_front();
    }
    AppendBlock(block);
  }
}

}  // namespace ringleader::binding
