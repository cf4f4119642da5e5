// The ring does what every link does, in each of the forms in which its memory can be mapped.
#include "link_conformance.h"
#include "ring_pair.h"

namespace ringleader {
namespace {

using namespace test;

class RingEnds : public LinkEnds {
 public:
  explicit RingEnds(const RingPairOptions& options) {
    CHECK_VALUE(RingLinks links, MakeRingLinks(poller(0), poller(1), options));
    Take(std::move(links));
  }
};

std::unique_ptr<LinkEnds> MakeTwice() { return std::make_unique<RingEnds>(RingPairOptions{}); }
std::unique_ptr<LinkEnds> MakePadded() {
  return std::make_unique<RingEnds>(RingPairOptions{{kMinRingBytes, kMinRingBytes}, false});
}
std::unique_ptr<LinkEnds> MakeSmall() {
  return std::make_unique<RingEnds>(RingPairOptions{{kMinRingBytes, kMinRingBytes}, true});
}

LINK_CONFORMANCE(ring_link, MakeTwice)
LINK_CONFORMANCE(ring_link_small, MakeSmall)
LINK_CONFORMANCE(ring_link_padded, MakePadded)

}  // namespace
}  // namespace ringleader
