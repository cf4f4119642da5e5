// iceoryx beside the ring, where its packages are installed: a loan, a copy in, a take, a copy out.
// Its daemon runs as a child of the bench for as long as this lives.
#pragma once

#ifdef RINGLEADER_BENCH_ICEORYX

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdlib>
#include <optional>

#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"
#include "ring_subjects.h"

namespace ringleader {

class Iceoryx {
 public:
  static constexpr bool kThere = true;

  Iceoryx() : daemon_(Start()) {
    usleep(1'500'000);  // it says nothing that could be waited for
  }
  Iceoryx(const Iceoryx&) = delete;
  Iceoryx& operator=(const Iceoryx&) = delete;
  ~Iceoryx() {
    kill(daemon_, SIGTERM);
    waitpid(daemon_, nullptr, 0);
  }

  // In a process of its own: a daemon that ends takes all those along that have registered.
  double Rate(const OneWay& work, std::vector<uint8_t>* sink) {
    int ends[2];
    MustCall(pipe(ends) == 0, "pipe");
    const Descriptor reads(ends[0]);
    Descriptor writes(ends[1]);
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const double rate = Measure(work, sink);
      MustCall(write(writes.get(), &rate, sizeof rate) == sizeof rate, "write");
      std::exit(0);
    }
    writes.Reset();
    double rate = 0;
    MustCall(read(reads.get(), &rate, sizeof rate) == sizeof rate, "iceoryx");
    waitpid(child, nullptr, 0);
    return rate;
  }

 private:
  static pid_t Start() {
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      execlp("iox-roudi", "iox-roudi", "-l", "off", "-m", "off", static_cast<char*>(nullptr));
      _exit(127);
    }
    return child;
  }

  double Measure(const OneWay& work, std::vector<uint8_t>* sink) {
    iox::runtime::PoshRuntime::initRuntime("ring-bench");
    iox::popo::PublisherOptions sends;
    sends.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    iox::popo::SubscriberOptions takes;
    takes.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    takes.queueCapacity = 256;
    const iox::capro::ServiceDescription service{"ring", "bench", "bytes"};
    publisher_.emplace(service, sends);
    subscriber_.emplace(service, takes);
    while (subscriber_->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED) usleep(1000);
    sink->resize(kSinkBytes);
    const double seconds = Together([&] { Send(work); }, [&] { Receive(work, sink); });
    subscriber_.reset();
    publisher_.reset();
    return static_cast<double>(work.bytes()) / seconds * 1e-9;
  }

  void Send(const OneWay& work) {
    Source source;
    for (uint64_t i = 0; i < work.messages;) {
      publisher_->loan(static_cast<uint32_t>(work.message_bytes))
          .and_then([&](void* chunk) {
            const Bytes message = source.Next(work.message_bytes);
            std::memcpy(chunk, message.data(), message.size());
            publisher_->publish(chunk);
            ++i;
          })
          .or_else([](auto&) { sched_yield(); });
    }
  }

  void Receive(const OneWay& work, std::vector<uint8_t>* sink) {
    size_t at = 0;
    for (uint64_t i = 0; i < work.messages;) {
      subscriber_->take()
          .and_then([&](const void* chunk) {
            if (at + work.message_bytes > sink->size()) at = 0;
            std::memcpy(sink->data() + at, chunk, work.message_bytes);
            at += work.message_bytes;
            subscriber_->release(chunk);
            ++i;
          })
          .or_else([](auto&) { sched_yield(); });
    }
  }

  const pid_t daemon_;
  std::optional<iox::popo::UntypedPublisher> publisher_;
  std::optional<iox::popo::UntypedSubscriber> subscriber_;
};

}  // namespace ringleader

#else

#include "ring_subjects.h"

namespace ringleader {

class Iceoryx {
 public:
  static constexpr bool kThere = false;
  double Rate(const OneWay&, std::vector<uint8_t>*) { return 0; }
};

}  // namespace ringleader

#endif
