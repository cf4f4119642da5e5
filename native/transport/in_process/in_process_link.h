// A link between two members of one process: two queues behind one mutex.
//
// It is the plainest link that keeps the contract, the measure of the others in their common tests,
// and what several environments of one process use among themselves.
//
// Threads: each end by its own thread; ends may be destroyed in any order.
#pragma once

#include <memory>
#include <utility>

#include "transport/link.h"
#include "transport/poller.h"

namespace ringleader {

struct InProcessOptions {
  // Bytes that may wait in one direction and lane; a message goes into an empty queue whatever its
  // length.
  size_t queue_bytes = size_t{8} << 20;
};

// Both ends. Each wakes the other through the poller that the other waits in, which outlives it.
std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> MakeInProcessLinks(
    Poller* first, Poller* second, const InProcessOptions& options = {});

}  // namespace ringleader
