// One set for everything that a thread waits for.
#include "transport/poller.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "harness.h"

namespace ringleader {
namespace {

constexpr uint64_t kLongNs = 20'000'000'000;

struct Pair {
  Pair() { CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0); }
  ~Pair() {
    for (const int end : ends) {
      if (end >= 0) close(end);
    }
  }
  int ends[2] = {-1, -1};
};

struct Seen : Watcher {
  void OnReady(int descriptor, uint32_t events) override {
    descriptors.push_back(descriptor);
    all |= events;
    if (then) then();
  }
  std::vector<int> descriptors;
  uint32_t all = 0;
  std::function<void()> then;
};

void Drain(Poller& poller) {
  for (int i = 0; i < 4; ++i) CHECK_OK(poller.Wait(0));
}

}  // namespace

TEST(transport_poller, tells_once_of_each_change) {
  CHECK_VALUE(Poller poller, Poller::Open());
  Pair pair;
  Seen seen;
  CHECK_OK(poller.Add(pair.ends[0], &seen));
  CHECK_OK(poller.Wait(kLongNs));
  CHECK(seen.all == EPOLLOUT);  // it can be written to
  const size_t before = seen.descriptors.size();
  CHECK_OK(poller.Wait(0));
  CHECK_EQ(seen.descriptors.size(), before);
  CHECK(write(pair.ends[1], "x", 1) == 1);
  CHECK_OK(poller.Wait(kLongNs));
  CHECK((seen.all & EPOLLIN) != 0);
  CHECK_EQ(seen.descriptors.back(), pair.ends[0]);
  Drain(poller);
  const size_t told = seen.descriptors.size();
  CHECK_OK(poller.Wait(1'000'000));  // what has not been read is not told again
  CHECK_EQ(seen.descriptors.size(), told);
  close(std::exchange(pair.ends[1], -1));
  CHECK_OK(poller.Wait(kLongNs));
  CHECK((seen.all & EPOLLRDHUP) != 0);
  poller.Remove(pair.ends[0]);
}

TEST(transport_poller, rings_from_any_thread_and_from_a_signal) {
  CHECK_VALUE(Poller poller, Poller::Open());
  std::thread other([&poller] { poller.Ring(); });
  CHECK_OK(poller.Wait(kLongNs));
  other.join();
  // A bell that has rung before the wait ends the next one; any number of rings are one.
  for (int i = 0; i < 1000; ++i) poller.Ring();
  CHECK_OK(poller.Wait(kLongNs));
  static Poller* rung = nullptr;
  rung = &poller;
  const auto old = std::signal(SIGUSR1, [](int) { rung->Ring(); });
  CHECK(raise(SIGUSR1) == 0);
  CHECK_OK(poller.Wait(kLongNs));
  std::signal(SIGUSR1, old);
  const uint64_t one = 1;
  CHECK(write(poller.bell(), &one, sizeof one) == sizeof one);
  CHECK_OK(poller.Wait(kLongNs));
}

// Nothing of the first descriptor reaches the second, which has its number.
TEST(transport_poller, an_old_event_does_not_reach_a_new_descriptor) {
  CHECK_VALUE(Poller poller, Poller::Open());
  Pair first, second;
  Seen a, b, fresh;
  int reopened = -1;
  // Both have something to tell in one wait, and whoever is told first replaces the other.
  const auto replace = [&](Seen& other, Pair& pair) {
    return [&] {
      if (reopened >= 0) return;
      const int descriptor = std::exchange(pair.ends[0], -1);
      poller.Remove(descriptor);
      close(descriptor);
      // The end of a pipe that has nothing to read and is never writable: it has no event.
      int ends[2];
      CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
      reopened = dup2(ends[0], descriptor);
      if (ends[0] != reopened) close(ends[0]);
      pair.ends[0] = ends[1];
      CHECK_OK(poller.Add(reopened, &fresh));
      other.descriptors.clear();
    };
  };
  a.then = replace(b, second);
  b.then = replace(a, first);
  CHECK_OK(poller.Add(first.ends[0], &a));
  CHECK_OK(poller.Add(second.ends[0], &b));
  CHECK_OK(poller.Wait(kLongNs));
  CHECK(reopened >= 0);
  CHECK_EQ(a.descriptors.size() + b.descriptors.size(), size_t{1});
  CHECK(fresh.descriptors.empty());
  poller.Remove(reopened);
  close(reopened);
}

TEST(transport_poller, a_watcher_may_go_while_it_is_told) {
  CHECK_VALUE(Poller poller, Poller::Open());
  Pair pair;
  auto seen = std::make_unique<Seen>();
  bool told = false;
  seen->then = [&] {
    told = true;
    poller.Remove(pair.ends[0]);
    // The function that runs is a member of what goes: it is kept until it has ended.
    static std::function<void()> kept;
    kept = std::move(seen->then);
    seen.reset();
  };
  CHECK_OK(poller.Add(pair.ends[0], seen.get()));
  CHECK_OK(poller.Wait(kLongNs));
  CHECK(told && !seen);
}

TEST(transport_poller, moves_and_ends) {
  CHECK_VALUE(Poller poller, Poller::Open());
  Pair pair;
  Seen seen;
  CHECK_OK(poller.Add(pair.ends[0], &seen));
  Poller moved(std::move(poller));
  CHECK_VALUE(Poller assigned, Poller::Open());
  assigned = std::move(moved);
  CHECK_OK(assigned.Wait(kLongNs));
  CHECK_EQ(seen.descriptors.size(), size_t{1});
  CHECK((fcntl(assigned.bell(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST(transport_poller, what_cannot_be_watched_is_said) {
  CHECK_VALUE(Poller poller, Poller::Open());
  Seen seen;
  const std::string path = test::TempDir() + "/file";
  const int file = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  CHECK(file >= 0);
  CHECK(!poller.Add(file, &seen).ok());  // epoll takes no files
  close(file);
}

}  // namespace ringleader
