#include "binding/log_handle.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/check.h"
#include "binding/convert.h"
#include "binding/reader_handle.h"
#include "env/env.h"

namespace ringleader::binding {
namespace {

constexpr size_t kBatchBytes = size_t{256} << 10;
constexpr size_t kBatchEntries = 4096;
constexpr size_t kWordsPerEntry = 3;
constexpr size_t kNumbersPerResult = 3;
constexpr double kFailedResult = -1;

// `word` as described at the head of log_handle.h.
Submission ToSubmission(Bytes payload, uint32_t term, uint32_t word) {
  Submission submission;
  submission.entry.payload = payload;
  submission.entry.term = Term(term);
  submission.entry.type = static_cast<RecordType>(word & 0xff);
  submission.entry.operations = static_cast<uint16_t>(word >> 16);
  submission.level = static_cast<Level>((word >> 8) & 0xff);
  return submission;
}

// With payloads of their own: those at hand are used again.
std::vector<Submission> CopyOf(std::span<const Submission> submissions) {
  size_t size = 0;
  for (const Submission& submission : submissions) size += submission.entry.payload.size();
  const std::shared_ptr<uint8_t[]> bytes(new uint8_t[size]);
  uint8_t* to = bytes.get();
  std::vector<Submission> copies(submissions.begin(), submissions.end());
  for (Submission& copy : copies) {
    const Bytes payload = copy.entry.payload;
    std::copy(payload.begin(), payload.end(), to);
    copy.entry.payload = {to, payload.size()};
    copy.bytes = bytes;
    to += payload.size();
  }
  return copies;
}

}  // namespace

class LogHandle::Parts : public OwnedParts {
 public:
  explicit Parts(std::unique_ptr<Log> log) : log_(std::move(log)) {}

  // The thread of the log and that of the queue raise the signal.
  void Start() {
    log_->OnProgress([this] { signal->Raise(); });
    queue.emplace(PosixEnv().threads,
                  SubmissionQueue<Submission>::Steps{[this](auto items) { return Run(items); },
                                                     [this](auto& item) { RunOne(item); },
                                                     [this] { signal->Raise(); }});
  }

  Log& log() override { return *log_; }

  Status Close() override {
    queue.reset();
    const Status closed = log_->Close();
    log_.reset();
    return closed;
  }

  std::optional<SubmissionQueue<Submission>> queue;

 private:
  size_t Run(std::span<Submission> items) {
    std::vector<Entry> entries;
    for (const Submission& item : items) entries.push_back(item.entry);
    std::vector<Appended> appended(entries.size());
    const auto run = log_->TryAppend(entries, appended);
    const size_t placed = run.ok() ? run.value() : 0;
    for (size_t i = 0; i < placed; ++i) {
      items[i].appended = appended[i];
      log_->Request(appended[i].end, items[i].level);
    }
    return placed;
  }

  void RunOne(Submission& item) {
    const auto one = log_->Append(item.entry);
    item.status = one.status();
    if (!one.ok()) return;
    item.appended = one.value();
    log_->Request(one.value().end, item.level);
  }

