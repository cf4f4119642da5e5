// Bytes that no member sends: damaged frames, and hostile ones whose checksum is good.
#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "frame_fixture.h"

namespace ringleader {
namespace {

using namespace test;

// --- Damage --------------------------------------------------------------------------------------

TEST(wire_hostile, every_changed_byte_is_refused) {
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

TEST(wire_hostile, every_cut_is_refused) {
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
TEST(wire_hostile, lengths_that_do_not_fit_are_refused) {
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

TEST(wire_hostile, versions_and_types) {
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

TEST(wire_hostile, values_that_no_field_has) {
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

TEST(wire_hostile, refusals_name_the_field) {
  const Frame frame = FrameOfFields(Outdated{}, [](Encoder& out) { out.Varint(UINT64_MAX); });
  const Status refused = DecodeMessage(frame).status();
  CHECK_EQ(refused.message(), std::string("message: Outdated.log_start"));
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
    out.Zeros(1);  // disk
  }));
}

// A snapshot's configuration with so many members, in the order of their ids or all of one id.
Code ConfigurationCode(size_t members, bool ascending = true) {
  return CodeOf(FrameOfFields(SnapshotPiece{}, [&](Encoder& out) {
    out.Zeros(6);  // id, total_bytes, position, no terms, end
    out.Raw(std::vector<uint8_t>{1, 1, 3, 2, 2});
    out.Varint(members);
    for (size_t id = 0; id < members; ++id) {
      out.Varint(ascending ? id + 1 : 1);
      out.Fixed(uint64_t{0});
      out.Raw(std::vector<uint8_t>{1, 100});
    }
    out.Zeros(3);  // offset, last, from_primary
  }));
}

TEST(wire_hostile, limits_of_vectors) {
  for (const size_t over : {0, 1, 2}) {
    const Code expected = over < 2 ? Code::kOk : Code::kCorruption;
    CHECK_EQ(AckCode(RowsOf(kMaxTermsInMessage - 1 + over)), expected);
    CHECK_EQ(ConfigurationCode(kMaxMembers - 1 + over), expected);
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

TEST(wire_hostile, orders_of_vectors) {
  std::vector<TermStart> rows = RowsOf(3);
  CHECK_EQ(AckCode(rows), Code::kOk);
  std::swap(rows[0].start, rows[1].start);
  CHECK_EQ(AckCode(rows), Code::kCorruption);
  std::swap(rows[0], rows[1]);
  CHECK_EQ(AckCode(rows), Code::kCorruption);
  CHECK_EQ(AckCode({RowsOf(1)[0], RowsOf(1)[0]}), Code::kCorruption);
  CHECK_EQ(ConfigurationCode(2), Code::kOk);
  CHECK_EQ(ConfigurationCode(2, false), Code::kCorruption);
}

// The largest message that the limits allow has room.
TEST(wire_hostile, the_largest_message) {
  std::vector<uint8_t> payload(kMaxAppendBytes + 1, 0x5a);
  Records records;
  records.previous = {{Term(UINT32_MAX), Incarnation(1)}, kMaxLsn};
  records.end = records.commit = records.log_end = kMaxLsn;
  records.terms = RowsOf(kMaxTermsInMessage);
  records.bytes = Bytes(payload).first(kMaxAppendBytes);
  const Frame frame = FrameOf(SampleOf(1, 2, records));
  CHECK(frame.size() <= kMaxFrameBytes);
  CHECK(ComesBack(SampleOf(1, 2, records)));
  Frame longer = frame;
  longer.push_back(0);
  CHECK_EQ(CodeOf(Sealed(longer, kMaxAppendBytes)), Code::kCorruption);  // a field too long
  CHECK_EQ(CodeOf(Sealed(longer, kMaxAppendBytes + 1)), Code::kCorruption);
}

TEST(wire_hostile, limits_of_payloads) {
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
TEST(wire_hostile, one_message_has_one_encoding) {
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

}  // namespace
}  // namespace ringleader
