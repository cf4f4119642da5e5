#include "engine/replication.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "engine/disk_identity.h"
#include "wire/configuration_record.h"

namespace ringleader {
namespace {

constexpr uint64_t kLongestSleepNs = 1'000'000'000;
// How late a flush may be that nobody waits for.
constexpr uint64_t kLateFlushNs = 5'000'000;
// Rounds for the readers of all processes have ids of their own, and other ones in every run: an
// answer that was on its way to an earlier one is not taken for an answer to this one.
constexpr uint64_t kReadersRound = uint64_t{1} << 63;

}  // namespace

Replication::Replication(Env& env, const std::string& directory, Store& store,
                         const CoreOptions& options, MessageCarrier* carrier,
                         GroupListener* listener, AckLevel ack_level)
    : env_(env),
      directory_(directory),
      store_(store),
      log_(store.log()),
      options_(options),
      carrier_(carrier),
      listener_(listener),
      ack_level_(ack_level) {}

Result<std::unique_ptr<Replication>> Replication::Open(Env& env, const std::string& directory,
                                                       Store& store, CoreOptions options,
                                                       MessageCarrier* carrier,
                                                       GroupListener* listener,
                                                       const SnapshotOptions& snapshots,
                                                       AckLevel ack_level) {
  const ControlState& identity = store.log().identity();
  options.group_id = identity.group_id;
  options.incarnation = Incarnation(identity.incarnation);
  if (options.disk == 0) options.disk = DiskIdentity(env, directory);
  RL_RETURN_IF_ERROR(CheckOptions(options));
  RL_ASSIGN_OR_RETURN(const GroupBoard board, GroupBoard::Of(env, store.log()));
  RL_ASSIGN_OR_RETURN(std::unique_ptr<ReplicationRole> role,
                      ReplicationRole::Take(env, directory, board));
  std::unique_ptr<Replication> self(
      new Replication(env, directory, store, options, carrier, listener, ack_level));
  self->snapshot_options_ = snapshots;
  self->sink_ = std::make_unique<SnapshotSink>(env, directory, store, snapshots.max_bytes);
  RL_RETURN_IF_ERROR(self->Join());
  RL_ASSIGN_OR_RETURN(const Start start, self->ComeUp());
  RL_ASSIGN_OR_RETURN(const bool left, SnapshotSource::LeftBehind(store.log()));
  if (left) self->MakeSource();  // or it would hold the log for ever
  self->core_.emplace(self->options_, start, env.clock.MonotonicNanos());
  self->role_ = std::move(role);
  self->board_ = board;
  self->round_id_ = env.random.Next64() | kReadersRound;
  Replication* pump = self.get();
  self->disk_ = std::make_unique<DiskWorker>(env.threads, "rl-disk");
  self->pump_ = env.threads.Spawn("rl-pump", [pump] { pump->Run(); });
  return self;
}

Replication::~Replication() {
  stopping_.store(true, std::memory_order_release);
  log_.AnnounceActivity();
  pump_.reset();
  fill_news_.notify_all();
  filler_.reset();
  source_.reset();
  disk_.reset();
  // Who wrote here as the primary does so no more.
  if (!core_) return;
  (void)log_.SetGate(Gate::Closed(GateReason::kStarting)).ok();
  TakeDown();
}

// The file of the group, and what keeps the log from going where the file does not reach.
Status Replication::Join() {
  RL_RETURN_IF_ERROR(log_.SetGate(Gate::Closed(GateReason::kStarting)).status());
  const auto info = env_.files.Info(JoinPath(directory_, kGroupFileName));
  if (info.status().code() == Code::kNotFound) {
    // What has been written so far is the beginning of the group's history, or was copied from it.
    store_.SetFoldLimit(log_.End(Level::kFlushed));
    RL_RETURN_IF_ERROR(HardStateFile::Create(env_, directory_));
  } else {
    RL_RETURN_IF_ERROR(info.status());
  }
  RL_ASSIGN_OR_RETURN(hard_state_, HardStateFile::Open(env_, directory_));
  const auto& state = hard_state_->state();
  if (state && (state->incarnation != options_.incarnation || state->self != options_.self)) {
    return Status(Code::kInvalidArgument,
                  "the file group in " + directory_ + " is another member's or another copy's");
  }
  RL_ASSIGN_OR_RETURN(const std::vector<Consumer> consumers, log_.Consumers());
  const bool known = std::any_of(consumers.begin(), consumers.end(),
                                 [](const Consumer& one) { return one.name == kGroupConsumer; });
  if (known) return Status::Ok();
  Consumer consumer;
  consumer.name = kGroupConsumer;
  consumer.position = log_.Stat().start;
  return log_.PutConsumer(consumer);
}

// What is on the disk, all of it flushed.
Result<Start> Replication::ComeUp() {
  RL_RETURN_IF_ERROR(DropRest(kMaxLsn));
  const LogStat stat = log_.Stat();
  RL_ASSIGN_OR_RETURN(const Lsn end, log_.LastEnd());
  RL_RETURN_IF_ERROR(log_.WaitFor(end, Level::kFlushed));
  Start start;
  RL_RETURN_IF_ERROR(sink_->ComeUp(&start));
  start.log_start = stat.start;
  start.log_end = end;
  if (hard_state_->state()) start.hard_state = *hard_state_->state();
  // The base never holds what is not committed.
  Lsn& commit = start.hard_state.commit;
  commit = std::max(commit, std::min(end, store_.Stat().base.applied));
  RL_ASSIGN_OR_RETURN(tables_, LoadGroupTables(env_, directory_));
  RL_ASSIGN_OR_RETURN(const GroupScan scan, log_.ScanGroup());
  for (const TermStart& row : tables_.terms) {
    if (row.start < stat.start && !start.terms.Add(row)) {
      return Status(Code::kCorruption, "terms out of order in group-tables");
    }
  }
  const Lsn first = scan.terms.empty() ? start.log_end : scan.terms.front().start;
  if (start.terms.rows().empty() && first.value > kSegmentPageBytes) {
    (void)start.terms.Add({Ballot(), Lsn()});  // written before the group had a primary
  }
  for (const TermRow& row : scan.terms) {
    const Ballot ballot{row.term.counter, Incarnation(row.term.incarnation)};
    if (!start.terms.Add({ballot, row.start})) {
      return Status(Code::kCorruption, "terms out of order in the log");
    }
  }
  if (tables_.configuration.configuration.version > 0) {
    start.configurations.push_back(tables_.configuration);
  }
  for (const ConfigurationRow& row : scan.configurations) {
    if (row.end <= tables_.configuration.end) continue;
    RL_ASSIGN_OR_RETURN(Configuration configuration, DecodeConfiguration(row.payload));
    start.configurations.push_back({row.end, std::move(configuration)});
  }
  auto& all = start.configurations;
  const Lsn certain = std::min(commit, start.log_end);
  while (all.size() > 1 && all[1].end <= certain) all.erase(all.begin());
  end_ = whole_ = applied_ = written_ = flushed_ = requested_ = start.log_end;
  return start;
}

GroupStatus Replication::Look() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  GroupStatus status = status_;
  status.refused_frames = refused_.load(std::memory_order_relaxed);
  status.dropped_messages = dropped_.load(std::memory_order_relaxed);
  return status;
}

