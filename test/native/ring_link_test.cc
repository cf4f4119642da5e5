// The ring does what every link does, in each of the forms in which its memory can be mapped.
#include "link_conformance.h"
#include "ring_pair.h"

namespace ringleader {
namespace {

using namespace test;

class RingEnds : public LinkEnds {
 public:
  explicit RingEnds(const RingPairOptions& options) {
    CHECK_VALUE(RingLinks links, MakeRingLinks(poller(0), poller(1), options));
    Take(std::move(links));
  }
};

std::unique_ptr<LinkEnds> MakeTwice() { return std::make_unique<RingEnds>(RingPairOptions{}); }
std::unique_ptr<LinkEnds> MakePadded() {
  return std::make_unique<RingEnds>(RingPairOptions{{kMinRingBytes, kMinRingBytes}, false});
}
std::unique_ptr<LinkEnds> MakeSmall() {
  return std::make_unique<RingEnds>(RingPairOptions{{kMinRingBytes, kMinRingBytes}, true});
}

LINK_CONFORMANCE(ring_link, MakeTwice)
LINK_CONFORMANCE(ring_link_small, MakeSmall)
LINK_CONFORMANCE(ring_link_padded, MakePadded)

// What has come before somebody fell asleep rang no bell.
TEST(ring_link_sleep, it_looks_once_more_before_it_sleeps) {
  RingEnds ends(RingPairOptions{});
  std::vector<uint8_t> out;
  CHECK(!ends[0].link->Receive(1, &out).value());
  CHECK_OK(SendTest(*ends[1].link, Lane::kLog, 0, 100).status());
  CHECK_OK(ends[1].link->Flush());
  CHECK_EQ(ends[1].link->counters().wakes, 0u);
  CHECK(!ends[0].link->PrepareSleep());
}

TEST(ring_link_sleep, it_looks_for_room_once_more) {
  RingEnds ends(RingPairOptions{{kMinRingBytes, kMinRingBytes}, true});
  Link& sender = *ends[0].link;
  TestReader reader, nothing;
  CHECK_OK(ReceiveAll(sender, &nothing));
  uint64_t sent = 0;
  while (SendTest(sender, Lane::kLog, sent, 50'000).value()) ++sent;
  CHECK_OK(sender.Flush());
  CHECK_OK(ReceiveAll(*ends[1].link, &reader));
  CHECK_EQ(ends[1].link->counters().wakes, 0u);
  CHECK(!sender.PrepareSleep());
  CHECK(sender.PrepareSleep());  // told once
  sender.EndSleep();
}

// Who sleeps is rung for once, however much there is.
TEST(ring_link_sleep, one_ring_for_one_sleep) {
  RingEnds ends(RingPairOptions{});
  TestReader reader;
  CHECK_OK(ReceiveAll(*ends[0].link, &reader));
  for (uint64_t sleep = 1; sleep <= 3; ++sleep) {
    CHECK(ends[0].link->PrepareSleep());
    for (uint64_t i = 0; i < 10; ++i) {
      CHECK_OK(SendTest(*ends[1].link, Lane::kLog, (sleep - 1) * 10 + i, 100).status());
      CHECK_OK(ends[1].link->Flush());
    }
    CHECK_EQ(ends[1].link->counters().wakes, sleep);
    SleepOn(ends[0]);
    CHECK_OK(ReceiveAll(*ends[0].link, &reader));
  }
  CHECK_EQ(reader.taken(), 30u);
}

}  // namespace
}  // namespace ringleader
