#include "store/store_region.h"

#include <cstring>

#include "base/crc32c.h"

namespace ringleader {
namespace {

constexpr char kAreaName[] = "store";

uint32_t HeaderCrc(StoreHeader header) {
  header.crc = 0;
  return MaskCrc(Crc32c(Bytes(reinterpret_cast<const uint8_t*>(&header), sizeof header)));
}

}  // namespace

StoreRegion::StoreRegion(Env& env, SharedArea area)
    : env_(env),
      area_(std::move(area)),
      layout_(reinterpret_cast<StoreLayout*>(area_.mapping->data())) {}

Result<std::unique_ptr<StoreRegion>> StoreRegion::Create(Env& env, const SharedAreas& areas,
                                                         const Id128& environment_id) {
  RL_ASSIGN_OR_RETURN(SharedArea area, areas.Create(kAreaName, kStoreRegionBytes));
  auto* layout = new (area.mapping->data()) StoreLayout();
  env.threads.InitMutex(layout->fold.role);
  env.threads.InitMutex(layout->bulk_role);
  StoreHeader header{};
  header.magic = kStoreRegionMagic;
  header.version = kStoreRegionVersion;
  header.environment_id = environment_id;
  header.boot_id = env.host.Identity().boot_id;
  env.random.Fill({reinterpret_cast<uint8_t*>(&header.hash_seed), sizeof header.hash_seed});
  header.crc = HeaderCrc(header);
  layout->header = header;
  return std::unique_ptr<StoreRegion>(new StoreRegion(env, std::move(area)));
}

Result<std::unique_ptr<StoreRegion>> StoreRegion::Attach(Env& env, const SharedAreas& areas,
                                                         const Id128& environment_id) {
  RL_ASSIGN_OR_RETURN(SharedArea area, areas.Open(kAreaName));
  if (area.mapping->size() != kStoreRegionBytes) {
    return Status(Code::kCorruption, "shared memory of the store: size");
  }
  StoreHeader header;
  std::memcpy(&header, area.mapping->data(), sizeof header);
  if (header.magic != kStoreRegionMagic || header.crc != HeaderCrc(header) ||
      header.environment_id != environment_id) {
    return Status(Code::kCorruption, "shared memory of the store: header");
  }
  if (header.version != kStoreRegionVersion) {
    return Status(Code::kNewerFormat, "shared memory made by another version of this library");
  }
  if (header.boot_id != env.host.Identity().boot_id) {
    return Status(Code::kForeignHost, "shared memory of the store: of another boot");
  }
  return std::unique_ptr<StoreRegion>(new StoreRegion(env, std::move(area)));
}

Status StoreRegion::Remove(const SharedAreas& areas) { return areas.Remove(kAreaName); }

void StoreRegion::Announce() {
  StoreProgress& progress = layout_->progress;
  progress.sequence.fetch_add(1, std::memory_order_seq_cst);
  // Sequentially consistent with the waiter's increment: either this load sees the waiter, or the
  // waiter's next look at the sequence sees the change.
  if (progress.waiters.load(std::memory_order_seq_cst) != 0) {
    env_.threads.WakeAll(progress.sequence);
  }
}

void StoreRegion::AwaitProgress(uint32_t sequence, uint64_t timeout_ns) {
  StoreProgress& progress = layout_->progress;
  progress.waiters.fetch_add(1, std::memory_order_seq_cst);
  if (progress.sequence.load(std::memory_order_seq_cst) == sequence) {
    env_.threads.Wait(progress.sequence, sequence, timeout_ns);
  }
  progress.waiters.fetch_sub(1, std::memory_order_acq_rel);
}

}  // namespace ringleader
