// Messages as bytes: what comes back, what is refused, and that the bytes stay what they are.
//
// test/golden/messages-1.hex holds the frames of SampleMessages, each below its text form. After a
// change that is meant: RINGLEADER_GOLDEN=write native-test wire_codec.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/coding.h"
#include "base/crc32c.h"
#include "core/state_hash.h"
#include "core/text.h"
#include "message_fixture.h"
#include "wire/message_codec.h"

namespace ringleader {
namespace {

using namespace test;
using Frame = std::vector<uint8_t>;

constexpr GroupId kGroup = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
// In the head of a frame.
constexpr size_t kVersionAt = 4, kTypeAt = 5, kReservedAt = 6, kFieldBytesAt = 8,
                 kPayloadBytesAt = 12, kGroupAt = 16, kChecksumAt = 32;

Frame FrameOf(const Message& message) {
  EncodedMessage encoded;
  EncodeMessage(kGroup, message, kWireVersion, &encoded);
  CHECK_EQ(encoded.size(), encoded.Joined().size());
  return encoded.Joined();
}

// Makes lengths and checksum of a frame fit its bytes, the last `payload` of them a payload.
Frame Sealed(Frame frame, size_t payload = 0) {
  const size_t fields = frame.size() - kFrameHeadBytes - payload;
  StoreLe(&frame[kFieldBytesAt], static_cast<uint32_t>(fields));
  StoreLe(&frame[kPayloadBytesAt], static_cast<uint32_t>(payload));
  const Bytes all(frame);
  const uint32_t crc = Crc32c(all.subspan(kFrameHeadBytes), Crc32c(all.first(kChecksumAt)));
  StoreLe(&frame[kChecksumAt], MaskCrc(crc));
  return frame;
}

Code CodeOf(const Frame& frame) { return DecodeMessage(frame).status().code(); }

// The same fields and the same payload.
bool Same(const Message& left, const Message& right) { return HashOf(left) == HashOf(right); }

bool ComesBack(const Message& message) {
  const Frame frame = FrameOf(message);
  CHECK_VALUE(const DecodedMessage decoded, DecodeMessage(frame));
  CHECK_EQ(decoded.version, kWireVersion);
  CHECK(decoded.group_id == kGroup);
  CHECK(FrameOf(decoded.message) == frame);
  CHECK_EQ(ToText(decoded.message), ToText(message));
  return Same(decoded.message, message);
}

TEST(wire_codec, what_is_sent_is_received) {
  std::mt19937_64 random(Seed());
  std::vector<uint8_t> payload(3000);
  for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random());
  for (uint64_t round = 0; round < Scale(200); ++round) {
    for (size_t place = 0; place < kBodies; ++place) {
      CHECK(ComesBack(RandomMessage(random, place, payload)));
    }
  }
  for (const Message& message : SampleMessages()) CHECK(ComesBack(message));
}

TEST(wire_codec, payloads_are_not_copied) {
  const std::vector<uint8_t> payload(1000, 7);
  Records records;
  records.bytes = payload;
  EncodedMessage encoded;
  EncodeMessage(kGroup, SampleOf(1, 2, records), kWireVersion, &encoded);
  CHECK(encoded.payload.data() == payload.data() && encoded.payload.size() == payload.size());
  const auto bytes_of = [](const DecodedMessage& decoded) {
    return std::get<Records>(decoded.message.body).bytes;
  };
  const Frame joined = encoded.Joined();
  CHECK_VALUE(const DecodedMessage one, DecodeMessage(joined));
  CHECK(bytes_of(one).data() == joined.data() + encoded.control.size());
  CHECK_VALUE(const DecodedMessage two, DecodeMessage(encoded.control, encoded.payload));
  CHECK(bytes_of(two).data() == payload.data() && bytes_of(two).size() == payload.size());
  CHECK(Same(one.message, two.message));
  // Apart, the parts have to be these parts.
  CHECK_CODE(DecodeMessage(encoded.control, {}).status(), Code::kCorruption);
  CHECK_CODE(DecodeMessage(joined, {}).status(), Code::kCorruption);
  CHECK_CODE(DecodeMessage(Bytes(joined).first(60), Bytes(joined).subspan(60)).status(),
             Code::kCorruption);
  // The memory of one frame serves the next.
  EncodeMessage(kGroup, SampleOf(1, 2, Nominate{}), kWireVersion, &encoded);
  CHECK(encoded.payload.empty() && encoded.control == FrameOf(SampleOf(1, 2, Nominate{})));
}

TEST(wire_codec, the_size_is_known_from_the_head) {
  for (const Message& message : SampleMessages()) {
    const Frame frame = FrameOf(message);
    CHECK_VALUE(const FrameSize size, ReadFrameSize(Bytes(frame).first(kFrameHeadBytes)));
    CHECK_EQ(size.total(), frame.size());
    CHECK(size.total() <= kMaxFrameBytes);
    CHECK_CODE(ReadFrameSize(Bytes(frame).first(kFrameHeadBytes - 1)).status(), Code::kCorruption);
  }
  const auto code_with = [](size_t at, uint64_t value) {
    Frame head = FrameOf(SampleOf(1, 2, Nominate{}));
    StoreLe(&head[at], static_cast<uint32_t>(value));
    return ReadFrameSize(head).status().code();
  };
  CHECK_EQ(code_with(kFieldBytesAt, kMaxFieldBytes), Code::kOk);
  CHECK_EQ(code_with(kFieldBytesAt, kMaxFieldBytes + 1), Code::kCorruption);
  CHECK_EQ(code_with(kPayloadBytesAt, kMaxAppendBytes), Code::kOk);
  CHECK_EQ(code_with(kPayloadBytesAt, kMaxAppendBytes + 1), Code::kCorruption);
  CHECK_EQ(code_with(kPayloadBytesAt, UINT32_MAX), Code::kCorruption);
  CHECK_EQ(code_with(0, 0), Code::kCorruption);
  CHECK_EQ(code_with(kVersionAt, kWireVersion + 1), Code::kNewerFormat);
  CHECK_EQ(code_with(kVersionAt, kMinWireVersion - 1), Code::kUnsupported);
}

// --- Damage --------------------------------------------------------------------------------------

TEST(wire_codec, every_changed_byte_is_refused) {
  for (const Message& message : SampleMessages()) {
    const Frame frame = FrameOf(message);
    for (size_t at = 0; at < frame.size(); ++at) {
      for (unsigned flip = 1; flip < 256; ++flip) {
        Frame changed = frame;
        changed[at] ^= static_cast<uint8_t>(flip);
        CHECK_EQ(CodeOf(changed), Code::kCorruption);
      }
    }
  }
}

TEST(wire_codec, every_cut_is_refused) {
  for (const Message& message : SampleMessages()) {
    const Frame frame = FrameOf(message);
    const size_t control = kFrameHeadBytes + LoadLe<uint32_t>(&frame[kFieldBytesAt]);
    for (size_t size = 0; size < frame.size(); ++size) {
      // A copy of exactly this size: a byte too far is noticed.
      const Frame cut(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size));
      CHECK_EQ(CodeOf(cut), Code::kCorruption);
      if (size < kFrameHeadBytes || size >= control) continue;
      CHECK_EQ(CodeOf(Sealed(cut)), Code::kCorruption);  // fields are missing
    }
    Frame longer = frame;
    longer.push_back(0);
    CHECK_EQ(CodeOf(longer), Code::kCorruption);
    longer.insert(longer.end() - 1, frame.begin(), frame.end());
    CHECK_EQ(CodeOf(longer), Code::kCorruption);
  }
}

