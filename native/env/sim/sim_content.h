// The bytes of one simulated file: sparse, in pages that are never changed once they exist.
//
// Copies share their pages, so a snapshot of a disk costs one pointer per page, and a copy may be
// used by another thread without any lock. A page is in one of three states: a hole (no disk space,
// reads as zero), reserved (disk space, reads as zero), written. There is no size here: that
// belongs to the inode, because the size and the bytes of a file survive a power cut independently.
// Threads: as a std::vector.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace ringleader {

// What a disk writes as a whole or not at all.
inline constexpr size_t kSimSectorBytes = 512;
inline constexpr size_t kSimPageBytes = 4096;
inline constexpr size_t kSimSectorsPerPage = kSimPageBytes / kSimSectorBytes;

class SimContent {
 public:
  void Read(uint64_t offset, MutableBytes into) const;
  void Write(uint64_t offset, Bytes from);
  // Turns holes in [offset, offset + size) into reserved pages.
  void Reserve(uint64_t offset, uint64_t size);
  // Everything from `offset` on becomes a hole; the rest of a page that is cut reads as zero.
  void Cut(uint64_t offset);
  // Takes the sectors of one page whose bit is set over from `from`.
  void CopySectors(const SimContent& from, uint64_t page, uint8_t sectors);
  // Takes whole pages over, holes included.
  void CopyPage(const SimContent& from, uint64_t page);

  // Pages that are not holes.
  uint64_t used_pages() const { return used_pages_; }
  // How many holes a write or reservation of that range would fill.
  uint64_t HolesIn(uint64_t offset, uint64_t size) const;

 private:
  using Page = std::array<uint8_t, kSimPageBytes>;
  using PagePointer = std::shared_ptr<const Page>;

  static const PagePointer& ZeroPage();
  const PagePointer& At(uint64_t page) const;
  void Put(uint64_t page, PagePointer pointer);

  std::vector<PagePointer> pages_;
  uint64_t used_pages_ = 0;
};

// Whether all bytes are zero.
bool AllZero(Bytes bytes);

}  // namespace ringleader
