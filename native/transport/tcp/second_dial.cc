#include "transport/tcp/second_dial.h"

#include <sys/epoll.h>

#include <utility>

namespace ringleader {

SecondDial::SecondDial(Poller* poller, Descriptor socket, const Crypto* crypto,
                       const Digest& session_key, SecondOwner* owner)
    : poller_(poller),
      crypto_(crypto),
      session_key_(session_key),
      owner_(owner),
      channel_(PlainConduit(std::move(socket))) {}

Result<std::unique_ptr<SecondDial>> SecondDial::Start(Poller* poller, const Endpoint& endpoint,
                                                      const SocketOptions& options,
                                                      const Crypto* crypto,
                                                      const Digest& session_key,
                                                      SecondOwner* owner) {
  RL_ASSIGN_OR_RETURN(Descriptor socket, StartConnect(endpoint, options));
  std::unique_ptr<SecondDial> dial(
      new SecondDial(poller, std::move(socket), crypto, session_key, owner));
  RL_RETURN_IF_ERROR(poller->Add(dial->channel_->descriptor(), dial.get()));
  dial->watched_ = true;
  return dial;
}

SecondDial::~SecondDial() {
  if (watched_) poller_->Remove(channel_->descriptor());
}

void SecondDial::OnReady(int descriptor, uint32_t events) {
  const Result<bool> done = Go(events);
  if (done.ok() && !done.value()) return;
  poller_->Remove(descriptor);
  watched_ = false;
  if (done.ok()) {
    owner_->OnSecond(channel_->Release());
  } else {
    owner_->OnSecond(done.status());
  }
}

// True: both have shown their tokens.
Result<bool> SecondDial::Go(uint32_t events) {
  if (!connected_) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return false;
    RL_RETURN_IF_ERROR(ConnectResult(channel_->descriptor()));
    connected_ = true;
    const Digest own = SecondToken(*crypto_, session_key_, HandshakeRole::kDialer);
    RL_RETURN_IF_ERROR(channel_->Send(EncodeSecond(SessionIdOf(*crypto_, session_key_), own)));
  }
  RL_RETURN_IF_ERROR(channel_->Send({}));
  if (!channel_->sent()) return false;
  RL_ASSIGN_OR_RETURN(const std::optional<std::vector<uint8_t>> message, channel_->Receive());
  if (!message) return false;
  RL_ASSIGN_OR_RETURN(const ringleader::Second second, DecodeSecond(*message));
  if (crypto_->Equal(second.token, SecondToken(*crypto_, session_key_, HandshakeRole::kAcceptor))) {
    return true;
  }
  return Status(Code::kPermission, "the second connection of a link was answered by another");
}

}  // namespace ringleader
