// Messages on their way to a transport: what goes first, how much waits, what a batch is.
#include <string>

#include "engine/outbox.h"
#include "harness.h"

namespace ringleader::test {
namespace {

Message To(MemberId to, Body body) {
  Message message;
  message.from = MemberId(1);
  message.to = to;
  message.incarnation = Incarnation(7);
  message.body = std::move(body);
  return message;
}

void Put(Outbox& outbox, const Message& message) {
  EncodedMessage encoded;
  EncodeMessage({}, message, kWireVersion, &encoded);
  outbox.Send(message, encoded);
}

Records RecordsOf(const std::vector<uint8_t>& bytes) {
  Records records;
  records.previous.lsn = Lsn(4096);
  records.end = Lsn(4096 + bytes.size());
  records.bytes = bytes;
  return records;
}

}  // namespace

TEST(engine_outbox, what_is_urgent_goes_first) {
  uint32_t calls = 0;
  Outbox outbox([&calls] { ++calls; });
  const std::vector<uint8_t> bytes(1000, 7);
  Put(outbox, To(MemberId(2), RecordsOf(bytes)));
  Put(outbox, To(MemberId(2), Heartbeat{}));
  Put(outbox, To(MemberId(2), Heartbeat{}));
  CHECK_EQ(calls, 3u);
  const auto first = outbox.Take();
  CHECK(first.has_value());
  CHECK_EQ(first->frames.size(), 2u);
  CHECK_EQ(first->flags, kSendNoBuffer);
  CHECK_EQ(first->lsn.value, 0u);
  const auto second = outbox.Take();
  CHECK(second.has_value());
  CHECK_EQ(second->flags, kSendPermanent);
  CHECK_EQ(second->lsn.value, 4096u + 1000u);
  // A batch is frames one behind the other.
  auto size = ReadFrameSize(second->bytes);
  CHECK_OK(size.status());
  CHECK_EQ(size->total(), second->bytes.size());
  CHECK(!outbox.Take().has_value());
}

TEST(engine_outbox, what_waits_is_bounded) {
  Outbox outbox([] {});
  const std::vector<uint8_t> bytes(1 << 20, 7);
  for (int i = 0; i < 70; ++i) Put(outbox, To(MemberId(2), RecordsOf(bytes)));
  const Outbox::Counts counts = outbox.counts();
  CHECK(counts.dropped > 0);
  CHECK(counts.waiting_bytes <= uint64_t{64} << 20);
  CHECK_EQ(counts.waiting_frames + counts.dropped, 70u);
  // Somebody else's messages, and urgent ones, still find room.
  Put(outbox, To(MemberId(3), RecordsOf(bytes)));
  Put(outbox, To(MemberId(2), Heartbeat{}));
  CHECK_EQ(outbox.counts().dropped, counts.dropped);
}

TEST(engine_outbox, who_asks_again_says_so) {
  Outbox outbox([] {});
  Request request;
  request.from.lsn = Lsn(4096);
  Put(outbox, To(MemberId(2), request));
  Put(outbox, To(MemberId(3), request));
  request.from.lsn = Lsn(8192);
  Put(outbox, To(MemberId(2), request));
  const auto batch = outbox.Take();
  const auto other = outbox.Take();
  CHECK(batch.has_value() && other.has_value());
  CHECK_EQ(batch->frames[0].flags, kSendNoBuffer | kSendAnywhere);
  CHECK_EQ(batch->frames[1].flags, kSendNoBuffer | kSendAnywhere);
  CHECK_EQ(other->frames[0].flags, kSendNoBuffer | kSendAnywhere | kSendReRequest);
}

}  // namespace ringleader::test
