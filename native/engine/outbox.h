// Messages on their way from the pump to the application's transport.
//
// The pump puts frames in and never waits; whoever drives the transport takes them out in batches
// of one destination, as many as there are at a time. A batch is frames one behind the other, which
// is what Replication::ReceiveMany takes. What is small and urgent (heartbeats, votes,
// acknowledgements, requests) comes before records and pieces of snapshots, which a slow transport
// would otherwise have in front of it.
//
// What waits is bounded, and a frame that finds no room is dropped and counted: to the protocol it
// is one more message that was lost on the way.
//
// Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/replication.h"

namespace ringleader {

// What a transport is told of a message.
enum SendFlag : uint8_t {
  kSendPermanent = 1,  // commits of this primary: failing to send it has a consequence
  kSendNoBuffer = 2,   // somebody waits for it, or it speaks of time
  kSendAnywhere = 4,   // a request that any member that has the records can answer
  kSendReRequest = 8,  // it asks again for what did not come
};

struct OutgoingFrame {
  uint32_t control_bytes = 0, payload_bytes = 0;
  Lsn lsn;  // the end of the records in it; 0 = there are none
  uint8_t flags = 0;
};

struct OutgoingBatch {
  MemberId to;                 // kNobody = everybody
  std::vector<uint8_t> bytes;  // of the frames, one behind the other
  std::vector<OutgoingFrame> frames;
  Lsn lsn;            // the highest
  uint8_t flags = 0;  // or-ed
};

class Outbox : public MessageCarrier {
 public:
  struct Counts {
    uint64_t dropped = 0;  // frames that found no room
    uint64_t waiting_frames = 0, waiting_bytes = 0;
    uint64_t taken_batches = 0;
  };

  // Called by the pump, outside any lock, whenever there is something to take.
  explicit Outbox(std::function<void()> on_message) : on_message_(std::move(on_message)) {}

  void Send(const Message& message, const EncodedMessage& bytes) override;
  // Nothing where nothing waits.
  std::optional<OutgoingBatch> Take();
  Counts counts() const;

 private:
  enum Urgency : uint8_t { kUrgent = 0, kBulk = 1 };
  struct Lane {
    std::deque<OutgoingBatch> batches;
    uint64_t bytes = 0;
  };
  using Lanes = std::map<MemberId, Lane>;

  uint8_t FlagsOf(const Message& message);
  std::optional<OutgoingBatch> TakeFrom(Urgency urgency);

  const std::function<void()> on_message_;
  mutable std::mutex mutex_;  // guards what follows
  std::array<Lanes, 2> lanes_;
  std::array<MemberId, 2> taken_last_;  // destinations take turns
  Lsn asked_from_ = kMaxLsn;            // of the latest request, to know it again
  Counts counts_;
};

}  // namespace ringleader
