// What a member does with its log: appends, ships, tells of flushes, rolls back.
#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "engine/replication.h"
#include "log/discarded.h"
#include "wire/configuration_record.h"

namespace ringleader {
namespace {

// How long the pump waits for room in log and overlay before it leaves the rest of a message to be
// asked for again: heartbeats are due meanwhile.
constexpr uint64_t kLongestWaitNs = 50'000'000;

}  // namespace

std::optional<Event> Replication::Act(const LogAction& action) {
  if (const auto* append = std::get_if<AppendRecords>(&action)) return Append(*append);
  if (const auto* append = std::get_if<AppendTerm>(&action)) return Append(*append);
  if (const auto* append = std::get_if<AppendConfiguration>(&action)) return Append(*append);
  if (const auto* roll_back = std::get_if<RollBack>(&action)) {
    RollBackBehind(*roll_back);
    return std::nullopt;
  }
  const bool resume = std::holds_alternative<ResumeWriters>(action);
  // The step that gave a hand-over up may have ended the reign as well.
  if (resume && core_->role() != Role::kPrimary) return std::nullopt;
  const auto changed =
      log_.SetGate(resume ? Gate::Open(core_->term().counter) : Gate::Closed(GateReason::kReplica));
  if (!changed.ok()) Fail(changed.status());
  // What writers appended before the gate closed is told.
  const Lsn end = log_.End(Level::kMemory);
  if (resume || !changed.ok() || end <= end_ || end_.value == 0) return std::nullopt;
  NoteWhole(end);
  return LogAppended{end, {}};
}

Event Replication::Append(const AppendRecords& append) {
  const Nanos begun = env_.clock.MonotonicNanos();
  std::vector<ConfigurationAt> configurations;
  for (;;) {
    const ShippedAppend done = store_.AppendShipped(append.from, append.bytes);
    NoteWhole(done.whole);
    // Pieces of a transaction count as appended. An empty log ends at 0.
    if (done.end.value > kSegmentPageBytes) end_ = std::max(end_, std::min(done.end, append.end));
    for (const ConfigurationRow& row : done.configurations) {
      auto configuration = DecodeConfiguration(row.payload);
      if (configuration.ok()) configurations.push_back({row.end, std::move(configuration).value()});
    }
    if (done.stop == ShipStop::kNothing || done.stop == ShipStop::kError) break;
    const Nanos waited = env_.clock.MonotonicNanos() - begun;
    if (waited >= kLongestWaitNs) break;
    // What a local writer has not finished is nobody's.
    const bool fork = done.stop == ShipStop::kFork;
    const Status room =
        fork ? DropRest(append.from) : store_.AwaitShipped(done, kLongestWaitNs - waited);
    if (!room.ok()) break;
  }
  if (end_ > whole_) log_.Request(end_, Level::kFlushed);
  return LogAppended{end_, std::move(configurations)};
}

// Pieces of a transaction that never came to its end were never promised to anybody, and whoever
// ships the rest may have other ones. Neither is padding part of what members compare: the next
// record of the group may stand where it is.
Status Replication::DropRest(Lsn end) {
  RL_ASSIGN_OR_RETURN(const Lsn last, log_.LastEnd());
  const LogStat stat = log_.Stat();
  const Lsn to = std::max(last, stat.start);
  if (to >= stat.tail) return Status::Ok();
  if (last > end) return Status(Code::kCorruption, "the log has whole transactions there");
  return store_.RollBack(to);
}

Event Replication::Append(const AppendTerm& append) {
  if (log_.gate().state == GateState::kOpen) {
    (void)log_.SetGate(Gate::Closed(GateReason::kReplica)).ok();
  }
  const auto at =
      log_.AppendTerm({append.term.counter, append.term.incarnation.value, append.primary.value});
  // A reign without its first record is none: given up.
  if (!at.ok()) return FollowNow{};
  NoteWhole(at.value().end);
  return TermAppended{append.term, at.value().lsn, at.value().end};
}

Event Replication::Append(const AppendConfiguration& append) {
  const std::vector<uint8_t> payload = EncodeConfiguration(append.configuration);
  const auto at = log_.AppendConfiguration(core_->term().counter, payload);
  if (!at.ok()) return FollowNow{};
  NoteWhole(at.value().end);
  return ConfigurationAppended{append.configuration, at.value().end};
}

// What goes is kept in a file first.
void Replication::RollBackBehind(const RollBack& action) {
  rolling_back_ = true;
  readers_.clear();
  disk_->Do([this, action] {
    const auto roll_back = [&]() -> Result<Lsn> {
      RL_ASSIGN_OR_RETURN(const Lsn fork, log_.LastEnd(action.to));
      if (!RL_MUTANT(kDiscardUnkept)) {
        RL_RETURN_IF_ERROR(SaveDiscarded(env_, directory_, log_, fork, action.discarded.counter,
                                         action.discarded.incarnation.value)
                               .status());
      }
      RL_RETURN_IF_ERROR(store_.RollBack(std::max(fork, log_.Stat().start)));
      return fork;
    };
    for (;;) {
      const Result<Lsn> fork = roll_back();
      if (fork.ok()) return Do(LogRolledBack{fork.value()});
      const bool again =
          fork.status().code() == Code::kNoSpace || fork.status().code() == Code::kBusy;
      if (!again) return FailLater(fork.status());
      if (stopping_.load(std::memory_order_acquire)) return;
      std::atomic<uint32_t> never{0};
      env_.threads.Wait(never, 0, 100'000'000);
    }
  });
}

Event Replication::ShipRecords(const Ship& ship) {
  const Lsn from = ship.head.previous.lsn;
  std::unique_ptr<RawReader>& reader = readers_[ship.to];
  if (reader == nullptr) reader = log_.ReadRaw(from);
  if (reader->position() != from) reader->Seek(from);
  const auto run = reader->Next(ship.limit_bytes, ship.end_limit);
  if (!run.ok() || run.value().end == run.value().from) {
    reader.reset();
    return Shipped{ship.to, from};
  }
  Message message = core_->Complete(ship, run.value().end);
  std::get<Records>(message.body).bytes = run.value().bytes;
  Send(message);
  return Shipped{ship.to, run.value().end};
}

// What local writers have appended, and what has got to the kernel and to the disk.
void Replication::TellLog() {
  if (rolling_back_ || switching_ || failed_) return;
  if (core_->role() == Role::kPrimary) {
    // A reign begins with a record, so what is visible ends with a transaction.
    const Lsn visible = log_.End(Level::kMemory);
    if (visible > end_ && end_.value > 0) {
      NoteWhole(visible);
      Step(LogAppended{visible, {}});
    }
  }
  // Whoever needs what lies below is offered a snapshot.
  const Lsn start = log_.Start();
  if (start > core_->state().log.start && start <= end_) Step(LogTrimmed{start});
  if (whole_ > applied_) {
    applied_ = whole_;
    Step(LogApplied{applied_});
  }
  const Lsn flushed = LastEndWithin(log_.End(Level::kFlushed));
  const Lsn written = std::max(flushed, LastEndWithin(log_.End(Level::kWritten)));
  if (written > written_) {
    written_ = written;
    Step(LogWritten{written, history_});
  }
  if (flushed > flushed_) {
    flushed_ = flushed;
    while (!open_ends_.empty() && open_ends_.front() <= flushed) open_ends_.pop_front();
    Step(LogFlushed{flushed, history_});
  }
}

// A whole transaction ends there; the disk is asked for it when the step is done.
void Replication::NoteWhole(Lsn end) {
  if (end <= whole_) return;
  whole_ = end;
  end_ = std::max(end_, end);
  open_ends_.push_back(end);
}

// The last end of a transaction, of those that the core knows, at or below.
Lsn Replication::LastEndWithin(Lsn position) const {
  const auto above = std::upper_bound(open_ends_.begin(), open_ends_.end(), position);
  return above == open_ends_.begin() ? flushed_ : *std::prev(above);
}

// So that the log may let go of what is committed and in the base.
void Replication::KeepTables() {
  const Lsn commit = core_->commit();
  const uint64_t behind = commit.value - std::min(commit, tables_.position).value;
  if (keeping_tables_ || switching_ || behind < log_.identity().segment_bytes) return;
  keeping_tables_ = true;
  tables_.position = commit;
  tables_.terms.clear();
  const LogState& log = core_->state().log;
  for (const TermStart& row : log.terms.rows()) {
    if (row.start < commit) tables_.terms.push_back(row);
  }
  for (const ConfigurationAt& at : log.configurations) {
    if (at.end <= commit) tables_.configuration = at;
  }
  disk_->Do([this, tables = tables_] {
    // Data ahead of its own log is none: what is committed may be on the disks of others only.
    Status status = log_.WaitFor(tables.position, Level::kFlushed);
    if (status.ok()) status = SaveGroupTables(env_, directory_, tables);
    if (status.ok()) status = log_.AdvanceConsumer(kGroupConsumer, tables.position);
    keeping_tables_.store(false, std::memory_order_release);
  });
}

}  // namespace ringleader
