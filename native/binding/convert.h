// The engine's structures as JavaScript objects, and back.
//
// Everything that comes from JavaScript has been checked by the TypeScript half (lib/options.ts);
// here it is only taken over.
#pragma once

#include <vector>

#include "binding/js.h"
#include "log/log.h"
#include "store/store.h"

namespace ringleader::binding {

LogOptions ReadLogOptions(const Napi::Object& options);
StoreOptions ReadStoreOptions(const Napi::Object& options);
Consumer ReadConsumer(const Napi::Object& consumer);

// LogStat of lib/binding.ts: durations in milliseconds, hold times in microseconds.
Napi::Object ToJs(Napi::Env env, const LogStat& stat);
Napi::Value ToJs(Napi::Env env, const std::vector<Consumer>& consumers);
// EnvironmentStat of lib/binding.ts; durations in milliseconds.
Napi::Object ToJs(Napi::Env env, const StoreStat& stat);
Napi::Object ToJs(Napi::Env env, const Store::Verified& verified);
// [{ name, id, metadata: ArrayBuffer }]
Napi::Value ToJs(Napi::Env env, const std::vector<Database>& databases);
// 32 hexadecimal digits.
Napi::String ToJs(Napi::Env env, const Id128& id);

}  // namespace ringleader::binding
