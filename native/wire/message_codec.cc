#include "wire/message_codec.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "wire/field_codec.h"

namespace ringleader {
namespace {

constexpr uint32_t kFrameMagic = 0x314d4c52;  // "RLM1"

// The head of a frame.
constexpr size_t kMagicAt = 0;
constexpr size_t kVersionAt = 4;
constexpr size_t kTypeAt = 5;
constexpr size_t kReservedAt = 6;
constexpr size_t kFieldBytesAt = 8;
constexpr size_t kPayloadBytesAt = 12;
constexpr size_t kGroupIdAt = 16;
constexpr size_t kChecksumAt = 32;
static_assert(kGroupIdAt + sizeof(GroupId) == kChecksumAt);
static_assert(kChecksumAt + sizeof(uint32_t) == kFrameHeadBytes);

// Types on the wire are the places in Body, from 1 on.
static_assert(std::variant_size_v<Body> == 16,
              "new messages go to the end of Body, with a version");
static_assert(std::is_same_v<std::variant_alternative_t<0, Body>, Canvass>);
static_assert(std::is_same_v<std::variant_alternative_t<15, Body>, ReadReply>);

Status Damaged(std::string what) { return Status(Code::kCorruption, "message: " + what); }

// What an empty Body of that place is replaced by.
template <size_t... places>
void Emplace(size_t place, Body* body, std::index_sequence<places...>) {
  ((place == places ? static_cast<void>(body->emplace<places>()) : static_cast<void>(0)), ...);
}

uint64_t PayloadLimitOf(const Body& body) {
  if (std::holds_alternative<Records>(body)) return kMaxAppendBytes;
  if (std::holds_alternative<SnapshotPiece>(body)) return kMaxSnapshotPieceBytes;
  return 0;
}

// Everything but the checksum itself.
uint32_t ChecksumOf(Bytes control, Bytes payload) {
  uint32_t crc = Crc32c(control.first(kChecksumAt));
  crc = Crc32c(control.subspan(kFrameHeadBytes), crc);
  return MaskCrc(Crc32c(payload, crc));
}

template <typename Envelope, typename Visitor>
void VisitMessage(Envelope& message, Visitor& visitor) {
  // The body's type is in the head, so what Fields calls "body" is its fields alone.
  VisitFields(message, [&visitor](const char* name, auto& value, Since since = {}) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, Body>) {
      std::visit([&visitor](auto& body) { VisitFields(body, visitor); }, value);
    } else {
      visitor(name, value, since);
    }
  });
}

Status CheckVersion(uint8_t version) {
  if (version > kWireVersion) {
    return Status(Code::kNewerFormat, "message: of a later version");
  }
  if (version < kMinWireVersion) {
    return Status(Code::kUnsupported, "message: of a version that is no longer read");
  }
  return Status::Ok();
}

// The message in a frame whose checksum has been found good.
Result<DecodedMessage> ReadFields(Bytes control, Bytes payload) {
  DecodedMessage decoded;
  decoded.version = control[kVersionAt];
  RL_RETURN_IF_ERROR(CheckVersion(decoded.version));
  const Bytes group_id = control.subspan(kGroupIdAt, sizeof(GroupId));
  std::copy(group_id.begin(), group_id.end(), decoded.group_id.begin());
  const size_t type = control[kTypeAt];
  if (LoadLe<uint16_t>(&control[kReservedAt]) != 0) return Damaged("reserved bytes");
  if (type == 0 || type > std::variant_size_v<Body>) return Damaged("unknown type");
  Message& message = decoded.message;
  Emplace(type - 1, &message.body, std::make_index_sequence<std::variant_size_v<Body>>());
  if (payload.size() > PayloadLimitOf(message.body)) return Damaged("payload too long");
  FieldReader reader(decoded.version, control.subspan(kFrameHeadBytes), payload);
  VisitMessage(message, reader);
  if (reader.wrong() != nullptr) {
    return Damaged(std::string(NameOf(message.body)) + "." + reader.wrong());
  }
  if (!reader.Finished()) return Damaged(std::string(NameOf(message.body)) + ": bytes left over");
  return decoded;
}

}  // namespace

