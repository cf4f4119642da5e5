// What every link has to do, over TCP.
#include "link_conformance.h"
#include "tcp_fixture.h"

namespace ringleader::test {
namespace {

std::unique_ptr<LinkEnds> OverV4() { return std::make_unique<TcpLinkEnds>(TcpLinkOptions{}); }

std::unique_ptr<LinkEnds> OverV6() {
  TcpLinkOptions options;
  options.address = "[::1]:0";
  return std::make_unique<TcpLinkEnds>(options);
}

// Snapshots take the first connection when there is no second one; and little is under way.
std::unique_ptr<LinkEnds> OverOne() {
  TcpLinkOptions options;
  options.keep_listener = false;
  options.limits.window_bytes = kMinWindowBytes;
  return std::make_unique<TcpLinkEnds>(options);
}

}  // namespace

LINK_CONFORMANCE(link_tcp, OverV4)
LINK_CONFORMANCE(link_tcp_v6, OverV6)
LINK_CONFORMANCE(link_tcp_one, OverOne)

}  // namespace ringleader::test
