#include "log/retention.h"

#include <algorithm>
#include <cstring>

namespace ringleader {

Status Retention::Lock() const {
  const LockResult lock = env_.threads.Lock(region_->consumers.mutex);
  if (lock == LockResult::kBroken) return Status(Code::kCorruption, "shared memory is damaged");
  return Status::Ok();  // a dead holder left a valid table: see ConsumerTable
}

void Retention::Unlock() const { env_.threads.Unlock(region_->consumers.mutex); }

ConsumerSlot* Retention::Find(const std::string& name) const {
  for (ConsumerSlot& slot : region_->consumers.slots) {
    if (slot.used.load(std::memory_order_acquire) == 0) continue;
    if (name == std::string_view(slot.name, strnlen(slot.name, sizeof slot.name))) return &slot;
  }
  return nullptr;
}

Consumer Retention::Read(const ConsumerSlot& slot) {
  Consumer consumer;
  consumer.name.assign(slot.name, strnlen(slot.name, kMaxConsumerName));
  consumer.position = Lsn(slot.position.load(std::memory_order_acquire));
  consumer.max_bytes = slot.max_bytes;
  consumer.max_age_us = slot.max_age_us;
  consumer.broken = slot.broken.load(std::memory_order_acquire) != 0;
  return consumer;
}

Status Retention::Put(const Consumer& consumer) {
  if (consumer.name.empty() || consumer.name.size() > kMaxConsumerName ||
      consumer.name.find('\0') != std::string::npos) {
    return Status(Code::kInvalidArgument, "a consumer's name has 1 to 47 bytes, none of them 0");
  }
  if (consumer.position.value < region_->space.start.load(std::memory_order_acquire)) {
    return Status(Code::kTrimmed, "the log no longer holds the position of the consumer");
  }
  RL_RETURN_IF_ERROR(Lock());
  ConsumerSlot* slot = Find(consumer.name);
  const bool exists = slot != nullptr;
  for (ConsumerSlot& free : region_->consumers.slots) {
    if (slot != nullptr) break;
    if (free.used.load(std::memory_order_acquire) == 0) slot = &free;
  }
  if (slot == nullptr) {
    Unlock();
    return Status(Code::kTooLarge, "the log has 32 consumers already");
  }
  const bool fresh = !exists || slot->broken.load(std::memory_order_acquire) != 0;
  slot->max_bytes = consumer.max_bytes;
  slot->max_age_us = consumer.max_age_us;
  if (!exists) {  // never the name of a slot in use: a holder that died here would leave half of it
    std::memset(slot->name, 0, sizeof slot->name);
    std::memcpy(slot->name, consumer.name.data(), consumer.name.size());
  }
  if (fresh) {
    slot->position.store(consumer.position.value, std::memory_order_release);
    slot->broken.store(0, std::memory_order_release);
    slot->used.store(1, std::memory_order_release);
  }
  Unlock();
  return Status::Ok();
}

Status Retention::Remove(const std::string& name) {
  RL_RETURN_IF_ERROR(Lock());
  ConsumerSlot* slot = Find(name);
  if (slot != nullptr) slot->used.store(0, std::memory_order_release);
  Unlock();
  if (slot == nullptr) return Status(Code::kNotFound, "no consumer of that name: " + name);
  return Status::Ok();
}

Status Retention::Advance(const std::string& name, Lsn position) {
  RL_RETURN_IF_ERROR(Lock());
  ConsumerSlot* slot = Find(name);
  const bool broken = slot != nullptr && slot->broken.load(std::memory_order_acquire) != 0;
  const uint64_t visible = region_->ends.visible.load(std::memory_order_acquire);
  if (slot != nullptr && !broken && position.value <= visible &&
      position.value > slot->position.load(std::memory_order_acquire)) {
    slot->position.store(position.value, std::memory_order_release);
  }
  Unlock();
  if (slot == nullptr) return Status(Code::kNotFound, "no consumer of that name: " + name);
  if (broken) return Status(Code::kTrimmed, "the consumer lagged over its caps: " + name);
  if (position.value > visible) {
    return Status(Code::kInvalidArgument, "a consumer cannot be ahead of the log");
  }
  return Status::Ok();
}

Status Retention::MoveBack(Lsn end, const std::string& copier, uint64_t segment_bytes) {
  RL_RETURN_IF_ERROR(Lock());
  const ConsumerSlot* const copies = Find(copier);
  for (ConsumerSlot& slot : region_->consumers.slots) {
    if (slot.used.load(std::memory_order_acquire) == 0) continue;
    const Lsn limit = &slot == copies ? SegmentStart(end, segment_bytes) : end;
    if (slot.position.load(std::memory_order_acquire) <= limit.value) continue;
    slot.position.store(limit.value, std::memory_order_release);
  }
  Unlock();
  return Status::Ok();
}

Status Retention::MoveTo(const Move& move, const std::string& copier,
                         const std::function<bool(const std::string& name)>& follows) {
  RL_RETURN_IF_ERROR(Lock());
  for (ConsumerSlot& slot : region_->consumers.slots) {
    if (slot.used.load(std::memory_order_acquire) == 0) continue;
    const Consumer consumer = Read(slot);
    Lsn position = std::min(consumer.position, move.common);
    if (consumer.name == copier) {
      position = std::min(position, SegmentStart(move.common, move.segment_bytes));
    } else if (follows(consumer.name)) {
      position = move.end;
    } else if (position < move.start) {
      slot.broken.store(1, std::memory_order_release);
    }
    slot.position.store(position.value, std::memory_order_release);
  }
  Unlock();
  return Status::Ok();
}

Result<std::vector<Consumer>> Retention::List() const {
  RL_RETURN_IF_ERROR(Lock());
  std::vector<Consumer> consumers;
  for (const ConsumerSlot& slot : region_->consumers.slots) {
    if (slot.used.load(std::memory_order_acquire) != 0) consumers.push_back(Read(slot));
  }
  Unlock();
  return consumers;
}

Result<std::optional<Consumer>> Retention::Get(const std::string& name) const {
  RL_RETURN_IF_ERROR(Lock());
  const ConsumerSlot* slot = Find(name);
  std::optional<Consumer> consumer;
  if (slot != nullptr) consumer = Read(*slot);
  Unlock();
  return consumer;
}

Result<std::optional<Lsn>> Retention::Floor() const {
  RL_ASSIGN_OR_RETURN(const std::vector<Consumer> consumers, List());
  if (consumers.empty()) return std::optional<Lsn>();
  Lsn floor = kMaxLsn;
  for (const Consumer& consumer : consumers) {
    if (!consumer.broken) floor = std::min(floor, consumer.position);
  }
  return std::optional<Lsn>(floor);
}

}  // namespace ringleader
