#include "binding/store_handle.h"

#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "binding/bulk_loader.h"
#include "binding/convert.h"
#include "binding/reader_handle.h"
#include "binding/replication_handle.h"
#include "env/env.h"
#include "store/merge_cursor.h"

namespace ringleader::binding {
namespace {

constexpr double kNsPerMs = 1e6;

Napi::Value Number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

Napi::Value CopyOut(Napi::Env env, const std::vector<uint8_t>& bytes) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, bytes.size());
  if (!buffer.IsEmpty())
    std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(buffer.Data()));
  return buffer;
}

std::vector<uint8_t> CopyIn(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  return std::vector<uint8_t>(bytes.Data(), bytes.Data() + bytes.ByteLength());
}

std::string Text(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

// Milliseconds; none given: forever.
uint64_t Timeout(const Napi::Value& value) {
  if (!value.IsNumber()) return kForeverNs;
  return static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue() * kNsPerMs);
}

// What has been committed to the catalogue survives power loss when the job ends.
Status FlushAll(Log& log) { return log.WaitFor(log.End(Level::kMemory), Level::kFlushed); }

Result<uint64_t> CountRange(Store& store, const std::vector<uint8_t>& low,
                            const std::vector<uint8_t>& high) {
  const std::unique_ptr<View> view = store.NewView();
  RL_RETURN_IF_ERROR(view->Renew());
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<MergeCursor> cursor, MergeCursor::Open(*view, nullptr));
  RL_RETURN_IF_ERROR(cursor->SeekAtLeast(low));
  uint64_t rows = 0;
  while (cursor->valid() && CompareRowKeys(cursor->row_key(), high) < 0) {
    ++rows;
    RL_RETURN_IF_ERROR(cursor->Next());
  }
  return rows;
}

}  // namespace

class StoreHandle::Parts : public OwnedParts {
 public:
  explicit Parts(std::unique_ptr<SharedStore::Use> use) : use_(std::move(use)) {}

  void Start(StoreReader& reader) {
    use_->Listen(signal.get());
    writer.emplace(use_->store(), reader, signal.get());
  }

  Store& store() { return use_->store(); }
  Log& log() override { return store().log(); }
  SharedStore::Use& use() { return *use_; }

  Status Close() override {
    if (writer) writer->Close();
    return use_->Close();
  }

  std::optional<StoreWriter> writer;

 private:
  std::unique_ptr<SharedStore::Use> use_;
};

Napi::Function StoreHandle::Define(Napi::Env env) {
  return DefineClass(env, "StoreHandle",
                     {InstanceMethod("submit", &StoreHandle::Submit),
                      InstanceMethod("submitOne", &StoreHandle::SubmitOne),
                      InstanceMethod("collect", &StoreHandle::Collect),
                      InstanceMethod("takeFailure", &StoreHandle::TakeFailure),
                      InstanceMethod("takeBefore", &StoreHandle::TakeBefore),
                      InstanceMethod("request", &StoreHandle::Request),
                      InstanceMethod("rolledBack", &StoreHandle::RolledBackCall),
                      InstanceMethod("setBusy", &StoreHandle::SetBusyCall),
                      InstanceMethod("readLog", &StoreHandle::ReadLog),
                      InstanceMethod("databases", &StoreHandle::Databases),
                      InstanceMethod("openDatabase", &StoreHandle::OpenDatabase),
                      InstanceMethod("dropDatabase", &StoreHandle::DropDatabase),
                      InstanceMethod("clearDatabase", &StoreHandle::ClearDatabase),
                      InstanceMethod("findDatabase", &StoreHandle::FindDatabase),
                      InstanceMethod("countEstimate", &StoreHandle::CountEstimate),
                      InstanceMethod("countRows", &StoreHandle::CountRows),
                      InstanceMethod("reserve", &StoreHandle::Reserve),
                      InstanceMethod("giveBack", &StoreHandle::GiveBack),
                      InstanceMethod("fold", &StoreHandle::Fold),
                      InstanceMethod("rollBack", &StoreHandle::RollBack),
                      InstanceMethod("backup", &StoreHandle::Backup),
                      InstanceMethod("verify", &StoreHandle::Verify),
                      InstanceMethod("bulkLoad", &StoreHandle::BulkLoad),
                      InstanceMethod("replication", &StoreHandle::Replication),
                      InstanceMethod("stat", &StoreHandle::Stat),
                      InstanceMethod("close", &StoreHandle::Close),
                      InstanceMethod("inGroup", &StoreHandle::InGroup),
                      InstanceMethod("defineLevel", &StoreHandle::DefineLevel),
                      InstanceMethod("watchGroup", &StoreHandle::WatchGroup),
                      InstanceMethod("tokenOf", &StoreHandle::TokenOf),
                      InstanceMethod("judge", &StoreHandle::Judge),
                      InstanceMethod("factsOf", &StoreHandle::FactsOf),
                      InstanceMethod("lagMs", &StoreHandle::LagMs),
                      InstanceMethod("askRead", &StoreHandle::AskRead),
                      InstanceMethod("readAnswer", &StoreHandle::ReadAnswer)});
}

