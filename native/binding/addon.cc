// The addon's entry: what require('ringleader.node') returns.
//
//   openLog(directory, options) => Promise<LogHandle>
//   openStore(directory, options) => Promise<StoreHandle>
//   restore(backup, archive, target, lsn | undefined, timeUs | undefined)
//     => Promise<{ lsn, commitTimeUs }>; no archive is ''
//   setErrorFactory((code, fate, errno, message) => error)   once, before anything else
//
// Called once per environment, that is, by the main thread and by every worker thread that loads
// the package.
#include <cstdlib>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/mutant.h"
#include "binding/bulk_loader.h"
#include "binding/convert.h"
#include "binding/job.h"
#include "binding/js.h"
#include "binding/log_handle.h"
#include "binding/reader_handle.h"
#include "binding/replication_handle.h"
#include "binding/shared_store.h"
#include "binding/store_handle.h"
#include "env/env.h"
#include "store/restore.h"

namespace ringleader::binding {
namespace {

std::string_view FateName(Fate fate) {
  switch (fate) {
    case Fate::kNone:
      return "none";
    case Fate::kUnknown:
      return "unknown";
    case Fate::kDone:
      return "done";
  }
  return "unknown";
}

Napi::Value SetErrorFactory(const Napi::CallbackInfo& info) {
  auto* data = info.Env().GetInstanceData<AddonData>();
  data->make_error = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Value OpenLog(const Napi::CallbackInfo& info) {
  const std::string directory = info[0].As<Napi::String>().Utf8Value();
  const LogOptions options = ReadLogOptions(info[1].As<Napi::Object>());
  return StartJob<std::unique_ptr<Log>>(
      info.Env(), [directory, options] { return Log::Open(PosixEnv(), directory, options); },
      [](Napi::Env env, std::unique_ptr<Log>& log) {
        return LogHandle::Make(env, std::move(log));
      });
}

Napi::Value OpenStore(const Napi::CallbackInfo& info) {
  const std::string directory = info[0].As<Napi::String>().Utf8Value();
  const StoreOptions options = ReadStoreOptions(info[1].As<Napi::Object>());
  return StartJob<std::unique_ptr<SharedStore::Use>>(
      info.Env(), [directory, options] { return SharedStore::Open(directory, options); },
      [](Napi::Env env, std::unique_ptr<SharedStore::Use>& use) {
        return StoreHandle::Make(env, std::move(use));
      });
}

Napi::Value Restore(const Napi::CallbackInfo& info) {
  const std::string backup = info[0].As<Napi::String>().Utf8Value();
  const std::string archive = info[1].As<Napi::String>().Utf8Value();
  const std::string target = info[2].As<Napi::String>().Utf8Value();
  RestoreLimit limit;
  if (!info[3].IsUndefined()) limit.lsn = ToLsn(info[3]);
  if (!info[4].IsUndefined()) {
    limit.time_us = static_cast<uint64_t>(info[4].As<Napi::Number>().Int64Value());
  }
  return StartJob<Restored>(
      info.Env(),
      [backup, archive, target, limit] {
        return RestoreTo(PosixEnv(), backup, archive, target, limit);
      },
      [](Napi::Env env, Restored& restored) -> Napi::Value {
        Napi::Object made = Napi::Object::New(env);
        made.Set("lsn", ToJs(env, restored.lsn));
        made.Set("commitTimeUs", static_cast<double>(restored.time_us));
        return made;
      });
}

// Where there are planted bugs: RINGLEADER_MUTANT names the one to switch on.
void SelectMutantOfProcess() {
#ifdef RINGLEADER_MUTANTS
  const char* const name = std::getenv("RINGLEADER_MUTANT");
  RL_CHECK(name == nullptr || SelectMutant(name));
#endif
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  SelectMutantOfProcess();
  auto* data = new AddonData;
  env.SetInstanceData<AddonData>(data);
  data->log_handle = Napi::Persistent(LogHandle::Define(env));
  data->reader_handle = Napi::Persistent(ReaderHandle::Define(env));
  data->store_handle = Napi::Persistent(StoreHandle::Define(env));
  data->bulk_loader = Napi::Persistent(BulkLoader::Define(env));
  data->replication_handle = Napi::Persistent(ReplicationHandle::Define(env));
  exports.Set("setErrorFactory", Napi::Function::New(env, SetErrorFactory, "setErrorFactory"));
  exports.Set("openLog", Napi::Function::New(env, OpenLog, "openLog"));
  exports.Set("openStore", Napi::Function::New(env, OpenStore, "openStore"));
  exports.Set("restore", Napi::Function::New(env, Restore, "restore"));
  return exports;
}

}  // namespace

Napi::Value MakeError(Napi::Env env, const Status& status) {
  const auto* data = env.GetInstanceData<AddonData>();
  const Napi::Value error = data->make_error.Call(
      {Napi::String::New(env, std::string(CodeName(status.code()))),
       Napi::String::New(env, std::string(FateName(status.fate()))),
       Napi::Number::New(env, status.sys_errno()), Napi::String::New(env, status.message())});
  return error;
}

Napi::Value Throw(Napi::Env env, const Status& status) {
  const Napi::Value error = MakeError(env, status);
  // The raw call: a failure to throw means that the environment is going away.
  if (!error.IsEmpty()) napi_throw(env, error);
  return env.Undefined();
}

NODE_API_MODULE(ringleader, Init)

}  // namespace ringleader::binding
