#include "transport/tcp/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace ringleader {
namespace {

// Bytes that the kernel takes and has not sent yet: what an urgent message still has to wait for.
constexpr int kNotSentBytes = 128 << 10;
// A back-stop for a side that only receives: 10 s of silence, then three questions 5 s apart.
constexpr int kKeepIdleSeconds = 10;
constexpr int kKeepIntervalSeconds = 5;
constexpr int kKeepCount = 3;
constexpr int kBacklog = 128;
// Read of a connection that is being closed.
constexpr size_t kMaxUnreadBytes = 256 << 10;

Status Set(int descriptor, int level, int name, int value) {
  if (setsockopt(descriptor, level, name, &value, sizeof value) == 0) return Status::Ok();
  return ErrnoStatus(errno, "cannot set an option of a socket");
}

// No sizes of buffers: setting them ends the kernel's own tuning.
Status SetOptions(int descriptor, const SocketOptions& options) {
  RL_RETURN_IF_ERROR(Set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1));
  RL_RETURN_IF_ERROR(Set(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kNotSentBytes));
  RL_RETURN_IF_ERROR(Set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1));
  RL_RETURN_IF_ERROR(Set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdleSeconds));
  RL_RETURN_IF_ERROR(Set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, kKeepIntervalSeconds));
  RL_RETURN_IF_ERROR(Set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, kKeepCount));
  if (options.user_timeout_ms == 0) return Status::Ok();
  return Set(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(options.user_timeout_ms));
}

Result<Descriptor> OpenSocket(const Endpoint& endpoint) {
  Descriptor socket(
      ::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket.valid()) return ErrnoStatus(errno, "cannot create a socket");
  return socket;
}

bool IsLoopback4(const uint8_t* address) { return address[0] == 127; }

class Plain : public Conduit {
 public:
  explicit Plain(Descriptor socket) : socket_(std::move(socket)) {}
  // A socket that is closed with bytes that nobody has read resets the connection, and what was
  // written last may not arrive.
  ~Plain() override {
    (void)shutdown(socket_.get(), SHUT_WR);
    std::array<uint8_t, 4096> unread;
    for (size_t count = 0; count < kMaxUnreadBytes; count += unread.size()) {
      if (Read(unread).end != Transfer::End::kMoved) break;
    }
  }

  int descriptor() const override { return socket_.get(); }

  Transfer Read(MutableBytes into) override {
    for (;;) {
      const ssize_t got = recv(socket_.get(), into.data(), into.size(), 0);
      if (got == 0) return {Transfer::End::kGone, 0, 0};
      if (got > 0 || errno != EINTR) return Outcome(got);
    }
  }

  Transfer Write(std::span<const iovec> parts) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    for (;;) {
      const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
      if (sent >= 0 || errno != EINTR) return Outcome(sent);
    }
  }

 private:
  static Transfer Outcome(ssize_t result) {
    if (result > 0) return {Transfer::End::kMoved, static_cast<size_t>(result), 0};
    if (result == 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      return {Transfer::End::kBlocked, 0, 0};
    }
    return {Transfer::End::kGone, 0, errno};
  }

  Descriptor socket_;
};

}  // namespace

Result<Endpoint> Endpoint::Parse(std::string_view text) {
  const Status bad(Code::kInvalidArgument,
                   "not an address and a port, as in 127.0.0.1:7000 or "
                   "[::1]:7000: " +
                       std::string(text.substr(0, 100)));
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find('\0') != std::string_view::npos) return bad;
  std::string host(text.substr(0, colon));
  const std::string port(text.substr(colon + 1));
  const bool in_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  // getaddrinfo takes a port with blanks and a sign, and an address without a part of it.
  if (port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string::npos || std::stoul(port) > 65535) {
    return bad;
  }
  in_addr plain;
  if (!in_brackets && inet_pton(AF_INET, host.c_str(), &plain) != 1) return bad;
  if (in_brackets && host.find(':') == std::string::npos) return bad;
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_family = in_brackets ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return bad;
  Endpoint endpoint;
  std::memcpy(&endpoint.address_, found->ai_addr, found->ai_addrlen);
  endpoint.size_ = found->ai_addrlen;
  freeaddrinfo(found);
  return endpoint;
}

template <typename Call>
Result<Endpoint> Endpoint::Of(int descriptor, Call call) {
  Endpoint endpoint;
  endpoint.size_ = sizeof endpoint.address_;
  if (call(descriptor, reinterpret_cast<sockaddr*>(&endpoint.address_), &endpoint.size_) != 0) {
    return ErrnoStatus(errno, "cannot tell the address of a socket");
  }
  return endpoint;
}

Result<Endpoint> Endpoint::OfSocket(int descriptor) { return Of(descriptor, getsockname); }