// Lengths that lie, although the checksum is good for the bytes that they speak of.
TEST(wire_codec, lengths_that_do_not_fit_are_refused) {
  const Frame frame = FrameOf(SampleOf(1, 2, Nominate{}));
  Frame trailing = Sealed(frame);
  CHECK(trailing == frame);
  trailing.push_back(0);
  const Bytes bytes(trailing);
  const uint32_t crc = Crc32c(bytes.subspan(kFrameHeadBytes), Crc32c(bytes.first(kChecksumAt)));
  StoreLe(&trailing[kChecksumAt], MaskCrc(crc));
  CHECK_EQ(CodeOf(trailing), Code::kCorruption);
  // The same behind a message that may have a payload, which says that it has none.
  Frame records = FrameOf(SampleOf(1, 2, Records{}));
  records.push_back(0);
  const Bytes all(records);
  StoreLe(&records[kChecksumAt],
          MaskCrc(Crc32c(all.subspan(kFrameHeadBytes), Crc32c(all.first(kChecksumAt)))));
  CHECK_EQ(CodeOf(records), Code::kCorruption);
  CHECK_EQ(CodeOf(Sealed(records, 1)), Code::kOk);
}

// --- What no member sends, sealed so that the checks behind the checksum are asked ---------------

// The envelope of a message without its body's fields.
constexpr size_t kEnvelopeBytes = 1 + 1 + 8 + 1 + 9;

