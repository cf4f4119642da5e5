// Connections of strangers, of members who misbehave, and of members who die.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tcp_fixture.h"

namespace ringleader::test {
namespace {

using Buffer = std::vector<uint8_t>;

// A socket in the hands of somebody who is no member.
struct Raw {
  explicit Raw(const Endpoint& endpoint) {
    CHECK_VALUE(socket, StartConnect(endpoint, {}));
    pollfd ready{socket.get(), POLLOUT, 0};
    CHECK(poll(&ready, 1, 20'000) == 1);
    CHECK_OK(ConnectResult(socket.get()));
  }
  void Write(Bytes bytes) const {
    CHECK(send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
  }
  // The other side has ended it.
  bool Ended() const {
    uint8_t bytes[4096];
    for (;;) {
      const ssize_t got = recv(socket.get(), bytes, sizeof bytes, 0);
      if (got == 0) return true;
      if (got < 0) return errno != EAGAIN;
    }
  }
  // What is in the way is gone, and an RST goes out.
  void Reset() {
    const linger none{1, 0};
    CHECK(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0);
    socket.Reset();
  }
  Descriptor socket;
};

Buffer HelloFrame(Bytes message, uint32_t sequence) {
  Buffer frame(FrameBytes(message.size()));
  EncodeFrameHead({static_cast<uint32_t>(message.size()), FrameType::kHello, kChecked, sequence},
                  message, frame.data());
  std::copy(message.begin(), message.end(), frame.begin() + kLinkFrameHeadBytes);
  return frame;
}

struct OpenDescriptors {
  size_t all = 0;
  size_t inheritable = 0;  // exec does not close them
};

OpenDescriptors CountDescriptors() {
  OpenDescriptors count;
  DIR* const directory = opendir("/proc/self/fd");
  CHECK(directory != nullptr);
  while (const dirent* const each = readdir(directory)) {
    if (each->d_name[0] == '.') continue;
    const int descriptor = std::atoi(each->d_name);
    ++count.all;
    if ((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) == 0) ++count.inheritable;
  }
  closedir(directory);
  return count;
}

Status EndOf(TcpMember& member, Link& link) {
  Status status;
  TestReader reader;
  AWAIT((member.Poll(), status = ReceiveAll(link, &reader), !status.ok()));
  return status;
}

// A dialer of which the test plays the part, as far as it likes.
Handshake DialerOf(const TcpMember& member, MemberId called) {
  CHECK_VALUE(Handshake handshake,
              Handshake::Create(member.introduction, HandshakeRole::kDialer, called,
                                *member.context.crypto, *member.context.random));
  return handshake;
}

}  // namespace

TEST(tcp_hostile, who_does_not_finish_his_hello_has_to_go) {
  TcpMember member(2);
  member.Listen("127.0.0.1:0");
  TcpMember other(1);
  const Buffer hello = HelloFrame(DialerOf(other, kNobody).Begin(), 0);
  std::vector<Raw> raws;
  // Nothing at all, a part of a head, a part of a hello, a hello and no proof.
  for (const size_t size : {size_t{0}, size_t{7}, size_t{20}, hello.size()}) {
    raws.emplace_back(member.listener->endpoint());
    raws.back().Write(Bytes(hello).first(size));
  }
  AWAIT((member.Poll(), member.listener->strangers() == 4));
  const uint64_t due_ns = member.clock.now_ns + member.context.hello_ns;
  CHECK_EQ(member.listener->Tick(due_ns - 1), due_ns);
  CHECK_EQ(member.listener->strangers(), size_t{4});
  CHECK_EQ(member.listener->Tick(due_ns), UINT64_MAX);
  CHECK_EQ(member.listener->strangers(), size_t{0});
  CHECK_EQ(member.listener->counters().late, uint64_t{4});
  for (const Raw& raw : raws) AWAIT(raw.Ended());
}

TEST(tcp_hostile, a_flood_of_strangers_keeps_no_member_away) {
  TcpMember member(2);
  member.context.max_strangers = 8;
  member.Listen("127.0.0.1:0");
  std::vector<Raw> raws;
  for (int i = 0; i < 50; ++i) {
    raws.emplace_back(member.listener->endpoint());
    member.Poll();
    CHECK(member.listener->strangers() <= 8);
  }
  AWAIT((member.Poll(), member.listener->counters().accepted == 50));
  CHECK_EQ(member.listener->counters().evicted, uint64_t{42});
  TcpMember other(1);
  MeetOverTcp(other, member);
  CHECK(member.links.front()->peer().member == MemberId(1));
}

// However many wait, a turn takes some of them; the next ones need no further event.
TEST(tcp_hostile, many_connections_are_accepted_in_turns) {
  TcpMember member(2);
  member.context.max_strangers = 1000;
  member.Listen("127.0.0.1:0");
  std::vector<Raw> raws;
  for (int i = 0; i < 100; ++i) raws.emplace_back(member.listener->endpoint());
  CHECK_OK(member.context.poller->Wait(20'000'000'000));
  CHECK_EQ(member.listener->counters().accepted, uint64_t{64});
  (void)member.listener->Tick(member.clock.now_ns);
  CHECK_EQ(member.listener->strangers(), size_t{100});
}

// Without a descriptor nothing can be accepted; when there is one it can.
TEST(tcp_hostile, descriptors_that_run_out_come_back) {
  TcpMember member(2);
  member.Listen("127.0.0.1:0");
  Raw raw(member.listener->endpoint());
  std::vector<Descriptor> all;
  rlimit limit{};
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit low{static_cast<rlim_t>(raw.socket.get()) + 1, limit.rlim_max};
  CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
  for (;;) {
    Descriptor more(dup(raw.socket.get()));
    if (!more.valid()) break;
    all.push_back(std::move(more));
  }
  const Status waited = member.context.poller->Wait(20'000'000'000);
  const uint64_t accepted = member.listener->counters().accepted;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK_OK(waited);
  CHECK_EQ(accepted, uint64_t{0});
  CHECK(!member.listener->counters().last_refusal.ok());
  AWAIT((member.listener->Tick(member.clock.now_ns), member.listener->strangers() == 1));
}

TEST(tcp_hostile, what_is_no_hello_is_refused) {
  TcpMember member(2);
  member.Listen("127.0.0.1:0");
  TcpMember other(1);
  const Buffer hello = DialerOf(other, kNobody).Begin();
  Buffer endless(kLinkFrameHeadBytes);
  EncodeFrameHead({0, FrameType::kHello, kChecked, 0}, {}, endless.data());
  endless[3] = 0xff;  // sixteen megabytes times 255; its checksum would come behind them
  Buffer damaged = HelloFrame(hello, 0), padded = damaged;
  damaged[kLinkFrameHeadBytes] ^= 1;
  padded.back() ^= 1;
  Buffer junk(100'000, 'x');
  const std::string http = "GET / HTTP/1.1\r\nHost: member\r\n\r\n";
  const std::vector<Buffer> all = {Buffer(http.begin(), http.end()),
                                   endless,
                                   junk,
                                   damaged,
                                   HelloFrame(hello, 1),
                                   HelloFrame(Buffer{9, 9}, 0),
                                   HelloFrame(EncodeSecond({}, {}), 0),
                                   HelloFrame(EncodeRefusal(HelloRefusal::kBusy), 0)};
  for (const Buffer& bytes : all) {
    Raw raw(member.listener->endpoint());
    raw.Write(bytes);
    AWAIT((member.Poll(), raw.Ended()));
  }
  CHECK_EQ(member.listener->counters().refused, all.size());
  CHECK_EQ(member.listener->strangers(), size_t{0});
  CHECK(member.links.empty());
}

// Whatever else he has sent: why he is refused reaches him, and the connection ends without a
// reset.
TEST(tcp_hostile, who_is_refused_is_told_why) {
  TcpMember member(2), other(1);
  member.Listen("127.0.0.1:0");
  other.introduction.group[0] ^= 1;
  Raw raw(member.listener->endpoint());
  raw.Write(HelloFrame(DialerOf(other, kNobody).Begin(), 0));
  raw.Write(Buffer(10'000, 'x'));
  const Buffer expected = HelloFrame(EncodeRefusal(HelloRefusal::kGroup), 0);
  Buffer heard;
  const auto ended = [&] {
    member.Poll();
    uint8_t bytes[256];
    const ssize_t got = recv(raw.socket.get(), bytes, sizeof bytes, 0);
    if (got > 0) heard.insert(heard.end(), bytes, bytes + got);
    CHECK(got >= 0 || errno == EAGAIN);
    return got == 0;
  };
  AWAIT(ended());
  CHECK(heard == expected);
}

TEST(tcp_hostile, a_wrong_secret_makes_no_link) {
  TcpMember member(2), other(1);
  member.Listen("127.0.0.1:0");
  other.introduction.secret.back() ^= 1;
  other.Dial(member.listener->endpoint());
  AWAIT((other.Poll(), member.Poll(), !other.connector->last_error().ok()));
  CHECK_CODE(other.connector->last_error(), Code::kPermission);
  CHECK_CODE(member.listener->counters().last_refusal, Code::kPermission);
  CHECK(member.links.empty() && other.links.empty());
  // It goes on trying, less and less often.
  uint64_t longest_ns = 0;
  for (uint64_t attempt = 2; attempt <= 12; ++attempt) {
    const uint64_t due_ns = other.connector->Tick(other.clock.now_ns);
    longest_ns = std::max(longest_ns, due_ns - other.clock.now_ns);
    CHECK(due_ns > other.clock.now_ns && due_ns - other.clock.now_ns <= kMaxBackoffNs);
    other.clock.now_ns = due_ns;
    (void)other.connector->Tick(due_ns);
    CHECK_EQ(other.connector->attempts(), attempt);
    AWAIT((other.Poll(), member.Poll(), other.connector->failures() == attempt));
  }
  CHECK(longest_ns >= kMaxBackoffNs / 2);
}

// Every message of a meeting that went well, sent again.
TEST(tcp_hostile, what_was_recorded_makes_no_link) {
  TcpMember member(2), other(1);
  member.Listen("127.0.0.1:0");
  Handshake dialer = DialerOf(other, MemberId(2));
  Buffer recorded = HelloFrame(dialer.Begin(), 0);
  {
    Raw raw(member.listener->endpoint());
    raw.Write(recorded);
    HelloChannel channel(PlainConduit(Descriptor(dup(raw.socket.get()))));
    std::optional<Buffer> hello;
    const auto came = [&] {
      member.Poll();
      auto received = channel.Receive();
      CHECK_OK(received.status());
      hello = std::move(received).value();
      return hello.has_value();
    };
    AWAIT(came());
    Buffer proof;
    CHECK_OK(dialer.Take(*hello, &proof));
    const Buffer frame = HelloFrame(proof, 1);
    raw.Write(frame);
    recorded.insert(recorded.end(), frame.begin(), frame.end());
    AWAIT((member.Poll(), member.links.size() == 1));
  }
  Raw again(member.listener->endpoint());
  again.Write(recorded);
  AWAIT((member.Poll(), again.Ended() || member.links.size() > 1));
  CHECK_EQ(member.links.size(), size_t{1});
  CHECK_CODE(member.listener->counters().last_refusal, Code::kPermission);
}

// Who answers a dialer with what he says himself.
TEST(tcp_hostile, an_echo_makes_no_link) {
  TcpMember member(1);
  CHECK_VALUE(const Endpoint any, Endpoint::Parse("127.0.0.1:0"));
  CHECK_VALUE(const Descriptor listening, Listen(any));
  CHECK_VALUE(const Endpoint endpoint, Endpoint::OfSocket(listening.get()));
  member.Dial(endpoint);
  Descriptor echo;
  const auto refused = [&] {
    member.Poll();
    if (!echo.valid()) {
      CHECK_VALUE(echo, Accept(listening.get(), {}));
    } else {
      uint8_t bytes[4096];
      const ssize_t got = recv(echo.get(), bytes, sizeof bytes, 0);
      if (got > 0) (void)send(echo.get(), bytes, static_cast<size_t>(got), MSG_NOSIGNAL);
    }
    return !member.connector->last_error().ok();
  };
  AWAIT(refused());
  CHECK_CODE(member.connector->last_error(), Code::kCorruption);
  CHECK(member.links.empty());
}

TEST(tcp_hostile, a_dialer_waits_as_long_as_it_may) {
  TcpMember member(1);
  CHECK_VALUE(const Endpoint any, Endpoint::Parse("127.0.0.1:0"));
  CHECK_VALUE(const Descriptor silent, Listen(any));
  CHECK_VALUE(const Endpoint endpoint, Endpoint::OfSocket(silent.get()));
  member.Dial(endpoint);
  CHECK_OK(member.context.poller->Wait(20'000'000'000));
  const uint64_t due_ns = member.connector->Tick(member.clock.now_ns);
  CHECK_EQ(due_ns, member.clock.now_ns + member.context.hello_ns);
  CHECK(member.connector->last_error().ok());
  (void)member.connector->Tick(due_ns);
  CHECK_CODE(member.connector->last_error(), Code::kTimeout);
}

TEST(tcp_hostile, no_connection_where_none_may_be) {
  TcpMember member(1);
  for (const char* const text : {"0.0.0.0:0", "[::]:0"}) {
    CHECK_VALUE(const Endpoint endpoint, Endpoint::Parse(text));
    CHECK_CODE(TcpListener::Open(member.context, endpoint, &member).status(), Code::kPermission);
    CHECK_CODE(TcpConnector::Create(member.context, endpoint, kNobody, &member).status(),
               Code::kPermission);
  }
  TcpMember open(2);
  open.context.insecure = true;
  CHECK_VALUE(const Endpoint all, Endpoint::Parse("0.0.0.0:0"));
  CHECK_OK(TcpListener::Open(open.context, all, &open).status());
  open.introduction.secret.clear();
  CHECK_CODE(TcpListener::Open(open.context, all, &open).status(), Code::kPermission);
}

// A member that never reads: this side refuses, keeps what it has bounded, and does not wait.
TEST(tcp_hostile, a_reader_that_does_not_read_stops_bulk_only) {
  TcpLinkEnds ends(TcpLinkOptions{});
  Link& sender = *ends[0].link;
  uint64_t sent = 0;
  for (int idle = 0; idle < 100;) {
    CHECK_VALUE(const bool taken, SendTest(sender, Lane::kLog, sent, 60'000));
    sent += taken;
    idle = taken ? 0 : idle + 1;
    CHECK_OK(sender.Flush());
    CHECK_OK(ends[0].poller->Wait(taken ? 0 : 1'000'000));
  }
  // The window, what waits here, and not a kernel's worth more.
  CHECK(sent * 60'000 <= (size_t{10} << 20) + 60'000);
  // An urgent message overtakes what waits here: of the records that are still to come only those
  // are before it that the kernel has taken.
  CHECK_VALUE(const bool urgent, SendTest(sender, Lane::kUrgent, 0, 100));
  CHECK(urgent);
  TestReader reader;
  uint64_t records_before = 0;
  const auto all_there = [&] {
    for (size_t side = 0; side < 2; ++side) {
      CHECK_OK(ends[side].poller->Wait(0));
      CHECK_OK(ends[side].link->Flush());
    }
    Buffer out;
    CHECK_OK(ends[1].link->Receive(1, &out).status());
    reader.Take(out);
    if (reader.taken(Lane::kUrgent) == 0) records_before = reader.taken(Lane::kLog);
    return reader.taken() == sent + 1;
  };
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  while (!all_there()) CHECK(std::chrono::steady_clock::now() < patience);
  CHECK(records_before + (size_t{1} << 20) / 60'000 < sent);
}

// However it ends: what had come is there, and then the link is over.
TEST(tcp_hostile, a_member_dies) {
  for (const bool reset : {false, true}) {
    TcpMember member(2), other(1);
    member.Listen("127.0.0.1:0");
    Handshake dialer = DialerOf(other, MemberId(2));
    Raw raw(member.listener->endpoint());
    HelloChannel channel(PlainConduit(Descriptor(dup(raw.socket.get()))));
    CHECK_OK(channel.Send(dialer.Begin()));
    const auto meet = [&] {
      member.Poll();
      auto received = channel.Receive();
      CHECK_OK(received.status());
      Buffer answer;
      if (received.value()) {
        CHECK_OK(dialer.Take(**received, &answer));
        CHECK_OK(channel.Send(answer));
      }
      return dialer.done();
    };
    AWAIT(meet());
    auto link = member.TakeLink();
    const Buffer message = TestMessage(Lane::kUrgent, 0, 100);
    Buffer frame(FrameBytes(100));
    EncodeFrameHead({100, FrameType::kUrgent, kBegin | kEnd, 0}, message, frame.data());
    std::copy(message.begin(), message.end(), frame.begin() + kLinkFrameHeadBytes);
    raw.Write(frame);
    TestReader reader;
    AWAIT((member.Poll(), ReceiveAll(*link, &reader).ok() && reader.taken() == 1));
    raw.Write(Bytes(frame).first(40));  // the next one does not come whole
    channel.Release().reset();
    if (reset) {
      raw.Reset();
    } else {
      raw.socket.Reset();
    }
    CHECK_CODE(EndOf(member, *link), Code::kClosed);
    CHECK(!link->PrepareSleep());
    CHECK_EQ(link->Room(Lane::kLog), size_t{0});
  }
}

// --- The second connection -----------------------------------------------------------------------

// Both sides send snapshots at once; the acceptor has the dialer dial.
TEST(tcp_hostile, snapshots_have_a_connection_of_their_own) {
  for (const size_t first : {size_t{0}, size_t{1}}) {
    TcpLinkEnds ends(TcpLinkOptions{});
    TestReader readers[2];
    const auto turns = [&] {
      for (size_t side = 0; side < 2; ++side) {
        CHECK_OK(ends[side].poller->Wait(0));
        CHECK_OK(ends[side].link->Flush());
        CHECK_OK(ReceiveAll(*ends[side].link, &readers[side]));
      }
      return readers[1 - first].taken() == 1;
    };
    CHECK(!ends.tcp(0).has_second() && !ends.tcp(1).has_second());
    CHECK_OK(SendTest(*ends[first].link, Lane::kSnapshot, 0, 1'000'000).status());
    AWAIT(turns());
    CHECK(ends.tcp(0).has_second() && ends.tcp(1).has_second());
    CHECK_EQ(ends.member(1).listener->counters().seconds, uint64_t{1});
    // Neither waits for the other lane, whose connection is full.
    CHECK_OK(SendTest(*ends[1 - first].link, Lane::kSnapshot, 0, 5'000'000).status());
    CHECK_OK(SendTest(*ends[1 - first].link, Lane::kLog, 0, 5'000'000).status());
    AWAIT((turns(), readers[first].taken() == 2));
    // It is one link with the first: the end of it is the end of both.
    ends[1].link.reset();
    CHECK_CODE(EndOf(ends.member(0), *ends[0].link), Code::kClosed);
  }
}

TEST(tcp_hostile, a_second_connection_needs_its_token) {
  TcpLinkEnds ends(TcpLinkOptions{});
  TcpMember& member = ends.member(1);
  const Crypto& crypto = *member.context.crypto;
  const Digest key = ends.tcp(1).peer().session_key;
  const SessionId session = SessionIdOf(crypto, key);
  const Digest good = SecondToken(crypto, key, HandshakeRole::kDialer);
  Digest bad = good;
  bad[31] ^= 1;
  SessionId other = session;
  other[0] ^= 1;
  const auto refused = [&](const SessionId& to, const Digest& token) {
    Raw raw(member.listener->endpoint());
    raw.Write(HelloFrame(EncodeSecond(to, token), 0));
    AWAIT((member.Poll(), raw.Ended()));
    return !ends.tcp(1).has_second();
  };
  CHECK(refused(session, bad));
  CHECK(refused(other, good));
  CHECK(refused(session, SecondToken(crypto, key, HandshakeRole::kAcceptor)));
  // The right one, and the right one again.
  Raw raw(member.listener->endpoint());
  raw.Write(HelloFrame(EncodeSecond(session, good), 0));
  AWAIT((member.Poll(), ends.tcp(1).has_second()));
  CHECK(!refused(session, good));
  CHECK_EQ(member.listener->counters().seconds, uint64_t{1});
  // Nothing but snapshots may come over it.
  Buffer frame(FrameBytes(1));
  const Buffer one = {1};
  EncodeFrameHead({1, FrameType::kSecond, kChecked, 0}, one, frame.data());
  frame[kLinkFrameHeadBytes] = 1;
  raw.Write(frame);
  CHECK_CODE(EndOf(member, *ends[1].link), Code::kCorruption);
}

// A link that is gone has no second connection.
TEST(tcp_hostile, a_second_connection_without_its_link_is_refused) {
  TcpLinkEnds ends(TcpLinkOptions{});
  TcpMember& member = ends.member(1);
  const Crypto& crypto = *member.context.crypto;
  const Digest key = ends.tcp(1).peer().session_key;
  ends[1].link.reset();
  Raw raw(member.listener->endpoint());
  raw.Write(HelloFrame(
      EncodeSecond(SessionIdOf(crypto, key), SecondToken(crypto, key, HandshakeRole::kDialer)), 0));
  AWAIT((member.Poll(), raw.Ended()));
  CHECK_EQ(member.listener->counters().seconds, uint64_t{0});
}

// Who does not answer a second connection stops snapshots for as long as it may take, no longer.
TEST(tcp_hostile, a_second_connection_that_does_not_come_is_done_without) {
  TcpLinkEnds ends(TcpLinkOptions{});
  TestReader reader;
  CHECK_OK(SendTest(*ends[0].link, Lane::kSnapshot, 0, 100'000).status());
  CHECK_OK(ends[0].poller->Wait(20'000'000'000));  // it has dialed; nobody polls over there
  ManualClock& clock = ends.member(0).clock;
  clock.now_ns += ends.member(0).context.connect_ns + ends.member(0).context.hello_ns;
  ends.tcp(0).Tick(clock.now_ns);
  const auto there = [&] {
    CHECK_OK(ends[0].poller->Wait(0));
    CHECK_OK(ends[0].link->Flush());
    CHECK_OK(ends[1].poller->Wait(0));
    const Status status = ReceiveAll(*ends[1].link, &reader);
    // It may have been taken over there after it was given up here, which ends the link.
    CHECK(status.ok() || status.code() == Code::kClosed);
    return reader.taken() == 1 || !status.ok();
  };
  AWAIT(there());
  CHECK(!ends.tcp(0).has_second());
}

// --- Nothing is left behind ----------------------------------------------------------------------

TEST(tcp_hostile, descriptors_stay_as_many_as_they_were) {
  TcpMember member(2), other(1);
  member.Listen("[::1]:0");
  const size_t inheritable = CountDescriptors().inheritable;
  size_t before = 0;
  for (uint64_t i = 0; i < Scale(1000); ++i) {
    MeetOverTcp(other, member);
    auto here = other.TakeLink();
    auto there = member.TakeLink();
    if (i % 10 == 0) {
      CHECK_OK(SendTest(*here, Lane::kSnapshot, 0, 1000).status());
      TestReader reader;
      AWAIT((other.Poll(), member.Poll(), void(here->Flush().ok()),
             void(ReceiveAll(*there, &reader).ok()), reader.taken() == 1));
      CHECK(here->has_second());
    }
    const OpenDescriptors now = CountDescriptors();
    CHECK_EQ(now.inheritable, inheritable);
    if (i == 50) before = now.all;
    if (i > 50 && i % 10 == 0) CHECK_EQ(now.all, before);
  }
  CHECK_EQ(member.listener->counters().links, Scale(1000));
  CHECK_EQ(member.listener->strangers(), size_t{0});
}

}  // namespace ringleader::test