// --- the pump ------------------------------------------------------------------------------------

void Replication::Run() {
  Step(Tick{});
  while (!stopping_.load(std::memory_order_acquire)) {
    // Before everything that might be news: what comes later makes it differ.
    const uint32_t sequence = log_.ActivitySequence();
    TellLevels();
    TellLog();
    ServeSnapshots();
    const bool more = !switching_ && TakeInbox();
    SettleArrivals();
    NoteFailedSends();
    Nanos now = env_.clock.MonotonicNanos();
    if (!failed_ && now >= core_->Deadline()) Step(Tick{});
    RequestFlush();
    Publish();
    if (more) continue;
    now = env_.clock.MonotonicNanos();
    Nanos due = failed_ ? UINT64_MAX : core_->Deadline();
    if (flush_at_ != 0) due = std::min(due, flush_at_);
    if (due <= now) continue;
    log_.AwaitActivity(sequence, end_, std::min<uint64_t>(due - now, kLongestSleepNs));
  }
}

// What the writers of all processes wait for is what this primary asks of the others.
void Replication::TellLevels() {
  if (core_->role() != Role::kPrimary || failed_) return;
  const uint8_t wanted = board_->Wanted();
  if (wanted != core_->state().levels) Step(SetLevels{wanted});
}

// Everything is flushed at once, but where whoever waits does so for something that comes before
// that: a flush for each handful of transactions would take them half of the processors.
void Replication::RequestFlush() {
  if (whole_ <= requested_ || failed_) {
    flush_at_ = 0;
    return;
  }
  const CoreState& state = core_->state();
  const uint8_t levels = state.role == Role::kPrimary ? state.levels : state.replica.levels;
  const bool waited_for = levels == 0 || (levels & (AckLevel::kWritten | AckLevel::kFlushed)) != 0;
  const Nanos now = env_.clock.MonotonicNanos();
  if (flush_at_ == 0) flush_at_ = now + kLateFlushNs;
  if (!waited_for && arrivals_.empty() && now < flush_at_) return;
  flush_at_ = 0;
  requested_ = whole_;
  log_.Request(whole_, Level::kFlushed);
}

