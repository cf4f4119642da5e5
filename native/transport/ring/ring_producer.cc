#include "transport/ring/ring_producer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/mutant.h"

namespace ringleader {

RingProducer::RingProducer(const Memory& memory)
    : memory_(memory), mask_(memory.capacity - 1), max_frame_(RingFrameBytes(memory.capacity)) {
  RL_CHECK(std::has_single_bit(memory.capacity) && max_frame_ > kLinkFrameHeadBytes);
}

size_t RingProducer::FreeAt(uint64_t head) const {
  const size_t free = memory_.capacity - static_cast<size_t>(tail_ - head);
  // Where frames do not go over the end, one run of them may lose the most of a frame there.
  const size_t padding = memory_.wraps ? 0 : max_frame_;
  return free > padding ? free - padding : 0;
}

Result<size_t> RingProducer::Free(size_t wanted) {
  const size_t known = FreeAt(head_);
  if (known >= wanted) return known;
  // Pairs with R2: the consumer has copied what lies below.
  const uint64_t head = memory_.peer->head.load(std::memory_order_acquire);
  const bool possible = head >= head_ && head <= published_ && head % kFrameAlignment == 0;
  if (!possible && !RL_MUTANT(kRingTrustHead)) {
    return Status(Code::kCorruption, "the reader of a ring says that it has read what it cannot");
  }
  head_ = head;
  return FreeAt(head_);
}

uint64_t RingProducer::HeadFor(size_t wanted) const {
  RL_DCHECK(wanted <= memory_.capacity / 4 * 3);
  const uint64_t needed = tail_ + wanted + (memory_.wraps ? 0 : max_frame_);
  return needed > memory_.capacity ? needed - memory_.capacity : 0;
}

void RingProducer::AppendPadding(size_t bytes) {
  // Too little for a head: the consumer knows that none begins there.
  if (bytes >= kLinkFrameHeadBytes) {
    const auto length = static_cast<uint32_t>(bytes - kLinkFrameHeadBytes);
    EncodeFrameHead({length, FrameType::kPadding, 0, sequence_++}, {},
                    memory_.data + (tail_ & mask_));
  }
  tail_ += bytes;
}

uint8_t* RingProducer::Place(size_t frame_bytes) {
  const size_t rest = memory_.capacity - static_cast<size_t>(tail_ & mask_);
  if (!memory_.wraps && frame_bytes > rest) AppendPadding(rest);
  RL_DCHECK(tail_ + frame_bytes - head_ <= memory_.capacity);
  return memory_.data + (tail_ & mask_);
}

void RingProducer::Append(FrameType type, uint8_t flags, Bytes first, Bytes second) {
  const size_t length = first.size() + second.size();
  RL_DCHECK(length <= max_payload());
  uint8_t* const at = Place(FrameBytes(length));
  uint8_t* const payload = at + kLinkFrameHeadBytes;
  if (RL_MUTANT(kRingPublishEarly)) {
    memory_.own->tail.store(tail_ + FrameBytes(length), std::memory_order_release);
  }
  if (!first.empty()) std::memcpy(payload, first.data(), first.size());
  if (!second.empty()) std::memcpy(payload + first.size(), second.data(), second.size());
  EncodeFrameHead({static_cast<uint32_t>(length), type, flags, sequence_++}, {payload, length}, at);
  tail_ += FrameBytes(length);
}

void RingProducer::Publish() {
  // R1: everything below has been written. Sequentially consistent, because the look at the other
  // side's `sleep` that follows must not come before it.
  memory_.own->tail.store(tail_, std::memory_order_seq_cst);
  published_ = tail_;
}

}  // namespace ringleader
