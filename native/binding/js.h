// What the files of this room share: Node-API itself and the way to a JavaScript error.
//
// Several environments (the main thread, worker threads) load this addon at once: nothing here is
// global, all of it hangs off the environment's instance data.
#pragma once

// A worker thread can be terminated at any moment; from then on every call into JavaScript fails,
// and the failure itself cannot be thrown any more. Without this line that ends the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include "base/status.h"
#include "base/types.h"

namespace ringleader::binding {

// Per environment.
struct AddonData {
  Napi::FunctionReference make_error;  // (code, fate, errno, message) => RingleaderError
  Napi::FunctionReference log_handle;
  Napi::FunctionReference reader_handle;
  Napi::FunctionReference store_handle;
  Napi::FunctionReference bulk_loader;
  Napi::FunctionReference replication_handle;
};

// A RingleaderError. Empty while the environment is being torn down.
Napi::Value MakeError(Napi::Env env, const Status& status);

// Throws it into the calling JavaScript; returns undefined for `return Throw(...)`.
Napi::Value Throw(Napi::Env env, const Status& status);

// Memory that both sides see, as a property of `memory`, which keeps it. Null when the environment
// is going away: an ArrayBuffer is among what cannot be made then, and Napi::ArrayBuffer would end
// the process when it is asked for the data of none.
inline void* ShareMemory(Napi::Env env, Napi::Object memory, const char* name, size_t size) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, size, &data, &buffer) != napi_ok) return nullptr;
  if (napi_set_named_property(env, memory, name, buffer) != napi_ok) return nullptr;
  return data;
}

// Every LSN is at most 2^53 - 1 and exact as a number.
inline Napi::Number ToJs(Napi::Env env, Lsn lsn) {
  return Napi::Number::New(env, static_cast<double>(lsn.value));
}
// The TypeScript half has checked that it is a safe integer from 0 on.
inline Lsn ToLsn(const Napi::Value& value) {
  return Lsn(static_cast<uint64_t>(value.As<Napi::Number>().Int64Value()));
}

}  // namespace ringleader::binding
