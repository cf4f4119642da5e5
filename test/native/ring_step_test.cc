// One half of a ring is killed after every single instruction of what it does; the other half finds
// whole frames, or room where there is some, and nothing else. And while a consumer goes from
// instruction to instruction, its producer changes what it has already written.
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <new>
#include <random>
#include <thread>

#include "base/coding.h"
#include "base/mutant.h"
#include "concurrent.h"
#include "kill_stepper.h"
#include "link_fixture.h"
#include "ring_pair.h"
#include "ring_step.h"

namespace ringleader {
namespace {

using namespace test;

// The instructions of sanitized code are not those that ship, and there are far more of them.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

constexpr uint64_t kAllSteps = 6000;  // with a scale above 1, sections up to this are swept whole

class StepMemory {
 public:
  StepMemory() : memory_(memfd_create("ring-step", MFD_CLOEXEC)) {
    CHECK(memory_ >= 0 && ftruncate(memory_, sizeof(RingStepShared)) == 0);
    at_ = mmap(nullptr, sizeof(RingStepShared), PROT_READ | PROT_WRITE, MAP_SHARED, memory_, 0);
    CHECK(at_ != MAP_FAILED);
    Clear();
  }
  StepMemory(const StepMemory&) = delete;
  StepMemory& operator=(const StepMemory&) = delete;
  ~StepMemory() {
    munmap(at_, sizeof(RingStepShared));
    close(memory_);
  }

  void Clear() { new (at_) RingStepShared(); }
  RingStepShared& operator*() { return *std::launder(static_cast<RingStepShared*>(at_)); }
  RingStepShared* operator->() { return &**this; }
  int memory() const { return memory_; }

 private:
  const int memory_;
  void* at_ = nullptr;
};

class RingSweep {
 public:
  // Prepares the memory for a target, and looks at what a target that made so many steps has left.
  struct Section {
    const char* name;
    std::function<void(RingStepShared&, uint64_t variant)> prepare;
    std::function<void(RingStepShared&, uint64_t variant)> check;
    // In the middle, after which the target goes on to its end.
    std::function<void(RingStepShared&)> disturb = nullptr;
  };
  explicit RingSweep(Section section) : section_(std::move(section)) {}

  void Run(uint64_t sample) {
    RequirePtrace();
    const OneProcessor here;
    const uint64_t all = Case(~uint64_t{0}, 1) + 1;
    const bool whole = Scale(1) > 1 && all <= kAllSteps;
    const uint64_t cases = whole ? all : Scale(sample);
    std::mt19937_64 dice(Seed());
    for (uint64_t i = 0; i < cases; ++i) Case(whole ? i : dice() % all, dice() % 1000);
    std::printf("ring_step: %s: %llu steps, %llu cases\n", section_.name,
                static_cast<unsigned long long>(all - 1), static_cast<unsigned long long>(cases));
  }

 private:
  SteppedProgram Start(uint64_t variant) {
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
    const std::filesystem::path program = self.parent_path() / "programs" / "ring_step_target";
    if (!std::filesystem::exists(program)) {
      Fail(__FILE__, __LINE__, program.string() + " is not built");
    }
    std::vector<std::string> command = {program.string(), section_.name,
                                        std::to_string(memory_.memory()), std::to_string(variant)};
#ifdef RINGLEADER_MUTANTS
    command.push_back(MutantName(g_mutant));
#endif
    return SteppedProgram(command, memory_.memory());
  }

  uint64_t StepUntil(SteppedProgram& target, uint64_t steps) {
    uint64_t made = 0;
    while (made < steps && memory_->section_done.load(std::memory_order_acquire) == 0) {
      target.Step();
      ++made;
    }
    return made;
  }

  uint64_t Case(uint64_t steps, uint64_t variant) {
    uint64_t made = 0;
    try {
      memory_.Clear();
      section_.prepare(*memory_, variant);
      SteppedProgram target = Start(variant);
      made = StepUntil(target, steps);
      if (section_.disturb) {
        section_.disturb(*memory_);
        target.RunToStop();
      }
      target.Kill();
      section_.check(*memory_, variant);
    } catch (const Failure& failure) {
      throw Failure{std::string(section_.name) + ", after " + std::to_string(made) +
                    " steps, variant " + std::to_string(variant) + ": " + failure.text + " " +
                    memory_->report.data()};
    }
    return made;
  }

