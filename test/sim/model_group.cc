#include "model_group.h"

#include <algorithm>
#include <utility>

#include "core/state_hash.h"

namespace ringleader::sim {

TermTable ModelLog::Terms() const {
  TermTable terms;
  for (const ModelRecord& record : records_) {
    if (record.kind == ModelKind::kTerm) RL_CHECK(terms.Add({record.term, record.start}));
  }
  return terms;
}

std::vector<ConfigurationAt> ModelLog::Configurations() const {
  std::vector<ConfigurationAt> all;
  for (const ModelRecord& record : records_) {
    if (record.kind == ModelKind::kConfiguration) all.push_back({record.end, record.configuration});
  }
  return all;
}

std::vector<ModelRecord> ModelMember::History() const {
  std::vector<ModelRecord> all = below_;
  all.insert(all.end(), log_.records().begin(), log_.records().end());
  return all;
}

ModelGroup::ModelGroup(const std::vector<CoreOptions>& members) : rules_(members.size()) {
  for (const CoreOptions& options : members) members_.emplace_back(ModelMember(options));
  for (size_t i = 0; i < members_.size(); ++i) Restart(i);
}

size_t ModelGroup::IndexOf(MemberId id) const {
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i]->id() == id) return i;
  }
  return members_.size();
}

void ModelGroup::Move(Nanos by) {
  now_ += by;
  for (Shared<ModelMember>& shared : members_) {
    ModelMember& member = shared.Edit();
    const auto ppm = static_cast<uint64_t>(1'000'000 + member.drift_ppm_);
    member.now_ += by / 1'000'000 * ppm + by % 1'000'000 * ppm / 1'000'000;
  }
}

void ModelGroup::TickAll() {
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i]->up()) Tick(i);
  }
}

void ModelGroup::Deliver(size_t packet) {
  const Packet taken = network_[packet];
  network_.erase(network_.begin() + static_cast<ptrdiff_t>(packet));
  const size_t to = IndexOf(taken.message.to);
  if (to < size() && members_[to]->up()) Step(to, Receive{taken.message}, &taken);
}

void ModelGroup::Repeat(size_t packet) {
  const Packet taken = network_[packet];
  const size_t to = IndexOf(taken.message.to);
  if (to < size() && members_[to]->up()) Step(to, Receive{taken.message}, &taken);
}

void ModelGroup::Delay(size_t packet) {
  const auto at = network_.begin() + static_cast<ptrdiff_t>(packet);
  std::rotate(at, at + 1, network_.end());
}

void ModelGroup::Lose(size_t packet) {
  network_.erase(network_.begin() + static_cast<ptrdiff_t>(packet));
}

void ModelGroup::Write(size_t index, uint64_t value) {
  ModelMember& member = members_[index].Edit();
  RL_CHECK(member.writable_);
  member.log_.Append(member.core().term(), ModelKind::kData, value);
  Step(index, LogAppended{member.log_.end()});
}

void ModelGroup::Flush(size_t index) {
  ModelMember& member = members_[index].Edit();
  member.flushed_ = member.log_.end();
  member.disk_.log = member.log_;
  Step(index, LogFlushed{member.flushed_, member.history_});
}

void ModelGroup::StartFlush(size_t index) {
  ModelMember& member = members_[index].Edit();
  RL_CHECK(!member.flushing_);
  member.flushing_ = LogFlushed{member.log_.end(), member.history_};
}

void ModelGroup::FinishFlush(size_t index) {
  ModelMember& member = members_[index].Edit();
  const LogFlushed done = *std::exchange(member.flushing_, std::nullopt);
  // Bytes of a log that has been rolled back since are nowhere any more.
  if (done.history == member.history_ && done.end > member.flushed_) {
    member.flushed_ = done.end;
    member.disk_.log = member.log_;
    member.disk_.log.CutTo(done.end);
  }
  Step(index, done);
}

