// One connection of a TCP link, over memory: what leaves in which order, and what is refused.
#include "transport/tcp/tcp_stream.h"

#include <sys/epoll.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "link_fixture.h"
#include "memory_conduit.h"

namespace ringleader::test {
namespace {

using Buffer = std::vector<uint8_t>;

struct NoFrames : FrameListener {
  Status OnFrame(FrameType, Bytes) override {
    return Status(Code::kCorruption, "no such frame is taken here");
  }
};

// What a member reads; the other end is the test.
struct Receiver {
  explicit Receiver(TcpLimits limits = {})
      : stream(std::make_unique<MemoryConduit>(&in, &out), limits, &none) {
    stream.Push();
  }
  Status Pull() {
    stream.OnReady(EPOLLIN);
    MessageSink sink{&taken};
    for (;;) {
      const Result<bool> more = stream.Pull(size_t{1} << 20, &sink);
      if (!more.ok() || !more.value()) return more.status();
    }
  }
  // What the stream makes of a frame, whose checksum and sequence are good.
  Status TakeFrame(FrameType type, uint8_t flags, Bytes payload) {
    Put(type, flags, payload);
    return Pull();
  }
  void Put(FrameType type, uint8_t flags, Bytes payload) {
    Buffer frame(FrameBytes(payload.size()));
    const auto length = static_cast<uint32_t>(payload.size());
    EncodeFrameHead({length, type, flags, sequence++}, payload, frame.data());
    std::copy(payload.begin(), payload.end(), frame.begin() + kLinkFrameHeadBytes);
    in.bytes.insert(in.bytes.end(), frame.begin(), frame.end());
  }