Frame FrameWith(const Message& message, size_t at, uint8_t value, size_t payload = 0) {
  Frame frame = FrameOf(message);
  CHECK(at < frame.size());
  frame[at] = value;
  return Sealed(frame, payload);
}

// A frame of that body with other fields.
template <typename Write>
Frame FrameOfFields(const Body& body, Write&& write) {
  Frame frame = FrameOf(SampleOf(1, 2, body));
  frame.resize(kFrameHeadBytes + kEnvelopeBytes);
  Encoder out(&frame);
  write(out);
  return Sealed(frame);
}

TEST(wire_codec, versions_and_types) {
  const Message message = SampleOf(1, 2, Nominate{true});
  CHECK_EQ(CodeOf(FrameWith(message, kVersionAt, kWireVersion + 1)), Code::kNewerFormat);
  CHECK_EQ(CodeOf(FrameWith(message, kVersionAt, 255)), Code::kNewerFormat);
  CHECK_EQ(CodeOf(FrameWith(message, kVersionAt, kMinWireVersion - 1)), Code::kUnsupported);
  CHECK_EQ(CodeOf(FrameWith(message, kTypeAt, 0)), Code::kCorruption);
  CHECK_EQ(CodeOf(FrameWith(message, kTypeAt, kBodies + 1)), Code::kCorruption);
  CHECK_EQ(CodeOf(FrameWith(message, kTypeAt, 255)), Code::kCorruption);
  CHECK_EQ(CodeOf(FrameWith(message, kReservedAt, 1)), Code::kCorruption);
  CHECK_EQ(CodeOf(FrameWith(message, kReservedAt + 1, 1)), Code::kCorruption);
  CHECK_VALUE(const DecodedMessage other, DecodeMessage(FrameWith(message, kGroupAt, 99)));
  CHECK_EQ(other.group_id[0], 99);
}

TEST(wire_codec, versions_are_agreed_upon) {
  CHECK(ChooseWireVersion({1, 3}, {2, 5}) == uint8_t{3});
  CHECK(ChooseWireVersion({2, 5}, {1, 3}) == uint8_t{3});
  CHECK(ChooseWireVersion({1, 1}, {1, 1}) == uint8_t{1});
  CHECK(ChooseWireVersion({1, 2}, {2, 2}) == uint8_t{2});
  CHECK(!ChooseWireVersion({1, 2}, {3, 4}) && !ChooseWireVersion({3, 4}, {1, 2}));
  CHECK(!ChooseWireVersion({}, {3, 1}));  // a range that somebody made up
  CHECK(ChooseWireVersion({}, {}) == kWireVersion);
}

struct Grown {
  uint32_t old = 1;
  uint32_t young = 5;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("old", self.old);
    field("young", self.young, Since{2});
  }
};

TEST(wire_codec, younger_fields_are_left_out_for_older_peers) {
  for (const uint8_t version : {1, 2, 3}) {
    std::vector<uint8_t> bytes;
    FieldWriter writer(version, &bytes);
    const Grown sent{7, 8};
    VisitFields(sent, writer);
    CHECK_EQ(bytes.size(), version == 1 ? 1u : 2u);
    Grown received;
    FieldReader reader(version, bytes, {});
    VisitFields(received, reader);
    CHECK(reader.Finished());
    CHECK_EQ(received.old, 7u);
    CHECK_EQ(received.young, version == 1 ? 5u : 8u);
  }
}

