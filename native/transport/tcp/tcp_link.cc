#include "transport/tcp/tcp_link.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wire/message_codec.h"

namespace ringleader {
namespace {

// What is read ahead of being asked for; the last message may pass it.
constexpr size_t kStagedBytes = size_t{256} << 10;

// Payload of a kSecond frame.
constexpr uint8_t kDialSecond = 1;  // from who cannot dial
constexpr uint8_t kNoSecond = 2;    // from who has tried

size_t MaxMessage(const TcpLimits& limits) {
  return limits.max_message_bytes != 0 ? limits.max_message_bytes : kMaxFrameBytes;
}

}  // namespace

TcpLink::TcpLink(const TcpContext& context, std::unique_ptr<Conduit> conduit,
                 const PeerIdentity& peer, HandshakeRole role, const Endpoint& dialed,
                 std::shared_ptr<TcpSessions> sessions)
    : context_(context),
      peer_(peer),
      role_(role),
      dialed_(dialed),
      sessions_(std::move(sessions)),
      max_message_bytes_(MaxMessage(context.limits)),
      main_(std::move(conduit), context.limits, this) {}

Result<std::unique_ptr<TcpLink>> TcpLink::Create(const TcpContext& context,
                                                 std::unique_ptr<Conduit> conduit,
                                                 const PeerIdentity& peer, HandshakeRole role,
                                                 const Endpoint& dialed,
                                                 std::shared_ptr<TcpSessions> sessions) {
  std::unique_ptr<TcpLink> link(
      new TcpLink(context, std::move(conduit), peer, role, dialed, std::move(sessions)));
  RL_RETURN_IF_ERROR(context.poller->Add(link->main_.descriptor(), link.get()));
  link->watched_ = true;
  if (link->sessions_) {
    (*link->sessions_)[SessionIdOf(*context.crypto, peer.session_key)] = link.get();
  }
  link->Push();  // the first credit
  return link;
}

TcpLink::~TcpLink() {
  if (sessions_) {
    const auto found = sessions_->find(SessionIdOf(*context_.crypto, peer_.session_key));
    if (found != sessions_->end() && found->second == this) sessions_->erase(found);
  }
  if (second_) context_.poller->Remove(second_->descriptor());
  if (watched_) context_.poller->Remove(main_.descriptor());
}

// --- Sending -------------------------------------------------------------------------------------

const FrameQueue& TcpLink::QueueOf(Lane lane) const {
  if (lane != Lane::kSnapshot || second_state_ == Second::kRefused) return main_.queue();
  return second_ ? second_->queue() : snapshots_;
}

size_t TcpLink::LimitOf(Lane lane) const {
  return lane == Lane::kUrgent ? context_.limits.urgent_bytes : context_.limits.bulk_bytes;
}

size_t TcpLink::Room(Lane lane) const {
  if (!status_.ok()) return 0;
  const size_t waiting = QueueOf(lane).waiting(lane);
  // The longest message has to find room some time.
  if (waiting == 0) return std::max(max_message_bytes_, LimitOf(lane));
  return LimitOf(lane) - std::min(waiting, LimitOf(lane));
}

Result<bool> TcpLink::Send(Lane lane, Bytes head, Bytes body) {
  const size_t size = head.size() + body.size();
  if (size == 0) return Status(Code::kInvalidArgument, "a message of a link is not empty");
  if (size > max_message_bytes_) {
    return Status(Code::kTooLarge, "a message of " + std::to_string(size) +
                                       " bytes; a link takes " +
                                       std::to_string(max_message_bytes_));
  }
  if (lane == Lane::kSnapshot) WantSecond();
  if (size > Room(lane)) {
    refused_[static_cast<size_t>(lane)] = size;
    ++counters_.no_room;
    return false;
  }
  QueueOf(lane).Push(lane, head, body);
  ++counters_.messages_sent;
  counters_.bytes_sent += size;
  return true;
}

Result<bool> TcpLink::SendFrame(FrameType type, Bytes payload) {
  RL_CHECK(type == FrameType::kHello || type == FrameType::kSwitch);
  if (payload.size() > kMaxHelloBytes) return Status(Code::kTooLarge, "a frame of a TCP link");
  if (payload.size() > Room(Lane::kUrgent)) return false;
  main_.queue().PushControl(type, payload);
  return true;
}

bool TcpLink::AllSent() const {
  return main_.queue().empty() && snapshots_.empty() && (!second_ || second_->queue().empty());
}

// Who only sends has to hear of credit nevertheless.
void TcpLink::PushOn() {
  Push();
  const bool is_short = main_.short_of_credit() || (second_ && second_->short_of_credit());
  if (!is_short || !Stage()) return;
  Push();
}

void TcpLink::Push() {
  counters_.wakes += main_.Push();
  if (second_) counters_.wakes += second_->Push();
}

Status TcpLink::Flush() {
  PushOn();
  return Status::Ok();
}

// --- Receiving -----------------------------------------------------------------------------------

// From both connections. The end of one counts when nothing more is there from either.
Result<bool> TcpLink::PullAll(size_t limit, MessageSink* sink) {
  if (!status_.ok()) return status_;
  const size_t start = sink->bytes->size();
  const uint64_t messages = sink->messages;
  bool more = false;
  second_first_ = !second_first_;
  for (const bool second : {second_first_, !second_first_}) {
    TcpStream* const stream = second ? second_.get() : &main_;
    if (stream == nullptr || !status_.ok()) continue;
    const size_t taken = sink->bytes->size() - start;
    if (taken >= limit) {
      more = true;
      continue;
    }
    const Result<bool> pulled = stream->Pull(limit - taken, sink);
    if (pulled.ok()) {
      more = more || pulled.value();
    } else if (pulled.status().code() == Code::kClosed) {
      closed_ = pulled.status();
    } else {
      status_ = pulled.status();
    }
  }
  counters_.messages_received += sink->messages - messages;
  counters_.bytes_received += sink->bytes->size() - start;
  if (status_.ok() && !more) status_ = closed_;
  if (main_.owes_credit() || (second_ && second_->owes_credit())) Push();
  if (!status_.ok()) return status_;
  return more;
}

size_t TcpLink::TakeStaged(size_t limit, std::vector<uint8_t>* out) {
  size_t taken = 0;
  while (staged_at_ < staged_ends_.size() && taken < limit) {
    const size_t end = staged_ends_[staged_at_++];
    out->insert(out->end(), staged_.begin() + static_cast<ptrdiff_t>(staged_taken_),
                staged_.begin() + static_cast<ptrdiff_t>(end));
    taken += end - std::exchange(staged_taken_, end);
  }
  if (staged_at_ == staged_ends_.size()) {
    staged_.clear();
    staged_ends_.clear();
    staged_taken_ = staged_at_ = 0;
  }
  return taken;
}

Result<bool> TcpLink::Receive(size_t limit, std::vector<uint8_t>* out) {
  const size_t taken = TakeStaged(limit, out);
  if (taken >= limit || !staged_.empty()) return true;
  MessageSink sink{out};
  return PullAll(limit - taken, &sink);
}

// Reads ahead, as far as it may. False: it had as much already.
bool TcpLink::Stage() {
  if (staged_.size() >= kStagedBytes) return false;
  MessageSink sink{&staged_, &staged_ends_};
  // What has gone wrong Receive will say, when it has given away what has been read.
  (void)PullAll(kStagedBytes, &sink).ok();
  return true;
}

// All lanes are looked at: who is told once finds out by trying.
bool TcpLink::RoomHasCome() {
  bool any = false;
  for (const Lane lane : {Lane::kUrgent, Lane::kLog, Lane::kSnapshot}) {
    size_t& size = refused_[static_cast<size_t>(lane)];
    if (size == 0 || size > Room(lane)) continue;
    size = 0;
    any = true;
  }
  return any;
}

// What has come may be credit alone, which nobody has to be woken for; so it is looked at here.
bool TcpLink::PrepareSleep() {
  Stage();
  Push();
  const bool readable = main_.readable() || (second_ && second_->readable());
  const bool room = RoomHasCome();
  if (readable || room || !staged_.empty() || !status_.ok()) return false;
  ++counters_.sleeps;
  return true;
}

size_t TcpLink::held() const {
  return main_.held() + (second_ ? second_->held() : 0) + staged_.capacity();
}

void TcpLink::OnReady(int descriptor, uint32_t events) {
  if (descriptor == main_.descriptor()) {
    main_.OnReady(events);
  } else {
    second_->OnReady(events);
  }
  PushOn();
}

Status TcpLink::OnFrame(FrameType type, Bytes payload) {
  if (type == FrameType::kSecond && payload.size() == 1) {
    const uint8_t what = payload[0];
    if (what == kDialSecond && role_ == HandshakeRole::kDialer) {
      WantSecond();
      return Status::Ok();
    }
    if (what == kNoSecond && role_ == HandshakeRole::kAcceptor) {
      // Where it is there the other side has ended it, and with it the link.
      if (second_state_ != Second::kThere) RefuseSecond();
      return Status::Ok();
    }
  }
  const bool for_others = type == FrameType::kHello || type == FrameType::kSwitch;
  if (for_others && listener_ != nullptr) return listener_->OnFrame(type, payload);
  return Status(Code::kCorruption, "a frame that has no place on a TCP link");
}

// --- The second connection -----------------------------------------------------------------------

void TcpLink::WantSecond() {
  if (second_state_ != Second::kNone) return;
  second_state_ = Second::kWanted;
  if (role_ == HandshakeRole::kDialer) {
    DialSecond();
  } else {
    main_.queue().PushControl(FrameType::kSecond, {&kDialSecond, 1});
    Push();
  }
}

void TcpLink::DialSecond() {
  // A link of tests and of custom transports knows no address.
  if (dialed_.size() > 0) {
    Result<std::unique_ptr<SecondDial>> dial = SecondDial::Start(
        context_.poller, dialed_, context_.socket, context_.crypto, peer_.session_key, this);
    if (dial.ok()) {
      dial_ = std::move(dial).value();
      dial_until_ns_ = context_.clock->MonotonicNanos() + context_.connect_ns + context_.hello_ns;
      return;
    }
  }
  GiveUpSecond();
}

void TcpLink::GiveUpSecond() {
  dial_.reset();
  main_.queue().PushControl(FrameType::kSecond, {&kNoSecond, 1});
  RefuseSecond();
}

void TcpLink::RefuseSecond() {
  second_state_ = Second::kRefused;
  main_.queue().TakeSnapshots(&snapshots_);
  Push();
}

void TcpLink::OnSecond(Result<std::unique_ptr<Conduit>> conduit) {
  if (!conduit.ok()) {
    GiveUpSecond();
    return;
  }
  UseSecond(std::move(conduit).value());
  dial_.reset();
}

bool TcpLink::MayAttach(const Digest& token) const {
  return role_ == HandshakeRole::kAcceptor && !second_ && status_.ok() &&
         second_state_ != Second::kRefused &&
         context_.crypto->Equal(
             token, SecondToken(*context_.crypto, peer_.session_key, HandshakeRole::kDialer));
}

void TcpLink::UseSecond(std::unique_ptr<Conduit> conduit) {
  RL_CHECK(!second_);
  auto second = std::make_unique<TcpStream>(std::move(conduit), context_.limits, &no_frames_);
  const Status watched = context_.poller->Add(second->descriptor(), this);
  if (!watched.ok()) {
    // The other side has it already: without it this is no whole link.
    status_ = watched;
    return;
  }
  second_ = std::move(second);
  second_state_ = Second::kThere;
  second_->queue().TakeSnapshots(&snapshots_);
  Push();
}

void TcpLink::Tick(uint64_t now_ns) {
  if (dial_ && now_ns >= dial_until_ns_) GiveUpSecond();
}

}  // namespace ringleader
