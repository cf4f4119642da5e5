#include "transport/tcp/frame_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/coding.h"

namespace ringleader {
namespace {

constexpr size_t kMaxParts = 64;  // of one system call

size_t PayloadOf(const uint8_t* frame) { return LoadLe<uint32_t>(frame); }

// Until it is sealed a frame has its length, type and flags.
void Prepare(uint8_t* frame, size_t length, FrameType type, uint8_t flags) {
  StoreLe(frame, static_cast<uint32_t>(length));
  frame[4] = static_cast<uint8_t>(type);
  frame[5] = flags;
  std::memset(frame + kLinkFrameHeadBytes + length, 0,
              FrameBytes(length) - kLinkFrameHeadBytes - length);
}

void Seal(uint8_t* frame, uint32_t sequence) {
  FrameHead head;
  head.length = LoadLe<uint32_t>(frame);
  head.type = static_cast<FrameType>(frame[4]);
  head.flags = frame[5];
  head.sequence = sequence;
  EncodeFrameHead(head, {frame + kLinkFrameHeadBytes, head.length}, frame);
}

}  // namespace

FrameQueue::Chunk FrameQueue::NewChunk() {
  if (spare_.bytes) return std::exchange(spare_, Chunk{});
  Chunk chunk;
  chunk.bytes.reset(new uint8_t[kChunkBytes]);
  return chunk;
}

uint8_t* FrameQueue::Reserve(LaneState* lane, size_t frame_bytes) {
  if (lane->chunks.empty() || kChunkBytes - lane->chunks.back().end < frame_bytes) {
    lane->chunks.push_back(NewChunk());
  }
  Chunk& chunk = lane->chunks.back();
  uint8_t* const frame = chunk.bytes.get() + chunk.end;
  chunk.end += frame_bytes;
  return frame;
}

void FrameQueue::Push(Lane lane, Bytes head, Bytes body) {
  const size_t size = head.size() + body.size();
  RL_CHECK(size > 0);
  LaneState& state = lanes_[static_cast<size_t>(lane)];
  for (size_t at = 0; at < size;) {
    const size_t length = std::min(size - at, kTcpPieceBytes);
    uint8_t* const frame = Reserve(&state, FrameBytes(length));
    const int flags = (at == 0 ? kBegin : 0) | (at + length == size ? kEnd : 0);
    Prepare(frame, length, FrameTypeOf(lane), static_cast<uint8_t>(flags));
    uint8_t* to = frame + kLinkFrameHeadBytes;
    const size_t of_head = at < head.size() ? std::min(length, head.size() - at) : 0;
    if (of_head > 0) std::memcpy(to, head.data() + at, of_head);
    if (length > of_head) {
      std::memcpy(to + of_head, body.data() + (at + of_head - head.size()), length - of_head);
    }
    at += length;
  }
  state.payload += size;
}

void FrameQueue::PushControl(FrameType type, Bytes payload) {
  RL_CHECK(!LaneOf(type) && payload.size() <= kTcpPieceBytes);
  LaneState& state = lanes_[static_cast<size_t>(Lane::kUrgent)];
  uint8_t* const frame = Reserve(&state, FrameBytes(payload.size()));
  Prepare(frame, payload.size(), type, kChecked);
  if (!payload.empty()) {
    std::memcpy(frame + kLinkFrameHeadBytes, payload.data(), payload.size());
  }
  state.payload += payload.size();
}

void FrameQueue::TakeSnapshots(FrameQueue* other) {
  constexpr auto kIndex = static_cast<size_t>(Lane::kSnapshot);
  LaneState& from = other->lanes_[kIndex];
  RL_CHECK(other->bulk_sent_ == 0 && lanes_[kIndex].payload == 0);
  lanes_[kIndex] = std::move(from);
  from = {};
}

bool FrameQueue::empty() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const LaneState& lane) {
    return lane.chunks.empty() || lane.chunks.front().begin == lane.chunks.front().end;
  });
}

bool FrameQueue::short_of_credit() const {
  for (const size_t lane :
       {static_cast<size_t>(Lane::kLog), static_cast<size_t>(Lane::kSnapshot)}) {
    if (lanes_[lane].payload == 0) continue;
    const Chunk& chunk = lanes_[lane].chunks.front();
    const size_t at = chunk.begin + (lane == cut_lane_ ? cut_bytes_ : 0);
    if (at == chunk.end) continue;
    return !MayLeave(FrameBytes(PayloadOf(chunk.bytes.get() + at)), bulk_sent_);
  }
  return false;
}

