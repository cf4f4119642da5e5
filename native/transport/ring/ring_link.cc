// The wake-up protocol. Four stores and loads are sequentially consistent, in two pairs:
//
//   waits                                    goes on
//   own sleep := odd                         own tail := behind the message   (or own head)
//   the other's tail: has it moved? (head)   the other's sleep: is it odd?    -> ring
//
// Of the two stores one comes first in the order that all such operations have, so at least one
// side sees what the other has stored: either who wants to sleep does not, or it is rung for. An
// epoch is rung for once. `room_at`, written before `sleep` turns odd, says that not every release
// of `head` is of interest.
//
// A bell is never read: the poller hears of every ring, not of a counter, and whoever shares a bell
// could make a read of it wait.
#include "transport/ring/ring_link.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <new>
#include <string>

#include "base/check.h"
#include "base/mutant.h"
#include "wire/message_codec.h"

namespace ringleader {
namespace {

// A piece of a message that does not fit is not made smaller than this but at its end.
constexpr size_t kMinPieceBytes = 4096;
// Published while a batch is still growing, so that the other side, if it is awake, begins.
constexpr size_t kPublishBytes = size_t{64} << 10;

RingCookie CookieOf(const RingSession& session, bool dials) {
  RingCookie cookie;
  std::copy(session.begin(), session.end(), cookie.begin());
  cookie.back() = dials ? 1 : 0;
  return cookie;
}

void WriteHeader(RingHeader* header, const RingOptions& options, uint32_t magic, size_t capacity,
                 bool wraps) {
  header->magic = magic;
  header->dials = options.dials ? 1 : 0;
  header->wraps = wraps ? 1 : 0;
  header->capacity = capacity;
  header->session = options.session;
  SealRingHeader(header, RingPageBytes());
}

// That a write to it cannot do anything but ring, and does not wait.
Status CheckBell(int descriptor) {
  char target[64];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t size = readlink(link.c_str(), target, sizeof target);
  if (size < 0) return ErrnoStatus(errno, "cannot find out what a bell is");
  const int flags = fcntl(descriptor, F_GETFL);
  const bool is_bell =
      std::string_view(target, static_cast<size_t>(size)) == "anon_inode:[eventfd]";
  if (is_bell && flags >= 0 && (flags & O_NONBLOCK) != 0) return Status::Ok();
  return Status(Code::kCorruption, "what was handed over as a bell is none");
}

Status CheckControl(int socket) {
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    return ErrnoStatus(errno, "cannot find out what a control socket is");
  }
  if (domain == AF_UNIX && type == SOCK_STREAM) return Status::Ok();
  return Status(Code::kInvalidArgument, "the control socket of a ring is a unix stream");
}

}  // namespace

// --- coming up -----------------------------------------------------------------------------------

Result<RingOffer> RingOffer::Make(const RingOptions& options) {
  const size_t capacity = options.capacity_bytes;
  if (!std::has_single_bit(capacity) || capacity < kMinRingBytes || capacity > kMaxRingBytes) {
    return Status(Code::kInvalidArgument,
                  "a ring has a power of two of bytes, from 1 MiB to 64 MiB");
  }
  RingOffer offer;
  offer.options_ = options;
  RL_ASSIGN_OR_RETURN(offer.producer_,
                      RingSegment::Create("ringleader-data", capacity, options.map_twice));
  RL_ASSIGN_OR_RETURN(offer.consumer_, RingSegment::Create("ringleader-read", 0, false));
  auto* const producer = new (offer.producer_.page()) ProducerPage();
  auto* const consumer = new (offer.consumer_.page()) ConsumerPage();
  WriteHeader(&producer->header, options, kProducerMagic, capacity, offer.producer_.twice());
  WriteHeader(&consumer->header, options, kConsumerMagic, 0, false);
  offer.bell_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!offer.bell_.valid()) return ErrnoStatus(errno, "cannot create a bell");
  return offer;
}

struct RingLink::Parts {
  RingOffer ours;
  RingSegment their_producer, their_consumer;
  Descriptor their_bell, control;
  Poller* poller;
};

