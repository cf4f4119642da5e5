// A Log as an object of JavaScript: lib/binding.ts describes it from the other side.
//
// The JavaScript thread never waits for a disk. What may wait runs in jobs on libuv's pool, on the
// log's service thread or on the queue's thread.
//
// Appends arrive in batches through four memory blocks that both sides see for the handle's life:
//   payload    Uint8Array    the payloads of a batch, one behind the other
//   entries    Uint32Array   three words per append: length, term, type | level << 8 |
//                            operations << 16
//   results    Float64Array  three numbers per append: lsn, end, level; lsn is -1 where it failed
//   positions  Float64Array  how far the log has got; see Owner
//
// Threads: the environment's JavaScript thread.
#pragma once

#include <memory>
#include <vector>

#include "binding/js.h"
#include "binding/owner.h"
#include "binding/submission_queue.h"
#include "log/log.h"

namespace ringleader::binding {

// One transaction and how far it is to be taken.
struct Submission {
  Entry entry;
  Level level = Level::kFlushed;
  std::shared_ptr<uint8_t[]> bytes;  // where the payload lies, once queued

  // Out.
  Status status;
  Appended appended;  // where status is ok
};

class LogHandle : public Napi::ObjectWrap<LogHandle>, public Owner {
 public:
  static Napi::Function Define(Napi::Env env);
  // Empty where the environment is going away; the log is closed then.
  static Napi::Value Make(Napi::Env env, std::unique_ptr<Log> log);

  explicit LogHandle(const Napi::CallbackInfo& info);
  // Runs when the object has been collected.
  ~LogHandle() override;

  Napi::Object Self() override { return Value(); }

 private:
  class Parts;

  Napi::Value Submit(const Napi::CallbackInfo& info);
  Napi::Value SubmitOne(const Napi::CallbackInfo& info);
  Napi::Value Collect(const Napi::CallbackInfo& info);
  Napi::Value TakeFailure(const Napi::CallbackInfo& info);
  Napi::Value Request(const Napi::CallbackInfo& info);
  Napi::Value RolledBackCall(const Napi::CallbackInfo& info);
  Napi::Value SetBusyCall(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Verify(const Napi::CallbackInfo& info);
  Napi::Value Stat(const Napi::CallbackInfo& info);
  Napi::Value Consumers(const Napi::CallbackInfo& info);
  Napi::Value PutConsumer(const Napi::CallbackInfo& info);
  Napi::Value AdvanceConsumer(const Napi::CallbackInfo& info);
  Napi::Value RemoveConsumer(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  void Keep() override { Ref(); }
  void LetGo() override { Unref(); }

  void Open(Napi::Env env, std::unique_ptr<Log> log);
  void ShareMemory(Napi::Env env);
  SubmissionQueue<Submission>& queue();
  size_t SubmitAll();
  void PutResult(size_t i, const Appended& appended, Level level);

  Napi::ObjectReference memory_;  // keeps the four blocks
  uint8_t* payload_ = nullptr;
  uint32_t* words_ = nullptr;
  double* results_ = nullptr;

  std::vector<Submission> submissions_;  // of the batch at hand
  std::vector<Entry> entries_;
  std::vector<Appended> appended_;
  std::vector<Status> failures_;  // of the last Collect, the next one to be taken last
};

}  // namespace ringleader::binding
