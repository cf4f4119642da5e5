// CRC-32C with the ARMv8 crc32c instructions.
//
// Written as assembly statements: the compilers' intrinsics exist only under a global -march flag,
// which would let them use the extension in code that runs before it has been looked for.
#if defined(__aarch64__)

#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "base/coding.h"
#include "base/crc32c_internal.h"

namespace ringleader::crc32c_internal {
namespace {

inline uint32_t Step8(uint32_t state, uint64_t word) {
  asm(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(word));
  return state;
}

inline uint32_t Step1(uint32_t state, uint8_t byte) {
  asm(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(state) : "r"(uint32_t{byte}));
  return state;
}

}  // namespace

bool HasArmCrc() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

uint32_t ComputeArmCrc(const uint8_t* data, size_t size, uint32_t crc) {
  uint32_t state = ~crc;
  for (; size >= 8; data += 8, size -= 8) state = Step8(state, LoadLe<uint64_t>(data));
  for (; size > 0; ++data, --size) state = Step1(state, *data);
  return ~state;
}

}  // namespace ringleader::crc32c_internal

#endif  // __aarch64__
