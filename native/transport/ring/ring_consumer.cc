#include "transport/ring/ring_consumer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

// The next frame is in the other processor's cache: on its way while this one is being copied. An
// address that is nobody's does no harm.
void Prefetch(const uint8_t* at) {
  constexpr size_t kLine = 64;
  for (size_t line = 0; line < 8; ++line) __builtin_prefetch(at + line * kLine);
}

Status Bad(const char* what) {
  return Status(Code::kCorruption, std::string("the writer of a ring breaks its rules: ") + what);
}

// Once, whatever the compiler thinks: the producer may be changing it.
uint64_t LoadOnce(const uint8_t* at) {
  auto* word = const_cast<uint64_t*>(reinterpret_cast<const uint64_t*>(at));
  // Relaxed: what orders it is the acquire of `tail`.
  return std::atomic_ref<uint64_t>(*word).load(std::memory_order_relaxed);
}

}  // namespace

RingConsumer::RingConsumer(const Memory& memory, const RingCookie& cookie, size_t max_message)
    : memory_(memory),
      mask_(memory.capacity - 1),
      max_payload_(RingFrameBytes(memory.capacity) - kLinkFrameHeadBytes),
      cookie_(cookie),
      assembler_(max_message) {
  RL_CHECK(std::has_single_bit(memory.capacity));
}

Result<bool> RingConsumer::HasMore() {
  // Pairs with R1: everything below is there. Sequentially consistent for the sake of the look
  // between falling asleep and sleeping.
  const uint64_t tail = memory_.peer->tail.load(std::memory_order_seq_cst);
  if (tail < tail_ || tail - position_ > memory_.capacity || tail % kFrameAlignment != 0) {
    return Bad("where it ends");
  }
  tail_ = tail;
  return tail_ != position_;
}

Result<bool> RingConsumer::Receive(size_t limit, std::vector<uint8_t>* out) {
  const size_t before = out->size();
  const uint64_t once_round = position_ + memory_.capacity;
  while (out->size() - before < limit && position_ < once_round) {
    if (position_ == tail_) {
      RL_ASSIGN_OR_RETURN(const bool more, HasMore());
      if (!more) return false;
    }
    RL_RETURN_IF_ERROR(TakeFrame(out));
    if (position_ - released_ >= memory_.capacity / kRingShare) Release();
  }
  return position_ != tail_ ? Result<bool>(true) : HasMore();
}

void RingConsumer::Release() {
  // R2: everything below has been copied. Sequentially consistent, because the look at the other
  // side's `sleep` that follows must not come before it.
  memory_.own->head.store(position_, std::memory_order_seq_cst);
  released_ = position_;
}

RingConsumer::HeadWords RingConsumer::LoadHead(const uint8_t* at) const {
  return {LoadOnce(at), LoadOnce(at + sizeof(uint64_t))};
}

Status RingConsumer::TakeFrame(std::vector<uint8_t>* out) {
  const size_t there = static_cast<size_t>(tail_ - position_);
  const size_t rest = memory_.capacity - static_cast<size_t>(position_ & mask_);
  if (!memory_.wraps && rest < kLinkFrameHeadBytes) {
    if (there < rest) return Bad("half a gap");
    position_ += rest;
    return Status::Ok();
  }
  if (there < kLinkFrameHeadBytes) return Bad("half a head");
  const uint8_t* const at = memory_.data + (position_ & mask_);
  const HeadWords words = LoadHead(at);
  const Bytes bytes{reinterpret_cast<const uint8_t*>(words.data()), kLinkFrameHeadBytes};
  RL_ASSIGN_OR_RETURN(FrameHead head, DecodeFrameHead(bytes, max_payload_));
  const size_t frame_bytes = FrameBytes(head.length);
  if (frame_bytes > there) return Bad("half a frame");
  if (!memory_.wraps && frame_bytes > rest) return Bad("a frame over the end");
  Prefetch(at + frame_bytes);
  if (RL_MUTANT(kRingTrustShared)) head.length = static_cast<uint32_t>(LoadOnce(at));
  RL_RETURN_IF_ERROR(TakePayload(head, words, {at + kLinkFrameHeadBytes, head.length}, out));
  if (LoadHead(at) != words && !RL_MUTANT(kRingTrustShared)) return Bad("it changes what it wrote");
  position_ += frame_bytes;
  return Status::Ok();
}

Status RingConsumer::TakePayload(const FrameHead& head, const HeadWords& words, Bytes shared,
                                 std::vector<uint8_t>* out) {
  const Bytes bytes{reinterpret_cast<const uint8_t*>(words.data()), kLinkFrameHeadBytes};
  if ((head.flags & kChecked) != 0) return TakeChecked(head, bytes, shared);
  if (!began_) return Bad("it does not begin with a cookie");
  return assembler_.Take(head, shared, out);
}

// Of the frames with a checksum over all a ring has one.
Status RingConsumer::TakeChecked(const FrameHead& head, Bytes head_bytes, Bytes shared) {
  if (head.length != kRingCookieBytes) return Bad("a cookie of another size");
  RingCookie copy;
  std::memcpy(copy.data(), shared.data(), copy.size());
  RL_RETURN_IF_ERROR(CheckFrame(head_bytes, copy));
  if (head.type != FrameType::kCookie || began_) return Bad("a frame that no ring has");
  if (copy != cookie_) return Bad("the cookie of another ring");
  began_ = true;
  return assembler_.Take(head, copy, &unused_);
}

}  // namespace ringleader
