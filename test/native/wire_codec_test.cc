// Messages as bytes: what is sent comes back, and the bytes stay what they are.
//
// test/golden/messages-1.hex holds the frames of SampleMessages, each below its text form. After a
// change that is meant: RINGLEADER_GOLDEN=write native-test wire_codec.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "frame_fixture.h"

namespace ringleader {
namespace {

using namespace test;

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
