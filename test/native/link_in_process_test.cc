// The link between members of one process does what every link does.
#include "link_conformance.h"
#include "transport/in_process/in_process_link.h"

namespace ringleader {
namespace {

using namespace test;

class InProcessEnds : public LinkEnds {
 public:
  InProcessEnds() { Take(MakeInProcessLinks(poller(0), poller(1))); }
};

std::unique_ptr<LinkEnds> MakeEnds() { return std::make_unique<InProcessEnds>(); }

LINK_CONFORMANCE(link_in_process, MakeEnds)

}  // namespace
}  // namespace ringleader
