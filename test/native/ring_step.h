// What the sweep through a ring's instructions (ring_step_test.cc) and the program that is stepped
// (programs/ring_step_target.cc) share: the memory of a ring, in which one of them is the producer
// and the other one the consumer.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "transport/ring/ring_consumer.h"
#include "transport/ring/ring_producer.h"

namespace ringleader::test {

inline constexpr size_t kStepCapacity = 4096;

struct RingStepShared {
  std::atomic<uint32_t> section_done;
  std::array<char, 1024> report;  // why the target gave up
  ProducerPage tail_page;
  ConsumerPage head_page;
  alignas(8) std::array<uint8_t, kStepCapacity> data;
  // What the target has received, and how it ended.
  std::atomic<uint32_t> refused;
  std::atomic<uint32_t> received;
  std::array<uint8_t, 4 * kStepCapacity> out;
};

inline RingCookie StepCookie() {
  RingCookie cookie;
  cookie.fill(0x21);
  return cookie;
}

inline std::unique_ptr<RingProducer> StepProducer(RingStepShared& shared) {
  auto producer = std::make_unique<RingProducer>(RingProducer::Memory{
      &shared.tail_page, shared.data.data(), kStepCapacity, false, &shared.head_page});
  producer->Append(FrameType::kCookie, kChecked, StepCookie(), {});
  producer->Publish();
  return producer;
}

inline std::unique_ptr<RingConsumer> StepConsumer(RingStepShared& shared) {
  return std::make_unique<RingConsumer>(
      RingConsumer::Memory{&shared.head_page, shared.data.data(), kStepCapacity, false,
                           &shared.tail_page},
      StepCookie(), kStepCapacity);
}

// The messages of a variant, which fit into one lap.
inline constexpr uint64_t kStepMessages = 6;
inline std::vector<uint8_t> StepMessage(uint64_t variant, uint64_t number) {
  const size_t size = 24 + (variant * 37 + number * 53) % 300;
  std::vector<uint8_t> message(size);
  for (size_t i = 0; i < size; ++i) {
    message[i] = static_cast<uint8_t>(1 + variant + number * 31 + i * 7);
  }
  return message;
}
inline void AppendStepMessage(RingProducer& producer, uint64_t variant, uint64_t number) {
  const std::vector<uint8_t> message = StepMessage(variant, number);
  producer.Append(FrameType::kLog, kBegin | kEnd, message, {});
}

}  // namespace ringleader::test
