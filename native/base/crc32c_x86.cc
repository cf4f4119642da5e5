// CRC-32C with the SSE 4.2 instruction, alone, three at a time, and by folding in 512-bit
// registers.
//
// The instruction takes eight bytes per step with a latency of three cycles and a throughput of
// one, so three independent streams keep it busy. Folding leaves it behind: a block of 64 bytes
// moves D bits ahead in the message by two carry-less multiplications per 16 bytes
// (crc32c_internal.h), and only the last 16 bytes go through the instruction.
//
// Functions carry their instruction sets as attributes; nothing here runs before the Has... tests.
#if defined(__x86_64__)

#include <immintrin.h>

#include "base/coding.h"
#include "base/crc32c_internal.h"

#define RL_TARGET_SSE42 __attribute__((target("sse4.2")))
#define RL_TARGET_PCLMULQDQ __attribute__((target("sse4.2,pclmul")))
#define RL_TARGET_VPCLMULQDQ \
  __attribute__((target("sse4.2,pclmul,avx512f,avx512vl,avx512bw,vpclmulqdq")))

namespace ringleader::crc32c_internal {
namespace {

// Bytes from which the wider method is taken; measured on a Sapphire Rapids core with
// bench/native/crc32c_bench.cc. Three streams beat one from 96 bytes on (8.7 against 12.7 ns). In a
// tight loop folding beats three streams from 256 bytes on (12.4 against 16.9 ns), but after some
// 20 us without them the core runs its 512-bit units at a lower rate for a while, and then folding
// is behind up to about 5 KiB (at 1 KiB 95 against 75 ns; busy it is 17 against 49). 1 KiB loses
// little when idle and keeps most of what there is to win when busy.
constexpr size_t kThreeWayFrom = 96;
constexpr size_t kFoldFrom = 1024;

// --- one stream ----------------------------------------------------------------------------------

// States are 64 bits wide between steps: narrowed, they cost a move in the chain of dependencies.
RL_TARGET_SSE42 inline uint64_t Step8(uint64_t state, uint64_t word) {
  return _mm_crc32_u64(state, word);
}

RL_TARGET_SSE42 inline uint32_t Serial(const uint8_t* data, size_t size, uint64_t wide) {
  for (; size >= 8; data += 8, size -= 8) wide = Step8(wide, LoadLe<uint64_t>(data));
  auto state = static_cast<uint32_t>(wide);
  if ((size & 4) != 0) {
    state = _mm_crc32_u32(state, LoadLe<uint32_t>(data));
    data += 4;
  }
  if ((size & 2) != 0) {
    state = _mm_crc32_u16(state, LoadLe<uint16_t>(data));
    data += 2;
  }
  if ((size & 1) != 0) state = _mm_crc32_u8(state, *data);
  return state;
}

// --- three streams -------------------------------------------------------------------------------

// Longest stream, in words of eight bytes.
constexpr size_t kMaxStreamWords = 128;

// kJoin.at[w]: multiplied with a state and put through one Step8, moves that state w words ahead,
// that is, by x^(64 w). The carry-less product of two 32-bit values stands for one power of x more
// when it is read as 64 bits, and Step8 multiplies by x^32: both are taken off here.
struct JoinTable {
  uint32_t at[2 * kMaxStreamWords + 1];
};

constexpr JoinTable MakeJoinTable() {
  JoinTable table{};
  const uint32_t word = PowerOfX(64);
  uint32_t power = PowerOfX(64 - 33);
  for (size_t words = 1; words <= 2 * kMaxStreamWords; ++words) {
    table.at[words] = power;
    power = Multiply(power, word);
  }
  return table;
}

constexpr JoinTable kJoin = MakeJoinTable();

RL_TARGET_PCLMULQDQ inline uint64_t CarrylessProduct(uint64_t a, uint64_t b) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(a)),
                                               _mm_cvtsi64_si128(static_cast<int64_t>(b)), 0);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(product));
}

// Three consecutive streams of `words` words each.
RL_TARGET_PCLMULQDQ inline uint64_t ThreeStreams(const uint8_t* data, size_t words,
                                                 uint64_t state) {
  const uint8_t* second = data + 8 * words;
  const uint8_t* third = second + 8 * words;
  uint64_t a = state, b = 0, c = 0;
  for (size_t i = 0; i + 1 < words; ++i) {
    a = Step8(a, LoadLe<uint64_t>(data + 8 * i));
    b = Step8(b, LoadLe<uint64_t>(second + 8 * i));
    c = Step8(c, LoadLe<uint64_t>(third + 8 * i));
  }
  const size_t last = 8 * (words - 1);
  a = Step8(a, LoadLe<uint64_t>(data + last));
  b = Step8(b, LoadLe<uint64_t>(second + last));
  // The step that the joining needs is the third stream's last one.
  const uint64_t moved =
      CarrylessProduct(a, kJoin.at[2 * words]) ^ CarrylessProduct(b, kJoin.at[words]);
  return Step8(c, LoadLe<uint64_t>(third + last) ^ moved);
}

RL_TARGET_PCLMULQDQ inline uint32_t ThreeWay(const uint8_t* data, size_t size, uint64_t state) {
  while (size >= kThreeWayFrom) {
    const size_t possible = size / 24;
    const size_t words = possible < kMaxStreamWords ? possible : kMaxStreamWords;
    state = ThreeStreams(data, words, state);
    data += 24 * words;
    size -= 24 * words;
  }
  return Serial(data, size, state);
}

// --- folding -------------------------------------------------------------------------------------

