// The frames of ring and TCP: golden bytes, damage, and messages put together from them.
#include "transport/frame.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "harness.h"

namespace ringleader {
namespace {

using Buffer = std::vector<uint8_t>;

constexpr size_t kMaxPayload = 64 << 10;

Buffer HeadOf(const FrameHead& head, Bytes payload = {}) {
  Buffer bytes(kLinkFrameHeadBytes);
  EncodeFrameHead(head, payload, bytes.data());
  return bytes;
}

// With the checksum made good, so that what lies behind it is asked.
Code SealedCode(Buffer bytes) {
  StoreLe(&bytes[12], MaskCrc(Crc32c(Bytes(bytes).first(12))));
  return DecodeFrameHead(bytes, kMaxPayload).status().code();
}

FrameHead Piece(Lane lane, size_t length, uint8_t flags, uint32_t sequence) {
  return {static_cast<uint32_t>(length), FrameTypeOf(lane), flags, sequence};
}

}  // namespace

TEST(transport_frame, a_head_is_these_bytes) {
  const Buffer plain = HeadOf({0x01020304, FrameType::kLog, kBegin | kEnd, 0xa0b0c0d0});
  Buffer expected = {4, 3, 2, 1, 3, 3, 0, 0, 0xd0, 0xc0, 0xb0, 0xa0};
  CHECK(std::equal(expected.begin(), expected.end(), plain.begin()));
  CHECK_EQ(LoadLe<uint32_t>(&plain[12]), MaskCrc(Crc32c(expected)));
  const Buffer payload = {1, 2, 3, 4, 5};
  const Buffer checked = HeadOf({5, FrameType::kCredit, kChecked, 7}, payload);
  expected = {5, 0, 0, 0, 6, 4, 0, 0, 7, 0, 0, 0};
  CHECK(std::equal(expected.begin(), expected.end(), checked.begin()));
  CHECK_EQ(LoadLe<uint32_t>(&checked[12]), MaskCrc(Crc32c(payload, Crc32c(expected))));
}

TEST(transport_frame, what_is_encoded_is_decoded) {
  for (const size_t length : {size_t{1}, size_t{8}, kMaxPayload}) {
    for (const Lane lane : {Lane::kUrgent, Lane::kLog, Lane::kSnapshot}) {
      const FrameHead head = Piece(lane, length, kBegin, 99);
      CHECK_VALUE(const FrameHead back, DecodeFrameHead(HeadOf(head), kMaxPayload));
      CHECK_EQ(back.length, head.length);
      CHECK(back.type == head.type && LaneOf(back.type) == lane);
      CHECK_EQ(back.flags, head.flags);
      CHECK_EQ(back.sequence, head.sequence);
    }
  }
  CHECK(!LaneOf(FrameType::kPadding) && !LaneOf(FrameType::kHello));
  CHECK_EQ(FrameBytes(0), size_t{16});
  CHECK_EQ(FrameBytes(1), size_t{24});
  CHECK_EQ(FrameBytes(8), size_t{24});
  CHECK_EQ(FrameBytes(9), size_t{32});
}

TEST(transport_frame, every_bit_of_a_head_counts) {
  const Buffer good = HeadOf(Piece(Lane::kLog, 1000, kBegin, 5));
  for (size_t bit = 0; bit < kLinkFrameHeadBytes * 8; ++bit) {
    // This one says that there is a checksum over the payload too, which is the next test.
    if (bit == 5 * 8 + 2) continue;
    Buffer bad = good;
    bad[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    CHECK_CODE(DecodeFrameHead(bad, kMaxPayload).status(), Code::kCorruption);
  }
}

TEST(transport_frame, every_bit_of_a_checked_frame_counts) {
  Buffer payload(37);
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<uint8_t>(i * 7);
  for (const FrameHead& head : {FrameHead{37, FrameType::kHello, kChecked, 3},
                                Piece(Lane::kSnapshot, 37, kBegin | kEnd | kChecked, 3)}) {
    const Buffer good = HeadOf(head, payload);
    CHECK_OK(DecodeFrameHead(good, kMaxPayload).status());
    CHECK_OK(CheckFrame(good, payload));
    for (size_t bit = 0; bit < (kLinkFrameHeadBytes + payload.size()) * 8; ++bit) {
      Buffer bad = good;
      Buffer bad_payload = payload;
      const size_t at = bit / 8;
      uint8_t& byte = at < bad.size() ? bad[at] : bad_payload[at - bad.size()];
      byte ^= static_cast<uint8_t>(1u << (bit % 8));
      const auto decoded = DecodeFrameHead(bad, kMaxPayload);
      const Status status = decoded.ok() ? CheckFrame(bad, bad_payload) : decoded.status();
      CHECK_CODE(status, Code::kCorruption);
    }
  }
}

// What no member sends, under checksums that are good.
TEST(transport_frame, heads_that_make_no_sense_are_refused) {
  const Buffer piece = HeadOf(Piece(Lane::kLog, 1000, kBegin, 5));
  CHECK_EQ(SealedCode(piece), Code::kOk);
  const auto with = [&](size_t at, uint8_t value) {
    Buffer bytes = piece;
    bytes[at] = value;
    return SealedCode(bytes);
  };
  for (unsigned type = 0; type < 256; ++type) {
    // Of the other types padding alone goes without a checksum, and with kBegin none does.
    CHECK_EQ(with(4, static_cast<uint8_t>(type)),
             type >= 2 && type <= 4 ? Code::kOk : Code::kCorruption);
  }
  for (unsigned flags = 0; flags < 256; ++flags) {
    if ((flags & kChecked) != 0) continue;
    CHECK_EQ(with(5, static_cast<uint8_t>(flags)), flags < 4 ? Code::kOk : Code::kCorruption);
  }
  CHECK_EQ(with(6, 1), Code::kCorruption);
  CHECK_EQ(with(7, 1), Code::kCorruption);
  CHECK_EQ(SealedCode(HeadOf(Piece(Lane::kLog, 0, kBegin, 5))), Code::kCorruption);
  CHECK_EQ(SealedCode(HeadOf(Piece(Lane::kLog, kMaxPayload, 0, 5))), Code::kOk);
  CHECK_EQ(SealedCode(HeadOf(Piece(Lane::kLog, kMaxPayload + 1, 0, 5))), Code::kCorruption);
  CHECK_EQ(SealedCode(HeadOf({64, FrameType::kPadding, 0, 5})), Code::kOk);
  CHECK_EQ(SealedCode(HeadOf({8, FrameType::kCredit, 0, 5})), Code::kCorruption);
}

TEST(transport_frame, lanes_may_stand_between_each_other) {
  FrameAssembler assembler(1000);
  Buffer out;
  const Buffer a(10, 'a'), b(10, 'b'), c(10, 'c');
  CHECK_OK(assembler.Take(Piece(Lane::kSnapshot, 10, kBegin, 0), a, &out));
  CHECK_OK(assembler.Take(Piece(Lane::kLog, 10, kBegin, 1), b, &out));
  CHECK_OK(assembler.Take(Piece(Lane::kUrgent, 10, kBegin | kEnd, 2), c, &out));
  CHECK(out == c);
  CHECK_EQ(assembler.bytes(), size_t{20});
  CHECK_OK(assembler.Take({0, FrameType::kPadding, 0, 3}, {}, &out));
  CHECK_OK(assembler.Take(Piece(Lane::kSnapshot, 10, 0, 4), c, &out));
  CHECK_OK(assembler.Take(Piece(Lane::kLog, 10, kEnd, 5), a, &out));
  CHECK_OK(assembler.Take(Piece(Lane::kSnapshot, 10, kEnd, 6), b, &out));
  const std::string all(out.begin(), out.end());
  const std::string tens[] = {std::string(10, 'a'), std::string(10, 'b'), std::string(10, 'c')};
  CHECK_EQ(all, tens[2] + tens[1] + tens[0] + tens[0] + tens[2] + tens[1]);
  CHECK_EQ(assembler.messages(), uint64_t{3});
  CHECK_EQ(assembler.bytes(), size_t{0});
}

// Any cutting and any mixture of the lanes gives the messages of each lane in their order.
TEST(transport_frame, any_cut_of_messages_is_put_together) {
  std::mt19937_64 random(test::Seed());
  for (int round = 0; round < 200; ++round) {
    std::vector<Buffer> sent[kLanes];
    std::vector<std::pair<FrameHead, Buffer>> frames[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      for (size_t count = random() % 8; count > 0; --count) {
        // Byte 0 is the lane and byte 1 the length, so that what comes out says where it ends.
        Buffer message(2 + random() % 200, static_cast<uint8_t>(random()));
        message[0] = static_cast<uint8_t>(lane);
        message[1] = static_cast<uint8_t>(message.size());
        for (size_t at = 0; at < message.size();) {
          const size_t length = std::min(message.size() - at, 1 + random() % 100);
          const auto first = message.begin() + static_cast<ptrdiff_t>(at);
          const Buffer piece(first, first + static_cast<ptrdiff_t>(length));
          const auto begin = static_cast<uint8_t>(at == 0 ? kBegin : 0);
          at += length;
          const auto flags = static_cast<uint8_t>(begin | (at == message.size() ? kEnd : 0));
          frames[lane].emplace_back(Piece(static_cast<Lane>(lane), length, flags, 0), piece);
        }
        sent[lane].push_back(message);
      }
    }
    FrameAssembler assembler(202);
    Buffer out;
    size_t taken[kLanes] = {};
    uint32_t sequence = 0;
    for (;;) {
      std::vector<size_t> open;
      for (size_t lane = 0; lane < kLanes; ++lane) {
        if (taken[lane] < frames[lane].size()) open.push_back(lane);
      }
      if (open.empty()) break;
      const size_t lane = open[random() % open.size()];
      auto& frame = frames[lane][taken[lane]++];
      frame.first.sequence = sequence++;
      CHECK_OK(assembler.Take(frame.first, frame.second, &out));
    }
    size_t next[kLanes] = {};
    for (size_t at = 0; at < out.size(); at += out[at + 1]) {
      const Buffer& expected = sent[out[at]].at(next[out[at]]++);
      CHECK(std::equal(expected.begin(), expected.end(), out.begin() + static_cast<ptrdiff_t>(at)));
    }
    for (size_t lane = 0; lane < kLanes; ++lane) CHECK_EQ(next[lane], sent[lane].size());
    CHECK_EQ(assembler.bytes(), size_t{0});
  }
}

TEST(transport_frame, messages_begin_once_and_end_once) {
  const Buffer bytes(10, 1);
  Buffer out;
  for (const uint8_t first : {uint8_t{0}, uint8_t{kEnd}}) {
    FrameAssembler assembler(1000);
    CHECK_CODE(assembler.Take(Piece(Lane::kLog, 10, first, 0), bytes, &out), Code::kCorruption);
  }
  for (const uint8_t second : {uint8_t{kBegin}, uint8_t{kBegin | kEnd}}) {
    FrameAssembler assembler(1000);
    CHECK_OK(assembler.Take(Piece(Lane::kLog, 10, kBegin, 0), bytes, &out));
    // In another lane it is right.
    CHECK_OK(assembler.Take(Piece(Lane::kUrgent, 10, second, 1), bytes, &out));
    CHECK_CODE(assembler.Take(Piece(Lane::kLog, 10, second, 2), bytes, &out), Code::kCorruption);
  }
  FrameAssembler assembler(1000);
  CHECK_OK(assembler.Take(Piece(Lane::kLog, 10, kBegin | kEnd, 0), bytes, &out));
  CHECK_CODE(assembler.Take(Piece(Lane::kLog, 10, 0, 1), bytes, &out), Code::kCorruption);
}

TEST(transport_frame, a_message_has_its_limit) {
  Buffer out;
  for (const size_t size : {size_t{99}, size_t{100}, size_t{101}}) {
    const Buffer bytes(size, 1);
    FrameAssembler whole(100);
    const Code expected = size <= 100 ? Code::kOk : Code::kCorruption;
    CHECK_CODE(whole.Take(Piece(Lane::kLog, size, kBegin | kEnd, 0), bytes, &out), expected);
    FrameAssembler parts(100);
    CHECK_OK(parts.Take(Piece(Lane::kLog, 60, kBegin, 0), Bytes(bytes).first(60), &out));
    const Bytes rest = Bytes(bytes).subspan(60);
    CHECK_CODE(parts.Take(Piece(Lane::kLog, rest.size(), kEnd, 1), rest, &out), expected);
  }
  // One that never ends holds no more than that.
  FrameAssembler endless(100);
  const Buffer bytes(60, 1);
  CHECK_OK(endless.Take(Piece(Lane::kLog, 60, kBegin, 0), bytes, &out));
  CHECK_CODE(endless.Take(Piece(Lane::kLog, 60, 0, 1), bytes, &out), Code::kCorruption);
  CHECK_EQ(endless.bytes(), size_t{60});
}

TEST(transport_frame, no_frame_is_missed_or_taken_twice) {
  const Buffer bytes(10, 1);
  Buffer out;
  for (const uint32_t next : {0u, 2u, 0xffffffffu}) {
    FrameAssembler assembler(1000);
    CHECK_OK(assembler.Take(Piece(Lane::kLog, 10, kBegin | kEnd, 0), bytes, &out));
    CHECK_CODE(assembler.Take(Piece(Lane::kLog, 10, kBegin | kEnd, next), bytes, &out),
               Code::kCorruption);
  }
  // Those that carry no message count as well.
  FrameAssembler assembler(1000);
  CHECK_CODE(assembler.Take({8, FrameType::kCredit, kChecked, 1}, Bytes(bytes).first(8), &out),
             Code::kCorruption);
}

}  // namespace ringleader
