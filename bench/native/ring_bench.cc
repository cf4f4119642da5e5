// The ring beside memcpy, sockets, our own link over TCP, and iceoryx where it is installed.
//
//   ring_bench [--rounds N] [--mib N] [--trips N]
//
// Each round measures everything once, one after the other, so that a slow spell of the machine
// hits all; a figure is the median of the rounds, a ratio the median of the ratios within rounds.
// One way: two threads, each on a processor of its own, messages taken from 1 MiB and copied out to
// 64 MiB; sockets and links are flushed every 64 KiB. Round trips: 512 bytes; spinning ones with
// each side on a processor of its own, sleeping ones wherever the kernel puts them. Where the
// machine has other things to do, only ratios mean anything, and those little.
#include <cstdlib>
#include <cstring>
#include <map>

#include "ring_iceoryx.h"
#include "ring_pair.h"
#include "ring_subjects.h"
#include "tcp_fixture.h"

namespace ringleader {
namespace {

struct Options {
  int rounds = 5;
  uint64_t mib = 128;  // one way, each time
  int trips = 2000;
};

constexpr size_t kSizes[] = {64, 512, 4096, 65536};

using Samples = std::map<std::string, std::vector<double>>;

class RingBench {
 public:
  explicit RingBench(const Options& options)
      : options_(options), from_(kSinkBytes, 1), to_(kSinkBytes, 2) {}

  void Run() {
    for (int round = 0; round < options_.rounds; ++round) {
      samples_["memcpy"].push_back(
          Median({MemcpyRate(&from_, &to_), MemcpyRate(&from_, &to_), MemcpyRate(&from_, &to_)}));
      for (const size_t size : kSizes) OneWays(size);
      RoundTrips();
      SetUp();
    }
    Report();
  }

 private:
  static std::string Key(const char* subject, size_t size) {
    return std::string(subject) + " " + std::to_string(size);
  }
  OneWay Work(size_t size, uint64_t mib, bool checksum = false) const {
    return {size, std::max<uint64_t>((mib << 20) / size, 1), checksum};
  }