void ModelGroup::SaveHardState(size_t index) {
  ModelMember& member = members_[index].Edit();
  member.disk_.hard_state = *std::exchange(member.saving_, std::nullopt);
  Step(index, HardStateSaved{member.disk_.hard_state->sequence});
}

void ModelGroup::AnswerWitness(size_t index, bool lost) {
  const WitnessRequest asked = *std::exchange(members_[index].Edit().asking_, std::nullopt);
  WitnessAnswer answer;
  answer.outcome = Swap(asked) ? WitnessOutcome::kDone : WitnessOutcome::kConflict;
  answer.value = witness_;
  if (lost) answer = {WitnessOutcome::kUnknown, {}};
  Step(index, answer);
}

// Where it asks for no change it only reads.
bool ModelGroup::Swap(const WitnessRequest& asked) {
  if (asked.expected == asked.value) return true;
  if (asked.expected != witness_) return false;
  witness_ = asked.value;
  for (const Incarnation copy : witness_.in_sync) {
    if (!asked.expected.Holds(copy)) rules_.Grows(*this, copy);
  }
  return true;
}

void ModelGroup::SwapLate(size_t swap) {
  Swap(late_swaps_[swap]);
  LoseSwap(swap);
}

void ModelGroup::LoseSwap(size_t swap) {
  late_swaps_.erase(late_swaps_.begin() + static_cast<ptrdiff_t>(swap));
}

void ModelGroup::FailWitness(size_t index) {
  members_[index].Edit().asking_.reset();
  Step(index, WitnessAnswer{WitnessOutcome::kUnknown, {}});
}

void ModelGroup::LoseFlushed(size_t index, Lsn end) {
  ModelMember& member = members_[index].Edit();
  RL_CHECK(!member.up());
  member.disk_.log.CutTo(end);
  lied_ = true;
  rules_.Lied();
}

void ModelGroup::SetWitness(const WitnessRegister& value) {
  witness_ = value;
  lied_ = true;
  rules_.Lied();
}

void ModelGroup::SetHardState(size_t index, const std::optional<HardState>& hard_state) {
  RL_CHECK(!members_[index]->up());
  members_[index].Edit().disk_.hard_state = hard_state;
}

void ModelGroup::Crash(size_t index) {
  ModelMember& member = members_[index].Edit();
  member.core_.reset();
  member.writable_ = false;
  member.saving_.reset();
  member.flushing_.reset();
  if (member.asking_ && member.asking_->expected != member.asking_->value) {
    late_swaps_.push_back(*member.asking_);
  }
  member.asking_.reset();
}

void ModelGroup::Kill(size_t index) {
  ModelMember& member = members_[index].Edit();
  member.disk_.log = member.log_;
  Crash(index);
}

void ModelGroup::Restart(size_t index) {
  ModelMember& member = members_[index].Edit();
  RL_CHECK(!member.up());
  Start start;
  if (member.disk_.hard_state) start.hard_state = *member.disk_.hard_state;
  member.log_ = member.disk_.log;
  member.below_ = member.disk_.below;
  member.flushed_ = member.log_.end();
  member.history_ = 0;
  start.log_start = member.log_.start();
  start.log_end = member.log_.end();
  // Terms and configurations of what has been trimmed are kept with what replaces it.
  TermTable terms;
  for (const ModelRecord& record : member.History()) {
    if (record.kind == ModelKind::kTerm) RL_CHECK(terms.Add({record.term, record.start}));
    if (record.kind != ModelKind::kConfiguration) continue;
    start.configurations.push_back({record.end, record.configuration});
  }
  start.terms = terms;
  const Lsn commit = std::min(start.hard_state.commit, start.log_end);
  auto& all = start.configurations;
  while (all.size() > 1 && all[1].end <= commit) all.erase(all.begin());
  member.core_.emplace(member.options_, start, member.now_);
  rules_.Restarted(index);
  Tick(index);
}