Napi::Value StoreHandle::Make(Napi::Env env, std::unique_ptr<SharedStore::Use> use) {
  const Napi::Object object = env.GetInstanceData<AddonData>()->store_handle.New({});
  if (object.IsEmpty()) return object;
  Unwrap(object)->Open(env, std::move(use));
  return object;
}

StoreHandle::StoreHandle(const Napi::CallbackInfo& info) : ObjectWrap(info), Owner("environment") {}

StoreHandle::~StoreHandle() { Abandon(); }

void StoreHandle::Open(Napi::Env env, std::unique_ptr<SharedStore::Use> use) {
  auto parts = std::make_unique<Parts>(std::move(use));
  Parts& started = *parts;
  TakeOver(env, std::move(parts), [this] {
    UpdatePositions();
    CallProperty("onProgress");
  });
  reader_ = std::make_shared<StoreReader>(started.store());
  started.Start(*reader_);
  Napi::Object calls = Napi::Object::New(env);
  Napi::Object memory = Napi::Object::New(env);
  SharePositions(env, memory, GroupLook::kNumbers);
  reader_->Define(env, calls, memory);
  started.writer->Define(env, memory);
  memory_ = Napi::Persistent(memory);
  Value().Set("memory", memory);
  Value().Set("reads", calls);
  const ControlState& identity = log().identity();
  Value().Set("environmentId", ToJs(env, identity.environment_id));
  Value().Set("groupId", ToJs(env, identity.group_id));
}

Store& StoreHandle::store() { return static_cast<Parts*>(parts())->store(); }
StoreWriter& StoreHandle::writer() { return *static_cast<Parts*>(parts())->writer; }

SharedStore::Use& StoreHandle::use() { return static_cast<Parts*>(parts())->use(); }

// Views and transactions must be gone before the store is; what looks at the log's memory, too.
void StoreHandle::DropOwn() {
  reader_->Drop();
  group_.reset();
}

// --- commits -------------------------------------------------------------------------------------

// submit(count): the batch in the shared memory; see StoreWriter.
Napi::Value StoreHandle::Submit(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  NoteHistory();
  const int32_t done = writer().Submit(info[0].As<Napi::Number>().Uint32Value());
  UpdatePositions();
  return Number(info.Env(), done);
}

// submitOne(bytes, kind | level << 8, promises)
Napi::Value StoreHandle::SubmitOne(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto bytes = info[0].As<Napi::Uint8Array>();
  NoteHistory();
  const int32_t done = writer().SubmitOne({bytes.Data(), bytes.ByteLength()},
                                          info[1].As<Napi::Number>().Uint32Value(),
                                          info[2].As<Napi::Number>().Uint32Value());
  UpdatePositions();
  return Number(info.Env(), done);
}

Napi::Value StoreHandle::Collect(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return Number(info.Env(), static_cast<double>(writer().Collect()));
}

Napi::Value StoreHandle::TakeFailure(const Napi::CallbackInfo& info) {
  if (!open()) return MakeError(info.Env(), ClosedStatus());
  const std::optional<Status> failure = writer().TakeFailure();
  return failure ? MakeError(info.Env(), *failure) : info.Env().Undefined();
}

Napi::Value StoreHandle::TakeBefore(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto before = writer().TakeBefore();
  return before ? CopyOut(info.Env(), *before) : info.Env().Undefined();
}

// request(end, level): has the log taken there; onProgress tells.
Napi::Value StoreHandle::Request(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  log().Request(ToLsn(info[0]), static_cast<Level>(info[1].As<Napi::Number>().Uint32Value()));
  UpdatePositions();
  return info.Env().Undefined();
}

// rolledBack(end, roll-backs); see Owner.
Napi::Value StoreHandle::RolledBackCall(const Napi::CallbackInfo& info) { return RolledBack(info); }

