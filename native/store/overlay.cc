#include "store/overlay.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace ringleader {
namespace {

constexpr std::string_view kAreaPrefix = "gen.";

std::string AreaName(uint64_t sequence) {
  return std::string(kAreaPrefix) + std::to_string(sequence);
}

bool IsAreaName(std::string_view name) {
  if (!name.starts_with(kAreaPrefix)) return false;
  const std::string_view number = name.substr(kAreaPrefix.size());
  return !number.empty() && number.find_first_not_of("0123456789") == number.npos;
}

// Generations that were files when the machine went down: no region tells of them any more.
void RemoveFiles(Env& env, const std::string& directory) {
  const auto names = env.files.List(directory);
  if (!names.ok()) return;
  for (const std::string& name : names.value()) {
    if (!IsAreaName(name)) continue;
    const Status ignored = env.files.Remove(JoinPath(directory, name));
    (void)ignored;  // a leftover costs space, nothing else
  }
}

}  // namespace

Overlay::Overlay(Env& env, SharedAreas areas, StoreRegion& region)
    : env_(env), areas_(std::move(areas)), region_(region), process_(env.host.ProcessId()) {}

Status Overlay::CheckProcess() const {
  if (env_.host.ProcessId() == process_) [[likely]]
    return Status::Ok();
  return Status(Code::kUnsupported,
                "the environment was opened before a fork: the child has to open it for itself");
}

Status Overlay::Make(uint64_t sequence, Lsn start, uint64_t bytes, AreaPlace place) {
  bytes = std::clamp(bytes, kMinGenerationBytes, kMaxGenerationBytes);
  RL_ASSIGN_OR_RETURN(const SharedArea area, areas_.Create(AreaName(sequence), bytes, place));
  Generation::Format(MutableBytes(area.mapping->data(), area.mapping->size()), sequence,
                     region_->header.hash_seed);
  GenerationSlot& slot = region_.slot(sequence);
  slot.bytes.store(bytes, std::memory_order_release);
  slot.start.store(start.value, std::memory_order_release);
  slot.end.store(kOpenEnd, std::memory_order_release);
  slot.in_file.store(area.in_file ? 1 : 0, std::memory_order_release);
  return Status::Ok();
}

Status Overlay::Start(Lsn start, uint64_t bytes) {
  RL_RETURN_IF_ERROR(Make(1, start, bytes));
  GenerationList& list = region_->list;
  list.oldest.store(1, std::memory_order_release);
  list.newest.store(1, std::memory_order_release);
  list.ready.store(1, std::memory_order_release);
  NextEpoch();
  return Status::Ok();
}

Status Overlay::Prepare(uint64_t bytes, AreaPlace place) {
  GenerationList& list = region_->list;
  const uint64_t newest = list.newest.load(std::memory_order_acquire);
  const uint64_t oldest = list.oldest.load(std::memory_order_acquire);
  const uint64_t next = newest + 1;
  // One slot stays free: a reader that is late still finds the words of the one just retired.
  if (next - oldest + 2 > kGenerationSlots) {
    return Status(Code::kBusy, "all generations of the overlay are in use");
  }
  // Never made anew once it is ready: somebody may have mapped it.
  if (list.ready.load(std::memory_order_acquire) == next) return Status::Ok();
  RL_RETURN_IF_ERROR(Make(next, Lsn(kOpenEnd), bytes, place));
  list.ready.store(next, std::memory_order_release);
  NextEpoch();
  return Status::Ok();
}

Status Overlay::RetireOldest() {
  GenerationList& list = region_->list;
  const uint64_t oldest = list.oldest.load(std::memory_order_acquire);
  RL_CHECK(oldest < list.newest.load(std::memory_order_acquire));
  list.oldest.store(oldest + 1, std::memory_order_release);
  NextEpoch();
  return areas_.Remove(AreaName(oldest));
}

void Overlay::MendRetirement() {
  NextEpoch();
  const uint64_t oldest = region_->list.oldest.load(std::memory_order_acquire);
  if (oldest < 2) return;
  const Status ignored = areas_.Remove(AreaName(oldest - 1));
  (void)ignored;  // a leftover costs memory, nothing else
}

void Overlay::RemoveLeftovers(Env& env, const std::string& directory, const SharedAreas& areas,
                              const Id128& environment_id) {
  RemoveFiles(env, directory);
  const auto old = StoreRegion::Attach(env, areas, environment_id);
  if (!old.ok()) return;
  const GenerationList& list = (**old.value()).list;
  const uint64_t newest = list.newest.load(std::memory_order_acquire);
  // A region of unknown age: what it says is only a hint where to look.
  const uint64_t from = newest > kGenerationSlots ? newest - kGenerationSlots : 0;
  for (uint64_t sequence = from; sequence <= newest + kGenerationSlots && sequence >= from;
       ++sequence) {
    const Status ignored = areas.Remove(AreaName(sequence));
    (void)ignored;  // a leftover costs memory, nothing else
  }
}

