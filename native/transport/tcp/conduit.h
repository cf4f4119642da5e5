// Bytes to and from the other side of a connection: what TLS will stand behind, instead of the
// plain socket.
//
// Threads: one.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace ringleader {

struct Transfer {
  enum class End : uint8_t {
    kMoved,    // `bytes` of them, at least one
    kBlocked,  // not now: the poller says when
    kGone,     // never again
  };

  End end = End::kBlocked;
  size_t bytes = 0;
  int sys_errno = 0;  // with kGone; 0: the other side has ended it
};

class Conduit {
 public:
  virtual ~Conduit() = default;

  // What the poller watches; owned.
  virtual int descriptor() const = 0;
  virtual Transfer Read(MutableBytes into) = 0;
  virtual Transfer Write(std::span<const iovec> parts) = 0;
};

}  // namespace ringleader
