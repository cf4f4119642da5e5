// The clients: each does one thing at a time, and asks again with the same request where nobody
// knew what had become of it. What they are told is what the group is held to.
#include <algorithm>

#include "sim_run.h"

namespace ringleader::simulator {
namespace {

constexpr Nanos kMilli = 1'000'000;

}  // namespace

void SimRun::Begin(uint32_t index) {
  if (Done()) return;
  Client& client = clients_[index];
  ++client.attempt;
  client.floor = std::max(ledger_.acknowledged(), read_);
  const uint64_t kind = rng_.Below(20);
  if (kind >= 17) {
    ReadDurable();
    Finish(index);
  } else if (kind >= 13) {
    client.doing = Doing::kReading;
    TryRead(index);
  } else {
    client.doing = Doing::kWriting;
    client.command.client = index;
    ++client.command.request;
    client.command.row = static_cast<uint32_t>(rng_.Below(kRows));
    client.command.value = rng_.Next();
    const bool large = plan_.Has(Fault::kLarge) && rng_.Chance(plan_.large);
    client.filler = large ? rng_.Below(40'000) : rng_.Below(plan_.small_bytes);
    TryWrite(index);
  }
}

void SimRun::Think(uint32_t index) {
  schedule_.In(1'000 + rng_.Below(plan_.think_max), [this, index] { Begin(index); });
}

void SimRun::Finish(uint32_t index) {
  Client& client = clients_[index];
  ++client.attempt;
  client.doing = Doing::kNothing;
  ++operations_;
  Think(index);
}

// Nothing where the client has gone on meanwhile.
void SimRun::AfterAttempt(uint32_t index, Nanos delay, void (SimRun::*then)(uint32_t)) {
  const uint64_t attempt = ++clients_[index].attempt;
  schedule_.In(delay, [this, index, attempt, then] {
    if (clients_[index].attempt == attempt) (this->*then)(index);
  });
}

void SimRun::Retry(uint32_t index) {
  ++report_.retries;
  const bool writes = clients_[index].doing == Doing::kWriting;
  AfterAttempt(index, rng_.Below(50 * kMilli), writes ? &SimRun::TryWrite : &SimRun::TryRead);
}

void SimRun::TryWrite(uint32_t index) {
  Client& client = clients_[index];
  SimMember* primary = Primary(rng_);
  if (primary == nullptr || !primary->Write(client.command, client.filler)) return Retry(index);
  if (client.doing != Doing::kWriting) return;
  const bool impatient = plan_.Has(Fault::kImpatience) && rng_.Below(4) == 0;
  const Nanos patience = impatient ? 1 + rng_.Below(100 * kMilli) : 4 * plan_.election_timeout;
  AfterAttempt(index, patience, &SimRun::Retry);
}

void SimRun::OnWritten(uint32_t index, uint64_t request, Lsn at) {
  if (index >= clients_.size()) return;
  Client& client = clients_[index];
  if (client.doing != Doing::kWriting || client.command.request != request) return;
  if (at.value == 0) return Retry(index);
  ++report_.acknowledged;
  ledger_.Acknowledges(at);
  if (at <= client.floor) {
    ledger_.Fail("a write takes effect before it was asked for, at " + std::to_string(at.value));
  }
  Finish(index);
}

void SimRun::TryRead(uint32_t index) {
  Client& client = clients_[index];
  SimMember* member = AnyUp(rng_);
  if (member == nullptr) return Retry(index);
  client.member = member->id().value;
  // The answer may come before this returns.
  const uint64_t number = ++client.read;
  AfterAttempt(index, 2 * plan_.election_timeout, &SimRun::Retry);
  member->Do(AskRead{uint64_t{index} << 32 | number});
}

void SimRun::OnRead(uint64_t id, bool granted, Lsn position) {
  const auto index = static_cast<uint32_t>(id >> 32);
  if (index >= clients_.size()) return;
  Client& client = clients_[index];
  if (client.doing != Doing::kReading || client.read != (id & 0xffffffff)) return;
  if (!granted) return Retry(index);
  if (position < client.floor) {
    ledger_.Fail("a linearizable read at " + std::to_string(position.value) +
                 " does not see what was acknowledged at " + std::to_string(client.floor.value));
  }
  if (position > ledger_.committed()) ledger_.Fail("a read of what nobody has committed");
  AwaitApplied(index, position, ++client.attempt);
}

void SimRun::AwaitApplied(uint32_t index, Lsn position, uint64_t attempt) {
  Client& client = clients_[index];
  if (client.attempt != attempt) return;
  SimMember& member = *context_.members[client.member];
  if (!member.up()) return Retry(index);
  if (member.state().position() < position) {
    schedule_.In(2 * kMilli,
                 [this, index, position, attempt] { AwaitApplied(index, position, attempt); });
    return;
  }
  ++report_.stats.reads;
  read_ = std::max(read_, position);
  Finish(index);
}

void SimRun::ReadDurable() {
  const SimMember* member = AnyUp(rng_);
  if (member == nullptr) return;
  ++report_.stats.reads;
  if (member->state().position() > member->core().commit() ||
      member->core().commit() > ledger_.committed()) {
    ledger_.Fail("a durable read of what is not committed");
  }
}

}  // namespace ringleader::simulator
