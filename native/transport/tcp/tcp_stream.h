// Frames over one connection, both ways, with the credit that bounds them.
//
// Each side tells the other in ascending numbers how many bytes of bulk it may send altogether:
// what has been taken so far and a window. Nothing may be sent before the first such frame, and who
// sends more breaks the rules. What is taken counts when its frame has been read, so a message may
// be longer than the window.
//
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "transport/frame.h"
#include "transport/tcp/conduit.h"
#include "transport/tcp/frame_queue.h"

namespace ringleader {

// Credit is renewed when a quarter of it has been used up; the largest frame has to fit into what
// may be left.
inline constexpr uint64_t kMinWindowBytes = uint64_t{128} << 10;
static_assert(kMinWindowBytes / 4 * 3 >= FrameBytes(kTcpPieceBytes));

struct TcpLimits {
  // Bytes of bulk under way to this side, at least kMinWindowBytes.
  uint64_t window_bytes = uint64_t{8} << 20;
  // The longest message; one of that length is taken by Send where its lane is empty.
  size_t max_message_bytes = 0;  // 0: what a link takes, kMaxFrameBytes
  // What waits in a lane on this side before Send finds no room.
  size_t urgent_bytes = size_t{256} << 10;
  size_t bulk_bytes = size_t{2} << 20;
};

// Takes the frames that carry no messages and are not about credit.
class FrameListener {
 public:
  virtual ~FrameListener() = default;
  // kCorruption: no such frame may come.
  virtual Status OnFrame(FrameType type, Bytes payload) = 0;
};

// Where messages are put, with the places where they end.
struct MessageSink {
  std::vector<uint8_t>* bytes = nullptr;
  std::vector<size_t>* ends = nullptr;  // sizes of `bytes` behind each message; may be null
  uint64_t messages = 0;                // that have been put there
};

class TcpStream {
 public:
  TcpStream(std::unique_ptr<Conduit> conduit, const TcpLimits& limits, FrameListener* listener);

  int descriptor() const { return conduit_->descriptor(); }
  // What the poller has said.
  void OnReady(uint32_t events);
  bool readable() const { return readable_; }

  FrameQueue& queue() { return queue_; }
  const FrameQueue& queue() const { return queue_; }
  // Hands over to the kernel what it takes. Returns the number of system calls that it took
  // something in. Where the other side is gone, Pull says so.
  uint64_t Push();
  // Takes messages until there are no more or `limit` bytes have been put into the sink since; what
  // passes it is the end of one message. True: there may be more. kClosed: the other side is gone,
  // and everything that it sent has been taken; kCorruption. An error is final.
  Result<bool> Pull(size_t limit, MessageSink* sink);

  // So much has been taken that the other side should hear of it, with the next Push.
  bool owes_credit() const {
    return received_bulk_ + window_bytes_ - granted_ >= window_bytes_ / 4;
  }

  // Bulk waits for credit, which may be among what has come.
  bool short_of_credit() const { return readable_ && queue_.short_of_credit(); }

  // Bytes held for what has come and is no whole message yet.
  size_t held() const { return in_.size() + assembler_.bytes(); }

 private:
  void Grant();
  Result<bool> TakeFrames(size_t limit, size_t start, MessageSink* sink);
  Status TakeFrame(const FrameHead& head, Bytes payload, MessageSink* sink);
  Status TakeCredit(Bytes payload);
  Status CountBulk(size_t frame_bytes);
  // How many bytes; 0: none have come.
  Result<size_t> ReadMore();

  std::unique_ptr<Conduit> conduit_;
  const uint64_t window_bytes_;
  FrameListener* listener_;
  FrameQueue queue_;
  FrameAssembler assembler_;
  Status status_;  // the error that is final
  bool readable_ = true, writable_ = true, gone_ = false;
  size_t batch_bytes_;  // of one system call, as the kernel takes them
  // Bytes that have been read: those from `taken_` to `filled_` wait for the rest of their frame.
  std::vector<uint8_t> in_;
  size_t taken_ = 0, filled_ = 0;
  uint64_t received_bulk_ = 0, granted_ = 0;
};

}  // namespace ringleader
