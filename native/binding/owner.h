// What the objects of JavaScript that own an open log or store have in common: jobs, closing, and
// the end of their environment.
//
// Lifetime: open -> closing (jobs drain) -> closed. An object that is collected while it is open is
// closed in the background; one whose environment ends is closed by a clean-up hook, which Node
// runs before that of the thread-safe function because it was added after it.
// Threads: the environment's JavaScript thread.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "binding/job.h"
#include "binding/js.h"
#include "binding/progress_signal.h"
#include "log/log.h"

namespace ringleader::binding {

// What outlives the object when it is closed in the background.
class OwnedParts {
 public:
  virtual ~OwnedParts() = default;
  virtual Log& log() = 0;
  // May wait for a disk. Ends all threads that raise the signal; called at most once, and before
  // the destructor where the result counts. On any thread.
  virtual Status Close() = 0;

  std::unique_ptr<ProgressSignal> signal;
};

// Something that uses what an owner owns, and stops before it is closed.
class Dependent {
 public:
  virtual ~Dependent() = default;
  // The owner is being closed; no job that uses the dependent is running.
  virtual void Drop() = 0;
};

class Owner {
 public:
  bool open() const { return state_ == State::kOpen; }
  Log& log() { return parts_->log(); }
  void Enlist(Dependent* dependent) { dependents_.insert(dependent); }
  void Delist(Dependent* dependent) { dependents_.erase(dependent); }

  // A job that uses the parts and an object that must not be collected meanwhile; closing waits for
  // it.
  template <typename T>
  Napi::Value Start(Napi::Env env, Napi::Object held, typename Job<T>::Work work,
                    typename Job<T>::Finish finish) {
    auto* job = new Job<T>(env, std::move(work), std::move(finish));
    job->Hold(held);
    ++running_;
    job->BeforeSettling([this] { JobEnded(); });
    const Napi::Value promise(env, job->promise());
    job->Queue();
    return promise;
  }
  // The same for work that gives nothing back.
  Napi::Value StartStatus(Napi::Env env, Napi::Object held, std::function<Status()> work);

  // The object itself; empty when it is gone and its finalizer has not run yet.
  virtual Napi::Object Self() = 0;
  // Whether anything counts on being called: keeps the object and the event loop alive.
  void SetBusy(bool busy);

 protected:
  enum class State : uint8_t { kOpen, kClosing, kClosed };

  explicit Owner(const char* what) : what_(what) {}
  virtual ~Owner() = default;

  // `progress` is called on the JavaScript thread whenever the signal has been raised.
  void TakeOver(Napi::Env env, std::unique_ptr<OwnedParts> parts, std::function<void()> progress);
  // For the destructor of the object.
  void Abandon();
  // Promise<void>; everything queued has been collected.
  Napi::Value StartClose(Napi::Env env);

  // A closed object refuses everything.
  Status ClosedStatus() const;
  // Keeps the object from being collected, or no longer.
  virtual void Keep() = 0;
  virtual void LetGo() = 0;
  // What depends on the parts beside the dependents, and must go before them.
  virtual void DropOwn() {}

  // Makes the memory of the positions, a Float64Array `positions`:
  //   visible, written, durable; errno of the failure that ended the log; roll-backs (of the log)
  //   until now; roll-backs before the latest submission; `more` numbers of FillMore
  // It is brought up to date before every call of `progress` and by everything that submits.
  void SharePositions(Napi::Env env, Napi::Object memory, size_t more = 0);
  void UpdatePositions();
  // What else has positions: looks at what is news before the log's own positions are read, and
  // writes its numbers after them, as of the roll-backs until then.
  virtual void LookAtMore() {}
  virtual void FillMore(double* /*numbers*/, uint64_t /*history*/) {}
  // What is submitted from now on belongs to the history of now.
  void NoteHistory();
  // rolledBack(end, roll-backs): whether a later roll-back has taken this position back.
  Napi::Value RolledBack(const Napi::CallbackInfo& info);

  // Calls a function that JavaScript has set as a property of the object.
  void CallProperty(const char* name);

  OwnedParts* parts() { return parts_.get(); }

 private:
  class BackgroundClose;

  void JobEnded();
  void StartClosing();
  void DropDependents();
  static void OnEnvironmentEnd(void* self);

  const char* const what_;
  napi_env env_ = nullptr;
  std::unique_ptr<OwnedParts> parts_;
  State state_ = State::kClosed;
  double* positions_ = nullptr;
  bool busy_ = false;
  size_t running_ = 0;  // jobs
  std::set<Dependent*> dependents_;
  Job<Nothing>* close_ = nullptr;  // asked for, and not started while jobs are running
};

}  // namespace ringleader::binding
