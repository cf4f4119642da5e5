#include "binding/replication_handle.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "binding/replication_stat.h"
#include "engine/disk_identity.h"
#include "engine/outbox.h"
#include "engine/replication.h"
#include "env/env.h"

namespace ringleader::binding {
namespace {

constexpr double kNsPerMs = 1e6;
// ticket, result, lsn, member, processed, permanent, not permanent, ignored, refused
constexpr size_t kReportWords = 9;
constexpr size_t kReportRows = 512;
// control bytes, payload bytes, lsn, flags
constexpr size_t kFrameWords = 4;

double ToNumber(MemberId member) {
  return member == kNobody ? -1 : static_cast<double>(member.value);
}

double Number(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Number>().DoubleValue();
}
Nanos Milliseconds(const Napi::Object& object, const char* name) {
  return static_cast<Nanos>(Number(object, name) * kNsPerMs);
}
bool Flag(const Napi::Object& object, const char* name) {
  return object.Get(name).ToBoolean().Value();
}
Bytes BytesOf(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.ByteLength()};
}
MemberId MemberOf(const Napi::Value& value) {
  return MemberId(value.As<Napi::Number>().Uint32Value());
}

CoreOptions ReadOptions(const Napi::Object& options) {
  CoreOptions core;
  core.base_api = true;
  core.self = MemberOf(options.Get("memberId"));
  core.kind = Flag(options, "view") ? MemberKind::kView : MemberKind::kVoter;
  core.priority = static_cast<uint32_t>(Number(options, "priority"));
  core.voters = static_cast<uint32_t>(Number(options, "members"));
  core.delayed_sync = Flag(options, "delayedSync");
  core.automatic_snapshot = Flag(options, "automaticSnapshot");
  core.peer_to_peer = Flag(options, "peerToPeer");
  core.election_timeout = Milliseconds(options, "electionTimeoutMs");
  core.heartbeat_interval = Milliseconds(options, "heartbeatIntervalMs");
  core.canvass_wait = std::min(core.canvass_wait, core.election_timeout / 4);
  core.full_election_wait = Milliseconds(options, "fullElectionTimeoutMs");
  core.request_wait_min = Milliseconds(options, "requestWaitMinMs");
  core.request_wait_max = Milliseconds(options, "requestWaitMaxMs");
  core.request_bytes = static_cast<uint64_t>(Number(options, "limitBytes"));
  const std::string disk = options.Get("disk").As<Napi::String>().Utf8Value();
  if (!disk.empty()) core.disk = DiskIdentityOf(disk);
  return core;
}

const char* NameOfRole(Role role) {
  if (role == Role::kPrimary) return "primary";
  return role == Role::kCandidate ? "candidate" : "replica";
}

// Null: nothing that the base API tells.
const char* NameOfNotice(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::kRole:
      return "role";
    case NoticeKind::kElected:
      return "elected";
    case NoticeKind::kNewPrimary:
      return "newPrimary";
    case NoticeKind::kElectionFailed:
      return "electionFailed";
    case NoticeKind::kHoldElection:
      return "holdElection";
    case NoticeKind::kDuplicatePrimary:
      return "duplicatePrimary";
    case NoticeKind::kNewMember:
      return "newMember";
    case NoticeKind::kStartupDone:
      return "startupDone";
    case NoticeKind::kJoinFailure:
      return "joinFailure";
    case NoticeKind::kSnapshotDone:
      return "snapshotDone";
    case NoticeKind::kRolledBack:
      return "rolledBack";
    case NoticeKind::kHalted:
      return "halted";
    case NoticeKind::kChangeRefused:
      return "refused";
    default:
      return nullptr;
  }
}

struct GroupEvent {
  const char* kind = "";
  Role role = Role::kReplica;
  MemberId member;
  Lsn lsn;
  std::string reason;
  std::vector<uint8_t> contact;
  std::optional<Status> failure;
  uint64_t ticket = 0;  // of an arrival
};

