#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "harness.h"

namespace ringleader {
namespace {

// The definition, one bit at a time.
uint32_t ReferenceStep(uint32_t state, uint8_t byte) {
  state ^= byte;
  for (int bit = 0; bit < 8; ++bit) {
    state = (state & 1) != 0 ? (state >> 1) ^ 0x82f63b78u : state >> 1;
  }
  return state;
}

uint32_t Reference(Bytes data, uint32_t crc) {
  uint32_t state = ~crc;
  for (const uint8_t byte : data) state = ReferenceStep(state, byte);
  return ~state;
}

std::vector<uint8_t> RandomBytes(size_t size, std::mt19937_64& random) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

std::vector<const Crc32cVariant*> Supported() {
  std::vector<const Crc32cVariant*> supported;
  for (const Crc32cVariant& variant : Crc32cVariants()) {
    if (variant.supported) supported.push_back(&variant);
  }
  return supported;
}

void CheckAll(Bytes data, uint32_t crc, uint32_t expected) {
  for (const Crc32cVariant* variant : Supported()) {
    const uint32_t got = variant->compute(data.data(), data.size(), crc);
    if (got == expected) continue;
    test::Fail(__FILE__, __LINE__,
               std::string(variant->name) + ", " + std::to_string(data.size()) + " bytes at " +
                   std::to_string(reinterpret_cast<uintptr_t>(data.data()) % 64) + " mod 64");
  }
  CHECK_EQ(Crc32c(data, crc), expected);
}

// Before main, and possibly before the statics of crc32c.cc.
const uint32_t g_early = Crc32c(Bytes(reinterpret_cast<const uint8_t*>("123456789"), 9));

}  // namespace

TEST(base_crc32c, known_values) {
  CHECK_EQ(g_early, 0xe3069283u);
  std::vector<uint8_t> data(32, 0);
  CheckAll(data, 0, 0x8a9136aau);
  data.assign(32, 0xff);
  CheckAll(data, 0, 0x62a8ab43u);
  for (size_t i = 0; i < 32; ++i) data[i] = static_cast<uint8_t>(i);
  CheckAll(data, 0, 0x46dd794eu);
  for (size_t i = 0; i < 32; ++i) data[i] = static_cast<uint8_t>(31 - i);
  CheckAll(data, 0, 0x113fdb5cu);
  const uint8_t scsi_read[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                                 0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                                 0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
  CheckAll(scsi_read, 0, 0xd9963a56u);
  CheckAll(Bytes(), 0, 0);
  CheckAll(Bytes(), 0x12345678u, 0x12345678u);
}

TEST(base_crc32c, variants_are_listed_fastest_first) {
  std::string names;
  for (const Crc32cVariant& variant : Crc32cVariants()) names += std::string(variant.name) + " ";
#if defined(__x86_64__)
  CHECK_EQ(names, "vpclmulqdq sse42-3way sse42 software ");
#elif defined(__aarch64__)
  CHECK_EQ(names, "arm-crc software ");
#else
  CHECK_EQ(names, "software ");
#endif
  CHECK(Crc32cVariants().back().supported);
  CHECK_EQ(std::string(Crc32cVariants().back().name), "software");
}

TEST(base_crc32c, every_length_at_every_alignment) {
  constexpr size_t kLongest = 4200;
  std::mt19937_64 random(test::Seed());
  std::vector<uint8_t> buffer = RandomBytes(kLongest + 128, random);
  const size_t to_boundary = 64 - reinterpret_cast<uintptr_t>(buffer.data()) % 64;
  const std::vector<const Crc32cVariant*> supported = Supported();
  for (size_t alignment = 0; alignment < 16; ++alignment) {
    const uint8_t* data = buffer.data() + to_boundary + alignment;
    const auto start = static_cast<uint32_t>(random());
    uint32_t state = ~start;
    for (size_t size = 0; size <= kLongest; ++size) {
      for (const Crc32cVariant* variant : supported) {
        if (variant->compute(data, size, start) == ~state) continue;
        test::Fail(__FILE__, __LINE__, std::string(variant->name) + " of " + std::to_string(size));
      }
      state = ReferenceStep(state, data[size]);
    }
  }
}

// The bytes end, or begin, at a page that must not be touched.
TEST(base_crc32c, reads_nothing_outside) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory =
      mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  uint8_t* begin = static_cast<uint8_t*>(memory) + page;
  CHECK_EQ(mprotect(begin, page, PROT_READ | PROT_WRITE), 0);
  std::mt19937_64 random(test::Seed());
  for (size_t i = 0; i < page; ++i) begin[i] = static_cast<uint8_t>(random());
  for (size_t size = 0; size <= page; size += 1 + size / 300) {
    const Bytes at_begin(begin, size), at_end(begin + page - size, size);
    CheckAll(at_begin, 7, Reference(at_begin, 7));
    CheckAll(at_end, 7, Reference(at_end, 7));
  }
  CHECK_EQ(munmap(memory, 3 * page), 0);
}

TEST(base_crc32c, long_random_inputs) {
  std::mt19937_64 random(test::Seed());
  const std::vector<uint8_t> data = RandomBytes(1 << 20, random);
  for (uint64_t i = 0; i < test::Scale(40); ++i) {
    const size_t offset = random() % 4096;
    const size_t size = random() % (data.size() - offset);
    const auto start = static_cast<uint32_t>(random());
    const Bytes part = Bytes(data).subspan(offset, size);
    CheckAll(part, start, Crc32cVariants().back().compute(part.data(), size, start));
  }
  CheckAll(data, 0, Reference(data, 0));
}

TEST(base_crc32c, continues_from_any_cut) {
  std::mt19937_64 random(test::Seed());
  for (uint64_t i = 0; i < test::Scale(2000); ++i) {
    const std::vector<uint8_t> data = RandomBytes(random() % 6000, random);
    const uint32_t whole = Crc32c(data);
    const size_t cut = random() % (data.size() + 1);
    const size_t cut_again = cut + random() % (data.size() - cut + 1);
    const Bytes all(data);
    for (const Crc32cVariant* variant : Supported()) {
      uint32_t crc = variant->compute(data.data(), cut, 0);
      crc = variant->compute(data.data() + cut, cut_again - cut, crc);
      crc = variant->compute(data.data() + cut_again, data.size() - cut_again, crc);
      CHECK_EQ(crc, whole);
    }
    CHECK_EQ(Crc32c(all.subspan(cut), Crc32c(all.first(cut))), whole);
  }
}

TEST(base_crc32c, notices_every_burst_of_32_bits) {
  std::mt19937_64 random(test::Seed());
  std::vector<uint8_t> data = RandomBytes(160, random);
  const uint32_t whole = Crc32c(data);
  for (size_t bit = 0; bit + 64 <= data.size() * 8; ++bit) {
    const uint64_t burst = (random() & 0xffffffffu) | 1;
    const uint64_t word = LoadLe<uint64_t>(data.data() + bit / 8);
    StoreLe(data.data() + bit / 8, word ^ (burst << bit % 8));
    CHECK(Crc32c(data) != whole);
    StoreLe(data.data() + bit / 8, word);
  }
  CHECK_EQ(Crc32c(data), whole);
}

TEST(base_crc32c, mask_has_an_inverse) {
  CHECK_EQ(MaskCrc(0), 0xa282ead8u);
  CHECK_EQ(MaskCrc(0xe3069283u), 0xc78ab0e5u);
  std::mt19937_64 random(test::Seed());
  for (int i = 0; i < 10000; ++i) {
    const auto crc = static_cast<uint32_t>(random());
    CHECK_EQ(UnmaskCrc(MaskCrc(crc)), crc);
    CHECK(MaskCrc(crc) != crc);
  }
}

// Why stored checksums are masked.
TEST(base_crc32c, mask_hides_the_checksum_from_an_outer_one) {
  std::mt19937_64 random(test::Seed());
  const auto framed = [](std::vector<uint8_t> data, bool masked) {
    const uint32_t crc = Crc32c(data);
    Encoder(&data).Fixed(masked ? MaskCrc(crc) : crc);
    return Crc32c(data);
  };
  const std::vector<uint8_t> one = RandomBytes(100, random), other = RandomBytes(100, random);
  CHECK_EQ(framed(one, false), framed(other, false));
  CHECK(framed(one, true) != framed(other, true));
}

}  // namespace ringleader