std::optional<uint8_t> ChooseWireVersion(VersionRange ours, VersionRange theirs) {
  const uint8_t highest = std::min(ours.max, theirs.max);
  if (highest < std::max(ours.min, theirs.min)) return std::nullopt;
  return highest;
}

std::vector<uint8_t> EncodedMessage::Joined() const {
  std::vector<uint8_t> frame;
  frame.reserve(size());
  frame.insert(frame.end(), control.begin(), control.end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

void EncodeMessage(const GroupId& group_id, const Message& message, uint8_t version,
                   EncodedMessage* out) {
  RL_CHECK(CheckVersion(version).ok());
  std::vector<uint8_t>& control = out->control;
  control.assign(kFrameHeadBytes, 0);
  FieldWriter writer(version, &control);
  VisitMessage(message, writer);
  out->payload = writer.payload();
  const size_t field_bytes = control.size() - kFrameHeadBytes;
  RL_CHECK(field_bytes <= kMaxFieldBytes);
  RL_CHECK(out->payload.size() <= PayloadLimitOf(message.body));
  StoreLe(&control[kMagicAt], kFrameMagic);
  control[kVersionAt] = version;
  control[kTypeAt] = static_cast<uint8_t>(message.body.index() + 1);
  StoreLe(&control[kFieldBytesAt], static_cast<uint32_t>(field_bytes));
  StoreLe(&control[kPayloadBytesAt], static_cast<uint32_t>(out->payload.size()));
  std::copy(group_id.begin(), group_id.end(), control.begin() + kGroupIdAt);
  StoreLe(&control[kChecksumAt], ChecksumOf(control, out->payload));
}

Result<FrameSize> ReadFrameSize(Bytes head) {
  if (head.size() < kFrameHeadBytes) return Damaged("shorter than its head");
  if (LoadLe<uint32_t>(&head[kMagicAt]) != kFrameMagic) return Damaged("not a frame");
  RL_RETURN_IF_ERROR(CheckVersion(head[kVersionAt]));
  const size_t field_bytes = LoadLe<uint32_t>(&head[kFieldBytesAt]);
  const size_t payload_bytes = LoadLe<uint32_t>(&head[kPayloadBytesAt]);
  if (field_bytes > kMaxFieldBytes) return Damaged("fields too long");
  if (payload_bytes > kMaxAppendBytes) return Damaged("payload too long");
  return FrameSize{kFrameHeadBytes + field_bytes, payload_bytes};
}

Result<DecodedMessage> DecodeMessage(Bytes frame) {
  if (frame.size() < kFrameHeadBytes) return Damaged("shorter than its head");
  const uint64_t control_bytes =
      uint64_t{kFrameHeadBytes} + LoadLe<uint32_t>(&frame[kFieldBytesAt]);
  if (control_bytes > frame.size()) return Damaged("shorter than its fields");
  const auto at = static_cast<size_t>(control_bytes);
  return DecodeMessage(frame.first(at), frame.subspan(at));
}

Result<DecodedMessage> DecodeMessage(Bytes control, Bytes payload) {
  if (control.size() < kFrameHeadBytes) return Damaged("shorter than its head");
  if (LoadLe<uint32_t>(&control[kMagicAt]) != kFrameMagic) return Damaged("not a frame");
  const bool fits = LoadLe<uint32_t>(&control[kFieldBytesAt]) == control.size() - kFrameHeadBytes &&
                    LoadLe<uint32_t>(&control[kPayloadBytesAt]) == payload.size();
  if (!fits && !RL_MUTANT(kSkipFrameLength)) return Damaged("of another length");
  const bool intact = LoadLe<uint32_t>(&control[kChecksumAt]) == ChecksumOf(control, payload);
  // Before the version: one that a flipped bit has made is not a later one.
  if (!intact && !RL_MUTANT(kSkipFrameChecksum)) return Damaged("checksum");
  return ReadFields(control, payload);
}

}  // namespace ringleader