// Before the core hears of anything it knows what the local writers have appended. A message of a
// higher ballot may end this reign and bring records of the next one in one step: writers wait
// while it is looked at, so that nothing of theirs comes in between.
void Replication::Pass(Event event) {
  const auto* received = std::get_if<ringleader::Receive>(&event);
  const Ballot term = core_->term();
  const bool holds = core_->role() == Role::kPrimary && received != nullptr &&
                     received->message.ballot > term && log_.gate().state == GateState::kOpen;
  if (holds) {
    const auto closed = log_.SetGate(Gate::Closed(GateReason::kReplica));
    if (!closed.ok()) Fail(closed.status());
  }
  TellLog();
  Step(std::move(event));
  if (holds && core_->role() == Role::kPrimary && core_->term() == term && !failed_) {
    const auto opened = log_.SetGate(Gate::Open(term.counter));
    if (!opened.ok()) Fail(opened.status());
  }
}

void Replication::Step(Event event) {
  if (failed_) return;
  const bool broken = std::holds_alternative<DiskFailed>(event);
  if (const auto* rolled = std::get_if<LogRolledBack>(&event)) {
    rolling_back_ = false;
    ++history_;
    end_ = whole_ = applied_ = written_ = flushed_ = requested_ = rolled->to;
    DropArrivals(rolled->to);
    failed_send_.store(0, std::memory_order_release);  // of records that are no more
    permanent_failed_ = std::min(permanent_failed_, rolled->to);
    open_ends_.clear();
    readers_.clear();
  }
  if (const auto* installed = std::get_if<SnapshotInstalled>(&event)) {
    NoteInstalled(installed->head.position.lsn);
  }
  Outputs out;
  core_->Step({env_.clock.MonotonicNanos(), std::move(event)}, &out);
  ++steps_;
  contacts_.Note(core_->state());
  Perform(out);
  // Not before: to wake who flushes takes longer than to send.
  RequestFlush();
  if (!broken || failed_) return;
  // Nothing more is promised, and nothing more is done.
  failed_ = true;
  Status failure;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure = failure_;
  }
  listener_->OnFailure(failure);
}

// In the order of output.h. The answers are the next inputs.
void Replication::Perform(const Outputs& out) {
  std::vector<Event> answers;
  for (const LogAction& action : out.log) {
    if (std::optional<Event> answer = Act(action)) answers.push_back(std::move(*answer));
  }
  if (out.save) SaveHardState(*out.save);
  for (const Message& message : out.send) Send(message);
  for (const Ship& ship : out.ship) {
    Event shipped = ShipRecords(ship);
    if (ship.head.from_primary) answers.push_back(std::move(shipped));
  }
  for (const SendPiece& piece : out.pieces) Give(piece);
  for (const KeepPiece& piece : out.keep) Keep(piece);
  for (const Notice& notice : out.events) {
    NoteOutcome(notice);
    listener_->OnNotice(notice);
  }
  for (const ReadReady& read : out.reads) {
    if (!AnswerReaders(read)) listener_->OnRead(read);
  }
  for (Event& answer : answers) Step(std::move(answer));
}

void Replication::SaveHardState(const HardState& state) {
  disk_->Do([this, state] {
    const Status saved = hard_state_->Save(state);
    if (saved.ok()) Do(HardStateSaved{state.sequence});
    if (!saved.ok()) FailLater(saved);
  });
}

void Replication::Publish() {
  const Status failure = log_.Failure();
  if (!failure.ok() && !failed_) Fail(failure);
  AskForReaders();
  const CoreState& state = core_->state();
  GroupStatus& status = next_status_;  // whose memory is used again
  status.copies.clear();
  status.role = state.role;
  status.term = core_->term();
  status.primary = core_->primary();
  status.end = end_;
  status.flushed = flushed_;
  status.commit = core_->commit();
  status.election_safe = core_->ElectionSafe();
  status.configuration = core_->configuration();
  status.steps = steps_;
  status.roll_backs = history_;
  status.promised = state.promise.hard.promised;
  status.log_start = state.log.start;
  status.primary_end = state.replica.primary_end.lsn;
  status.matched = state.replica.matched;
  status.permanent_failed = permanent_failed_;
  status.caught_up = state.replica.caught_up || state.role == Role::kPrimary;
  status.electing = state.election.phase != ElectionPhase::kIdle;
  status.counters = counters_;
  for (const Progress& peer : state.primary.peers) {
    status.copies.push_back({peer.id, status.configuration.IsVoter(peer.id), peer.received,
                             peer.written, peer.flushed, peer.applied});
  }
  const Lsn limit = RL_MUTANT(kFoldUncommitted) ? end_ : core_->commit();
  if (limit > limit_) {
    limit_ = limit;
    store_.SetFoldLimit(limit_);
    KeepTables();
  }
  Show();
  bool changed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    changed = status.commit != status_.commit || status.copies != status_.copies ||
              status.role != status_.role || status.term != status_.term;
    status_ = status;
  }
  if (changed) listener_->OnProgress();
}

void Replication::Fail(const Status& failure) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok()) failure_ = failure;
  }
  Step(DiskFailed{});
}

// From another thread.
void Replication::FailLater(const Status& failure) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok()) failure_ = failure;
  }
  Do(DiskFailed{});
}

}  // namespace ringleader
