#include "env/sim/sim_content.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace ringleader {

bool AllZero(Bytes bytes) {
  if (bytes.empty()) return true;
  // Comparing the range with itself shifted by one byte is the quickest way libc offers.
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

const SimContent::PagePointer& SimContent::ZeroPage() {
  static const Page zeros{};
  // Without a control block: sharing it costs no reference counting.
  static const PagePointer pointer(std::shared_ptr<const Page>(), &zeros);
  return pointer;
}

const SimContent::PagePointer& SimContent::At(uint64_t page) const {
  static const PagePointer hole;
  return page < pages_.size() ? pages_[page] : hole;
}

void SimContent::Put(uint64_t page, PagePointer pointer) {
  if (page >= pages_.size()) {
    if (!pointer) return;
    pages_.resize(page + 1);
  }
  if (pages_[page]) --used_pages_;
  if (pointer) ++used_pages_;
  pages_[page] = std::move(pointer);
}

void SimContent::Read(uint64_t offset, MutableBytes into) const {
  while (!into.empty()) {
    const size_t within = offset % kSimPageBytes;
    const size_t step = std::min(into.size(), kSimPageBytes - within);
    const PagePointer& page = At(offset / kSimPageBytes);
    if (page) {
      std::memcpy(into.data(), page->data() + within, step);
    } else {
      std::memset(into.data(), 0, step);
    }
    offset += step;
    into = into.subspan(step);
  }
}

void SimContent::Write(uint64_t offset, Bytes from) {
  while (!from.empty()) {
    const uint64_t index = offset / kSimPageBytes;
    const size_t within = offset % kSimPageBytes;
    const size_t step = std::min(from.size(), kSimPageBytes - within);
    const PagePointer& old = At(index);
    const bool over_zeros = step == kSimPageBytes || !old || old == ZeroPage();
    if (over_zeros && AllZero(from.first(step))) {
      Put(index, ZeroPage());
    } else {
      auto page = std::make_shared_for_overwrite<Page>();
      if (step < kSimPageBytes) {
        if (old) {
          *page = *old;
        } else {
          page->fill(0);
        }
      }
      std::memcpy(page->data() + within, from.data(), step);
      Put(index, std::move(page));
    }
    offset += step;
    from = from.subspan(step);
  }
}

void SimContent::Reserve(uint64_t offset, uint64_t size) {
  if (size == 0) return;
  const uint64_t last = (offset + size - 1) / kSimPageBytes;
  for (uint64_t page = offset / kSimPageBytes; page <= last; ++page) {
    if (!At(page)) Put(page, ZeroPage());
  }
}

void SimContent::Cut(uint64_t offset) {
  const size_t within = offset % kSimPageBytes;
  uint64_t first_gone = offset / kSimPageBytes;
  if (within != 0) {
    const PagePointer& old = At(first_gone);
    if (old && old != ZeroPage()) {
      auto page = std::make_shared<Page>(*old);
      std::memset(page->data() + within, 0, kSimPageBytes - within);
      Put(first_gone, std::move(page));
    }
    ++first_gone;
  }
  while (pages_.size() > first_gone) {
    if (pages_.back()) --used_pages_;
    pages_.pop_back();
  }
}

void SimContent::CopyPage(const SimContent& from, uint64_t page) { Put(page, from.At(page)); }

void SimContent::CopySectors(const SimContent& from, uint64_t page, uint8_t sectors) {
  static_assert(kSimSectorsPerPage == 8, "one bit per sector");
  if (sectors == 0) return;
  if (sectors == 0xff) return CopyPage(from, page);
  const PagePointer& source = from.At(page);
  const PagePointer& old = At(page);
  if (source == old) return;
  auto mixed = std::make_shared<Page>(old ? *old : *ZeroPage());
  for (size_t sector = 0; sector < kSimSectorsPerPage; ++sector) {
    if ((sectors >> sector & 1) == 0) continue;
    const size_t at = sector * kSimSectorBytes;
    std::memcpy(mixed->data() + at, (source ? source : ZeroPage())->data() + at, kSimSectorBytes);
  }
  Put(page, std::move(mixed));
}

uint64_t SimContent::HolesIn(uint64_t offset, uint64_t size) const {
  if (size == 0) return 0;
  uint64_t holes = 0;
  const uint64_t last = (offset + size - 1) / kSimPageBytes;
  for (uint64_t page = offset / kSimPageBytes; page <= last; ++page) holes += At(page) ? 0 : 1;
  return holes;
}

}  // namespace ringleader