void ModelGroup::Trim(size_t index, Lsn start) {
  ModelMember& member = members_[index].Edit();
  for (const ModelRecord& record : member.log_.records()) {
    if (record.end <= start) member.below_.push_back(record);
  }
  member.log_.TrimTo(start);
  member.disk_.log.TrimTo(start);
  member.disk_.below = member.below_;
  Step(index, LogTrimmed{start});
}

void ModelGroup::NewDisk(size_t index, Incarnation incarnation) {
  ModelMember& member = members_[index].Edit();
  RL_CHECK(!member.up());
  rules_.Replaced(member, index);
  member.disk_ = {};
  member.options_.incarnation = incarnation;
}

void ModelGroup::Step(size_t index, Event event, const Packet* packet) {
  if (!members_[index]->up()) return;
  ModelMember& member = members_[index].Edit();
  ++steps_;
  Outputs out;
  if (depth_ == 0) {
    member.notices_.clear();
    member.reads_.clear();
  }
  rules_.Before(member, event);
  const Lsn commit = member.core().commit();
  const Ballot reign = member.core().state().primary.term;
  const Input input{member.now_, std::move(event)};
  member.core_->Step(input, &out);
  rules_.After(member, index, input.event);
  rules_.Stepped(*this, index, commit, reign);
  ++depth_;
  Perform(index, out, packet);
  --depth_;
  if (members_[index]->core().role() == Role::kPrimary) Acknowledge(index);
}

void ModelGroup::Perform(size_t index, Outputs& out, const Packet* packet) {
  ModelMember& member = members_[index].Edit();
  std::vector<Event> next;
  for (const LogAction& action : out.log) {
    if (std::optional<Event> answer = PerformLog(index, action, packet)) {
      next.push_back(std::move(*answer));
    }
  }
  if (out.save) {
    RL_CHECK(!member.saving_);
    member.saving_ = out.save;
  }
  if (out.witness) {
    RL_CHECK(!member.asking_);
    member.asking_ = out.witness;
  }
  for (Message& message : out.send) {
    rules_.Sends(*this, index, message);
    for (const Shared<ModelMember>& other : members_) {
      if (other->id() == member.id()) continue;
      if (message.to != kNobody && message.to != other->id()) continue;
      Packet packet_out{message, {}, {}, {}};
      packet_out.message.to = other->id();
      network_.push_back(std::move(packet_out));
    }
  }
  member.notices_.insert(member.notices_.end(), out.events.begin(), out.events.end());
  member.reads_.insert(member.reads_.end(), out.reads.begin(), out.reads.end());
  for (const ReadReady& answer : out.reads) rules_.AnswersRead(member, answer);
  for (const SendPiece& piece : out.pieces) {
    SnapshotPiece body;
    body.head.id = member.options_.incarnation.value * 1000 + member.core().commit().value + 1;
    body.head.position = member.core().state().log.terms.PositionAt(member.core().commit());
    body.last = true;
    Packet packet_out;
    for (const ModelRecord& record : member.History()) {
      if (record.end > body.head.position.lsn) break;
      packet_out.snapshot.push_back(record);
      if (record.kind == ModelKind::kTerm) body.head.terms.push_back({record.term, record.start});
      if (record.kind != ModelKind::kConfiguration) continue;
      body.head.configuration = {record.end, record.configuration};
    }
    packet_out.message = member.core().Envelope(piece.to, std::move(body));
    network_.push_back(std::move(packet_out));
  }
  for (const KeepPiece& piece : out.keep) {
    member.below_ = packet->snapshot;
    member.log_.Reset(piece.head.position.lsn);
    member.flushed_ = member.log_.end();
    ++member.history_;
    member.disk_.log = member.log_;
    member.disk_.below = member.below_;
    rules_.DiskChanged(*this, index);
    next.push_back(SnapshotKept{piece.head.id, 1, false});
    next.push_back(SnapshotInstalled{piece.head});
  }
  const std::vector<Ship> ships = std::move(out.ship);
  for (Event& event : next) Step(index, std::move(event));
  for (const Ship& ship : ships) SendShip(index, ship);
}

