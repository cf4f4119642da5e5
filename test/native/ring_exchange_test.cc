// Descriptors over a unix socket: what was asked for, or nothing at all and nothing left open.
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "harness.h"
#include "ring_pair.h"

namespace ringleader {
namespace {

using namespace test;

size_t OpenDescriptors() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    count += !entry.path().empty();
  }
  return count;
}

struct Ends {
  Ends() {
    CHECK_VALUE(auto pair, UnixPair());
    sends = std::move(pair.first);
    receives = std::move(pair.second);
  }
  Status Send(size_t bytes, size_t descriptors) {
    const std::vector<uint8_t> word(bytes, 7);
    const std::vector<int> copies(descriptors, sends.get());
    return SendDescriptors(sends.get(), word, copies);
  }
  Result<ReceivedDescriptors> Receive(size_t bytes, size_t descriptors) {
    return ReceiveDescriptors(receives.get(), bytes, descriptors);
  }
  Descriptor sends, receives;
};

TEST(ring_exchange, descriptors_come_in_order_and_closed_on_exec) {
  Ends ends;
  CHECK_CODE(ends.Receive(3, 2).status(), Code::kBusy);
  int pipes[2];
  CHECK_EQ(pipe2(pipes, O_CLOEXEC), 0);
  const Descriptor reading(pipes[0]), writing(pipes[1]);
  const uint8_t word[] = {1, 2, 3};
  const std::array<int, 2> both = {reading.get(), writing.get()};
  CHECK_OK(SendDescriptors(ends.sends.get(), word, both));
  CHECK_VALUE(const ReceivedDescriptors got, ends.Receive(3, 2));
  CHECK(got.bytes == std::vector<uint8_t>({1, 2, 3}));
  for (const Descriptor& descriptor : got.descriptors) {
    CHECK((fcntl(descriptor.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK_EQ(write(got.descriptors[1].get(), "x", 1), 1);
  char byte = 0;
  CHECK_EQ(read(got.descriptors[0].get(), &byte, 1), 1);
  CHECK_EQ(byte, 'x');
}

TEST(ring_exchange, another_number_is_refused_and_closed) {
  for (const size_t sent : {0, 1, 2, 4, 5, 15, 16}) {
    Ends ends;
    CHECK_OK(ends.Send(4, sent));
    const size_t open = OpenDescriptors();
    CHECK_CODE(ends.Receive(4, 3).status(), Code::kCorruption);
    CHECK_EQ(OpenDescriptors(), open);
  }
}

TEST(ring_exchange, more_than_fit_are_refused_and_closed) {
  Ends ends;
  const std::vector<int> many(kMaxExchangedDescriptors + 40, ends.sends.get());
  std::vector<uint8_t> control(CMSG_SPACE(many.size() * sizeof(int)));
  uint8_t word = 1;
  iovec data{&word, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(many.size() * sizeof(int));
  std::memcpy(CMSG_DATA(part), many.data(), many.size() * sizeof(int));
  CHECK_EQ(sendmsg(ends.sends.get(), &message, MSG_NOSIGNAL), 1);
  const size_t open = OpenDescriptors();
  CHECK_CODE(ends.Receive(1, kMaxExchangedDescriptors).status(), Code::kCorruption);
  CHECK_EQ(OpenDescriptors(), open);
}

TEST(ring_exchange, another_number_of_bytes_is_refused) {
  Ends ends;
  CHECK_OK(ends.Send(3, 2));
  const size_t open = OpenDescriptors();
  CHECK_CODE(ends.Receive(4, 2).status(), Code::kCorruption);
  CHECK_EQ(OpenDescriptors(), open);
}

// The kernel adds who has sent something where the receiver has asked for it; we never do.
TEST(ring_exchange, what_is_no_descriptor_is_refused) {
  Ends ends;
  const int on = 1;
  CHECK_EQ(setsockopt(ends.receives.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
  CHECK_OK(ends.Send(4, 2));
  const size_t open = OpenDescriptors();
  CHECK_CODE(ends.Receive(4, 2).status(), Code::kCorruption);
  CHECK_EQ(OpenDescriptors(), open);
}

TEST(ring_exchange, ends) {
  Ends ends;
  ends.sends.Reset();
  CHECK_CODE(ends.Receive(1, 0).status(), Code::kClosed);
  Ends full;
  Status status;
  for (int i = 0; i < 100'000 && status.ok(); ++i) status = full.Send(1024, 1);
  CHECK_CODE(status, Code::kBusy);
}

}  // namespace
}  // namespace ringleader
