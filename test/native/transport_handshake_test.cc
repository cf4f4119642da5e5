// Members that convince each other, and everybody else who does not.
#include "transport/handshake.h"

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/coding.h"
#include "harness.h"

namespace ringleader {
namespace {

using Buffer = std::vector<uint8_t>;

class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  void Fill(MutableBytes into) override {
    for (uint8_t& byte : into) byte = static_cast<uint8_t>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

const Crypto& TheCrypto() {
  CHECK_VALUE(const Crypto* crypto, Crypto::Get());
  return *crypto;
}

Introduction MemberOf(uint32_t id) {
  Introduction introduction;
  introduction.group.fill(9);
  introduction.member = MemberId(id);
  introduction.incarnation = Incarnation(1000 + id);
  introduction.details.capabilities = 0xf0 + id;
  introduction.details.boot_id.fill(static_cast<uint8_t>(id));
  introduction.details.rendezvous = {"/run/one-" + std::to_string(id), "@two"};
  introduction.secret.assign(32, 0x5e);
  return introduction;
}

struct Meeting {
  Introduction dialer = MemberOf(1);
  Introduction acceptor = MemberOf(2);
  MemberId called = MemberId(2);
  uint64_t seed = test::Seed();
  // May change a message on its way: number 0 to 3, in their order.
  std::function<void(int, Buffer*)> change = [](int, Buffer*) {};

  Status dialer_status, acceptor_status;
  PeerIdentity dialer_sees, acceptor_sees;
  std::vector<Buffer> messages;  // as they arrived

