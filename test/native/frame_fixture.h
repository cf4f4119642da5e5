// Frames for tests of the codec: good ones, and ones that only their checksum makes look good.
#pragma once

#include <cstdint>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "core/state_hash.h"
#include "core/text.h"
#include "harness.h"
#include "message_fixture.h"
#include "wire/message_codec.h"

namespace ringleader::test {

using Frame = std::vector<uint8_t>;

inline constexpr GroupId kGroup = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
// In the head of a frame.
inline constexpr size_t kVersionAt = 4, kTypeAt = 5, kReservedAt = 6, kFieldBytesAt = 8,
                        kPayloadBytesAt = 12, kGroupAt = 16, kChecksumAt = 32;

inline Frame FrameOf(const Message& message) {
  EncodedMessage encoded;
  EncodeMessage(kGroup, message, kWireVersion, &encoded);
  CHECK_EQ(encoded.size(), encoded.Joined().size());
  return encoded.Joined();
}

// Makes lengths and checksum of a frame fit its bytes, the last `payload` of them a payload.
inline Frame Sealed(Frame frame, size_t payload = 0) {
  const size_t fields = frame.size() - kFrameHeadBytes - payload;
  StoreLe(&frame[kFieldBytesAt], static_cast<uint32_t>(fields));
  StoreLe(&frame[kPayloadBytesAt], static_cast<uint32_t>(payload));
  const Bytes all(frame);
  const uint32_t crc = Crc32c(all.subspan(kFrameHeadBytes), Crc32c(all.first(kChecksumAt)));
  StoreLe(&frame[kChecksumAt], MaskCrc(crc));
  return frame;
}

inline Code CodeOf(const Frame& frame) { return DecodeMessage(frame).status().code(); }

// The same fields and the same payload.
inline bool Same(const Message& left, const Message& right) {
  return HashOf(left) == HashOf(right);
}

inline bool ComesBack(const Message& message) {
  const Frame frame = FrameOf(message);
  CHECK_VALUE(const DecodedMessage decoded, DecodeMessage(frame));
  CHECK_EQ(decoded.version, kWireVersion);
  CHECK(decoded.group_id == kGroup);
  CHECK(FrameOf(decoded.message) == frame);
  CHECK_EQ(ToText(decoded.message), ToText(message));
  return Same(decoded.message, message);
}

}  // namespace ringleader::test
