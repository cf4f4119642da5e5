#include "core/invariants.h"

#include <algorithm>

#include "core/text.h"

namespace ringleader {
namespace {

std::string Wrong(const char* what) { return what; }

std::string CheckLog(const CoreState& state) {
  const LogState& log = state.log;
  if (log.start > log.end) return Wrong("the log begins behind its end");
  if (log.flushed > log.written) return Wrong("more is flushed than written");
  if (log.written > log.end) return Wrong("more is written than there is");
  if (log.applied > log.end) return Wrong("more is applied than there is");
  if (state.commit > log.end) return Wrong("more is committed than there is");
  if (!Ascends(log.terms.rows())) return Wrong("the terms of the log do not ascend");
  if (!log.terms.rows().empty() && log.terms.rows().back().start >= log.end) {
    return Wrong("a term begins behind the end of the log");
  }
  if (log.terms.last() > state.promise.hard.promised) {
    return Wrong("the log has a term that is not promised");
  }
  for (size_t i = 0; i < log.configurations.size(); ++i) {
    const ConfigurationAt& at = log.configurations[i];
    if (at.end > log.end) return Wrong("a configuration ends behind the end of the log");
    if (i == 0) continue;
    const ConfigurationAt& below = log.configurations[i - 1];
    if (at.end <= below.end) return Wrong("configurations are not in the log's order");
    if (at.configuration.version <= below.configuration.version) {
      return Wrong("a configuration does not follow the one before it");
    }
  }
  return "";
}

std::string CheckPromise(const PromiseState& promise) {
  if (promise.saved > promise.hard.sequence) return Wrong("more is saved than was asked for");
  if (promise.in_flight != (promise.saved < promise.hard.sequence)) {
    return Wrong("a save is under way that is not, or the other way round");
  }
  if (promise.promised > promise.hard.sequence + 1) return Wrong("a promise of no save");
  if (promise.promised > promise.hard.sequence && !promise.dirty) {
    return Wrong("a promise that nobody saves");
  }
  return "";
}

std::string CheckElection(const Replicator& core) {
  const CoreState& state = core.state();
  const ElectionState& election = state.election;
  const bool asks = election.phase == ElectionPhase::kVoting;
  if (asks && election.candidate.incarnation != core.options().incarnation) {
    return Wrong("a candidate asks for a ballot of another copy");
  }
  if (asks && election.candidate > state.promise.hard.promised) {
    return Wrong("a candidate has not promised its own ballot");
  }
  if (election.phase == ElectionPhase::kIdle) {
    if (!election.votes.empty() || !election.answers.empty()) {
      return Wrong("votes without an election");
    }
    if (state.role == Role::kCandidate) return Wrong("a candidate of no election");
  }
  if (election.grant && election.grant->candidate > state.promise.hard.promised) {
    return Wrong("a vote is given that is not promised");
  }
  std::vector<MemberId> votes = election.votes;
  std::sort(votes.begin(), votes.end());
  if (std::adjacent_find(votes.begin(), votes.end()) != votes.end()) {
    return Wrong("a vote is counted twice");
  }
  return "";
}

// progress.h says what holds between the positions.
std::string CheckPeer(const CoreState& state, const Progress& peer) {
  if (peer.received > state.log.end || peer.next > state.log.end) {
    return Wrong("a replica has more than the primary");
  }
  if (peer.flushed > peer.written || peer.written > peer.received) {
    return Wrong("a replica has flushed more than it has");
  }
  if (peer.applied > peer.received) return Wrong("a replica has applied more than it has");
  if (peer.state == PeerState::kStreaming && peer.received > peer.next) {
    return Wrong("a replica is sent what it has");
  }
  if (peer.echoed > state.now || peer.heard_at > state.now) {
    return Wrong("a replica has answered what was not asked yet");
  }
  return "";
}

// A primary steps down when V voters have not followed it for an election timeout.
bool IsFollowed(const Replicator& core) {
  const CoreState& state = core.state();
  const Configuration& now = core.configuration();
  const Nanos timeout = core.options().election_timeout;
  if (core.options().base_api || now.version == 0 || now.rule != QuorumRule::kVotes) return true;
  if (state.primary.changing != 0 || state.now - state.primary.since < timeout) return true;
  uint32_t voters = now.IsVoter(core.options().self) ? 1 : 0;
  for (const Progress& peer : state.primary.peers) {
    if (now.IsVoter(peer.id) && peer.echoed != 0 && state.now - peer.echoed < timeout) ++voters;
  }
  return voters >= now.votes;
}

std::string CheckPrimary(const Replicator& core) {
  const CoreState& state = core.state();
  const PrimaryState& primary = state.primary;
  if (primary.term.none()) return Wrong("a primary without a ballot");
  if (primary.term.incarnation != core.options().incarnation) {
    return Wrong("a primary with the ballot of another copy");
  }
  if (primary.term > state.promise.hard.promised) return Wrong("a reign that is not promised");
  if (!state.replica.ballot.none()) return Wrong("a primary follows another one");
  if (primary.term_end > state.log.end) return Wrong("the first record of the reign is not there");
  // A primary whose ballot is flushed leads; what it has appended is of that ballot.
  if (primary.term_end.value != 0 && state.log.terms.last() != primary.term) {
    return Wrong("a primary's log ends with another one's records");
  }
  if (state.log.rolling_back) return Wrong("a primary rolls back");
  if (!IsFollowed(core)) return Wrong("a primary leads that nobody follows");
  for (size_t i = 0; i < primary.peers.size(); ++i) {
    if (i > 0 && primary.peers[i].id <= primary.peers[i - 1].id) {
      return Wrong("members are not in order");
    }
    if (std::string problem = CheckPeer(state, primary.peers[i]); !problem.empty()) {
      return problem;
    }
  }
  return "";
}

std::string CheckReplica(const Replicator& core) {
  const CoreState& state = core.state();
  const ReplicaState& replica = state.replica;
  if (!state.primary.term.none() || !state.primary.peers.empty()) {
    return Wrong("a replica keeps the state of a reign");
  }
  if (replica.ballot > state.promise.hard.promised) {
    return Wrong("a primary is followed that was not promised to");
  }
  if (replica.ballot.none()) return "";
  if (replica.matched > state.log.end) return Wrong("more is the primary's than there is");
  if (replica.appending.value != 0 && replica.appending < state.log.end) {
    return Wrong("records are appended below the end of the log");
  }
  return "";
}

}  // namespace

std::string Invariants::Check(const Replicator& core) {
  const CoreState& state = core.state();
  std::string problem = CheckLog(state);
  if (problem.empty()) problem = CheckPromise(state.promise);
  if (problem.empty()) problem = CheckElection(core);
  if (problem.empty()) {
    problem = state.role == Role::kPrimary ? CheckPrimary(core) : CheckReplica(core);
  }
  if (problem.empty()) problem = CheckChange(core);
  if (problem.empty()) Remember(core);
  return problem;
}

std::string Invariants::CheckChange(const Replicator& core) const {
  const CoreState& state = core.state();
  const Ballot promised = state.promise.hard.promised;
  if (promised < before_.saved_promise) return Wrong("a promise on the disk is forgotten");
  if (state.promise.saved < before_.sequence) return Wrong("the hard state is an older one");
  if (!before_.running) return "";
  if (promised < before_.promised) return Wrong("a promise is taken back");
  if (state.now < before_.now) return Wrong("time goes back");
  // A roll-back may go behind what was taken for committed only where nobody promised otherwise.
  if (state.commit < before_.commit && before_.election_safe && core.ElectionSafe()) {
    return Wrong("the commit position goes back");
  }
  if (state.log.history == before_.history) {
    if (state.log.end < before_.end) return Wrong("the log shrinks without a roll-back");
    if (state.log.flushed < before_.flushed) return Wrong("flushed bytes are lost");
  }
  if (state.log.history < before_.history) return Wrong("a roll-back is forgotten");
  if (before_.role == Role::kPrimary && state.role == Role::kPrimary) {
    if (state.primary.term < before_.term) return Wrong("a reign goes back to an older ballot");
    if (state.log.history != before_.history) return Wrong("a primary has rolled back");
  }
  if (before_.role != Role::kPrimary && state.role == Role::kPrimary &&
      state.primary.term <= before_.term) {
    return Wrong("a ballot is used for a second reign");
  }
  if (state.in_sync.known.version < before_.register_version) {
    return Wrong("the witness's register goes back");
  }
  return "";
}

void Invariants::Remember(const Replicator& core) {
  const CoreState& state = core.state();
  const PromiseState& promise = state.promise;
  before_.running = true;
  before_.now = state.now;
  before_.role = state.role;
  before_.term = std::max(before_.term, state.primary.term);
  before_.promised = promise.hard.promised;
  before_.sequence = promise.saved;
  if (promise.saved >= promise.promised) before_.saved_promise = promise.hard.promised;
  before_.commit = state.commit;
  before_.end = state.log.end;
  before_.flushed = state.log.flushed;
  before_.history = state.log.history;
  before_.election_safe = core.ElectionSafe();
  before_.register_version = state.in_sync.known.version;
}

void Invariants::Restarted() {
  before_.running = false;
  before_.role = Role::kReplica;
}

}  // namespace ringleader