Result<Endpoint> Endpoint::OfPeer(int descriptor) { return Of(descriptor, getpeername); }

bool Endpoint::IsLoopback() const {
  if (family() == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&address_);
    return IsLoopback4(reinterpret_cast<const uint8_t*>(&v4->sin_addr));
  }
  if (family() != AF_INET6) return false;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(&address_)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && IsLoopback4(&v6.s6_addr[12]));
}

uint16_t Endpoint::port() const {
  return ntohs(family() == AF_INET ? reinterpret_cast<const sockaddr_in*>(&address_)->sin_port
                                   : reinterpret_cast<const sockaddr_in6*>(&address_)->sin6_port);
}

std::string Endpoint::ToString() const {
  std::array<char, NI_MAXHOST> host;
  if (size_ == 0 ||
      getnameinfo(address(), size_, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return "no address";
  }
  const std::string name(host.data());
  return (family() == AF_INET6 ? "[" + name + "]" : name) + ":" + std::to_string(port());
}

Status CheckExposure(const Endpoint& endpoint, bool has_secret, bool insecure) {
  if (endpoint.IsLoopback()) return Status::Ok();
  if (!has_secret) {
    return Status(Code::kPermission,
                  "members that have no secret connect over loopback only, not "
                  "over " +
                      endpoint.ToString());
  }
  if (insecure) return Status::Ok();
  return Status(Code::kPermission,
                "without TLS anybody on the way can read and change what is "
                "sent over " +
                    endpoint.ToString() + ": only loopback is used, unless `insecure` is set");
}

Result<Descriptor> Listen(const Endpoint& endpoint) {
  RL_ASSIGN_OR_RETURN(Descriptor socket, OpenSocket(endpoint));
  // Connections of the last listener that wait for their end do not keep the next one away.
  RL_RETURN_IF_ERROR(Set(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1));
  // Each family has a listener of its own, and what is checked as IPv6 is IPv6.
  if (endpoint.family() == AF_INET6) {
    RL_RETURN_IF_ERROR(Set(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1));
  }
  if (bind(socket.get(), endpoint.address(), endpoint.size()) != 0 ||
      listen(socket.get(), kBacklog) != 0) {
    const int sys_errno = errno;
    if (sys_errno == EADDRINUSE) {
      return Status(Code::kBusy, "somebody else listens on " + endpoint.ToString(), sys_errno);
    }
    return ErrnoStatus(sys_errno, "cannot listen on " + endpoint.ToString());
  }
  return socket;
}

Result<Descriptor> StartConnect(const Endpoint& endpoint, const SocketOptions& options) {
  RL_ASSIGN_OR_RETURN(Descriptor socket, OpenSocket(endpoint));
  RL_RETURN_IF_ERROR(SetOptions(socket.get(), options));
  // After EINTR it goes on by itself, as after EINPROGRESS.
  if (connect(socket.get(), endpoint.address(), endpoint.size()) != 0 && errno != EINPROGRESS &&
      errno != EINTR) {
    return ErrnoStatus(errno, "cannot connect to " + endpoint.ToString());
  }
  return socket;
}

Status ConnectResult(int descriptor) {
  int sys_errno = 0;
  socklen_t size = sizeof sys_errno;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &sys_errno, &size) != 0) sys_errno = errno;
  if (sys_errno != 0) return ErrnoStatus(sys_errno, "cannot connect");
  // A port of this machine's own range can be connected to itself when nobody listens there.
  RL_ASSIGN_OR_RETURN(const Endpoint here, Endpoint::OfSocket(descriptor));
  RL_ASSIGN_OR_RETURN(const Endpoint there, Endpoint::OfPeer(descriptor));
  if (here.ToString() == there.ToString()) {
    return Status(Code::kIo, "the connection is one to itself");
  }
  return Status::Ok();
}

Result<Descriptor> Accept(int listening, const SocketOptions& options) {
  for (;;) {
    Descriptor socket(accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      // Who is gone already has a socket whose options cannot be set; it is found out by reading.
      (void)SetOptions(socket.get(), options).ok();
      return socket;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Descriptor();
    // These are errors of a connection that is gone, not of the listener (accept(2)).
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == ENETDOWN ||
        errno == ENETUNREACH || errno == EHOSTUNREACH || errno == EHOSTDOWN || errno == ENONET ||
        errno == ENOPROTOOPT || errno == EOPNOTSUPP) {
      continue;
    }
    return ErrnoStatus(errno, "cannot accept a connection");
  }
}

std::unique_ptr<Conduit> PlainConduit(Descriptor socket) {
  return std::make_unique<Plain>(std::move(socket));
}

}  // namespace ringleader
