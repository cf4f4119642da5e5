// The sending half of a ring: puts frames behind each other and publishes them in batches.
//
// Nothing of a frame can be seen before `tail` is published behind all of it, so a producer that
// dies at any instruction leaves whole frames only. What the consumer says of `head` is not
// believed: a position that goes back, or passes what has been published, ends the link.
//
// Threads: one. It shares memory with one RingConsumer, of another process or thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/bytes.h"
#include "base/status.h"
#include "transport/frame.h"
#include "transport/ring/ring_layout.h"

namespace ringleader {

class RingProducer {
 public:
  struct Memory {
    ProducerPage* own;         // zeros, but for its header
    uint8_t* data;             // `capacity` bytes
    size_t capacity;           // a power of two
    bool wraps;                // data is mapped a second time behind itself
    const ConsumerPage* peer;  // read-only
  };
  explicit RingProducer(const Memory& memory);

  // Of a frame.
  size_t max_payload() const { return max_frame_ - kLinkFrameHeadBytes; }
  size_t capacity() const { return memory_.capacity; }

  // Bytes of the ring that a run of frames may take now, padding at the end allowed for. Looks at
  // `head` only where it is less than `wanted` otherwise. kCorruption where `head` cannot be.
  Result<size_t> Free(size_t wanted);
  // The `head` at which Free is `wanted`, at most 3/4 of the capacity. 0 where it is so at any.
  uint64_t HeadFor(size_t wanted) const;

  // A frame of a payload in two pieces, to be seen with the next Publish. There has to be room.
  void Append(FrameType type, uint8_t flags, Bytes first, Bytes second);

  // Shows what has been appended. The store is one of the four that the wake-up protocol orders
  // (ring_link.cc).
  void Publish();
  // Behind what has been appended.
  uint64_t tail() const { return tail_; }
  // Bytes of it that have not been published.
  uint64_t unpublished() const { return tail_ - published_; }

 private:
  uint8_t* Place(size_t frame_bytes);
  void AppendPadding(size_t bytes);
  size_t FreeAt(uint64_t head) const;

  const Memory memory_;
  const size_t mask_;
  const size_t max_frame_;
  uint64_t tail_ = 0;       // behind what has been appended
  uint64_t published_ = 0;  // `tail` in the shared page
  uint64_t head_ = 0;       // as it was when last looked at
  uint32_t sequence_ = 0;
};

}  // namespace ringleader
