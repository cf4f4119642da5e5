#include "core/replicator.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace ringleader {

namespace {

const Configuration kNoConfiguration;

// Of a reign, not of a promise: a primary that has asked for a higher ballot still ships under the
// one it leads with.
bool SpeaksAsPrimary(const Body& body) {
  return std::holds_alternative<Records>(body) || std::holds_alternative<Heartbeat>(body) ||
         std::holds_alternative<Outdated>(body) || std::holds_alternative<SnapshotPiece>(body) ||
         std::holds_alternative<ReadReply>(body) || std::holds_alternative<Nominate>(body);
}

}  // namespace

Replicator::Replicator(const CoreOptions& options, const Start& start, Nanos now)
    : options_(options) {
  RL_CHECK(CheckOptions(options).ok());
  RL_CHECK(start.log_start <= start.log_end);
  state_.now = now;
  LogState& log = state_.log;
  log.start = start.log_start;
  log.end = log.written = log.flushed = start.log_end;
  log.terms = start.terms;
  log.configurations = start.configurations;
  PromiseState& promise = state_.promise;
  promise.hard = start.hard_state;
  promise.hard.group_id = options.group_id;
  promise.hard.self = options.self;
  promise.hard.incarnation = options.incarnation;
  promise.saved = promise.promised = start.hard_state.sequence;
  // A hint: what it says is committed counts as far as the log was found whole. And only what was
  // committed has ever been trimmed.
  state_.commit = std::max(std::min(start.hard_state.commit, start.log_end), start.log_start);
  // Records of a newer term may have reached the disk before the promise to it did.
  if (log.terms.last() > promise.hard.promised) Promise(log.terms.last());
  if (options.base_api) {
    state_.heard.copies = 1;
    state_.heard.members = {{options.self, options.incarnation, options.kind, options.priority}};
    if (options.voters > 0) SetVoters(options.voters, 0);
  }
  state_.replica.sync_allowed = !options.delayed_sync;
  state_.replica.fetch.head.id = start.snapshot_id;
  state_.replica.fetch.kept = start.snapshot_bytes;
  state_.election.due = now + ElectionDelay();
  if (options.lease > 0 && !RL_MUTANT(kLeaseForgotten)) {
    state_.election.free_at = now + options.lease + Drift(options.lease);
  }
}

void Replicator::Step(const Input& input, Outputs* out) {
  RL_CHECK(input.now >= state_.now);
  state_.now = input.now;
  out_ = out;
  std::visit([this](const auto& event) { On(event); }, input.event);
  Advance();
  out->commit = state_.commit;
  out_ = nullptr;
}

// What follows from the state, whatever has changed it. Every part does nothing where nothing is
// due, so the order matters only where one makes work for the next.
void Replicator::Advance() {
  ElectionTimers();
  if (state_.role == Role::kPrimary) {
    AdvanceCommit();
    AdvanceInSync();
    if (state_.role == Role::kPrimary) AdvanceHandover();
    if (state_.role == Role::kPrimary) PrimaryTimers();
    if (state_.role == Role::kPrimary) {
      AnswerReads();
      ShipAll();
      SendHeartbeats();
    }
  } else {
    ReplicaTimers();
    SendAck();
  }
  SaveCommit();
  PromiseState& promise = state_.promise;
  if (promise.dirty && !promise.in_flight && !state_.broken) {
    ++promise.hard.sequence;
    promise.hard.commit = std::max(promise.hard.commit, ElectionSafe() ? state_.commit : Lsn(0));
    promise.dirty = false;
    promise.in_flight = true;
    promise.commit_at = 0;
    out_->save = promise.hard;
  }
}

// Nothing rests on the commit position in the hard state (docs/PROTOCOL.md, "What a restart
// remembers"), but the older it is, the longer readers wait after one. One flush in an interval in
// which something was committed, and none in any other.
void Replicator::SaveCommit() {
  PromiseState& promise = state_.promise;
  if (state_.commit <= promise.hard.commit || options_.commit_save_interval == 0) return;
  if (state_.broken || !ElectionSafe()) {
    promise.commit_at = 0;
  } else if (promise.commit_at == 0) {
    promise.commit_at = state_.now + options_.commit_save_interval;
  } else if (state_.now >= promise.commit_at) {
    promise.commit_at = 0;
    Save();
  }
}

