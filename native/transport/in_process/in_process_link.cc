#include "transport/in_process/in_process_link.h"

#include <array>
#include <deque>
#include <mutex>

#include "wire/message_codec.h"

namespace ringleader {
namespace {

// What is on its way to one end, and how to reach it.
struct Inbox {
  struct Queue {
    std::deque<std::vector<uint8_t>> messages;
    size_t bytes = 0;
  };
  std::array<Queue, kLanes> queues;
  Poller* poller = nullptr;  // null when the end is gone
  bool asleep = false;
  size_t refused = 0;  // bytes that the owner has found no room for, in refused_lane
  Lane refused_lane = Lane::kUrgent;

  bool empty() const {
    for (const Queue& queue : queues) {
      if (!queue.messages.empty()) return false;
    }
    return true;
  }
};

struct Shared {
  std::mutex mutex;
  std::array<Inbox, 2> inboxes;
};

class InProcessLink : public Link {
 public:
  InProcessLink(std::shared_ptr<Shared> shared, size_t side, size_t queue_bytes)
      : shared_(std::move(shared)),
        own_(shared_->inboxes[side]),
        other_(shared_->inboxes[1 - side]),
        queue_bytes_(queue_bytes) {}

  ~InProcessLink() override {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    own_.poller = nullptr;
    WakeOther();
  }

  LinkKind kind() const override { return LinkKind::kInProcess; }

  size_t Room(Lane lane) const override {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    return RoomOf(other_.queues[static_cast<size_t>(lane)]);
  }

  Result<bool> Send(Lane lane, Bytes head, Bytes body) override {
    const size_t size = head.size() + body.size();
    if (size > kMaxFrameBytes) return Status(Code::kTooLarge, "a message longer than a link takes");
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    Inbox::Queue& queue = other_.queues[static_cast<size_t>(lane)];
    if (RoomOf(queue) < size) {
      ++counters_.no_room;
      own_.refused = size;
      own_.refused_lane = lane;
      return false;
    }
    own_.refused = 0;
    std::vector<uint8_t>& message = queue.messages.emplace_back();
    message.reserve(size);
    message.insert(message.end(), head.begin(), head.end());
    message.insert(message.end(), body.begin(), body.end());
    queue.bytes += size;
    ++counters_.messages_sent;
    counters_.bytes_sent += size;
    return true;
  }

  Status Flush() override {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    if (other_.asleep && !other_.empty()) WakeOther();
    return Status::Ok();
  }

  Result<bool> Receive(size_t limit, std::vector<uint8_t>* out) override {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    size_t taken = 0;
    for (Inbox::Queue& queue : own_.queues) {
      while (!queue.messages.empty() && taken < limit) taken += Take(&queue, out);
    }
    if (other_.asleep && HasRoomAgain(other_, own_)) WakeOther();
    if (!own_.empty()) return true;
    if (taken == 0 && other_.poller == nullptr) {
      return Status(Code::kClosed, "the other end of the link is gone");
    }
    return false;
  }

  bool PrepareSleep() override {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    const bool room = HasRoomAgain(own_, other_);
    if (room) own_.refused = 0;  // told once
    if (room || !own_.empty() || other_.poller == nullptr) return false;
    own_.asleep = true;
    ++counters_.sleeps;
    return true;
  }

  void EndSleep() override {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    own_.asleep = false;
  }

  const LinkCounters& counters() const override { return counters_; }

 private:
  size_t RoomOf(const Inbox::Queue& queue) const {
    if (queue.messages.empty()) return kMaxFrameBytes;
    return queue.bytes < queue_bytes_ ? queue_bytes_ - queue.bytes : 0;
  }

  // Whether what the owner of `sender` has found no room for would go into `receiver` now.
  bool HasRoomAgain(const Inbox& sender, const Inbox& receiver) const {
    const auto lane = static_cast<size_t>(sender.refused_lane);
    return sender.refused > 0 && RoomOf(receiver.queues[lane]) >= sender.refused;
  }

  size_t Take(Inbox::Queue* queue, std::vector<uint8_t>* out) {
    const std::vector<uint8_t>& message = queue->messages.front();
    const size_t size = message.size();
    out->insert(out->end(), message.begin(), message.end());
    queue->bytes -= size;
    queue->messages.pop_front();
    ++counters_.messages_received;
    counters_.bytes_received += size;
    return size;
  }

  void WakeOther() {
    if (other_.poller == nullptr) return;
    other_.poller->Ring();
    ++counters_.wakes;
  }

  const std::shared_ptr<Shared> shared_;
  Inbox& own_;
  Inbox& other_;
  const size_t queue_bytes_;
  LinkCounters counters_;
};

}  // namespace

std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> MakeInProcessLinks(
    Poller* first, Poller* second, const InProcessOptions& options) {
  auto shared = std::make_shared<Shared>();
  shared->inboxes[0].poller = first;
  shared->inboxes[1].poller = second;
  return {std::make_unique<InProcessLink>(shared, 0, options.queue_bytes),
          std::make_unique<InProcessLink>(shared, 1, options.queue_bytes)};
}

}  // namespace ringleader
