#include "store/folder.h"

#include <algorithm>
#include <cerrno>

#include "base/mutant.h"
#include "store/catalogue.h"

namespace ringleader {
namespace {

constexpr uint64_t kMaxBatchRows = 50'000;
constexpr uint64_t kMaxBatchBytes = uint64_t{64} << 20;
constexpr uint64_t kLookAgainNs = 100'000'000;
constexpr uint64_t kRetryNs = 200'000'000;
constexpr uint64_t kCheckReadersNs = 5'000'000'000;
constexpr uint64_t kQuickNs = 5'000'000'000;
constexpr uint64_t kSlowNs = 30'000'000'000;
// Of the active generation, what may be filled although as many wait for the fold as may.
constexpr double kHeadroom = 0.25;
constexpr uint64_t kLargestHeldBack = uint64_t{4} << 30;

uint64_t Load(const std::atomic<uint64_t>& word) { return word.load(std::memory_order_acquire); }

Status Damaged() { return Status(Code::kCorruption, "the overlay in shared memory is damaged"); }

}  // namespace

uint64_t HeldBackBytes(uint64_t last) {
  return std::max(last, std::min(2 * last, kLargestHeldBack));
}

Folder::Folder(Env& env, Log& log, Overlay& overlay, BaseTree& base, StoreRegion& region,
               const FolderOptions& options)
    : env_(env), log_(log), overlay_(overlay), base_(base), region_(region), options_(options) {}

Folder::~Folder() { Stop(); }

void Folder::Start() {
  thread_ = env_.threads.Spawn("rl-fold", [this] { Loop(); });
}

void Folder::Stop() {
  stopping_.store(true, std::memory_order_release);
  Wake();
  thread_.reset();
}

void Folder::Wake() {
  bell_.fetch_add(1, std::memory_order_acq_rel);
  env_.threads.WakeAll(bell_);
}

void Folder::Note(const Status& status) {
  const int failed = status.sys_errno() != 0 ? status.sys_errno() : EIO;
  region_->fold.failed.store(status.ok() ? 0 : failed, std::memory_order_release);
  if (status.ok()) return;
  failures_.fetch_add(1, std::memory_order_acq_rel);
  const std::lock_guard<std::mutex> lock(note_mutex_);
  last_failure_ = status.ToString();
}

std::string Folder::last_failure() const {
  const std::lock_guard<std::mutex> lock(note_mutex_);
  return last_failure_;
}

void Folder::Loop() {
  while (!stopping_.load(std::memory_order_acquire)) {
    const uint32_t bell = bell_.load(std::memory_order_acquire);
    const auto ticked = Tick();
    if (!ticked.ok()) {
      Note(ticked.status());
      env_.threads.Wait(bell_, bell_.load(std::memory_order_acquire), kRetryNs);
      continue;
    }
    if (!ticked.value()) env_.threads.Wait(bell_, bell, kLookAgainNs);
  }
}

Status Folder::TakeRole(bool* taken) {
  const LockResult lock = env_.threads.TryLock(region_->fold.role);
  if (lock == LockResult::kBroken) {
    return Status(Code::kCorruption, "shared memory is damaged: the fold role");
  }
  *taken = lock != LockResult::kBusy;
  return lock == LockResult::kOwnerDied ? MendRole() : Status::Ok();
}

Status Folder::LockRole() {
  const LockResult lock = env_.threads.Lock(region_->fold.role);
  if (lock == LockResult::kBroken) {
    return Status(Code::kCorruption, "shared memory is damaged: the fold role");
  }
  return lock == LockResult::kOwnerDied ? MendRole() : Status::Ok();
}

// A holder died. It may have been rolling back: that shows to whoever gets the writer lock, and
// then nothing may be folded any more. The role is gone where this fails.
Status Folder::MendRole() {
  overlay_.MendRetirement();
  const Status whole = log_.InSection([](Lsn) { return Status::Ok(); });
  if (!whole.ok()) UnlockRole();
  return whole;
}

Result<bool> Folder::Tick() {
  bool taken = false;
  RL_RETURN_IF_ERROR(TakeRole(&taken));
  if (!taken) return false;
  const auto did = TickHolding();
  env_.threads.Unlock(region_->fold.role);
  if (!did.ok() || did.value()) region_.Announce();
  return did;
}

Result<bool> Folder::TickHolding() {
  RL_RETURN_IF_ERROR(log_.Failure());
  GenerationList& list = region_->list;
  const uint64_t oldest = Load(list.oldest);
  const uint64_t newest = Load(list.newest);
  Status prepared;
  if (Load(list.ready) == newest && newest - oldest < FrozenAllowed(oldest, newest)) {
    prepared = MakeReady();
    // There is room again, and nothing else that the last failure could be about.
    if (prepared.ok() && oldest == newest) Note(Status::Ok());
    if (prepared.ok()) return true;
  }
  if (oldest < newest && FoldAllowed(Load(region_.slot(oldest).end))) {
    RL_RETURN_IF_ERROR(FoldOldest());
    Note(Status::Ok());
    return true;
  }
  // Only now: folding the oldest one gives back memory that the next one may need.
  RL_RETURN_IF_ERROR(prepared);
  if (oldest == newest) SetAdmit(0);
  if (FreezeDue(newest)) {
    RL_RETURN_IF_ERROR(Freeze());
    return true;
  }
  const uint64_t now = env_.clock.MonotonicNanos();
  if (now - readers_checked_ns_ > kCheckReadersNs) {
    readers_checked_ns_ = now;
    RL_RETURN_IF_ERROR(base_.CheckReaders());
    RL_RETURN_IF_ERROR(ForgetDeadBackup());
  }
  return oldest == newest ? RemoveDropped() : Result<bool>(false);
}

Status Folder::MakeReady() {
  FoldWords& fold = region_->fold;
  const uint64_t newest = Load(region_->list.newest);
  const uint64_t last = Load(region_.slot(newest).bytes);
  const uint64_t now = env_.clock.MonotonicNanos();
  const uint64_t took = newest == seen_newest_ ? 0 : now - seen_since_ns_;
  uint64_t bytes = std::min(last, options_.generation_bytes);
  // The one before filled up while this process was looking on.
  if (seen_newest_ != 0 && newest != seen_newest_) {
    if (took < kQuickNs) bytes = std::min(2 * bytes, options_.generation_bytes);
    if (took > kSlowNs) bytes = std::max(bytes / 2, std::min(bytes, kFirstGenerationBytes));
  }
  seen_newest_ = newest;
  seen_since_ns_ = now;
  const uint64_t wanted = fold.want_bytes.exchange(0, std::memory_order_acq_rel);
  const bool held_back = newest - Load(region_->list.oldest) >= Load(fold.max_frozen);
  return overlay_.Prepare(std::max(held_back ? HeldBackBytes(last) : bytes, wanted),
                          held_back ? AreaPlace::kFile : AreaPlace::kMemory);
}

// How many generations may be frozen before writers have to wait. What the caller's limit keeps out
// of the base is not slow, it is not decided: a primary that has lost its replicas goes on.
uint64_t Folder::FrozenAllowed(uint64_t oldest, uint64_t newest) {
  const bool held_back = oldest < newest && !FoldAllowed(Load(region_.slot(oldest).end));
  return held_back ? kGenerationSlots - 2 : Load(region_->fold.max_frozen);
}

bool Folder::FoldAllowed(uint64_t end) const {
  return RL_MUTANT(kFoldPastLimit) || end <= Load(region_->fold.limit);
}

// What the writers may fill of the active generation. `oldest_left`: the part of the oldest frozen
// generation that is not in the base yet, 0 to 1.
void Folder::SetAdmit(double oldest_left) {
  const GenerationList& list = region_->list;
  const uint64_t newest = Load(list.newest);
  const auto frozen = static_cast<double>(newest - Load(list.oldest));
  const double waiting = frozen == 0 ? 0 : frozen - 1 + oldest_left;
  const auto allowed = static_cast<double>(Load(region_->fold.max_frozen));
  // More than may wait: the caller's limit has held them back, and they go into the base while
  // writers use what the active one has room for.
  const bool held_back = frozen > allowed;
  const double part = held_back ? 1 : std::clamp(allowed + kHeadroom - waiting, 0.0, 1.0);
  const auto bytes = static_cast<double>(Load(region_.slot(newest).bytes));
  region_->fold.admit.store(part >= 1 ? ~uint64_t{0} : static_cast<uint64_t>(part * bytes),
                            std::memory_order_release);
}

bool Folder::FreezeDue(uint64_t newest) {
  const uint64_t start = Load(region_.slot(newest).start);
  const uint64_t visible = overlay_.visible().value;
  if (visible <= start || Load(region_->list.ready) != newest + 1) return false;
  // Nothing would come of it, and the slots of generations are not many.
  const uint64_t frozen = newest - Load(region_->list.oldest);
  if (frozen >= Load(region_->fold.max_frozen) && !RL_MUTANT(kFreezeHeldBack)) return false;
  if (Load(region_->fold.freeze) > start) return true;
  const uint64_t now = env_.clock.MonotonicNanos();
  if (seen_newest_ != newest) {
    seen_newest_ = newest;
    seen_since_ns_ = now;
  }
  return now - seen_since_ns_ >= options_.fold_interval_ns;
}

Status Folder::Freeze() {
  return log_.InSection([this](Lsn) {
    overlay_.Rotate();
    return Status::Ok();
  });
}

Status Folder::FoldOldest() {
  const uint64_t began = env_.clock.MonotonicNanos();
  const uint64_t oldest = Load(region_->list.oldest);
  const Lsn end(Load(region_.slot(oldest).end));
  RL_CHECK(end.value != kOpenEnd);
  // Frozen by a writer that died before it published what it had appended: the next holder of the
  // writer lock does that.
  if (overlay_.visible() < end) {
    RL_RETURN_IF_ERROR(log_.InSection([](Lsn) { return Status::Ok(); }));
  }
  if (!RL_MUTANT(kFoldBeforeFlush)) RL_RETURN_IF_ERROR(log_.WaitFor(end, Level::kFlushed));
  // From here on no roll-back below the end. A roll-back that is under way holds the fold role.
  region_->fold.started.store(end.value, std::memory_order_release);
  RL_ASSIGN_OR_RETURN(const GenerationSetRef set, overlay_.Current());
  const Generation& generation = set->list.front()->generation;
  RL_CHECK(generation.sequence() == oldest);
  SetAdmit(1);
  RL_RETURN_IF_ERROR(WriteRows(generation, end));
  region_->fold.applied.store(end.value, std::memory_order_release);
  RL_RETURN_IF_ERROR(overlay_.RetireOldest());
  SetAdmit(0);
  region_->fold.folds.fetch_add(1, std::memory_order_acq_rel);
  region_->fold.ns.fetch_add(env_.clock.MonotonicNanos() - began, std::memory_order_acq_rel);
  region_.Announce();
  return log_.AdvanceConsumer(kBaseConsumer, end);
}

Status Folder::WriteRows(const Generation& generation, Lsn end) {
  const auto nodes = static_cast<double>(std::max<uint64_t>(generation.nodes(), 1));
  Generation::Cursor cursor(generation);
  uint64_t rows = 0;
  bool more = cursor.SeekAtLeast({});
  do {
    RL_ASSIGN_OR_RETURN(const auto batch, base_.Begin());
    uint64_t batch_rows = 0;
    uint64_t batch_bytes = 0;
    for (; more && batch_rows < kMaxBatchRows && batch_bytes < kMaxBatchBytes;
         more = cursor.Next()) {
      Row row;
      const Found found = cursor.Read(end, &row);
      if (found == Found::kDamaged) return Damaged();
      if (found == Found::kNothing) continue;
      const auto dropped = DroppedId(cursor.row_key());
      if (dropped && found == Found::kValue) {
        RL_RETURN_IF_ERROR(batch->AddDropped(*dropped));
        region_->fold.dropped.store(1, std::memory_order_release);
      } else if (found == Found::kRemoved) {
        RL_RETURN_IF_ERROR(batch->Remove(cursor.row_key()));
      } else {
        RL_RETURN_IF_ERROR(batch->Put(cursor.row_key(), row.version, row.value));
      }
      ++batch_rows;
      batch_bytes += cursor.row_key().size() + row.value.size();
    }
    if (cursor.damaged()) return Damaged();
    if (!more) RL_RETURN_IF_ERROR(batch->SetApplied(end));
    RL_RETURN_IF_ERROR(batch->Commit());
    rows += batch_rows;
    region_->fold.rows.fetch_add(batch_rows, std::memory_order_acq_rel);
    SetAdmit(std::max(0.0, 1 - static_cast<double>(rows) / nodes));
    region_.Announce();
  } while (more);
  return Status::Ok();
}

// Whether the caller's limit is all that keeps what lies below `target` out of the base.
bool Folder::HeldByLimit(Lsn target) const {
  const GenerationList& list = region_->list;
  const uint64_t oldest = Load(list.oldest);
  const uint64_t newest = Load(list.newest);
  if (oldest == newest || FoldAllowed(Load(region_.slot(oldest).end))) return false;
  const bool frozen = Load(region_.slot(newest).start) >= target.value;
  return frozen || newest - oldest >= Load(region_->fold.max_frozen);
}

Status Folder::FoldAll(uint64_t timeout_ns) {
  RL_RETURN_IF_ERROR(overlay_.CheckProcess());
  const uint64_t began = env_.clock.MonotonicNanos();
  Lsn target = overlay_.visible();
  uint64_t asked = Load(region_->fold.freeze);
  while (asked < target.value && !region_->fold.freeze.compare_exchange_weak(
                                     asked, target.value, std::memory_order_acq_rel)) {
  }
  for (;;) {
    const uint32_t sequence = region_.ProgressSequence();
    target = std::min(target, overlay_.visible());  // what a roll-back has left of it
    if (Load(region_->fold.applied) >= target.value) return Status::Ok();
    const uint64_t newest = Load(region_->list.newest);
    // What begins where the target ends has nothing that was asked for.
    const bool nothing_left =
        Load(region_->list.oldest) == newest && Load(region_.slot(newest).start) >= target.value;
    if (nothing_left) return Status::Ok();
    RL_ASSIGN_OR_RETURN(const bool did, Tick());
    if (did) continue;
    if (HeldByLimit(target)) return Status::Ok();
    if (timeout_ns != kForeverNs && env_.clock.MonotonicNanos() - began > timeout_ns) {
      return Status(Code::kTimeout, "not everything is in the base yet");
    }
    region_.AwaitProgress(sequence, kLookAgainNs / 10);
  }
}

}  // namespace ringleader
