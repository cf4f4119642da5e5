// What every link has to do, whatever carries it (native/transport/link.h).
//
// LINK_CONFORMANCE(suite, make) makes a test of each case; `make()` gives a std::unique_ptr of
// LinkEnds whose two ends are connected and have nothing on their way.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "concurrent.h"
#include "link_fixture.h"
#include "wire/message_codec.h"

namespace ringleader::test {

using MakeLinks = std::function<std::unique_ptr<LinkEnds>()>;

// A wake-up that is lost shows as a wait that lasts as long.
inline constexpr uint64_t kLostWakeNs = 20'000'000'000;

// The other side must end it.
inline void SleepOn(LinkEnds::End& end) {
  const auto began = std::chrono::steady_clock::now();
  CHECK_OK(end.poller->Wait(kLostWakeNs));
  end.link->EndSleep();
  const std::chrono::duration<double, std::nano> slept = std::chrono::steady_clock::now() - began;
  CHECK(slept.count() < static_cast<double>(kLostWakeNs));
}

// Sleeps as a pump does, unless there is something to do.
inline void SleepOnce(LinkEnds::End& end) {
  if (end.link->PrepareSleep()) SleepOn(end);
}

// What this end still holds goes out while the other one reads on.
inline void FlushUntil(LinkEnds::End& end, const std::atomic<bool>& done) {
  while (!done.load(std::memory_order_acquire)) {
    CHECK_OK(end.link->Flush());
    CHECK_OK(end.poller->Wait(1'000'000));
  }
}

// True when its scope ends, however that comes.
class Finish {
 public:
  explicit Finish(std::atomic<bool>& done) : done_(done) {}
  Finish(const Finish&) = delete;
  Finish& operator=(const Finish&) = delete;
  ~Finish() { done_.store(true, std::memory_order_release); }

 private:
  std::atomic<bool>& done_;
};

// A round of one end without waiting.
inline Status Turn(LinkEnds::End& end, TestReader* reader) {
  CHECK_OK(end.poller->Wait(0));
  RL_RETURN_IF_ERROR(end.link->Flush());
  return ReceiveAll(*end.link, reader);
}

// Turns of both until `done` or for longer than anything takes.
template <typename Done>
void TurnUntil(LinkEnds& ends, TestReader readers[2], const Done& done) {
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    for (size_t side = 0; side < 2; ++side) CHECK_OK(Turn(ends[side], &readers[side]));
    CHECK(std::chrono::steady_clock::now() < patience);
  }
}

inline Lane AnyLane(std::mt19937_64& dice) { return static_cast<Lane>(dice() % kLanes); }

// Mostly small, now and then up to `most`.
inline size_t AnySize(std::mt19937_64& dice, size_t most) {
  const size_t bound = dice() % 8 == 0 ? most : 600;
  return kTestHeadBytes + dice() % (bound - kTestHeadBytes + 1);
}

