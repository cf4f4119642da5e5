// An environment's Store as an object of JavaScript: lib/binding.ts describes it from the other
// side. Reads and the writes of open transactions: store_reader.h; commits: store_writer.h; here is
// the rest, most of it jobs.
//
// Handles of one process share one Store (shared_store.h).
// Threads: the environment's JavaScript thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "binding/group_look.h"
#include "binding/js.h"
#include "binding/owner.h"
#include "binding/shared_store.h"
#include "binding/store_reader.h"
#include "binding/store_writer.h"

namespace ringleader::binding {

class StoreHandle : public Napi::ObjectWrap<StoreHandle>, public Owner {
 public:
  static Napi::Function Define(Napi::Env env);
  // Empty where the environment is going away; the store is given back then.
  static Napi::Value Make(Napi::Env env, std::unique_ptr<SharedStore::Use> use);

  explicit StoreHandle(const Napi::CallbackInfo& info);
  // Runs when the object has been collected.
  ~StoreHandle() override;

  Napi::Object Self() override { return Value(); }
  Store& store();

 private:
  class Parts;

  Napi::Value Submit(const Napi::CallbackInfo& info);
  Napi::Value SubmitOne(const Napi::CallbackInfo& info);
  Napi::Value Collect(const Napi::CallbackInfo& info);
  Napi::Value TakeFailure(const Napi::CallbackInfo& info);
  Napi::Value TakeBefore(const Napi::CallbackInfo& info);
  Napi::Value Request(const Napi::CallbackInfo& info);
  Napi::Value RolledBackCall(const Napi::CallbackInfo& info);
  Napi::Value SetBusyCall(const Napi::CallbackInfo& info);
  Napi::Value ReadLog(const Napi::CallbackInfo& info);
  Napi::Value Databases(const Napi::CallbackInfo& info);
  Napi::Value OpenDatabase(const Napi::CallbackInfo& info);
  Napi::Value DropDatabase(const Napi::CallbackInfo& info);
  Napi::Value ClearDatabase(const Napi::CallbackInfo& info);
  Napi::Value FindDatabase(const Napi::CallbackInfo& info);
  Napi::Value CountEstimate(const Napi::CallbackInfo& info);
  Napi::Value CountRows(const Napi::CallbackInfo& info);
  Napi::Value Reserve(const Napi::CallbackInfo& info);
  Napi::Value GiveBack(const Napi::CallbackInfo& info);
  Napi::Value Fold(const Napi::CallbackInfo& info);
  Napi::Value RollBack(const Napi::CallbackInfo& info);
  Napi::Value Backup(const Napi::CallbackInfo& info);
  Napi::Value Verify(const Napi::CallbackInfo& info);
  Napi::Value BulkLoad(const Napi::CallbackInfo& info);
  Napi::Value Replication(const Napi::CallbackInfo& info);
  Napi::Value Stat(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  // Of the group: store_handle_group.cc.
  Napi::Value InGroup(const Napi::CallbackInfo& info);
  Napi::Value DefineLevel(const Napi::CallbackInfo& info);
  Napi::Value WatchGroup(const Napi::CallbackInfo& info);
  Napi::Value TokenOf(const Napi::CallbackInfo& info);
  Napi::Value Judge(const Napi::CallbackInfo& info);
  Napi::Value FactsOf(const Napi::CallbackInfo& info);
  Napi::Value LagMs(const Napi::CallbackInfo& info);
  Napi::Value AskRead(const Napi::CallbackInfo& info);
  Napi::Value ReadAnswer(const Napi::CallbackInfo& info);
  // Made when it is first needed; an error has been thrown where this is null.
  GroupLook* Group(Napi::Env env);

  void Keep() override { Ref(); }
  void LetGo() override { Unref(); }
  void DropOwn() override;
  void LookAtMore() override;
  void FillMore(double* numbers, uint64_t history) override;

  void Open(Napi::Env env, std::unique_ptr<SharedStore::Use> use);
  StoreWriter& writer();
  SharedStore::Use& use();
  Napi::Value StartCount(Napi::Env env, std::function<Result<uint64_t>()> work);

  Napi::ObjectReference memory_;  // keeps what is shared
  std::shared_ptr<StoreReader> reader_;
  std::optional<GroupLook> group_;
  bool group_watched_ = false;  // somebody waits for news of it
};

}  // namespace ringleader::binding
