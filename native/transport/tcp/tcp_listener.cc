#include "transport/tcp/tcp_listener.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace ringleader {
namespace {

// Who floods this side with connections does not keep its thread.
constexpr size_t kAcceptsAtATime = 64;
// When it goes on with those that were left, and looks whether there are descriptors again.
constexpr uint64_t kAgainNs = 10'000'000;

}  // namespace

// A connection that has not said yet whose it is.
class TcpListener::Stranger : private Watcher {
 public:
  Stranger(TcpListener* owner, Descriptor socket, Handshake handshake)
      : owner_(owner),
        until_ns_(owner->context_.clock->MonotonicNanos() + owner->context_.hello_ns),
        handshake_(std::move(handshake)),
        channel_(PlainConduit(std::move(socket))) {}
  ~Stranger() override { Unwatch(); }

  Status Watch() {
    RL_RETURN_IF_ERROR(owner_->context_.poller->Add(channel_.descriptor(), this));
    watched_ = true;
    return Status::Ok();
  }
  uint64_t until_ns() const { return until_ns_; }

  // What it has become, once Finish has been called with kDone.
  Result<std::unique_ptr<TcpLink>> TakeLink() {
    Unwatch();
    return TcpLink::Create(owner_->context_, channel_.Release(), handshake_.peer(),
                           HandshakeRole::kAcceptor, Endpoint(), owner_->sessions_);
  }
  TcpLink* second_of() const { return second_of_; }
  std::unique_ptr<Conduit> TakeConduit() {
    Unwatch();
    return channel_.Release();
  }

 private:
  void Unwatch() {
    if (std::exchange(watched_, false)) owner_->context_.poller->Remove(channel_.descriptor());
  }

  void OnReady(int, uint32_t) override {
    const Status status = Go();
    if (!status.ok()) {
      owner_->counters_.last_refusal = status;
      owner_->Finish(this, Outcome::kRefused);
    } else if ((handshake_.done() || second_of_ != nullptr) && channel_.sent()) {
      owner_->Finish(this, Outcome::kDone);
    }
    // Nothing here: it may be gone.
  }

  Status Go() {
    RL_RETURN_IF_ERROR(channel_.Send({}));
    while (!handshake_.done() && second_of_ == nullptr) {
      RL_ASSIGN_OR_RETURN(const std::optional<std::vector<uint8_t>> message, channel_.Receive());
      if (!message) break;
      if (!heard_ && IsSecond(*message)) return TakeSecond(*message);
      heard_ = true;
      std::vector<uint8_t> answer;
      const Status taken = handshake_.Take(*message, &answer);
      const Status sent = channel_.Send(answer);
      RL_RETURN_IF_ERROR(taken);
      RL_RETURN_IF_ERROR(sent);
    }
    return Status::Ok();
  }

  Status TakeSecond(Bytes message) {
    RL_ASSIGN_OR_RETURN(const Second second, DecodeSecond(message));
    const auto found = owner_->sessions_->find(second.session);
    if (found == owner_->sessions_->end() || !found->second->MayAttach(second.token)) {
      // Its link may be gone, or it is somebody's guess: neither is told which.
      (void)channel_.Send(EncodeRefusal(HelloRefusal::kSecret)).ok();
      return Status(Code::kPermission, "a second connection that belongs to no link");
    }
    const Crypto& crypto = *owner_->context_.crypto;
    const Digest key = found->second->peer().session_key;
    const Digest token = SecondToken(crypto, key, HandshakeRole::kAcceptor);
    RL_RETURN_IF_ERROR(channel_.Send(EncodeSecond(second.session, token)));
    // So few bytes go at once, or the connection is of no use.
    if (!channel_.sent()) return Status(Code::kClosed, "a second connection takes no bytes");
    second_of_ = found->second;
    return Status::Ok();
  }

  TcpListener* const owner_;
  const uint64_t until_ns_;
  Handshake handshake_;
  HelloChannel channel_;
  bool watched_ = false;
  bool heard_ = false;            // a message that was no second connection's
  TcpLink* second_of_ = nullptr;  // for the moment in which it is attached
};

