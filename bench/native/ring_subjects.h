// What ring_bench measures: ways for bytes from one thread to another, and memcpy beside them.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "measure.h"
#include "transport/descriptor.h"
#include "transport/link.h"
#include "transport/poller.h"

namespace ringleader {

inline constexpr size_t kSourceBytes = size_t{1} << 20;  // messages are taken from there
inline constexpr size_t kSinkBytes = size_t{64} << 20;   // and are copied to there
inline constexpr size_t kBatchBytes = size_t{64} << 10;  // between flushes, or in one write
inline constexpr size_t kMessageHeadBytes = 8;           // u32 size, u32 checksum or 0
inline constexpr size_t kQuestionBytes = 512;

// One-way work: so many messages of so many bytes, made with a checksum or without.
struct OneWay {
  size_t message_bytes;
  uint64_t messages;
  bool checksum = false;

  uint64_t bytes() const { return message_bytes * messages; }
};

class Source {
 public:
  Source() : bytes_(kSourceBytes) {
    for (size_t i = 0; i < bytes_.size(); ++i)
      bytes_[i] = static_cast<uint8_t>(i * 2654435761 >> 9);
  }
  Bytes Next(size_t size) {
    if (at_ + size > bytes_.size()) at_ = 0;
    const Bytes next(&bytes_[at_], size);
    at_ += size;
    return next;
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t at_ = 0;
};

// Binds the calling thread to one processor, the `index`th that it may use; where there are fewer,
// and with a negative one, to none.
inline void Pin(int index) {
  static const cpu_set_t all = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && index >= 0; ++cpu) {
    if (CPU_ISSET(cpu, &all) && index-- == 0) CPU_SET(cpu, &one);
  }
  const cpu_set_t& set = CPU_COUNT(&one) > 0 ? one : all;
  sched_setaffinity(0, sizeof set, &set);
}

// Runs both at the same time, each on its own processor unless `anywhere`; seconds until both have
// ended.
inline double Together(const std::function<void()>& first, const std::function<void()>& second,
                       bool anywhere = false) {
  std::atomic<int> ready = 0;
  const auto start = [&](int index) {
    Pin(anywhere ? -1 : index);
    ready.fetch_add(1, std::memory_order_acq_rel);
    while (ready.load(std::memory_order_acquire) < 2) sched_yield();
  };
  double began = 0;
  std::thread other([&] {
    start(1);
    second();
  });
  start(0);
  began = Now();
  first();
  other.join();
  Pin(-1);
  return Now() - began;
}

// --- links ---------------------------------------------------------------------------------------

struct LinkEnd {
  Link* link;
  Poller* poller;
};

// Looks again for a short while, as a pump with processors to spare does, and then sleeps.
class Patience {
 public:
  explicit Patience(LinkEnd end) : end_(end) {}
  void Wait() {
    if (++looks_ % kLooks != 0) return;
    if (!end_.link->PrepareSleep()) return;
    Must(end_.poller->Wait(1'000'000'000));
    end_.link->EndSleep();
  }
  void Reset() { looks_ = 0; }

 private:
  static constexpr int kLooks = 200;
  const LinkEnd end_;
  int looks_ = 0;
};

inline void SendMessages(LinkEnd end, const OneWay& work) {
  Source source;
  Patience patience(end);
  size_t unflushed = 0;
  for (uint64_t i = 0; i < work.messages;) {
    const Bytes body = source.Next(work.message_bytes - kMessageHeadBytes);
    uint8_t head[kMessageHeadBytes];
    StoreLe(head, static_cast<uint32_t>(work.message_bytes));
    StoreLe(head + 4, work.checksum ? Crc32c(body) : 0);
    for (;;) {
      if (Must(end.link->Send(Lane::kLog, head, body))) break;
      Must(end.link->Flush());
      patience.Wait();
    }
    patience.Reset();
    ++i;
    unflushed += work.message_bytes;
    if (unflushed < kBatchBytes && i < work.messages) continue;
    Must(end.link->Flush());
    unflushed = 0;
  }
}

inline void CheckMessages(Bytes bytes) {
  while (!bytes.empty()) {
    const size_t size = LoadLe<uint32_t>(bytes.data());
    const Bytes body = bytes.subspan(kMessageHeadBytes, size - kMessageHeadBytes);
    if (Crc32c(body) != LoadLe<uint32_t>(bytes.data() + 4)) {
      Must(Status(Code::kCorruption, "a message has changed on its way"));
    }
    bytes = bytes.subspan(size);
  }
}

inline void ReceiveMessages(LinkEnd end, const OneWay& work, std::vector<uint8_t>* sink) {
  sink->clear();
  Patience patience(end);
  for (uint64_t left = work.bytes(); left > 0;) {
    if (sink->size() + 2 * kBatchBytes > kSinkBytes) sink->clear();
    const size_t before = sink->size();
    Must(end.link->Receive(kBatchBytes, sink));
    const size_t got = sink->size() - before;
    if (work.checksum) CheckMessages(Bytes(*sink).subspan(before));
    left -= got;
    if (got > 0) patience.Reset();
    if (got == 0) {
      Must(end.link->Flush());  // what a link says by itself
      patience.Wait();
    }
  }
}

// Bytes of every message that were received, for a round trip.
inline void ReceiveOne(LinkEnd end, bool spin, std::vector<uint8_t>* sink) {
  sink->clear();
  for (;;) {
    Must(end.link->Receive(1, sink));
    if (!sink->empty()) return;
    if (spin || !end.link->PrepareSleep()) continue;
    Must(end.poller->Wait(1'000'000'000));
    end.link->EndSleep();
  }
}

// Microseconds of the middle one of so many questions with their answers.
inline double LinkRoundTrip(LinkEnd asks, LinkEnd answers, int rounds, bool spin) {
  std::vector<uint8_t> message(kQuestionBytes, 1);
  std::vector<double> micros;
  const auto ask = [&] {
    std::vector<uint8_t> sink;
    for (int i = 0; i < rounds; ++i) {
      const double began = Now();
      Must(asks.link->Send(Lane::kUrgent, message, {}));
      Must(asks.link->Flush());
      ReceiveOne(asks, spin, &sink);
      micros.push_back((Now() - began) * 1e6);
    }
  };
  const auto answer = [&] {
    std::vector<uint8_t> sink;
    for (int i = 0; i < rounds; ++i) {
      ReceiveOne(answers, spin, &sink);
      Must(answers.link->Send(Lane::kUrgent, message, {}));
      Must(answers.link->Flush());
    }
  };
  Together(ask, answer, !spin);
  return Median(std::move(micros));
}

// --- sockets -------------------------------------------------------------------------------------

using SocketPair = std::pair<Descriptor, Descriptor>;

inline void MustCall(bool good, const char* what) {
  if (!good) Must(ErrnoStatus(errno, what));
}

inline SocketPair UnixSockets() {
  int ends[2];
  MustCall(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

inline SocketPair TcpSockets() {
  const Descriptor listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  MustCall(bind(listening.get(), at, size) == 0 && listen(listening.get(), 1) == 0 &&
               getsockname(listening.get(), at, &size) == 0,
           "listen");
  Descriptor dialed(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  MustCall(connect(dialed.get(), at, size) == 0, "connect");
  Descriptor accepted(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  MustCall(accepted.valid(), "accept");
  const int on = 1;
  for (const Descriptor* each : {&dialed, &accepted}) {
    setsockopt(each->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return {std::move(dialed), std::move(accepted)};
}

inline void WriteAll(int socket, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(socket, bytes.data(), bytes.size());
    MustCall(wrote > 0, "write");
    bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
}

// Messages are copied into a batch, and batches written.
inline void SendOverSocket(int socket, const OneWay& work) {
  Source source;
  std::vector<uint8_t> batch;
  batch.reserve(2 * kBatchBytes);
  for (uint64_t i = 0; i < work.messages; ++i) {
    const Bytes message = source.Next(work.message_bytes);
    batch.insert(batch.end(), message.begin(), message.end());
    if (batch.size() < kBatchBytes && i + 1 < work.messages) continue;
    WriteAll(socket, batch);
    batch.clear();
  }
}

inline void ReceiveFromSocket(int socket, const OneWay& work, std::vector<uint8_t>* sink) {
  sink->resize(kSinkBytes);
  size_t at = 0;
  for (uint64_t left = work.bytes(); left > 0;) {
    if (at + kBatchBytes > sink->size()) at = 0;
    const ssize_t got = read(socket, sink->data() + at, kBatchBytes);
    MustCall(got > 0, "read");
    at += static_cast<size_t>(got);
    left -= static_cast<uint64_t>(got);
  }
}

inline void ReadOne(int socket, std::vector<uint8_t>* sink) {
  for (size_t have = 0; have < kQuestionBytes;) {
    const ssize_t got = read(socket, sink->data() + have, kQuestionBytes - have);
    MustCall(got > 0, "read");
    have += static_cast<size_t>(got);
  }
}

inline double SocketRoundTrip(const SocketPair& sockets, int rounds, bool anywhere) {
  std::vector<double> micros;
  const auto ask = [&] {
    std::vector<uint8_t> message(kQuestionBytes);
    for (int i = 0; i < rounds; ++i) {
      const double began = Now();
      WriteAll(sockets.first.get(), message);
      ReadOne(sockets.first.get(), &message);
      micros.push_back((Now() - began) * 1e6);
    }
  };
  const auto answer = [&] {
    std::vector<uint8_t> message(kQuestionBytes);
    for (int i = 0; i < rounds; ++i) {
      ReadOne(sockets.second.get(), &message);
      WriteAll(sockets.second.get(), message);
    }
  };
  Together(ask, answer, anywhere);
  return Median(std::move(micros));
}

// GB/s of 64 MiB to 64 MiB.
inline double MemcpyRate(std::vector<uint8_t>* from, std::vector<uint8_t>* to) {
  const double began = Now();
  std::memcpy(to->data(), from->data(), from->size());
  asm volatile("" ::"r"(to->data()) : "memory");
  return static_cast<double>(from->size()) / (Now() - began) * 1e-9;
}

}  // namespace ringleader
