// Takes connections of members who dial, and gives away those who have proven who they are.
//
// Strangers are bounded: in number, in time, in bytes. When there are too many the oldest has to
// go, because who is a member needs but a few round trips; so a flood slows members down and does
// not shut them out.
//
// Threads: one, the poller's.
#pragma once

#include <list>
#include <memory>

#include "base/status.h"
#include "transport/poller.h"
#include "transport/tcp/hello_channel.h"
#include "transport/tcp/tcp_link.h"

namespace ringleader {

struct ListenerCounters {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // have not proven who they are, or have broken the rules
  uint64_t late = 0;     // took too long
  uint64_t evicted = 0;  // had to go for others
  uint64_t links = 0, seconds = 0;
  Status last_refusal;
};

class TcpListener : private Watcher {
 public:
  // kPermission: an address where no connection may be (CheckExposure).
  static Result<std::unique_ptr<TcpListener>> Open(const TcpContext& context,
                                                   const Endpoint& endpoint, TcpSink* sink);
  ~TcpListener() override;
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  // Where it listens: with the port that the system has chosen for 0.
  const Endpoint& endpoint() const { return endpoint_; }
  // Ends strangers who take too long, and takes connections that could not be taken. Returns when
  // it wants to be called again; UINT64_MAX: not before something happens.
  uint64_t Tick(uint64_t now_ns);
  size_t strangers() const { return strangers_.size(); }
  const ListenerCounters& counters() const { return counters_; }

 private:
  class Stranger;
  enum class Outcome : uint8_t { kRefused, kLate, kEvicted, kDone };

  TcpListener(const TcpContext& context, Descriptor socket, const Endpoint& endpoint,
              TcpSink* sink);
  void OnReady(int descriptor, uint32_t events) override;
  void AcceptSome();
  void Admit(Descriptor socket);
  void Finish(Stranger* stranger, Outcome outcome);

  const TcpContext context_;
  Descriptor socket_;
  const Endpoint endpoint_;
  TcpSink* sink_;
  bool watched_ = false;
  // There may be connections to accept: there were many, or no descriptors for them.
  bool left_waiting_ = false;
  std::list<std::unique_ptr<Stranger>> strangers_;  // the oldest first
  std::shared_ptr<TcpSessions> sessions_;
  ListenerCounters counters_;
};

}  // namespace ringleader
