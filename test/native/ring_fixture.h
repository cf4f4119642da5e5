// A producer and a consumer on memory that a test can scribble on.
#pragma once

#include <memory>
#include <new>
#include <string>
#include <vector>

#include "harness.h"
#include "transport/ring/ring_consumer.h"
#include "transport/ring/ring_memory.h"
#include "transport/ring/ring_producer.h"

namespace ringleader::test {

inline constexpr size_t kTestMessageLimit = size_t{1} << 16;

class TestRing {
 public:
  // A ring of a page is the smallest; frames are an eighth of it at most.
  explicit TestRing(bool wraps, size_t capacity = RingPageBytes())
      : data_segment_(Segment(capacity, wraps)), read_segment_(Segment(0, false)) {
    CHECK_EQ(data_segment_.twice(), wraps);
    tail_page = new (data_segment_.page()) ProducerPage();
    head_page = new (read_segment_.page()) ConsumerPage();
    cookie.fill(0x7c);
    producer = std::make_unique<RingProducer>(
        RingProducer::Memory{tail_page, data(), capacity, wraps, head_page});
    consumer = std::make_unique<RingConsumer>(
        RingConsumer::Memory{head_page, data(), capacity, wraps, tail_page}, cookie,
        kTestMessageLimit);
  }

  // The first frame, as a link sends it.
  void Begin() {
    producer->Append(FrameType::kCookie, kChecked, cookie, {});
    producer->Publish();
    CHECK(!Receive());
    CHECK(consumer->began());
  }

  bool Fits(size_t payload) {
    CHECK_VALUE(const size_t free, producer->Free(FrameBytes(payload)));
    return free >= FrameBytes(payload);
  }
  void Append(Bytes payload, uint8_t flags = kBegin | kEnd) {
    producer->Append(FrameType::kLog, flags, payload, {});
  }
  // What has come is behind `received`.
  bool Receive(size_t limit = size_t{1} << 30) {
    CHECK_VALUE(const bool more, consumer->Receive(limit, &received));
    return more;
  }
  Status Refusal() {
    std::vector<uint8_t> out;
    return consumer->Receive(size_t{1} << 30, &out).status();
  }

  uint8_t* data() { return data_segment_.data(); }
  size_t capacity() const { return data_segment_.data_bytes(); }

  RingCookie cookie{};
  ProducerPage* tail_page;
  ConsumerPage* head_page;
  std::unique_ptr<RingProducer> producer;
  std::unique_ptr<RingConsumer> consumer;
  std::vector<uint8_t> received;

 private:
  static RingSegment Segment(size_t data_bytes, bool twice) {
    CHECK_VALUE(RingSegment segment, RingSegment::Create("test-ring", data_bytes, twice));
    return segment;
  }

  RingSegment data_segment_, read_segment_;
};

}  // namespace ringleader::test
