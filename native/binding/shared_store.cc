#include "binding/shared_store.h"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <utility>

#include "base/mutant.h"
#include "env/env.h"

namespace ringleader::binding {
namespace {

// So that a watcher is not lost for ever where the board's memory has been damaged.
constexpr uint64_t kWatchNs = 1'000'000'000;

bool SameFile(const FileInfo& a, const FileInfo& b) {
  return a.device == b.device && a.inode == b.inode;
}

}  // namespace

struct SharedStore::Registry {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::unique_ptr<SharedStore>> stores;
  std::vector<FileInfo> opening;  // directories

  SharedStore* Find(const std::string& directory) {
    const auto lock = PosixEnv().files.Info(JoinPath(directory, "lock"));
    if (!lock.ok()) return nullptr;
    for (const auto& shared : stores) {
      if (SameFile(shared->lock_, lock.value())) return shared.get();
    }
    return nullptr;
  }

  bool IsOpening(const FileInfo& directory) const {
    return std::any_of(opening.begin(), opening.end(),
                       [&](const FileInfo& one) { return SameFile(one, directory); });
  }
};

// Never destroyed: threads that are still running when the process ends may use it.
SharedStore::Registry& SharedStore::registry() {
  static auto* const registry = new Registry;
  return *registry;
}

Result<std::unique_ptr<SharedStore::Use>> SharedStore::Open(const std::string& directory,
                                                            const StoreOptions& options) {
  Env& env = PosixEnv();
  // Made here rather than by the store, so that two who open a new environment at once meet.
  if (options.log.create) RL_RETURN_IF_ERROR(EnsureDirectory(env.files, directory));
  RL_ASSIGN_OR_RETURN(const FileInfo info, env.files.Info(directory));
  Registry& all = registry();
  std::unique_lock<std::mutex> lock(all.mutex);
  for (;;) {
    SharedStore* shared = all.Find(directory);
    if (shared != nullptr && !shared->closing_) {
      // As if by another process, which would be told the same.
      const Status failed = shared->store_->log().Failure();
      if (!failed.ok()) return failed.WithFate(Fate::kNone);
      ++shared->uses_;
      return std::make_unique<Use>(*shared);
    }
    if (shared == nullptr && !all.IsOpening(info)) break;
    all.changed.wait(lock);
  }
  all.opening.push_back(info);
  lock.unlock();
  auto opened = Store::Open(env, directory, options);
  lock.lock();
  all.opening.erase(std::find_if(all.opening.begin(), all.opening.end(),
                                 [&](const FileInfo& one) { return SameFile(one, info); }));
  all.changed.notify_all();
  if (!opened.ok()) return opened.status();
  std::unique_ptr<SharedStore> made(new SharedStore(std::move(opened).value()));
  SharedStore* shared = made.get();
  shared->lock_ = shared->store_->log().lock_info();
  shared->store_->log().OnProgress([shared] { shared->Raise(); });
  all.stores.push_back(std::move(made));
  return std::make_unique<Use>(*shared);
}

void SharedStore::Raise() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (ProgressSignal* signal : listeners_) {
    signal->Raise();
    if (RL_MUTANT(kWakeOneThread)) break;
  }
}

void SharedStore::Use::Listen(ProgressSignal* signal) {
  signal_ = signal;
  const std::lock_guard<std::mutex> lock(shared_->mutex_);
  shared_->listeners_.push_back(signal);
}

// --- the group
// ----------------------------------------------------------------------------------------

Status SharedStore::Use::WatchGroup(bool watch) {
  if (watch == watches_ || shared_ == nullptr) return Status::Ok();
  const std::lock_guard<std::mutex> lock(shared_->mutex_);
  if (watch) {
    RL_RETURN_IF_ERROR(shared_->StartWatching());
    shared_->watchers_.push_back(signal_);
    shared_->watch_.notify_one();
  } else {
    std::erase(shared_->watchers_, signal_);
  }
  watches_ = watch;
  return Status::Ok();
}

// Under mutex_.
Status SharedStore::StartWatching() {
  if (watcher_ != nullptr) return Status::Ok();
  Env& env = PosixEnv();
  RL_ASSIGN_OR_RETURN(GroupBoard board, GroupBoard::Of(env, store_->log()));
  board_.emplace(std::move(board));
  watcher_ = env.threads.Spawn("rl-group", [this] { Watch(); });
  return Status::Ok();
}

// What is published while nobody watches is news to the next who does: `seen` stays as it is, and
// at first it is none that there is.
void SharedStore::Watch() {
  GroupBoard board = *board_;
  uint32_t seen = board.Sequence() - 1;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    watch_.wait(lock, [this] { return stopping_ || !watchers_.empty(); });
    if (stopping_) return;
    lock.unlock();
    board.Await(seen, kWatchNs);
    const uint32_t now = board.Sequence();
    lock.lock();
    if (now == seen) continue;
    seen = now;
    for (ProgressSignal* signal : watchers_) signal->Raise();
  }
}

// Before the log is closed: the board lies in its memory.
void SharedStore::StopWatching() {
  std::unique_ptr<Thread> ending;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    ending = std::move(watcher_);
    if (ending == nullptr) return;
  }
  watch_.notify_one();
  board_->Ring();
  ending.reset();
  board_.reset();
}

Status SharedStore::Use::Close() {
  if (shared_ == nullptr) return Status::Ok();
  SharedStore& shared = *std::exchange(shared_, nullptr);
  {
    const std::lock_guard<std::mutex> lock(shared.mutex_);
    std::erase(shared.listeners_, signal_);
    std::erase(shared.watchers_, signal_);
  }
  Registry& all = registry();
  std::unique_lock<std::mutex> lock(all.mutex);
  if (shared.uses_ > 1 && !RL_MUTANT(kCloseSharedStore)) {
    // Flushed while this use still counts: the store must not go away meanwhile.
    lock.unlock();
    Log& log = shared.store_->log();
    const Status flushed = log.WaitFor(log.End(Level::kMemory), Level::kFlushed);
    lock.lock();
    if (--shared.uses_ > 0) return flushed;
  } else {
    shared.uses_ = 0;
  }
  shared.closing_ = true;
  lock.unlock();
  shared.StopWatching();
  const Status closed = shared.store_->Close();
  shared.store_.reset();
  lock.lock();
  std::erase_if(all.stores, [&](const auto& one) { return one.get() == &shared; });
  all.changed.notify_all();
  return closed;
}

}  // namespace ringleader::binding