TEST(wire_codec, values_that_no_field_has) {
  const size_t fields = kFrameHeadBytes;
  const Message message = SampleOf(1, 2, Nominate{true});
  const size_t kind_at = fields + 10, counter_at = fields + 11, flag_at = fields + kEnvelopeBytes;
  for (const uint8_t kind : {0, 4, 255}) {
    CHECK_EQ(CodeOf(FrameWith(message, kind_at, kind)), Code::kCorruption);
  }
  CHECK_EQ(CodeOf(FrameWith(message, kind_at, 3)), Code::kOk);
  CHECK_EQ(CodeOf(FrameWith(message, flag_at, 2)), Code::kCorruption);
  // Without a counter there is no incarnation: its bytes are left over.
  CHECK_EQ(CodeOf(FrameWith(message, counter_at, 0)), Code::kCorruption);
  const auto lsn = [](uint64_t value) {
    return CodeOf(FrameOfFields(Outdated{}, [&](Encoder& out) { out.Varint(value); }));
  };
  CHECK_EQ(lsn(kMaxLsn.value - 1), Code::kOk);
  CHECK_EQ(lsn(kMaxLsn.value), Code::kOk);
  CHECK_EQ(lsn(kMaxLsn.value + 1), Code::kCorruption);
  const auto priority = [](uint64_t value) {
    return CodeOf(FrameOfFields(Canvass{}, [&](Encoder& out) {
      for (const uint64_t field : {uint64_t{1}, uint64_t{0}, uint64_t{0}, value, uint64_t{1}}) {
        out.Varint(field);
      }
    }));
  };
  CHECK_EQ(priority(UINT32_MAX - 1), Code::kOk);
  CHECK_EQ(priority(UINT32_MAX), Code::kOk);
  CHECK_EQ(priority(uint64_t{UINT32_MAX} + 1), Code::kCorruption);
  // A number in more bytes than it needs.
  CHECK_EQ(CodeOf(FrameOfFields(Outdated{}, [](Encoder& out) { out.Fixed(uint16_t{0x0080}); })),
           Code::kCorruption);
}

TEST(wire_codec, refusals_name_the_field) {
  const Frame frame = FrameOfFields(Outdated{}, [](Encoder& out) { out.Varint(UINT64_MAX); });
  CHECK_EQ(DecodeMessage(frame).status().message(), std::string("message: Outdated.log_start"));
}

std::vector<TermStart> RowsOf(size_t count) {
  std::vector<TermStart> rows;
  for (uint32_t i = 1; i <= count; ++i) rows.push_back({{Term(i), Incarnation(1)}, Lsn(i)});
  return rows;
}

void PutRows(Encoder& out, const std::vector<TermStart>& rows) {
  out.Varint(rows.size());
  for (const TermStart& row : rows) {
    out.Varint(row.term.counter.value);
    out.Fixed(row.term.incarnation.value);
    out.Varint(row.start.value);
  }
}

// An Ack with these rows, whatever they are.
Code AckCode(const std::vector<TermStart>& rows) {
  return CodeOf(FrameOfFields(Ack{}, [&](Encoder& out) {
    out.Zeros(8);  // the fields before it, all of them none
    PutRows(out, rows);
  }));
}

// Configurations at ascending places with so many members each.
Code ConfigurationsCode(size_t count, size_t members, bool ascending = true) {
  return CodeOf(FrameOfFields(Records{}, [&](Encoder& out) {
    out.Zeros(5);
    out.Raw(std::vector<uint8_t>{1, 0, 0});  // from_primary, resent, levels
    out.Zeros(1);
    out.Varint(count);
    for (size_t i = 0; i < count; ++i) {
      out.Varint(ascending ? i + 1 : 1);
      out.Raw(std::vector<uint8_t>{1, 1, 3, 2, 2});
      out.Varint(members);
      for (size_t id = 0; id < members; ++id) {
        out.Varint(id + 1);
        out.Fixed(uint64_t{0});
        out.Raw(std::vector<uint8_t>{1, 100});
      }
    }
  }));
}

