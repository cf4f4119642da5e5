#include "transport/crypto.h"

#include <dlfcn.h>

#include <climits>
#include <string>
#include <vector>

#include "base/check.h"

namespace ringleader {
namespace {

// The symbol that Node exports, else that of the system's library, which stays loaded.
void* Find(const char* name) {
  if (void* const found = dlsym(RTLD_DEFAULT, name)) return found;
  static void* const library = [] {
    for (const char* const file : {"libcrypto.so.3", "libcrypto.so.1.1"}) {
      if (void* const opened = dlopen(file, RTLD_NOW | RTLD_LOCAL)) return opened;
    }
    return static_cast<void*>(nullptr);
  }();
  return library == nullptr ? nullptr : dlsym(library, name);
}

// RFC 4231, test case 2.
constexpr uint8_t kKnownKey[] = {'J', 'e', 'f', 'e'};
constexpr char kKnownData[] = "what do ya want for nothing?";
constexpr Digest kKnownAnswer = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                                 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                                 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};

Status Missing(const char* what) {
  return Status(Code::kUnsupported,
                std::string("members cannot authenticate each other: this process has no OpenSSL "
                            "(libcrypto) ") +
                    what);
}

}  // namespace

Status Crypto::Load() {
  hmac_ = reinterpret_cast<HmacFunction>(Find("HMAC"));
  compare_ = reinterpret_cast<CompareFunction>(Find("CRYPTO_memcmp"));
  const auto sha256 = reinterpret_cast<Sha256Function>(Find("EVP_sha256"));
  if (hmac_ == nullptr || compare_ == nullptr || sha256 == nullptr) {
    return Missing("with HMAC, EVP_sha256 and CRYPTO_memcmp");
  }
  sha256_ = sha256();
  Digest answer;
  unsigned int size = 0;
  const auto* const data = reinterpret_cast<const uint8_t*>(kKnownData);
  // A policy of the system may forbid what the library has.
  if (sha256_ == nullptr ||
      hmac_(sha256_, kKnownKey, sizeof kKnownKey, data, sizeof kKnownData - 1, answer.data(),
            &size) == nullptr ||
      size != answer.size() || answer != kKnownAnswer) {
    return Missing("whose HMAC-SHA-256 works");
  }
  return Status::Ok();
}

Result<const Crypto*> Crypto::Get() {
  static Crypto crypto;
  static const Status loaded = crypto.Load();
  if (!loaded.ok()) return loaded;
  return static_cast<const Crypto*>(&crypto);
}

Digest Crypto::Hmac(Bytes key, Bytes data) const {
  RL_CHECK(key.size() <= INT_MAX);
  // No null pointers: to HMAC, a null key is the one of the call before.
  static constexpr uint8_t kNothing = 0;
  const uint8_t* const key_bytes = key.empty() ? &kNothing : key.data();
  const uint8_t* const data_bytes = data.empty() ? &kNothing : data.data();
  Digest digest;
  unsigned int size = 0;
  // It worked once, and fails without memory only: nothing may go on with a digest that is none.
  RL_CHECK(hmac_(sha256_, key_bytes, static_cast<int>(key.size()), data_bytes, data.size(),
                 digest.data(), &size) != nullptr);
  RL_CHECK(size == digest.size());
  return digest;
}

Digest Crypto::HkdfExpand(const Digest& key, Bytes info) const {
  std::vector<uint8_t> block(info.begin(), info.end());
  block.push_back(1);
  return Hmac(key, block);
}

bool Crypto::Equal(const Digest& left, const Digest& right) const {
  return compare_(left.data(), right.data(), left.size()) == 0;
}

}  // namespace ringleader