Nanos Replicator::Deadline() const {
  Nanos deadline = UINT64_MAX;
  const auto add = [&deadline](Nanos at) {
    if (at != 0) deadline = std::min(deadline, at);
  };
  const ElectionState& election = state_.election;
  const bool leads = state_.role == Role::kPrimary;
  if (election.phase == ElectionPhase::kIdle) {
    if (!leads && !options_.base_api && MayLead()) add(election.due);
    if (!leads && MayOffer()) add(OfferAt());
  } else {
    add(election.ends);
    add(election.waits_until);
  }
  add(state_.promise.commit_at);
  // While it is being asked, the answer is what comes next.
  const bool swaps = leads || election.phase == ElectionPhase::kSwapping;
  if (swaps && !state_.in_sync.asked) add(state_.in_sync.retry_at);
  if (leads) {
    add(state_.primary.heartbeat_at);
    add(state_.primary.handover_ends);
  } else {
    add(state_.replica.missing_at);
    add(state_.replica.fetch.ask_at);
    if (state_.replica.fetch.wanted && !state_.replica.fetch.keeping) {
      add(state_.replica.fetch.ends);
    }
    for (const AskedRead& read : state_.replica.reads) {
      add(read.asked_at + options_.election_timeout);
    }
  }
  return deadline;
}

Ballot Replicator::term() const {
  return state_.role == Role::kPrimary ? state_.primary.term : state_.replica.ballot;
}

MemberId Replicator::primary() const {
  return state_.role == Role::kPrimary ? options_.self : state_.replica.primary;
}

const Configuration& Replicator::configuration() const {
  if (options_.base_api) return state_.heard;
  const auto& all = state_.log.configurations;
  return all.empty() ? kNoConfiguration : all.back().configuration;
}

bool Replicator::ElectionSafe() const {
  const Configuration& now = configuration();
  if (now.rule == QuorumRule::kInSync) return true;
  if (!options_.base_api) return now.version > 0 && now.ElectionSafe();
  const uint32_t votes = state_.promise.hard.smallest_votes;
  return now.voters > 0 && votes > 0 && now.copies + votes > now.voters;
}

Message Replicator::Envelope(MemberId to, Body body) const {
  Message message;
  message.from = options_.self;
  message.to = to;
  message.incarnation = options_.incarnation;
  const Member* self = Self();
  message.kind = self != nullptr ? self->kind : options_.kind;
  const bool reign = state_.role == Role::kPrimary && SpeaksAsPrimary(body);
  if (auto* piece = std::get_if<SnapshotPiece>(&body)) piece->from_primary = reign;
  message.ballot = reign ? state_.primary.term : state_.promise.hard.promised;
  if (RL_MUTANT(kAckOldReign) && std::holds_alternative<Ack>(body)) {
    message.ballot = state_.replica.ballot;
  }
  message.body = std::move(body);
  return message;
}

Message Replicator::Complete(const Ship& ship, Lsn end) const {
  RL_CHECK(ship.head.previous.lsn < end && end <= ship.end_limit);
  Records records = ship.head;
  records.end = end;
  records.terms = state_.log.terms.Between(records.previous.lsn, end, kMaxTermsInMessage);
  return Envelope(ship.to, std::move(records));
}

void Replicator::On(const Receive& event) {
  const Message& message = event.message;
  if (message.from == options_.self || message.from == kNobody) return;
  if (message.to != options_.self && message.to != kNobody) return;
  const uint32_t known =
      std::max(state_.promise.hard.promised.counter.value, state_.election.seen.value);
  if (message.ballot.counter.value > known && message.ballot.counter.value - known > kMaxBallotJump)
    return;
  state_.election.seen = std::max(state_.election.seen, message.ballot.counter);
  std::erase(state_.election.dead, message.from);
  HearOf(message);
  std::visit([this, &message](const auto& body) { On(message, body); }, message.body);
}

void Replicator::HearOf(const Message& message) {
  if (!options_.base_api) return;
  std::vector<Member>& members = state_.heard.members;
  const auto at = std::lower_bound(members.begin(), members.end(), message.from,
                                   [](const Member& m, MemberId id) { return m.id < id; });
  if (at != members.end() && at->id == message.from) {
    at->incarnation = message.incarnation;
    at->kind = message.kind;
    return;
  }
  if (members.size() < kMaxMembers) {
    members.insert(at, Member{message.from, message.incarnation, message.kind, 0});
  }
}

