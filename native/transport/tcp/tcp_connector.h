// Dials one member until it is there, with pauses that grow.
//
// Threads: one, the poller's.
#pragma once

#include <memory>
#include <optional>

#include "base/status.h"
#include "transport/poller.h"
#include "transport/tcp/hello_channel.h"
#include "transport/tcp/tcp_link.h"

namespace ringleader {

inline constexpr uint64_t kMinBackoffNs = 50'000'000;
inline constexpr uint64_t kMaxBackoffNs = 5'000'000'000;

class TcpConnector : private Watcher {
 public:
  // `expected`: who has to answer, or kNobody. kPermission: no connection may go there.
  static Result<std::unique_ptr<TcpConnector>> Create(const TcpContext& context,
                                                      const Endpoint& endpoint, MemberId expected,
                                                      TcpSink* sink);
  ~TcpConnector() override;
  TcpConnector(const TcpConnector&) = delete;
  TcpConnector& operator=(const TcpConnector&) = delete;

  // Begins an attempt when it is time for one, and ends one that takes too long. Returns when it
  // wants to be called again; UINT64_MAX: not before LinkLost.
  uint64_t Tick(uint64_t now_ns);
  // The link that was given away is gone: there will be another attempt. A link that did not last
  // longer than the longest pause is as good as none.
  void LinkLost(uint64_t now_ns);

  uint64_t attempts() const { return attempts_; }
  uint64_t failures() const { return failures_; }
  // Why the last attempt has failed.
  const Status& last_error() const { return last_error_; }

 private:
  enum class Stage : uint8_t { kPaused, kConnecting, kHello, kLinked };

  TcpConnector(const TcpContext& context, const Endpoint& endpoint, MemberId expected,
               TcpSink* sink);
  void OnReady(int descriptor, uint32_t events) override;
  Status Start(uint64_t now_ns);
  Status Go(uint32_t events);
  void Fail(const Status& status, uint64_t now_ns);
  void Drop();

  const TcpContext context_;
  const Endpoint endpoint_;
  const MemberId expected_;
  TcpSink* sink_;
  Stage stage_ = Stage::kPaused;
  std::optional<HelloChannel> channel_;
  std::optional<Handshake> handshake_;
  bool watched_ = false;
  uint64_t until_ns_ = 0;  // of the pause or of the attempt
  uint64_t linked_ns_ = 0;
  uint64_t backoff_ns_ = kMinBackoffNs;
  uint64_t attempts_ = 0, failures_ = 0;
  Status last_error_;
};

}  // namespace ringleader
