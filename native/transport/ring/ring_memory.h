// A segment of a ring: anonymous memory behind a descriptor, which vanishes with the last process
// that has it.
//
// The owner maps it to write and then seals it: it never changes its size, so that nobody who reads
// it gets SIGBUS, and nobody else ever maps it to write. The other side verifies that before it
// maps anything, by what it was handed and never by a name.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "transport/descriptor.h"
#include "transport/ring/ring_layout.h"

namespace ringleader {

// Bytes before the data: a page of this machine, which has 4 KiB or 64.
size_t RingPageBytes();

class RingSegment {
 public:
  RingSegment() = default;
  RingSegment(RingSegment&& other) noexcept;
  RingSegment& operator=(RingSegment&& other) noexcept;
  ~RingSegment();

  // A segment of our own: zeros, with all its memory reserved, mapped and sealed. With `twice` the
  // data is mapped again behind itself, so that what goes over its end is in one piece; where that
  // cannot be done it is mapped once.
  static Result<RingSegment> Create(const char* name, size_t data_bytes, bool twice);

  // The other side's, to read. Seals, size and header are checked.
  static Result<RingSegment> Attach(Descriptor descriptor, const RingExpectation& expected);

  uint8_t* page() const { return at_; }
  uint8_t* data() const { return at_ + RingPageBytes(); }
  size_t data_bytes() const { return data_bytes_; }
  bool twice() const { return twice_; }
  int descriptor() const { return descriptor_.get(); }
  // The mapping stays.
  void CloseDescriptor() { descriptor_ = Descriptor(); }

 private:
  Status Map(size_t data_bytes, bool twice, int protection);
  Status MapPart(size_t at, size_t bytes, size_t offset, int protection);
  void Unmap();

  Descriptor descriptor_;
  uint8_t* at_ = nullptr;
  size_t mapped_bytes_ = 0;
  size_t data_bytes_ = 0;
  bool twice_ = false;
};

}  // namespace ringleader
