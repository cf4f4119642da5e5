// Two ends of a ring link in one process, connected as two processes would be: over a socket pair,
// across which they hand each other what they have made.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <utility>
#include <vector>

#include "transport/ring/descriptor_exchange.h"
#include "transport/ring/ring_link.h"

namespace ringleader::test {

struct RingPairOptions {
  size_t capacity_bytes[2] = {size_t{8} << 20, kBackRingBytes};
  bool map_twice = true;
};

inline RingOptions RingOptionsOf(const RingPairOptions& options, size_t side) {
  RingOptions own;
  own.capacity_bytes = options.capacity_bytes[side];
  own.session.fill(0x5a);
  own.dials = side == 0;
  own.map_twice = options.map_twice;
  return own;
}

inline Result<std::pair<Descriptor, Descriptor>> UnixPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return ErrnoStatus(errno, "socketpair");
  }
  return std::pair{Descriptor(ends[0]), Descriptor(ends[1])};
}

// Hands the other end of `control` an offer.
inline Status SendOffer(const Descriptor& control, const RingOffer& offer) {
  const uint8_t word = 'o';
  const auto descriptors = offer.descriptors();
  return SendDescriptors(control.get(), {&word, 1}, descriptors);
}

inline Result<std::unique_ptr<RingLink>> AttachToOffer(RingOffer ours, Descriptor control,
                                                       Poller* poller) {
  RL_ASSIGN_OR_RETURN(ReceivedDescriptors theirs,
                      ReceiveDescriptors(control.get(), 1, RingOffer::kDescriptors));
  return RingLink::Attach(std::move(ours), std::move(theirs.descriptors), std::move(control),
                          poller);
}

using RingLinks = std::pair<std::unique_ptr<RingLink>, std::unique_ptr<RingLink>>;

inline Result<RingLinks> MakeRingLinks(Poller* first, Poller* second,
                                       const RingPairOptions& options = {}) {
  RL_ASSIGN_OR_RETURN(auto control, UnixPair());
  RL_ASSIGN_OR_RETURN(RingOffer one, RingOffer::Make(RingOptionsOf(options, 0)));
  RL_ASSIGN_OR_RETURN(RingOffer two, RingOffer::Make(RingOptionsOf(options, 1)));
  RL_RETURN_IF_ERROR(SendOffer(control.first, one));
  RL_RETURN_IF_ERROR(SendOffer(control.second, two));
  RingLinks links;
  RL_ASSIGN_OR_RETURN(links.first, AttachToOffer(std::move(one), std::move(control.first), first));
  RL_ASSIGN_OR_RETURN(links.second,
                      AttachToOffer(std::move(two), std::move(control.second), second));
  return links;
}

}  // namespace ringleader::test