// Multipliers that move 16 bytes `bits` ahead: for the first eight bytes (the higher powers), then
// for the last eight. A carry-less product of two 64-bit values stands for one power of x more when
// it is read as 128 bits; that is taken off here.
struct FoldPair {
  uint64_t first;
  uint64_t last;
};

constexpr FoldPair FoldBy(uint32_t bits) {
  return {static_cast<uint64_t>(PowerOfX(bits + 63)) << 32,
          static_cast<uint64_t>(PowerOfX(bits - 1)) << 32};
}

constexpr FoldPair kFold2048 = FoldBy(2048);
constexpr FoldPair kFold1536 = FoldBy(1536);
constexpr FoldPair kFold1024 = FoldBy(1024);
constexpr FoldPair kFold512 = FoldBy(512);
constexpr FoldPair kFold384 = FoldBy(384);
constexpr FoldPair kFold256 = FoldBy(256);
constexpr FoldPair kFold128 = FoldBy(128);

RL_TARGET_VPCLMULQDQ inline __m512i Load64(const uint8_t* data) { return _mm512_loadu_si512(data); }

RL_TARGET_VPCLMULQDQ inline __m512i Everywhere(FoldPair pair) {
  const auto first = static_cast<long long>(pair.first);
  const auto last = static_cast<long long>(pair.last);
  return _mm512_set4_epi64(last, first, last, first);
}

// `value` moved ahead by `multipliers`, plus what stands there.
RL_TARGET_VPCLMULQDQ inline __m512i Fold(__m512i value, __m512i multipliers, __m512i there) {
  constexpr int kXorOfThree = 0x96;
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(value, multipliers, 0x00),
                                   _mm512_clmulepi64_epi128(value, multipliers, 0x11), there,
                                   kXorOfThree);
}

// The state after 64 bytes: the four parts of 16 move onto the last one.
RL_TARGET_VPCLMULQDQ inline uint64_t Finish(__m512i value) {
  const auto at = [](uint64_t multiplier) { return static_cast<long long>(multiplier); };
  const __m512i multipliers =
      _mm512_set_epi64(0, 0, at(kFold128.last), at(kFold128.first), at(kFold256.last),
                       at(kFold256.first), at(kFold384.last), at(kFold384.first));
  const __m512i last_part = _mm512_maskz_mov_epi64(0xc0, value);
  alignas(64) uint64_t words[8];
  // Through memory: the intrinsics that take a register apart read, in GCC 12, a variable that was
  // never set, and the compiler warns about it.
  _mm512_store_si512(words, Fold(value, multipliers, last_part));
  const uint64_t state = Step8(0, words[0] ^ words[2] ^ words[4] ^ words[6]);
  return Step8(state, words[1] ^ words[3] ^ words[5] ^ words[7]);
}

// At least 256 bytes; a multiple of 64.
RL_TARGET_VPCLMULQDQ inline uint64_t FoldBlocks(const uint8_t* data, size_t size, uint64_t state) {
  // A state before the data is the same as the data's first four bytes changed by it.
  const __m512i start = _mm512_zextsi128_si512(_mm_cvtsi64_si128(static_cast<int64_t>(state)));
  __m512i a = _mm512_xor_si512(Load64(data), start);
  __m512i b = Load64(data + 64);
  __m512i c = Load64(data + 128);
  __m512i d = Load64(data + 192);
  const __m512i by2048 = Everywhere(kFold2048);
  for (data += 256, size -= 256; size >= 256; data += 256, size -= 256) {
    a = Fold(a, by2048, Load64(data));
    b = Fold(b, by2048, Load64(data + 64));
    c = Fold(c, by2048, Load64(data + 128));
    d = Fold(d, by2048, Load64(data + 192));
  }
  d = Fold(a, Everywhere(kFold1536), d);
  d = Fold(b, Everywhere(kFold1024), d);
  const __m512i by512 = Everywhere(kFold512);
  d = Fold(c, by512, d);
  for (; size >= 64; data += 64, size -= 64) d = Fold(d, by512, Load64(data));
  return Finish(d);
}

RL_TARGET_VPCLMULQDQ uint32_t FoldAll(const uint8_t* data, size_t size, uint64_t state) {
  const size_t blocks = size & ~size_t{63};
  state = FoldBlocks(data, blocks, state);
  return Serial(data + blocks, size - blocks, state);
}

}  // namespace

// --- what the processor has ----------------------------------------------------------------------

// The compiler's runtime asks CPUID and, for the wide registers, also whether the operating system
// saves them (XGETBV).

bool HasSse42() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
}

bool HasPclmulqdq() {
  __builtin_cpu_init();
  return HasSse42() && __builtin_cpu_supports("pclmul") != 0;
}

bool HasVpclmulqdq() {
  __builtin_cpu_init();
  return HasPclmulqdq() && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("vpclmulqdq") != 0;
}

// --- the variants --------------------------------------------------------------------------------

RL_TARGET_SSE42 uint32_t ComputeSse42(const uint8_t* data, size_t size, uint32_t crc) {
  return ~Serial(data, size, ~crc);
}

RL_TARGET_PCLMULQDQ uint32_t ComputeSse42ThreeWay(const uint8_t* data, size_t size, uint32_t crc) {
  return ~ThreeWay(data, size, ~crc);
}

RL_TARGET_PCLMULQDQ uint32_t ComputeVpclmulqdq(const uint8_t* data, size_t size, uint32_t crc) {
  if (size >= kFoldFrom) return ~FoldAll(data, size, ~crc);
  return ~ThreeWay(data, size, ~crc);
}

}  // namespace ringleader::crc32c_internal

#endif  // __x86_64__
