// Members that connect over TCP on this machine.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "concurrent.h"
#include "env/env.h"
#include "link_fixture.h"
#include "transport/tcp/tcp_connector.h"
#include "transport/tcp/tcp_link.h"
#include "transport/tcp/tcp_listener.h"

namespace ringleader::test {

inline Introduction TcpIntroduction(uint32_t id) {
  Introduction introduction;
  introduction.group.fill(3);
  introduction.member = MemberId(id);
  introduction.incarnation = Incarnation(100 + id);
  introduction.secret.assign(32, 0x77);
  return introduction;
}

class ManualClock : public Clock {
 public:
  uint64_t MonotonicNanos() override { return now_ns; }
  uint64_t WallMicros() override { return now_ns / 1000; }
  uint64_t now_ns = 1'000'000'000;
};

// One side, with a poller of its own or of somebody else.
class TcpMember : public TcpSink {
 public:
  explicit TcpMember(uint32_t id, Poller* poller = nullptr)
      : introduction(TcpIntroduction(id)), own_poller_(OpenPoller()) {
    CHECK_VALUE(const Crypto* crypto, Crypto::Get());
    context.poller = poller != nullptr ? poller : &own_poller_;
    context.clock = &clock;
    context.random = &PosixEnv().random;
    context.crypto = crypto;
    context.introduction = &introduction;
  }

  void OnLink(std::unique_ptr<TcpLink> link) override { links.push_back(std::move(link)); }

  void Listen(const std::string& address) {
    CHECK_VALUE(const Endpoint endpoint, Endpoint::Parse(address));
    CHECK_VALUE(listener, TcpListener::Open(context, endpoint, this));
  }
  void Dial(const Endpoint& endpoint, MemberId expected = kNobody) {
    CHECK_VALUE(connector, TcpConnector::Create(context, endpoint, expected, this));
    connector->Tick(clock.now_ns);
  }
  void Poll() { CHECK_OK(context.poller->Wait(0)); }
  // The only link that there is.
  std::unique_ptr<TcpLink> TakeLink() {
    CHECK_EQ(links.size(), size_t{1});
    auto link = std::move(links.front());
    links.clear();
    return link;
  }

  Introduction introduction;
  ManualClock clock;
  TcpContext context;

 private:
  static Poller OpenPoller() {
    CHECK_VALUE(Poller poller, Poller::Open());
    return poller;
  }
  Poller own_poller_;

 public:
  std::unique_ptr<TcpListener> listener;
  std::unique_ptr<TcpConnector> connector;
  std::vector<std::unique_ptr<TcpLink>> links;
};

// Turns of both until each has a link.
inline void MeetOverTcp(TcpMember& dialer, TcpMember& acceptor) {
  dialer.Dial(acceptor.listener->endpoint(), acceptor.introduction.member);
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  while (dialer.links.empty() || acceptor.links.empty()) {
    dialer.Poll();
    acceptor.Poll();
    CHECK(std::chrono::steady_clock::now() < patience);
  }
}

struct TcpLinkOptions {
  std::string address = "127.0.0.1:0";
  bool keep_listener = true;  // without it there is no second connection
  TcpLimits limits;
};

class TcpLinkEnds : public LinkEnds {
 public:
  explicit TcpLinkEnds(const TcpLinkOptions& options)
      : dialer_(1, poller(0)), acceptor_(2, poller(1)) {
    dialer_.context.limits = acceptor_.context.limits = options.limits;
    acceptor_.Listen(options.address);
    MeetOverTcp(dialer_, acceptor_);
    if (!options.keep_listener) acceptor_.listener.reset();
    Take({dialer_.TakeLink(), acceptor_.TakeLink()});
  }
  ~TcpLinkEnds() override {
    for (size_t side = 0; side < 2; ++side) (*this)[side].link.reset();
  }

  TcpLink& tcp(size_t side) { return static_cast<TcpLink&>(*(*this)[side].link); }
  TcpMember& member(size_t side) { return side == 0 ? dialer_ : acceptor_; }

 private:
  TcpMember dialer_, acceptor_;
};

}  // namespace ringleader::test
