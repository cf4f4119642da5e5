// The portable implementation (slicing by eight) and the choice between all of them.
#include "base/crc32c.h"

#include <atomic>

#include "base/coding.h"
#include "base/crc32c_internal.h"

namespace ringleader {
namespace crc32c_internal {
namespace {

// kTables[k][b]: what byte b adds to the state when k more bytes follow it in the same step.
struct SliceTables {
  uint32_t at[8][256];
};

constexpr SliceTables MakeTables() {
  SliceTables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = TimesX(value);
    tables.at[0][byte] = value;
  }
  for (int slice = 1; slice < 8; ++slice) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables.at[slice - 1][byte];
      tables.at[slice][byte] = (before >> 8) ^ tables.at[0][before & 0xff];
    }
  }
  return tables;
}

constexpr SliceTables kTables = MakeTables();

}  // namespace

uint32_t ComputeSoftware(const uint8_t* data, size_t size, uint32_t crc) {
  const auto& table = kTables.at;
  uint32_t state = ~crc;
  for (; size >= 8; data += 8, size -= 8) {
    const uint32_t low = LoadLe<uint32_t>(data) ^ state;
    const uint32_t high = LoadLe<uint32_t>(data + 4);
    state = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^
            table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][(high >> 8) & 0xff] ^
            table[1][(high >> 16) & 0xff] ^ table[0][high >> 24];
  }
  for (; size > 0; ++data, --size) state = (state >> 8) ^ table[0][(state ^ *data) & 0xff];
  return ~state;
}

}  // namespace crc32c_internal

namespace {

using Compute = uint32_t (*)(const uint8_t* data, size_t size, uint32_t crc);

uint32_t ChooseAndCompute(const uint8_t* data, size_t size, uint32_t crc);

// Constant-initialized, so that checksums are right in the constructors of other statics as well.
// Relaxed: it only ever leads to functions, and all that it leads to give the same answers.
constinit std::atomic<Compute> g_compute{&ChooseAndCompute};

uint32_t ChooseAndCompute(const uint8_t* data, size_t size, uint32_t crc) {
  Compute best = &crc32c_internal::ComputeSoftware;
  for (const Crc32cVariant& variant : Crc32cVariants()) {
    if (variant.supported) {
      best = variant.compute;
      break;
    }
  }
  g_compute.store(best, std::memory_order_relaxed);
  return best(data, size, crc);
}

}  // namespace

std::span<const Crc32cVariant> Crc32cVariants() {
  using namespace crc32c_internal;
  static const Crc32cVariant variants[] = {
#if defined(__x86_64__)
    {"vpclmulqdq", HasVpclmulqdq(), &ComputeVpclmulqdq},
    {"sse42-3way", HasPclmulqdq(), &ComputeSse42ThreeWay},
    {"sse42", HasSse42(), &ComputeSse42},
#elif defined(__aarch64__)
    {"arm-crc", HasArmCrc(), &ComputeArmCrc},
#endif
    {"software", true, &ComputeSoftware},
  };
  return variants;
}

uint32_t Crc32c(Bytes data, uint32_t crc) {
  return g_compute.load(std::memory_order_relaxed)(data.data(), data.size(), crc);
}

}  // namespace ringleader