  std::unique_ptr<Log> log_;
};

Napi::Function LogHandle::Define(Napi::Env env) {
  return DefineClass(
      env, "LogHandle",
      {InstanceMethod("submit", &LogHandle::Submit),
       InstanceMethod("submitOne", &LogHandle::SubmitOne),
       InstanceMethod("collect", &LogHandle::Collect),
       InstanceMethod("takeFailure", &LogHandle::TakeFailure),
       InstanceMethod("request", &LogHandle::Request),
       InstanceMethod("rolledBack", &LogHandle::RolledBackCall),
       InstanceMethod("setBusy", &LogHandle::SetBusyCall), InstanceMethod("read", &LogHandle::Read),
       InstanceMethod("verify", &LogHandle::Verify), InstanceMethod("stat", &LogHandle::Stat),
       InstanceMethod("consumers", &LogHandle::Consumers),
       InstanceMethod("putConsumer", &LogHandle::PutConsumer),
       InstanceMethod("advanceConsumer", &LogHandle::AdvanceConsumer),
       InstanceMethod("removeConsumer", &LogHandle::RemoveConsumer),
       InstanceMethod("close", &LogHandle::Close)});
}

Napi::Value LogHandle::Make(Napi::Env env, std::unique_ptr<Log> log) {
  const Napi::Object object = env.GetInstanceData<AddonData>()->log_handle.New({});
  if (object.IsEmpty()) return object;
  Unwrap(object)->Open(env, std::move(log));
  return object;
}

LogHandle::LogHandle(const Napi::CallbackInfo& info) : ObjectWrap(info), Owner("log") {}

LogHandle::~LogHandle() { Abandon(); }

void LogHandle::Open(Napi::Env env, std::unique_ptr<Log> log) {
  auto parts = std::make_unique<Parts>(std::move(log));
  Parts& started = *parts;
  TakeOver(env, std::move(parts), [this] {
    UpdatePositions();
    CallProperty("onProgress");
  });
  started.Start();
  ShareMemory(env);
  const ControlState& identity = this->log().identity();
  Value().Set("environmentId", ToJs(env, identity.environment_id));
  Value().Set("groupId", ToJs(env, identity.group_id));
}

SubmissionQueue<Submission>& LogHandle::queue() { return *static_cast<Parts*>(parts())->queue; }

void LogHandle::ShareMemory(Napi::Env env) {
  Napi::Object memory = Napi::Object::New(env);
  const auto share = [&](const char* name, size_t size) {
    return binding::ShareMemory(env, memory, name, size);
  };
  payload_ = static_cast<uint8_t*>(share("payload", kBatchBytes));
  words_ = static_cast<uint32_t*>(share("entries", kBatchEntries * kWordsPerEntry * 4));
  results_ = static_cast<double*>(share("results", kBatchEntries * kNumbersPerResult * 8));
  SharePositions(env, memory);
  memory_ = Napi::Persistent(memory);
  Value().Set("memory", memory);
}

void LogHandle::PutResult(size_t i, const Appended& appended, Level level) {
  double* result = results_ + kNumbersPerResult * i;
  result[0] = static_cast<double>(appended.lsn.value);
  result[1] = static_cast<double>(appended.end.value);
  result[2] = static_cast<double>(level);
}

// Appends submissions_ as far as there is room, queues the rest, returns how many were appended.
size_t LogHandle::SubmitAll() {
  NoteHistory();
  Log& log = this->log();
  size_t placed = 0;
  if (queue().outstanding() == 0) {
    entries_.clear();
    for (const Submission& submission : submissions_) entries_.push_back(submission.entry);
    appended_.resize(entries_.size());
    const auto run = log.TryAppend(entries_, appended_);
    if (run.ok()) placed = run.value();  // otherwise the queue tells each of them why
  }
  Lsn wanted[3] = {};
  for (size_t i = 0; i < placed; ++i) {
    const Level level = submissions_[i].level;
    PutResult(i, appended_[i], level);
    wanted[static_cast<size_t>(level)] = appended_[i].end;
  }
  for (const Level level : {Level::kWritten, Level::kFlushed}) {
    const Lsn end = wanted[static_cast<size_t>(level)];
    if (end != Lsn()) log.Request(end, level);
  }
  if (placed < submissions_.size()) {
    queue().Push(CopyOf(std::span(submissions_).subspan(placed)));
  }
  UpdatePositions();
  return placed;
}

// submit(count): the batch in the shared memory; returns how many have their results already.
Napi::Value LogHandle::Submit(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const size_t count = std::min<size_t>(info[0].As<Napi::Number>().Uint32Value(), kBatchEntries);
  submissions_.clear();
  const uint8_t* payload = payload_;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t* words = words_ + kWordsPerEntry * i;
    RL_CHECK(payload + words[0] <= payload_ + kBatchBytes);
    submissions_.push_back(ToSubmission({payload, words[0]}, words[1], words[2]));
    payload += words[0];
  }
  return Napi::Number::New(info.Env(), static_cast<double>(SubmitAll()));
}