TcpListener::TcpListener(const TcpContext& context, Descriptor socket, const Endpoint& endpoint,
                         TcpSink* sink)
    : context_(context),
      socket_(std::move(socket)),
      endpoint_(endpoint),
      sink_(sink),
      sessions_(std::make_shared<TcpSessions>()) {}

Result<std::unique_ptr<TcpListener>> TcpListener::Open(const TcpContext& context,
                                                       const Endpoint& endpoint, TcpSink* sink) {
  const bool has_secret = !context.introduction->secret.empty();
  RL_RETURN_IF_ERROR(CheckExposure(endpoint, has_secret, context.insecure));
  RL_ASSIGN_OR_RETURN(Descriptor socket, Listen(endpoint));
  RL_ASSIGN_OR_RETURN(const Endpoint bound, Endpoint::OfSocket(socket.get()));
  std::unique_ptr<TcpListener> listener(new TcpListener(context, std::move(socket), bound, sink));
  RL_RETURN_IF_ERROR(context.poller->Add(listener->socket_.get(), listener.get()));
  listener->watched_ = true;
  return listener;
}

TcpListener::~TcpListener() {
  if (watched_) context_.poller->Remove(socket_.get());
}

void TcpListener::OnReady(int, uint32_t) { AcceptSome(); }

// The poller will not tell again of those that are left waiting: Tick goes on.
void TcpListener::AcceptSome() {
  left_waiting_ = true;
  for (size_t count = 0; count < kAcceptsAtATime; ++count) {
    Result<Descriptor> socket = Accept(socket_.get(), context_.socket);
    if (!socket.ok()) {
      counters_.last_refusal = socket.status();
      return;
    }
    if (!socket->valid()) {
      left_waiting_ = false;
      return;
    }
    ++counters_.accepted;
    Admit(std::move(socket).value());
  }
}

void TcpListener::Admit(Descriptor socket) {
  Result<Handshake> handshake = Handshake::Create(*context_.introduction, HandshakeRole::kAcceptor,
                                                  kNobody, *context_.crypto, *context_.random);
  if (!handshake.ok()) {
    counters_.last_refusal = handshake.status();
    ++counters_.refused;
    return;
  }
  if (strangers_.size() >= context_.max_strangers) {
    Finish(strangers_.front().get(), Outcome::kEvicted);
  }
  strangers_.push_back(
      std::make_unique<Stranger>(this, std::move(socket), std::move(handshake).value()));
  const Status watched = strangers_.back()->Watch();
  if (watched.ok()) return;
  counters_.last_refusal = watched;
  Finish(strangers_.back().get(), Outcome::kRefused);
}

void TcpListener::Finish(Stranger* stranger, Outcome outcome) {
  const auto found = std::find_if(strangers_.begin(), strangers_.end(),
                                  [stranger](const auto& each) { return each.get() == stranger; });
  // Out of the list before anything else is called, and kept until that is done.
  const std::unique_ptr<Stranger> kept = std::move(*found);
  strangers_.erase(found);
  counters_.refused += outcome == Outcome::kRefused;
  counters_.late += outcome == Outcome::kLate;
  counters_.evicted += outcome == Outcome::kEvicted;
  if (outcome != Outcome::kDone) return;
  if (TcpLink* const link = kept->second_of()) {
    ++counters_.seconds;
    link->UseSecond(kept->TakeConduit());
    return;
  }
  Result<std::unique_ptr<TcpLink>> link = kept->TakeLink();
  if (!link.ok()) {
    counters_.last_refusal = link.status();
    ++counters_.refused;
    return;
  }
  ++counters_.links;
  sink_->OnLink(std::move(link).value());
}

uint64_t TcpListener::Tick(uint64_t now_ns) {
  while (!strangers_.empty() && strangers_.front()->until_ns() <= now_ns) {
    Finish(strangers_.front().get(), Outcome::kLate);
  }
  if (left_waiting_) AcceptSome();
  const uint64_t late_ns = strangers_.empty() ? UINT64_MAX : strangers_.front()->until_ns();
  return left_waiting_ ? std::min(late_ns, now_ns + kAgainNs) : late_ns;
}

}  // namespace ringleader
