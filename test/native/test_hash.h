// The hashes of generations that tests make for themselves.
#pragma once

#include "store/generation.h"

namespace ringleader::test {

inline constexpr uint64_t kTestHashSeed = 0x0123456789abcdef;

inline uint64_t HashRowKey(Bytes row_key) {
  static const HashKeys keys(kTestHashSeed);
  return ringleader::HashRowKey(row_key, keys);
}

}  // namespace ringleader::test
