#include <algorithm>
#include <bit>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/coding.h"
#include "harness.h"

namespace ringleader {
namespace {

std::vector<uint8_t> EncodeVarint(uint64_t value) {
  std::vector<uint8_t> bytes;
  Encoder(&bytes).Varint(value);
  return bytes;
}

using Octets = std::vector<uint8_t>;

// The value, or a failed read that has failed for good.
bool DecodesTo(const Octets& bytes, uint64_t expected) {
  Decoder decoder(bytes);
  uint64_t value = 0;
  return decoder.Varint(&value) && value == expected && decoder.Finished();
}

bool Refused(const Octets& bytes) {
  Decoder decoder(bytes);
  uint64_t value = 4711;
  const bool refused = !decoder.Varint(&value) && !decoder.ok() && !decoder.Finished();
  return refused && value == 4711 && decoder.rest().empty();
}

}  // namespace

TEST(base_coding, fixed_is_little_endian_at_any_alignment) {
  Octets bytes;
  Encoder encoder(&bytes);
  encoder.Fixed(uint8_t{0x01});
  encoder.Fixed(uint16_t{0x0302});
  encoder.Fixed(uint32_t{0x07060504});
  encoder.Fixed(uint64_t{0x0f0e0d0c0b0a0908});
  CHECK_EQ(bytes.size(), 15u);
  for (size_t i = 0; i < bytes.size(); ++i) CHECK_EQ(bytes[i], i + 1);

  Decoder decoder(bytes);
  uint8_t one = 0;
  uint16_t two = 0;
  uint32_t four = 0;
  uint64_t eight = 0;
  CHECK(decoder.Fixed(&one) && decoder.Fixed(&two) && decoder.Fixed(&four));
  CHECK(!decoder.Finished());
  CHECK(decoder.Fixed(&eight) && decoder.Finished());
  CHECK_EQ(one, 0x01);
  CHECK_EQ(two, 0x0302);
  CHECK_EQ(four, 0x07060504u);
  CHECK_EQ(eight, 0x0f0e0d0c0b0a0908u);
  CHECK_EQ(LoadLe<uint32_t>(bytes.data() + 3), 0x07060504u);
  StoreLe(bytes.data() + 1, uint64_t{0x1122334455667788});
  CHECK_EQ(LoadLe<uint64_t>(bytes.data() + 1), 0x1122334455667788u);
  CHECK_EQ(bytes[0], 0x01);
  CHECK_EQ(bytes[9], 0x0a);
}

TEST(base_coding, fixed_stops_one_byte_short) {
  const Octets bytes(8, 0xee);
  for (size_t size = 0; size < 8; ++size) {
    Decoder decoder(Bytes(bytes).first(size));
    uint64_t value = 4711;
    CHECK(!decoder.Fixed(&value));
    CHECK_EQ(value, 4711u);
    CHECK(!decoder.ok());
  }
  Decoder exact(bytes);
  uint64_t value = 0;
  CHECK(exact.Fixed(&value) && exact.Finished());
}

TEST(base_coding, varint_golden_bytes) {
  CHECK(EncodeVarint(0) == Octets({0x00}));
  CHECK(EncodeVarint(1) == Octets({0x01}));
  CHECK(EncodeVarint(127) == Octets({0x7f}));
  CHECK(EncodeVarint(128) == Octets({0x80, 0x01}));
  CHECK(EncodeVarint(300) == Octets({0xac, 0x02}));
  CHECK(EncodeVarint(16383) == Octets({0xff, 0x7f}));
  CHECK(EncodeVarint(16384) == Octets({0x80, 0x80, 0x01}));
  Octets largest(9, 0xff);
  largest.push_back(0x01);
  CHECK(EncodeVarint(UINT64_MAX) == largest);
  CHECK_EQ(largest.size(), kMaxVarintBytes);
}

TEST(base_coding, varint_around_every_power_of_two) {
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t power = uint64_t{1} << bit;
    for (const uint64_t value : {power - 1, power, power + 1}) {
      const Octets bytes = EncodeVarint(value);
      const size_t expected_size = value == 0 ? 1 : (std::bit_width(value) + 6) / 7;
      CHECK_EQ(bytes.size(), expected_size);
      CHECK(DecodesTo(bytes, value));
      for (size_t size = 0; size < bytes.size(); ++size) {
        CHECK(Refused(Octets(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size))));
      }
    }
  }
  CHECK(DecodesTo(EncodeVarint(UINT64_MAX), UINT64_MAX));
}

