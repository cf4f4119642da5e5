// The messages of a handshake over a connection that is not a link yet: frames of type kHello,
// numbered from 0 in each direction. It reads not one byte more than a message has, so whatever
// follows is for the link, whose frames are numbered from 0 again.
//
// Threads: one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "transport/frame.h"
#include "transport/tcp/conduit.h"

namespace ringleader {

class HelloChannel {
 public:
  explicit HelloChannel(std::unique_ptr<Conduit> conduit) : conduit_(std::move(conduit)) {}

  int descriptor() const { return conduit_->descriptor(); }
  // Takes a message and hands over to the kernel what it takes; without one, what has been left
  // over. kClosed: the other side is gone.
  Status Send(Bytes message);
  bool sent() const { return out_.empty(); }
  // The next message; nullopt: it has not come whole. kClosed, kCorruption.
  Result<std::optional<std::vector<uint8_t>>> Receive();

  // When all has been sent.
  std::unique_ptr<Conduit> Release() { return std::move(conduit_); }

 private:
  // True: `in_` has that many bytes.
  Result<bool> Fill(size_t bytes);

  std::unique_ptr<Conduit> conduit_;
  std::vector<uint8_t> in_, out_;
  uint32_t next_in_ = 0, next_out_ = 0;
};

}  // namespace ringleader
