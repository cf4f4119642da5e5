// The hash of a row key: the multiply-and-fold of wyhash by Wang Yi (final version 4, public
// domain, github.com/wangyi-fudan/wyhash), unseeded and with our own way through the bytes. 64 bits
// of product carry every bit of two words into every bit of one: one multiplication for 16 bytes.
#include "base/coding.h"
#include "store/generation.h"

namespace ringleader {
namespace {

// The secret of wyhash: odd, 32 bits set in each, no byte twice.
constexpr uint64_t kSecret[4] = {0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3,
                                 0x589965cc75374cc3};

uint64_t Fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Up to eight bytes; two reads that overlap.
uint64_t ShortWord(const uint8_t* from, size_t size) {
  if (size >= 4) {
    return uint64_t{LoadLe<uint32_t>(from)} << 32 | LoadLe<uint32_t>(from + size - 4);
  }
  if (size == 0) return 0;
  return uint64_t{from[0]} << 16 | uint64_t{from[size / 2]} << 8 | from[size - 1];
}

}  // namespace

uint64_t HashRowKey(Bytes row_key) {
  const uint8_t* at = row_key.data();
  size_t left = row_key.size();
  uint64_t state = kSecret[0] ^ row_key.size();
  // Not the state: equal ones would cancel out, and a zero swallows what it is folded with.
  uint64_t other = kSecret[2];
  for (; left > 32; at += 32, left -= 32) {
    state = Fold(LoadLe<uint64_t>(at) ^ kSecret[1], LoadLe<uint64_t>(at + 8) ^ state);
    other = Fold(LoadLe<uint64_t>(at + 16) ^ kSecret[2], LoadLe<uint64_t>(at + 24) ^ other);
  }
  state ^= other;
  if (left > 16) {
    state = Fold(LoadLe<uint64_t>(at) ^ kSecret[3], LoadLe<uint64_t>(at + 8) ^ state);
    at += 16;
    left -= 16;
  }
  const uint64_t low = left >= 8 ? LoadLe<uint64_t>(at) : ShortWord(at, left);
  const uint64_t high = left >= 8 ? LoadLe<uint64_t>(at + left - 8) : 0;
  return Fold(kSecret[1] ^ row_key.size(), Fold(low ^ kSecret[1], high ^ state));
}

}  // namespace ringleader
