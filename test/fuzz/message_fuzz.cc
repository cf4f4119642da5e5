// Reads frames of any bytes.
//
// The input is taken twice: as a frame, and as the fields of one whose head and checksum are good:
// first byte the type, second the length of the payload at its end. Whatever the bytes: the decoder
// stays inside them, and what it takes is a message that encodes to exactly what was read, in one
// buffer or in two, and has a text and a hash.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "core/state_hash.h"
#include "core/text.h"
#include "wire/message_codec.h"

namespace ringleader {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "message_fuzz: %s\n", what);
  std::abort();
}

void Read(Bytes frame) {
  const auto size = ReadFrameSize(frame.first(std::min(frame.size(), kFrameHeadBytes)));
  const auto decoded = DecodeMessage(frame);
  if (!decoded.ok()) {
    const Code code = decoded.status().code();
    Require(code == Code::kCorruption || code == Code::kNewerFormat || code == Code::kUnsupported,
            "another code");
    return;
  }
  Require(size.ok() && size.value().total() == frame.size(), "the head says another size");
  const Message& message = decoded.value().message;
  EncodedMessage again;
  EncodeMessage(decoded.value().group_id, message, decoded.value().version, &again);
  const std::vector<uint8_t> joined = again.Joined();
  Require(std::equal(joined.begin(), joined.end(), frame.begin(), frame.end()), "another encoding");
  Require(again.control.size() == size.value().control_bytes, "parted elsewhere");
  const auto apart = DecodeMessage(again.control, again.payload);
  Require(apart.ok() && HashOf(apart.value().message) == HashOf(message), "in two parts");
  Require(ToText(apart.value().message) == ToText(message), "another text");
}

// A frame with these fields behind a head that is good.
std::vector<uint8_t> Sealed(uint8_t type, size_t payload_bytes, Bytes rest) {
  EncodedMessage head;
  EncodeMessage({}, Message{}, kWireVersion, &head);
  std::vector<uint8_t> frame(kFrameHeadBytes + rest.size());
  std::copy_n(head.control.begin(), kFrameHeadBytes, frame.begin());
  std::copy(rest.begin(), rest.end(), frame.begin() + kFrameHeadBytes);
  payload_bytes = std::min(payload_bytes, rest.size());
  frame[5] = type;
  StoreLe(&frame[8], static_cast<uint32_t>(rest.size() - payload_bytes));
  StoreLe(&frame[12], static_cast<uint32_t>(payload_bytes));
  const Bytes all(frame);
  StoreLe(&frame[32], MaskCrc(Crc32c(rest, Crc32c(all.first(32)))));
  return frame;
}

}  // namespace
}  // namespace ringleader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader;
  const Bytes input{data, size};
  Read(input);
  if (size >= 2) Read(Sealed(input[0], input[1], input.subspan(2)));
  return 0;
}