// submitOne(payload, term, word): one that is too large for the shared memory.
Napi::Value LogHandle::SubmitOne(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto payload = info[0].As<Napi::Uint8Array>();
  submissions_.clear();
  submissions_.push_back(ToSubmission({payload.Data(), payload.ByteLength()},
                                      info[1].As<Napi::Number>().Uint32Value(),
                                      info[2].As<Napi::Number>().Uint32Value()));
  return Napi::Number::New(info.Env(), static_cast<double>(SubmitAll()));
}

// collect(): how many results of queued appends are in the shared memory now, in order; 0 when
// there is none.
Napi::Value LogHandle::Collect(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const std::vector<Submission> taken = queue().Take(kBatchEntries);
  failures_.clear();
  for (size_t i = 0; i < taken.size(); ++i) {
    PutResult(i, taken[i].appended, taken[i].level);
    if (taken[i].status.ok()) continue;
    results_[kNumbersPerResult * i] = kFailedResult;
    failures_.push_back(taken[i].status);
  }
  std::reverse(failures_.begin(), failures_.end());
  return Napi::Number::New(info.Env(), static_cast<double>(taken.size()));
}

// takeFailure(): the error of the next failed result of the last collect().
Napi::Value LogHandle::TakeFailure(const Napi::CallbackInfo& info) {
  if (failures_.empty()) return info.Env().Undefined();
  const Status status = std::move(failures_.back());
  failures_.pop_back();
  return MakeError(info.Env(), status);
}

// request(end, level): has the log taken there; onProgress tells.
Napi::Value LogHandle::Request(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto level = static_cast<Level>(info[1].As<Napi::Number>().Uint32Value());
  log().Request(ToLsn(info[0]), level);
  UpdatePositions();
  return info.Env().Undefined();
}

// rolledBack(end, roll-backs); see Owner.
Napi::Value LogHandle::RolledBackCall(const Napi::CallbackInfo& info) { return RolledBack(info); }

// setBusy(busy): whether somebody waits for progress.
Napi::Value LogHandle::SetBusyCall(const Napi::CallbackInfo& info) {
  SetBusy(info[0].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

// read(from) => ReaderHandle
Napi::Value LogHandle::Read(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return ReaderHandle::Make(info.Env(), *this, ToLsn(info[0]));
}

// verify() => Promise<number of transactions>
Napi::Value LogHandle::Verify(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return Start<uint64_t>(
      info.Env(), Value(), [this] { return log().Verify(); },
      [](Napi::Env env, uint64_t& count) {
        return Napi::Number::New(env, static_cast<double>(count));
      });
}

Napi::Value LogHandle::Stat(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return ToJs(info.Env(), log().Stat());
}

Napi::Value LogHandle::Consumers(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const auto consumers = log().Consumers();
  if (!consumers.ok()) return Throw(info.Env(), consumers.status());
  return ToJs(info.Env(), consumers.value());
}

// putConsumer({ name, position, maxBytes, maxAgeMs }) => Promise<void>
Napi::Value LogHandle::PutConsumer(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartStatus(info.Env(), Value(),
                     [this, consumer = ReadConsumer(info[0].As<Napi::Object>())] {
                       return log().PutConsumer(consumer);
                     });
}

// advanceConsumer(name, position)
Napi::Value LogHandle::AdvanceConsumer(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  const Status advanced =
      log().AdvanceConsumer(info[0].As<Napi::String>().Utf8Value(), ToLsn(info[1]));
  return advanced.ok() ? info.Env().Undefined() : Throw(info.Env(), advanced);
}

// removeConsumer(name) => Promise<void>
Napi::Value LogHandle::RemoveConsumer(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return StartStatus(info.Env(), Value(), [this, name = info[0].As<Napi::String>().Utf8Value()] {
    return log().RemoveConsumer(name);
  });
}

// close() => Promise<void>; everything queued has been collected.
Napi::Value LogHandle::Close(const Napi::CallbackInfo& info) { return StartClose(info.Env()); }

}  // namespace ringleader::binding