Napi::Value ToJs(Napi::Env env, const GroupEvent& event) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", event.kind);
  object.Set("role", NameOfRole(event.role));
  object.Set("member", ToNumber(event.member));
  object.Set("lsn", binding::ToJs(env, event.lsn));
  object.Set("reason", event.reason);
  object.Set("ticket", static_cast<double>(event.ticket));
  void* contact = ShareMemory(env, object, "contact", event.contact.size());
  if (contact != nullptr) {
    std::copy(event.contact.begin(), event.contact.end(), static_cast<uint8_t*>(contact));
  }
  if (event.failure) object.Set("failure", MakeError(env, *event.failure));
  return object;
}

}  // namespace

// What the pump and the JavaScript thread share.
struct ReplicationHandle::Session : public GroupListener {
  Session() : outbox([this] { signal->Raise(); }) {}

  void OnNotice(const Notice& notice) override {
    const char* const kind = NameOfNotice(notice.kind);
    if (kind == nullptr) return;
    GroupEvent event;
    event.kind = kind;
    event.role = notice.role;
    event.member = notice.member;
    event.lsn = notice.position.lsn;
    event.reason = notice.reason;
    event.contact = notice.contact;
    Tell(std::move(event), notice.kind == NoticeKind::kElected ? notice.term : Ballot());
  }
  void OnRead(const ReadReady&) override {}
  void OnProgress() override { signal->Raise(); }
  void OnFailure(const Status& status) override {
    GroupEvent event;
    event.kind = "failed";
    event.failure = status;
    Tell(std::move(event), {});
  }
  void OnPermanentFailed(Lsn lsn) override {
    GroupEvent event;
    event.kind = "permanentFailed";
    event.lsn = lsn;
    Tell(std::move(event), {});
  }
  void OnArrival(const ArrivalReport& report) override {
    if (report.result == MessageResult::kNewMember && !report.many) {
      GroupEvent event;
      event.kind = "arrival";
      event.ticket = report.ticket;
      event.member = report.member;
      event.contact = report.contact;
      return Tell(std::move(event), {});
    }
    {
      const std::lock_guard<std::mutex> lock(mutex);
      reports.push_back(report);
    }
    signal->Raise();
  }

  void Tell(GroupEvent event, Ballot ballot) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!ballot.none()) won = ballot;
      events.push_back(std::move(event));
    }
    signal->Raise();
  }

  CoreOptions options;
  SnapshotOptions snapshots;
  AckLevel level = AckLevel::kFlushed;
  std::string directory;
  Store* store = nullptr;
  ProgressSignal* signal = nullptr;  // the handle's; outlives the member
  Outbox outbox;
  std::mutex mutex;  // guards what follows
  std::deque<ArrivalReport> reports;
  std::vector<GroupEvent> events;
  Ballot won;  // of the latest election that this member has won

  std::unique_ptr<Replication> replication;
};

Napi::Function ReplicationHandle::Define(Napi::Env env) {
  using Handle = ReplicationHandle;
  return DefineClass(
      env, "ReplicationHandle",
      {InstanceMethod("open", &Handle::Open), InstanceMethod("lead", &Handle::Lead),
       InstanceMethod("follow", &Handle::Follow),
       InstanceMethod("callElection", &Handle::CallElectionNow),
       InstanceMethod("sync", &Handle::Sync), InstanceMethod("setLimit", &Handle::SetLimitNow),
       InstanceMethod("receive", &Handle::Receive),
       InstanceMethod("receiveMany", &Handle::ReceiveMany),
       InstanceMethod("takeReports", &Handle::TakeReports),
       InstanceMethod("takeEvents", &Handle::TakeEvents),
       InstanceMethod("takeBatch", &Handle::TakeBatch),
       InstanceMethod("sendFailed", &Handle::SendFailed), InstanceMethod("stat", &Handle::Stat),
       InstanceMethod("setBusy", &Handle::SetBusy), InstanceMethod("close", &Handle::Close)});
}

