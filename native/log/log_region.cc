#include "log/log_region.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "env/shared_area.h"

namespace ringleader {
namespace {

constexpr char kAreaName[] = "region";

constexpr uint64_t RegionBytes(uint64_t ring_bytes) {
  return kRegionPageBytes + ring_bytes + kBoardBytes;
}

SharedAreas AreasOf(Env& env, const std::string& directory, const RegionInit& init) {
  FileInfo lock;
  lock.device = init.control_device;
  lock.inode = init.control_inode;
  return SharedAreas(env, directory, lock);
}

uint32_t HeaderCrc(const RegionHeader& header) {
  return MaskCrc(
      Crc32c(Bytes(reinterpret_cast<const uint8_t*>(&header), offsetof(RegionHeader, crc))));
}

RegionHeader MakeHeader(const RegionInit& init, const HostIdentity& host) {
  RegionHeader header{};
  header.magic = kRegionMagic;
  header.version = kRegionVersion;
  header.header_bytes = kRegionPageBytes;
  header.ring_bytes = init.ring_bytes;
  header.segment_bytes = init.control.segment_bytes;
  header.environment_id = init.control.environment_id;
  header.group_id = init.control.group_id;
  header.boot_id = host.boot_id;
  header.pid_namespace = host.pid_namespace;
  header.control_device = init.control_device;
  header.control_inode = init.control_inode;
  header.crc = HeaderCrc(header);
  return header;
}

// Nobody can see the region yet: plain stores would do, but the fields are atomics.
void FillIn(Env& env, RegionLayout& layout, const RegionInit& init) {
  constexpr auto kPlain = std::memory_order_relaxed;  // published by the lock on the open byte
  env.threads.InitMutex(layout.writer.mutex);
  env.threads.InitMutex(layout.flusher.role);
  env.threads.InitMutex(layout.keeper.role);
  env.threads.InitMutex(layout.keeper.archive_role);
  WriterState& state = layout.writer.states[0];
  state.tail = init.end.value;
  state.visible = init.visible.value;
  state.commit_time_us = init.chain.commit_time_us;
  state.prev_crc = init.chain.prev_crc;
  state.term = init.chain.term.value;
  layout.ends.tail.store(init.end.value, kPlain);
  layout.ends.visible.store(init.visible.value, kPlain);
  layout.ends.term.store(init.chain.term.value, kPlain);
  layout.flushed.written.store(init.end.value, kPlain);
  layout.flushed.durable.store(init.end.value, kPlain);
  layout.space.start.store(init.control.start.value, kPlain);
  layout.space.prepared_end.store(init.prepared_end.value, kPlain);
  layout.gate.word.store(GateWord(init.gate), kPlain);
  env.threads.InitMutex(layout.consumers.mutex);
  for (size_t i = 0; i < init.control.consumers.size(); ++i) {
    const Consumer& from = init.control.consumers[i];
    ConsumerSlot& to = layout.consumers.slots[i];
    std::memcpy(to.name, from.name.data(), from.name.size());
    to.position.store(from.position.value, kPlain);
    to.max_bytes = from.max_bytes;
    to.max_age_us = from.max_age_us;
    to.broken.store(from.broken ? 1 : 0, kPlain);
    to.used.store(1, kPlain);
  }
}

}  // namespace

LogRegion::LogRegion(std::unique_ptr<SharedMapping> mapping, bool in_file)
    : mapping_(std::move(mapping)),
      layout_(reinterpret_cast<RegionLayout*>(mapping_->data())),
      ring_(mapping_->data() + kRegionPageBytes),
      ring_bytes_(layout_->header.ring_bytes),
      in_file_(in_file) {}

Result<std::unique_ptr<LogRegion>> LogRegion::Create(Env& env, const std::string& directory,
                                                     const RegionInit& init) {
  RL_CHECK(init.ring_bytes >= kMinRingBytes && (init.ring_bytes & (init.ring_bytes - 1)) == 0);
  RL_ASSIGN_OR_RETURN(
      SharedArea area,
      AreasOf(env, directory, init).Create(kAreaName, RegionBytes(init.ring_bytes)));
  auto* layout = new (area.mapping->data()) RegionLayout();
  FillIn(env, *layout, init);
  // Last: a creator that dies on the way leaves a region without a valid header.
  layout->header = MakeHeader(init, env.host.Identity());
  return std::unique_ptr<LogRegion>(new LogRegion(std::move(area.mapping), area.in_file));
}

Status LogRegion::CheckHeader(SharedMapping& mapping, const RegionInit& expected,
                              const HostIdentity& host, bool alone) {
  if (mapping.size() < kRegionPageBytes) return Status(Code::kCorruption, "region: too small");
  RegionHeader header;
  std::memcpy(&header, mapping.data(), sizeof header);
  if (header.magic != kRegionMagic || header.crc != HeaderCrc(header)) {
    return Status(Code::kCorruption, "region: header");
  }
  if (header.version != kRegionVersion || header.header_bytes != kRegionPageBytes) {
    return Status(Code::kNewerFormat, "region: made by another version of this library");
  }
  if (header.ring_bytes < kMinRingBytes || header.ring_bytes > kMaxRingBytes ||
      (header.ring_bytes & (header.ring_bytes - 1)) != 0 ||
      mapping.size() != RegionBytes(header.ring_bytes) ||
      header.segment_bytes != expected.control.segment_bytes ||
      header.ring_bytes < SmallestRing(header.segment_bytes)) {
    return Status(Code::kCorruption, "region: sizes");
  }
  if (header.environment_id != expected.control.environment_id ||
      header.group_id != expected.control.group_id ||
      header.control_device != expected.control_device ||
      header.control_inode != expected.control_inode) {
    return Status(Code::kCorruption, "region: of another environment");
  }
  const bool same_threads = alone || header.pid_namespace == host.pid_namespace;
  if (header.boot_id != host.boot_id || !same_threads) {
    return Status(Code::kForeignHost, "region: made under another boot or PID namespace");
  }
  return Status::Ok();
}

Result<std::unique_ptr<LogRegion>> LogRegion::Attach(Env& env, const std::string& directory,
                                                     const RegionInit& expected, bool alone) {
  RL_ASSIGN_OR_RETURN(SharedArea area, AreasOf(env, directory, expected).Open(kAreaName));
  RL_RETURN_IF_ERROR(CheckHeader(*area.mapping, expected, env.host.Identity(), alone));
  return std::unique_ptr<LogRegion>(new LogRegion(std::move(area.mapping), area.in_file));
}

Status LogRegion::Remove(Env& env, const std::string& directory, const RegionInit& init) {
  return AreasOf(env, directory, init).Remove(kAreaName);
}

Bytes LogRegion::Piece(Lsn at, uint64_t size) const {
  const uint64_t slot = at.value & (ring_bytes_ - 1);
  return Bytes(ring_ + slot, std::min(size, ring_bytes_ - slot));
}

void LogRegion::CopyIn(Lsn at, Bytes from) {
  if (from.empty()) return;  // its pointer may be null
  const uint64_t slot = at.value & (ring_bytes_ - 1);
  const uint64_t first = std::min<uint64_t>(from.size(), ring_bytes_ - slot);
  std::memcpy(ring_ + slot, from.data(), first);
  if (first < from.size()) std::memcpy(ring_, from.data() + first, from.size() - first);
}

void LogRegion::CopyOut(Lsn at, MutableBytes into) const {
  const Bytes first = Piece(at, into.size());
  std::memcpy(into.data(), first.data(), first.size());
  if (first.size() < into.size()) {
    std::memcpy(into.data() + first.size(), ring_, into.size() - first.size());
  }
}

void LogRegion::ZeroIn(Lsn at, uint64_t size) {
  const uint64_t slot = at.value & (ring_bytes_ - 1);
  const uint64_t first = std::min(size, ring_bytes_ - slot);
  std::memset(ring_ + slot, 0, first);
  if (first < size) std::memset(ring_, 0, size - first);
}

}  // namespace ringleader
