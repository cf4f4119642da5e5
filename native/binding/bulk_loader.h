// A bulk load under way, as an object of JavaScript: chunks of rows go in, a thread of its own has
// the store take them.
//
//   push(bytes)   rows, each: key bytes u16 | value bytes u32 | key | value; returns the bytes that
//                 wait to be taken
//   finish()      there are no more rows
//   abort()       nothing of it is to happen
//   onProgress    called when something has been taken, and at the end
//   result()      undefined while it is going on; then the number of rows, or throws
//
// Threads: the environment's JavaScript thread; Next on the loading one.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "binding/js.h"
#include "binding/owner.h"
#include "binding/progress_signal.h"
#include "env/threads.h"
#include "store/store.h"

namespace ringleader::binding {

class BulkLoader : public Napi::ObjectWrap<BulkLoader>, public Dependent {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, Owner& owner, Store& store, const std::string& name);

  explicit BulkLoader(const Napi::CallbackInfo& info);
  ~BulkLoader() override;

  void Drop() override;

 private:
  Napi::Value Push(const Napi::CallbackInfo& info);
  Napi::Value Finish(const Napi::CallbackInfo& info);
  Napi::Value AbortCall(const Napi::CallbackInfo& info);
  Napi::Value GetResult(const Napi::CallbackInfo& info);

  void Run(Store& store, const std::string& name);
  Result<bool> Next(Store::BulkRow* row);
  void Abort();

  Owner* owner_ = nullptr;
  Napi::ObjectReference owner_object_;  // keeps owner_
  std::unique_ptr<ProgressSignal> signal_;
  std::unique_ptr<Thread> thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<uint8_t>> chunks_;  // under mutex_, like everything up to `current_`
  uint64_t waiting_bytes_ = 0;
  bool finished_ = false;
  bool aborted_ = false;
  std::optional<Result<uint64_t>> result_;

  std::vector<uint8_t> current_;  // of the loading thread
  size_t at_ = 0;
};

}  // namespace ringleader::binding
