// A Log as an object of JavaScript: lib/binding.ts describes it from the other side.
//
// The JavaScript thread never waits for a disk. What may wait runs in jobs on libuv's pool, on the
// log's service thread or on the append queue's thread.
//
// Appends arrive in batches through four memory blocks that both sides see for the handle's life:
//   payload    Uint8Array    the payloads of a batch, one behind the other
//   entries    Uint32Array   three words per append: length, term, type | level << 8 |
//                            operations << 16
//   results    Float64Array  three numbers per append: lsn, end, level; lsn is -1 where it failed
//   positions  Float64Array  visible, written, durable, errno of the failure that ended the log
// `positions` is brought up to date before every call of onProgress and by everything that submits.
//
// Lifetime: open -> closing (jobs drain) -> closed. A handle that is collected while it is open is
// closed in the background; one whose environment ends is closed by a clean-up hook, which Node
// runs before that of the thread-safe function because it was added after it.
// Threads: the environment's JavaScript thread.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "binding/append_queue.h"
#include "binding/job.h"
#include "binding/js.h"
#include "binding/progress_signal.h"
#include "log/log.h"

namespace ringleader::binding {

class ReaderHandle;

class LogHandle : public Napi::ObjectWrap<LogHandle> {
 public:
  static Napi::Function Define(Napi::Env env);
  // Empty where the environment is going away; the log is closed then.
  static Napi::Value Make(Napi::Env env, std::unique_ptr<Log> log);

  explicit LogHandle(const Napi::CallbackInfo& info);
  // Runs when the object has been collected.
  ~LogHandle() override;

  // For ReaderHandle.
  Log& log() { return *parts_->log; }
  bool open() const { return state_ == State::kOpen; }
  void Enlist(ReaderHandle* reader) { readers_.insert(reader); }
  void Delist(ReaderHandle* reader) { readers_.erase(reader); }
  // A job that uses the log and an object that must not be collected meanwhile; Close waits for it.
  template <typename T>
  Napi::Value Start(Napi::Object held, typename Job<T>::Work work, typename Job<T>::Finish finish);

 private:
  enum class State : uint8_t { kOpen, kClosing, kClosed };

  // What outlives the handle when it is closed in the background. Destroyed from the last to the
  // first: the queue's thread uses the log, the threads of both raise the signal.
  struct Parts {
    std::unique_ptr<ProgressSignal> signal;
    std::unique_ptr<Log> log;
    std::unique_ptr<AppendQueue> queue;
  };
  class BackgroundClose;

  Napi::Value Submit(const Napi::CallbackInfo& info);
  Napi::Value SubmitOne(const Napi::CallbackInfo& info);
  Napi::Value Collect(const Napi::CallbackInfo& info);
  Napi::Value TakeFailure(const Napi::CallbackInfo& info);
  Napi::Value Request(const Napi::CallbackInfo& info);
  Napi::Value SetBusy(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Verify(const Napi::CallbackInfo& info);
  Napi::Value Stat(const Napi::CallbackInfo& info);
  Napi::Value Consumers(const Napi::CallbackInfo& info);
  Napi::Value PutConsumer(const Napi::CallbackInfo& info);
  Napi::Value AdvanceConsumer(const Napi::CallbackInfo& info);
  Napi::Value RemoveConsumer(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  void TakeOver(Napi::Env env, std::unique_ptr<Log> log);
  void ShareMemory(Napi::Env env);
  Napi::Value StartStatus(std::function<Status()> work);
  size_t SubmitAll();
  void PutResult(size_t i, const Appended& appended, Level level);
  void UpdatePositions();
  void CallOnProgress(Napi::Env env);
  void JobEnded();
  void StartClosing();
  void DropReaders();
  static void OnEnvironmentEnd(void* self);

  std::unique_ptr<Parts> parts_;
  State state_ = State::kClosed;
  bool busy_ = false;
  size_t running_ = 0;  // jobs
  std::set<ReaderHandle*> readers_;
  Job<Nothing>* close_ = nullptr;  // asked for, and not started while jobs are running

  Napi::ObjectReference memory_;  // keeps the four blocks
  uint8_t* payload_ = nullptr;
  uint32_t* words_ = nullptr;
  double* results_ = nullptr;
  double* positions_ = nullptr;

  std::vector<Submission> submissions_;  // of the batch at hand
  std::vector<Entry> entries_;
  std::vector<Appended> appended_;
  std::vector<Status> failures_;  // of the last Collect, the next one to be taken last
};

template <typename T>
Napi::Value LogHandle::Start(Napi::Object held, typename Job<T>::Work work,
                             typename Job<T>::Finish finish) {
  auto* job = new Job<T>(Env(), std::move(work), std::move(finish));
  job->Hold(held);
  ++running_;
  job->BeforeSettling([this] { JobEnded(); });
  const Napi::Value promise(Env(), job->promise());
  job->Queue();
  return promise;
}

}  // namespace ringleader::binding