Result<std::unique_ptr<RingLink>> RingLink::Attach(RingOffer ours, std::vector<Descriptor> theirs,
                                                   Descriptor control, Poller* poller) {
  if (theirs.size() != RingOffer::kDescriptors) {
    return Status(Code::kCorruption, "an offer with another number of descriptors");
  }
  RL_RETURN_IF_ERROR(CheckControl(control.get()));
  RL_RETURN_IF_ERROR(CheckBell(theirs[2].get()));
  RingExpectation expected{kProducerMagic, ours.options_.dials ? uint8_t{0} : uint8_t{1},
                           ours.options_.session, RingPageBytes()};
  RL_ASSIGN_OR_RETURN(RingSegment producer, RingSegment::Attach(std::move(theirs[0]), expected));
  expected.magic = kConsumerMagic;
  RL_ASSIGN_OR_RETURN(RingSegment consumer, RingSegment::Attach(std::move(theirs[1]), expected));
  // The mappings are all that is needed from now on.
  for (RingSegment* segment : {&ours.producer_, &ours.consumer_, &producer, &consumer}) {
    segment->CloseDescriptor();
  }
  std::unique_ptr<RingLink> link(
      new RingLink({std::move(ours), std::move(producer), std::move(consumer), std::move(theirs[2]),
                    std::move(control), poller}));
  RL_RETURN_IF_ERROR(link->Watch());
  return link;
}

RingLink::RingLink(Parts parts)
    : own_producer_(std::move(parts.ours.producer_)),
      own_consumer_(std::move(parts.ours.consumer_)),
      their_producer_(std::move(parts.their_producer)),
      their_consumer_(std::move(parts.their_consumer)),
      own_tail_page_(*std::launder(reinterpret_cast<ProducerPage*>(own_producer_.page()))),
      own_head_page_(*std::launder(reinterpret_cast<ConsumerPage*>(own_consumer_.page()))),
      their_tail_page_(*std::launder(reinterpret_cast<ProducerPage*>(their_producer_.page()))),
      their_head_page_(*std::launder(reinterpret_cast<ConsumerPage*>(their_consumer_.page()))),
      producer_({&own_tail_page_, own_producer_.data(), own_producer_.data_bytes(),
                 own_producer_.twice(), &their_head_page_}),
      consumer_({&own_head_page_, their_producer_.data(), their_producer_.data_bytes(),
                 their_producer_.twice(), &their_tail_page_},
                CookieOf(parts.ours.options_.session, !parts.ours.options_.dials), kMaxFrameBytes),
      own_bell_(std::move(parts.ours.bell_)),
      their_bell_(std::move(parts.their_bell)),
      control_(std::move(parts.control)),
      poller_(parts.poller) {
  const RingCookie cookie = CookieOf(parts.ours.options_.session, parts.ours.options_.dials);
  producer_.Append(FrameType::kCookie, kChecked, cookie, {});
  producer_.Publish();
}

Status RingLink::Watch() {
  RL_RETURN_IF_ERROR(poller_->Add(own_bell_.get(), this));
  const Status status = poller_->Add(control_.get(), this);
  if (!status.ok()) poller_->Remove(own_bell_.get());
  watched_ = status.ok();
  return status;
}

RingLink::~RingLink() {
  if (!watched_) return;
  poller_->Remove(own_bell_.get());
  poller_->Remove(control_.get());
}

// Tries whatever it is told: what it is told may be old.
void RingLink::OnReady(int descriptor, uint32_t) {
  if (descriptor != control_.get() || gone_ || !failed_.ok()) return;
  uint8_t byte;
  const ssize_t got = recv(control_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  if (got > 0) {
    (void)Fail(Status(Code::kCorruption, "something came over the control socket of a ring"));
  } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
    gone_ = true;
  }
}

Status RingLink::Fail(Status status) {
  if (failed_.ok()) failed_ = std::move(status);
  return failed_;
}

// --- sending -------------------------------------------------------------------------------------

size_t RingLink::Reserve(Lane lane) const {
  return lane == Lane::kUrgent ? 0 : producer_.capacity() / kRingShare;
}

Result<size_t> RingLink::RoomFor(Lane lane, size_t wanted) const {
  const size_t reserve = Reserve(lane);
  RL_ASSIGN_OR_RETURN(const size_t free, producer_.Free(wanted + reserve));
  return free > reserve ? free - reserve : 0;
}