  const Section section_;
  StepMemory memory_;
};

// How many whole messages of the variant `out` holds, and nothing else.
uint64_t WholeMessages(Bytes out, uint64_t variant) {
  uint64_t count = 0;
  for (; !out.empty(); ++count) {
    CHECK(count < kStepMessages);
    const auto message = StepMessage(variant, count);
    CHECK(message.size() <= out.size());
    CHECK(std::equal(message.begin(), message.end(), out.begin()));
    out = out.subspan(message.size());
  }
  return count;
}

TEST(ring_step, a_producer_dies) {
  const auto check = [](RingStepShared& shared, uint64_t variant) {
    const auto consumer = StepConsumer(shared);
    std::vector<uint8_t> out;
    CHECK_VALUE(const bool more, consumer->Receive(kStepCapacity, &out));
    CHECK(!more);
    CHECK(WholeMessages(out, variant) >= kStepMessages / 2);
  };
  RingSweep({"produce", [](RingStepShared&, uint64_t) {}, check}).Run(150);
}

void FillForConsumer(RingStepShared& shared, uint64_t variant) {
  const auto producer = StepProducer(shared);
  for (uint64_t i = 0; i < kStepMessages; ++i) AppendStepMessage(*producer, variant, i);
  producer->Publish();
}

TEST(ring_step, a_consumer_dies) {
  const auto check = [](RingStepShared& shared, uint64_t variant) {
    // What it has given back ends where a frame ends, and was there to be read.
    const uint64_t head = shared.head_page.head.load(std::memory_order_acquire);
    uint64_t border = FrameBytes(kRingCookieBytes);
    bool fits = head == 0 || head == border;
    for (uint64_t i = 0; i < kStepMessages; ++i) {
      border += FrameBytes(StepMessage(variant, i).size());
      fits = fits || head == border;
    }
    CHECK(fits);
    if (shared.section_done.load(std::memory_order_acquire) == 0) return;
    CHECK_EQ(head, border);
    CHECK_EQ(shared.refused.load(std::memory_order_acquire), 0u);
    const Bytes out(shared.out.data(), shared.received.load(std::memory_order_acquire));
    CHECK_EQ(WholeMessages(out, variant), kStepMessages);
  };
  RingSweep({"consume", FillForConsumer, check}).Run(60);
}

// At any instruction of the consumer the length of a frame that it may be reading changes. What it
// has taken by then is whole; of what it takes afterwards nothing but a refusal comes.
TEST(ring_step, a_head_changes_while_it_is_read) {
  const auto disturb = [](RingStepShared& shared) {
    uint64_t at = FrameBytes(kRingCookieBytes);
    // All of them: which one is being read is anybody's guess.
    for (uint64_t i = 0; i < kStepMessages && at + kLinkFrameHeadBytes <= kStepCapacity; ++i) {
      uint32_t length;
      std::memcpy(&length, &shared.data[at], sizeof length);
      StoreLe(&shared.data[at], length + 48);
      at += FrameBytes(length);
    }
  };
  const auto check = [](RingStepShared& shared, uint64_t variant) {
    CHECK_EQ(shared.section_done.load(std::memory_order_acquire), 1u);
    const uint32_t received = shared.received.load(std::memory_order_acquire);
    CHECK(received <= shared.out.size());
    const uint64_t whole = WholeMessages(Bytes(shared.out.data(), received), variant);
    CHECK(whole == kStepMessages || shared.refused.load(std::memory_order_acquire) == 1);
  };
  RingSweep({"consume", FillForConsumer, check, disturb}).Run(120);
}

#endif

// A process that sends is killed at any moment; the other side of the link gets a beginning of what
// was sent, whole, and then the end.
TEST(ring_kill, any_moment) {
  std::mt19937_64 dice(Seed());
  for (uint64_t run = 0; run < Scale(25); ++run) {
    CHECK_VALUE(auto control, UnixPair());
    Child peer([&] {
      control.second.Reset();
      CHECK_VALUE(Poller poller, Poller::Open());
      CHECK_VALUE(RingOffer offer, RingOffer::Make(RingOptionsOf({}, 0)));
      CHECK_OK(SendOffer(control.first, offer));
      Result<ReceivedDescriptors> theirs = Status(Code::kBusy, "");
      while (!theirs.ok()) {
        theirs = ReceiveDescriptors(control.first.get(), 1, RingOffer::kDescriptors);
      }
      CHECK_VALUE(const auto link,
                  RingLink::Attach(std::move(offer), std::move(theirs->descriptors),
                                   std::move(control.first), &poller));
      for (uint64_t number = 0;;) {
        CHECK_VALUE(const bool taken, SendTest(*link, Lane::kLog, number, 100 + number % 9000));
        number += taken;
        if (!taken || number % 7 == 0) CHECK_OK(link->Flush());
      }
    });
    control.first.Reset();
    CHECK_VALUE(Poller poller, Poller::Open());
    CHECK_VALUE(RingOffer offer, RingOffer::Make(RingOptionsOf({}, 1)));
    CHECK_OK(SendOffer(control.second, offer));
    Result<ReceivedDescriptors> theirs = Status(Code::kBusy, "");
    const auto come = [&] {
      theirs = ReceiveDescriptors(control.second.get(), 1, RingOffer::kDescriptors);
      return theirs.ok();
    };
    AWAIT(come());
    CHECK_VALUE(const auto link, RingLink::Attach(std::move(offer), std::move(theirs->descriptors),
                                                  std::move(control.second), &poller));
    TestReader reader;
    const uint64_t until = dice() % 2000;
    Status status;
    bool killed = false;
    while ((status = ReceiveAll(*link, &reader)).ok()) {
      if (!killed && reader.taken() >= until) {
        peer.Kill();
        killed = true;
      }
      CHECK_OK(poller.Wait(killed ? 1'000'000 : 0));
    }
    CHECK(killed);
    CHECK_CODE(status, Code::kClosed);
    CHECK(reader.taken() >= until);
  }
}

}  // namespace
}  // namespace ringleader