void Overlay::RemoveAll() {
  const GenerationList& list = region_->list;
  const uint64_t oldest = list.oldest.load(std::memory_order_acquire);
  const uint64_t ready = list.ready.load(std::memory_order_acquire);
  // And those around them, where whoever retired one or was making some died on the way.
  RemoveNames(std::max<uint64_t>(oldest, kGenerationSlots) - kGenerationSlots,
              ready + kGenerationSlots);
  const std::lock_guard<std::mutex> lock(mutex_);
  set_.reset();
}

Result<std::shared_ptr<MappedGeneration>> Overlay::MakeUnlisted(uint64_t sequence, Lsn start,
                                                                uint64_t bytes) {
  if (sequence - region_->list.oldest.load(std::memory_order_acquire) + 2 > kGenerationSlots) {
    return Status(Code::kBusy, "all generations of the overlay are in use");
  }
  RL_RETURN_IF_ERROR(Make(sequence, start, bytes));
  return Map(sequence);
}

// In this order every state in between names generations that exist.
void Overlay::Replace(uint64_t first, uint64_t last) {
  GenerationList& list = region_->list;
  list.newest.store(last, std::memory_order_release);
  list.ready.store(last, std::memory_order_release);
  list.oldest.store(first, std::memory_order_release);
  NextEpoch();
}

void Overlay::RemoveNames(uint64_t first, uint64_t last) {
  for (uint64_t sequence = first; sequence <= last; ++sequence) {
    const Status ignored = areas_.Remove(AreaName(sequence));
    (void)ignored;  // a leftover costs memory, nothing else
  }
}

bool Overlay::Rotate(Lsn at) {
  GenerationList& list = region_->list;
  const uint64_t newest = list.newest.load(std::memory_order_acquire);
  if (list.ready.load(std::memory_order_acquire) != newest + 1) return false;
  region_.slot(newest).end.store(at.value, std::memory_order_release);
  region_.slot(newest + 1).start.store(at.value, std::memory_order_release);
  list.newest.store(newest + 1, std::memory_order_release);
  NextEpoch();
  return true;
}

void Overlay::MendRotation() {
  GenerationList& list = region_->list;
  const uint64_t newest = list.newest.load(std::memory_order_acquire);
  // Died before it moved on: the active generation goes on being filled.
  region_.slot(newest).end.store(kOpenEnd, std::memory_order_release);
  NextEpoch();
}

Result<std::shared_ptr<MappedGeneration>> Overlay::Map(uint64_t sequence) {
  RL_ASSIGN_OR_RETURN(SharedArea area, areas_.Open(AreaName(sequence)));
  const MutableBytes memory(area.mapping->data(), area.mapping->size());
  RL_ASSIGN_OR_RETURN(const Generation generation, Generation::Attach(memory));
  if (generation.sequence() != sequence) {
    return Status(Code::kNotFound, "a generation of another number");
  }
  if (generation.hash_seed() != region_->header.hash_seed) {
    return Status(Code::kCorruption, "a generation of another environment");
  }
  return std::make_shared<MappedGeneration>(MappedGeneration{std::move(area), generation});
}

Result<GenerationSetRef> Overlay::Current() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (set_ != nullptr && set_->epoch == epoch()) return set_;
  GenerationList& list = region_->list;
  for (;;) {
    auto next = std::make_shared<GenerationSet>();
    next->epoch = epoch();
    const uint64_t oldest = list.oldest.load(std::memory_order_acquire);
    const uint64_t newest = list.newest.load(std::memory_order_acquire);
    const uint64_t ready = list.ready.load(std::memory_order_acquire);
    if (newest < oldest || newest - oldest >= kGenerationSlots || ready > newest + 1) {
      if (epoch() != next->epoch) continue;
      return Status(Code::kCorruption, "shared memory is damaged: list of generations");
    }
    Status status;
    for (uint64_t sequence = oldest; sequence <= std::max(newest, ready) && status.ok();
         ++sequence) {
      std::shared_ptr<MappedGeneration> mapped;
      if (set_ != nullptr) {
        for (const auto& known : set_->list) {
          if (known->generation.sequence() == sequence) mapped = known;
        }
        if (set_->ready != nullptr && set_->ready->generation.sequence() == sequence) {
          mapped = set_->ready;
        }
      }
      if (mapped == nullptr) {
        auto fresh = Map(sequence);
        status = fresh.status();
        if (fresh.ok()) mapped = std::move(fresh).value();
      }
      if (!status.ok()) break;
      if (sequence <= newest) {
        next->list.push_back(std::move(mapped));
      } else {
        next->ready = std::move(mapped);
      }
    }
    // The list changed under our hands: what we mapped, or failed to, may be of either state.
    if (epoch() != next->epoch) continue;
    RL_RETURN_IF_ERROR(status);
    set_ = std::move(next);
    return set_;
  }
}

}  // namespace ringleader