void Replicator::On(const LogAppended& event) {
  LogState& log = state_.log;
  RL_CHECK(event.end >= log.end && !log.rolling_back);
  ReplicaState& replica = state_.replica;
  if (state_.role == Role::kPrimary || replica.appending.value == 0) {
    log.end = event.end;
    return;
  }
  RL_CHECK(event.end <= replica.appending);
  const bool grown = event.end > log.end;
  log.end = event.end;
  TakeTables(event.end, replica.new_terms, event.configurations);
  if (replica.appending_primarys) {
    // What came from the primary follows what was certainly the primary's.
    replica.matched = std::max(replica.matched, event.end);
    RaiseCommit(std::min(replica.commit, replica.matched));
  }
  replica.appending = Lsn(0);
  replica.new_terms.clear();
  if (grown) {
    replica.missing_at = 0;
    replica.missing_wait = 0;
    replica.missing_tries = 0;
    if (!replica.appending_primarys) AskForDonation();
  }
  if ((replica.levels & AckLevel::kReceived) != 0) replica.ack_due = true;
}

void Replicator::TakeTables(Lsn end, const std::vector<TermStart>& terms,
                            const std::vector<ConfigurationAt>& configurations) {
  for (const TermStart& row : terms) {
    if (row.start < end) RL_CHECK(state_.log.terms.Add(row));
  }
  for (const ConfigurationAt& at : configurations) {
    RL_CHECK(at.end <= end);
    state_.log.configurations.push_back(at);
    Tell(NoticeKind::kConfigured).position = state_.log.terms.PositionAt(at.end);
  }
}

void Replicator::On(const LogWritten& event) {
  LogState& log = state_.log;
  if (event.history != log.history) return;
  log.written = std::max(log.written, std::min(event.end, log.end));
  if ((state_.replica.levels & AckLevel::kWritten) != 0) state_.replica.ack_due = true;
}

void Replicator::On(const LogFlushed& event) {
  LogState& log = state_.log;
  // Of a log that has been rolled back since: what was flushed may not be what is there now.
  if (event.history != log.history && !RL_MUTANT(kCountOldFlush)) return;
  const Lsn end = std::min(event.end, log.end);
  if (end <= log.flushed) return;
  log.flushed = end;
  log.written = std::max(log.written, end);
  state_.replica.ack_due = true;
}

void Replicator::On(const LogApplied& event) {
  state_.log.applied = std::max(state_.log.applied, std::min(event.end, state_.log.end));
  if ((state_.replica.levels & AckLevel::kApplied) != 0) state_.replica.ack_due = true;
}

void Replicator::On(const LogTrimmed& event) {
  RL_CHECK(event.start <= state_.log.end);
  state_.log.start = std::max(state_.log.start, event.start);
}

void Replicator::On(const DiskFailed&) {
  state_.broken = true;
  state_.election.grant.reset();
  if (state_.role == Role::kPrimary) StepDown(NoticeKind::kLostQuorum);
  EndElection();
  state_.replica.ack_due = true;
}

void Replicator::On(const HardStateSaved& event) {
  PromiseState& promise = state_.promise;
  RL_CHECK(promise.in_flight && event.sequence == promise.hard.sequence);
  promise.in_flight = false;
  promise.saved = event.sequence;
  if (!PromiseFlushed()) return;
  GiveGrant();
  ElectionState& election = state_.election;
  if (election.candidate != promise.hard.promised) return;
  if (election.phase == ElectionPhase::kAppointed) {
    Lead();
  } else if (election.phase == ElectionPhase::kSwapping) {
    GoOnSwapping();
  } else if (election.phase == ElectionPhase::kVoting && election.votes.empty()) {
    election.votes.push_back(options_.self);
    election.waits_until = state_.now;  // ElectionTimers asks the others
    CountVotes();
  }
}

void Replicator::On(const SetLimit& event) { options_.request_bytes = event.bytes; }

void Replicator::On(const SetLevels& event) { state_.levels = event.levels; }

void Replicator::On(const FollowNow& event) {
  if (event.contact && event.contact->size() <= kMaxContactBytes) options_.contact = *event.contact;
  if (state_.role == Role::kPrimary) StepDown(NoticeKind::kRole);
  EndElection();
  Hello hello;
  hello.last = FlushedPosition();
  hello.contact = options_.contact;
  SendTo(kNobody, std::move(hello));
}

