// A hostile other side in its short form: scripts of a fixed seed for the halves of a ring, and
// scribbling over a whole link. What fuzzing found stays here as well.
#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <random>

#include "link_fixture.h"
#include "ring_pair.h"
#include "ring_script.h"
#include "wire/message_codec.h"

namespace ringleader {
namespace {

using namespace test;

TEST(ring_script, whatever_the_other_side_does) {
  std::mt19937_64 dice(Seed());
  for (uint64_t run = 0; run < Scale(60'000); ++run) {
    const uint64_t seed = dice();
    std::mt19937_64 numbers(seed);
    uint64_t left = 20 + seed % 200;
    const char* const wrong = PlayRingScript(
        [&](size_t bytes) {
          left -= left > 0;
          return bytes >= 8 ? numbers() : numbers() & ((uint64_t{1} << (bytes * 8)) - 1);
        },
        [&] { return left == 0; });
    if (wrong != nullptr) Fail(__FILE__, __LINE__, std::to_string(seed) + ": " + wrong);
  }
}

// The other side's part of a link, in memory that the test may write.
class Scribbler {
 public:
  Scribbler(Poller* poller, std::mt19937_64& dice)
      : dice_(dice),
        producer_(Segment(kMinRingBytes, dice() % 2 == 0)),
        consumer_(Segment(0, false)),
        bell_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    tail_page_ = new (producer_.page()) ProducerPage();
    head_page_ = new (consumer_.page()) ConsumerPage();
    WriteHeader(&tail_page_->header, kProducerMagic, kMinRingBytes, producer_.twice());
    WriteHeader(&head_page_->header, kConsumerMagic, 0, false);
    std::vector<Descriptor> descriptors;
    for (const int each : {producer_.descriptor(), consumer_.descriptor(), bell_.get()}) {
      descriptors.emplace_back(fcntl(each, F_DUPFD_CLOEXEC, 0));
    }
    RingPairOptions options;
    options.capacity_bytes[1] = kMinRingBytes;
    CHECK_VALUE(RingOffer offer, RingOffer::Make(RingOptionsOf(options, 1)));
    CHECK_VALUE(auto control, UnixPair());
    control_ = std::move(control.second);
    CHECK_VALUE(victim, RingLink::Attach(std::move(offer), std::move(descriptors),
                                         std::move(control.first), poller));
    truth_ = std::make_unique<RingProducer>(RingProducer::Memory{
        tail_page_, producer_.data(), kMinRingBytes, producer_.twice(), &nobody_});
    RingCookie cookie;
    cookie.fill(0x5a);
    cookie.back() = 1;
    if (dice() % 16 != 0) truth_->Append(FrameType::kCookie, kChecked, cookie, {});
    truth_->Publish();
  }

  void Scribble() {
    switch (dice_() % 8) {
      case 0:
        tail_page_->tail.store(Odd(tail_page_->tail), std::memory_order_release);
        break;
      case 1:
        head_page_->head.store(Odd(head_page_->head), std::memory_order_release);
        break;
      case 2:
        head_page_->sleep.store(static_cast<uint32_t>(dice_()), std::memory_order_release);
        break;
      case 3:
        head_page_->room_at.store(dice_(), std::memory_order_release);
        break;
      case 4:
        producer_.data()[dice_() % kMinRingBytes] ^= static_cast<uint8_t>(dice_());
        break;
      case 5:  // over the headers too: they were looked at once
        std::fill_n(producer_.page(), sizeof(RingHeader), static_cast<uint8_t>(dice_()));
        break;
      default: {
        const std::vector<uint8_t> message(1 + dice_() % 5000, 7);
        if (truth_->unpublished() + truth_->tail() > kMinRingBytes / 2) break;
        truth_->Append(FrameTypeOf(static_cast<Lane>(dice_() % kLanes)), kBegin | kEnd, message,
                       {});
        truth_->Publish();
      }
    }
  }

  std::unique_ptr<RingLink> victim;

 private:
  static RingSegment Segment(size_t data_bytes, bool twice) {
    CHECK_VALUE(RingSegment segment, RingSegment::Create("scribbled", data_bytes, twice));
    return segment;
  }
  static void WriteHeader(RingHeader* header, uint32_t magic, size_t capacity, bool wraps) {
    header->magic = magic;
    header->dials = 1;
    header->wraps = wraps ? 1 : 0;
    header->capacity = capacity;
    header->session.fill(0x5a);
    SealRingHeader(header, RingPageBytes());
  }
  uint64_t Odd(const std::atomic<uint64_t>& word) {
    const uint64_t was = word.load(std::memory_order_acquire);
    return dice_() % 3 == 0 ? dice_() : was + (dice_() % 64) * 8;
  }

  std::mt19937_64& dice_;
  RingSegment producer_, consumer_;
  Descriptor bell_, control_;
  ProducerPage* tail_page_;
  ConsumerPage* head_page_;
  ConsumerPage nobody_{};
  std::unique_ptr<RingProducer> truth_;
};

// Ends with a Status, again and again the same, and never by waiting.
TEST(ring_script, a_link_survives_a_scribbling_peer) {
  CHECK_VALUE(Poller poller, Poller::Open());
  std::mt19937_64 dice(Seed());
  uint64_t refused = 0;
  for (uint64_t run = 0; run < Scale(300); ++run) {
    Scribbler peer(&poller, dice);
    Link& link = *peer.victim;
    Status status;
    for (int step = 0; step < 200 && status.ok(); ++step) {
      if (dice() % 3 == 0) peer.Scribble();
      std::vector<uint8_t> out;
      switch (dice() % 5) {
        case 0:
          status =
              SendTest(link, static_cast<Lane>(dice() % kLanes), 0, 16 + dice() % 9000).status();
          break;
        case 1:
          status = link.Flush();
          break;
        case 2:
          CHECK(link.Room(Lane::kLog) <= kMaxFrameBytes);
          break;
        case 3:
          if (link.PrepareSleep()) link.EndSleep();
          CHECK_OK(poller.Wait(0));
          break;
        default:
          status = link.Receive(1 + dice() % 10'000, &out).status();
          CHECK(out.size() <= kMinRingBytes + kMaxFrameBytes);
      }
    }
    if (status.ok()) continue;
    ++refused;
    CHECK_CODE(status, Code::kCorruption);
    std::vector<uint8_t> out;
    CHECK_CODE(link.Receive(1, &out).status(), Code::kCorruption);
    CHECK_CODE(link.Flush(), Code::kCorruption);
    CHECK_CODE(SendTest(link, Lane::kUrgent, 0, 100).status(), Code::kCorruption);
    CHECK(!link.PrepareSleep() && out.empty());
  }
  CHECK(refused > 0);
}

}  // namespace
}  // namespace ringleader
