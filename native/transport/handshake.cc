#include "transport/handshake.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "base/coding.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

// Of the layouts here. A change that this version does not read has another number.
constexpr uint8_t kFormat = 1;

enum class Kind : uint8_t { kHello = 1, kProof = 2, kRefusal = 3, kSecond = 4 };

// Of the fields behind a proof; who does not know one passes over it.
enum class Field : uint8_t { kCapabilities = 1, kBootId = 2, kRendezvous = 3 };

constexpr std::string_view kHere = "a connection is refused: ";
constexpr std::string_view kThere = "the other side refuses the connection: ";

Status StatusOf(HelloRefusal reason, std::string_view who) {
  const auto status = [who](Code code, std::string_view why) {
    return Status(code, std::string(who).append(why));
  };
  switch (reason) {
    case HelloRefusal::kGroup:
      return status(Code::kNotFound, "it is a member of another group");
    case HelloRefusal::kMember:
      return status(Code::kNotFound, "it is not the member that is meant");
    case HelloRefusal::kVersion:
      return status(Code::kUnsupported, "the two speak no common version");
    case HelloRefusal::kSecret:
      return status(Code::kPermission, "the two do not have the same secret");
    case HelloRefusal::kBusy:
      return status(Code::kBusy, "there are as many connections as are taken");
    case HelloRefusal::kMalformed:
      break;
  }
  return status(Code::kCorruption, "the hello is damaged");
}

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

bool IsName(Bytes name) { return !name.empty() && name.size() <= kMaxRendezvousBytes; }

void EncodeDetails(const Details& details, std::vector<uint8_t>* out) {
  Encoder encoder(out);
  const auto field = [&](Field tag, Bytes value) {
    encoder.Fixed(static_cast<uint8_t>(tag));
    encoder.Sized(value);
  };
  std::array<uint8_t, 8> capabilities;
  StoreLe(capabilities.data(), details.capabilities);
  field(Field::kCapabilities, capabilities);
  field(Field::kBootId, details.boot_id);
  for (const std::string& name : details.rendezvous) field(Field::kRendezvous, AsBytes(name));
}

bool DecodeField(uint8_t tag, Bytes value, Details* details) {
  switch (static_cast<Field>(tag)) {
    case Field::kCapabilities:
      if (value.size() != 8) return false;
      details->capabilities = LoadLe<uint64_t>(value.data());
      return true;
    case Field::kBootId:
      if (value.size() != details->boot_id.size()) return false;
      std::copy(value.begin(), value.end(), details->boot_id.begin());
      return true;
    case Field::kRendezvous:
      if (!IsName(value) || details->rendezvous.size() == kMaxRendezvousNames) return false;
      details->rendezvous.emplace_back(value.begin(), value.end());
      return true;
  }
  return true;
}

bool DecodeDetails(Bytes bytes, Details* details) {
  Decoder decoder(bytes);
  while (decoder.ok() && !decoder.rest().empty()) {
    uint8_t tag = 0;
    Bytes value;
    if (!decoder.Fixed(&tag) || !decoder.Sized(kMaxHelloBytes, &value)) return false;
    if (!DecodeField(tag, value, details)) return false;
  }
  return decoder.ok();
}

Status CheckIntroduction(const Introduction& introduction) {
  const size_t secret = introduction.secret.size();
  if (secret != 0 && (secret < kMinSecretBytes || secret > kMaxSecretBytes)) {
    return Status(Code::kInvalidArgument, "the secret of a group has 16 to 1024 bytes");
  }
  if (introduction.member == kNobody) {
    return Status(Code::kInvalidArgument, "a member needs an id before it connects");
  }
  const std::vector<std::string>& names = introduction.details.rendezvous;
  if (names.size() > kMaxRendezvousNames ||
      !std::all_of(names.begin(), names.end(),
                   [](const std::string& name) { return IsName(AsBytes(name)); })) {
    return Status(Code::kInvalidArgument, "names of rendezvous sockets: 4, of 1 to 107 bytes each");
  }
  return Status::Ok();
}

}  // namespace

std::vector<uint8_t> EncodeRefusal(HelloRefusal reason) {
  return {static_cast<uint8_t>(Kind::kRefusal), static_cast<uint8_t>(reason)};
}

Handshake::Handshake(const Introduction& introduction, HandshakeRole role, MemberId expected,
                     const Crypto& crypto, Random& random)
    : introduction_(&introduction),
      crypto_(&crypto),
      role_(role),
      expected_(expected),
      stage_(role == HandshakeRole::kDialer ? Stage::kBegin : Stage::kHello) {
  random.Fill(nonce_);
}