size_t RingLink::FrameBytesOf(size_t message_bytes) const {
  const size_t whole = message_bytes / producer_.max_payload();
  const size_t last = message_bytes % producer_.max_payload();
  return whole * FrameBytes(producer_.max_payload()) + (last > 0 ? FrameBytes(last) : 0);
}

// Of one message.
size_t RingLink::PayloadThatFits(size_t room) const {
  const size_t frame = FrameBytes(producer_.max_payload());
  const size_t last = room % frame;
  const size_t last_payload =
      last > kLinkFrameHeadBytes ? (last & ~(kFrameAlignment - 1)) - kLinkFrameHeadBytes : 0;
  return room / frame * producer_.max_payload() + last_payload;
}

// What is left of a message goes before whatever is not urgent.
bool RingLink::BlockedByRest(Lane lane) const {
  return rest_ && (lane != Lane::kUrgent || rest_->lane == lane);
}

// Where the other side has to have read before it is worth trying again.
uint64_t RingLink::RoomAt() const {
  if (rest_) return producer_.HeadFor(producer_.capacity() / kRingShare + Reserve(rest_->lane));
  return refused_ > 0 ? producer_.HeadFor(refused_) : kNoRoomWanted;
}

size_t RingLink::Room(Lane lane) const {
  if (!failed_.ok() || BlockedByRest(lane)) return 0;
  const size_t half = producer_.capacity() / 2;
  const Result<size_t> room = RoomFor(lane, half);
  if (!room.ok()) return 0;  // Send says why
  if (!rest_ && room.value() >= half) return kMaxFrameBytes;
  return std::min(PayloadThatFits(room.value()), kMaxFrameBytes);
}

void RingLink::AppendPieces(Lane lane, Bytes head, Bytes body, bool begins, bool ends) {
  const size_t most = producer_.max_payload();
  uint8_t flags = begins ? uint8_t{kBegin} : uint8_t{0};
  while (!head.empty() || !body.empty()) {
    const Bytes first = head.first(std::min(head.size(), most));
    const Bytes second = body.first(std::min(body.size(), most - first.size()));
    head = head.subspan(first.size());
    body = body.subspan(second.size());
    if (ends && head.empty() && body.empty()) flags |= kEnd;
    producer_.Append(FrameTypeOf(lane), flags, first, second);
    flags = 0;
    if (producer_.unpublished() >= kPublishBytes) producer_.Publish();
  }
  unflushed_ = true;
}

Result<bool> RingLink::Send(Lane lane, Bytes head, Bytes body) {
  RL_RETURN_IF_ERROR(failed_);
  const size_t size = head.size() + body.size();
  if (size == 0) return Status(Code::kInvalidArgument, "a message of no bytes");
  if (size > kMaxFrameBytes) return Status(Code::kTooLarge, "a message longer than a link takes");
  const size_t half = producer_.capacity() / 2;
  const size_t needed = FrameBytesOf(size);
  const size_t enough = rest_ ? needed : std::min(needed, half);
  auto room = BlockedByRest(lane) ? Result<size_t>(size_t{0}) : RoomFor(lane, enough);
  if (!room.ok()) return Fail(room.status());
  if (room.value() < enough) {
    ++counters_.no_room;
    refused_ = std::min(enough, half) + Reserve(lane);
    return false;
  }
  refused_ = 0;
  ++counters_.messages_sent;
  counters_.bytes_sent += size;
  if (needed <= room.value()) {
    AppendPieces(lane, head, body, true, true);
    return true;
  }
  const size_t fits = PayloadThatFits(room.value());
  const Bytes first = head.first(std::min(head.size(), fits));
  const Bytes second = body.first(fits - first.size());
  AppendPieces(lane, first, second, true, false);
  rest_ = Rest{lane, {}, 0};
  rest_->bytes.reserve(size - fits);
  rest_->bytes.insert(rest_->bytes.end(), head.begin() + static_cast<ptrdiff_t>(first.size()),
                      head.end());
  rest_->bytes.insert(rest_->bytes.end(), body.begin() + static_cast<ptrdiff_t>(second.size()),
                      body.end());
  return true;
}

