// One line for anything, and hashes of states.
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "core/hard_state.h"
#include "core/state_hash.h"
#include "core/text.h"
#include "core/witness.h"
#include "message_fixture.h"
#include "wire/message_codec.h"

namespace ringleader {
namespace {

using namespace test;

const Ballot kBallot{Term(3), Incarnation(0xb)};

TEST(core_text, messages) {
  Ack ack;
  ack.problem = AckProblem::kGap;
  ack.flushed = Lsn(120);
  CHECK_EQ(ToText(SampleOf(2, 1, ack)), std::string("2->1 Ack ballot=3.b problem=gap flushed=120"));
  CHECK_EQ(ToText(Message{}), std::string("*->* Canvass"));
  Message view = SampleOf(7, kNobody.value, Nominate{});
  view.kind = MemberKind::kView;
  CHECK_EQ(ToText(view), std::string("7->* Nominate kind=view ballot=3.b"));
  CHECK_EQ(ToText(SampleOf(1, 2, Records{})), std::string("1->2 Records ballot=3.b"));
}

TEST(core_text, every_kind_of_message_has_its_name) {
  std::set<std::string> names;
  for (const Message& message : SampleMessages()) {
    const std::string text = ToText(message);
    names.insert(std::string(NameOf(message.body)));
    CHECK(text.find("> ") == std::string::npos && text.find('\n') == std::string::npos);
    CHECK(text.find(" " + std::string(NameOf(message.body))) != std::string::npos);
  }
  CHECK_EQ(names.size(), kBodies);
  CHECK_EQ(NameOf(Body(Canvass{})), std::string("Canvass"));
  CHECK_EQ(NameOf(Body(VoteReply{})), std::string("VoteReply"));
  CHECK_EQ(NameOf(Body(Records{})), std::string("Records"));
  CHECK_EQ(NameOf(Body(Ack{})), std::string("Ack"));
  CHECK_EQ(NameOf(Body(Outdated{})), std::string("Outdated"));
  CHECK_EQ(NameOf(Body(SnapshotPiece{})), std::string("SnapshotPiece"));
  CHECK_EQ(NameOf(Body(ReadReply{})), std::string("ReadReply"));
}

TEST(core_text, values) {
  CHECK_EQ(ToText(Ballot{}), std::string("-"));
  CHECK_EQ(ToText(Position{kBallot, Lsn(120)}), std::string("3.b@120"));
  CHECK_EQ(ToText(Position{}), std::string("-@0"));
  CHECK_EQ(ToText(Incarnation(UINT64_MAX)), std::string("ffffffffffffffff"));
  CHECK_EQ(ToText(kNobody), std::string("*"));
  CHECK_EQ(ToText(Member{MemberId(4), Incarnation(0xd), MemberKind::kLearner, 0}),
           std::string("4.d:learner:priority=0"));
  CHECK_EQ(ToText(Member{MemberId(4), {}}), std::string("4"));
}

TEST(core_text, structs) {
  HardState state;
  CHECK_EQ(ToText(state), std::string());
  state.sequence = 4;
  state.group_id[0] = 0x1f;
  state.promised = kBallot;
  state.established = true;
  CHECK_EQ(ToText(state), std::string("sequence=4 group_id=1f000000000000000000000000000000 "
                                      "promised=3.b established"));
  WitnessRegister witness;
  witness.in_sync[1] = Incarnation(0xb);
  CHECK_EQ(ToText(witness), std::string("second=b"));
  const MembershipChange change{MembershipChange::Kind::kSetPriority, {MemberId(2), {}}};
  CHECK_EQ(ToText(change), std::string("kind=set-priority member=2"));
  TermTable terms;
  CHECK(terms.Add({Ballot{}, Lsn()}) && terms.Add({kBallot, Lsn(8)}));
  CHECK_EQ(ToText(terms), std::string("rows=[-@0 3.b@8]"));
}

enum class Nameless : uint8_t { kFirst = 1, kSecond = 2 };

// As the replicator's own state has them.
struct Mixed {
  bool on = true;
  uint8_t bits = 0;
  Nameless phase = Nameless::kFirst;
  std::optional<Position> wanted;
  std::vector<MemberId> votes;
  ReadReply reply;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("on", self.on);
    field("bits", self.bits);
    field("phase", self.phase);
    field("wanted", self.wanted);
    field("votes", self.votes);
    field("reply", self.reply);
  }
};

TEST(core_text, all_kinds_of_fields) {
  Mixed mixed;
  CHECK_EQ(ToText(mixed), std::string());
  mixed = {false, 5, Nameless::kSecond, Position{kBallot, Lsn(9)}, {MemberId(1), MemberId(3)}, {}};
  mixed.reply.granted = true;
  CHECK_EQ(ToText(mixed),
           std::string("on=no bits=5 phase=2 wanted=3.b@9 votes=[1 3] reply={granted}"));
}

// --- Hashes --------------------------------------------------------------------------------------

TEST(core_state_hash, is_the_same_everywhere) {
  CHECK_EQ(HashOf(uint64_t{0}), 0xe220a8397b1dcdafu);  // SplitMix64's first number
  CHECK_EQ(HashOf(std::string("ringleader")), 0x34ee99dade387fa0u);
  CHECK_EQ(HashOf(kBallot), 0x147cf5ba2f44d6d5u);
}

TEST(core_state_hash, what_differs_has_another_hash) {
  std::set<uint64_t> seen;
  size_t count = 0;
  const auto add = [&](const auto& value) {
    seen.insert(HashOf(value));
    ++count;
  };
  using Lists = std::array<std::vector<uint64_t>, 2>;
  add(Lists{std::vector<uint64_t>{1}, {}});
  add(Lists{std::vector<uint64_t>{}, {1}});
  add(Lists{std::vector<uint64_t>{1, 0}, {}});
  add(std::optional<uint64_t>{});
  add(std::optional<uint64_t>{0});
  using Either = std::variant<uint32_t, uint64_t>;
  add(Either{uint32_t{5}});
  add(Either{uint64_t{5}});
  add(std::map<uint64_t, uint64_t>{{1, 2}});
  add(std::map<uint64_t, uint64_t>{{2, 1}});
  add(std::string("abcdefgh"));
  add(std::string("abcdefgh\0", 9));
  add(int64_t{-1});
  add(kBallot);
  add(Position{kBallot, Lsn(1)});
  for (const Message& message : SampleMessages()) add(message);
  CHECK_EQ(seen.size(), count);
}

TEST(core_state_hash, every_field_counts) {
  std::mt19937_64 random(Seed());
  const std::vector<uint8_t> payload(100, 0x5a);
  std::map<std::string, uint64_t> texts;
  std::map<uint64_t, std::string> hashes;
  for (uint64_t round = 0; round < Scale(5000); ++round) {
    const Message message = RandomMessage(random, round % kBodies, payload);
    EncodedMessage encoded;
    EncodeMessage({}, message, kWireVersion, &encoded);
    const std::vector<uint8_t> frame = encoded.Joined();
    const std::string bytes(frame.begin(), frame.end());
    const auto [by_text, fresh_text] = texts.emplace(bytes, HashOf(message));
    CHECK_EQ(by_text->second, HashOf(message));
    const auto [by_hash, fresh_hash] = hashes.emplace(HashOf(message), bytes);
    CHECK(by_hash->second == bytes && fresh_text == fresh_hash);
  }
}

// A flipped bit of the input flips each bit of the output about every second time.
TEST(core_state_hash, bits_spread) {
  constexpr int kRounds = 2000;
  for (int input = 0; input < 64; ++input) {
    std::array<int, 64> flips{};
    for (int round = 0; round < kRounds; ++round) {
      const std::array<uint64_t, 3> words{static_cast<uint64_t>(round), 0, 1};
      std::array<uint64_t, 3> changed = words;
      changed[static_cast<size_t>(round % 3)] ^= uint64_t{1} << input;
      const uint64_t difference = HashOf(words) ^ HashOf(changed);
      for (size_t bit = 0; bit < 64; ++bit) flips[bit] += difference >> bit & 1;
    }
    for (const int count : flips) CHECK(count > kRounds * 4 / 10 && count < kRounds * 6 / 10);
  }
}

}  // namespace
}  // namespace ringleader
