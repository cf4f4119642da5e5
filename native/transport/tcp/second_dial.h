// Dials the second connection of a link.
//
// Threads: one, the poller's.
#pragma once

#include <memory>
#include <optional>

#include "transport/crypto.h"
#include "transport/handshake.h"
#include "transport/poller.h"
#include "transport/tcp/hello_channel.h"
#include "transport/tcp/socket.h"

namespace ringleader {

class SecondOwner {
 public:
  virtual ~SecondOwner() = default;
  // Once; may destroy the dial. The conduit is not watched any more.
  virtual void OnSecond(Result<std::unique_ptr<Conduit>> conduit) = 0;
};

class SecondDial : private Watcher {
 public:
  // Nothing reaches `owner` before the poller's next wait. The tokens: what to show, and what to
  // expect.
  static Result<std::unique_ptr<SecondDial>> Start(Poller* poller, const Endpoint& endpoint,
                                                   const SocketOptions& options,
                                                   const Crypto* crypto, const Digest& session_key,
                                                   SecondOwner* owner);
  ~SecondDial() override;
  SecondDial(const SecondDial&) = delete;
  SecondDial& operator=(const SecondDial&) = delete;

 private:
  SecondDial(Poller* poller, Descriptor socket, const Crypto* crypto, const Digest& session_key,
             SecondOwner* owner);
  void OnReady(int descriptor, uint32_t events) override;
  Result<bool> Go(uint32_t events);

  Poller* poller_;
  const Crypto* crypto_;
  const Digest session_key_;
  SecondOwner* owner_;
  std::optional<HelloChannel> channel_;
  bool watched_ = false, connected_ = false;
};

}  // namespace ringleader
