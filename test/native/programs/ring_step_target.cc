// Is one half of a ring, to be killed or scribbled at in the middle of what it does.
//
//   ring_step_target SECTION MEMORY_FD VARIANT [MUTANT]
//
// Prepares what the section needs, stops itself, and when it is continued runs the section: that is
// the part that the test steps through (ring_step_test.cc). At its end it stops itself again.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/mutant.h"
#include "harness.h"
#include "ring_step.h"

namespace ringleader {
namespace {

using namespace test;

// Half of the messages before, and the others one by one and as a batch.
void Produce(RingStepShared& shared, uint64_t variant) {
  const auto producer = StepProducer(shared);
  for (uint64_t i = 0; i < kStepMessages / 2; ++i) AppendStepMessage(*producer, variant, i);
  producer->Publish();
  std::vector<std::vector<uint8_t>> messages;
  for (uint64_t i = kStepMessages / 2; i < kStepMessages; ++i) {
    messages.push_back(StepMessage(variant, i));
  }
  kill(getpid(), SIGSTOP);
  for (size_t i = 0; i < messages.size(); ++i) {
    producer->Append(FrameType::kLog, kBegin | kEnd, messages[i], {});
    if (i != 1) producer->Publish();
  }
  shared.section_done.store(1, std::memory_order_release);
}

void Consume(RingStepShared& shared) {
  const auto consumer = StepConsumer(shared);
  std::vector<uint8_t> out;
  out.reserve(shared.out.size());
  kill(getpid(), SIGSTOP);
  const auto more = consumer->Receive(shared.out.size(), &out);
  if (more.ok()) consumer->Release();
  const size_t size = std::min(out.size(), shared.out.size());
  std::memcpy(shared.out.data(), out.data(), size);
  shared.received.store(static_cast<uint32_t>(out.size()), std::memory_order_release);
  shared.refused.store(more.ok() ? 0 : 1, std::memory_order_release);
  shared.section_done.store(1, std::memory_order_release);
}

int Main(int argc, char** argv) {
  if (argc < 4 || (argc > 4 && !SelectMutant(argv[4]))) {
    std::fprintf(stderr, "usage: ring_step_target SECTION MEMORY_FD VARIANT [MUTANT]\n");
    return 2;
  }
  void* memory = mmap(nullptr, sizeof(RingStepShared), PROT_READ | PROT_WRITE, MAP_SHARED,
                      std::atoi(argv[2]), 0);
  if (memory == MAP_FAILED) return 2;
  auto& shared = *static_cast<RingStepShared*>(memory);
  try {
    const std::string section = argv[1];
    if (section == "produce") Produce(shared, std::strtoull(argv[3], nullptr, 10));
    if (section == "consume") Consume(shared);
    kill(getpid(), SIGSTOP);
    _exit(0);
  } catch (const Failure& failure) {
    std::strncpy(shared.report.data(), failure.text.c_str(), shared.report.size() - 1);
    _exit(1);
  }
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
