// Wakes the JavaScript thread from any other one, however often, with one call at a time.
//
// A raise while a call is already on its way does nothing: the call reads what is new then. The
// event loop stays alive on account of a signal only between Ref and Unref.
//
// Threads: Raise from any thread; the rest on the JavaScript thread. Destroyed when nobody raises
// it any more.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "binding/js.h"

namespace ringleader::binding {

class ProgressSignal {
 public:
  // `call` runs on the JavaScript thread, in a handle scope.
  ProgressSignal(Napi::Env env, std::function<void(Napi::Env)> call);
  ~ProgressSignal();
  ProgressSignal(const ProgressSignal&) = delete;
  ProgressSignal& operator=(const ProgressSignal&) = delete;

  void Raise();
  void Ref();
  void Unref();
  // No call is made from now on, whoever raises.
  void Mute();

 private:
  // What a call that is on its way when the signal goes away still finds.
  struct Shared {
    std::atomic<bool> raised{false};
    std::function<void(Napi::Env)> call;  // empty once muted
  };
  static void CallJs(napi_env env, napi_value callback, void* context, void* data);
  static void Finalize(napi_env env, void* data, void* context);

  Napi::Env env_;
  Shared* shared_;  // owned by the thread-safe function
  napi_threadsafe_function function_ = nullptr;
};

}  // namespace ringleader::binding
