// How two members convince each other that both know the secret of their group, before anything
// else is said over a connection (docs/FORMATS.md#hello).
//
//   dialer    -> acceptor   hello: group, member, incarnation, versions, nonce
//   acceptor  -> dialer     hello: the same
//   dialer    -> acceptor   proof: MAC over both hellos and what else the dialer tells
//   acceptor  -> dialer     proof: MAC over all of that and what else the acceptor tells
//
// What makes it hold:
//   - both nonces are in every MAC: what was recorded is worth nothing another time;
//   - each role has a key of its own: nobody's own proof is the one that he waits for;
//   - group, members, incarnations, roles and the range of versions of both are in every MAC:
//     a proof for one is none for another, and nobody talks two members down to an old version;
//   - the dialer proves first: a stranger who dials learns no proof, which he could try guesses of
//     the secret on, nor names and abilities of the member. He who answers in a member's stead does
//     get one proof; so a secret has at least 16 bytes, and random ones.
// What it does not: a connection that was authenticated is neither secret nor safe from who can
// change its bytes on the way. That is what TLS is for (transport/tcp/conduit.h).
//
// Without a secret both sides say so, nothing is proven, and the owner of the connection has to
// know that it comes from this machine.
//
// The messages are short, each of them travels as one frame (FrameType::kHello). Bytes in, bytes
// out: no clock and no connection here. Whatever comes from outside ends in a Status.
//
// Threads: one at a time for each object.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "env/random.h"
#include "transport/crypto.h"
#include "wire/message_codec.h"

namespace ringleader {

inline constexpr size_t kMinSecretBytes = 16;
inline constexpr size_t kMaxSecretBytes = 1024;
// Of one message.
inline constexpr size_t kMaxHelloBytes = 4096;
inline constexpr size_t kMaxRendezvousNames = 4;
// The longest that a unix socket takes.
inline constexpr size_t kMaxRendezvousBytes = 107;

// What a member tells those who have proven that they know the secret.
struct Details {
  uint64_t capabilities = 0;
  std::array<uint8_t, 16> boot_id{};
  std::vector<std::string> rendezvous;  // names of unix sockets, where members on one host meet
};

struct Introduction {
  GroupId group{};
  MemberId member;
  Incarnation incarnation;
  VersionRange versions;
  Details details;
  std::vector<uint8_t> secret;  // empty: none
};

// Who is at the other end.
struct PeerIdentity {
  MemberId member;
  Incarnation incarnation;
  uint8_t version = 0;  // that both speak
  bool proven = false;  // by the secret
  Details details;
  // Of this connection, and known to both ends only where `proven`.
  Digest session_key{};
};

// Why a connection is refused, as the other side is told.
enum class HelloRefusal : uint8_t {
  kMalformed = 1,
  kGroup = 2,    // of another group
  kMember = 3,   // the member is not the one that was called, or has the other side's own id
  kVersion = 4,  // no common version
  kSecret = 5,   // the secrets differ
  kBusy = 6,     // no room for more connections, or for this one
};

// The message that says so.
std::vector<uint8_t> EncodeRefusal(HelloRefusal reason);

enum class HandshakeRole : uint8_t { kDialer = 1, kAcceptor = 2 };

class Handshake {
 public:
  // `introduction` and `crypto` stay alive as long as this. `expected`: the member that is called,
  // or kNobody where it is not known yet; an acceptor takes any.
  // kInvalidArgument for a secret, names or ids that are outside their limits.
  static Result<Handshake> Create(const Introduction& introduction, HandshakeRole role,
                                  MemberId expected, const Crypto& crypto, Random& random);

  // The dialer's first message.
  std::vector<uint8_t> Begin();
  // The next message of the other side, whose answer is put into `out`; empty: there is none. After
  // an error it is over; what `out` holds then tells the other side why and is worth one attempt
  // to send it. kPermission: the secrets differ; kNotFound: the group or the member is another;
  // kUnsupported, kNewerFormat: no common version; kBusy: the other side has no room; kCorruption.
  Status Take(Bytes message, std::vector<uint8_t>* out);
  bool done() const { return stage_ == Stage::kDone; }
  // Once it is done.
  const PeerIdentity& peer() const { return peer_; }

 private:
  enum class Stage : uint8_t { kBegin, kHello, kProof, kDone, kOver };

  Handshake(const Introduction& introduction, HandshakeRole role, MemberId expected,
            const Crypto& crypto, Random& random);
  bool dials() const { return role_ == HandshakeRole::kDialer; }
  std::vector<uint8_t> Hello() const;
  std::vector<uint8_t> Proof();
  Status Step(Bytes message, std::vector<uint8_t>* out);
  Status TakeHello(Bytes message);
  Status CheckPeer(MemberId called, bool secured, VersionRange versions);
  Status TakeProof(Bytes message);
  // Of the side with that role, over everything said before its proof and `details`.
  Digest MacOf(HandshakeRole role, Bytes details) const;
  void DeriveSession();
  Status Refuse(HelloRefusal reason);

  const Introduction* introduction_;
  const Crypto* crypto_;
  HandshakeRole role_;
  MemberId expected_;
  Stage stage_;
  Digest nonce_{};
  Digest peer_nonce_{};
  Digest own_mac_{};
  // What both sides have said, with its lengths: what the proofs are over.
  std::vector<uint8_t> transcript_;
  std::optional<HelloRefusal> refusal_;  // that the other side is to be told
  PeerIdentity peer_;
};

// --- The second connection of a link -------------------------------------------------------------

// Which link it belongs to. Public: it is sent as it is.
using SessionId = std::array<uint8_t, 16>;
SessionId SessionIdOf(const Crypto& crypto, const Digest& session_key);
// What each side shows for it. It follows from the key of the session and is of use once, because a
// link has one second connection at most.
Digest SecondToken(const Crypto& crypto, const Digest& session_key, HandshakeRole role);

// The message of either side.
std::vector<uint8_t> EncodeSecond(const SessionId& session, const Digest& token);
bool IsSecond(Bytes message);
struct Second {
  SessionId session{};
  Digest token{};
};
Result<Second> DecodeSecond(Bytes message);

}  // namespace ringleader
