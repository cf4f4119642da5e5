// Plays what the other side of a ring may do against both halves, step by step from a script of
// numbers: for the fuzz target and for its short form with seeds (ring_script_test.cc).
//
// The memory is the heap's, of exactly the size that the halves are told, so that
// AddressSanitizer sees a step beside it. While the script does only what an honest side does,
// everything has to arrive; afterwards it may be refused, but nothing else.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/coding.h"
#include "transport/ring/ring_consumer.h"
#include "transport/ring/ring_producer.h"

namespace ringleader::test {

class RingScript {
 public:
  using Take = std::function<uint64_t(size_t bytes)>;

  explicit RingScript(Take take)
      : take_(std::move(take)),
        capacity_(size_t{1024} << take_(1) % 3),
        wraps_(take_(1) % 2 == 1),
        data_(std::make_unique<uint64_t[]>(capacity_ * (wraps_ ? 2 : 1) / sizeof(uint64_t))) {
    cookie_.fill(0x33);
    producer_ = std::make_unique<RingProducer>(
        RingProducer::Memory{&tail_page_, data(), capacity_, wraps_, &head_page_});
    consumer_ = std::make_unique<RingConsumer>(
        RingConsumer::Memory{&head_page_, data(), capacity_, wraps_, &tail_page_}, cookie_,
        kMessageLimit);
    if (take_(1) % 8 != 0) Append(FrameType::kCookie, kChecked, cookie_);
  }

  // Null, or what is wrong.
  const char* Step() {
    switch (take_(1) % 12) {
      case 0:
      case 1:
        return AppendMessage();
      case 2:
        producer_->Publish();
        return nullptr;
      case 3:
      case 4:
        return Receive();
      case 5:
        consumer_->Release();
        return nullptr;
      case 6:
        return WriteTail();
      case 7:
        return WriteHead();
      case 8:
        return WriteData();
      case 9:
        return ForgeFrame();
      case 10:
        return Room();
      default:
        return ReadHeader();
    }
  }

 private:
  static constexpr size_t kMessageLimit = 4096;

  uint8_t* data() { return reinterpret_cast<uint8_t*>(data_.get()); }

  // Both images of what lies in [from, to) get what was written, as two mappings have it.
  void Mirror(uint64_t from, uint64_t to) {
    if (!wraps_) return;
    const size_t begins = static_cast<size_t>(from & (capacity_ - 1));
    for (size_t i = begins; i < begins + (to - from) && i < 2 * capacity_; ++i) {
      const size_t at = i & (capacity_ - 1);
      data()[at] = data()[at + capacity_] = data()[i];
    }
  }

  void Append(FrameType type, uint8_t flags, Bytes payload) {
    const uint64_t before = producer_->tail();
    producer_->Append(type, flags, payload, {});
    Mirror(before, before + FrameBytes(payload.size()));
  }

  const char* AppendMessage() {
    const size_t size = 1 + take_(2) % producer_->max_payload();
    const auto free = producer_->Free(FrameBytes(size));
    if (!free.ok()) return honest() ? "an honest reader is refused" : nullptr;
    if (free.value() > capacity_) return "more room than there is";
    if (free.value() < FrameBytes(size)) return nullptr;
    std::vector<uint8_t> payload(size, static_cast<uint8_t>(take_(1)));
    Append(FrameType::kLog, kBegin | kEnd, payload);
    sent_.push_back(std::move(payload));
    return nullptr;
  }

  const char* Receive() {
    if (refused_) return nullptr;
    std::vector<uint8_t> out;
    const auto more = consumer_->Receive(1 + take_(2) % 8192, &out);
    if (out.size() > capacity_ + kMessageLimit) return "more than a ring and a message";
    if (!consumer_->began() && !out.empty()) return "something came before the cookie";
    if (consumer_->released() > consumer_->position()) return "given back and not read";
    if (!more.ok()) {
      refused_ = true;
      if (more.status().code() != Code::kCorruption) return "another code";
      return honest() && !sent_.empty() && consumer_->began() ? "an honest writer is refused"
                                                              : nullptr;
    }
    if (!honest()) return nullptr;
    for (size_t at = 0; at < out.size(); sent_.pop_front()) {
      if (sent_.empty()) return "something was received that nobody sent";
      const std::vector<uint8_t>& message = sent_.front();
      if (out.size() - at < message.size()) return "a message was cut";
      if (!std::equal(message.begin(), message.end(), out.begin() + static_cast<ptrdiff_t>(at))) {
        return "a message was changed";
      }
      at += message.size();
    }
    return nullptr;
  }

