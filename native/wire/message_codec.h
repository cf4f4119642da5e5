// Messages as bytes (docs/FORMATS.md#messages).
//
// A frame is a head of fixed size, the fields, and the payload: the records or the piece of a
// snapshot that a message may carry, which is never copied here. Head and fields together are the
// *control* part: a transport that takes two buffers sends control and payload, one that takes one
// buffer sends them one behind the other, and either is read.
//
// Bytes that come in are anybody's. A frame is taken whole or refused with a Status, without more
// memory than the message has bytes times a small constant: kCorruption for what no member sends,
// kNewerFormat and kUnsupported for a version that this one does not speak.
//
// Versions. Who connects tells the range of versions it speaks, and both use the highest that both
// speak (ChooseWireVersion); a member of a group that is being upgraded sends what its peer reads.
// Magic, version, lengths and checksum stay where they are in every version. A new version may
//   - add fields at the end of a struct, with Since{version};
//   - add messages at the end of Body, which are not sent to who speaks less;
//   - add enumerators, under the same condition.
// It removes nothing and gives nothing another meaning. When the last supported version that lacks
// a field is gone, kMinWireVersion goes up, and Since becomes history.
//
// Threads: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "core/limits.h"
#include "core/message.h"

namespace ringleader {

inline constexpr uint8_t kWireVersion = 1;
inline constexpr uint8_t kMinWireVersion = 1;

inline constexpr size_t kFrameHeadBytes = 36;
// Of all fields of a message; the largest that the limits allow fits in.
inline constexpr size_t kMaxFieldBytes = size_t{64} << 10;
inline constexpr size_t kMaxFrameBytes = kFrameHeadBytes + kMaxFieldBytes + kMaxAppendBytes;

using GroupId = std::array<uint8_t, 16>;

struct VersionRange {
  uint8_t min = kMinWireVersion;
  uint8_t max = kWireVersion;
};

// The version that two members speak with each other; nullopt where there is none.
std::optional<uint8_t> ChooseWireVersion(VersionRange ours, VersionRange theirs);

// A frame that is ready to be sent: `control`, then `payload`.
struct EncodedMessage {
  std::vector<uint8_t> control;
  Bytes payload;  // the message's own view: alive as long as that

  size_t size() const { return control.size() + payload.size(); }
  // One buffer, for transports that want one.
  std::vector<uint8_t> Joined() const;
};

// `version` is one that ChooseWireVersion has given. A message beyond a limit is the caller's
// mistake and is not survived. Reuses the memory of `out`.
void EncodeMessage(const GroupId& group_id, const Message& message, uint8_t version,
                   EncodedMessage* out);

// How many bytes to wait for, as the first kFrameHeadBytes of a frame say. Nothing is proven yet:
// the checksum is over all of it. But no frame is longer than kMaxFrameBytes.
struct FrameSize {
  size_t control_bytes = 0;
  size_t payload_bytes = 0;

  size_t total() const { return control_bytes + payload_bytes; }
};
Result<FrameSize> ReadFrameSize(Bytes head);

struct DecodedMessage {
  uint8_t version = 0;
  // For the receiver to compare: a checksum keeps out noise, not strangers.
  GroupId group_id{};
  Message message;  // its payload is a view of what was decoded
};

// Exactly one frame.
Result<DecodedMessage> DecodeMessage(Bytes frame);
// The same, in the two parts of EncodedMessage.
Result<DecodedMessage> DecodeMessage(Bytes control, Bytes payload);

}  // namespace ringleader