Status RingLink::SendRest() {
  while (rest_) {
    const size_t left = rest_->bytes.size() - rest_->sent;
    const size_t piece = std::min(left, kMinPieceBytes);
    auto room = RoomFor(rest_->lane, FrameBytesOf(std::min(left, producer_.capacity() / 2)));
    if (!room.ok()) return Fail(room.status());
    if (room.value() < FrameBytesOf(piece)) return Status::Ok();
    const size_t fits = std::min(left, PayloadThatFits(room.value()));
    AppendPieces(rest_->lane, Bytes(rest_->bytes).subspan(rest_->sent, fits), {}, false,
                 fits == left);
    rest_->sent += fits;
    if (fits == left) rest_.reset();
  }
  return Status::Ok();
}

Status RingLink::Flush() {
  RL_RETURN_IF_ERROR(failed_);
  // Relaxed: it is looked at now and then, and orders nothing.
  own_tail_page_.beats.store(++flushes_, std::memory_order_relaxed);
  RL_RETURN_IF_ERROR(SendRest());
  if (!unflushed_) return Status::Ok();
  unflushed_ = false;
  producer_.Publish();
  const uint32_t sleep = their_head_page_.sleep.load(std::memory_order_seq_cst);
  if (sleep % 2 == 1 && sleep != rung_) {
    rung_ = sleep;
    Wake();
  }
  return Status::Ok();
}

void RingLink::Wake() {
  ++counters_.wakes;
  const uint64_t one = 1;
  // A bell that is full has rung.
  while (write(their_bell_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

// --- receiving -----------------------------------------------------------------------------------

Result<bool> RingLink::Receive(size_t limit, std::vector<uint8_t>* out) {
  RL_RETURN_IF_ERROR(failed_);
  own_head_page_.beats.store(++receipts_, std::memory_order_relaxed);
  // Before the ring is looked at: what it then holds is all that the other side has sent.
  const bool gone = gone_;
  const size_t before = out->size();
  auto more = consumer_.Receive(limit, out);
  counters_.messages_received = consumer_.messages();
  counters_.bytes_received += out->size() - before;
  if (!more.ok()) return Fail(more.status());
  WakeForRoom();
  if (more.value() || !gone || out->size() > before) return more;
  return Status(Code::kClosed, "the other end of the ring is gone");
}

// Who waits for room has said up to where its data has to be read.
void RingLink::WakeForRoom() {
  if (consumer_.released() == woken_at_) return;
  woken_at_ = consumer_.released();
  const uint32_t sleep = their_head_page_.sleep.load(std::memory_order_seq_cst);
  if (sleep % 2 == 0 || sleep == rung_) return;
  // Pairs with R3, by way of `sleep`.
  if (their_head_page_.room_at.load(std::memory_order_acquire) > woken_at_) return;
  rung_ = sleep;
  Wake();
}

bool RingLink::PrepareSleep() {
  if (gone_ || !Flush().ok()) return false;
  if (consumer_.released() != consumer_.position()) {
    consumer_.Release();
    WakeForRoom();
  }
  const uint64_t room_at = RoomAt();
  own_head_page_.room_at.store(room_at, std::memory_order_release);
  // R3.
  own_head_page_.sleep.store(++sleep_, std::memory_order_seq_cst);
  if (!RL_MUTANT(kRingSleepBlind)) {
    const Result<bool> more = consumer_.HasMore();
    const bool room = their_head_page_.head.load(std::memory_order_seq_cst) >= room_at;
    if (room && !rest_) refused_ = 0;  // said once
    if (!more.ok()) (void)Fail(more.status());
    if (room || !more.ok() || more.value()) {
      EndSleep();
      return false;
    }
  }
  ++counters_.sleeps;
  return true;
}

void RingLink::EndSleep() {
  if (sleep_ % 2 == 0) return;
  own_head_page_.sleep.store(++sleep_, std::memory_order_release);
}

RingBeats RingLink::OtherBeats() const {
  // Relaxed: as where they are counted.
  return {their_tail_page_.beats.load(std::memory_order_relaxed),
          their_head_page_.beats.load(std::memory_order_relaxed)};
}

}  // namespace ringleader