  const char* WriteTail() {
    tails_are_true_ = false;
    const uint64_t word = Near(tail_page_.tail.load(std::memory_order_acquire));
    tail_page_.tail.store(word, std::memory_order_release);
    return nullptr;
  }

  const char* WriteHead() {
    heads_are_true_ = false;
    const uint64_t word = Near(head_page_.head.load(std::memory_order_acquire));
    head_page_.head.store(word, std::memory_order_release);
    return nullptr;
  }

  // Mostly a little beside what it was: the far ones are refused at once.
  uint64_t Near(uint64_t word) {
    const uint64_t by = take_(2);
    switch (take_(1) % 4) {
      case 0:
        return word + by % 512 * 8;
      case 1:
        return word - by % 512 * 8;
      case 2:
        return word + by;
      default:
        return take_(8);
    }
  }

  const char* WriteData() {
    data_is_true_ = false;
    const size_t at = take_(2) % (capacity_ * (wraps_ ? 2 : 1));
    data()[at] ^= static_cast<uint8_t>(take_(1));
    return nullptr;
  }

  // Where the next frame is looked for, with a checksum that is right.
  const char* ForgeFrame() {
    data_is_true_ = false;
    FrameHead head;
    head.type = static_cast<FrameType>(1 + take_(1) % 8);
    head.flags = static_cast<uint8_t>(take_(1) % 4);
    head.length = static_cast<uint32_t>(take_(1) % 2 == 0 ? take_(1) : take_(4));
    head.sequence = static_cast<uint32_t>(take_(1));
    const size_t at = static_cast<size_t>(consumer_->position() & (capacity_ - 1));
    if (at + kLinkFrameHeadBytes <= capacity_) EncodeFrameHead(head, {}, data() + at);
    return nullptr;
  }

  const char* Room() {
    const size_t wanted = 1 + take_(2) % (capacity_ / 2);
    const uint64_t head = producer_->HeadFor(wanted);
    const auto free = producer_->Free(wanted);
    if (!free.ok()) return honest() ? "an honest reader is refused" : nullptr;
    const bool there = head_page_.head.load(std::memory_order_acquire) >= head;
    if (honest() && there != (free.value() >= wanted)) return "room is not where it is said";
    return nullptr;
  }

  // A segment's header that is nearly right.
  const char* ReadHeader() {
    const size_t page_bytes = 4096;
    const bool data = take_(1) % 2 == 1;
    RingHeader header{};
    header.magic = data ? kProducerMagic : kConsumerMagic;
    header.wraps = data ? 1 : 0;
    header.capacity = data ? kMinRingBytes << take_(1) % 8 : 0;
    header.session.fill(9);
    SealRingHeader(&header, page_bytes);
    const RingHeader good = header;
    for (uint64_t changes = take_(1) % 4; changes > 0; --changes) {
      reinterpret_cast<uint8_t*>(&header)[take_(1) % sizeof header] ^=
          static_cast<uint8_t>(take_(1));
    }
    const bool resealed = take_(1) % 2 == 1;
    if (resealed) header.checksum = RingHeaderChecksum(header);
    const RingExpectation expected{good.magic, 0, good.session, page_bytes};
    const Status status = CheckRingHeader(header, expected);
    const bool same = std::memcmp(&header, &good, sizeof header) == 0;
    const bool fits = good.capacity <= kMaxRingBytes;
    if (same && status.ok() != fits) return "a true header is misjudged";
    if (!status.ok()) return nullptr;
    if (!resealed && !same) return "a header with a wrong checksum is taken";
    if (header.session != good.session || header.dials != 0 || header.page_bytes != page_bytes) {
      return "a header of another ring is taken";
    }
    if (data && (!std::has_single_bit(header.capacity) || header.capacity > kMaxRingBytes)) {
      return "a capacity that no ring has";
    }
    return nullptr;
  }

  bool honest() const { return tails_are_true_ && heads_are_true_ && data_is_true_; }

  const Take take_;
  const size_t capacity_;
  const bool wraps_;
  const std::unique_ptr<uint64_t[]> data_;
  ProducerPage tail_page_{};
  ConsumerPage head_page_{};
  RingCookie cookie_{};
  std::unique_ptr<RingProducer> producer_;
  std::unique_ptr<RingConsumer> consumer_;
  std::deque<std::vector<uint8_t>> sent_;
  bool tails_are_true_ = true, heads_are_true_ = true, data_is_true_ = true;
  bool refused_ = false;
};

// To the end of the script. Null, or what is wrong.
template <typename Empty>
const char* PlayRingScript(RingScript::Take take, const Empty& empty) {
  RingScript script(std::move(take));
  while (!empty()) {
    if (const char* const wrong = script.Step()) return wrong;
  }
  return nullptr;
}

}  // namespace ringleader::test
