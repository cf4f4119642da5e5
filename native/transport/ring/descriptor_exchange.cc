#include "transport/ring/descriptor_exchange.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace ringleader {
namespace {

// One more than is ever asked for: that there were too many is seen, and they are closed.
constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * (kMaxExchangedDescriptors + 1));

Status Bad(const char* what) {
  return Status(Code::kCorruption, std::string("what came over a unix socket is wrong: ") + what);
}

// Takes what there is, and says whether it was nothing but descriptors.
bool TakeControl(msghdr* message, std::vector<Descriptor>* descriptors) {
  bool only_descriptors = true;
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      only_descriptors = false;
      continue;
    }
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int descriptor;
      std::memcpy(&descriptor, CMSG_DATA(part) + i * sizeof descriptor, sizeof descriptor);
      descriptors->emplace_back(descriptor);
    }
  }
  return only_descriptors;
}

}  // namespace

Status SendDescriptors(int socket, Bytes bytes, std::span<const int> descriptors) {
  RL_CHECK(!bytes.empty() && descriptors.size() <= kMaxExchangedDescriptors);
  alignas(cmsghdr) std::array<uint8_t, kControlBytes> control{};
  iovec data{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const size_t size = descriptors.size_bytes();
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(part), descriptors.data(), size);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return Status(Code::kBusy, "a unix socket is full");
  }
  if (sent < 0) return ErrnoStatus(errno, "cannot hand over descriptors");
  if (static_cast<size_t>(sent) != bytes.size()) {
    return Status(Code::kIo, "a unix socket has taken a part only");
  }
  return Status::Ok();
}

Result<ReceivedDescriptors> ReceiveDescriptors(int socket, size_t bytes, size_t descriptors) {
  RL_CHECK(bytes > 0 && descriptors <= kMaxExchangedDescriptors);
  ReceivedDescriptors received;
  received.bytes.resize(bytes);
  alignas(cmsghdr) std::array<uint8_t, kControlBytes> control{};
  iovec data{received.bytes.data(), bytes};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got;
  do {
    got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return Status(Code::kBusy, "nothing has come over a unix socket yet");
  }
  if (got < 0) return ErrnoStatus(errno, "cannot receive descriptors");
  const bool only_descriptors = TakeControl(&message, &received.descriptors);
  if (got == 0) return Status(Code::kClosed, "the other end of a unix socket is gone");
  if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0) return Bad("more than asked for");
  if (!only_descriptors) return Bad("more than descriptors");
  if (received.descriptors.size() != descriptors) return Bad("the number of descriptors");
  if (static_cast<size_t>(got) != bytes) return Bad("the number of bytes");
  return received;
}

}  // namespace ringleader
