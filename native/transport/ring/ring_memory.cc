#include "transport/ring/ring_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/mutant.h"

// Older than some C libraries' headers, younger than some kernels.
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace ringleader {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

Result<Descriptor> CreateMemory(const char* name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  // Some systems want to be told that nobody will run it; kernels before 6.3 do not know the flag.
  int descriptor = memfd_create(name, kFlags | MFD_NOEXEC_SEAL);
  if (descriptor < 0 && errno == EINVAL) descriptor = memfd_create(name, kFlags);
  if (descriptor < 0) return ErrnoStatus(errno, "cannot create the memory of a ring");
  return Descriptor(descriptor);
}

Status Reserve(int descriptor, size_t bytes) {
  // Never ftruncate alone, which promises memory that is not there: writing it is SIGBUS then.
  while (fallocate(descriptor, 0, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "cannot reserve the memory of a ring");
  }
  return Status::Ok();
}

Status CheckSeals(int descriptor) {
  const int seals = fcntl(descriptor, F_GET_SEALS);
  if (seals < 0) return ErrnoStatus(errno, "what was handed over is no memory that can be sealed");
  if ((seals & kSeals) != kSeals && !RL_MUTANT(kRingSkipSeals)) {
    return Status(Code::kCorruption, "the memory that was handed over is not sealed");
  }
  return Status::Ok();
}

}  // namespace

size_t RingPageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

RingSegment::RingSegment(RingSegment&& other) noexcept { *this = std::move(other); }

RingSegment& RingSegment::operator=(RingSegment&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(at_, other.at_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(data_bytes_, other.data_bytes_);
  std::swap(twice_, other.twice_);
  return *this;
}

RingSegment::~RingSegment() { Unmap(); }

void RingSegment::Unmap() {
  if (at_ != nullptr) RL_CHECK(munmap(at_, mapped_bytes_) == 0);
  at_ = nullptr;
}

Status RingSegment::MapPart(size_t at, size_t bytes, size_t offset, int protection) {
  void* const mapped = mmap(at_ + at, bytes, protection, MAP_SHARED | MAP_FIXED, descriptor_.get(),
                            static_cast<off_t>(offset));
  if (mapped != MAP_FAILED) return Status::Ok();
  return ErrnoStatus(errno, "cannot map the memory of a ring");
}

Status RingSegment::Map(size_t data_bytes, bool twice, int protection) {
  const size_t page = RingPageBytes();
  mapped_bytes_ = page + (twice ? 2 : 1) * data_bytes;
  void* const reserved =
      mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return ErrnoStatus(errno, "no addresses for the memory of a ring");
  at_ = static_cast<uint8_t*>(reserved);
  data_bytes_ = data_bytes;
  twice_ = twice;
  RL_RETURN_IF_ERROR(MapPart(0, page + data_bytes, 0, protection));
  if (!twice) return Status::Ok();
  return MapPart(page + data_bytes, data_bytes, page, protection);
}

Result<RingSegment> RingSegment::Create(const char* name, size_t data_bytes, bool twice) {
  RingSegment segment;
  RL_ASSIGN_OR_RETURN(segment.descriptor_, CreateMemory(name));
  const int descriptor = segment.descriptor_.get();
  RL_RETURN_IF_ERROR(Reserve(descriptor, RingPageBytes() + data_bytes));
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  Status mapped = segment.Map(data_bytes, twice, kProtection);
  if (!mapped.ok() && twice) {
    segment.Unmap();
    mapped = segment.Map(data_bytes, false, kProtection);
  }
  RL_RETURN_IF_ERROR(mapped);
  if (fcntl(descriptor, F_ADD_SEALS, kSeals) != 0) {
    return ErrnoStatus(errno, "cannot seal the memory of a ring");
  }
  return segment;
}

Result<RingSegment> RingSegment::Attach(Descriptor descriptor, const RingExpectation& expected) {
  RL_RETURN_IF_ERROR(CheckSeals(descriptor.get()));
  struct stat info {};
  if (fstat(descriptor.get(), &info) != 0) return ErrnoStatus(errno, "fstat of a ring's memory");
  // Through the descriptor, before there is any mapping: this copy is all that is ever looked at.
  RingHeader header{};
  const ssize_t got = pread(descriptor.get(), &header, sizeof header, 0);
  if (got < 0) return ErrnoStatus(errno, "cannot read the header of a ring");
  if (static_cast<size_t>(got) != sizeof header) {
    return Status(Code::kCorruption, "the segment of a ring is too short for its header");
  }
  RL_RETURN_IF_ERROR(CheckRingHeader(header, expected));
  if (static_cast<uint64_t>(info.st_size) != expected.page_bytes + header.capacity) {
    return Status(Code::kCorruption, "the segment of a ring has another size than it says");
  }
  RingSegment segment;
  segment.descriptor_ = std::move(descriptor);
  RL_RETURN_IF_ERROR(segment.Map(header.capacity, header.wraps != 0, PROT_READ));
  return segment;
}

}  // namespace ringleader
