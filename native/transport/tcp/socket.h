// Sockets of the internet families: numeric addresses, options, and what a call did.
//
// Every descriptor is non-blocking and closed by exec. Names are not resolved here: that can take
// seconds, and this thread has none.
//
// Threads: any.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "transport/descriptor.h"
#include "transport/tcp/conduit.h"

namespace ringleader {

// An address and a port of IPv4 or IPv6.
class Endpoint {
 public:
  Endpoint() = default;

  // "127.0.0.1:7000", "[::1]:7000", "[fe80::1%2]:7000". kInvalidArgument for anything else, names
  // of hosts too.
  static Result<Endpoint> Parse(std::string_view text);
  // Of a socket: its own and the other side's.
  static Result<Endpoint> OfSocket(int descriptor);
  static Result<Endpoint> OfPeer(int descriptor);

  // Reached from this machine alone, whatever the routes: 127.0.0.0/8, ::1, and the former written
  // as IPv6. Not what stands for all addresses.
  bool IsLoopback() const;
  int family() const { return address_.ss_family; }
  uint16_t port() const;
  std::string ToString() const;
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return size_; }

 private:
  template <typename Call>
  static Result<Endpoint> Of(int descriptor, Call call);

  sockaddr_storage address_{};
  socklen_t size_ = 0;
};

// Whether a connection over that address may be: without TLS anybody on the way reads and changes
// what is sent, so only loopback is good unless the user has said `insecure`; and without a secret
// loopback is, whatever he has said. kPermission.
Status CheckExposure(const Endpoint& endpoint, bool has_secret, bool insecure);

struct SocketOptions {
  // What is sent and not acknowledged for as long ends the connection; 0: as the kernel has it.
  uint32_t user_timeout_ms = 0;
};

Result<Descriptor> Listen(const Endpoint& endpoint);
// Under way, or there already: when it can be written to, ConnectResult tells.
Result<Descriptor> StartConnect(const Endpoint& endpoint, const SocketOptions& options);
Status ConnectResult(int descriptor);
// Invalid: there is none to accept now.
Result<Descriptor> Accept(int listening, const SocketOptions& options);

// The socket as it is, without TLS.
std::unique_ptr<Conduit> PlainConduit(Descriptor socket);

}  // namespace ringleader
