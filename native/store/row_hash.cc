// The hash of a row key: the multiply-and-fold of wyhash by Wang Yi (final version 4, public
// domain, github.com/wangyi-fudan/wyhash), with our own way through the bytes and keys that are
// made of the environment's seed. 64 bits of product carry every bit of two words into every bit of
// one: one multiplication for 16 bytes.
//
// A zero swallows what it is folded with, and a fold is the same in both orders. Whoever knew a
// key, or the difference of two, could make as many row keys of one hash as he likes; so each word
// meets a key of its own that nobody outside knows.
#include "base/coding.h"
#include "store/row.h"

namespace ringleader {
namespace {

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

HashKeys::HashKeys(uint64_t seed) {
  // SplitMix64: keys that look as if they had nothing to do with each other.
  for (uint64_t& key : keys) {
    seed += 0x9e3779b97f4a7c15;
    uint64_t mixed = seed;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    key = mixed ^ mixed >> 31;
  }
}

uint64_t HashRowKey(Bytes row_key, const HashKeys& hash_keys) {
  const auto& keys = hash_keys.keys;
  const uint8_t* at = row_key.data();
  size_t left = row_key.size();
  uint64_t state = keys[0] ^ row_key.size();
  // Not the state: equal ones would cancel out. And not the key that its first word meets.
  uint64_t other = keys[3];
  for (; left > 32; at += 32, left -= 32) {
    state = Fold(LoadLe<uint64_t>(at) ^ keys[1], LoadLe<uint64_t>(at + 8) ^ state);
    other = Fold(LoadLe<uint64_t>(at + 16) ^ keys[2], LoadLe<uint64_t>(at + 24) ^ other);
  }
  state ^= other;
  if (left > 16) {
    state = Fold(LoadLe<uint64_t>(at) ^ keys[3], LoadLe<uint64_t>(at + 8) ^ state);
    at += 16;
    left -= 16;
  }
  const uint64_t low = left >= 8 ? LoadLe<uint64_t>(at) : ShortWord(at, left);
  const uint64_t high = left >= 8 ? LoadLe<uint64_t>(at + left - 8) : 0;
  return Fold(keys[1] ^ row_key.size(), Fold(low ^ keys[1], high ^ state));
}

}  // namespace ringleader