Napi::Value ReplicationHandle::Make(Napi::Env env, Owner& owner, Store& store,
                                    const std::string& directory, Napi::Object options) {
  const Napi::Object object = env.GetInstanceData<AddonData>()->replication_handle.New({});
  if (object.IsEmpty()) return object;
  ReplicationHandle* handle = Unwrap(object);
  Napi::Object memory = Napi::Object::New(env);
  handle->reports_ = static_cast<double*>(
      ShareMemory(env, memory, "reports", kReportRows * kReportWords * sizeof(double)));
  if (handle->reports_ == nullptr) return env.Undefined();
  object.Set("memory", memory);
  auto session = std::make_unique<Session>();
  session->options = ReadOptions(options);
  session->level = static_cast<AckLevel>(options.Get("ackLevel").As<Napi::Number>().Uint32Value());
  session->snapshots.bytes_per_second =
      static_cast<uint64_t>(Number(options, "snapshotBytesPerSecond"));
  session->directory = directory;
  session->store = &store;
  handle->session_ = std::move(session);
  handle->owner_ = &owner;
  handle->owner_object_ = Napi::Persistent(owner.Self());
  owner.Enlist(handle);
  return object;
}

ReplicationHandle::ReplicationHandle(const Napi::CallbackInfo& info)
    : ObjectWrap(info), env_(info.Env()) {}

ReplicationHandle::~ReplicationHandle() {
  if (owner_ != nullptr) owner_->Delist(this);
  Stop();
}

// The environment is being closed, and nobody has closed this before.
void ReplicationHandle::Drop() {
  owner_ = nullptr;
  owner_object_.Reset();
  Stop();
  LetGo();
}

// Waits for what the threads are at. What the pump has still to say is not listened to.
void ReplicationHandle::Stop() {
  state_ = State::kClosed;
  if (signal_ != nullptr) {
    signal_->Mute();
    napi_remove_env_cleanup_hook(env_, OnEnvironmentEnd, this);
  }
  session_.reset();
  signal_.reset();
}

void ReplicationHandle::LetGo() {
  if (std::exchange(kept_, false)) Unref();
}

// Before the hook of the signal, which was added earlier. Node has waited for all jobs.
void ReplicationHandle::OnEnvironmentEnd(void* self) {
  static_cast<ReplicationHandle*>(self)->Stop();
}

Status ReplicationHandle::NotOpen() const {
  if (state_ == State::kNew || state_ == State::kOpening) {
    return Status(Code::kBusy, "replication has not been started");
  }
  return Status(Code::kClosed, "replication is closed");
}

void ReplicationHandle::Progress() {
  const Napi::Object self = Value();
  if (self.IsEmpty()) return;
  const Napi::Value callback = self.Get("onProgress");
  if (callback.IsEmpty() || !callback.IsFunction()) return;
  // The raw call: an exception stays pending and becomes an uncaught one of the process.
  napi_call_function(env_, self, callback, 0, nullptr, nullptr);
}

// open(contact) => Promise<void>
Napi::Value ReplicationHandle::Open(const Napi::CallbackInfo& info) {
  if (state_ != State::kNew || owner_ == nullptr) return Throw(info.Env(), NotOpen());
  state_ = State::kOpening;
  signal_ = std::make_unique<ProgressSignal>(info.Env(), [this](Napi::Env) { Progress(); });
  napi_add_env_cleanup_hook(info.Env(), OnEnvironmentEnd, this);
  session_->signal = signal_.get();
  if (info[0].IsTypedArray()) {
    const Bytes contact = BytesOf(info[0]);
    session_->options.contact.assign(contact.begin(), contact.end());
  }
  Session* const session = session_.get();
  return owner_->Start<Nothing>(
      info.Env(), Value(),
      [session]() -> Result<Nothing> {
        RL_ASSIGN_OR_RETURN(
            session->replication,
            Replication::Open(PosixEnv(), session->directory, *session->store, session->options,
                              &session->outbox, session, session->snapshots, session->level));
        return Nothing();
      },
      [](Napi::Env env, Nothing&) { return env.Undefined(); });
}

