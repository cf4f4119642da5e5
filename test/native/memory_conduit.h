// A connection in memory: what one end writes the other one reads, in pieces that the test decides.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "transport/tcp/conduit.h"

namespace ringleader::test {

// One direction.
struct MemoryFlow {
  std::deque<uint8_t> bytes;
  size_t writable = SIZE_MAX;   // how many more are taken
  size_t at_a_time = SIZE_MAX;  // by one call, of either end
  bool ended = false;
};

class MemoryConduit : public Conduit {
 public:
  MemoryConduit(MemoryFlow* in, MemoryFlow* out) : in_(in), out_(out) {}

  int descriptor() const override { return -1; }

  Transfer Read(MutableBytes into) override {
    const size_t size = std::min({into.size(), in_->bytes.size(), in_->at_a_time});
    if (size == 0) return {in_->ended ? Transfer::End::kGone : Transfer::End::kBlocked, 0, 0};
    std::copy_n(in_->bytes.begin(), size, into.begin());
    in_->bytes.erase(in_->bytes.begin(), in_->bytes.begin() + static_cast<ptrdiff_t>(size));
    return {Transfer::End::kMoved, size, 0};
  }

  Transfer Write(std::span<const iovec> parts) override {
    size_t left = std::min(out_->writable, out_->at_a_time);
    size_t taken = 0;
    for (const iovec& part : parts) {
      const size_t size = std::min(left, part.iov_len);
      const auto* const from = static_cast<const uint8_t*>(part.iov_base);
      out_->bytes.insert(out_->bytes.end(), from, from + size);
      taken += size;
      left -= size;
    }
    if (out_->writable != SIZE_MAX) out_->writable -= taken;
    if (taken == 0) return {Transfer::End::kBlocked, 0, 0};
    return {Transfer::End::kMoved, taken, 0};
  }

 private:
  MemoryFlow* in_;
  MemoryFlow* out_;
};

}  // namespace ringleader::test
