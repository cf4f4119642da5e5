// Two rings as a link between processes of one host (docs/ARCHITECTURE.md, the transport;
// docs/FORMATS.md#ring).
//
// How two sides come to have one: each makes a RingOffer, hands the other its descriptors
// (descriptor_exchange.h) over a unix socket that proves where they come from, and attaches to what
// it was handed. The socket stays with the link: its end is the end of the other side, however that
// came. The first frame of each direction is a cookie, so that a link whose sides do not have the
// same memory ends before it has carried anything.
//
// A message that is longer than what there is room for is taken nevertheless if half of the ring is
// free, and what does not fit waits here until there is room, one such message at a time. An eighth
// of the room is kept for urgent messages.
//
// Threads: one, that of the poller.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "transport/descriptor.h"
#include "transport/link.h"
#include "transport/poller.h"
#include "transport/ring/ring_consumer.h"
#include "transport/ring/ring_memory.h"
#include "transport/ring/ring_producer.h"

namespace ringleader {

struct RingOptions {
  // Of the direction in which this side sends: a power of two, kMinRingBytes to kMaxRingBytes.
  size_t capacity_bytes = size_t{8} << 20;
  // What both sides have agreed on; nobody else has it.
  RingSession session{};
  // True at the side that has connected: what it offered is not taken for the other side's.
  bool dials = false;
  // False: frames do not go over the end of the memory, as where it cannot be mapped twice.
  bool map_twice = true;
};

// Of what carries much in one direction, the way back.
inline constexpr size_t kBackRingBytes = size_t{1} << 20;

// What one side brings into a link.
class RingOffer {
 public:
  // Producer's segment, consumer's segment, bell.
  static constexpr size_t kDescriptors = 3;

  static Result<RingOffer> Make(const RingOptions& options);

  // For the other side; they stay the offer's.
  std::array<int, kDescriptors> descriptors() const {
    return {producer_.descriptor(), consumer_.descriptor(), bell_.get()};
  }

 private:
  friend class RingLink;
  RingOffer() = default;

  RingOptions options_;
  RingSegment producer_, consumer_;
  Descriptor bell_;  // an eventfd: the other side rings it, this side watches it
};

// How often each side has been seen to go round: what stands still for long is stuck.
struct RingBeats {
  uint64_t producer = 0;
  uint64_t consumer = 0;
};

class RingLink : public Link, private Watcher {
 public:
  // `theirs` are the descriptors of the other side's offer, of the same session, and `control` the
  // unix socket, on which nothing else comes from now on. kCorruption where they are not what an
  // offer has. `poller` outlives the link.
  static Result<std::unique_ptr<RingLink>> Attach(RingOffer ours, std::vector<Descriptor> theirs,
                                                  Descriptor control, Poller* poller);
  ~RingLink() override;
  RingLink(const RingLink&) = delete;
  RingLink& operator=(const RingLink&) = delete;

  LinkKind kind() const override { return LinkKind::kRing; }
  size_t Room(Lane lane) const override;
  Result<bool> Send(Lane lane, Bytes head, Bytes body) override;
  Status Flush() override;
  Result<bool> Receive(size_t limit, std::vector<uint8_t>* out) override;
  bool PrepareSleep() override;
  void EndSleep() override;
  const LinkCounters& counters() const override { return counters_; }

  // The other side's cookie has been received.
  bool began() const { return consumer_.began(); }
  RingBeats OtherBeats() const;

 private:
  struct Parts;
  // What is left of a message that did not fit.
  struct Rest {
    Lane lane;
    std::vector<uint8_t> bytes;
    size_t sent;
  };

  explicit RingLink(Parts parts);
  Status Watch();
  void OnReady(int descriptor, uint32_t events) override;

  size_t Reserve(Lane lane) const;
  Result<size_t> RoomFor(Lane lane, size_t wanted) const;
  uint64_t RoomAt() const;
  bool BlockedByRest(Lane lane) const;
  size_t FrameBytesOf(size_t message_bytes) const;
  size_t PayloadThatFits(size_t room) const;
  void AppendPieces(Lane lane, Bytes head, Bytes body, bool begins, bool ends);
  Status SendRest();
  Status Fail(Status status);
  void Wake();
  void WakeForRoom();

  // Own and the other side's shared memory.
  const RingSegment own_producer_, own_consumer_, their_producer_, their_consumer_;
  ProducerPage& own_tail_page_;
  ConsumerPage& own_head_page_;
  const ProducerPage& their_tail_page_;
  const ConsumerPage& their_head_page_;
  mutable RingProducer producer_;
  RingConsumer consumer_;
  const Descriptor own_bell_, their_bell_, control_;
  Poller* const poller_;

  std::optional<Rest> rest_;
  size_t refused_ = 0;  // room that a message has not found
  uint64_t flushes_ = 0, receipts_ = 0;
  uint64_t woken_at_ = 0;  // `released` when the other side was last looked at for room
  uint32_t sleep_ = 0;     // own epoch: odd while asleep
  uint32_t rung_ = 0;      // the other side's epoch that has been rung for
  bool unflushed_ = true;  // something may have been published without a look at `sleep`
  bool gone_ = false;      // the control socket has ended
  bool watched_ = false;   // by the poller
  Status failed_;          // final
  LinkCounters counters_;
};

}  // namespace ringleader
