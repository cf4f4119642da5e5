// What links are measured with, whatever carries them: two ends in two threads, as two pumps.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "measure.h"
#include "transport/link.h"
#include "transport/poller.h"

namespace ringleader {

struct LinkEnd {
  Poller* poller = nullptr;
  Link* link = nullptr;
};

struct LinkRate {
  double seconds = 0;
  double cpu_seconds = 0;  // of both threads
  uint64_t bytes = 0;

  double gigabytes_per_second() const { return static_cast<double>(bytes) / seconds / 1e9; }
  double cpu_per_gigabyte() const { return cpu_seconds / (static_cast<double>(bytes) / 1e9); }
};

inline void SleepOnce(LinkEnd& end) {
  if (!end.link->PrepareSleep()) return;
  Must(end.poller->Wait(1'000'000'000));
  end.link->EndSleep();
}

// Records of `size` bytes one way, as many as make `bytes`: copied in from a source of 1 MiB and
// out to a buffer of 64 MiB that is walked through. What is sent waits for a flush of half a
// megabyte, as with a group of commits. Sender and receiver sleep when they have nothing to do.
inline LinkRate SendOneWay(LinkEnd from, LinkEnd to, size_t size, uint64_t bytes) {
  constexpr size_t kSource = size_t{1} << 20, kTarget = size_t{64} << 20, kBatch = 512 << 10;
  const uint64_t messages = bytes / size;
  std::atomic<double> receiver_cpu = 0;
  std::atomic<bool> done = false;
  std::vector<uint8_t> source(kSource, 0x5a);
  const double begin = Now();
  std::thread receiver([&] {
    const double cpu = ThreadCpu();
    std::vector<uint8_t> out;
    out.reserve(kTarget);
    for (uint64_t got = 0; got < messages * size;) {
      if (out.size() > kTarget - (size_t{4} << 20)) out.clear();
      const size_t before = out.size();
      const bool more = Must(to.link->Receive(size_t{1} << 20, &out));
      got += out.size() - before;
      if (!more && got < messages * size) SleepOnce(to);
    }
    Must(to.link->Flush());
    done.store(true, std::memory_order_release);
    receiver_cpu.store(ThreadCpu() - cpu, std::memory_order_release);
  });
  const double cpu = ThreadCpu();
  size_t at = 0, unflushed = 0;
  for (uint64_t sent = 0; sent < messages;) {
    if (at + size > kSource) at = 0;
    if (!Must(from.link->Send(Lane::kLog, Bytes(source).subspan(at, size), {}))) {
      Must(from.link->Flush());
      unflushed = 0;
      if (from.link->Room(Lane::kLog) < size) SleepOnce(from);
      continue;
    }
    ++sent;
    at += size;
    unflushed += size;
    if (unflushed < kBatch) continue;
    Must(from.link->Flush());
    unflushed = 0;
  }
  while (!done.load(std::memory_order_acquire)) {
    Must(from.link->Flush());
    Must(from.poller->Wait(1'000'000));
  }
  const double sender_cpu = ThreadCpu() - cpu;
  receiver.join();
  const double seconds = Now() - begin;
  return {seconds, sender_cpu + receiver_cpu.load(std::memory_order_acquire), messages * size};
}

// Microseconds of each round trip of an urgent message and its answer. Both sleep in between, or
// neither does.
inline std::vector<double> RoundTrips(LinkEnd here, LinkEnd there, size_t size, int count,
                                      bool asleep) {
  const std::vector<uint8_t> message(size, 1);
  const auto await = [asleep](LinkEnd& end, std::vector<uint8_t>* out) {
    out->clear();
    for (;;) {
      Must(end.link->Receive(size_t{1} << 20, out));
      if (!out->empty()) return;
      if (asleep) {
        SleepOnce(end);
      } else {
        Must(end.poller->Wait(0));
      }
    }
  };
  const auto send = [&message](LinkEnd& end) {
    Must(end.link->Send(Lane::kUrgent, message, {}));
    Must(end.link->Flush());
  };
  std::thread answering([&] {
    std::vector<uint8_t> out;
    for (int i = 0; i < count; ++i) {
      await(there, &out);
      send(there);
    }
  });
  std::vector<double> micros;
  std::vector<uint8_t> out;
  for (int i = 0; i < count; ++i) {
    const double begin = Now();
    send(here);
    await(here, &out);
    micros.push_back((Now() - begin) * 1e6);
  }
  answering.join();
  return micros;
}

}  // namespace ringleader
