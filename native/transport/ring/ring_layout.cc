#include "transport/ring/ring_layout.h"

#include <bit>

#include "base/crc32c.h"

namespace ringleader {
namespace {

Status Bad(const char* what) {
  return Status(Code::kCorruption, std::string("the segment of a ring is not ours: ") + what);
}

Status CheckCapacity(const RingHeader& header) {
  if (header.magic == kConsumerMagic) {
    return header.capacity == 0 && header.wraps == 0 ? Status::Ok() : Bad("it has data");
  }
  if (!std::has_single_bit(header.capacity) || header.capacity < kMinRingBytes ||
      header.capacity > kMaxRingBytes) {
    return Bad("its capacity");
  }
  return Status::Ok();
}

}  // namespace

uint32_t RingHeaderChecksum(const RingHeader& header) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  return MaskCrc(Crc32c({bytes, offsetof(RingHeader, checksum)}));
}

void SealRingHeader(RingHeader* header, size_t page_bytes) {
  header->version = kRingVersion;
  header->lowest_reader = kRingLowestReader;
  header->byte_order = kRingByteOrder;
  header->reserved = 0;
  header->zero = 0;
  header->page_bytes = page_bytes;
  header->checksum = RingHeaderChecksum(*header);
}

Status CheckRingHeader(const RingHeader& header, const RingExpectation& expected) {
  // Magic, versions and byte order stay where they are in every version.
  if (header.magic != expected.magic) return Bad("its magic");
  if (header.byte_order != kRingByteOrder) return Bad("its byte order");
  if (header.lowest_reader > kRingVersion) {
    return Status(Code::kNewerFormat, "a ring of a later version");
  }
  if (header.version < kRingLowestReader || header.version < header.lowest_reader) {
    return Bad("its version");
  }
  if (header.checksum != RingHeaderChecksum(header)) return Bad("its checksum");
  if (header.dials > 1 || header.wraps > 1 || header.reserved != 0 || header.zero != 0) {
    return Bad("its flags");
  }
  if (header.dials != expected.dials) return Bad("its side");
  if (header.session != expected.session) return Bad("its session");
  if (header.page_bytes != expected.page_bytes) return Bad("its page size");
  return CheckCapacity(header);
}

}  // namespace ringleader
