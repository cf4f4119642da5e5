// The receiving half of a ring.
//
// The producer is not trusted, and can change the data at any time. So `tail` is loaded once and
// bounded; a head is loaded once, and judged as it was then; the payload is copied out by that
// head, and the head is compared again. What is validated later, by its own checksum, is the copy.
// Whatever breaks the rules ends the link, and nothing is read outside of the ring.
//
// Threads: one. It shares memory with one RingProducer, of another process or thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "transport/frame.h"
#include "transport/ring/ring_layout.h"

namespace ringleader {

// What the first frame of a ring holds: both sides have the same memory, and each its own end.
inline constexpr size_t kRingCookieBytes = sizeof(RingSession) + 1;
using RingCookie = std::array<uint8_t, kRingCookieBytes>;

class RingConsumer {
 public:
  struct Memory {
    ConsumerPage* own;         // zeros, but for its header
    const uint8_t* data;       // read-only
    size_t capacity;           // a power of two
    bool wraps;                // data is mapped a second time behind itself
    const ProducerPage* peer;  // read-only
  };
  RingConsumer(const Memory& memory, const RingCookie& cookie, size_t max_message);

  // As Link::Receive, without kClosed. One call goes through the ring once at most, so that a
  // producer that writes for ever does not hold it.
  Result<bool> Receive(size_t limit, std::vector<uint8_t>* out);

  // Whether there is something that Receive would take. The load is one of the four that the
  // wake-up protocol orders (ring_link.cc).
  Result<bool> HasMore();

  // Lets the producer have everything that has been read. Receive does so for every eighth of the
  // ring.
  void Release();
  uint64_t position() const { return position_; }
  // Has been released.
  uint64_t released() const { return released_; }
  // The first frame has come, and says what it should.
  bool began() const { return began_; }
  uint64_t messages() const { return assembler_.messages(); }

 private:
  using HeadWords = std::array<uint64_t, 2>;

  HeadWords LoadHead(const uint8_t* at) const;
  Status TakeFrame(std::vector<uint8_t>* out);
  Status TakePayload(const FrameHead& head, const HeadWords& words, Bytes shared,
                     std::vector<uint8_t>* out);
  Status TakeChecked(const FrameHead& head, Bytes head_bytes, Bytes shared);

  const Memory memory_;
  const size_t mask_;
  const size_t max_payload_;
  const RingCookie cookie_;
  uint64_t position_ = 0;  // of the next frame
  uint64_t released_ = 0;  // `head` in the shared page
  uint64_t tail_ = 0;      // as it was when last looked at
  bool began_ = false;
  FrameAssembler assembler_;
  std::vector<uint8_t> unused_;
};

}  // namespace ringleader
