#include "sim_member.h"

#include <algorithm>
#include <utility>

#include "core/state_hash.h"
#include "core/text.h"

namespace ringleader::simulator {
namespace {

constexpr Nanos kMilli = 1'000'000;

CoreOptions OptionsFor(const SimPlan& plan, uint32_t index, uint64_t incarnation) {
  CoreOptions options;
  options.self = MemberId(index);
  options.incarnation = Incarnation(incarnation | 1);
  options.election_timeout = plan.election_timeout;
  options.heartbeat_interval = plan.heartbeat;
  options.canvass_wait = plan.election_timeout / 4;
  options.request_wait_min = 20 * kMilli;
  options.request_wait_max = plan.election_timeout;
  options.handover_timeout = plan.election_timeout * 2;
  options.lease = plan.lease;
  options.clock_drift_ppm = plan.drift_ppm;
  options.append_bytes = plan.append_bytes;
  options.window_bytes = plan.window_bytes;
  options.snapshot_piece_bytes = plan.piece_bytes;
  options.base_api = plan.base_api;
  options.delayed_sync = plan.delayed_sync && index % 2 == 1;
  options.peer_to_peer = plan.peer_to_peer;
  return options;
}

}  // namespace

void SimContext::Note(uint32_t member, const std::string& text) {
  StateHash next;
  next.Word(hash);
  next.Word(schedule.now());
  next.Word(member);
  next.Add(text);
  hash = next.value();
  Say(member, text);
}

void SimContext::Say(uint32_t member, const std::string& text) const {
  if (!trace) return;
  std::printf("%10.3f ms  %u  %s\n", static_cast<double>(schedule.now()) / 1e6, member,
              text.c_str());
}

SimMember::SimMember(SimContext* context, uint32_t index, uint64_t seed)
    : context_(*context), index_(index), rng_(seed) {
  const SimPlan& plan = context_.plan;
  options_ = OptionsFor(plan, index, rng_.Next());
  options_.group_id = context_.group;
  version_ = static_cast<uint8_t>(kMinWireVersion + rng_.Below(kWireVersion - kMinWireVersion + 1));
  drift_ppm_ = static_cast<int64_t>(rng_.Below(2 * plan.drift_ppm + 1)) - plan.drift_ppm;
  skew_ = rng_.Below(plan.skew_max + 1);
  NewDisk();
}

void SimMember::NewDisk() {
  RL_CHECK(!up());
  options_.incarnation = Incarnation(rng_.Next() | 1);
  store_ = std::make_unique<SimStore>(context_.group, rng_.Next(), skew_);
  clock_base_ = store_->world().clock().Now();
  made_at_ = context_.schedule.now();
  invariants_ = {};
  misreads_.clear();
  hurt_ = false;
  healthy_ = true;
  spoken_ = {};
  known_flushed_ = certain_ = {};
  known_terms_ = {};
}

Nanos SimMember::LocalNow() {
  const Nanos passed = context_.schedule.now() - made_at_;
  const auto rate = static_cast<uint64_t>(1'000'000 + drift_ppm_);
  SimClock& clock = store_->world().clock();
  clock.AdvanceTo(clock_base_ + passed / 1'000'000 * rate + passed % 1'000'000 * rate / 1'000'000);
  return clock.Now();
}

Nanos SimMember::GlobalOf(Nanos local) const {
  if (local <= clock_base_) return context_.schedule.now();
  const Nanos passed = local - clock_base_;
  const auto rate = static_cast<uint64_t>(1'000'000 + drift_ppm_);
  return made_at_ + passed / rate * 1'000'000 + passed % rate * 1'000'000 / rate + 2;
}

void SimMember::Fail(const std::string& problem) {
  context_.ledger.Fail("member " + std::to_string(index_) + ": " + problem);
}

// Something of this process, later; nothing where the process has ended by then.
void SimMember::After(Nanos delay, SimSchedule::Action action) {
  const uint64_t epoch = epoch_;
  context_.schedule.In(delay, [this, epoch, action = std::move(action)]() mutable {
    if (epoch != epoch_) return;
    if (paused()) {
      After(paused_until_ - context_.schedule.now(), std::move(action));
    } else {
      action();
    }
  });
}

void SimMember::Start() {
  if (up()) return;
  ++epoch_;
  LocalNow();
  ringleader::Start start;
  Checkpoint checkpoint;
  Status opened;
  if (CutInside([&] { opened = store_->Open(&start, &checkpoint); })) return;
  if (!opened.ok()) {
    if (!hurt_ || opened.code() == Code::kCorruption)
      return Fail("does not come up: " + opened.ToString());
    store_->Kill();
    After(500 * kMilli, [this] { Start(); });
    return;
  }
  ++context_.stats.starts;
  context_.Note(index_, "starts, log " + ToText(start.log_start) + " to " + ToText(start.log_end));
  if (start.hard_state.promised < spoken_) Fail("a promise is forgotten");
  if (start.log_end < certain_) Fail("flushed records are gone");
  hurt_ = !healthy_;
  broken_ = writable_ = untold_ = flushing_ = false;
  cut_next_ = false;
  history_ = 0;
  rolling_.reset();
  pending_.clear();
  outgoing_.reset();
  ForgetReaders();
  state_ = checkpoint.state;
  ledger_hint_ = 0;
  flushed_ = start.log_end;
  armed_at_ = UINT64_MAX;
  core_.emplace(options_, start, LocalNow());
  invariants_.Restarted();
  if (std::string problem = store_->CheckDiscarded(); !problem.empty()) Fail(problem);
  Step(Tick{});
  After(100 * kMilli + rng_.Below(500 * kMilli), [this] { Housekeep(); });
  if (options_.base_api) BeginApplication();
}

// What others rest on while it is down.
void SimMember::Remember() {
  if (!up()) return;
  const CoreState& state = core_->state();
  known_flushed_ = rolling_ ? std::min(flushed_, rolling_->to) : flushed_;
  // A roll-back or a snapshot may have got further than anybody has been told.
  const bool changing = rolling_ || state.replica.fetch.wanted;
  certain_ = changing ? std::min(flushed_, state.commit) : flushed_;
  known_terms_ = state.log.terms;
  known_terms_.CutTo(known_flushed_);
}

void SimMember::Unknown() {
  for (const PendingWrite& write : std::exchange(pending_, {})) {
    context_.on_written(write.client, write.request, Lsn());
  }
}

void SimMember::Hurt(const std::optional<FaultRule>& rule, Nanos length) {
  hurt_ = true;
  healthy_ = false;
  if (rule) {
    const uint64_t id = store_->disk().AddFault(*rule);
    if (rule->action == FaultAction::kFlipBit) misreads_.push_back(id);
  } else {
    store_->disk().SetCapacity(store_->disk().used_bytes());
  }
  context_.schedule.In(length, [this] { HealDisk(); });
}

void SimMember::HealDisk() {
  healthy_ = true;
  if (context_.frozen) cut_next_ = false;
  store_->disk().RemoveAllFaults();
  store_->disk().SetCapacity(UINT64_MAX);
}

// A recovery that is misled by what it reads would cut what was flushed: that is a disk that lies.
void SimMember::ReadTruly() {
  for (const uint64_t rule : std::exchange(misreads_, {})) store_->disk().RemoveFault(rule);
}

void SimMember::Stop(bool power) {
  Remember();
  ReadTruly();
  // A save that is under way may get as far as the disk, or to its cache.
  if (up() && power && core_->state().promise.in_flight && !broken_ && rng_.Below(2) == 0) {
    const uint64_t rule = store_->disk().AddFault({.calls = Calls({SimCall::kSyncData})});
    (void)store_->hard_state().Save(core_->state().promise.hard).ok();
    store_->disk().RemoveFault(rule);
  }
  ++epoch_;
  core_.reset();
  ForgetReaders();
  writable_ = false;
  Unknown();
  if (power) {
    ++context_.stats.power_cuts;
    const uint64_t kind = rng_.Below(5);
    store_->PowerCut(kind == 0   ? CrashPolicy::Nothing()
                     : kind == 1 ? CrashPolicy::Everything()
                                 : CrashPolicy::Random(),
                     rng_.Next());
  } else {
    ++context_.stats.kills;
    store_->Kill();
  }
  context_.Note(index_, power ? "loses power" : "is killed");
}

bool SimMember::CutInside(const std::function<void()>& work) {
  if (!cut_next_) {
    work();
    return false;
  }
  cut_next_ = false;
  ++context_.stats.cuts_inside;
  FaultRule rule;
  rule.skip = rng_.Below(60);
  const uint64_t id = store_->disk().AddFault(rule);
  work();
  store_->disk().RemoveFault(id);
  Stop(true);
  const uint64_t epoch = epoch_;
  context_.schedule.In(100 * kMilli, [this, epoch] {
    if (epoch == epoch_) Start();
  });
  return true;
}

void SimMember::Deliver(const Frame& frame) {
  if (!up()) return;
  if (paused()) {
    After(paused_until_ - context_.schedule.now(), [this, frame] { Deliver(frame); });
    return;
  }
  const auto decoded = DecodeMessage(*frame);
  if (!decoded.ok()) {
    ++context_.stats.refused_frames;
    return;
  }
  Step(Receive{decoded.value().message});
}

void SimMember::DiskFailed(const Status& status) {
  if (broken_) return;
  broken_ = true;
  ++context_.stats.disk_failures;
  context_.Note(index_, "its disk fails: " + status.ToString());
  if (!hurt_) Fail("without a fault: " + status.ToString());
  Step(ringleader::DiskFailed{});
  // Whoever looks after it restarts it.
  After(500 * kMilli + rng_.Below(3'000 * kMilli), [this] {
    Stop(rng_.Below(4) == 0);
    Start();
  });
}

// One input, and what follows from it. What happens meanwhile waits.
void SimMember::Step(Event event) {
  if (!up()) return;
  if (stepping_) {
    waiting_.push_back(std::move(event));
    return;
  }
  stepping_ = true;
  const uint64_t epoch = epoch_;
  TellAppended();
  StepOne(std::move(event));
  do {
    for (const Event& one : std::exchange(waiting_, {})) {
      if (epoch == epoch_) StepOne(one);
    }
    if (epoch == epoch_) Settle();
  } while (epoch == epoch_ && !waiting_.empty());
  waiting_.clear();
  stepping_ = false;
}

void SimMember::StepOne(Event event) {
  if (!up()) return;
  ++context_.stats.steps;
  const size_t kind = event.index();
  const Lsn before = core_->commit();
  const bool led = core_->role() == Role::kPrimary;
  const Ballot reign = core_->state().primary.term;
  Outputs out;
  if (context_.trace) {
    if (const auto* got = std::get_if<Receive>(&event)) {
      context_.Say(index_, "<- " + ToText(got->message));
    }
  }
  core_->Step({LocalNow(), std::move(event)}, &out);
  StateHash hash;
  hash.Word(context_.hash);
  hash.Word(context_.schedule.now());
  hash.Word(index_ << 8 | kind);
  hash.Word(core_->state().log.end.value);
  hash.Word(out.commit.value);
  hash.Word(core_->state().promise.hard.promised.counter.value);
  context_.hash = hash.value();
  if (std::string problem = invariants_.Check(*core_); !problem.empty()) Fail(problem);
  if (led && core_->role() != Role::kPrimary) Unknown();
  Perform(out, before, led ? reign : core_->state().primary.term);
}

void SimMember::Perform(const Outputs& out, Lsn commit_before, Ballot reign) {
  const uint64_t epoch = epoch_;
  std::vector<Event> next;
  for (const LogAction& action : out.log) {
    if (std::optional<Event> answer = PerformLog(action)) next.push_back(std::move(*answer));
  }
  if (out.save) SaveHardState(*out.save);
  if (out.witness) {
    context_.witness.Ask(
        *out.witness, [this, epoch](WitnessOutcome outcome, const WitnessRegister& value) {
          if (epoch == epoch_)
            After(0, [this, outcome, value] { Step(WitnessAnswer{outcome, value}); });
        });
  }
  for (const Message& message : out.send) Send(message);
  for (const Ship& ship : out.ship) {
    Event shipped = SendShip(ship);
    if (ship.head.from_primary) next.push_back(std::move(shipped));
  }
  for (const SendPiece& piece : out.pieces) SendSnapshot(piece);
  for (const KeepPiece& piece : out.keep) Keep(piece, &next);
  if (epoch != epoch_) return;  // the power was cut in the middle
  if (!reign.none() && out.commit > commit_before) CheckCommit(reign, out.commit);
  Notices(out);
  for (const ReadReady& read : out.reads) context_.on_read(read.id, read.granted, read.position);
  for (Event& event : next) {
    if (epoch == epoch_) StepOne(std::move(event));
  }
}

void SimMember::Notices(const Outputs& out) {
  for (const Notice& notice : out.events) {
    if (notice.kind == NoticeKind::kHalted) Fail("halts");
    if (options_.base_api) TellApplication(notice);
    if (notice.kind == NoticeKind::kRole && notice.role == Role::kPrimary) {
      ++context_.stats.elections;
      CheckLead();
    }
    if (context_.trace) {
      context_.Say(index_, "notice " + std::to_string(static_cast<int>(notice.kind)) + " role " +
                               std::to_string(static_cast<int>(notice.role)) + " term " +
                               ToText(notice.term) + " " + notice.reason);
    }
  }
}

void SimMember::Settle() {
  ApplyCommitted();
  if (!up()) return;
  Acknowledge();
  if (!flushing_ && !broken_) StartFlush();
  ArmTimer();
}

void SimMember::ArmTimer() {
  const Nanos deadline = core_->Deadline();
  if (deadline == UINT64_MAX) return;
  const Nanos at = std::max(GlobalOf(deadline), context_.schedule.now() + 1'000);
  if (at >= armed_at_) return;
  armed_at_ = at;
  After(at - context_.schedule.now(), [this, at] {
    if (armed_at_ == at) armed_at_ = UINT64_MAX;
    if (LocalNow() >= core_->Deadline()) {
      Step(Tick{});
    } else {
      ArmTimer();
    }
  });
}

void SimMember::CheckSpoken(const Message& message) {
  const auto* vote = std::get_if<VoteReply>(&message.body);
  const auto* ack = std::get_if<Ack>(&message.body);
  const bool promises = (vote != nullptr && vote->granted) ||
                        std::holds_alternative<Vote>(message.body) ||
                        (ack != nullptr && ack->problem != AckProblem::kRefused &&
                         ack->problem != AckProblem::kBroken);
  if (!promises) return;
  const std::optional<HardState>& saved = store_->hard_state().state();
  if (!saved || saved->promised < message.ballot) Fail("speaks of a promise that is not saved");
  if (ack != nullptr && ack->flushed > SimStore::CoreEnd(store_->log().End(Level::kFlushed))) {
    Fail("acknowledges what is not flushed");
  }
  spoken_ = std::max(spoken_, message.ballot);
}

void SimMember::Send(const Message& message) {
  CheckSpoken(message);
  Frame frame;
  uint8_t encoded_for = 0;
  for (uint32_t to = 0; to < context_.plan.members(); ++to) {
    if (to == index_ || (message.to != kNobody && message.to != MemberId(to))) continue;
    const std::optional<uint8_t> version = ChooseWireVersion(
        {kMinWireVersion, version_}, {kMinWireVersion, context_.members[to]->version_});
    RL_CHECK(version);
    if (encoded_for != *version) {
      EncodeMessage(context_.group, message, *version, &encoded_);
      frame = std::make_shared<const std::vector<uint8_t>>(encoded_.Joined());
      encoded_for = *version;
    }
    context_.network->Send(index_, to, message.body.index(), frame);
  }
}

void SimMember::SaveHardState(const HardState& state) {
  const SimPlan& plan = context_.plan;
  const Nanos length = plan.flush_min + rng_.Below(plan.flush_max - plan.flush_min + 1);
  After(length, [this, state] {
    const Status saved = store_->hard_state().Save(state);
    if (!saved.ok()) return DiskFailed(saved);
    Step(HardStateSaved{state.sequence});
  });
}

bool SimMember::HasFlushed(Lsn end, Ballot ballot) const {
  if (!up()) return known_flushed_ >= end && known_terms_.At(end) == ballot;
  return store_->is_open() && SimStore::CoreEnd(store_->log().End(Level::kFlushed)) >= end &&
         core_->state().log.terms.At(end) == ballot;
}

// What a primary calls committed is on the disks of a quorum, whoever of them is up.
void SimMember::CheckCommit(Ballot reign, Lsn commit) {
  context_.ledger.Commits(reign, commit);
  const Configuration& now = core_->configuration();
  const Ballot ballot = core_->state().log.terms.At(commit);
  uint32_t copies = 0;
  for (const auto& member : context_.members) {
    const Member* known = now.Find(member->id());
    if (known == nullptr || known->kind != MemberKind::kVoter) continue;
    // A disk that is gone may have had it.
    const bool gone = known->incarnation != member->incarnation();
    const bool flushed = gone || member->HasFlushed(commit, ballot);
    copies += flushed ? 1 : 0;
    if (now.rule == QuorumRule::kInSync && !flushed &&
        context_.witness.value().Holds(member->incarnation())) {
      Fail("commits what a copy in the register has not flushed");
    }
  }
  if (now.rule == QuorumRule::kVotes && copies < now.copies) {
    Fail("commits " + std::to_string(commit.value) + " on " + std::to_string(copies) + " copies");
  }
}

// A new primary has everything that was committed in reigns before its own.
void SimMember::CheckLead() {
  const SimLedger::Row* row = context_.ledger.NeededBy(core_->term());
  if (row == nullptr || row->end <= state_.position()) return;
  if (store_->end() < row->end) return Fail("leads without what was committed");
  if (row->lsn < store_->start()) return;
  const auto reader = store_->log().Read(row->lsn);
  const auto entry = reader->Next();
  if (!entry.ok() && hurt_) return;
  if (!entry.ok() || !entry.value() || HashOfEntry(*entry.value()) != row->entry) {
    Fail("leads with something else than what was committed");
  }
}

std::string SimMember::Describe() const {
  std::string text = "member " + std::to_string(index_);
  if (!up()) return text + " is down";
  const LogState& log = core_->state().log;
  text += " role " + std::to_string(static_cast<int>(core_->role())) + " term " +
          ToText(core_->term()) + " promised " + ToText(core_->state().promise.hard.promised) +
          " log " + ToText(log.start) + "-" + ToText(log.end) + " flushed " + ToText(log.flushed) +
          " commit " + ToText(core_->commit()) + " applied " + ToText(state_.position()) +
          " configuration " + ToText(core_->configuration());
  if (broken_) text += " broken";
  if (log.rolling_back) text += " rolling back";
  if (core_->state().replica.fetch.wanted) text += " fetching";
  return text;
}

}  // namespace ringleader::simulator