TEST(wire_codec, limits_of_vectors) {
  for (const size_t over : {0, 1, 2}) {
    const Code expected = over < 2 ? Code::kOk : Code::kCorruption;
    CHECK_EQ(AckCode(RowsOf(kMaxTermsInMessage - 1 + over)), expected);
    CHECK_EQ(ConfigurationsCode(1, kMaxMembers - 1 + over), expected);
    CHECK_EQ(ConfigurationsCode(kMaxConfigurationsInMessage - 1 + over, 1), expected);
    const std::vector<uint8_t> contact(kMaxContactBytes - 1 + over);
    CHECK_EQ(CodeOf(FrameOfFields(Hello{},
                                  [&](Encoder& out) {
                                    out.Zeros(2);
                                    out.Sized(contact);
                                  })),
             expected);
  }
  // More elements than there are bytes.
  for (const uint64_t count : {uint64_t{1}, uint64_t{64}, uint64_t{1} << 40, UINT64_MAX}) {
    CHECK_EQ(CodeOf(FrameOfFields(Ack{},
                                  [&](Encoder& out) {
                                    out.Zeros(8);
                                    out.Varint(count);
                                  })),
             Code::kCorruption);
  }
}

TEST(wire_codec, orders_of_vectors) {
  std::vector<TermStart> rows = RowsOf(3);
  CHECK_EQ(AckCode(rows), Code::kOk);
  std::swap(rows[0].start, rows[1].start);
  CHECK_EQ(AckCode(rows), Code::kCorruption);
  std::swap(rows[0], rows[1]);
  CHECK_EQ(AckCode(rows), Code::kCorruption);
  CHECK_EQ(AckCode({RowsOf(1)[0], RowsOf(1)[0]}), Code::kCorruption);
  CHECK_EQ(ConfigurationsCode(2, 1), Code::kOk);
  CHECK_EQ(ConfigurationsCode(2, 1, false), Code::kCorruption);
}

// The largest message that the limits allow has room.
TEST(wire_codec, the_largest_message) {
  std::vector<uint8_t> payload(kMaxAppendBytes + 1, 0x5a);
  Records records;
  records.previous = {{Term(UINT32_MAX), Incarnation(1)}, kMaxLsn};
  records.end = records.commit = records.log_end = kMaxLsn;
  records.terms = RowsOf(kMaxTermsInMessage);
  for (uint64_t i = 0; i < kMaxConfigurationsInMessage; ++i) {
    ConfigurationAt at{Lsn(kMaxLsn.value - kMaxConfigurationsInMessage + i), {}};
    at.configuration = {UINT64_MAX, QuorumRule::kInSync, UINT32_MAX, UINT32_MAX, UINT32_MAX, {}};
    for (uint32_t id = 0; id < kMaxMembers; ++id) {
      at.configuration.members.push_back({MemberId(UINT32_MAX - 100 + id), Incarnation(UINT64_MAX),
                                          MemberKind::kView, UINT32_MAX});
    }
    records.configurations.push_back(at);
  }
  records.bytes = Bytes(payload).first(kMaxAppendBytes);
  const Frame frame = FrameOf(SampleOf(1, 2, records));
  CHECK(frame.size() <= kMaxFrameBytes);
  CHECK(ComesBack(SampleOf(1, 2, records)));
  Frame longer = frame;
  longer.push_back(0);
  CHECK_EQ(CodeOf(Sealed(longer, kMaxAppendBytes)), Code::kCorruption);  // a field too long
  CHECK_EQ(CodeOf(Sealed(longer, kMaxAppendBytes + 1)), Code::kCorruption);
}

TEST(wire_codec, limits_of_payloads) {
  const std::vector<uint8_t> payload(kMaxSnapshotPieceBytes + 1, 0x5a);
  for (const size_t size : {kMaxSnapshotPieceBytes - 1, kMaxSnapshotPieceBytes}) {
    SnapshotPiece piece;
    piece.bytes = Bytes(payload).first(size);
    CHECK(ComesBack(SampleOf(1, 2, piece)));
  }
  Frame piece = FrameOf(SampleOf(1, 2, SnapshotPiece{}));
  piece.insert(piece.end(), payload.begin(), payload.end());
  CHECK_EQ(CodeOf(Sealed(piece, payload.size())), Code::kCorruption);
  // A message without a payload has none.
  for (const Message& message : SampleMessages()) {
    if (std::holds_alternative<Records>(message.body)) continue;
    if (std::holds_alternative<SnapshotPiece>(message.body)) continue;
    Frame frame = FrameOf(message);
    frame.push_back(0);
    CHECK_EQ(CodeOf(Sealed(frame, 1)), Code::kCorruption);
  }
}