Result<Handshake> Handshake::Create(const Introduction& introduction, HandshakeRole role,
                                    MemberId expected, const Crypto& crypto, Random& random) {
  RL_RETURN_IF_ERROR(CheckIntroduction(introduction));
  return Handshake(introduction, role, expected, crypto, random);
}

Status Handshake::Refuse(HelloRefusal reason) {
  refusal_ = reason;
  return StatusOf(reason, kHere);
}

std::vector<uint8_t> Handshake::Hello() const {
  std::vector<uint8_t> hello;
  Encoder encoder(&hello);
  encoder.Fixed(static_cast<uint8_t>(Kind::kHello));
  encoder.Fixed(kFormat);
  encoder.Fixed(static_cast<uint8_t>(role_));
  encoder.Fixed(introduction_->versions.min);
  encoder.Fixed(introduction_->versions.max);
  encoder.Fixed(static_cast<uint8_t>(introduction_->secret.empty() ? 0 : 1));
  encoder.Raw(introduction_->group);
  encoder.Fixed(introduction_->member.value);
  encoder.Fixed(expected_.value);
  encoder.Fixed(introduction_->incarnation.value);
  encoder.Raw(nonce_);
  return hello;
}

std::vector<uint8_t> Handshake::Begin() {
  RL_CHECK(stage_ == Stage::kBegin);
  stage_ = Stage::kHello;
  std::vector<uint8_t> hello = Hello();
  Encoder(&transcript_).Sized(hello);
  return hello;
}

Status Handshake::Take(Bytes message, std::vector<uint8_t>* out) {
  RL_CHECK(stage_ == Stage::kHello || stage_ == Stage::kProof);
  out->clear();
  const Status status = Step(message, out);
  if (status.ok()) return status;
  stage_ = Stage::kOver;
  out->clear();
  if (refusal_) *out = EncodeRefusal(*refusal_);
  return status;
}

Status Handshake::Step(Bytes message, std::vector<uint8_t>* out) {
  if (message.empty() || message.size() > kMaxHelloBytes) return Refuse(HelloRefusal::kMalformed);
  if (message[0] == static_cast<uint8_t>(Kind::kRefusal)) {
    if (message.size() != 2) return Refuse(HelloRefusal::kMalformed);
    return StatusOf(static_cast<HelloRefusal>(message[1]), kThere);
  }
  if (stage_ == Stage::kHello) {
    RL_RETURN_IF_ERROR(TakeHello(message));
    stage_ = Stage::kProof;
    if (dials()) {
      *out = Proof();
    } else {
      *out = Hello();
      Encoder(&transcript_).Sized(*out);
    }
    return Status::Ok();
  }
  RL_RETURN_IF_ERROR(TakeProof(message));
  if (!dials()) *out = Proof();
  DeriveSession();
  stage_ = Stage::kDone;
  return Status::Ok();
}

Status Handshake::TakeHello(Bytes message) {
  Decoder decoder(message);
  uint8_t kind = 0, format = 0, role = 0, secured = 0;
  if (!decoder.Fixed(&kind) || kind != static_cast<uint8_t>(Kind::kHello)) {
    return Refuse(HelloRefusal::kMalformed);
  }
  if (!decoder.Fixed(&format) || format != kFormat) return Refuse(HelloRefusal::kVersion);
  VersionRange versions;
  Bytes group, nonce;
  MemberId called;
  // What a later version adds behind it is passed over, but part of the proof.
  const bool whole =
      decoder.Fixed(&role) && decoder.Fixed(&versions.min) && decoder.Fixed(&versions.max) &&
      decoder.Fixed(&secured) && decoder.Raw(introduction_->group.size(), &group) &&
      decoder.Fixed(&peer_.member.value) && decoder.Fixed(&called.value) &&
      decoder.Fixed(&peer_.incarnation.value) && decoder.Raw(peer_nonce_.size(), &nonce);
  const auto other = dials() ? HandshakeRole::kAcceptor : HandshakeRole::kDialer;
  if (!whole || role != static_cast<uint8_t>(other) || secured > 1) {
    return Refuse(HelloRefusal::kMalformed);
  }
  if (!std::equal(group.begin(), group.end(), introduction_->group.begin())) {
    return Refuse(HelloRefusal::kGroup);
  }
  std::copy(nonce.begin(), nonce.end(), peer_nonce_.begin());
  Encoder(&transcript_).Sized(message);
  return CheckPeer(called, secured == 1, versions);
}

