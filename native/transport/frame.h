// The unit that ring and TCP carry (docs/FORMATS.md#frames).
//
// A frame is a head of 16 bytes, its payload, and padding to a multiple of 8 (counted nowhere, zero
// on TCP). A message is cut into frames of at most `max_payload` bytes, the first with kBegin and
// the last with kEnd; frames of different lanes may stand between them. Nothing is believed of a
// head before its checksum is right; a message has a checksum of its own and needs none here,
// everything else but padding has kChecked. A piece of a message is not empty, and nothing but a
// piece has kBegin or kEnd.
//
//   0  u32  length     of the payload
//   4  u8   type       FrameType
//   5  u8   flags      kBegin, kEnd, kChecked
//   6  u16  0
//   8  u32  sequence   of this direction of this link, from 0, plus 1 for each frame
//  12  u32  checksum   masked CRC-32C of the bytes before it and, with kChecked, of the payload
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "transport/link.h"

namespace ringleader {

enum class FrameType : uint8_t {
  kPadding = 1,  // to the end of a buffer that is not mapped twice
  kUrgent = 2,   // a piece of a message of that lane
  kLog = 3,
  kSnapshot = 4,
  kCookie = 5,  // the first frame of a ring: both sides have the same memory
  kCredit = 6,  // TCP: bytes that the other side may send, u64 ascending
  kSwitch = 7,  // the last frame here: what follows comes over the link that was agreed on
  kHello = 8,   // authentication (transport/handshake.h)
  kSecond = 9,  // TCP: asks for the connection of the snapshot lane, or says that there is none
};
inline constexpr FrameType kLastFrameType = FrameType::kSecond;

enum FrameFlag : uint8_t { kBegin = 1, kEnd = 2, kChecked = 4 };

inline constexpr size_t kLinkFrameHeadBytes = 16;
inline constexpr size_t kFrameAlignment = 8;

struct FrameHead {
  uint32_t length = 0;
  FrameType type = FrameType::kPadding;
  uint8_t flags = 0;
  uint32_t sequence = 0;
};

// Bytes of a frame with that payload, padding included.
constexpr size_t FrameBytes(size_t payload) {
  return (kLinkFrameHeadBytes + payload + kFrameAlignment - 1) & ~(kFrameAlignment - 1);
}

FrameType FrameTypeOf(Lane lane);
// nullopt for what is no piece of a message.
std::optional<Lane> LaneOf(FrameType type);

// Writes the 16 bytes; `payload` is looked at with kChecked only.
void EncodeFrameHead(const FrameHead& head, Bytes payload, uint8_t* out);

// What the 16 bytes say, which is kCorruption where the checksum of a head without kChecked is
// wrong, a type or flag is unknown or does not go with the others, or `length` is above
// `max_payload`. With kChecked it is not proven before CheckFrame.
Result<FrameHead> DecodeFrameHead(Bytes head, size_t max_payload);
// kCorruption where the checksum of a frame with kChecked is wrong.
Status CheckFrame(Bytes head, Bytes payload);

// kCorruption where a frame that lies there whole is padded with anything but zeros; asked on TCP,
// where every byte has been sent.
Status CheckPadding(const FrameHead& head, Bytes frame);

// Puts the messages of one direction together again.
class FrameAssembler {
 public:
  // `max_message`: the longest that is put together.
  explicit FrameAssembler(size_t max_message) : max_message_(max_message) {}

  // The next frame of whatever type, whose head has been decoded; its sequence has to be the next
  // one. Appends a message to `out` when it is whole. A message in one frame is not copied twice.
  // kCorruption for what breaks the rules of kBegin and kEnd or makes a message too long.
  Status Take(const FrameHead& head, Bytes payload, std::vector<uint8_t>* out);

  uint64_t messages() const { return messages_; }
  // Held for messages that are not whole yet.
  size_t bytes() const;

 private:
  struct Part {
    bool open = false;
    std::vector<uint8_t> bytes;
  };

  const size_t max_message_;
  uint32_t sequence_ = 0;  // of the next frame
  std::array<Part, kLanes> parts_;
  uint64_t messages_ = 0;
};

}  // namespace ringleader
