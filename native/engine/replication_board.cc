// What a member tells all processes of its environment, and what they ask it for.
#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "engine/replication.h"

namespace ringleader {

// One round at a time for all who have asked before it begins.
void Replication::AskForReaders() {
  const uint64_t asked = board_->AskedReads();
  if (round_ticket_ != 0 || asked == shown_.reads.served) return;
  if (failed_) {
    shown_.reads = {asked, false, Lsn()};
    return;
  }
  round_ticket_ = asked;
  ++round_id_;
  Step(AskRead{round_id_});
}

// Whether it was theirs.
bool Replication::AnswerReaders(const ReadReady& read) {
  if (round_ticket_ == 0 || read.id != round_id_) return false;
  const uint64_t served = RL_MUTANT(kServeByOldRound) ? board_->AskedReads() : round_ticket_;
  shown_.reads = {served, read.granted, read.position};
  round_ticket_ = 0;
  return true;
}

void Replication::Show() {
  const CoreState& state = core_->state();
  const Configuration& configuration = core_->configuration();
  BoardState& shown = shown_;
  // While another thread rolls back, or puts a snapshot in place, what is known is of the history
  // before.
  if (!rolling_back_ && !switching_) shown.history = log_.History();
  shown.role = state.role;
  shown.term = core_->term();
  shown.self = options_.self;
  shown.primary = core_->primary();
  shown.end = end_;
  shown.commit = state.commit;
  shown.term_end = state.role == Role::kPrimary ? state.primary.term_end : Lsn();
  shown.voters = configuration.voters;
  shown.votes = configuration.votes;
  // Whoever was told of a smaller number once may have been elected by so many.
  const uint32_t smallest = state.promise.hard.smallest_votes;
  if (options_.base_api && smallest > 0) shown.votes = std::min(shown.votes, smallest);
  shown.copies = configuration.copies;
  const Member* self = configuration.Find(options_.self);
  shown.self_votes = self != nullptr && self->kind == MemberKind::kVoter &&
                     self->incarnation == options_.incarnation;
  shown.in_sync = configuration.rule == QuorumRule::kInSync;
  shown.changing = state.primary.changing != 0 || state.log.configurations.size() > 1;
  shown.election_safe = core_->ElectionSafe();
  shown.disk = options_.disk;
  shown.fresh_ns = contacts_.fresh();
  shown.steps = steps_;
  shown.refused_frames = refused_.load(std::memory_order_relaxed);    // statistics
  shown.dropped_messages = dropped_.load(std::memory_order_relaxed);  // statistics
  shown.roll_backs = history_;
  shown.permanent_failed = permanent_failed_;
  ShowMembers();
  ShowTerms();
  (void)board_->Publish(shown_);
}

// Of the primary's peers those that are the very copies that the configuration names.
void Replication::ShowMembers() {
  const std::vector<Progress>& peers = core_->state().primary.peers;
  size_t count = 0;
  for (const Member& member : core_->configuration().members) {
    if (member.id == options_.self) continue;
    if (count == shown_.members.size()) shown_.members.emplace_back();
    BoardMember& shown = shown_.members[count++];
    shown = {};
    shown.id = member.id;
    shown.voter = member.kind == MemberKind::kVoter;
    const auto peer = std::find_if(peers.begin(), peers.end(), [&member](const Progress& one) {
      return one.id == member.id && one.incarnation == member.incarnation;
    });
    if (peer == peers.end()) continue;
    shown.disk = peer->disk;
    shown.received = peer->received;
    shown.written = peer->written;
    shown.flushed = peer->flushed;
    shown.applied = peer->applied;
  }
  shown_.members.resize(count);
}

// Two tables of a log with the same first and last row are the same.
void Replication::ShowTerms() {
  const std::vector<TermStart>& rows = core_->state().log.terms.rows();
  const size_t count = std::min(rows.size(), kBoardTerms);
  std::vector<TermStart>& shown = shown_.terms;
  const auto first = rows.end() - static_cast<ptrdiff_t>(count);
  const bool same = shown.size() == count &&
                    (count == 0 || (shown.front() == *first && shown.back() == rows.back()));
  if (!same) shown.assign(first, rows.end());
}

// Nobody drives the member any more: what was known of the others is not looked after.
void Replication::TakeDown() {
  shown_.role = Role::kReplica;
  shown_.term = {};
  shown_.primary = kNobody;
  shown_.term_end = Lsn();
  shown_.fresh_ns = 0;
  for (BoardMember& member : shown_.members) {
    member.received = member.written = member.flushed = member.applied = Lsn();
  }
  (void)board_->Publish(shown_);
}

}  // namespace ringleader