// A command of what has been opened; `open` has resolved before anything else is called.
Napi::Value ReplicationHandle::Command(Napi::Env env, std::function<void(Session&)> command) {
  if (state_ == State::kOpening && session_->replication != nullptr) {
    state_ = State::kOpen;
    Ref();
    kept_ = true;
  }
  if (state_ != State::kOpen) return Throw(env, NotOpen());
  command(*session_);
  return env.Undefined();
}

// lead(elected): after the election that has been won, or appointed
Napi::Value ReplicationHandle::Lead(const Napi::CallbackInfo& info) {
  const bool elected = info[0].ToBoolean().Value();
  return Command(info.Env(), [elected](Session& session) {
    LeadNow lead;
    if (elected) {
      const std::lock_guard<std::mutex> lock(session.mutex);
      lead.won = session.won;
    }
    session.replication->Do(lead);
  });
}

// follow(contact)
Napi::Value ReplicationHandle::Follow(const Napi::CallbackInfo& info) {
  FollowNow follow;
  if (info[0].IsTypedArray()) {
    const Bytes contact = BytesOf(info[0]);
    follow.contact.emplace(contact.begin(), contact.end());
  }
  return Command(info.Env(), [&](Session& session) { session.replication->Do(follow); });
}

// callElection(members, votes, priority, timeoutMs); 0 and, for the priority, -1: as known
Napi::Value ReplicationHandle::CallElectionNow(const Napi::CallbackInfo& info) {
  CallElection call;
  call.voters = info[0].As<Napi::Number>().Uint32Value();
  call.votes = info[1].As<Napi::Number>().Uint32Value();
  const double priority = info[2].As<Napi::Number>().DoubleValue();
  if (priority >= 0) call.priority = static_cast<uint32_t>(priority);
  call.timeout = static_cast<Nanos>(info[3].As<Napi::Number>().DoubleValue() * kNsPerMs);
  return Command(info.Env(), [&](Session& session) { session.replication->Do(call); });
}

Napi::Value ReplicationHandle::Sync(const Napi::CallbackInfo& info) {
  return Command(info.Env(), [](Session& session) { session.replication->Do(SyncNow{}); });
}

// setLimit(bytes)
Napi::Value ReplicationHandle::SetLimitNow(const Napi::CallbackInfo& info) {
  const SetLimit limit{static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value())};
  return Command(info.Env(), [&](Session& session) { session.replication->Do(limit); });
}

// receive(control, record, from, ticket)
Napi::Value ReplicationHandle::Receive(const Napi::CallbackInfo& info) {
  if (state_ != State::kOpen) return Throw(info.Env(), NotOpen());
  const auto ticket = static_cast<uint64_t>(info[3].As<Napi::Number>().Int64Value());
  const Status taken =
      session_->replication->Receive(BytesOf(info[0]), BytesOf(info[1]), MemberOf(info[2]), ticket);
  return taken.ok() ? info.Env().Undefined() : Throw(info.Env(), taken);
}

// receiveMany(bytes, from, ticket)
Napi::Value ReplicationHandle::ReceiveMany(const Napi::CallbackInfo& info) {
  if (state_ != State::kOpen) return Throw(info.Env(), NotOpen());
  const auto ticket = static_cast<uint64_t>(info[2].As<Napi::Number>().Int64Value());
  const Status taken =
      session_->replication->ReceiveMany(BytesOf(info[0]), MemberOf(info[1]), ticket);
  return taken.ok() ? info.Env().Undefined() : Throw(info.Env(), taken);
}

