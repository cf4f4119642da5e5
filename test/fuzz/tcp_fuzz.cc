// Hands any bytes to the receiving half of TCP.
//
// The first byte says to whom:
//   0     a connection of a link, as they are
//   1     the same as frames, whose heads, checksums and sequences are good: what stands behind the
//         checksums is asked (byte 0 the type, 1 the flags, 2 and 3 the length)
//   2, 3  a handshake that waits for a hello, in messages (two bytes of length before each); the
//         dialer's and the acceptor's
//   4     a connection that waits for a hello
// Whatever they are: nobody is believed to be a member, what comes out of a link is what went in as
// whole messages, and memory is bounded.
#include <sys/epoll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/coding.h"
#include "input.h"
#include "memory_conduit.h"
#include "transport/handshake.h"
#include "transport/tcp/hello_channel.h"
#include "transport/tcp/tcp_stream.h"

namespace ringleader {
namespace {

using Buffer = std::vector<uint8_t>;

constexpr size_t kMaxMessage = 100'000;
constexpr size_t kInBytes = size_t{256} << 10;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "tcp_fuzz: %s\n", what);
  std::abort();
}

struct AnyFrames : FrameListener {
  Status OnFrame(FrameType type, Bytes payload) override {
    Require(type == FrameType::kPadding || type > FrameType::kCredit || type == FrameType::kCookie,
            "a frame that is the stream's own");
    Require(payload.size() <= kTcpPieceBytes, "a frame that is too long");
    return Status::Ok();
  }
};

class FixedRandom : public Random {
 public:
  void Fill(MutableBytes into) override { std::fill(into.begin(), into.end(), 0xa5); }
};

void ReadStream(Bytes bytes, size_t at_a_time) {
  test::MemoryFlow in, out;
  in.bytes.assign(bytes.begin(), bytes.end());
  in.at_a_time = at_a_time;
  in.ended = true;
  AnyFrames any;
  TcpLimits limits;
  limits.max_message_bytes = kMaxMessage;
  limits.window_bytes = kMinWindowBytes;
  TcpStream stream(std::make_unique<test::MemoryConduit>(&in, &out), limits, &any);
  size_t total = 0;
  for (;;) {
    Buffer messages;
    std::vector<size_t> ends;
    MessageSink sink{&messages, &ends};
    stream.Push();
    const Result<bool> more = stream.Pull(1000, &sink);
    Require(ends.size() == sink.messages, "messages are miscounted");
    Require(ends.empty() ? messages.empty() : ends.back() == messages.size(), "half a message");
    Require(messages.size() <= 1000 + kMaxMessage, "more than was asked for");
    Require(stream.held() <= kInBytes + kLanes * kMaxMessage, "too much is held");
    total += messages.size();
    Require(total <= bytes.size(), "more comes out than went in");
    if (more.ok()) continue;
    const Code code = more.status().code();
    Require(code == Code::kClosed || code == Code::kCorruption, "another code");
    return;
  }
}

Buffer Sealed(FuzzInput input) {
  Buffer stream;
  for (uint32_t sequence = 0; !input.empty(); ++sequence) {
    FrameHead head;
    head.type = static_cast<FrameType>(input.Take(1) % 10);
    head.flags = static_cast<uint8_t>(input.Take(1) % 8);
    head.length = static_cast<uint32_t>(input.Take(2));
    head.sequence = sequence;
    Buffer payload(head.length, static_cast<uint8_t>(input.Take(1)));
    for (size_t i = 0; i < 8 && i < payload.size(); ++i) {
      payload[i] = static_cast<uint8_t>(input.Take(1));
    }
    const size_t at = stream.size();
    stream.resize(at + FrameBytes(payload.size()));
    EncodeFrameHead(head, payload, &stream[at]);
    std::copy(payload.begin(), payload.end(),
              stream.begin() + static_cast<ptrdiff_t>(at + kLinkFrameHeadBytes));
  }
  return stream;
}

const Crypto& TheCrypto() {
  static const Crypto* const crypto = [] {
    Result<const Crypto*> found = Crypto::Get();
    Require(found.ok(), "no crypto");
    return found.value();
  }();
  return *crypto;
}

Introduction MemberOf(uint32_t id) {
  Introduction introduction;
  introduction.member = MemberId(id);
  introduction.secret.assign(32, 0x31);
  introduction.details.rendezvous = {"name"};
  return introduction;
}

void Shake(HandshakeRole role, FuzzInput input) {
  const Introduction us = MemberOf(2);
  FixedRandom random;
  Result<Handshake> created = Handshake::Create(us, role, kNobody, TheCrypto(), random);
  Require(created.ok(), "no handshake");
  Handshake& handshake = *created;
  if (role == HandshakeRole::kDialer) (void)handshake.Begin();
  while (!input.empty()) {
    Buffer message(input.Take(2) % (kMaxHelloBytes + 10));
    for (size_t i = 0; i < message.size() && !input.empty(); ++i) {
      message[i] = static_cast<uint8_t>(input.Take(1));
    }
    (void)DecodeSecond(message).ok();
    Buffer answer;
    if (!handshake.Take(message, &answer).ok()) return;
    // Without the secret: the proof would have to be guessed.
    Require(!handshake.done(), "a stranger is believed");
    Require(answer.size() <= kMaxHelloBytes, "a long answer");
  }
}

void ReadHello(Bytes bytes, size_t at_a_time) {
  test::MemoryFlow in, out;
  in.bytes.assign(bytes.begin(), bytes.end());
  in.at_a_time = at_a_time;
  HelloChannel channel(std::make_unique<test::MemoryConduit>(&in, &out));
  for (;;) {
    const auto message = channel.Receive();
    if (!message.ok()) {
      Require(message.status().code() == Code::kCorruption, "another code");
      return;
    }
    if (!message.value()) return;
    Require((*message.value()).size() <= kMaxHelloBytes, "a long hello");
  }
}

}  // namespace
}  // namespace ringleader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader;
  if (size < 2) return 0;
  const Bytes rest{data + 2, size - 2};
  const size_t at_a_time = size_t{1} + data[1] * size_t{7};
  switch (data[0] % 5) {
    case 0:
      ReadStream(rest, at_a_time);
      break;
    case 1:
      ReadStream(Sealed(FuzzInput(rest)), SIZE_MAX);
      break;
    case 2:
      Shake(HandshakeRole::kDialer, FuzzInput(rest));
      break;
    case 3:
      Shake(HandshakeRole::kAcceptor, FuzzInput(rest));
      break;
    default:
      ReadHello(rest, at_a_time);
  }
  return 0;
}
