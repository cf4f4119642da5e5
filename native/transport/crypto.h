// HMAC-SHA-256 of the OpenSSL that is there: Node exports the one it is built with, and a program
// that is not Node gets the system's. The addon is linked with neither, so it builds without their
// headers and loads where there is none.
//
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/status.h"

namespace ringleader {

using Digest = std::array<uint8_t, 32>;

class Crypto {
 public:
  // Looked for once for the process, and tried with a known answer. kUnsupported where there is
  // none.
  static Result<const Crypto*> Get();

  Digest Hmac(Bytes key, Bytes data) const;
  // RFC 5869. One block: as many bytes as a Digest has, which is all that anybody here needs.
  Digest HkdfExtract(Bytes salt, Bytes secret) const { return Hmac(salt, secret); }
  Digest HkdfExpand(const Digest& key, Bytes info) const;
  // How long it takes says nothing of where they differ.
  bool Equal(const Digest& left, const Digest& right) const;

 private:
  Crypto() = default;
  Status Load();

  // As OpenSSL declares them since 1.0; EVP_MD is opaque.
  using HmacFunction = uint8_t* (*)(const void* md, const void* key, int key_size,
                                    const uint8_t* data, size_t size, uint8_t* out,
                                    unsigned int* out_size);
  using Sha256Function = const void* (*)();
  using CompareFunction = int (*)(const void* left, const void* right, size_t size);

  HmacFunction hmac_ = nullptr;
  CompareFunction compare_ = nullptr;
  const void* sha256_ = nullptr;
};

}  // namespace ringleader
