// The transport between members of a Berkeley DB group that live in one process.
//
// It costs as little as one can: a message is copied once, into memory that all its receivers
// share, and put into the inbox of each. Confirmations of a replica do not travel, they go straight
// to the committer that waits for them.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "bdb_support.h"

namespace ringleader {

class BdbMessage {
 public:
  BdbMessage(int from, const DBT& control, const DBT& record)
      : from_(from), control_(Copy(control)), record_(Copy(record)) {}
  int from() const { return from_; }
  Bytes control() const { return control_; }
  Bytes record() const { return record_; }
  size_t size() const { return control_.size() + record_.size(); }

 private:
  static std::vector<uint8_t> Copy(const DBT& thing) {
    const auto* data = static_cast<const uint8_t*>(thing.data);
    return std::vector<uint8_t>(data, data + thing.size);
  }
  int from_;
  std::vector<uint8_t> control_, record_;
};

using BdbMessagePointer = std::shared_ptr<const BdbMessage>;

// Messages on their way to one member. Any number of threads push, one pops.
class BdbInbox {
 public:
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
  }

  // What is in it is lost, and so is what comes until it is opened.
  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
    messages_.clear();
    bytes_ = 0;
    filled_.notify_all();
    emptied_.notify_all();
  }

  void Push(BdbMessagePointer message) {
    const std::lock_guard lock(mutex_);
    if (!open_) return;
    bytes_ += message->size();
    messages_.push_back(std::move(message));
    filled_.notify_one();
  }

  // Sleeps while too much is in it, so that a replica which cannot follow slows the primary down.
  void AwaitRoom() {
    std::unique_lock lock(mutex_);
    emptied_.wait(lock, [this] { return !open_ || bytes_ < kRoomBytes; });
  }

  // Sleeps until there is one; null when it has been closed.
  BdbMessagePointer Pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return !open_ || !messages_.empty(); });
    if (!open_) return nullptr;
    BdbMessagePointer message = std::move(messages_.front());
    messages_.pop_front();
    const bool was_full = bytes_ >= kRoomBytes;
    bytes_ -= message->size();
    if (was_full && bytes_ < kRoomBytes) emptied_.notify_all();
    return message;
  }

 private:
  static constexpr size_t kRoomBytes = 4u << 20;

  std::mutex mutex_;
  std::condition_variable filled_, emptied_;
  std::deque<BdbMessagePointer> messages_;
  size_t bytes_ = 0;
  bool open_ = false;
};

// Which positions the two replicas have confirmed, and who waits for one. Only they are woken whose
// position has been reached.
class BdbConfirmations {
 public:
  // That position and all before it.
  void Confirm(size_t replica, uint64_t position) {
    const std::lock_guard lock(mutex_);
    confirmed_[replica] = std::max(confirmed_[replica], position);
    for (Waiter* waiter : waiters_) {
      if (Reached(*waiter)) waiter->woken.notify_one();
    }
  }

  uint64_t ConfirmedBy(size_t replica) {
    const std::lock_guard lock(mutex_);
    return confirmed_[replica];
  }

  // Until that replica has confirmed it; false after the time.
  bool AwaitReplica(size_t replica, uint64_t position, std::chrono::milliseconds time) {
    return Await({position, replica, {}}, time);
  }
  // Until either, or both, have.
  bool AwaitAny(uint64_t position, std::chrono::milliseconds time) {
    return Await({position, kAny, {}}, time);
  }
  bool AwaitAll(uint64_t position, std::chrono::milliseconds time) {
    return Await({position, kAll, {}}, time);
  }

 private:
  static constexpr size_t kAny = 2;
  static constexpr size_t kAll = 3;
  struct Waiter {
    uint64_t position;
    size_t whom;  // a replica, or one of the above
    std::condition_variable woken;
  };

  bool Reached(const Waiter& waiter) const {
    const auto [least, most] = std::minmax(confirmed_[0], confirmed_[1]);
    if (waiter.whom == kAny) return most >= waiter.position;
    if (waiter.whom == kAll) return least >= waiter.position;
    return confirmed_[waiter.whom] >= waiter.position;
  }

  bool Await(Waiter&& waiter, std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    if (Reached(waiter)) return true;
    waiters_.push_back(&waiter);
    const bool reached = waiter.woken.wait_for(lock, time, [&] { return Reached(waiter); });
    std::erase(waiters_, &waiter);
    return reached;
  }

  std::mutex mutex_;
  std::array<uint64_t, 2> confirmed_{};
  std::vector<Waiter*> waiters_;
};

}  // namespace ringleader
