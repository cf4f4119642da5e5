#include "engine/outbox.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace ringleader {
namespace {

// A batch that has so many bytes gets no more frames.
constexpr size_t kBatchBytes = size_t{1} << 20;
// For one destination. Of records no more are under way to a member than a window; a broadcast has
// none.
constexpr uint64_t kMaxUrgentBytes = uint64_t{4} << 20;
constexpr uint64_t kMaxBulkBytes = uint64_t{64} << 20;
// For all of them.
constexpr uint64_t kMaxBytes = uint64_t{256} << 20;

}  // namespace

uint8_t Outbox::FlagsOf(const Message& message) {
  if (const auto* records = std::get_if<Records>(&message.body)) {
    return records->from_primary ? kSendPermanent : kSendNoBuffer;
  }
  Lsn from = kMaxLsn;
  uint8_t flags = kSendNoBuffer;
  if (const auto* request = std::get_if<Request>(&message.body)) {
    from = request->from.lsn;
    flags |= kSendAnywhere;
  } else if (const auto* ack = std::get_if<Ack>(&message.body)) {
    if (ack->problem == AckProblem::kGap || ack->problem == AckProblem::kFork) from = ack->end.lsn;
  }
  if (from == kMaxLsn) return flags;
  if (std::exchange(asked_from_, from) == from) flags |= kSendReRequest;
  return flags;
}

void Outbox::Send(const Message& message, const EncodedMessage& bytes) {
  const auto* records = std::get_if<Records>(&message.body);
  const bool bulk = records != nullptr || std::holds_alternative<SnapshotPiece>(message.body);
  OutgoingFrame frame;
  frame.control_bytes = static_cast<uint32_t>(bytes.control.size());
  frame.payload_bytes = static_cast<uint32_t>(bytes.payload.size());
  if (records != nullptr) frame.lsn = records->end;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    frame.flags = FlagsOf(message);
    Lane& lane = lanes_[bulk && !RL_MUTANT(kOneLane) ? kBulk : kUrgent][message.to];
    const uint64_t limit = bulk ? kMaxBulkBytes : kMaxUrgentBytes;
    const bool room =
        lane.bytes + bytes.size() <= limit && counts_.waiting_bytes + bytes.size() <= kMaxBytes;
    if (!room && !RL_MUTANT(kUnboundedOutbox)) {
      ++counts_.dropped;
      return;
    }
    if (lane.batches.empty() || lane.batches.back().bytes.size() >= kBatchBytes) {
      lane.batches.emplace_back().to = message.to;
    }
    OutgoingBatch& batch = lane.batches.back();
    batch.bytes.insert(batch.bytes.end(), bytes.control.begin(), bytes.control.end());
    batch.bytes.insert(batch.bytes.end(), bytes.payload.begin(), bytes.payload.end());
    batch.frames.push_back(frame);
    batch.lsn = std::max(batch.lsn, frame.lsn);
    batch.flags |= frame.flags;
    lane.bytes += bytes.size();
    counts_.waiting_bytes += bytes.size();
    ++counts_.waiting_frames;
  }
  on_message_();
}

std::optional<OutgoingBatch> Outbox::Take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto batch = TakeFrom(kUrgent);
  if (!batch) batch = TakeFrom(kBulk);
  if (!batch) return std::nullopt;
  counts_.waiting_bytes -= batch->bytes.size();
  counts_.waiting_frames -= batch->frames.size();
  ++counts_.taken_batches;
  return batch;
}

// The destination after the one that was taken from last, of those that have something.
std::optional<OutgoingBatch> Outbox::TakeFrom(Urgency urgency) {
  Lanes& lanes = lanes_[urgency];
  auto next = lanes.upper_bound(taken_last_[urgency]);
  for (size_t i = 0; i < lanes.size(); ++i, ++next) {
    if (next == lanes.end()) next = lanes.begin();
    Lane& lane = next->second;
    if (lane.batches.empty()) continue;
    OutgoingBatch batch = std::move(lane.batches.front());
    lane.batches.pop_front();
    lane.bytes -= batch.bytes.size();
    taken_last_[urgency] = next->first;
    return batch;
  }
  return std::nullopt;
}

Outbox::Counts Outbox::counts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

}  // namespace ringleader
