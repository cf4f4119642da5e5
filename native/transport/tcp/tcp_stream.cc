#include "transport/tcp/tcp_stream.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"
#include "base/mutant.h"
#include "wire/message_codec.h"

namespace ringleader {
namespace {

constexpr size_t kMinBatchBytes = size_t{64} << 10;
constexpr size_t kMaxBatchBytes = size_t{1} << 20;
// A frame always fits in.
constexpr size_t kInBytes = size_t{256} << 10;
static_assert(kInBytes >= FrameBytes(kTcpPieceBytes));

Status Broken(const char* what) {
  return Status(Code::kCorruption, std::string("the other side of a TCP link ") + what);
}

Status Gone(int sys_errno) {
  return Status(Code::kClosed, "the other side of a TCP link is gone", sys_errno);
}

}  // namespace

TcpStream::TcpStream(std::unique_ptr<Conduit> conduit, const TcpLimits& limits,
                     FrameListener* listener)
    : conduit_(std::move(conduit)),
      window_bytes_(limits.window_bytes),
      listener_(listener),
      assembler_(limits.max_message_bytes != 0 ? limits.max_message_bytes : kMaxFrameBytes),
      batch_bytes_(kMinBatchBytes) {
  RL_CHECK(window_bytes_ >= kMinWindowBytes);
}

void TcpStream::OnReady(uint32_t events) {
  constexpr uint32_t kOver = EPOLLHUP | EPOLLERR;
  if ((events & (EPOLLIN | EPOLLRDHUP | kOver)) != 0) readable_ = true;
  if ((events & (EPOLLOUT | kOver)) != 0) writable_ = true;
}

// Not while anything waits in front of it: who never reads could make them pile up.
void TcpStream::Grant() {
  if (!owes_credit() || queue_.waiting(Lane::kUrgent) > 0) return;
  const uint64_t now = received_bulk_ + window_bytes_;
  std::array<uint8_t, 8> payload;
  StoreLe(payload.data(), now);
  queue_.PushControl(FrameType::kCredit, payload);
  granted_ = now;
}

uint64_t TcpStream::Push() {
  uint64_t calls = 0;
  while (writable_ && !gone_) {
    Grant();  // each time: something may have waited in front of it before
    const std::span<const iovec> parts = queue_.Gather(batch_bytes_);
    if (parts.empty()) break;
    size_t size = 0;
    for (const iovec& part : parts) size += part.iov_len;
    const Transfer sent = conduit_->Write(parts);
    queue_.Taken(sent.bytes);
    if (sent.end == Transfer::End::kGone) gone_ = true;
    if (sent.end == Transfer::End::kBlocked) writable_ = false;
    if (sent.end != Transfer::End::kMoved) break;
    ++calls;
    // As much as it takes at a time: what is gathered and not taken is gathered again.
    batch_bytes_ = sent.bytes < size ? std::max(sent.bytes, kMinBatchBytes)
                                     : std::min(batch_bytes_ * 2, kMaxBatchBytes);
  }
  if (gone_) readable_ = true;
  return calls;
}

Result<bool> TcpStream::Pull(size_t limit, MessageSink* sink) {
  if (!status_.ok()) return status_;
  const size_t start = sink->bytes->size();
  // What makes no message has an end as well, so that nobody keeps this thread for himself.
  const size_t patience = std::max(limit, kInBytes);
  for (size_t read = 0;;) {
    const Result<bool> full = TakeFrames(limit, start, sink);
    if (full.ok() && (full.value() || read >= patience)) return true;
    const Result<size_t> more = full.ok() ? ReadMore() : full.status();
    if (!more.ok()) {
      status_ = more.status();
      return status_;
    }
    if (more.value() == 0) return false;
    read += more.value();
  }
}

// True: the limit has been reached.
Result<bool> TcpStream::TakeFrames(size_t limit, size_t start, MessageSink* sink) {
  while (filled_ - taken_ >= kLinkFrameHeadBytes) {
    if (sink->bytes->size() - start >= limit) return true;
    const Bytes bytes(in_.data() + taken_, filled_ - taken_);
    RL_ASSIGN_OR_RETURN(const FrameHead head, DecodeFrameHead(bytes, kTcpPieceBytes));
    const size_t frame_bytes = FrameBytes(head.length);
    if (bytes.size() < frame_bytes) break;
    const Bytes payload = bytes.subspan(kLinkFrameHeadBytes, head.length);
    RL_RETURN_IF_ERROR(CheckFrame(bytes, payload));
    RL_RETURN_IF_ERROR(CheckPadding(head, bytes));
    RL_RETURN_IF_ERROR(TakeFrame(head, payload, sink));
    taken_ += frame_bytes;
  }
  return false;
}

Status TcpStream::TakeFrame(const FrameHead& head, Bytes payload, MessageSink* sink) {
  const bool is_bulk = head.type == FrameType::kLog || head.type == FrameType::kSnapshot;
  if (is_bulk) RL_RETURN_IF_ERROR(CountBulk(FrameBytes(head.length)));
  const uint64_t messages = assembler_.messages();
  RL_RETURN_IF_ERROR(assembler_.Take(head, payload, sink->bytes));
  if (assembler_.messages() != messages) {
    ++sink->messages;
    if (sink->ends != nullptr) sink->ends->push_back(sink->bytes->size());
  }
  if (LaneOf(head.type)) return Status::Ok();
  if (head.type == FrameType::kCredit) return TakeCredit(payload);
  return listener_->OnFrame(head.type, payload);
}

Status TcpStream::CountBulk(size_t frame_bytes) {
  received_bulk_ += frame_bytes;
  if (received_bulk_ > granted_ && !RL_MUTANT(kIgnoreCredit)) {
    return Broken("sends more than it may");
  }
  return Status::Ok();
}

Status TcpStream::TakeCredit(Bytes payload) {
  if (payload.size() != 8) return Broken("gives credit in another layout");
  const auto allowed = LoadLe<uint64_t>(payload.data());
  if (allowed <= queue_.allowed()) return Broken("takes credit back");
  queue_.Allow(allowed);
  return Status::Ok();
}

Result<size_t> TcpStream::ReadMore() {
  if (!readable_) return gone_ ? Result<size_t>(Gone(0)) : size_t{0};
  if (in_.empty()) in_.resize(kInBytes);
  if (taken_ > 0) {
    std::memmove(in_.data(), in_.data() + taken_, filled_ - taken_);
    filled_ -= taken_;
    taken_ = 0;
  }
  const Transfer read = conduit_->Read(MutableBytes(in_).subspan(filled_));
  if (read.end == Transfer::End::kGone) return Gone(read.sys_errno);
  if (read.end == Transfer::End::kBlocked) {
    readable_ = false;
    return gone_ ? Result<size_t>(Gone(0)) : size_t{0};
  }
  filled_ += read.bytes;
  return read.bytes;
}

}  // namespace ringleader
