// Addresses, who may connect where, and what a socket is set to.
#include "transport/tcp/socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <string>

#include "harness.h"

namespace ringleader {
namespace {

Endpoint At(const std::string& text) {
  CHECK_VALUE(const Endpoint endpoint, Endpoint::Parse(text));
  return endpoint;
}

int Option(int descriptor, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  CHECK(getsockopt(descriptor, level, name, &value, &size) == 0);
  return value;
}

}  // namespace

TEST(tcp_socket, addresses_are_numbers) {
  for (const char* const text : {"127.0.0.1:7000", "0.0.0.0:0", "10.1.2.3:65535", "[::1]:1",
                                 "[2001:db8::5]:7000", "[::ffff:127.0.0.1]:80"}) {
    CHECK_EQ(At(text).ToString(), text);
  }
  CHECK_EQ(At("[::1]:1").family(), AF_INET6);
  CHECK_EQ(At("[::1]:513").port(), 513);
  for (const std::string text :
       {"", ":", "127.0.0.1", "127.0.0.1:", ":7000", "localhost:7000", "127.1:7000", "::1:7000",
        "[::1]", "[::1]:", "[127.0.0.1]:7000", "[]:1", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4: 1",
        "1.2.3.4:999999999999", "0x7f.1:1", "[::1]7000", "[::1%nosuchlink]:1"}) {
    CHECK_CODE(Endpoint::Parse(text).status(), Code::kInvalidArgument);
  }
  CHECK_CODE(Endpoint::Parse(std::string("1.2.3.4\0:1", 10)).status(), Code::kInvalidArgument);
}

TEST(tcp_socket, loopback_is_this_machine_and_nothing_else) {
  for (const char* const text : {"127.0.0.1:1", "127.255.255.254:1", "[::1]:1",
                                 "[::ffff:127.0.0.1]:1", "[::ffff:127.9.9.9]:1"}) {
    CHECK(At(text).IsLoopback());
    CHECK_OK(CheckExposure(At(text), false, false));
  }
  // All addresses, one like it, an old way to write IPv4, and ::1 of another network.
  for (const char* const text :
       {"0.0.0.0:1", "[::]:1", "128.0.0.1:1", "126.255.255.255:1", "10.0.0.1:1", "[::2]:1",
        "[::127.0.0.1]:1", "[::ffff:128.0.0.1]:1", "[::ffff:0.0.0.0]:1", "[fe80::1]:1",
        "[2001:db8::1]:1", "[100::1]:1"}) {
    CHECK(!At(text).IsLoopback());
    CHECK_CODE(CheckExposure(At(text), true, false), Code::kPermission);
    CHECK_OK(CheckExposure(At(text), true, true));
    CHECK_CODE(CheckExposure(At(text), false, true), Code::kPermission);
  }
}

TEST(tcp_socket, a_connection_is_set_to_be_quick_and_to_notice) {
  SocketOptions options;
  options.user_timeout_ms = 1234;
  CHECK_VALUE(const Descriptor listening, Listen(At("127.0.0.1:0")));
  CHECK_VALUE(const Endpoint endpoint, Endpoint::OfSocket(listening.get()));
  CHECK_VALUE(const Descriptor dialed, StartConnect(endpoint, options));
  pollfd ready{listening.get(), POLLIN, 0};
  CHECK(poll(&ready, 1, 20'000) == 1);
  CHECK_VALUE(const Descriptor accepted, Accept(listening.get(), options));
  CHECK(accepted.valid());
  CHECK_OK(ConnectResult(dialed.get()));
  CHECK((fcntl(listening.get(), F_GETFD) & FD_CLOEXEC) != 0);
  for (const int descriptor : {dialed.get(), accepted.get()}) {
    CHECK((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
    CHECK_EQ(Option(descriptor, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(Option(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 128 << 10);
    CHECK_EQ(Option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
    CHECK_EQ(Option(descriptor, SOL_SOCKET, SO_KEEPALIVE), 1);
  }
  CHECK_VALUE(const Descriptor none, Accept(listening.get(), options));
  CHECK(!none.valid());
  CHECK_CODE(Listen(endpoint).status(), Code::kBusy);
}

TEST(tcp_socket, a_port_where_nobody_listens_is_said) {
  Endpoint endpoint;
  {
    CHECK_VALUE(const Descriptor listening, Listen(At("127.0.0.1:0")));
    CHECK_VALUE(endpoint, Endpoint::OfSocket(listening.get()));
  }
  auto dialed = StartConnect(endpoint, {});
  if (!dialed.ok()) return;  // said at once
  pollfd ready{dialed->get(), POLLOUT, 0};
  CHECK(poll(&ready, 1, 20'000) == 1);
  CHECK(!ConnectResult(dialed->get()).ok());
}

}  // namespace ringleader
