// Descriptors over a unix socket.
//
// Who receives some has them, whatever came with them: what is more or other than was asked for is
// closed, and the exchange has failed.
//
// Threads: any; neither call waits.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "transport/descriptor.h"

namespace ringleader {

inline constexpr size_t kMaxExchangedDescriptors = 16;

// All of `bytes`, at least one, and with its first one the descriptors, which stay open here. kBusy
// where the socket is full, and nothing has been sent.
Status SendDescriptors(int socket, Bytes bytes, std::span<const int> descriptors);

struct ReceivedDescriptors {
  std::vector<uint8_t> bytes;
  std::vector<Descriptor> descriptors;  // closed on exec
};

// Exactly so many bytes and descriptors, in the order in which they were sent. kBusy where nothing
// has come yet, kClosed where the other side is gone, kCorruption where it is anything else.
Result<ReceivedDescriptors> ReceiveDescriptors(int socket, size_t bytes, size_t descriptors);

}  // namespace ringleader
