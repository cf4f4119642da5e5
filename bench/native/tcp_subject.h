// Two members over TCP on loopback, authenticated, for benches.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "env/env.h"
#include "link_load.h"
#include "transport/tcp/tcp_connector.h"
#include "transport/tcp/tcp_listener.h"

namespace ringleader {

class TcpPair : private TcpSink {
 public:
  TcpPair() {
    for (uint32_t side = 0; side < 2; ++side) {
      pollers_.push_back(Must(Poller::Open()));
      introductions_[side].member = MemberId(side + 1);
      introductions_[side].secret.assign(32, 0x42);
    }
    for (size_t side = 0; side < 2; ++side) {
      TcpContext& context = contexts_[side];
      context.poller = &pollers_[side];
      context.clock = &PosixEnv().clock;
      context.random = &PosixEnv().random;
      context.crypto = Must(Crypto::Get());
      context.introduction = &introductions_[side];
    }
    listener_ = Must(TcpListener::Open(contexts_[1], Must(Endpoint::Parse("127.0.0.1:0")), this));
    connector_ = Must(TcpConnector::Create(contexts_[0], listener_->endpoint(), MemberId(2), this));
    (void)connector_->Tick(contexts_[0].clock->MonotonicNanos());
    while (!links_[0] || !links_[1]) {
      for (Poller& poller : pollers_) Must(poller.Wait(1'000'000));
    }
  }
  ~TcpPair() override {
    for (auto& link : links_) link.reset();
  }

  LinkEnd end(size_t side) { return {&pollers_[side], links_[side].get()}; }

 private:
  void OnLink(std::unique_ptr<TcpLink> link) override {
    links_[link->peer().member == MemberId(2) ? 0 : 1] = std::move(link);
  }

  std::vector<Poller> pollers_;
  Introduction introductions_[2];
  TcpContext contexts_[2];
  std::unique_ptr<TcpListener> listener_;
  std::unique_ptr<TcpConnector> connector_;
  std::unique_ptr<TcpLink> links_[2];
};

}  // namespace ringleader