std::optional<Event> ModelGroup::PerformLog(size_t index, const LogAction& action,
                                            const Packet* packet) {
  ModelMember& member = members_[index].Edit();
  if (std::holds_alternative<StopWriters>(action)) {
    member.writable_ = false;
    return std::nullopt;
  }
  if (std::holds_alternative<ResumeWriters>(action)) {
    member.writable_ = true;
    return std::nullopt;
  }
  if (const auto* append = std::get_if<AppendRecords>(&action)) {
    rules_.Appends(member, std::get<Records>(packet->message.body));
    LogAppended appended;
    for (const ModelRecord& record : packet->records) {
      if (record.start < append->from) continue;
      member.log_.Take(record);
      if (record.kind != ModelKind::kConfiguration) continue;
      appended.configurations.push_back({record.end, record.configuration});
    }
    RL_CHECK(member.log_.end() == append->end);
    appended.end = append->end;
    return appended;
  }
  if (const auto* term = std::get_if<AppendTerm>(&action)) {
    const ModelRecord& record = member.log_.Append(term->term, ModelKind::kTerm, 0);
    member.writable_ = true;
    return TermAppended{term->term, record.start, record.end};
  }
  if (const auto* configuration = std::get_if<AppendConfiguration>(&action)) {
    rules_.AppendsConfiguration(member, configuration->configuration);
    member.log_.Append(member.core().term(), ModelKind::kConfiguration, 0);
    member.log_.back().configuration = configuration->configuration;
    return ConfigurationAppended{configuration->configuration, member.log_.end()};
  }
  const RollBack& back = std::get<RollBack>(action);
  for (const ModelRecord& record : member.log_.records()) {
    if (record.start >= back.to) ++member.disk_.discarded;
  }
  member.log_.CutTo(back.to);
  member.flushed_ = member.log_.end();
  member.disk_.log = member.log_;
  rules_.DiskChanged(*this, index);
  ++member.history_;
  return LogRolledBack{back.to};
}

void ModelGroup::SendShip(size_t index, const Ship& ship) {
  const ModelMember& member = *members_[index];
  if (!member.up()) return;
  Packet packet;
  packet.records = member.log_.Read(ship.head.previous.lsn, ship.end_limit, ship.limit_bytes);
  const Lsn end = packet.records.empty() ? ship.head.previous.lsn : packet.records.back().end;
  if (!packet.records.empty()) {
    packet.message = member.core().Complete(ship, end);
    network_.push_back(std::move(packet));
  }
  if (ship.head.from_primary) Step(index, Shipped{ship.to, end});
}

// A primary tells its writers of everything below its commit position, where that is safe.
void ModelGroup::Acknowledge(size_t index) {
  const ModelMember& member = *members_[index];
  if (!member.core().ElectionSafe()) return;
  // Nothing that has been told is told again, from the newest one back.
  for (size_t i = member.records(); i-- > 0;) {
    const ModelRecord& record = member.record(i);
    if (record.end > member.core().commit() || record.kind != ModelKind::kData) continue;
    if (acknowledged_->contains(record.end.value)) break;
    acknowledged_.Edit().emplace(record.end.value, record);
  }
}

uint64_t ModelGroup::Hash() const {
  StateHash hash;
  hash.Add(now_);
  for (const Shared<ModelMember>& member : members_) hash.Add(*member);
  // A network has no order.
  std::vector<uint64_t> packets;
  for (const Packet& packet : network_) packets.push_back(HashOf(packet));
  std::sort(packets.begin(), packets.end());
  hash.Add(packets);
  hash.Add(witness_);
  hash.Add(late_swaps_);
  hash.Add(rules_);
  return hash.value();
}

}  // namespace ringleader::sim
