// Owns a file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace ringleader {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    other.Reset();
    return *this;
  }
  ~Descriptor() { Reset(); }

  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }
  int Release() { return std::exchange(descriptor_, -1); }
  // What close says is of no interest: on Linux the descriptor is gone even where it fails.
  void Reset() {
    if (valid()) close(Release());
  }

 private:
  int descriptor_ = -1;
};

}  // namespace ringleader
