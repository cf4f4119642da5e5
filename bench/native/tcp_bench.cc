// The link over TCP on loopback: throughput one way, processor time, round trips.
//
//   tcp_bench [ROUNDS]
//
// Beside it, in turns, what a copy of 64 MiB reaches and what a plain socket does with writes of
// 64 KiB. A line shows the medians of the rounds. The two ends are threads of one process, each
// with a poller of its own.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tcp_subject.h"

namespace ringleader {
namespace {

constexpr size_t kSizes[] = {64, 512, 4096, 65536};
constexpr uint64_t kBytes = uint64_t{256} << 20;
constexpr int kTrips = 2000;

double CopyRate() {
  constexpr size_t kSize = size_t{64} << 20;
  static std::vector<uint8_t> from(kSize, 1), to(kSize, 2);
  const double begin = Now();
  std::memcpy(to.data(), from.data(), kSize);
  asm volatile("" ::"r"(to.data()) : "memory");
  return static_cast<double>(kSize) / (Now() - begin) / 1e9;
}

// What the kernel does with nothing of ours around it.
double PlainRate() {
  const Descriptor listening = Must(Listen(Must(Endpoint::Parse("127.0.0.1:0"))));
  const Endpoint endpoint = Must(Endpoint::OfSocket(listening.get()));
  Descriptor dialed = Must(StartConnect(endpoint, {}));
  Descriptor accepted;
  while (!accepted.valid()) accepted = Must(Accept(listening.get(), {}));
  const auto wait = [](int descriptor, short events) {
    pollfd ready{descriptor, events, 0};
    (void)poll(&ready, 1, 1000);
  };
  const double begin = Now();
  std::thread receiver([&] {
    std::vector<uint8_t> into(256 << 10);
    for (uint64_t got = 0; got < kBytes;) {
      const ssize_t count = recv(accepted.get(), into.data(), into.size(), 0);
      if (count > 0) {
        got += static_cast<uint64_t>(count);
      } else {
        wait(accepted.get(), POLLIN);
      }
    }
  });
  const std::vector<uint8_t> from(64 << 10, 1);
  for (uint64_t sent = 0; sent < kBytes;) {
    const size_t size = std::min<uint64_t>(from.size(), kBytes - sent);
    const ssize_t count = send(dialed.get(), from.data(), size, MSG_NOSIGNAL);
    if (count > 0) {
      sent += static_cast<uint64_t>(count);
    } else {
      wait(dialed.get(), POLLOUT);
    }
  }
  receiver.join();
  return static_cast<double>(kBytes) / (Now() - begin) / 1e9;
}

int Main(int rounds) {
  std::map<std::string, std::vector<double>> figures;
  for (int round = 0; round < rounds; ++round) {
    figures["copy GB/s"].push_back(CopyRate());
    figures["plain 64 KiB GB/s"].push_back(PlainRate());
    for (const size_t size : kSizes) {
      TcpPair pair;
      const LinkRate rate = SendOneWay(pair.end(0), pair.end(1), size, kBytes);
      const std::string name = "link " + std::to_string(size) + " B ";
      figures[name + "GB/s"].push_back(rate.gigabytes_per_second());
      figures[name + "cpu s/GB"].push_back(rate.cpu_per_gigabyte());
      for (const bool asleep : {true, false}) {
        const auto trips = RoundTrips(pair.end(0), pair.end(1), size, kTrips, asleep);
        figures[name + (asleep ? "trip asleep us" : "trip awake us")].push_back(Median(trips));
      }
    }
  }
  for (const auto& [name, values] : figures) {
    std::printf("%-28s %8.3f   (%.3f to %.3f)\n", name.c_str(), Median(values), Quantile(values, 0),
                Quantile(values, 1));
  }
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc > 1 ? std::atoi(argv[1]) : 5); }
