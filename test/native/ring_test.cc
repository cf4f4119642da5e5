// The two halves of a ring: what goes in comes out, and neither half believes the other.
#include <deque>
#include <random>

#include "base/coding.h"
#include "concurrent.h"
#include "ring_fixture.h"

namespace ringleader {
namespace {

using namespace test;

std::vector<uint8_t> PayloadOf(uint64_t number, size_t size) {
  std::vector<uint8_t> payload(size);
  std::mt19937_64 bytes(number * 7919 + size);
  for (uint8_t& byte : payload) byte = static_cast<uint8_t>(bytes());
  return payload;
}

void BothForms(const std::function<void(bool wraps)>& body) {
  body(true);
  body(false);
}

TEST(ring, every_size_at_every_place) {
  BothForms([](bool wraps) {
    TestRing ring(wraps);
    ring.Begin();
    const size_t most = ring.producer->max_payload();
    uint64_t number = 0;
    for (int lap = 0; lap < 3; ++lap) {
      for (size_t size = 1; size <= most; size += 1 + number % 5) {
        const auto payload = PayloadOf(++number, size);
        CHECK(ring.Fits(size));
        const size_t head = number % (size + 1);
        ring.producer->Append(FrameType::kLog, kBegin | kEnd, Bytes(payload).first(head),
                              Bytes(payload).subspan(head));
        ring.producer->Publish();
        ring.received.clear();
        CHECK(!ring.Receive());
        CHECK(ring.received == payload);
        if (size % 3 == 0) ring.consumer->Release();
      }
    }
  });
}

TEST(ring, nothing_is_seen_before_it_is_published) {
  TestRing ring(true);
  ring.Begin();
  const auto payload = PayloadOf(1, 100);
  ring.Append(payload);
  ring.Append(payload);
  CHECK(!ring.Receive() && ring.received.empty());
  CHECK_EQ(ring.producer->unpublished(), 2 * FrameBytes(100));
  ring.producer->Publish();
  CHECK(!ring.Receive());
  CHECK_EQ(ring.received.size(), 200u);
}

// Whatever either half does when, nothing is lost, repeated or overwritten before it was read.
TEST(ring, any_schedule) {
  BothForms([](bool wraps) {
    TestRing ring(wraps);
    ring.Begin();
    std::mt19937_64 dice(Seed());
    std::deque<std::vector<uint8_t>> sent;
    uint64_t number = 0, full = 0;
    for (uint64_t step = 0; step < Scale(60'000); ++step) {
      switch (dice() % 6) {
        case 0:
        case 1:
        case 2: {
          const size_t size = 1 + dice() % ring.producer->max_payload();
          if (!ring.Fits(size)) {
            ++full;
            break;
          }
          sent.push_back(PayloadOf(++number, size));
          ring.Append(sent.back());
          break;
        }
        case 3:
          ring.producer->Publish();
          break;
        case 4:
          ring.consumer->Release();
          break;
        default: {
          ring.received.clear();
          (void)ring.Receive(1 + dice() % 1000);
          size_t at = 0;
          for (; at < ring.received.size(); sent.pop_front()) {
            const auto& expected = sent.front();
            CHECK(at + expected.size() <= ring.received.size());
            CHECK(std::equal(expected.begin(), expected.end(), ring.received.begin() + at));
            at += expected.size();
          }
        }
      }
    }
    CHECK(number > 1000 && full > 100);
  });
}

// As much as the capacity, and not a frame more; the last bytes of the ring are used too.
TEST(ring, it_holds_its_capacity) {
  TestRing ring(true);
  ring.Begin();
  ring.consumer->Release();
  const size_t frame = ring.capacity() / kRingShare;
  const auto payload = PayloadOf(1, ring.producer->max_payload());
  for (size_t i = 0; i < kRingShare; ++i) {
    CHECK(ring.Fits(payload.size()));
    ring.Append(payload);
  }
  CHECK_VALUE(const size_t free, ring.producer->Free(1));
  CHECK_EQ(free, 0u);
  ring.producer->Publish();
  CHECK_EQ(ring.producer->HeadFor(frame), FrameBytes(kRingCookieBytes) + frame);
  CHECK(!ring.Receive());
  CHECK_EQ(ring.received.size(), kRingShare * payload.size());
  CHECK(ring.Fits(payload.size()));
}

TEST(ring, a_reader_gives_back_every_eighth) {
  TestRing ring(true);
  ring.Begin();
  const auto payload = PayloadOf(1, 100);
  uint64_t last = 0;
  for (int i = 0; i < 200; ++i) {
    CHECK(ring.Fits(payload.size()));
    ring.Append(payload);
    ring.producer->Publish();
    (void)ring.Receive();
    const uint64_t head = ring.head_page->head.load(std::memory_order_acquire);
    CHECK(ring.consumer->position() - head < ring.capacity() / kRingShare);
    CHECK(head == last || head - last >= ring.capacity() / kRingShare);
    last = head;
  }
  CHECK(last > 0);
}

// --- the producer is hostile ---------------------------------------------------------------------

void SetTail(TestRing& ring, uint64_t tail) {
  ring.tail_page->tail.store(tail, std::memory_order_release);
}

TEST(ring_hostile, tails) {
  const uint64_t begun = FrameBytes(kRingCookieBytes);
  const uint64_t page = RingPageBytes();
  for (const uint64_t tail : {begun + page + 8, ~uint64_t{7}, begun - 8, uint64_t{0}, begun + 4,
                              begun + 1, begun + page + 1}) {
    TestRing ring(true);
    ring.Begin();
    SetTail(ring, tail);
    CHECK_CODE(ring.Refusal(), Code::kCorruption);
  }
}

TEST(ring_hostile, a_tail_inside_a_frame) {
  TestRing whole(true);
  whole.Begin();
  whole.Append(PayloadOf(1, 100));
  whole.producer->Publish();
  const uint64_t end = whole.tail_page->tail.load(std::memory_order_acquire);
  for (uint64_t cut = 8; cut < FrameBytes(100); cut += 8) {
    TestRing ring(true);
    ring.Begin();
    ring.Append(PayloadOf(1, 100));
    SetTail(ring, end - cut);
    CHECK_CODE(ring.Refusal(), Code::kCorruption);
    CHECK(ring.received.empty());
  }
}

TEST(ring_hostile, it_has_to_begin_with_the_cookie) {
  const auto begin = [](const std::function<void(TestRing&)>& body) {
    TestRing ring(true);
    body(ring);
    ring.producer->Publish();
    CHECK_CODE(ring.Refusal(), Code::kCorruption);
    CHECK(!ring.consumer->began());
  };
  const auto cookie = [](TestRing& ring, Bytes bytes, FrameType type = FrameType::kCookie) {
    ring.producer->Append(type, kChecked, bytes, {});
  };
  begin([](TestRing& ring) { ring.Append(PayloadOf(1, 10)); });
  begin([](TestRing& ring) { ring.producer->Append(FrameType::kPadding, 0, PayloadOf(1, 8), {}); });
  begin([&](TestRing& ring) { cookie(ring, Bytes(ring.cookie).first(kRingCookieBytes - 1)); });
  begin([&](TestRing& ring) { cookie(ring, PayloadOf(1, kRingCookieBytes + 1)); });
  begin([&](TestRing& ring) { cookie(ring, ring.cookie, FrameType::kHello); });
  for (size_t byte = 0; byte < kRingCookieBytes; ++byte) {
    begin([&](TestRing& ring) {
      RingCookie other = ring.cookie;
      other[byte] ^= 1;
      cookie(ring, other);
    });
  }
}

TEST(ring_hostile, frames_that_no_ring_has) {
  const auto after = [](bool wraps, const std::function<void(TestRing&)>& body) {
    TestRing ring(wraps);
    ring.Begin();
    body(ring);
    ring.producer->Publish();
    CHECK_CODE(ring.Refusal(), Code::kCorruption);
  };
  for (const FrameType type : {FrameType::kCookie, FrameType::kCredit, FrameType::kSwitch,
                               FrameType::kHello, FrameType::kLog}) {
    after(true, [&](TestRing& ring) { ring.producer->Append(type, kChecked, ring.cookie, {}); });
  }
  after(true, [](TestRing& ring) { ring.Append(PayloadOf(1, 10), kEnd); });
  after(true, [](TestRing& ring) {
    ring.Append(PayloadOf(1, 10), kBegin);
    ring.Append(PayloadOf(1, 10), kBegin);
  });
}

// In memory that is mapped once, where what lies behind the end is nobody's.
TEST(ring_hostile, a_frame_over_the_end) {
  TestRing ring(false);
  ring.Begin();
  const size_t frame = ring.capacity() / kRingShare;
  const auto payload = PayloadOf(1, ring.producer->max_payload());
  for (size_t i = 0; i + 1 < kRingShare; ++i) ring.Append(payload);
  ring.producer->Publish();
  CHECK(!ring.Receive());
  const uint64_t at = ring.consumer->position();
  const size_t rest = ring.capacity() - at;
  CHECK_EQ(rest, frame - FrameBytes(kRingCookieBytes));
  EncodeFrameHead({static_cast<uint32_t>(rest), FrameType::kLog, kBegin | kEnd, kRingShare}, {},
                  ring.data() + at);
  SetTail(ring, at + FrameBytes(rest));
  CHECK_CODE(ring.Refusal(), Code::kCorruption);
}

// A producer that writes for ever, and nothing that counts, holds a reader for one round.
TEST(ring_hostile, an_endless_stream_of_nothing) {
  TestRing ring(true);
  ring.Begin();
  std::atomic<bool> stop = false;
  Worker writer([&](const std::stop_token&) {
    const std::vector<uint8_t> nothing(48);
    while (!stop.load(std::memory_order_acquire)) {
      if (ring.Fits(nothing.size())) {
        ring.producer->Append(FrameType::kPadding, 0, nothing, {});
        ring.producer->Publish();
      }
    }
  });
  for (int i = 0; i < 1000; ++i) (void)ring.Receive();
  stop.store(true, std::memory_order_release);
  writer.Join();
  CHECK(ring.received.empty());
}

TEST(ring_hostile, a_message_without_end) {
  TestRing ring(true);
  ring.Begin();
  const auto piece = PayloadOf(1, ring.producer->max_payload());
  Status status;
  uint8_t flags = kBegin;
  for (int i = 0; i < 10'000 && status.ok(); ++i) {
    if (ring.Fits(piece.size())) ring.Append(piece, flags);
    flags = 0;
    ring.producer->Publish();
    status = ring.Refusal();
  }
  CHECK_CODE(status, Code::kCorruption);
}

// Every bit of a frame's head: nothing comes of it but the frame itself or a refusal.
TEST(ring_hostile, every_bit_of_a_head) {
  for (size_t bit = 0; bit < kLinkFrameHeadBytes * 8; ++bit) {
    TestRing ring(true);
    ring.Begin();
    const size_t at = FrameBytes(kRingCookieBytes);
    ring.Append(PayloadOf(1, 100));
    ring.data()[at + bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    ring.producer->Publish();
    CHECK_CODE(ring.Refusal(), Code::kCorruption);
  }
}

// --- the consumer is hostile ---------------------------------------------------------------------

TEST(ring_hostile, heads) {
  const auto payload = PayloadOf(1, 400);
  const uint64_t published = FrameBytes(kRingCookieBytes) + 4 * FrameBytes(400);
  for (const uint64_t head :
       {published + 8, published + (uint64_t{1} << 40), ~uint64_t{7}, uint64_t{12}, uint64_t{1}}) {
    TestRing ring(true);
    ring.Begin();
    for (int i = 0; i < 4; ++i) ring.Append(payload);
    ring.producer->Publish();
    ring.Append(payload);  // not published: cannot have been read
    ring.head_page->head.store(head, std::memory_order_release);
    CHECK_CODE(ring.producer->Free(ring.capacity()).status(), Code::kCorruption);
  }
  TestRing back(true);
  back.Begin();
  back.consumer->Release();
  CHECK_OK(back.producer->Free(back.capacity()).status());
  back.head_page->head.store(0, std::memory_order_release);
  CHECK_CODE(back.producer->Free(back.capacity() + 8).status(), Code::kCorruption);
}

// --- two threads on one mapping ------------------------------------------------------------------

TEST(ring_threads, one_writes_and_one_reads) {
  BothForms([](bool wraps) {
    TestRing ring(wraps);
    ring.Begin();
    const uint64_t messages = Scale(20'000);
    Worker writer([&](const std::stop_token&) {
      std::mt19937_64 dice(Seed());
      for (uint64_t number = 0; number < messages;) {
        const size_t size = 8 + dice() % (ring.producer->max_payload() - 7);
        if (!ring.Fits(size)) {
          ring.producer->Publish();
          std::this_thread::yield();
          continue;
        }
        std::vector<uint8_t> payload(size, static_cast<uint8_t>(number));
        StoreLe(payload.data(), (number << 16) | size);
        ring.Append(payload);
        ++number;
        if (dice() % 4 == 0 || number == messages) ring.producer->Publish();
      }
    });
    uint64_t number = 0;
    while (number < messages) {
      ring.received.clear();
      if (!ring.Receive(4000) && ring.received.empty()) std::this_thread::yield();
      for (size_t at = 0; at < ring.received.size(); ++number) {
        CHECK(at + 8 <= ring.received.size());
        const auto word = LoadLe<uint64_t>(&ring.received[at]);
        CHECK_EQ(word >> 16, number);
        const size_t size = word & 0xffff;
        CHECK(size >= 8 && at + size <= ring.received.size());
        for (size_t i = 8; i < size; ++i) {
          CHECK_EQ(ring.received[at + i], static_cast<uint8_t>(number));
        }
        at += size;
      }
    }
    writer.Join();
  });
}

}  // namespace
}  // namespace ringleader