// Any bytes behind a good checksum: a message that encodes to these bytes, or a refusal.
TEST(wire_codec, one_message_has_one_encoding) {
  std::mt19937_64 random(Seed());
  const std::vector<uint8_t> payload(40, 0x5a);
  uint64_t taken = 0;
  for (uint64_t round = 0; round < Scale(40'000); ++round) {
    Frame frame = FrameOf(RandomMessage(random, random() % kBodies, payload));
    const size_t payload_bytes = LoadLe<uint32_t>(&frame[kPayloadBytesAt]);
    for (uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = kFrameHeadBytes + random() % (frame.size() - kFrameHeadBytes);
      if (random() % 4 == 0) {
        frame.erase(frame.begin() + static_cast<ptrdiff_t>(at));
      } else {
        frame[at] = static_cast<uint8_t>(random() >> (random() % 64));
      }
      if (frame.size() - kFrameHeadBytes <= payload_bytes) break;
    }
    frame = Sealed(frame, std::min(payload_bytes, frame.size() - kFrameHeadBytes));
    const auto decoded = DecodeMessage(frame);
    if (!decoded.ok()) {
      CHECK_CODE(decoded.status(), Code::kCorruption);
      continue;
    }
    EncodedMessage again;
    EncodeMessage(kGroup, decoded.value().message, kWireVersion, &again);
    CHECK(again.Joined() == frame);
    ++taken;
  }
  CHECK(taken > 0);
}

// --- Golden bytes --------------------------------------------------------------------------------

std::string GoldenText() {
  std::ostringstream out;
  out << "# The frames of SampleMessages (test/native/message_fixture.h), wire version 1.\n";
  for (const Message& message : SampleMessages()) {
    const Frame frame = FrameOf(message);
    out << "\n" << ToText(message);
    for (size_t i = 0; i < frame.size(); ++i) {
      char digits[4];
      std::snprintf(digits, sizeof digits, "%02x", frame[i]);
      const bool in_head = i < kFrameHeadBytes;
      const bool begins = in_head ? i % 16 == 0 : (i - kFrameHeadBytes) % 32 == 0;
      out << (begins ? "\n  " : " ") << digits;
    }
    out << "\n";
  }
  return out.str();
}

TEST(wire_codec, bytes_stay_what_they_are) {
  const auto path =
      std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "messages-1.hex";
  const std::string text = GoldenText();
  const char* mode = std::getenv("RINGLEADER_GOLDEN");
  if (mode != nullptr && std::string(mode) == "write") std::ofstream(path) << text;
  std::ifstream file(path);
  CHECK(file.good());
  std::istringstream wanted(text);
  for (std::string expected, line; std::getline(wanted, expected);) {
    CHECK(static_cast<bool>(std::getline(file, line)));
    CHECK_EQ(line, expected);
  }
  CHECK(file.peek() == std::ifstream::traits_type::eof());
}

// What the file holds is read, by whatever reads this version later on.
TEST(wire_codec, golden_bytes_are_read) {
  const auto path =
      std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "messages-1.hex";
  std::ifstream file(path);
  std::vector<std::pair<std::string, Frame>> entries;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] != ' ') {
      entries.push_back({line, {}});
      continue;
    }
    std::istringstream digits(line);
    for (std::string byte; digits >> byte;) {
      entries.back().second.push_back(static_cast<uint8_t>(std::stoul(byte, nullptr, 16)));
    }
  }
  CHECK_EQ(entries.size(), SampleMessages().size());
  for (const auto& [text, frame] : entries) {
    CHECK_VALUE(const DecodedMessage decoded, DecodeMessage(frame));
    CHECK_EQ(ToText(decoded.message), text);
  }
}

}  // namespace
}  // namespace ringleader