TEST(base_coding, varint_has_one_encoding_per_value) {
  CHECK(Refused({0x80, 0x00}));
  CHECK(Refused({0xff, 0x00}));
  CHECK(Refused({0x81, 0x80, 0x00}));
  Octets nine_and_zero(9, 0x80);
  nine_and_zero.push_back(0x00);
  CHECK(Refused(nine_and_zero));
}

TEST(base_coding, varint_beyond_64_bits_is_refused) {
  Octets ten(9, 0xff);
  ten.push_back(0x01);
  CHECK(DecodesTo(ten, UINT64_MAX));
  for (int last = 2; last < 256; ++last) {
    ten.back() = static_cast<uint8_t>(last);
    CHECK(Refused(ten));
  }
  Octets eleven(10, 0x80);
  eleven.push_back(0x01);
  CHECK(Refused(eleven));
  CHECK(Refused(Octets(100, 0xff)));
  CHECK(Refused({}));
}

TEST(base_coding, sized_at_its_limit) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{127}, size_t{128}, size_t{1000}}) {
    const Octets payload(size, 0xab);
    Octets bytes;
    Encoder(&bytes).Sized(payload);
    for (const size_t limit : {size - 1, size, size + 1}) {
      Decoder decoder(bytes);
      Bytes got;
      const bool fits = limit != size_t{0} - 1 && size <= limit;
      if (size == 0 && !fits) continue;  // there is no limit below 0
      CHECK_EQ(decoder.Sized(limit, &got), fits);
      CHECK_EQ(decoder.Finished(), fits);
      if (fits) CHECK(Octets(got.begin(), got.end()) == payload);
    }
  }
}

TEST(base_coding, sized_never_trusts_the_length) {
  // One byte short, and lengths that no memory could hold.
  for (const uint64_t length : {uint64_t{4}, uint64_t{1} << 32, UINT64_MAX}) {
    Octets bytes = EncodeVarint(length);
    Encoder(&bytes).Raw(Octets{1, 2, 3});
    Decoder decoder(bytes);
    Bytes got;
    CHECK(!decoder.Sized(SIZE_MAX, &got));
    CHECK(!decoder.ok());
    CHECK(got.empty());
  }
}

TEST(base_coding, a_failed_decoder_stays_failed) {
  const Octets bytes = {1, 2, 3, 4};
  Decoder decoder(bytes);
  CHECK(!decoder.Skip(5));
  uint8_t byte = 0;
  uint64_t value = 0;
  Bytes got;
  CHECK(!decoder.Fixed(&byte));
  CHECK(!decoder.Varint(&value));
  CHECK(!decoder.Raw(0, &got));
  CHECK(!decoder.Sized(10, &got));
  CHECK(!decoder.Skip(0));
  CHECK(decoder.rest().empty());
  CHECK(!decoder.Finished());
}

TEST(base_coding, raw_skip_and_zeros) {
  Octets bytes = {9};
  Encoder encoder(&bytes);
  encoder.Zeros(3);
  encoder.Raw(Octets{7, 8});
  CHECK(bytes == Octets({9, 0, 0, 0, 7, 8}));
  Decoder decoder(bytes);
  Bytes got;
  CHECK(decoder.Skip(4));
  CHECK_EQ(decoder.rest().size(), 2u);
  CHECK(decoder.Raw(2, &got));
  CHECK_EQ(got.data(), bytes.data() + 4);
  CHECK(decoder.Raw(0, &got) && decoder.Finished());
  CHECK(!decoder.Raw(1, &got));
}

// Whatever the bytes are: what is accepted encodes back to the same bytes.
TEST(base_coding, random_bytes_decode_canonically_or_not_at_all) {
  std::mt19937_64 random(test::Seed());
  uint64_t accepted = 0;
  for (uint64_t i = 0; i < test::Scale(50'000); ++i) {
    // On the heap and of the exact size, so that a sanitizer sees a read past the end.
    Octets bytes(random() % 24);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() | (random() & 0x80));
    Decoder decoder(bytes);
    Octets again;
    Encoder encoder(&again);
    uint64_t value = 0;
    Bytes sized;
    if (!decoder.Varint(&value)) continue;
    encoder.Varint(value);
    if (decoder.Sized(16, &sized)) encoder.Sized(sized);
    if (decoder.ok()) CHECK_EQ(bytes.size() - decoder.rest().size(), again.size());
    CHECK(std::equal(again.begin(), again.end(), bytes.begin()));
    ++accepted;
  }
  CHECK(accepted > 1000 || test::Scale(50'000) < 50'000);
}

}  // namespace ringleader
