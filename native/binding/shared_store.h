// The stores that this process has open, one per environment, however many threads use each.
//
// The main thread and the worker threads of a process, and repeated openings by one of them, share
// one Store: the base tree must not be open twice in a process, and one set of background threads
// is enough. The options of the first opener count. Opening waits for an opening or closing of the
// same environment that is under way.
//
// An environment is known by device and inode of its lock file, which are its own for as long as
// the store holds that file open, whatever the directory is called. Threads: any.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "binding/progress_signal.h"
#include "engine/group_board.h"
#include "env/threads.h"
#include "store/store.h"

namespace ringleader::binding {

class SharedStore {
 public:
  // One use of a store; gives it back when destroyed, where Close has not been called.
  class Use {
   public:
    explicit Use(SharedStore& shared) : shared_(&shared) {}
    ~Use() { (void)Close(); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    Store& store() { return *shared_->store_; }
    // The signal is raised whenever the log has moved, until Close.
    void Listen(ProgressSignal* signal);
    // Whether it is raised, too, whenever there is news of the group (engine/group_board.h). The
    // thread that waits for it starts with the first who asks, and sleeps while nobody does.
    Status WatchGroup(bool watch);
    // Flushes whatever has been committed, by anybody; the last use closes the store. May wait for
    // a disk. Afterwards only the destructor may be called.
    Status Close();

   private:
    SharedStore* shared_;  // null once closed
    ProgressSignal* signal_ = nullptr;
    bool watches_ = false;
  };

  static Result<std::unique_ptr<Use>> Open(const std::string& directory,
                                           const StoreOptions& options);

 private:
  struct Registry;

  explicit SharedStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  static Registry& registry();
  void Raise();
  Status StartWatching();
  void Watch();
  void StopWatching();

  std::unique_ptr<Store> store_;
  FileInfo lock_;    // of the environment; device and inode count
  size_t uses_ = 1;  // under the registry's mutex, as is the next one
  bool closing_ = false;
  std::mutex mutex_;  // guards what follows
  std::vector<ProgressSignal*> listeners_;
  std::vector<ProgressSignal*> watchers_;  // of the group
  bool stopping_ = false;
  std::condition_variable watch_;
  std::optional<GroupBoard> board_;  // once somebody has watched
  std::unique_ptr<Thread> watcher_;
};

}  // namespace ringleader::binding
