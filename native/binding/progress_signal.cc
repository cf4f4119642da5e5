#include "binding/progress_signal.h"

#include <utility>

#include "base/check.h"

namespace ringleader::binding {

ProgressSignal::ProgressSignal(Napi::Env env, std::function<void(Napi::Env)> call)
    : env_(env), shared_(new Shared) {
  shared_->call = std::move(call);
  const napi_status made =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "ringleader"),
                                      0, 1, nullptr, Finalize, shared_, CallJs, &function_);
  RL_CHECK(made == napi_ok);
  Unref();
}

ProgressSignal::~ProgressSignal() {
  Mute();
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
}

void ProgressSignal::Raise() {
  // Pairs with the exchange in CallJs: what was stored before a raise is seen by a call after it.
  if (shared_->raised.exchange(true, std::memory_order_acq_rel)) return;
  napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void ProgressSignal::CallJs(napi_env env, napi_value, void* context, void*) {
  // A call that is thrown away comes after Finalize: there is no context any more.
  if (env == nullptr) return;
  auto* shared = static_cast<Shared*>(context);
  shared->raised.exchange(false, std::memory_order_acq_rel);
  if (shared->call) shared->call(env);
}

void ProgressSignal::Finalize(napi_env, void*, void* context) {
  delete static_cast<Shared*>(context);
}

void ProgressSignal::Ref() { napi_ref_threadsafe_function(env_, function_); }

void ProgressSignal::Unref() { napi_unref_threadsafe_function(env_, function_); }

void ProgressSignal::Mute() { shared_->call = nullptr; }

}  // namespace ringleader::binding