Status Handshake::CheckPeer(MemberId called, bool secured, VersionRange versions) {
  const bool to_others = called != kNobody && called != introduction_->member;
  const bool from_others = expected_ != kNobody && expected_ != peer_.member;
  if (to_others || from_others || peer_.member == introduction_->member ||
      peer_.member == kNobody) {
    return Refuse(HelloRefusal::kMember);
  }
  const std::optional<uint8_t> version = ChooseWireVersion(introduction_->versions, versions);
  if (!version) return Refuse(HelloRefusal::kVersion);
  peer_.version = *version;
  if (secured == introduction_->secret.empty()) return Refuse(HelloRefusal::kSecret);
  peer_.proven = secured;
  return Status::Ok();
}

Digest Handshake::MacOf(HandshakeRole role, Bytes details) const {
  const Digest root = crypto_->HkdfExtract(introduction_->group, introduction_->secret);
  const Digest key = crypto_->HkdfExpand(
      root, AsBytes(role == HandshakeRole::kDialer ? "ringleader 1 proof of the dialer"
                                                   : "ringleader 1 proof of the acceptor"));
  std::vector<uint8_t> all = transcript_;
  Encoder(&all).Sized(details);
  return crypto_->Hmac(key, all);
}

std::vector<uint8_t> Handshake::Proof() {
  std::vector<uint8_t> details;
  EncodeDetails(introduction_->details, &details);
  own_mac_ = MacOf(role_, details);
  std::vector<uint8_t> proof;
  Encoder encoder(&proof);
  encoder.Fixed(static_cast<uint8_t>(Kind::kProof));
  encoder.Raw(own_mac_);
  encoder.Raw(details);
  Encoder(&transcript_).Sized(proof);
  return proof;
}

Status Handshake::TakeProof(Bytes message) {
  Decoder decoder(message);
  uint8_t kind = 0;
  Bytes mac_bytes;
  if (!decoder.Fixed(&kind) || kind != static_cast<uint8_t>(Kind::kProof) ||
      !decoder.Raw(sizeof(Digest), &mac_bytes)) {
    return Refuse(HelloRefusal::kMalformed);
  }
  Digest mac;
  std::copy(mac_bytes.begin(), mac_bytes.end(), mac.begin());
  const auto other = dials() ? HandshakeRole::kAcceptor : HandshakeRole::kDialer;
  const bool reflected = RL_MUTANT(kTakeOwnProof) && crypto_->Equal(mac, own_mac_);
  // Before the details are looked at: until here they are anybody's.
  if (!crypto_->Equal(mac, MacOf(other, decoder.rest())) && !reflected && !RL_MUTANT(kSkipProof)) {
    return Refuse(HelloRefusal::kSecret);
  }
  if (!DecodeDetails(decoder.rest(), &peer_.details)) return Refuse(HelloRefusal::kMalformed);
  Encoder(&transcript_).Sized(message);
  return Status::Ok();
}

void Handshake::DeriveSession() {
  const Digest root = crypto_->HkdfExtract(introduction_->group, introduction_->secret);
  const Digest key = crypto_->HkdfExpand(root, AsBytes("ringleader 1 sessions"));
  peer_.session_key = crypto_->Hmac(key, transcript_);
}

SessionId SessionIdOf(const Crypto& crypto, const Digest& session_key) {
  const Digest digest = crypto.HkdfExpand(session_key, AsBytes("ringleader 1 session id"));
  SessionId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

Digest SecondToken(const Crypto& crypto, const Digest& session_key, HandshakeRole role) {
  return crypto.HkdfExpand(
      session_key, AsBytes(role == HandshakeRole::kDialer ? "ringleader 1 second of the dialer"
                                                          : "ringleader 1 second of the acceptor"));
}

std::vector<uint8_t> EncodeSecond(const SessionId& session, const Digest& token) {
  std::vector<uint8_t> message;
  Encoder encoder(&message);
  encoder.Fixed(static_cast<uint8_t>(Kind::kSecond));
  encoder.Raw(session);
  encoder.Raw(token);
  return message;
}

bool IsSecond(Bytes message) {
  return !message.empty() && message[0] == static_cast<uint8_t>(Kind::kSecond);
}

Result<Second> DecodeSecond(Bytes message) {
  if (message.size() == 2 && message[0] == static_cast<uint8_t>(Kind::kRefusal)) {
    return StatusOf(static_cast<HelloRefusal>(message[1]), kThere);
  }
  Decoder decoder(message);
  uint8_t kind = 0;
  Bytes session, token;
  Second second;
  if (!decoder.Fixed(&kind) || kind != static_cast<uint8_t>(Kind::kSecond) ||
      !decoder.Raw(second.session.size(), &session) || !decoder.Raw(second.token.size(), &token) ||
      !decoder.Finished()) {
    return StatusOf(HelloRefusal::kMalformed, kHere);
  }
  std::copy(session.begin(), session.end(), second.session.begin());
  std::copy(token.begin(), token.end(), second.token.begin());
  return second;
}

}  // namespace ringleader
