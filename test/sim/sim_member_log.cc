// What a member does with its log: appends, ships, flushes, rolls back, applies.
#include <algorithm>
#include <utility>

#include "sim_member.h"

namespace ringleader::simulator {
namespace {

constexpr Nanos kMilli = 1'000'000;
constexpr Nanos kDoorbell = 20'000;  // until the core hears of what writers have appended

}  // namespace

void SimMember::ForgetReaders() {
  applier_.reset();
  next_entry_.reset();
  shippers_.clear();
}

std::optional<Event> SimMember::PerformLog(const LogAction& action) {
  if (std::holds_alternative<StopWriters>(action)) {
    writable_ = false;
    const auto end = store_->log().SetGate(Gate::Closed(GateReason::kReplica));
    if (!end.ok()) DiskFailed(end.status());
    return std::nullopt;
  }
  if (std::holds_alternative<ResumeWriters>(action)) {
    // Of the reign that the log ends with: the step that asked may have ended it since.
    const auto end = store_->log().SetGate(Gate::Open(core_->state().log.terms.last().counter));
    writable_ = end.ok();
    if (!end.ok()) DiskFailed(end.status());
    return std::nullopt;
  }
  if (const auto* append = std::get_if<AppendRecords>(&action)) return Append(*append);
  if (const auto* append = std::get_if<AppendTerm>(&action)) return Append(*append);
  if (const auto* append = std::get_if<AppendConfiguration>(&action)) return Append(*append);
  RollBackLater(std::get<RollBack>(action));
  return std::nullopt;
}

Event SimMember::Append(const AppendRecords& append) {
  Log& log = store_->log();
  Lsn end = append.from;
  std::vector<ConfigurationAt> configurations;
  for (;;) {
    const ShippedAppend done = log.AppendRecords(append.from, append.bytes);
    // A later call that fails may not get as far as to see what an earlier one has appended.
    end = std::max(end, std::min(SimStore::CoreEnd(done.end), append.end));
    for (const ConfigurationRow& row : done.configurations) {
      ConfigurationAt& at = configurations.emplace_back(ConfigurationAt{row.end, {}});
      RL_CHECK(DecodeConfiguration(row.payload, &at.configuration));
    }
    if (done.stop == ShipStop::kNothing) break;
    const bool fork = done.stop == ShipStop::kFork;
    const Status room = fork ? store_->DropRest(append.from) : log.AwaitRoom(done);
    if (room.ok()) continue;
    if (room.code() == Code::kCorruption || room.code() == Code::kInvalidArgument) {
      if (!hurt_) Fail("cannot append what was shipped: " + room.ToString());
    } else if (room.code() != Code::kNoSpace) {
      DiskFailed(room);
    }
    break;
  }
  return LogAppended{end, std::move(configurations)};
}

Event SimMember::Append(const AppendTerm& append) {
  Log& log = store_->log();
  if (log.gate().state == GateState::kOpen) {
    (void)log.SetGate(Gate::Closed(GateReason::kReplica)).ok();
  }
  const auto at =
      log.AppendTerm({append.term.counter, append.term.incarnation.value, append.primary.value});
  if (at.ok()) {
    writable_ = true;
    return TermAppended{append.term, at.value().lsn, at.value().end};
  }
  if (at.status().code() != Code::kNoSpace) DiskFailed(at.status());
  // A reign without its first record is none: given up.
  return FollowNow{};
}

Event SimMember::Append(const AppendConfiguration& append) {
  const auto at = store_->log().AppendConfiguration(store_->log().gate().term,
                                                    EncodeConfiguration(append.configuration));
  if (at.ok()) {
    ++context_.stats.configurations;
    return ConfigurationAppended{append.configuration, at.value().end};
  }
  if (at.status().code() != Code::kNoSpace) DiskFailed(at.status());
  return FollowNow{};
}

void SimMember::RollBackLater(const RollBack& action) {
  rolling_ = action;
  After(rng_.Below(20 * kMilli), [this] { RollBackNow(); });
}

void SimMember::RollBackNow() {
  if (!rolling_ || !up() || broken_) return;
  const RollBack action = *rolling_;
  Result<Lsn> to = Lsn();
  if (CutInside([&] { to = store_->RollBack(action.to, action.discarded); })) return;
  if (!to.ok() && to.status().code() == Code::kNoSpace) {
    After(100 * kMilli, [this] { RollBackNow(); });
    return;
  }
  if (!to.ok()) return DiskFailed(to.status());
  ++context_.stats.roll_backs;
  context_.Note(index_, "rolls back to " + std::to_string(to.value().value));
  rolling_.reset();
  ++history_;
  flushed_ = to.value();
  ForgetReaders();
  if (to.value() < state_.position()) Fail("rolls back what was applied");
  Step(LogRolledBack{to.value()});
}

Event SimMember::SendShip(const Ship& ship) {
  const Lsn from = ship.head.previous.lsn;
  std::unique_ptr<RawReader>& reader = shippers_[ship.to.value];
  if (reader == nullptr) reader = store_->log().ReadRaw(from);
  reader->Seek(from);
  Lsn limit = ship.end_limit;
  auto run = reader->Next(ship.limit_bytes, limit);
  if (run.ok()) {
    if (run->terms.size() > kMaxTermsInMessage) limit = run->terms[kMaxTermsInMessage].start;
    if (limit < ship.end_limit) {
      reader->Seek(from);
      run = reader->Next(ship.limit_bytes, limit);
    }
  }
  if (!run.ok() || run->end == run->from) {
    reader.reset();
    if (context_.trace && !run.ok())
      context_.Say(index_, "cannot ship: " + run.status().ToString());
    return Shipped{ship.to, from};
  }
  Message message = core_->Complete(ship, run->end);
  std::get<Records>(message.body).bytes = run->bytes;
  Send(message);
  return Shipped{ship.to, run->end};
}

bool SimMember::Write(const Command& command, size_t filler) {
  if (!writable()) return false;
  const std::vector<uint8_t> payload = EncodeCommand(command, filler);
  Entry entry;
  entry.payload = payload;
  entry.operations = 1;
  LocalNow();
  const auto appended = store_->log().Append(entry);
  if (!appended.ok()) {
    const Code code = appended.status().code();
    if (code == Code::kNoSpace || code == Code::kNotPrimary) return false;
    DiskFailed(appended.status());
    return true;  // nobody knows
  }
  ++context_.stats.writes;
  pending_.push_back({appended.value().end, command.client, command.request});
  if (!untold_) {
    untold_ = true;
    After(kDoorbell, [this] {
      if (untold_) Step(Tick{});
    });
  }
  return true;
}

void SimMember::TellAppended() {
  if (!std::exchange(untold_, false)) return;
  StepOne(LogAppended{store_->end(), {}});
}

void SimMember::StartFlush() {
  const Lsn end = store_->end();
  if (end <= flushed_) return;
  flushing_ = true;
  const uint64_t history = history_;
  const Status written = store_->log().WaitFor(end, Level::kWritten);
  const SimPlan& plan = context_.plan;
  Nanos length = plan.flush_min + rng_.Below(plan.flush_max - plan.flush_min + 1);
  if (!written.ok() && written.code() != Code::kNoSpace) return DiskFailed(written);
  if (!context_.frozen && plan.Has(Fault::kSlowDisk) && rng_.Below(50) == 0) {
    length += rng_.Below(100 * kMilli);
  }
  if (context_.schedule.now() < stuck_until_) length = stuck_until_ - context_.schedule.now();
  if (written.ok()) StepOne(LogWritten{end, history});
  After(length, [this, end, history] { FinishFlush(end, history); });
}

void SimMember::FinishFlush(Lsn end, uint64_t history) {
  flushing_ = false;
  if (history == history_) {
    const Status flushed = store_->log().WaitFor(end, Level::kFlushed);
    if (flushed.code() == Code::kNoSpace) {
      flushing_ = true;
      After(50 * kMilli, [this, end, history] { FinishFlush(end, history); });
      return;
    }
    if (!flushed.ok()) return DiskFailed(flushed);
    flushed_ = std::max(flushed_, end);
  }
  Step(LogFlushed{end, history});
}

void SimMember::ApplyCommitted() {
  if (broken_ || !store_->is_open()) return;
  const Lsn commit = core_->commit();
  const Lsn before = state_.position();
  while (state_.position() < commit) {
    if (!next_entry_) {
      if (applier_ == nullptr) applier_ = store_->log().Read(state_.position());
      auto entry = applier_->Next();
      if (!entry.ok()) {
        applier_.reset();
        const Code code = entry.status().code();
        if (code == Code::kCorruption && hurt_) break;  // read again, later
        if (code != Code::kNoSpace) DiskFailed(entry.status());
        break;
      }
      next_entry_ = *entry;
    }
    if (!next_entry_ || next_entry_->end > commit) break;
    const LogEntry entry = *std::exchange(next_entry_, std::nullopt);
    state_.Apply(entry);
    ++context_.stats.applied;
    context_.ledger.Applies(index_, entry, state_.hash(), &ledger_hint_);
  }
  if (state_.position() > before && up()) StepOne(LogApplied{state_.position()});
}

void SimMember::Acknowledge() {
  size_t done = 0;
  for (; done < pending_.size() && pending_[done].end <= state_.position(); ++done) {
    const PendingWrite& write = pending_[done];
    if (state_.newest(write.client) < write.request) Fail("an acknowledged write is not applied");
    context_.on_written(write.client, write.request, state_.applied_at(write.client));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(done));
}

void SimMember::Housekeep() {
  After(300 * kMilli + rng_.Below(700 * kMilli), [this] { Housekeep(); });
  if (broken_ || rolling_) return;
  LocalNow();
  const bool waits = core_->role() != Role::kPrimary && !core_->state().replica.sync_allowed;
  if (waits && (context_.frozen || rng_.Below(2) == 0)) Step(SyncNow{});
  if (!up() || broken_) return;
  const Lsn start = store_->start();
  const SimPlan& plan = context_.plan;
  Status status;
  if (plan.Has(Fault::kTrim) && store_->end().value > start.value + plan.keep_bytes) {
    status = store_->SaveCheckpoint(MakeCheckpoint());
  }
  if (status.ok()) status = store_->Housekeep();
  if (!status.ok() && status.code() != Code::kNoSpace) return DiskFailed(status);
  // Appending recycles segments too.
  if (store_->start() > core_->state().log.start) {
    ++context_.stats.trims;
    Step(LogTrimmed{store_->start()});
  }
}

void SimMember::CheckLog() {
  if (!up() || broken_ || rolling_ || paused()) return;
  const auto reader = store_->log().Read(store_->start());
  const TermTable& terms = core_->state().log.terms;
  for (;;) {
    const auto entry = reader->Next();
    if (!entry.ok()) {
      if (hurt_) return;
      return Fail("its log does not read: " + entry.status().ToString());
    }
    if (!entry.value()) return;
    context_.ledger.Holds(index_, *entry.value(), terms.At(entry.value()->end));
    const SimLedger::Row* row = context_.ledger.Find(entry.value()->end);
    if (row != nullptr && row->end <= core_->commit() &&
        row->entry != HashOfEntry(*entry.value())) {
      Fail("its log has something else than what was committed");
    }
  }
}

}  // namespace ringleader::simulator
