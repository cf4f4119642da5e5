// HMAC-SHA-256 and HKDF against their RFCs.
#include "transport/crypto.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "harness.h"

namespace ringleader {
namespace {

std::vector<uint8_t> Hex(std::string_view text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    bytes.push_back(static_cast<uint8_t>(digit(text[i]) * 16 + digit(text[i + 1])));
  }
  return bytes;
}

Bytes Text(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

bool Is(const Digest& digest, std::string_view expected) {
  const auto bytes = Hex(expected);
  return std::equal(digest.begin(), digest.end(), bytes.begin(), bytes.end());
}

}  // namespace

// RFC 4231: keys shorter, as long as, and longer than a block.
TEST(transport_crypto, hmac_gives_the_known_answers) {
  CHECK_VALUE(const Crypto* crypto, Crypto::Get());
  const std::vector<uint8_t> key1(20, 0x0b), key3(20, 0xaa), data3(50, 0xdd), data4(50, 0xcd);
  const std::vector<uint8_t> key6(131, 0xaa);
  const auto key4 = Hex("0102030405060708090a0b0c0d0e0f10111213141516171819");
  CHECK(Is(crypto->Hmac(key1, Text("Hi There")),
           "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
  CHECK(Is(crypto->Hmac(Text("Jefe"), Text("what do ya want for nothing?")),
           "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
  CHECK(Is(crypto->Hmac(key3, data3),
           "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));
  CHECK(Is(crypto->Hmac(key4, data4),
           "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"));
  CHECK(Is(crypto->Hmac(key6, Text("Test Using Larger Than Block-Size Key - Hash Key First")),
           "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
  CHECK(Is(crypto->Hmac(key6, Text("This is a test using a larger than block-size key and a larger "
                                   "than block-size data. The key needs to be hashed before being "
                                   "used by the HMAC algorithm.")),
           "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"));
}

// Nothing is a key and a text like any other; a null key must not be the key of the call before.
TEST(transport_crypto, hmac_of_nothing) {
  CHECK_VALUE(const Crypto* crypto, Crypto::Get());
  (void)crypto->Hmac(Text("another key"), Text("another text"));
  CHECK(
      Is(crypto->Hmac({}, {}), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

// RFC 5869, test cases 1 and 3; the first block is all there is of it here.
TEST(transport_crypto, hkdf_gives_the_known_answers) {
  CHECK_VALUE(const Crypto* crypto, Crypto::Get());
  const std::vector<uint8_t> secret(22, 0x0b);
  const Digest first = crypto->HkdfExtract(Hex("000102030405060708090a0b0c"), secret);
  CHECK(Is(first, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
  CHECK(Is(crypto->HkdfExpand(first, Hex("f0f1f2f3f4f5f6f7f8f9")),
           "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
  const Digest third = crypto->HkdfExtract({}, secret);
  CHECK(Is(third, "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"));
  CHECK(Is(crypto->HkdfExpand(third, {}),
           "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"));
}

TEST(transport_crypto, every_bit_of_a_digest_is_compared) {
  CHECK_VALUE(const Crypto* crypto, Crypto::Get());
  const Digest digest = crypto->Hmac({}, {});
  CHECK(crypto->Equal(digest, digest));
  for (size_t bit = 0; bit < digest.size() * 8; ++bit) {
    Digest other = digest;
    other[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    CHECK(!crypto->Equal(digest, other));
  }
}

}  // namespace ringleader
