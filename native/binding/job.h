// Work for a thread of libuv's pool whose end settles a promise.
//
// A job that has been started keeps its environment alive until it has ended: Node waits for it
// before it runs any clean-up hook, so `work` may use what a hook destroys.
// Threads: `work` on the pool; everything else on the JavaScript thread.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "binding/js.h"

namespace ringleader::binding {

// What a job without a value to return has.
struct Nothing {};

template <typename T>
class Job : public Napi::AsyncWorker {
 public:
  using Work = std::function<Result<T>()>;
  using Finish = std::function<Napi::Value(Napi::Env, T&)>;

  Job(Napi::Env env, Work work, Finish finish)
      : AsyncWorker(env, "ringleader"), work_(std::move(work)), finish_(std::move(finish)) {
    napi_value promise = nullptr;
    napi_create_promise(env, &deferred_, &promise);
    promise_ = promise;
  }

  // Valid in the scope that made the job.
  napi_value promise() const { return promise_; }
  // Called on the JavaScript thread when the work has ended, before the promise is settled.
  void BeforeSettling(std::function<void()> ended) { ended_ = std::move(ended); }
  // Keeps an object from being collected while the job runs.
  void Hold(Napi::Object object) { held_ = Napi::Persistent(object); }

 protected:
  void Execute() override { result_.emplace(work_()); }

  void OnOK() override {
    if (ended_) ended_();
    // Each step can fail when the environment is going away; then nobody listens any more.
    Napi::Value value;
    if (result_->ok()) {
      value = finish_(Env(), result_->value());
    } else {
      value = MakeError(Env(), result_->status());
    }
    if (value.IsEmpty() || deferred_ == nullptr) return;
    if (result_->ok()) {
      napi_resolve_deferred(Env(), deferred_, value);
    } else {
      napi_reject_deferred(Env(), deferred_, value);
    }
  }

 private:
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
  Work work_;
  Finish finish_;
  std::function<void()> ended_;
  Napi::ObjectReference held_;
  std::optional<Result<T>> result_;
};

template <typename T>
Napi::Value StartJob(Napi::Env env, typename Job<T>::Work work, typename Job<T>::Finish finish) {
  auto* job = new Job<T>(env, std::move(work), std::move(finish));
  const Napi::Value promise(env, job->promise());
  job->Queue();
  return promise;
}

}  // namespace ringleader::binding
