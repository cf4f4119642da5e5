// A link over TCP: one connection for everything, and a second one for snapshots once there are
// any, so that a gigabyte of them delays no record.
//
// The second connection is dialed by the side that has dialed the first, by itself or because it is
// asked to, and proves with a token of the handshake that it belongs there. Until it is there
// snapshots wait; where it cannot be had they take the first one. From then on the two are one
// link: the end of either is the end of it.
//
// Threads: one, the poller's.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "env/clock.h"
#include "env/random.h"
#include "transport/crypto.h"
#include "transport/handshake.h"
#include "transport/link.h"
#include "transport/poller.h"
#include "transport/tcp/second_dial.h"
#include "transport/tcp/socket.h"
#include "transport/tcp/tcp_stream.h"

namespace ringleader {

class TcpLink;

// What all connections of a member have in common; everything in it outlives them.
struct TcpContext {
  Poller* poller = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  const Crypto* crypto = nullptr;
  const Introduction* introduction = nullptr;
  TcpLimits limits;
  SocketOptions socket;
  bool insecure = false;  // TCP beyond loopback although there is no TLS
  // Until a connection is there, and until both have said who they are.
  uint64_t connect_ns = 5'000'000'000;
  uint64_t hello_ns = 5'000'000'000;
  // Connections at a time that have not said yet who they are; beyond it the oldest has to go.
  size_t max_strangers = 64;
};

// The links that a listener has given away, for second connections to find them.
using TcpSessions = std::map<SessionId, TcpLink*>;

// Whoever takes links over.
class TcpSink {
 public:
  virtual ~TcpSink() = default;
  virtual void OnLink(std::unique_ptr<TcpLink> link) = 0;
};

class TcpLink final : public Link, private Watcher, private FrameListener, private SecondOwner {
 public:
  // `conduit` has been authenticated, and is not watched any more. `sessions`: of the listener that
  // has accepted it; else the link has been dialed to `dialed`, where a second connection goes too.
  static Result<std::unique_ptr<TcpLink>> Create(const TcpContext& context,
                                                 std::unique_ptr<Conduit> conduit,
                                                 const PeerIdentity& peer, HandshakeRole role,
                                                 const Endpoint& dialed,
                                                 std::shared_ptr<TcpSessions> sessions);
  ~TcpLink() override;
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;

  LinkKind kind() const override { return LinkKind::kTcp; }
  size_t Room(Lane lane) const override;
  Result<bool> Send(Lane lane, Bytes head, Bytes body) override;
  Status Flush() override;
  Result<bool> Receive(size_t limit, std::vector<uint8_t>* out) override;
  bool PrepareSleep() override;
  void EndSleep() override {}
  const LinkCounters& counters() const override { return counters_; }

  const PeerIdentity& peer() const { return peer_; }
  // Frames of type kHello and kSwitch, which are refused while nobody takes them. They are sent
  // behind the urgent messages that wait, and have at most kMaxHelloBytes of payload.
  void SetListener(FrameListener* listener) { listener_ = listener; }
  Result<bool> SendFrame(FrameType type, Bytes payload);
  // Nothing that Send or SendFrame has taken is left on this side.
  bool AllSent() const;
  // Ends what has taken too long.
  void Tick(uint64_t now_ns);
  // Snapshots have a connection of their own.
  bool has_second() const { return second_ != nullptr; }
  // Bytes of messages held on their way in.
  size_t held() const;

  // A second connection has come to the listener: it belongs to this link, which has none.
  bool MayAttach(const Digest& token) const;
  // One that was dialed or may be attached, and is not watched.
  void UseSecond(std::unique_ptr<Conduit> conduit);

 private:
  // Of the second connection, which carries nothing but snapshots.
  struct NoFrames final : FrameListener {
    Status OnFrame(FrameType, Bytes) override {
      return Status(Code::kCorruption, "a frame that has no place on a second connection");
    }
  };
  // Where the second connection has got to.
  enum class Second : uint8_t { kNone, kWanted, kThere, kRefused };

  TcpLink(const TcpContext& context, std::unique_ptr<Conduit> conduit, const PeerIdentity& peer,
          HandshakeRole role, const Endpoint& dialed, std::shared_ptr<TcpSessions> sessions);

  void OnReady(int descriptor, uint32_t events) override;
  Status OnFrame(FrameType type, Bytes payload) override;
  void OnSecond(Result<std::unique_ptr<Conduit>> conduit) override;

  const FrameQueue& QueueOf(Lane lane) const;
  FrameQueue& QueueOf(Lane lane) {
    return const_cast<FrameQueue&>(static_cast<const TcpLink&>(*this).QueueOf(lane));
  }
  size_t LimitOf(Lane lane) const;
  void WantSecond();
  void DialSecond();
  void GiveUpSecond();
  void RefuseSecond();
  void Push();
  void PushOn();
  bool Stage();
  Result<bool> PullAll(size_t limit, MessageSink* sink);
  size_t TakeStaged(size_t limit, std::vector<uint8_t>* out);
  bool RoomHasCome();

  const TcpContext context_;
  const PeerIdentity peer_;
  const HandshakeRole role_;
  const Endpoint dialed_;
  const std::shared_ptr<TcpSessions> sessions_;
  const size_t max_message_bytes_;
  FrameListener* listener_ = nullptr;
  NoFrames no_frames_;
  TcpStream main_;
  bool watched_ = false;
  std::unique_ptr<TcpStream> second_;
  Second second_state_ = Second::kNone;
  std::unique_ptr<SecondDial> dial_;
  uint64_t dial_until_ns_ = 0;
  FrameQueue snapshots_;       // until it is known where they go
  bool second_first_ = false;  // which one is asked first takes turns
  Status status_;              // the error that is final
  Status closed_;              // a connection has ended; the other one may have more
  // Messages that were read before anybody has asked for them: to find out before a sleep whether
  // what has come is one.
  std::vector<uint8_t> staged_;
  std::vector<size_t> staged_ends_;
  size_t staged_taken_ = 0, staged_at_ = 0;
  std::array<size_t, kLanes> refused_{};  // sizes of messages that found no room
  LinkCounters counters_;
};

}  // namespace ringleader
