// Messages of links' tests: they know their lengths, their places in their lanes, and what is in
// them.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "base/coding.h"
#include "harness.h"
#include "transport/link.h"
#include "transport/poller.h"

namespace ringleader::test {

// Two connected ends, each with a poller of its own.
class LinkEnds {
 public:
  virtual ~LinkEnds() = default;

  struct End {
    Poller* poller = nullptr;
    std::unique_ptr<Link> link;
  };
  End& operator[](size_t side) { return ends_[side]; }

 protected:
  LinkEnds() : pollers_{OpenPoller(), OpenPoller()} {
    for (size_t i = 0; i < 2; ++i) ends_[i].poller = &pollers_[i];
  }
  Poller* poller(size_t side) { return &pollers_[side]; }
  void Take(std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> links) {
    ends_[0].link = std::move(links.first);
    ends_[1].link = std::move(links.second);
  }

 private:
  static Poller OpenPoller() {
    CHECK_VALUE(Poller poller, Poller::Open());
    return poller;
  }

  Poller pollers_[2];
  End ends_[2];  // gone before the pollers
};

inline constexpr size_t kTestHeadBytes = 16;  // u32 size, u32 lane, u64 number

inline uint8_t TestByte(uint64_t number, size_t at) {
  return static_cast<uint8_t>((number * 0x9e3779b97f4a7c15 + at * 131) >> 11);
}

// A message of `size` bytes, at least kTestHeadBytes.
inline std::vector<uint8_t> TestMessage(Lane lane, uint64_t number, size_t size) {
  CHECK(size >= kTestHeadBytes);
  std::vector<uint8_t> message(size);
  StoreLe(&message[0], static_cast<uint32_t>(size));
  StoreLe(&message[4], static_cast<uint32_t>(lane));
  StoreLe(&message[8], number);
  for (size_t i = kTestHeadBytes; i < size; ++i) message[i] = TestByte(number, i);
  return message;
}

inline Result<bool> SendTest(Link& link, Lane lane, uint64_t number, size_t size) {
  const std::vector<uint8_t> message = TestMessage(lane, number, size);
  // Parted anywhere: the receiver sees one message.
  const Bytes bytes(message);
  const size_t head = number % (size + 1);
  return link.Send(lane, bytes.first(head), bytes.subspan(head));
}

// Takes apart what Receive has appended, and finds out whether it was all sent, once and in order.
class TestReader {
 public:
  // What `bytes` hold has to be whole messages. Returns how many.
  size_t Take(Bytes bytes) {
    size_t taken = 0;
    for (; !bytes.empty(); ++taken) {
      CHECK(bytes.size() >= kTestHeadBytes);
      const size_t size = LoadLe<uint32_t>(bytes.data());
      CHECK(size >= kTestHeadBytes && size <= bytes.size());
      const auto lane = LoadLe<uint32_t>(bytes.data() + 4);
      const auto number = LoadLe<uint64_t>(bytes.data() + 8);
      CHECK(lane < kLanes);
      CHECK_EQ(number, next_[lane]);
      const auto expected = TestMessage(static_cast<Lane>(lane), number, size);
      CHECK(std::memcmp(expected.data(), bytes.data(), size) == 0);
      ++next_[lane];
      bytes = bytes.subspan(size);
    }
    return taken;
  }

  uint64_t taken(Lane lane) const { return next_[static_cast<size_t>(lane)]; }
  uint64_t taken() const { return next_[0] + next_[1] + next_[2]; }

 private:
  uint64_t next_[kLanes] = {};
};

// Everything that is there now.
inline Status ReceiveAll(Link& link, TestReader* reader) {
  std::vector<uint8_t> out;
  for (bool more = true; more;) {
    out.clear();
    Result<bool> received = link.Receive(size_t{1} << 20, &out);
    reader->Take(out);
    RL_RETURN_IF_ERROR(received.status());
    more = received.value();
  }
  return Status::Ok();
}

}  // namespace ringleader::test
