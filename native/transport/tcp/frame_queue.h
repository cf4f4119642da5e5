// What one connection is going to send: frames in three lanes, cut and encoded when they are put
// in, and numbered when they leave, so that an urgent message overtakes everything but the frame
// that has been begun.
//
// Bulk (log and snapshots) is sent as far as the other side has allowed, frames counted whole;
// urgent messages always are, and so is what keeps the link itself going.
//
// Threads: one.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "transport/frame.h"

namespace ringleader {

// Payload of a frame on TCP at most: what an urgent message may have to wait for.
inline constexpr size_t kTcpPieceBytes = size_t{64} << 10;

class FrameQueue {
 public:
  // A message that is not empty.
  void Push(Lane lane, Bytes head, Bytes body);
  // A frame of another type, behind the urgent messages that are there. At most kTcpPieceBytes.
  void PushControl(FrameType type, Bytes payload);
  // Takes over the snapshot lane of `other`, of which nothing has been sent.
  void TakeSnapshots(FrameQueue* other);

  bool empty() const;
  // Bytes of payload that have not left.
  size_t waiting(Lane lane) const { return lanes_[static_cast<size_t>(lane)].payload; }

  // Bulk frames may leave until they are so many bytes altogether, heads and padding included.
  void Allow(uint64_t bulk_bytes) { allowed_ = bulk_bytes; }
  uint64_t allowed() const { return allowed_; }
  uint64_t bulk_sent() const { return bulk_sent_; }
  // There is bulk, and the next frame may not leave.
  bool short_of_credit() const;

  // What is to be sent next, about `max_bytes` of it. Valid until the queue is changed.
  std::span<const iovec> Gather(size_t max_bytes);
  // How many bytes of what Gather has just given have left.
  void Taken(size_t bytes);

 private:
  // Two of the largest frames, or many small ones; a frame is never in two.
  static constexpr size_t kChunkBytes = 2 * FrameBytes(kTcpPieceBytes);

  struct Chunk {
    std::unique_ptr<uint8_t[]> bytes;
    size_t begin = 0;  // what is before it has left
    size_t end = 0;
  };
  struct LaneState {
    std::deque<Chunk> chunks;
    size_t payload = 0;
  };
  // Of one chunk, as Gather has given it.
  struct Range {
    size_t lane = 0;
    Chunk* chunk = nullptr;
    size_t from = 0, to = 0;
    size_t payload = 0;
    uint32_t frames = 0;
  };

  static bool IsBulk(size_t lane) { return lane != static_cast<size_t>(Lane::kUrgent); }
  bool MayLeave(size_t frame_bytes, uint64_t sent) const;
  uint8_t* Reserve(LaneState* lane, size_t frame_bytes);
  Chunk NewChunk();
  bool GatherLane(size_t lane, size_t max_bytes);
  void AddRange(const Range& range);
  void TakenInPart(const Range& range, size_t bytes);
  void DropSpent(LaneState* lane);

  std::array<LaneState, kLanes> lanes_;
  Chunk spare_;            // spares an allocation for each chunk that is filled
  uint32_t sequence_ = 0;  // of the next frame that is begun
  uint64_t allowed_ = 0, bulk_sent_ = 0;
  // The frame that has left in part, at the begin of the first chunk of its lane.
  size_t cut_lane_ = 0, cut_bytes_ = 0, cut_payload_ = 0;
  // Of the Gather under way.
  std::vector<Range> ranges_;
  std::vector<iovec> parts_;
  size_t gathered_bytes_ = 0;
  uint32_t gathered_sequence_ = 0;
  uint64_t gathered_bulk_ = 0;
};

}  // namespace ringleader