  MemoryFlow in, out;
  NoFrames none;
  TcpStream stream;
  Buffer taken;
  uint32_t sequence = 0;
};

Buffer Credit(uint64_t bytes) {
  Buffer payload(8);
  StoreLe(payload.data(), bytes);
  return payload;
}

// The heads of the frames in `bytes`, whose checksums and sequences are good.
std::vector<FrameHead> HeadsOf(const std::deque<uint8_t>& bytes) {
  const Buffer all(bytes.begin(), bytes.end());
  std::vector<FrameHead> heads;
  for (size_t at = 0; at < all.size(); at += FrameBytes(heads.back().length)) {
    CHECK_VALUE(const FrameHead head, DecodeFrameHead(Bytes(all).subspan(at), kTcpPieceBytes));
    CHECK_OK(CheckFrame(Bytes(all).subspan(at),
                        Bytes(all).subspan(at + kLinkFrameHeadBytes, head.length)));
    CHECK_EQ(head.sequence, static_cast<uint32_t>(heads.size()));
    heads.push_back(head);
  }
  return heads;
}

void PushTest(FrameQueue& queue, Lane lane, uint64_t number, size_t size) {
  const Buffer message = TestMessage(lane, number, size);
  const size_t head = number % (size + 1);
  queue.Push(lane, Bytes(message).first(head), Bytes(message).subspan(head));
}

}  // namespace

// The socket is full in the middle of a record: what is urgent waits for the rest of that frame and
// for nothing else, and snapshots wait for the records.
TEST(tcp_stream, what_is_urgent_overtakes_all_but_the_frame_under_way) {
  constexpr size_t kSize = 200'000;  // four frames
  MemoryFlow in, out;
  NoFrames none;
  TcpStream stream(std::make_unique<MemoryConduit>(&in, &out), {}, &none);
  stream.queue().Allow(UINT64_MAX);
  PushTest(stream.queue(), Lane::kSnapshot, 0, kSize);
  PushTest(stream.queue(), Lane::kLog, 0, kSize);
  out.writable = FrameBytes(8) + FrameBytes(kTcpPieceBytes) + 1000;
  stream.Push();
  CHECK_EQ(out.writable, size_t{0});
  PushTest(stream.queue(), Lane::kUrgent, 0, 300);
  PushTest(stream.queue(), Lane::kUrgent, 1, 300);
  out.writable = SIZE_MAX;
  stream.OnReady(EPOLLOUT);
  stream.Push();
  std::string order;
  for (const FrameHead& head : HeadsOf(out.bytes)) {
    order += head.type == FrameType::kCredit ? 'c' : "ULS"[static_cast<size_t>(*LaneOf(head.type))];
  }
  CHECK_EQ(order, "cLLUULLSSSS");
  CHECK(stream.queue().empty());
}

// However the kernel cuts what is written, and whatever comes between: frames are whole, numbered
// without gaps, and messages come in the order of their lanes.
TEST(tcp_stream, any_cut_of_what_is_written_is_read) {
  std::mt19937_64 dice(Seed());
  for (uint64_t round = 0; round < Scale(30); ++round) {
    MemoryFlow there, back;
    NoFrames none;
    TcpLimits limits;
    limits.window_bytes = kMinWindowBytes + dice() % 400'000;
    TcpStream sender(std::make_unique<MemoryConduit>(&back, &there), limits, &none);
    TcpStream receiver(std::make_unique<MemoryConduit>(&there, &back), limits, &none);
    TestReader reader;
    uint64_t sent[kLanes] = {};
    uint64_t total = 0;
    there.at_a_time = 1 + dice() % 100'000;
    const auto receive = [&] {
      receiver.OnReady(EPOLLIN | EPOLLOUT);
      Buffer bytes, nothing;
      MessageSink sink{&bytes}, none_comes{&nothing};
      Result<bool> more = true;
      while (more.ok() && more.value()) more = receiver.Pull(1 + dice() % 100'000, &sink);
      CHECK_OK(more.status());
      reader.Take(bytes);
      receiver.Push();
      sender.OnReady(EPOLLIN | EPOLLOUT);
      CHECK_OK(sender.Pull(1, &none_comes).status());
    };
    for (int step = 0; step < 150; ++step) {
      if (dice() % 3 != 0) {
        const Lane lane = static_cast<Lane>(dice() % kLanes);
        const size_t size = kTestHeadBytes + dice() % (dice() % 6 == 0 ? 300'000 : 500);
        PushTest(sender.queue(), lane, sent[static_cast<size_t>(lane)]++, size);
        ++total;
      }
      there.writable = dice() % 200'000;
      sender.OnReady(EPOLLOUT);
      sender.Push();
      if (dice() % 2 == 0) receive();
    }
    there.writable = SIZE_MAX;
    for (int step = 0; step < 2000 && reader.taken() < total; ++step) {
      sender.OnReady(EPOLLOUT);
      sender.Push();
      receive();
    }
    CHECK_EQ(reader.taken(), total);
    CHECK(sender.queue().empty());
    CHECK_EQ(receiver.held() < FrameBytes(kTcpPieceBytes) * 5, true);
  }
}

// Nothing leaves before the other side has allowed it, and no more than that.
TEST(tcp_stream, bulk_waits_for_credit) {
  MemoryFlow in, out;
  NoFrames none;
  TcpStream stream(std::make_unique<MemoryConduit>(&in, &out), {}, &none);
  PushTest(stream.queue(), Lane::kLog, 0, 300'000);
  PushTest(stream.queue(), Lane::kUrgent, 0, 300);
  stream.Push();
  CHECK_EQ(HeadsOf(out.bytes).size(), size_t{2});  // the own credit and the urgent one
  const uint64_t frame = FrameBytes(kTcpPieceBytes);
  for (const uint64_t allowed : {frame - 1, frame, 2 * frame - 8, 3 * frame}) {
    stream.queue().Allow(allowed);
    stream.Push();
    CHECK_EQ(HeadsOf(out.bytes).size(), 2 + allowed / frame);
    CHECK_EQ(stream.queue().bulk_sent(), allowed / frame * frame);
    CHECK(stream.queue().short_of_credit());
  }
  stream.queue().Allow(UINT64_MAX);
  stream.Push();
  CHECK(stream.queue().empty() && !stream.queue().short_of_credit());
}

TEST(tcp_stream, who_sends_more_than_he_may_is_refused) {
  TcpLimits limits;
  limits.window_bytes = 200'000;
  Receiver receiver(limits);
  // The window to the byte, in one message that does not end; then one byte more.
  const Buffer piece(49'984, 1);
  CHECK_EQ(FrameBytes(piece.size()), size_t{50'000});
  for (int i = 0; i < 4; ++i) {
    receiver.Put(FrameType::kLog, i == 0 ? kBegin : 0, piece);
  }
  CHECK_OK(receiver.Pull());
  // It has been read and not been pushed: the other side does not know of more credit yet.
  Receiver full(limits);
  for (int i = 0; i < 4; ++i) full.Put(FrameType::kLog, i == 0 ? kBegin : 0, piece);
  CHECK_OK(full.Pull());
  CHECK_CODE(full.TakeFrame(FrameType::kSnapshot, kBegin | kEnd, Buffer(1)), Code::kCorruption);
  CHECK_CODE(full.Pull(), Code::kCorruption);
  // What is urgent has no credit, and needs none; and after a push there is more.
  CHECK_OK(receiver.TakeFrame(FrameType::kUrgent, kBegin | kEnd, piece));
  receiver.stream.Push();
  CHECK_OK(receiver.TakeFrame(FrameType::kSnapshot, kBegin | kEnd, Buffer(1)));
}

TEST(tcp_stream, credit_only_grows) {
  for (const uint64_t next : {uint64_t{0}, uint64_t{99}, uint64_t{100}}) {
    Receiver receiver;
    CHECK_OK(receiver.TakeFrame(FrameType::kCredit, kChecked, Credit(100)));
    CHECK_EQ(receiver.stream.queue().allowed(), uint64_t{100});
    CHECK_CODE(receiver.TakeFrame(FrameType::kCredit, kChecked, Credit(next)), Code::kCorruption);
  }
  Receiver receiver;
  CHECK_OK(receiver.TakeFrame(FrameType::kCredit, kChecked, Credit(1)));
  CHECK_OK(receiver.TakeFrame(FrameType::kCredit, kChecked, Credit(UINT64_MAX)));
  for (const size_t size : {0, 7, 9}) {
    Receiver other;
    CHECK_CODE(other.TakeFrame(FrameType::kCredit, kChecked, Buffer(size, 1)), Code::kCorruption);
  }
}

// Frames of any sizes: what is left of the credit is never too little for the next one and too much
// to be renewed.
TEST(tcp_stream, credit_comes_before_it_is_missing) {
  std::mt19937_64 dice(Seed());
  TcpLimits limits;
  limits.window_bytes = kMinWindowBytes;
  MemoryFlow there, back;
  NoFrames none;
  TcpStream sender(std::make_unique<MemoryConduit>(&back, &there), limits, &none);
  TcpStream receiver(std::make_unique<MemoryConduit>(&there, &back), limits, &none);
  Buffer bytes;
  MessageSink sink{&bytes};
  for (uint64_t i = 0; i < Scale(2000); ++i) {
    sender.queue().Push(Lane::kLog, Buffer(1 + dice() % kTcpPieceBytes), {});
    for (int turn = 0; turn < 3; ++turn) {
      for (TcpStream* const each : {&receiver, &sender}) {
        each->OnReady(EPOLLIN | EPOLLOUT);
        bytes.clear();
        CHECK_OK(each->Pull(size_t{1} << 20, &sink).status());
        each->Push();
      }
    }
    CHECK(sender.queue().empty());
  }
}

// A side that sends and never reads does not make this one pile up credit for it.
TEST(tcp_stream, credit_does_not_pile_up) {
  TcpLimits limits;
  limits.window_bytes = 200'000;
  Receiver receiver(limits);
  receiver.out.writable = 0;
  const Buffer piece(49'984, 1);
  Status status;
  for (int i = 0; i < 2000 && status.ok(); ++i) {
    status = receiver.TakeFrame(FrameType::kLog, kBegin | kEnd, piece);
    receiver.taken.clear();
    receiver.stream.OnReady(EPOLLOUT);
    receiver.stream.Push();
    CHECK(receiver.stream.queue().waiting(Lane::kUrgent) <= 8);
  }
}

TEST(tcp_stream, a_message_that_does_not_end_is_refused) {
  TcpLimits limits;
  limits.max_message_bytes = 1'000'000;
  Receiver receiver(limits);
  const Buffer piece(50'000, 1);
  Status status;
  size_t frames = 0;
  for (; frames < 1000 && status.ok(); ++frames) {
    status = receiver.TakeFrame(FrameType::kUrgent, frames == 0 ? kBegin : 0, piece);
    receiver.stream.Push();
  }
  CHECK_CODE(status, Code::kCorruption);
  CHECK_EQ(frames, size_t{21});
  CHECK(receiver.stream.held() <= 1'000'000 + (size_t{256} << 10));
  CHECK(receiver.taken.empty());
}

TEST(tcp_stream, frames_that_have_no_place_are_refused) {
  const Buffer payload(8, 1);
  for (const FrameType type : {FrameType::kPadding, FrameType::kCookie, FrameType::kSwitch,
                               FrameType::kHello, FrameType::kSecond}) {
    Receiver receiver;
    CHECK_CODE(receiver.TakeFrame(type, kChecked, payload), Code::kCorruption);
  }
  // Longer than any frame on TCP, though it says nothing wrong of itself.
  Receiver longer;
  longer.Put(FrameType::kLog, kBegin | kEnd, Buffer(kTcpPieceBytes + 1, 1));
  CHECK_CODE(longer.Pull(), Code::kCorruption);
  CHECK(longer.stream.held() <= size_t{256} << 10);
  Receiver padded;
  padded.Put(FrameType::kUrgent, kBegin | kEnd, Buffer(9, 1));
  padded.in.bytes.back() = 1;
  CHECK_CODE(padded.Pull(), Code::kCorruption);
  Receiver again;
  again.Put(FrameType::kUrgent, kBegin | kEnd, Buffer(9, 1));
  again.sequence = 0;
  again.Put(FrameType::kUrgent, kBegin | kEnd, Buffer(9, 1));
  CHECK_CODE(again.Pull(), Code::kCorruption);
  CHECK_EQ(again.taken.size(), size_t{9});
}

// The end in the middle of a frame: what was whole is there, the rest is nobody's.
TEST(tcp_stream, the_end_may_come_anywhere) {
  Receiver source;
  source.Put(FrameType::kUrgent, kBegin | kEnd, Buffer(40, 1));
  source.Put(FrameType::kUrgent, kBegin | kEnd, Buffer(100, 2));
  const std::deque<uint8_t> all = source.in.bytes;
  for (size_t size = 0; size <= all.size(); ++size) {
    Receiver receiver;
    receiver.in.bytes.assign(all.begin(), all.begin() + static_cast<ptrdiff_t>(size));
    receiver.in.ended = true;
    CHECK_CODE(receiver.Pull(), Code::kClosed);
    const size_t first = FrameBytes(40);
    CHECK_EQ(receiver.taken.size(), size < first ? 0u : size < all.size() ? 40u : 140u);
    CHECK_CODE(receiver.Pull(), Code::kClosed);
  }
}

// A stream of frames that make no message keeps nobody's thread.
TEST(tcp_stream, pull_comes_back) {
  Receiver receiver;
  for (uint64_t i = 1; i < 100'000; ++i) {
    receiver.Put(FrameType::kCredit, kChecked, Credit(i));
  }
  MessageSink sink{&receiver.taken};
  const size_t before = receiver.in.bytes.size();
  CHECK_VALUE(const bool more, receiver.stream.Pull(1000, &sink));
  CHECK(more);
  CHECK(before - receiver.in.bytes.size() <= size_t{512} << 10);
}

// Any change of any byte is noticed, or is in the payload of a message, which knows itself.
TEST(tcp_stream, mutated_streams_harm_nobody) {
  std::mt19937_64 dice(Seed());
  Receiver source;
  std::vector<Buffer> messages;
  for (int i = 0; i < 12; ++i) {
    const Buffer payload(16 + dice() % 200, static_cast<uint8_t>(i));
    source.Put(static_cast<FrameType>(2 + dice() % 3), kBegin | kEnd, payload);
    if (i % 3 == 0) source.Put(FrameType::kCredit, kChecked, Credit(100 + static_cast<size_t>(i)));
  }
  const Buffer good(source.in.bytes.begin(), source.in.bytes.end());
  for (uint64_t round = 0; round < Scale(20'000); ++round) {
    Buffer bad = good;
    for (size_t count = 1 + dice() % 4; count > 0; --count) {
      const size_t at = dice() % bad.size();
      switch (dice() % 4) {
        case 0:
          bad[at] ^= static_cast<uint8_t>(1u << (dice() % 8));
          break;
        case 1:
          bad[at] = static_cast<uint8_t>(dice());
          break;
        case 2:
          bad.erase(bad.begin() + static_cast<ptrdiff_t>(at));
          break;
        default:
          bad.insert(bad.begin() + static_cast<ptrdiff_t>(at), static_cast<uint8_t>(dice()));
      }
    }
    Receiver receiver;
    receiver.in.bytes.assign(bad.begin(), bad.end());
    receiver.in.ended = true;
    const Status status = receiver.Pull();
    CHECK(status.code() == Code::kCorruption || status.code() == Code::kClosed);
    CHECK(receiver.taken.size() <= good.size());
    CHECK(receiver.stream.held() <= (size_t{256} << 10) + good.size());
  }
}

}  // namespace ringleader::test
