// An environment's part in its group as an object of JavaScript: lib/binding.ts describes it from
// the other side.
//
// The pump of the member never enters JavaScript. What it has for the application (messages to
// send, what received ones have come to, notices) waits in queues; one signal wakes the JavaScript
// thread, which takes all there is: results of messages through shared memory, messages to send a
// batch at a time.
//
//   open(contact) => Promise<void>   the member and its threads
//   lead, follow, callElection, sync, setLimit   commands; their outcome comes as events
//   receive(control, record, from, ticket), receiveMany(bytes, from, ticket)   throw what is
//   refused takeReports() => n             n rows in memory.reports, see kReportWords takeEvents()
//   => [...]          in their order takeBatch(table) => { to, bytes, count, lsn, flags, frames } |
//   undefined sendFailed(lsn)                records up to there could not be sent stat(),
//   setBusy(busy), close() => Promise<void>
//
// Lifetime: from open to close the object is kept from being collected, and with it the
// environment: a member does not cease because a variable has gone out of scope. It does not keep
// the event loop alive. An environment that is closed, or whose thread ends, stops it.
// Threads: the environment's JavaScript thread.
#pragma once

#include <memory>

#include "binding/js.h"
#include "binding/owner.h"
#include "binding/progress_signal.h"
#include "store/store.h"

namespace ringleader::binding {

class ReplicationHandle : public Napi::ObjectWrap<ReplicationHandle>, public Dependent {
 public:
  static Napi::Function Define(Napi::Env env);
  // Empty where the environment is going away. `options`: as lib/replication-options.ts has checked
  // them.
  static Napi::Value Make(Napi::Env env, Owner& owner, Store& store, const std::string& directory,
                          Napi::Object options);

  explicit ReplicationHandle(const Napi::CallbackInfo& info);
  // Runs when the object has been collected.
  ~ReplicationHandle() override;

  void Drop() override;

 private:
  struct Session;
  enum class State : uint8_t { kNew, kOpening, kOpen, kClosing, kClosed };

  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Lead(const Napi::CallbackInfo& info);
  Napi::Value Follow(const Napi::CallbackInfo& info);
  Napi::Value CallElectionNow(const Napi::CallbackInfo& info);
  Napi::Value Sync(const Napi::CallbackInfo& info);
  Napi::Value SetLimitNow(const Napi::CallbackInfo& info);
  Napi::Value Receive(const Napi::CallbackInfo& info);
  Napi::Value ReceiveMany(const Napi::CallbackInfo& info);
  Napi::Value TakeReports(const Napi::CallbackInfo& info);
  Napi::Value TakeEvents(const Napi::CallbackInfo& info);
  Napi::Value TakeBatch(const Napi::CallbackInfo& info);
  Napi::Value SendFailed(const Napi::CallbackInfo& info);
  Napi::Value Stat(const Napi::CallbackInfo& info);
  Napi::Value SetBusy(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  Napi::Value Command(Napi::Env env, std::function<void(Session&)> command);
  Status NotOpen() const;
  void Progress();
  void Stop();
  void LetGo();
  static void OnEnvironmentEnd(void* self);

  napi_env env_ = nullptr;
  Owner* owner_ = nullptr;  // null when it is being closed
  Napi::ObjectReference owner_object_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<ProgressSignal> signal_;
  double* reports_ = nullptr;
  State state_ = State::kNew;
  bool kept_ = false;
};

}  // namespace ringleader::binding
