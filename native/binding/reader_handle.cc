#include "binding/reader_handle.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace ringleader::binding {
namespace {

// What an entry costs beside its payload, so that a batch of empty ones ends too.
constexpr size_t kEntryCost = 64;

}  // namespace

Napi::Function ReaderHandle::Define(Napi::Env env) {
  return DefineClass(env, "ReaderHandle", {InstanceMethod("next", &ReaderHandle::Next)});
}

Napi::Value ReaderHandle::Make(Napi::Env env, Owner& owner, Lsn from) {
  const Napi::Object object = env.GetInstanceData<AddonData>()->reader_handle.New({});
  if (object.IsEmpty()) return object;
  ReaderHandle* reader = Unwrap(object);
  reader->owner_ = &owner;
  reader->owner_object_ = Napi::Persistent(owner.Self());
  reader->reader_ = owner.log().Read(from);
  owner.Enlist(reader);
  return object;
}

ReaderHandle::ReaderHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

ReaderHandle::~ReaderHandle() {
  if (owner_ != nullptr) owner_->Delist(this);
}

void ReaderHandle::Drop() {
  reader_.reset();
  owner_ = nullptr;
  owner_object_.Reset();
}

Result<ReaderHandle::Batch> ReaderHandle::ReadBatch(size_t batch_bytes) {
  Batch batch;
  if (!failed_.ok()) return std::exchange(failed_, Status::Ok());
  for (size_t cost = 0; cost < batch_bytes;) {
    const auto next = reader_->Next();
    if (!next.ok()) {
      if (batch.entries.empty()) return next.status();
      failed_ = next.status();
      break;
    }
    const std::optional<LogEntry>& entry = next.value();
    if (!entry) break;
    for (const uint64_t number :
         {entry->lsn.value, entry->end.value, uint64_t{entry->term.value},
          static_cast<uint64_t>(entry->type), uint64_t{entry->operations}, entry->commit_time_us,
          static_cast<uint64_t>(entry->payload.size())}) {
      batch.entries.push_back(static_cast<double>(number));
    }
    batch.bytes.insert(batch.bytes.end(), entry->payload.begin(), entry->payload.end());
    cost += entry->payload.size() + kEntryCost;
  }
  return batch;
}

Napi::Value ReaderHandle::ToJs(Napi::Env env, const Batch& batch) {
  const Napi::ArrayBuffer bytes = Napi::ArrayBuffer::New(env, batch.bytes.size());
  const Napi::Float64Array entries = Napi::Float64Array::New(env, batch.entries.size());
  Napi::Object object = Napi::Object::New(env);
  if (bytes.IsEmpty() || entries.IsEmpty() || object.IsEmpty()) return Napi::Value();
  std::copy(batch.bytes.begin(), batch.bytes.end(),
            static_cast<uint8_t*>(Napi::ArrayBuffer(bytes).Data()));
  std::copy(batch.entries.begin(), batch.entries.end(), Napi::Float64Array(entries).Data());
  object.Set("bytes", bytes);
  object.Set("entries", entries);
  return object;
}

Napi::Value ReaderHandle::Next(const Napi::CallbackInfo& info) {
  if (reader_ == nullptr || !owner_->open()) {
    return Throw(info.Env(), Status(Code::kClosed, "the log is closed"));
  }
  const auto batch_bytes = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  return owner_->Start<Batch>(
      info.Env(), Value(), [this, batch_bytes] { return ReadBatch(batch_bytes); },
      [](Napi::Env env, Batch& batch) { return ToJs(env, batch); });
}

}  // namespace ringleader::binding