void Replicator::Promise(Ballot ballot) {
  PromiseState& promise = state_.promise;
  RL_CHECK(ballot > promise.hard.promised);
  promise.hard.promised = ballot;
  promise.promised = promise.hard.sequence + 1;
  Save();
}

bool Replicator::PromiseFlushed() const {
  if (RL_MUTANT(kSpeakUnflushed)) return true;
  return state_.promise.saved >= state_.promise.promised && !state_.broken;
}

void Replicator::Save() { state_.promise.dirty = true; }

void Replicator::SendTo(MemberId to, Body body) {
  out_->send.push_back(Envelope(to, std::move(body)));
}

void Replicator::SendToVoters(const Body& body) {
  if (options_.base_api) {
    SendTo(kNobody, body);
    return;
  }
  std::vector<MemberId> voters;
  for (const Configuration* one : InEffect()) {
    for (const Member& member : one->members) {
      if (member.kind == MemberKind::kVoter && member.id != options_.self) {
        voters.push_back(member.id);
      }
    }
  }
  std::sort(voters.begin(), voters.end());
  voters.erase(std::unique(voters.begin(), voters.end()), voters.end());
  for (const MemberId voter : voters) SendTo(voter, body);
}

std::vector<const Configuration*> Replicator::InEffect() const {
  std::vector<const Configuration*> all = {&configuration()};
  if (options_.base_api) return all;
  const std::vector<ConfigurationAt>& known = state_.log.configurations;
  if (RL_MUTANT(kOneConfiguration)) return all;
  if (known.size() < 2 || known.back().end <= state_.commit) return all;
  const Configuration& before = known[known.size() - 2].configuration;
  // Where one between the two is missing, whoever sent the newest knew that it is committed: it had
  // forgotten the one before.
  if (before.version + 1 == known.back().configuration.version) all.push_back(&before);
  return all;
}

Notice& Replicator::Tell(NoticeKind kind) {
  Notice& notice = out_->events.emplace_back();
  notice.kind = kind;
  notice.role = state_.role;
  notice.term = term();
  notice.member = primary();
  return notice;
}

Position Replicator::FlushedPosition() const {
  return state_.log.terms.PositionAt(state_.log.flushed);
}

const Member* Replicator::Self() const {
  const Member* learner = nullptr;
  for (const Configuration* one : InEffect()) {
    const Member* self = VoterIn(*one, options_.self, options_.incarnation);
    if (self != nullptr) return self;
    self = one->Find(options_.self);
    if (learner == nullptr && self != nullptr && IsSelf(*self)) learner = self;
  }
  return learner;
}

const Member* Replicator::VoterIn(const Configuration& configuration, MemberId id,
                                  Incarnation incarnation) {
  const Member* member = configuration.Find(id);
  if (member == nullptr || member->kind != MemberKind::kVoter) return nullptr;
  return member->incarnation == incarnation ? member : nullptr;
}

bool Replicator::MayCount(MemberId id, Incarnation incarnation) const {
  const std::vector<const Configuration*> all = InEffect();
  return std::any_of(all.begin(), all.end(), [id, incarnation](const Configuration* one) {
    return VoterIn(*one, id, incarnation) != nullptr;
  });
}

bool Replicator::MayCount(const Message& message) const {
  return MayCount(message.from, message.incarnation);
}

bool Replicator::IsVoter() const {
  const Member* self = Self();
  return self != nullptr && self->kind == MemberKind::kVoter;
}

uint32_t Replicator::Priority() const {
  if (options_.base_api) return options_.priority;
  const Member* self = Self();
  return self != nullptr ? self->priority : 0;
}

void Replicator::RaiseCommit(Lsn to) {
  if (to <= state_.commit) return;
  RL_CHECK(to <= state_.log.end);
  state_.commit = to;
  std::vector<ConfigurationAt>& all = state_.log.configurations;
  // Only the newest of those that nobody can take back any more is needed. After a restart the one
  // before it would be in effect again, and its voters asked, who may be gone for good.
  while (all.size() > 1 && all[1].end <= to) {
    all.erase(all.begin());
    Save();
  }
  ConfigurationsCommitted();
}

}  // namespace ringleader
