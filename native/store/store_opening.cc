// Opening and closing: attaching to what is there, or recovering it alone.
//
// Whoever is alone has a recovered log (log_recovery.h) whose end is flushed, and a base that holds
// everything up to its applied LSN. What lies between is inserted into fresh generations. That is
// the whole recovery of the store; nothing of an earlier overlay is used.
#include <algorithm>

#include "store/directory_copy.h"
#include "store/operations.h"
#include "store/snapshot_install.h"
#include "store/store_parts.h"

namespace ringleader {
namespace {

Status LostLog(Lsn applied, Lsn start, Lsn end) {
  return Status(Code::kCorruption, "the base ends at " + std::to_string(applied.value) +
                                       ", the log has " + std::to_string(start.value) + " to " +
                                       std::to_string(end.value) +
                                       ": log and base do not belong together");
}

// A base is made together with its log. One that is gone has taken rows with it.
Status CheckBaseIsThere(Env& env, const std::string& directory, const Log& log) {
  const std::string base = JoinPath(directory, kBaseDirectoryName);
  const auto info = env.files.Info(JoinPath(base, kBaseFileName));
  if (info.status().code() != Code::kNotFound) return info.status();
  RL_ASSIGN_OR_RETURN(const std::vector<Consumer> consumers, log.Consumers());
  const bool had_one = std::ranges::count(consumers, kBaseConsumer, &Consumer::name) > 0;
  if (!had_one && log.Stat().start == Lsn()) return Status::Ok();
  return Status(Code::kCorruption, "the base of the environment is missing: " + base);
}

}  // namespace

Status Store::Parts::OpenBase(Log& log, Lsn start) {
  BaseOptions base_options;
  base_options.max_readers = options.max_readers;
  base_options.hash_index_bytes = options.hash_index_bytes;
  base_options.environment_id = log.identity().environment_id;
  base_options.start = start;
  RL_ASSIGN_OR_RETURN(base, BaseTree::Open(env, directory, base_options));
  return Status::Ok();
}

Status Store::Parts::Opening(Log& log, bool alone) {
  areas = std::make_unique<SharedAreas>(env, directory, log.lock_info());
  RL_RETURN_IF_ERROR(alone ? Build(log) : Attach(log));
  FolderOptions folder_options;
  folder_options.generation_bytes = options.generation_bytes;
  folder_options.fold_interval_ns = options.fold_interval_ns;
  base->SetHashKeys(HashKeys((**region).header.hash_seed));
  folder = std::make_unique<Folder>(env, log, *overlay, *base, *region, folder_options);
  reservation = std::make_unique<Reservation>(env, *region, options.reservation_lease_ns);
  committer = std::make_unique<Committer>(env, log, *overlay, *base, *region, *reservation,
                                          [this] { folder->Wake(); });
  log.SetHook(&committer->hook());
  return alone ? Replay(log) : Status::Ok();
}

void Store::Parts::ShareLog(Log& log) {
  overlay->ReadVisibleFrom(log.visible_word());
  // Whoever rolls back holds the writer lock, and whoever comes after a dead one finds it out.
  overlay->AwaitRollBacksWith([&log] { return log.InSection([](Lsn) { return Status::Ok(); }); });
}

Status Store::Parts::Attach(Log& log) {
  RL_ASSIGN_OR_RETURN(region, StoreRegion::Attach(env, *areas, log.identity().environment_id));
  RL_RETURN_IF_ERROR(OpenBase(log, Lsn()));
  overlay = std::make_unique<Overlay>(env, *areas, *region);
  ShareLog(log);
  return Status::Ok();
}

Status Store::Parts::Build(Log& log) {
  RL_ASSIGN_OR_RETURN(unfinished, InstallBegun(env, directory));
  if (unfinished) return Status(Code::kBusy, "a snapshot is being installed in " + directory);
  Overlay::RemoveLeftovers(env, directory, *areas, log.identity().environment_id);
  const LogStat stat = log.Stat();
  RL_RETURN_IF_ERROR(CheckBaseIsThere(env, directory, log));
  RL_RETURN_IF_ERROR(OpenBase(log, stat.start));
  RL_ASSIGN_OR_RETURN(const BaseStat base_stat, base->Stat());
  const Lsn applied = base_stat.applied;
  if (applied < stat.start || applied > stat.visible) {
    return LostLog(applied, stat.start, stat.visible);
  }
  RL_ASSIGN_OR_RETURN(region, StoreRegion::Create(env, *areas, log.identity().environment_id));
  StoreLayout& shared = **region;
  constexpr auto kPlain = std::memory_order_relaxed;  // nobody else can see it yet
  shared.commit.catalogue.store(1, kPlain);
  shared.commit.catalogue_end.store(stat.visible.value, kPlain);
  shared.fold.applied.store(applied.value, kPlain);
  shared.fold.started.store(applied.value, kPlain);
  const bool grouped = log.gate().state != GateState::kFree;
  const Lsn limit = options.fold_limit.value_or(grouped ? applied : kMaxLsn);
  shared.fold.limit.store(limit.value, kPlain);
  shared.fold.admit.store(~uint64_t{0}, kPlain);
  shared.fold.max_frozen.store(options.max_frozen, kPlain);
  shared.fold.dropped.store(1, kPlain);
  overlay = std::make_unique<Overlay>(env, *areas, *region);
  ShareLog(log);
  const uint64_t to_replay = 2 * (stat.visible - applied);
  const uint64_t first =
      std::max(to_replay, std::min(kFirstGenerationBytes, options.generation_bytes));
  RL_RETURN_IF_ERROR(overlay->Start(applied, std::min(first, options.generation_bytes)));
  Consumer consumer;
  consumer.name = kBaseConsumer;
  consumer.position = applied;
  return log.PutConsumer(consumer);
}

Status Store::Parts::Replay(Log& log) {
  const uint64_t began = env.clock.MonotonicNanos();
  const Lsn applied((**region).fold.applied.load(std::memory_order_acquire));
  const std::unique_ptr<LogReader> reader = log.Read(applied);
  for (;;) {
    RL_ASSIGN_OR_RETURN(const std::optional<LogEntry> entry, reader->Next());
    if (!entry) break;
    if (entry->type != RecordType::kTransaction) continue;
    const auto summarized = SummarizePayload(entry->payload);
    if (!summarized.ok()) {
      return Status(Code::kCorruption,
                    "the log holds a record that is no transaction of databases");
    }
    const uint64_t bytes = summarized.value().overlay_bytes;
    RL_ASSIGN_OR_RETURN(GenerationSetRef set, overlay->Current());
    if (set->active().used_bytes() + bytes > set->active().capacity()) {
      // One that waits is folded first, where it may be: memory stays bounded.
      const GenerationList& list = (**region).list;
      const uint64_t oldest = list.oldest.load(std::memory_order_acquire);
      const uint64_t newest = list.newest.load(std::memory_order_acquire);
      const uint64_t end = region->slot(oldest).end.load(std::memory_order_acquire);
      const uint64_t limit = (**region).fold.limit.load(std::memory_order_acquire);
      const bool full = newest - oldest >= options.max_frozen;
      if (full && end <= limit) RL_RETURN_IF_ERROR(folder->FoldOldest());
      const bool held_back = full && end > limit;
      const uint64_t wanted =
          held_back ? HeldBackBytes(set->active().capacity()) : options.generation_bytes;
      RL_RETURN_IF_ERROR(overlay->Prepare(std::max(wanted, Generation::BytesFor(bytes)),
                                          held_back ? AreaPlace::kFile : AreaPlace::kMemory));
      RL_CHECK(overlay->Rotate(entry->lsn));
      RL_ASSIGN_OR_RETURN(set, overlay->Current());
    }
    RL_RETURN_IF_ERROR(InsertPayload(set->active(), entry->end, entry->payload, false));
    ++replayed_records;
  }
  replay_ns = env.clock.MonotonicNanos() - began;
  return Status::Ok();
}

Status Store::Parts::Closing(bool last) {
  committer.reset();
  folder.reset();
  if (last && overlay != nullptr) overlay->RemoveAll();
  overlay.reset();
  base.reset();
  region.reset();
  return last ? StoreRegion::Remove(*areas) : Status::Ok();
}

}  // namespace ringleader
