#include "transport/tcp/hello_channel.h"

#include "base/check.h"
#include "transport/handshake.h"

namespace ringleader {
namespace {

Status Gone(const Transfer& transfer) {
  return Status(Code::kClosed, "the other side has gone before it has said who it is",
                transfer.sys_errno);
}

}  // namespace

Status HelloChannel::Send(Bytes message) {
  if (!message.empty()) {
    const size_t at = out_.size();
    out_.resize(at + FrameBytes(message.size()));
    std::copy(message.begin(), message.end(),
              out_.begin() + static_cast<ptrdiff_t>(at + kLinkFrameHeadBytes));
    FrameHead head;
    head.length = static_cast<uint32_t>(message.size());
    head.type = FrameType::kHello;
    head.flags = kChecked;
    head.sequence = next_out_++;
    EncodeFrameHead(head, message, &out_[at]);
  }
  while (!out_.empty()) {
    const iovec part{out_.data(), out_.size()};
    const Transfer sent = conduit_->Write({&part, 1});
    if (sent.end == Transfer::End::kGone) return Gone(sent);
    if (sent.end == Transfer::End::kBlocked) break;
    out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(sent.bytes));
  }
  return Status::Ok();
}

Result<bool> HelloChannel::Fill(size_t bytes) {
  while (in_.size() < bytes) {
    const size_t at = in_.size();
    in_.resize(bytes);
    const Transfer read = conduit_->Read(MutableBytes(in_).subspan(at));
    in_.resize(at + read.bytes);
    if (read.end == Transfer::End::kGone) return Gone(read);
    if (read.end == Transfer::End::kBlocked) return false;
  }
  return true;
}

Result<std::optional<std::vector<uint8_t>>> HelloChannel::Receive() {
  using Message = std::optional<std::vector<uint8_t>>;
  RL_ASSIGN_OR_RETURN(const bool has_head, Fill(kLinkFrameHeadBytes));
  if (!has_head) return Message();
  RL_ASSIGN_OR_RETURN(const FrameHead head, DecodeFrameHead(in_, kMaxHelloBytes));
  if (head.type != FrameType::kHello || head.sequence != next_in_) {
    return Status(Code::kCorruption, "what comes over a connection is no hello");
  }
  RL_ASSIGN_OR_RETURN(const bool whole, Fill(FrameBytes(head.length)));
  if (!whole) return Message();
  const Bytes payload = Bytes(in_).subspan(kLinkFrameHeadBytes, head.length);
  RL_RETURN_IF_ERROR(CheckFrame(in_, payload));
  RL_RETURN_IF_ERROR(CheckPadding(head, in_));
  ++next_in_;
  Message message(std::in_place, payload.begin(), payload.end());
  in_.clear();
  return message;
}

}  // namespace ringleader