bool FrameQueue::MayLeave(size_t frame_bytes, uint64_t sent) const {
  return frame_bytes <= allowed_ - std::min(allowed_, sent);
}

void FrameQueue::AddRange(const Range& range) {
  ranges_.push_back(range);
  parts_.push_back({range.chunk->bytes.get() + range.from, range.to - range.from});
}

// False when nothing more may be added, of whatever lane.
bool FrameQueue::GatherLane(size_t lane, size_t max_bytes) {
  bool first = true;
  for (Chunk& chunk : lanes_[lane].chunks) {
    Range range{lane, &chunk, chunk.begin, 0, 0, 0};
    if (std::exchange(first, false) && lane == cut_lane_) range.from += cut_bytes_;
    range.to = range.from;
    bool blocked = false;
    while (range.to < chunk.end && gathered_bytes_ < max_bytes) {
      uint8_t* const frame = chunk.bytes.get() + range.to;
      const size_t bytes = FrameBytes(PayloadOf(frame));
      blocked = IsBulk(lane) && !MayLeave(bytes, gathered_bulk_);
      if (blocked) break;
      Seal(frame, gathered_sequence_++);
      if (IsBulk(lane)) gathered_bulk_ += bytes;
      range.to += bytes;
      range.payload += PayloadOf(frame);
      ++range.frames;
      gathered_bytes_ += bytes;
    }
    if (range.frames > 0) AddRange(range);
    if (blocked) return true;
    if (gathered_bytes_ >= max_bytes || parts_.size() == kMaxParts) return false;
  }
  return true;
}

std::span<const iovec> FrameQueue::Gather(size_t max_bytes) {
  ranges_.clear();
  parts_.clear();
  gathered_bytes_ = cut_bytes_;
  gathered_sequence_ = sequence_;
  gathered_bulk_ = bulk_sent_;
  if (cut_bytes_ > 0) {
    Chunk& chunk = lanes_[cut_lane_].chunks.front();
    // No frame of it is begun now: it was counted when it was.
    AddRange({cut_lane_, &chunk, chunk.begin, chunk.begin + cut_bytes_, cut_payload_, 0});
  }
  for (size_t lane = 0; lane < kLanes && GatherLane(lane, max_bytes); ++lane) {
  }
  return parts_;
}

void FrameQueue::Taken(size_t bytes) {
  for (const Range& range : ranges_) {
    const size_t size = range.to - range.from;
    if (bytes < size) {
      TakenInPart(range, bytes);
      bytes = 0;
      break;
    }
    bytes -= size;
    range.chunk->begin = range.to;
    lanes_[range.lane].payload -= range.payload;
    sequence_ += range.frames;
    if (range.frames == 0) {
      cut_bytes_ = 0;
    } else if (IsBulk(range.lane)) {
      bulk_sent_ += size;
    }
  }
  RL_CHECK(bytes == 0);
  ranges_.clear();
  for (LaneState& lane : lanes_) DropSpent(&lane);
}

// What has not been begun is as if it had never been gathered: the next one may put something else
// in front of it.
void FrameQueue::TakenInPart(const Range& range, size_t bytes) {
  if (range.frames == 0) {
    range.chunk->begin += bytes;
    cut_bytes_ -= bytes;
    return;
  }
  LaneState& lane = lanes_[range.lane];
  while (bytes > 0) {
    const size_t payload = PayloadOf(range.chunk->bytes.get() + range.chunk->begin);
    const size_t frame_bytes = FrameBytes(payload);
    ++sequence_;
    if (IsBulk(range.lane)) bulk_sent_ += frame_bytes;
    if (bytes < frame_bytes) {
      cut_lane_ = range.lane;
      cut_bytes_ = frame_bytes - bytes;
      cut_payload_ = payload;
      range.chunk->begin += bytes;
      return;
    }
    lane.payload -= payload;
    range.chunk->begin += frame_bytes;
    bytes -= frame_bytes;
  }
}

void FrameQueue::DropSpent(LaneState* lane) {
  while (!lane->chunks.empty() && lane->chunks.front().begin == lane->chunks.front().end) {
    Chunk& spent = lane->chunks.front();
    spent.begin = spent.end = 0;
    if (lane->chunks.size() == 1) return;
    if (!spare_.bytes) spare_ = std::move(spent);
    lane->chunks.pop_front();
  }
}

}  // namespace ringleader
