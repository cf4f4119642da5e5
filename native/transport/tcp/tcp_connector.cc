#include "transport/tcp/tcp_connector.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace ringleader {

TcpConnector::TcpConnector(const TcpContext& context, const Endpoint& endpoint, MemberId expected,
                           TcpSink* sink)
    : context_(context), endpoint_(endpoint), expected_(expected), sink_(sink) {}

Result<std::unique_ptr<TcpConnector>> TcpConnector::Create(const TcpContext& context,
                                                           const Endpoint& endpoint,
                                                           MemberId expected, TcpSink* sink) {
  const bool has_secret = !context.introduction->secret.empty();
  RL_RETURN_IF_ERROR(CheckExposure(endpoint, has_secret, context.insecure));
  return std::unique_ptr<TcpConnector>(new TcpConnector(context, endpoint, expected, sink));
}

TcpConnector::~TcpConnector() { Drop(); }

void TcpConnector::Drop() {
  if (std::exchange(watched_, false)) context_.poller->Remove(channel_->descriptor());
  channel_.reset();
  handshake_.reset();
}

Status TcpConnector::Start(uint64_t now_ns) {
  ++attempts_;
  until_ns_ = now_ns + context_.connect_ns;
  RL_ASSIGN_OR_RETURN(Handshake handshake,
                      Handshake::Create(*context_.introduction, HandshakeRole::kDialer, expected_,
                                        *context_.crypto, *context_.random));
  handshake_.emplace(std::move(handshake));
  RL_ASSIGN_OR_RETURN(Descriptor socket, StartConnect(endpoint_, context_.socket));
  channel_.emplace(PlainConduit(std::move(socket)));
  RL_RETURN_IF_ERROR(context_.poller->Add(channel_->descriptor(), this));
  watched_ = true;
  stage_ = Stage::kConnecting;
  return Status::Ok();
}

// Half of the pause is left to chance, so that members who have lost each other do not call at the
// same time again and again.
void TcpConnector::Fail(const Status& status, uint64_t now_ns) {
  Drop();
  ++failures_;
  stage_ = Stage::kPaused;
  last_error_ = status;
  until_ns_ = now_ns + backoff_ns_ / 2 + context_.random->Next64() % (backoff_ns_ / 2);
  backoff_ns_ = std::min(backoff_ns_ * 2, kMaxBackoffNs);
}

uint64_t TcpConnector::Tick(uint64_t now_ns) {
  if (stage_ == Stage::kLinked) return UINT64_MAX;
  if (now_ns < until_ns_) return until_ns_;
  if (stage_ == Stage::kPaused) {
    const Status started = Start(now_ns);
    if (!started.ok()) Fail(started, now_ns);
  } else {
    Fail(Status(Code::kTimeout, stage_ == Stage::kConnecting ? "no connection in the time allowed"
                                                             : "no hello in the time allowed"),
         now_ns);
  }
  return until_ns_;
}

void TcpConnector::OnReady(int, uint32_t events) {
  const Status status = Go(events);
  const uint64_t now_ns = context_.clock->MonotonicNanos();
  if (!status.ok()) {
    Fail(status, now_ns);
    return;
  }
  if (!handshake_->done()) return;
  context_.poller->Remove(channel_->descriptor());
  watched_ = false;
  Result<std::unique_ptr<TcpLink>> link =
      TcpLink::Create(context_, channel_->Release(), handshake_->peer(), HandshakeRole::kDialer,
                      endpoint_, nullptr);
  if (!link.ok()) {
    Fail(link.status(), now_ns);
    return;
  }
  Drop();
  stage_ = Stage::kLinked;
  linked_ns_ = now_ns;
  last_error_ = Status::Ok();
  sink_->OnLink(std::move(link).value());
  // Nothing here: it may be gone.
}

Status TcpConnector::Go(uint32_t events) {
  if (stage_ == Stage::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return Status::Ok();
    RL_RETURN_IF_ERROR(ConnectResult(channel_->descriptor()));
    stage_ = Stage::kHello;
    until_ns_ = context_.clock->MonotonicNanos() + context_.hello_ns;
    RL_RETURN_IF_ERROR(channel_->Send(handshake_->Begin()));
  }
  RL_RETURN_IF_ERROR(channel_->Send({}));
  while (!handshake_->done()) {
    RL_ASSIGN_OR_RETURN(const std::optional<std::vector<uint8_t>> message, channel_->Receive());
    if (!message) return Status::Ok();
    std::vector<uint8_t> answer;
    const Status taken = handshake_->Take(*message, &answer);
    const Status sent = channel_->Send(answer);
    RL_RETURN_IF_ERROR(taken);
    RL_RETURN_IF_ERROR(sent);
  }
  return Status::Ok();
}

void TcpConnector::LinkLost(uint64_t now_ns) {
  if (stage_ != Stage::kLinked) return;
  if (now_ns - linked_ns_ >= kMaxBackoffNs) backoff_ns_ = kMinBackoffNs;
  Fail(Status(Code::kClosed, "the link was lost"), now_ns);
}

}  // namespace ringleader
