#include "binding/owner.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace ringleader::binding {
namespace {

constexpr size_t kPositions = 6;

}  // namespace

// Closes what nobody closed before its object was collected.
class Owner::BackgroundClose : public Napi::AsyncWorker {
 public:
  BackgroundClose(Napi::Env env, std::unique_ptr<OwnedParts> parts)
      : AsyncWorker(env, "ringleader"), parts_(std::move(parts)) {}

 protected:
  void Execute() override { (void)parts_->Close(); }
  void OnOK() override { parts_.reset(); }

 private:
  std::unique_ptr<OwnedParts> parts_;
};

void Owner::TakeOver(Napi::Env env, std::unique_ptr<OwnedParts> parts,
                     std::function<void()> progress) {
  env_ = env;
  parts_ = std::move(parts);
  parts_->signal =
      std::make_unique<ProgressSignal>(env, [this, progress = std::move(progress)](Napi::Env) {
        if (open()) progress();
      });
  // Behind the signal, so that it runs before the signal's own hook.
  napi_add_env_cleanup_hook(env, OnEnvironmentEnd, this);
  state_ = State::kOpen;
}

void Owner::Abandon() {
  if (state_ == State::kClosed) return;
  RL_CHECK(running_ == 0);  // a job keeps its object from being collected
  napi_remove_env_cleanup_hook(env_, OnEnvironmentEnd, this);
  state_ = State::kClosed;
  DropDependents();
  parts_->signal->Mute();
  const Napi::Env env(env_);
  const Napi::HandleScope scope(env);
  (new BackgroundClose(env, std::move(parts_)))->Queue();
}

Status Owner::ClosedStatus() const {
  return Status(Code::kClosed, std::string("the ") + what_ + " is closed");
}

void Owner::SharePositions(Napi::Env env, Napi::Object memory, size_t more) {
  const size_t size = (kPositions + more) * sizeof(double);
  positions_ = static_cast<double*>(ShareMemory(env, memory, "positions", size));
  if (positions_ == nullptr) return;
  NoteHistory();
  UpdatePositions();
}

void Owner::NoteHistory() { positions_[5] = static_cast<double>(log().History()); }

// The roll-backs last: a position of a later history shows its roll-back too.
void Owner::UpdatePositions() {
  if (positions_ == nullptr) return;  // nobody looks: the environment was going away
  LookAtMore();
  const Log& log = this->log();
  positions_[3] = log.Failure().sys_errno();
  positions_[2] = static_cast<double>(log.End(Level::kFlushed).value);
  positions_[1] = static_cast<double>(log.End(Level::kWritten).value);
  positions_[0] = static_cast<double>(log.End(Level::kMemory).value);
  const uint64_t history = log.History();
  positions_[4] = static_cast<double>(history);
  FillMore(positions_ + kPositions, history);
}

Napi::Value Owner::RolledBack(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto history = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  return Napi::Boolean::New(info.Env(), log().RolledBack(ToLsn(info[0]), history));
}

void Owner::CallProperty(const char* name) {
  const Napi::Object self = Self();
  if (self.IsEmpty()) return;
  const Napi::Value callback = self.Get(name);
  if (callback.IsEmpty() || !callback.IsFunction()) return;
  // The raw call: an exception stays pending and becomes an uncaught one of the process.
  napi_call_function(env_, self, callback, 0, nullptr, nullptr);
}

void Owner::SetBusy(bool busy) {
  if (busy == busy_ || state_ == State::kClosed) return;
  busy_ = busy;
  if (busy) {
    Keep();
    parts_->signal->Ref();
  } else {
    LetGo();
    parts_->signal->Unref();
  }
}

Napi::Value Owner::StartStatus(Napi::Env env, Napi::Object held, std::function<Status()> work) {
  return Start<Nothing>(
      env, held,
      [work = std::move(work)]() -> Result<Nothing> {
        RL_RETURN_IF_ERROR(work());
        return Nothing();
      },
      [](Napi::Env env, Nothing&) { return env.Undefined(); });
}

Napi::Value Owner::StartClose(Napi::Env env) {
  if (!open()) return Throw(env, ClosedStatus());
  state_ = State::kClosing;
  // From now on the close job alone touches the parts.
  parts_->signal->Mute();
  close_ = new Job<Nothing>(
      env,
      [this]() -> Result<Nothing> {
        RL_RETURN_IF_ERROR(parts_->Close());
        return Nothing();
      },
      [](Napi::Env env, Nothing&) { return env.Undefined(); });
  close_->Hold(Self());
  close_->BeforeSettling([this] {
    napi_remove_env_cleanup_hook(env_, OnEnvironmentEnd, this);
    parts_.reset();
    state_ = State::kClosed;
    if (std::exchange(busy_, false)) LetGo();
  });
  const Napi::Value promise(env, close_->promise());
  if (running_ == 0 || RL_MUTANT(kCloseBesideJobs)) StartClosing();
  return promise;
}

void Owner::JobEnded() {
  --running_;
  if (running_ == 0 && close_ != nullptr) StartClosing();
}

void Owner::StartClosing() {
  DropDependents();
  std::exchange(close_, nullptr)->Queue();
}

void Owner::DropDependents() {
  for (Dependent* dependent : dependents_) dependent->Drop();
  dependents_.clear();
  DropOwn();
}

// Node has waited for all jobs. Waits for the flush that ends the log.
void Owner::OnEnvironmentEnd(void* self) {
  auto* owner = static_cast<Owner*>(self);
  owner->state_ = State::kClosed;
  owner->DropDependents();
  (void)owner->parts_->Close();
  owner->parts_.reset();
}

}  // namespace ringleader::binding