// setBusy(busy): whether somebody waits for progress.
Napi::Value StoreHandle::SetBusyCall(const Napi::CallbackInfo& info) {
  SetBusy(info[0].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

// readLog(from) => ReaderHandle
Napi::Value StoreHandle::ReadLog(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return ReaderHandle::Make(info.Env(), *this, ToLsn(info[0]));
}

// --- databases -----------------------------------------------------------------------------------

// databases() => { state, list: [{ name, id, metadata }] }
Napi::Value StoreHandle::Databases(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto databases = reader_->RefreshDatabases();
  if (!databases.ok()) return Throw(info.Env(), databases.status());
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("state", static_cast<double>(reader_->catalogue()));
  result.Set("list", ToJs(info.Env(), databases.value()));
  return result;
}

// openDatabase(name, metadata, create)
Napi::Value StoreHandle::OpenDatabase(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto opened =
      store().OpenDatabase(Text(info[0]), CopyIn(info[1]), info[2].As<Napi::Boolean>().Value());
  if (!opened.ok()) return Throw(info.Env(), opened.status());
  return info.Env().Undefined();
}

// dropDatabase(name) => Promise<void>; durable
Napi::Value StoreHandle::DropDatabase(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartStatus(info.Env(), Value(), [this, name = Text(info[0])]() -> Status {
    RL_RETURN_IF_ERROR(store().DropDatabase(name));
    return FlushAll(log());
  });
}

// clearDatabase(name) => Promise<void>; durable
Napi::Value StoreHandle::ClearDatabase(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartStatus(info.Env(), Value(), [this, name = Text(info[0])]() -> Status {
    const auto cleared = store().ClearDatabase(name);
    if (!cleared.ok()) return cleared.status();
    return FlushAll(log());
  });
}

// findDatabase(slot, name): its id in the view of a slot; 0 where there was none
Napi::Value StoreHandle::FindDatabase(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto found = reader_->FindIn(info[0].As<Napi::Number>().Uint32Value(), Text(info[1]));
  if (!found.ok()) return Throw(info.Env(), found.status());
  return Number(info.Env(), found.value() ? found.value()->id : 0);
}

Napi::Value StoreHandle::StartCount(Napi::Env env, std::function<Result<uint64_t>()> work) {
  return Start<uint64_t>(env, Value(), std::move(work), [](Napi::Env env, uint64_t& count) {
    return Number(env, static_cast<double>(count));
  });
}

// countEstimate(id) => Promise<number>
Napi::Value StoreHandle::CountEstimate(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartCount(info.Env(), [this, id = info[0].As<Napi::Number>().Uint32Value()] {
    return store().EstimateRows(id);
  });
}

// countRows(low, high) => Promise<number>: rows with row keys in [low, high)
Napi::Value StoreHandle::CountRows(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartCount(info.Env(), [this, low = CopyIn(info[0]), high = CopyIn(info[1])] {
    return CountRange(store(), low, high);
  });
}

// --- the whole -----------------------------------------------------------------------------------

// reserve(timeoutMs) => Promise<ticket>
Napi::Value StoreHandle::Reserve(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartCount(info.Env(),
                    [this, timeout = Timeout(info[0])] { return store().Reserve(timeout); });
}

Napi::Value StoreHandle::GiveBack(const Napi::CallbackInfo& info) {
  // A closed store has given back everything.
  if (open()) store().GiveBack(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  return info.Env().Undefined();
}

// fold() => Promise<void>
Napi::Value StoreHandle::Fold(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartStatus(info.Env(), Value(), [this] { return store().Fold(); });
}

// rollBack(lsn) => Promise<void>
Napi::Value StoreHandle::RollBack(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartStatus(info.Env(), Value(),
                     [this, to = ToLsn(info[0])] { return store().RollBack(to); });
}

// backup(directory) => Promise<lsn>
Napi::Value StoreHandle::Backup(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartCount(info.Env(), [this, directory = Text(info[0])]() -> Result<uint64_t> {
    RL_ASSIGN_OR_RETURN(const Lsn lsn, store().Backup(directory));
    return lsn.value;
  });
}

// verify() => Promise<{ rows, records, databases }>
Napi::Value StoreHandle::Verify(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return Start<Store::Verified>(
      info.Env(), Value(), [this] { return store().Verify(); },
      [](Napi::Env env, Store::Verified& verified) { return ToJs(env, verified); });
}

// bulkLoad(name) => BulkLoader
Napi::Value StoreHandle::BulkLoad(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return BulkLoader::Make(info.Env(), *this, store(), Text(info[0]));
}

// replication(directory, options) => ReplicationHandle; nothing runs yet
Napi::Value StoreHandle::Replication(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return ReplicationHandle::Make(info.Env(), *this, store(), Text(info[0]),
                                 info[1].As<Napi::Object>());
}

Napi::Value StoreHandle::Stat(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return ToJs(info.Env(), store().Stat());
}

// close() => Promise<void>; everything queued has been collected.
Napi::Value StoreHandle::Close(const Napi::CallbackInfo& info) { return StartClose(info.Env()); }

}  // namespace ringleader::binding
