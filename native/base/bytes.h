// Views of bytes. A view never owns; whoever hands one over keeps the bytes alive for the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringleader {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

}  // namespace ringleader