struct LinkConformance {
  // Messages of all lanes and sizes, both ways at once, come whole, once and in order.
  static void OrderOfLanes(const MakeLinks& make) {
    const auto ends = make();
    std::mt19937_64 dice(Seed());
    TestReader readers[2];
    uint64_t sent[2][kLanes] = {};
    for (uint64_t i = 0; i < Scale(3000); ++i) {
      const size_t side = dice() % 2;
      const Lane lane = AnyLane(dice);
      uint64_t& number = sent[side][static_cast<size_t>(lane)];
      CHECK_VALUE(const bool taken,
                  SendTest(*(*ends)[side].link, lane, number, AnySize(dice, 200'000)));
      if (taken) ++number;
      if (!taken || dice() % 4 == 0) {
        for (size_t each = 0; each < 2; ++each) CHECK_OK(Turn((*ends)[each], &readers[each]));
      }
    }
    TurnUntil(*ends, readers, [&] {
      return readers[1].taken() == sent[0][0] + sent[0][1] + sent[0][2] &&
             readers[0].taken() == sent[1][0] + sent[1][1] + sent[1][2];
    });
  }

  // The longest message comes through, others of other lanes beside it; a longer one is refused and
  // harms nothing.
  static void LargeMessages(const MakeLinks& make) {
    const auto ends = make();
    Link& sender = *(*ends)[0].link;
    TestReader readers[2];
    uint64_t large = 0, small = 0;
    for (const size_t size : {kMaxFrameBytes - 1, kMaxFrameBytes, size_t{100'000}}) {
      CHECK_CODE(SendTest(sender, Lane::kLog, 7, kMaxFrameBytes + 1).status(), Code::kTooLarge);
      CHECK_VALUE(const bool taken, SendTest(sender, Lane::kLog, large, size));
      CHECK(taken);
      ++large;
      TurnUntil(*ends, readers, [&] {
        auto urgent = SendTest(sender, Lane::kUrgent, small, 100);
        CHECK_OK(urgent.status());
        if (urgent.value()) ++small;
        return readers[1].taken(Lane::kLog) == large;
      });
    }
    TurnUntil(*ends, readers, [&] { return readers[1].taken(Lane::kUrgent) == small; });
    CHECK(small >= 3);
  }

  // Head without body and body without head, and the smallest.
  static void PartedAnywhere(const MakeLinks& make) {
    const auto ends = make();
    TestReader readers[2];
    uint64_t number = 0;
    for (const size_t size : {16, 17, 23, 24, 25, 31, 32, 33, 4096}) {
      for (const size_t head : {size_t{0}, size_t{1}, size_t{8}, size}) {
        const auto message = TestMessage(Lane::kLog, number++, size);
        const Bytes bytes(message);
        CHECK_VALUE(const bool taken,
                    (*ends)[0].link->Send(Lane::kLog, bytes.first(head), bytes.subspan(head)));
        CHECK(taken);
      }
    }
    TurnUntil(*ends, readers, [&] { return readers[1].taken() == number; });
  }

  // What does not fit is refused, not waited for; when the other side has read, it goes on. An
  // urgent message has room where bulk has none.
  static void FullThenOn(const MakeLinks& make) {
    constexpr size_t kSize = 50'000;
    const auto ends = make();
    Link& sender = *(*ends)[0].link;
    TestReader readers[2];
    uint64_t sent = 0, urgents = 0;
    for (int round = 0; round < 3; ++round) {
      const auto patience = std::chrono::steady_clock::now() + kPatience;
      for (bool taken = true; taken; sent += taken) {
        auto sending = SendTest(sender, Lane::kLog, sent, kSize);
        CHECK_OK(sending.status());
        taken = sending.value();
        CHECK_OK(sender.Flush());
        CHECK_OK((*ends)[0].poller->Wait(0));
        CHECK(std::chrono::steady_clock::now() < patience);
      }
      CHECK(sender.counters().no_room > static_cast<uint64_t>(round));
      CHECK(sender.Room(Lane::kLog) < kSize);
      CHECK_VALUE(const bool urgent, SendTest(sender, Lane::kUrgent, urgents, 300));
      CHECK(urgent);
      ++urgents;
      TurnUntil(*ends, readers, [&] { return readers[1].taken() == sent + urgents; });
      CHECK(sender.Room(Lane::kLog) >= kSize);
    }
  }

  // Room is a promise.
  static void RoomIsTaken(const MakeLinks& make) {
    const auto ends = make();
    Link& sender = *(*ends)[0].link;
    std::mt19937_64 dice(Seed());
    TestReader readers[2];
    uint64_t sent[kLanes] = {};
    const auto refill = [&](Lane lane) {
      const size_t room = std::min(sender.Room(lane), kMaxFrameBytes);
      if (room < kTestHeadBytes) return false;
      // Sometimes all of it.
      const size_t size = dice() % 16 == 0 ? room : std::min(room, AnySize(dice, 100'000));
      CHECK_VALUE(const bool taken, SendTest(sender, lane, sent[static_cast<size_t>(lane)], size));
      CHECK(taken);
      ++sent[static_cast<size_t>(lane)];
      return true;
    };
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < 20 && refill(AnyLane(dice)); ++i) {
      }
      for (size_t side = 0; side < 2; ++side) CHECK_OK(Turn((*ends)[side], &readers[side]));
    }
    TurnUntil(*ends, readers, [&] { return readers[1].taken() == sent[0] + sent[1] + sent[2]; });
  }

  // Receive ends behind the message that passes its limit, and says that there is more.
  static void ReceiveKeepsItsLimit(const MakeLinks& make) {
    constexpr uint64_t kMessages = 200;
    constexpr size_t kSize = 1000;
    const auto ends = make();
    for (uint64_t i = 0; i < kMessages; ++i) {
      CHECK_VALUE(const bool taken, SendTest(*(*ends)[0].link, Lane::kLog, i, kSize));
      CHECK(taken);
    }
    TestReader reader;
    bool more = false;
    const auto all = [&] {
      CHECK_OK((*ends)[0].poller->Wait(0));
      CHECK_OK((*ends)[0].link->Flush());
      CHECK_OK((*ends)[1].poller->Wait(0));
      std::vector<uint8_t> out = {1, 2, 3};  // stays in front
      CHECK_VALUE(more, (*ends)[1].link->Receive(2 * kSize + 1, &out));
      CHECK(out.size() <= 3 + 3 * kSize && out[0] == 1 && out[2] == 3);
      reader.Take(Bytes(out).subspan(3));
      return reader.taken() == kMessages;
    };
    AWAIT(all());
    CHECK(!more || reader.taken() == kMessages);
  }

  // Two threads, each of which sends and receives as fast as it can, and sleeps when it has nothing
  // to do.
  static void BothDirections(const MakeLinks& make) {
    const auto ends = make();
    const uint64_t messages = Scale(5000);
    std::atomic<bool> done[2] = {};
    const auto work = [&](size_t side) {
      const Finish finish(done[side]);
      LinkEnds::End& end = (*ends)[side];
      std::mt19937_64 dice(Seed() + side);
      TestReader reader;
      uint64_t sent[kLanes] = {};
      uint64_t left = messages;
      while (left > 0 || reader.taken() < messages) {
        const uint64_t before = reader.taken() + left;
        SendSome(*end.link, dice, sent, &left);
        CHECK_OK(end.link->Flush());
        CHECK_OK(ReceiveAll(*end.link, &reader));
        if (reader.taken() + left == before) SleepOnce(end);
      }
    };
    const auto run = [&](size_t side) {
      work(side);
      FlushUntil((*ends)[side], done[1 - side]);
    };
    Worker first([&](const std::stop_token&) { run(0); });
    Worker second([&](const std::stop_token&) { run(1); });
    first.Join();
    second.Join();
  }

  // A consumer that sleeps whenever it may, and a producer that pauses when it likes.
  static void NoWakeIsLost(const MakeLinks& make) {
    const auto ends = make();
    const uint64_t messages = Scale(4000);
    std::atomic<bool> done = false;
    Worker producer([&](const std::stop_token&) {
      LinkEnds::End& end = (*ends)[0];
      std::mt19937_64 dice(Seed());
      for (uint64_t i = 0; i < messages;) {
        auto sending = SendTest(*end.link, Lane::kLog, i, AnySize(dice, 5000));
        CHECK_OK(sending.status());
        if (sending.value()) ++i;
        if (dice() % 3 == 0 || !sending.value()) CHECK_OK(end.link->Flush());
        if (!sending.value()) SleepOnce(end);
        for (uint64_t spin = dice() % 8 == 0 ? dice() % 20'000 : 0; spin > 0; --spin) {
          asm volatile("" ::: "memory");
        }
      }
      FlushUntil(end, done);
    });
    ReceiveAsleep((*ends)[1], messages, done);
    producer.Join();
  }

  // Question and answer, both asleep in between.
  static void AnswersWakeToo(const MakeLinks& make) {
    const auto ends = make();
    const uint64_t rounds = Scale(1500);
    Worker answering([&](const std::stop_token&) {
      TestReader reader;
      for (uint64_t i = 0; i < rounds; ++i) {
        while (reader.taken() == i) {
          SleepOnce((*ends)[1]);
          CHECK_OK(ReceiveAll(*(*ends)[1].link, &reader));
        }
        CHECK_OK(SendTest(*(*ends)[1].link, Lane::kUrgent, i, 512).status());
        CHECK_OK((*ends)[1].link->Flush());
      }
    });
    TestReader reader;
    for (uint64_t i = 0; i < rounds; ++i) {
      CHECK_OK(SendTest(*(*ends)[0].link, Lane::kUrgent, i, 512).status());
      CHECK_OK((*ends)[0].link->Flush());
      while (reader.taken() == i) {
        SleepOnce((*ends)[0]);
        CHECK_OK(ReceiveAll(*(*ends)[0].link, &reader));
      }
    }
    answering.Join();
  }

  // One thread plays both sides in any order. Who sleeps while there is something for it has been
  // woken, and finds it.
  static void AnyScheduleWakes(const MakeLinks& make) {
    const auto ends = make();
    std::mt19937_64 dice(Seed());
    TestReader readers[2];
    uint64_t sent[2] = {};
    bool asleep[2] = {};
    uint64_t flushed[2] = {};  // what the other side must hear of
    for (uint64_t step = 0; step < Scale(20'000); ++step) {
      const size_t side = dice() % 2;
      LinkEnds::End& end = (*ends)[side];
      if (asleep[side]) {
        if (readers[side].taken() < flushed[1 - side]) {
          SleepOn(end);
          asleep[side] = false;
          CHECK_OK(ReceiveAll(*end.link, &readers[side]));
        } else if (dice() % 16 == 0) {
          CHECK_OK(end.poller->Wait(0));
          end.link->EndSleep();
          asleep[side] = false;
        }
        continue;
      }
      switch (dice() % 4) {
        case 0: {
          CHECK_VALUE(const bool taken,
                      SendTest(*end.link, Lane::kLog, sent[side], AnySize(dice, 3000)));
          sent[side] += taken;
          break;
        }
        case 1:
          CHECK_OK(end.link->Flush());
          flushed[side] = sent[side];
          break;
        case 2:
          CHECK_OK(end.poller->Wait(0));
          CHECK_OK(ReceiveAll(*end.link, &readers[side]));
          break;
        default:
          asleep[side] = end.link->PrepareSleep();
      }
    }
    for (size_t side = 0; side < 2; ++side) {
      if (asleep[side]) (*ends)[side].link->EndSleep();
    }
    TurnUntil(*ends, readers,
              [&] { return readers[1].taken() == sent[0] && readers[0].taken() == sent[1]; });
  }

  // Who finds no room and sleeps is woken when there is some.
  static void RoomWakes(const MakeLinks& make) {
    const auto ends = make();
    const uint64_t messages = Scale(250);
    std::atomic<bool> done = false;
    Worker producer([&](const std::stop_token&) {
      LinkEnds::End& end = (*ends)[0];
      for (uint64_t i = 0; i < messages;) {
        auto sending = SendTest(*end.link, Lane::kSnapshot, i, 150'000);
        CHECK_OK(sending.status());
        CHECK_OK(end.link->Flush());
        if (sending.value()) {
          ++i;
        } else {
          SleepOnce(end);
        }
      }
      FlushUntil(end, done);
    });
    ReceiveAsleep((*ends)[1], messages, done);
    producer.Join();
  }

  // The end of one side: the other one gets all that was sent, then kClosed, again and again.
  static void EndOfTheOther(const MakeLinks& make) {
    const auto ends = make();
    LinkEnds::End& end = (*ends)[1];
    for (uint64_t i = 0; i < 100; ++i) {
      CHECK_VALUE(const bool taken, SendTest(*(*ends)[0].link, Lane::kUrgent, i, 300));
      CHECK(taken);
    }
    CHECK_OK((*ends)[0].link->Flush());
    (*ends)[0].link.reset();
    TestReader reader;
    Status status;
    AWAIT((void(end.poller->Wait(0)), status = ReceiveAll(*end.link, &reader), !status.ok()));
    CHECK_CODE(status, Code::kClosed);
    CHECK_EQ(reader.taken(), 100u);
    CHECK_CODE(ReceiveAll(*end.link, &reader), Code::kClosed);
    (void)SendTest(*end.link, Lane::kLog, 0, 1000);
    (void)end.link->Flush();
    CHECK_CODE(ReceiveAll(*end.link, &reader), Code::kClosed);
  }

  // Who sleeps hears of the end.
  static void EndWakes(const MakeLinks& make) {
    const auto ends = make();
    Worker leaving([&](const std::stop_token&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      (*ends)[0].link.reset();
    });
    LinkEnds::End& end = (*ends)[1];
    TestReader reader;
    Status status;
    while ((status = ReceiveAll(*end.link, &reader)).ok()) SleepOnce(end);
    CHECK_CODE(status, Code::kClosed);
    leaving.Join();
  }

  static void Counters(const MakeLinks& make) {
    const auto ends = make();
    TestReader readers[2];
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < 50; ++i) {
      CHECK_VALUE(const bool taken, SendTest(*(*ends)[0].link, Lane::kLog, i, 100 + i));
      CHECK(taken);
      bytes += 100 + i;
    }
    TurnUntil(*ends, readers, [&] { return readers[1].taken() == 50; });
    const LinkCounters& out = (*ends)[0].link->counters();
    const LinkCounters& in = (*ends)[1].link->counters();
    CHECK_EQ(out.messages_sent, 50u);
    CHECK_EQ(out.bytes_sent, bytes);
    CHECK_EQ(in.messages_received, 50u);
    CHECK_EQ(in.bytes_received, bytes);
    CHECK_EQ(out.messages_received + out.bytes_received + in.messages_sent + in.bytes_sent, 0u);
    CHECK_EQ(out.no_room + in.no_room, 0u);
    const uint64_t sleeps = in.sleeps;
    CHECK((*ends)[1].link->PrepareSleep());
    CHECK_EQ(in.sleeps, sleeps + 1);
    const uint64_t wakes = out.wakes;
    CHECK_OK(SendTest(*(*ends)[0].link, Lane::kLog, 50, 100).status());
    CHECK_OK((*ends)[0].link->Flush());
    CHECK(out.wakes > wakes);
    (*ends)[1].link->EndSleep();
  }

 private:
  // As many as there is room for, of `left`.
  static void SendSome(Link& link, std::mt19937_64& dice, uint64_t sent[kLanes], uint64_t* left) {
    while (*left > 0) {
      const Lane lane = AnyLane(dice);
      uint64_t& number = sent[static_cast<size_t>(lane)];
      auto sending = SendTest(link, lane, number, AnySize(dice, 60'000));
      CHECK_OK(sending.status());
      if (!sending.value()) return;
      ++number;
      --*left;
    }
  }

  static void ReceiveAsleep(LinkEnds::End& end, uint64_t messages, std::atomic<bool>& done) {
    const Finish finish(done);
    TestReader reader;
    while (reader.taken() < messages) {
      SleepOnce(end);
      CHECK_OK(ReceiveAll(*end.link, &reader));
    }
  }
};

}  // namespace ringleader::test

#define LINK_CONFORMANCE(suite, make)                                                   \
  TEST(suite, order_of_lanes) { LinkConformance::OrderOfLanes(make); }                  \
  TEST(suite, large_messages) { LinkConformance::LargeMessages(make); }                 \
  TEST(suite, parted_anywhere) { LinkConformance::PartedAnywhere(make); }               \
  TEST(suite, full_then_on) { LinkConformance::FullThenOn(make); }                      \
  TEST(suite, room_is_taken) { LinkConformance::RoomIsTaken(make); }                    \
  TEST(suite, receive_keeps_its_limit) { LinkConformance::ReceiveKeepsItsLimit(make); } \
  TEST(suite, both_directions) { LinkConformance::BothDirections(make); }               \
  TEST(suite, no_wake_is_lost) { LinkConformance::NoWakeIsLost(make); }                 \
  TEST(suite, answers_wake_too) { LinkConformance::AnswersWakeToo(make); }              \
  TEST(suite, any_schedule_wakes) { LinkConformance::AnyScheduleWakes(make); }          \
  TEST(suite, room_wakes) { LinkConformance::RoomWakes(make); }                         \
  TEST(suite, end_of_the_other) { LinkConformance::EndOfTheOther(make); }               \
  TEST(suite, end_wakes) { LinkConformance::EndWakes(make); }                           \
  TEST(suite, counters) { LinkConformance::Counters(make); }