Napi::Value ReplicationHandle::TakeReports(const Napi::CallbackInfo& info) {
  uint32_t count = 0;
  if (state_ == State::kOpen) {
    const std::lock_guard<std::mutex> lock(session_->mutex);
    for (double* row = reports_; count < kReportRows && !session_->reports.empty(); ++count) {
      const ArrivalReport& report = session_->reports.front();
      *row++ = static_cast<double>(report.ticket);
      *row++ = static_cast<double>(report.result);
      *row++ = static_cast<double>(report.lsn.value);
      *row++ = ToNumber(report.member);
      *row++ = report.processed;
      *row++ = report.permanent;
      *row++ = report.not_permanent;
      *row++ = report.ignored;
      *row++ = report.refused;
      session_->reports.pop_front();
    }
  }
  return Napi::Number::New(info.Env(), count);
}

Napi::Value ReplicationHandle::TakeEvents(const Napi::CallbackInfo& info) {
  std::vector<GroupEvent> events;
  if (session_ != nullptr) {
    const std::lock_guard<std::mutex> lock(session_->mutex);
    events.swap(session_->events);
  }
  Napi::Array list = Napi::Array::New(info.Env(), events.size());
  for (uint32_t i = 0; i < events.size(); ++i) list[i] = ToJs(info.Env(), events[i]);
  return list;
}

// takeBatch(table): `frames`, with the sizes of each frame, is asked for by `table`
Napi::Value ReplicationHandle::TakeBatch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (session_ == nullptr) return env.Undefined();
  const std::optional<OutgoingBatch> batch = session_->outbox.Take();
  if (!batch) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  void* bytes = ShareMemory(env, object, "bytes", batch->bytes.size());
  if (bytes == nullptr) return env.Undefined();
  std::copy(batch->bytes.begin(), batch->bytes.end(), static_cast<uint8_t*>(bytes));
  object.Set("to", ToNumber(batch->to));
  object.Set("count", static_cast<double>(batch->frames.size()));
  object.Set("lsn", ToJs(env, batch->lsn));
  object.Set("flags", static_cast<double>(batch->flags));
  if (!info[0].ToBoolean().Value()) return object;
  const size_t size = batch->frames.size() * kFrameWords * sizeof(double);
  auto* row = static_cast<double*>(ShareMemory(env, object, "frames", size));
  if (row == nullptr) return env.Undefined();
  for (const OutgoingFrame& frame : batch->frames) {
    *row++ = frame.control_bytes;
    *row++ = frame.payload_bytes;
    *row++ = static_cast<double>(frame.lsn.value);
    *row++ = frame.flags;
  }
  return object;
}

// sendFailed(lsn)
Napi::Value ReplicationHandle::SendFailed(const Napi::CallbackInfo& info) {
  // What a transport reports behind the end is of no interest.
  if (state_ == State::kOpen) session_->replication->SendFailed(ToLsn(info[0]));
  return info.Env().Undefined();
}

Napi::Value ReplicationHandle::Stat(const Napi::CallbackInfo& info) {
  if (state_ != State::kOpen) return Throw(info.Env(), NotOpen());
  return ToJs(info.Env(), session_->replication->Look(), session_->outbox.counts());
}

// setBusy(busy): whether a promise waits
Napi::Value ReplicationHandle::SetBusy(const Napi::CallbackInfo& info) {
  if (signal_ == nullptr) return info.Env().Undefined();
  if (info[0].ToBoolean().Value()) {
    signal_->Ref();
  } else {
    signal_->Unref();
  }
  return info.Env().Undefined();
}

// close() => Promise<void>; `open` has settled. Closing the environment waits for it.
Napi::Value ReplicationHandle::Close(const Napi::CallbackInfo& info) {
  if (owner_ == nullptr || state_ == State::kClosing || state_ == State::kClosed) {
    return Throw(info.Env(), NotOpen());
  }
  state_ = State::kClosing;
  Session* const session = session_.get();
  return owner_->Start<Nothing>(
      info.Env(), Value(),
      [session]() -> Result<Nothing> {
        session->replication.reset();
        return Nothing();
      },
      [this](Napi::Env env, Nothing&) {
        Stop();
        LetGo();
        return env.Undefined();
      });
}

}  // namespace ringleader::binding
