#include "transport/frame.h"

#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr size_t kChecksumAt = 12;
constexpr uint8_t kAllFlags = kBegin | kEnd | kChecked;

Status Bad(const char* what) {
  return Status(Code::kCorruption, std::string("a frame of a link is damaged: ") + what);
}

uint32_t ChecksumOf(Bytes head, Bytes payload, bool checked) {
  uint32_t crc = Crc32c(head.first(kChecksumAt));
  if (checked) crc = Crc32c(payload, crc);
  return MaskCrc(crc);
}

bool IsPiece(FrameType type) {
  return type == FrameType::kUrgent || type == FrameType::kLog || type == FrameType::kSnapshot;
}

// A piece has bytes, so that as many frames as somebody likes are not as good as one; only a piece
// begins and ends something; and only a piece and padding may go without a checksum.
Status CheckKind(const FrameHead& head) {
  if (IsPiece(head.type)) return head.length > 0 ? Status::Ok() : Bad("an empty piece");
  if ((head.flags & (kBegin | kEnd)) != 0) return Bad("it begins or ends no message");
  if (head.type == FrameType::kPadding) return Status::Ok();
  return (head.flags & kChecked) != 0 ? Status::Ok() : Bad("its payload has no checksum");
}

}  // namespace

FrameType FrameTypeOf(Lane lane) {
  return static_cast<FrameType>(static_cast<uint8_t>(FrameType::kUrgent) +
                                static_cast<uint8_t>(lane));
}

std::optional<Lane> LaneOf(FrameType type) {
  if (!IsPiece(type)) return std::nullopt;
  return static_cast<Lane>(static_cast<uint8_t>(type) - static_cast<uint8_t>(FrameType::kUrgent));
}

void EncodeFrameHead(const FrameHead& head, Bytes payload, uint8_t* out) {
  StoreLe(out, head.length);
  out[4] = static_cast<uint8_t>(head.type);
  out[5] = head.flags;
  StoreLe(out + 6, uint16_t{0});
  StoreLe(out + 8, head.sequence);
  const bool checked = (head.flags & kChecked) != 0;
  RL_DCHECK(!checked || payload.size() == head.length);
  StoreLe(out + kChecksumAt, ChecksumOf({out, kLinkFrameHeadBytes}, payload, checked));
}

Result<FrameHead> DecodeFrameHead(Bytes bytes, size_t max_payload) {
  RL_CHECK(bytes.size() >= kLinkFrameHeadBytes);
  FrameHead head;
  head.length = LoadLe<uint32_t>(bytes.data());
  head.flags = bytes[5];
  head.sequence = LoadLe<uint32_t>(&bytes[8]);
  const bool checked = (head.flags & kChecked) != 0;
  if (!checked && LoadLe<uint32_t>(&bytes[kChecksumAt]) != ChecksumOf(bytes, {}, false) &&
      !RL_MUTANT(kSkipFrameHeadCheck)) {
    return Bad("the checksum of its head");
  }
  if (bytes[4] < static_cast<uint8_t>(FrameType::kPadding) ||
      bytes[4] > static_cast<uint8_t>(kLastFrameType)) {
    return Bad("its type");
  }
  head.type = static_cast<FrameType>(bytes[4]);
  if ((head.flags & ~kAllFlags) != 0 || LoadLe<uint16_t>(&bytes[6]) != 0) return Bad("its flags");
  if (head.length > max_payload) return Bad("its length");
  RL_RETURN_IF_ERROR(CheckKind(head));
  return head;
}

Status CheckFrame(Bytes head, Bytes payload) {
  RL_CHECK(head.size() >= kLinkFrameHeadBytes);
  if ((head[5] & kChecked) == 0) return Status::Ok();
  if (LoadLe<uint32_t>(&head[kChecksumAt]) == ChecksumOf(head, payload, true)) return Status::Ok();
  return Bad("its checksum");
}

Status CheckPadding(const FrameHead& head, Bytes frame) {
  RL_CHECK(frame.size() >= FrameBytes(head.length));
  for (size_t at = kLinkFrameHeadBytes + head.length; at < FrameBytes(head.length); ++at) {
    if (frame[at] != 0) return Bad("its padding");
  }
  return Status::Ok();
}

Status FrameAssembler::Take(const FrameHead& head, Bytes payload, std::vector<uint8_t>* out) {
  RL_CHECK(head.length == payload.size());
  if (head.sequence != sequence_ && !RL_MUTANT(kSkipFrameSequence)) return Bad("its sequence");
  sequence_ = head.sequence + 1;
  const std::optional<Lane> lane = LaneOf(head.type);
  if (!lane) return Status::Ok();
  Part& part = parts_[static_cast<size_t>(*lane)];
  const bool begins = (head.flags & kBegin) != 0;
  const bool ends = (head.flags & kEnd) != 0;
  if (begins == part.open) {
    return Bad(begins ? "a message begins inside another" : "a piece of no message");
  }
  if (payload.size() > max_message_ - part.bytes.size() && !RL_MUTANT(kUnboundedMessage)) {
    return Bad("the message is too long");
  }
  part.open = !ends;
  if (!ends) {
    part.bytes.insert(part.bytes.end(), payload.begin(), payload.end());
    return Status::Ok();
  }
  // Empty where the message begins here as well.
  out->insert(out->end(), part.bytes.begin(), part.bytes.end());
  out->insert(out->end(), payload.begin(), payload.end());
  part.bytes.clear();
  ++messages_;
  return Status::Ok();
}

size_t FrameAssembler::bytes() const {
  size_t total = 0;
  for (const Part& part : parts_) total += part.bytes.size();
  return total;
}

}  // namespace ringleader
