// Each descriptor has a slot with a number of its own, which epoll keeps beside the descriptor and
// gives back with every event. An event that was collected before its descriptor was removed
// carries a number that no slot has any more, even where the descriptor has been opened again
// since.
#include "transport/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <utility>
#include <vector>

#include "base/check.h"

namespace ringleader {
namespace {

constexpr uint64_t kNanosPerSecond = 1'000'000'000;
constexpr uint64_t kNanosPerMilli = 1'000'000;
// Longer waits end early, which is allowed.
constexpr uint64_t kMaxWaitSeconds = 24 * 3600;

struct Slot {
  Watcher* watcher = nullptr;
  uint32_t number = 0;
};

}  // namespace

struct Poller::State {
  int epoll = -1;
  int bell = -1;
  uint32_t last_number = 0;
  bool has_nanos = true;    // the kernel has epoll_pwait2 and lets us call it
  std::vector<Slot> slots;  // by descriptor

  ~State() {
    if (epoll >= 0) close(epoll);
    if (bell >= 0) close(bell);
  }

  // Without a watcher it is the bell.
  Status Add(int descriptor, Watcher* watcher) {
    RL_CHECK(descriptor >= 0);
    const auto index = static_cast<size_t>(descriptor);
    if (index >= slots.size()) slots.resize(index + 1);
    RL_CHECK(slots[index].number == 0);
    // Comes round after four thousand million descriptors; 0 is nobody's.
    if (++last_number == 0) ++last_number;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = (static_cast<uint64_t>(last_number) << 32) | static_cast<uint32_t>(descriptor);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) {
      return ErrnoStatus(errno, "cannot watch a descriptor");
    }
    slots[index] = {watcher, last_number};
    return Status::Ok();
  }

  void Empty() const {
    uint64_t rings;
    while (read(bell, &rings, sizeof rings) < 0 && errno == EINTR) {
    }
  }

  int Collect(epoll_event* events, int count, uint64_t timeout_ns) {
    if (has_nanos) {
      timespec wait{};
      const uint64_t seconds = timeout_ns / kNanosPerSecond;
      wait.tv_sec = static_cast<time_t>(seconds < kMaxWaitSeconds ? seconds : kMaxWaitSeconds);
      wait.tv_nsec = static_cast<long>(timeout_ns % kNanosPerSecond);
      const long got = syscall(SYS_epoll_pwait2, epoll, events, count, &wait, nullptr, 0);
      if (got >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(got);
      has_nanos = false;
    }
    // Rounded up: rounded down, the last millisecond before a deadline would be spent calling.
    const uint64_t most_ns = kMaxWaitSeconds * kNanosPerSecond;
    const uint64_t wait_ns = timeout_ns < most_ns ? timeout_ns : most_ns;
    const uint64_t wait_ms = (wait_ns + kNanosPerMilli - 1) / kNanosPerMilli;
    return epoll_wait(epoll, events, count, static_cast<int>(wait_ms));
  }
};

Result<Poller> Poller::Open() {
  Poller poller;
  poller.state_ = new State;
  State& state = *poller.state_;
  state.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (state.epoll < 0) return ErrnoStatus(errno, "cannot create an epoll set");
  state.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (state.bell < 0) return ErrnoStatus(errno, "cannot create an eventfd");
  RL_RETURN_IF_ERROR(state.Add(state.bell, nullptr));
  return poller;
}

Poller::~Poller() { delete state_; }

Poller::Poller(Poller&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Poller& Poller::operator=(Poller&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Status Poller::Add(int descriptor, Watcher* watcher) {
  RL_CHECK(watcher != nullptr);
  return state_->Add(descriptor, watcher);
}

void Poller::Remove(int descriptor) {
  const auto index = static_cast<size_t>(descriptor);
  RL_CHECK(descriptor >= 0 && index < state_->slots.size() && state_->slots[index].number != 0);
  state_->slots[index] = {};
  // Cannot fail for a descriptor that is in the set, which it is.
  RL_CHECK(epoll_ctl(state_->epoll, EPOLL_CTL_DEL, descriptor, nullptr) == 0);
}

Status Poller::Wait(uint64_t timeout_ns) {
  std::array<epoll_event, 64> events;
  const int count = state_->Collect(events.data(), static_cast<int>(events.size()), timeout_ns);
  if (count < 0) {
    return errno == EINTR ? Status::Ok() : ErrnoStatus(errno, "cannot wait for descriptors");
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const auto descriptor = static_cast<uint32_t>(event.data.u64);
    const auto number = static_cast<uint32_t>(event.data.u64 >> 32);
    if (descriptor >= state_->slots.size()) continue;
    const Slot slot = state_->slots[descriptor];
    if (slot.number != number) continue;
    if (slot.watcher != nullptr) {
      slot.watcher->OnReady(static_cast<int>(descriptor), event.events);
    } else {
      state_->Empty();  // or it gets so full that it does not ring any more
    }
  }
  return Status::Ok();
}

void Poller::Ring() {
  const int saved = errno;
  const uint64_t one = 1;
  // A bell that is full has rung.
  while (write(state_->bell, &one, sizeof one) < 0 && errno == EINTR) {
  }
  errno = saved;
}

int Poller::bell() const { return state_->bell; }

}  // namespace ringleader
