// A set of hashes, eight bytes each and as many again to spare: there are millions of them.
#pragma once

#include <cstdint>
#include <vector>

namespace ringleader::sim {

class ExploreSeen {
 public:
  // False where it is there already. Two hashes that differ in nothing but being 0 or 1 are one.
  bool Insert(uint64_t hash) {
    if (2 * (size_ + 1) > slots_.size()) Grow();
    if (!Put(hash == 0 ? 1 : hash)) return false;
    ++size_;
    return true;
  }

 private:
  bool Put(uint64_t hash) {
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      if (slots_[at] == hash) return false;
      if (slots_[at] != 0) continue;
      slots_[at] = hash;
      return true;
    }
  }
  void Grow() {
    std::vector<uint64_t> before(slots_.size() * 2);
    before.swap(slots_);
    for (const uint64_t hash : before) {
      if (hash != 0) Put(hash);
    }
  }

  std::vector<uint64_t> slots_ = std::vector<uint64_t>(1024);  // 0 = free
  size_t size_ = 0;
};

}  // namespace ringleader::sim
