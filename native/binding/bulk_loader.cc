#include "binding/bulk_loader.h"

#include <utility>

#include "base/coding.h"
#include "env/env.h"

namespace ringleader::binding {
namespace {

constexpr size_t kRowHeaderBytes = 6;

}  // namespace

Napi::Function BulkLoader::Define(Napi::Env env) {
  return DefineClass(
      env, "BulkLoader",
      {InstanceMethod("push", &BulkLoader::Push), InstanceMethod("finish", &BulkLoader::Finish),
       InstanceMethod("abort", &BulkLoader::AbortCall),
       InstanceMethod("result", &BulkLoader::GetResult)});
}

Napi::Value BulkLoader::Make(Napi::Env env, Owner& owner, Store& store, const std::string& name) {
  const Napi::Object object = env.GetInstanceData<AddonData>()->bulk_loader.New({});
  if (object.IsEmpty()) return object;
  BulkLoader* loader = Unwrap(object);
  loader->owner_ = &owner;
  loader->owner_object_ = Napi::Persistent(owner.Self());
  loader->signal_ = std::make_unique<ProgressSignal>(env, [loader](Napi::Env env) {
    const Napi::Object self = loader->Value();
    if (self.IsEmpty()) return;
    const Napi::Value callback = self.Get("onProgress");
    if (callback.IsEmpty() || !callback.IsFunction()) return;
    napi_call_function(env, self, callback, 0, nullptr, nullptr);
  });
  // The promise that lib/ makes of it is waited for.
  loader->signal_->Ref();
  owner.Enlist(loader);
  loader->thread_ =
      PosixEnv().threads.Spawn("rl-load", [loader, &store, name] { loader->Run(store, name); });
  return object;
}

BulkLoader::BulkLoader(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

BulkLoader::~BulkLoader() {
  if (owner_ != nullptr) owner_->Delist(this);
  Abort();
}

void BulkLoader::Drop() {
  Abort();
  owner_ = nullptr;
  owner_object_.Reset();
}

// Waits for what the store is at, a batch at most.
void BulkLoader::Abort() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    aborted_ = true;
  }
  changed_.notify_one();
  thread_.reset();
  signal_.reset();
}

void BulkLoader::Run(Store& store, const std::string& name) {
  auto result = store.BulkLoad(name, [this](Store::BulkRow* row) { return Next(row); });
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    result_.emplace(std::move(result));
  }
  signal_->Raise();
}

// lib/ has made the chunks: they are whole rows.
Result<bool> BulkLoader::Next(Store::BulkRow* row) {
  if (at_ == current_.size()) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return aborted_ || finished_ || !chunks_.empty(); });
    if (aborted_) return Status(Code::kClosed, "the bulk load has been given up");
    if (chunks_.empty()) return false;
    current_ = std::move(chunks_.front());
    chunks_.pop_front();
    waiting_bytes_ -= current_.size();
    at_ = 0;
    lock.unlock();
    signal_->Raise();
  }
  const uint8_t* header = current_.data() + at_;
  const size_t key_bytes = LoadLe<uint16_t>(header);
  const size_t value_bytes = LoadLe<uint32_t>(header + sizeof(uint16_t));
  row->key = Bytes(header + kRowHeaderBytes, key_bytes);
  row->value = Bytes(header + kRowHeaderBytes + key_bytes, value_bytes);
  at_ += kRowHeaderBytes + key_bytes + value_bytes;
  return true;
}

Napi::Value BulkLoader::Push(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  uint64_t waiting = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    chunks_.emplace_back(bytes.Data(), bytes.Data() + bytes.ByteLength());
    waiting_bytes_ += bytes.ByteLength();
    waiting = waiting_bytes_;
  }
  changed_.notify_one();
  return Napi::Number::New(info.Env(), static_cast<double>(waiting));
}

Napi::Value BulkLoader::Finish(const Napi::CallbackInfo& info) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    finished_ = true;
  }
  changed_.notify_one();
  return info.Env().Undefined();
}

Napi::Value BulkLoader::AbortCall(const Napi::CallbackInfo& info) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    aborted_ = true;
  }
  changed_.notify_one();
  return info.Env().Undefined();
}

Napi::Value BulkLoader::GetResult(const Napi::CallbackInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!result_ && owner_ == nullptr) {
    return Throw(info.Env(), Status(Code::kClosed, "the environment is closed"));
  }
  if (!result_) return info.Env().Undefined();
  if (signal_ != nullptr) signal_->Unref();
  if (!result_->ok()) return Throw(info.Env(), result_->status());
  return Napi::Number::New(info.Env(), static_cast<double>(result_->value()));
}

}  // namespace ringleader::binding