  double LinkRate(LinkEnd sends, LinkEnd receives, const OneWay& work) {
    std::atomic<bool> done = false;
    const auto send = [&] {
      SendMessages(sends, work);
      // A link may hold what the kernel has not taken yet.
      while (!done.load(std::memory_order_acquire)) {
        Must(sends.link->Flush());
        Must(sends.poller->Wait(100'000));
      }
    };
    const auto receive = [&] {
      ReceiveMessages(receives, work, &sink_);
      done.store(true, std::memory_order_release);
    };
    return static_cast<double>(work.bytes()) / Together(send, receive) * 1e-9;
  }

  double RingRate(const OneWay& work) {
    Poller first = Must(Poller::Open()), second = Must(Poller::Open());
    auto links = Must(test::MakeRingLinks(&first, &second));
    LinkRate({links.first.get(), &first}, {links.second.get(), &second},
             Work(work.message_bytes, 16, work.checksum));  // pages are there
    return LinkRate({links.first.get(), &first}, {links.second.get(), &second}, work);
  }

  double TcpLinkRate(const OneWay& work) {
    test::TcpLinkEnds ends({});
    return LinkRate({ends[0].link.get(), ends[0].poller}, {ends[1].link.get(), ends[1].poller},
                    work);
  }

  double SocketRate(const SocketPair& sockets, const OneWay& work) {
    const double seconds = Together([&] { SendOverSocket(sockets.first.get(), work); },
                                    [&] { ReceiveFromSocket(sockets.second.get(), work, &sink_); });
    return static_cast<double>(work.bytes()) / seconds * 1e-9;
  }

  void OneWays(size_t size) {
    // Of small messages fewer bytes: they take as long.
    const uint64_t mib = size < 512 ? std::max<uint64_t>(options_.mib / 4, 1) : options_.mib;
    const uint64_t slow = std::max<uint64_t>(mib / 4, 1);
    samples_[Key("ring", size)].push_back(RingRate(Work(size, mib)));
    samples_[Key("ring+crc", size)].push_back(RingRate(Work(size, mib, true)));
    samples_[Key("tcp link", size)].push_back(TcpLinkRate(Work(size, slow)));
    samples_[Key("unix", size)].push_back(SocketRate(UnixSockets(), Work(size, slow)));
    samples_[Key("tcp", size)].push_back(SocketRate(TcpSockets(), Work(size, slow)));
    if (Iceoryx::kThere) {
      const uint64_t iceoryx_mib = size <= 512 ? std::max<uint64_t>(slow / 16, 1) : slow;
      samples_[Key("iceoryx", size)].push_back(iceoryx_.Rate(Work(size, iceoryx_mib), &sink_));
    }
  }

  void RoundTrips() {
    Poller first = Must(Poller::Open()), second = Must(Poller::Open());
    auto links = Must(test::MakeRingLinks(&first, &second));
    const LinkEnd asks{links.first.get(), &first}, answers{links.second.get(), &second};
    const int trips = options_.trips;
    samples_["ring, spinning"].push_back(LinkRoundTrip(asks, answers, 10 * trips, true));
    samples_["ring, asleep"].push_back(LinkRoundTrip(asks, answers, trips, false));
    samples_["tcp, pinned apart"].push_back(SocketRoundTrip(TcpSockets(), trips, false));
    samples_["tcp, anywhere"].push_back(SocketRoundTrip(TcpSockets(), trips, true));
    samples_["unix, anywhere"].push_back(SocketRoundTrip(UnixSockets(), trips, true));
  }

  // Offers of both sides, their exchange and both attachments, by one thread.
  void SetUp() {
    Poller first = Must(Poller::Open()), second = Must(Poller::Open());
    std::vector<double> millis;
    for (int i = 0; i < 9; ++i) {
      const double began = Now();
      auto links = Must(test::MakeRingLinks(&first, &second));
      millis.push_back((Now() - began) * 1e3);
    }
    samples_["set-up"].push_back(Median(millis));
  }

  double Middle(const std::string& key) { return Median(samples_.at(key)); }
  double Ratio(const std::string& over, const std::string& under) {
    const auto& top = samples_.at(over);
    const auto& bottom = samples_.at(under);
    std::vector<double> ratios;
    for (size_t i = 0; i < top.size(); ++i) ratios.push_back(top[i] / bottom[i]);
    return Median(ratios);
  }

  void Report() {
    std::printf("one way, GB/s (median of %d rounds)%*s", options_.rounds, 1, "");
    for (const size_t size : kSizes) std::printf("%9zu", size);
    std::printf("\n");
    for (const char* subject : {"ring", "ring+crc", "tcp link", "unix", "tcp", "iceoryx"}) {
      if (!samples_.contains(Key(subject, kSizes[0]))) continue;
      std::printf("  %-34s", subject);
      for (const size_t size : kSizes) std::printf("%9.2f", Middle(Key(subject, size)));
      std::printf("\n");
    }
    std::printf("  %-34s%9.2f\n", "memcpy 64 MiB", Middle("memcpy"));
    std::printf("round trip of %zu bytes, us\n", kQuestionBytes);
    for (const char* subject : {"ring, spinning", "ring, asleep", "tcp, pinned apart",
                                "tcp, anywhere", "unix, anywhere"}) {
      std::printf("  %-34s%9.2f\n", subject, Middle(subject));
    }
    std::printf("set-up of 8 + 1 MiB, ms\n  %-34s%9.2f\n", "ring", Middle("set-up"));
    Goals();
  }

  // `least` or, where `at_most`, most.
  static void Goal(const char* what, double value, double must, bool at_most = false) {
    const bool met = at_most ? value <= must : value >= must;
    std::printf("  %-44s%9.3f   %s %-6g %s\n", what, value, at_most ? "<=" : ">=", must,
                met ? "met" : "MISSED");
  }
  // The worst of the sizes in [from, to].
  double Worst(const char* over, const char* under, size_t from, size_t to, bool sized = true) {
    double worst = 1e9;
    for (const size_t size : kSizes) {
      if (size < from || size > to) continue;
      worst = std::min(worst, Ratio(Key(over, size), sized ? Key(under, size) : under));
    }
    return worst;
  }

  void Goals() {
    std::printf("ratios, the worst of the sizes\n");
    Goal("1 ring / memcpy, 512 B and more", Worst("ring", "memcpy", 512, 65536, false), 0.8);
    Goal("2 ring+crc / memcpy", Worst("ring+crc", "memcpy", 512, 65536, false), 0.45);
    Goal("3 ring / own link over TCP", Worst("ring", "tcp link", 512, 65536), 4);
    Goal("4 ring+crc / own link over TCP", Worst("ring+crc", "tcp link", 512, 65536), 2);
    Goal("5 ring / unix stream", Worst("ring", "unix", 512, 65536), 2.5);
    if (Iceoryx::kThere) {
      Goal("6 ring / iceoryx, up to 4 KiB", Worst("ring", "iceoryx", 64, 4096), 2.5);
      Goal("6 ring / iceoryx, 64 KiB", Worst("ring", "iceoryx", 65536, 65536), 1.2);
    } else {
      std::printf("  6 left out: iceoryx is not installed\n");
    }
    Goal("8 spinning / TCP round trip", Ratio("ring, spinning", "tcp, pinned apart"), 0.05, true);
    Goal("8 spinning, us", Middle("ring, spinning"), 1, true);
    Goal("9 both asleep / TCP", Ratio("ring, asleep", "tcp, anywhere"), 0.5, true);
    Goal("9 both asleep / unix", Ratio("ring, asleep", "unix, anywhere"), 0.75, true);
    Goal("16 set-up, ms", Middle("set-up"), 25, true);
  }

  const Options options_;
  std::vector<uint8_t> from_, to_, sink_ = std::vector<uint8_t>(kSinkBytes);
  Iceoryx iceoryx_;
  Samples samples_;
};

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const unsigned long long number = i + 1 < argc ? std::strtoull(argv[i + 1], nullptr, 10) : 0;
    if (number > 0 && number <= 100'000 && std::strcmp(argv[i], "--rounds") == 0) {
      options.rounds = static_cast<int>(number);
    } else if (number > 0 && number <= 100'000 && std::strcmp(argv[i], "--mib") == 0) {
      options.mib = number;
    } else if (number > 0 && number <= 100'000 && std::strcmp(argv[i], "--trips") == 0) {
      options.trips = static_cast<int>(number);
    } else {
      std::fprintf(stderr, "usage: ring_bench [--rounds N] [--mib N] [--trips N]\n");
      return 2;
    }
  }
  double load[3] = {};
  (void)getloadavg(load, 3);
  std::printf("%u processors, load %.1f before\n", std::thread::hardware_concurrency(), load[0]);
  RingBench(options).Run();
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