  // True: both are convinced.
  bool Hold() {
    SeededRandom random(seed);
    CHECK_VALUE(Handshake d,
                Handshake::Create(dialer, HandshakeRole::kDialer, called, TheCrypto(), random));
    CHECK_VALUE(Handshake a, Handshake::Create(acceptor, HandshakeRole::kAcceptor, kNobody,
                                               TheCrypto(), random));
    Buffer message = d.Begin();
    for (int number = 0; number < 4 && !message.empty(); ++number) {
      change(number, &message);
      messages.push_back(message);
      Buffer answer;
      Status& status = number % 2 == 0 ? acceptor_status : dialer_status;
      status = (number % 2 == 0 ? a : d).Take(message, &answer);
      message = answer;
      if (status.ok()) continue;
      // Its refusal reaches the other side, if that still waits.
      Handshake& other = number % 2 == 0 ? d : a;
      Status& other_status = number % 2 == 0 ? dialer_status : acceptor_status;
      if (!message.empty() && !other.done()) other_status = other.Take(message, &answer);
      return false;
    }
    if (d.done()) dialer_sees = d.peer();
    if (a.done()) acceptor_sees = a.peer();
    return d.done() && a.done();
  }
};

}  // namespace

TEST(transport_handshake, two_members_learn_who_the_other_is) {
  Meeting meeting;
  CHECK(meeting.Hold());
  const PeerIdentity& seen = meeting.dialer_sees;
  CHECK(seen.member == MemberId(2) && seen.incarnation == Incarnation(1002));
  CHECK_EQ(seen.version, kWireVersion);
  CHECK(seen.proven && meeting.acceptor_sees.proven);
  CHECK_EQ(seen.details.capabilities, uint64_t{0xf2});
  CHECK(seen.details.boot_id == meeting.acceptor.details.boot_id);
  CHECK(seen.details.rendezvous == meeting.acceptor.details.rendezvous);
  CHECK(meeting.acceptor_sees.member == MemberId(1));
  CHECK(meeting.acceptor_sees.details.rendezvous == meeting.dialer.details.rendezvous);
  CHECK(seen.session_key == meeting.acceptor_sees.session_key);
  CHECK_EQ(meeting.messages.size(), size_t{4});
  // Another meeting of the same two has another key.
  Meeting again;
  again.seed = meeting.seed + 1;
  CHECK(again.Hold());
  CHECK(again.dialer_sees.session_key != seen.session_key);
}

TEST(transport_handshake, the_bytes_of_a_hello_are_these) {
  Meeting meeting;
  CHECK(meeting.Hold());
  const Buffer& hello = meeting.messages[0];
  Buffer expected = {1, 1, 1, kMinWireVersion, kWireVersion, 1};
  expected.insert(expected.end(), 16, 9);
  for (const uint8_t byte : {1, 0, 0, 0, 2, 0, 0, 0, 0xe9, 3, 0, 0, 0, 0, 0, 0}) {
    expected.push_back(byte);
  }
  CHECK_EQ(hello.size(), expected.size() + 32);
  CHECK(std::equal(expected.begin(), expected.end(), hello.begin()));
  const Buffer& proof = meeting.messages[2];
  CHECK_EQ(proof[0], 2);
  const Buffer capabilities = {1, 8, 0xf1, 0, 0, 0, 0, 0, 0, 0, 2, 16, 1, 1};
  CHECK(std::equal(capabilities.begin(), capabilities.end(), proof.begin() + 33));
  CHECK((EncodeRefusal(HelloRefusal::kBusy) == Buffer{3, 6}));
}

TEST(transport_handshake, a_wrong_secret_convinces_nobody) {
  for (const int who : {0, 1}) {
    Meeting meeting;
    (who == 0 ? meeting.dialer : meeting.acceptor).secret.back() ^= 1;
    CHECK(!meeting.Hold());
    CHECK_CODE(meeting.acceptor_status, Code::kPermission);
    CHECK_CODE(meeting.dialer_status, Code::kPermission);
    // The stranger who dials gets no proof, nor what a member tells.
    CHECK_EQ(meeting.messages.size(), size_t{3});
  }
}

TEST(transport_handshake, both_sides_have_a_secret_or_none_has) {
  for (const int who : {0, 1}) {
    Meeting meeting;
    (who == 0 ? meeting.dialer : meeting.acceptor).secret.clear();
    CHECK(!meeting.Hold());
    CHECK_CODE(meeting.acceptor_status, Code::kPermission);
    CHECK_CODE(meeting.dialer_status, Code::kPermission);
  }
  Meeting open;
  open.dialer.secret.clear();
  open.acceptor.secret.clear();
  CHECK(open.Hold());
  CHECK(!open.dialer_sees.proven && !open.acceptor_sees.proven);
}

// Whatever bit is changed on the way, of what both say they are: somebody notices.
TEST(transport_handshake, every_bit_of_what_is_said_counts) {
  Meeting whole;
  CHECK(whole.Hold());
  for (int number = 0; number < 4; ++number) {
    for (size_t bit = 0; bit < whole.messages[static_cast<size_t>(number)].size() * 8; ++bit) {
      Meeting meeting;
      meeting.change = [&](int at, Buffer* message) {
        if (at == number) (*message)[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
      };
      CHECK(!meeting.Hold());
    }
  }
}

TEST(transport_handshake, a_message_is_taken_whole_or_not) {
  Meeting whole;
  CHECK(whole.Hold());
  for (int number = 0; number < 4; ++number) {
    const size_t size = whole.messages[static_cast<size_t>(number)].size();
    for (size_t cut = 0; cut <= size + 1; ++cut) {
      if (cut == size) continue;
      Meeting meeting;
      meeting.change = [&](int at, Buffer* message) {
        if (at == number) message->resize(cut);
      };
      CHECK(!meeting.Hold());
    }
    Meeting meeting;
    meeting.change = [&](int at, Buffer* message) {
      if (at == number) message->resize(kMaxHelloBytes + 1);
    };
    CHECK(!meeting.Hold());
  }
}

// What was heard once convinces nobody again: the other side's nonce is a new one.
TEST(transport_handshake, what_was_recorded_is_worth_nothing) {
  Meeting first;
  CHECK(first.Hold());
  for (const int side : {0, 1}) {
    Meeting second;
    second.seed = first.seed + 1;
    second.change = [&](int at, Buffer* message) {
      if (at % 2 == side) *message = first.messages[static_cast<size_t>(at)];
    };
    CHECK(!second.Hold());
    CHECK_CODE(side == 0 ? second.acceptor_status : second.dialer_status, Code::kPermission);
  }
}

// Somebody without the secret answers with what the dialer itself has said.
TEST(transport_handshake, what_is_reflected_is_worth_nothing) {
  Meeting echo;
  echo.change = [&](int at, Buffer* message) {
    if (at == 1) *message = echo.messages[0];
  };
  CHECK(!echo.Hold());
  CHECK_CODE(echo.dialer_status, Code::kCorruption);  // the role is the wrong one
  // With a hello of its own, and the dialer's proof.
  Meeting proof;
  proof.acceptor.secret.assign(32, 1);
  SeededRandom random(1);
  CHECK_VALUE(Handshake dialer, Handshake::Create(proof.dialer, HandshakeRole::kDialer, MemberId(2),
                                                  TheCrypto(), random));
  CHECK_VALUE(Handshake stranger, Handshake::Create(proof.acceptor, HandshakeRole::kAcceptor,
                                                    kNobody, TheCrypto(), random));
  Buffer answer, own_proof;
  CHECK_OK(stranger.Take(dialer.Begin(), &answer));
  CHECK_OK(dialer.Take(answer, &own_proof));
  CHECK_CODE(dialer.Take(own_proof, &answer), Code::kPermission);
  CHECK(!dialer.done());
}

TEST(transport_handshake, it_is_the_member_that_was_called) {
  Meeting other;
  other.called = MemberId(3);
  CHECK(!other.Hold());
  CHECK_CODE(other.acceptor_status, Code::kNotFound);
  CHECK_CODE(other.dialer_status, Code::kNotFound);
  Meeting any;
  any.called = kNobody;
  CHECK(any.Hold());
  CHECK(any.dialer_sees.member == MemberId(2));
  Meeting same;
  same.acceptor.member = MemberId(1);
  same.called = kNobody;
  CHECK(!same.Hold());
  CHECK_CODE(same.acceptor_status, Code::kNotFound);
  Meeting group;
  group.acceptor.group[15] ^= 1;
  CHECK(!group.Hold());
  CHECK_CODE(group.acceptor_status, Code::kNotFound);
  CHECK_CODE(group.dialer_status, Code::kNotFound);
  CHECK(group.dialer_status.message().find("another group") != std::string::npos);
}

TEST(transport_handshake, both_speak_the_highest_common_version) {
  Meeting meeting;
  meeting.dialer.versions = {1, 7};
  meeting.acceptor.versions = {3, 9};
  CHECK(meeting.Hold());
  CHECK_EQ(meeting.dialer_sees.version, 7);
  CHECK_EQ(meeting.acceptor_sees.version, 7);
  Meeting apart;
  apart.dialer.versions = {1, 2};
  apart.acceptor.versions = {3, 9};
  CHECK(!apart.Hold());
  CHECK_CODE(apart.dialer_status, Code::kUnsupported);
  CHECK_CODE(apart.acceptor_status, Code::kUnsupported);
}

// A later version says more behind its hello and has a field that nobody here knows: it is passed
// over, and part of what is proven. The proof is made as docs/FORMATS.md says.
TEST(transport_handshake, what_is_not_known_is_passed_over) {
  const Crypto& crypto = TheCrypto();
  const Introduction us = MemberOf(2);
  const Introduction them = MemberOf(1);
  SeededRandom random(1);
  CHECK_VALUE(Handshake acceptor,
              Handshake::Create(us, HandshakeRole::kAcceptor, kNobody, crypto, random));
  CHECK_VALUE(Handshake dialer,
              Handshake::Create(them, HandshakeRole::kDialer, MemberId(2), crypto, random));
  Buffer hello = dialer.Begin();
  hello.insert(hello.end(), {1, 2, 3});
  Buffer answer;
  CHECK_OK(acceptor.Take(hello, &answer));
  const Buffer fields = {1, 8, 5, 0, 0, 0, 0, 0, 0, 0, 200, 3, 'n', 'e', 'w', 3, 1, 'x'};
  Buffer said;
  Encoder encoder(&said);
  for (const Buffer& each : {hello, answer, fields}) encoder.Sized(each);
  const std::string label = "ringleader 1 proof of the dialer";
  const Digest key =
      crypto.HkdfExpand(crypto.HkdfExtract(them.group, them.secret),
                        {reinterpret_cast<const uint8_t*>(label.data()), label.size()});
  const Digest mac = crypto.Hmac(key, said);
  Buffer proof = {2};
  proof.insert(proof.end(), mac.begin(), mac.end());
  proof.insert(proof.end(), fields.begin(), fields.end());
  CHECK_OK(acceptor.Take(proof, &answer));
  CHECK(acceptor.done());
  CHECK_EQ(acceptor.peer().details.capabilities, uint64_t{5});
  CHECK((acceptor.peer().details.rendezvous == std::vector<std::string>{"x"}));
}

TEST(transport_handshake, any_bytes_are_refused) {
  std::mt19937_64 dice(test::Seed());
  Meeting whole;
  CHECK(whole.Hold());
  for (uint64_t i = 0; i < test::Scale(20'000); ++i) {
    const int number = static_cast<int>(dice() % 4);
    Meeting meeting;
    meeting.change = [&](int at, Buffer* message) {
      if (at != number) return;
      if (dice() % 4 == 0) *message = whole.messages[dice() % 4];
      message->resize(dice() % 8 == 0 ? dice() % 200 : message->size());
      const size_t from = at % 2 == 0 ? 0 : message->size() / 2;
      for (size_t count = 1 + dice() % 4; count > 0 && from < message->size(); --count) {
        (*message)[from + dice() % (message->size() - from)] ^=
            static_cast<uint8_t>(1 + dice() % 255);
      }
      // The same seed makes what was recorded true: a change it has to be.
      if (*message == whole.messages[static_cast<size_t>(at)]) message->push_back(0);
    };
    CHECK(!meeting.Hold());
  }
}

TEST(transport_handshake, what_an_introduction_must_not_hold) {
  SeededRandom random(1);
  const auto code = [&](const Introduction& introduction) {
    return Handshake::Create(introduction, HandshakeRole::kDialer, kNobody, TheCrypto(), random)
        .status()
        .code();
  };
  for (const size_t size :
       {size_t{1}, kMinSecretBytes - 1, kMinSecretBytes, kMaxSecretBytes, kMaxSecretBytes + 1}) {
    Introduction introduction = MemberOf(1);
    introduction.secret.assign(size, 1);
    const bool good = size >= kMinSecretBytes && size <= kMaxSecretBytes;
    CHECK_EQ(code(introduction), good ? Code::kOk : Code::kInvalidArgument);
  }
  for (const size_t size : {size_t{0}, size_t{1}, kMaxRendezvousBytes, kMaxRendezvousBytes + 1}) {
    Introduction introduction = MemberOf(1);
    introduction.details.rendezvous = {std::string(size, 'x')};
    const bool good = size >= 1 && size <= kMaxRendezvousBytes;
    CHECK_EQ(code(introduction), good ? Code::kOk : Code::kInvalidArgument);
  }
  Introduction names = MemberOf(1);
  names.details.rendezvous.assign(kMaxRendezvousNames + 1, "x");
  CHECK_EQ(code(names), Code::kInvalidArgument);
  names.details.rendezvous.assign(kMaxRendezvousNames, std::string(kMaxRendezvousBytes, 'x'));
  CHECK_EQ(code(names), Code::kOk);
  Introduction nobody = MemberOf(1);
  nobody.member = kNobody;
  CHECK_EQ(code(nobody), Code::kInvalidArgument);
}

// The second connection of one link is none of another, and the two sides show different things.
TEST(transport_handshake, tokens_are_of_one_session_and_one_side) {
  const Crypto& crypto = TheCrypto();
  Digest one{}, two{};
  two[31] = 1;
  CHECK(SessionIdOf(crypto, one) != SessionIdOf(crypto, two));
  const Digest dialer = SecondToken(crypto, one, HandshakeRole::kDialer);
  CHECK(dialer != SecondToken(crypto, two, HandshakeRole::kDialer));
  CHECK(dialer != SecondToken(crypto, one, HandshakeRole::kAcceptor));
  const Buffer message = EncodeSecond(SessionIdOf(crypto, one), dialer);
  CHECK(IsSecond(message));
  CHECK_VALUE(const Second back, DecodeSecond(message));
  CHECK(back.session == SessionIdOf(crypto, one) && back.token == dialer);
  for (size_t size = 0; size < message.size(); ++size) {
    CHECK_CODE(DecodeSecond(Bytes(message).first(size)).status(), Code::kCorruption);
  }
  CHECK_CODE(DecodeSecond(EncodeRefusal(HelloRefusal::kBusy)).status(), Code::kBusy);
}

}  // namespace ringleader
