#include "engine/copy_rule.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/mutant.h"

namespace ringleader {
namespace {

Lsn PositionOf(const BoardMember& member, CopyLevel level) {
  switch (level) {
    case CopyLevel::kReceived:
      return member.received;
    case CopyLevel::kWritten:
      return member.written;
    case CopyLevel::kFlushed:
      return member.flushed;
    case CopyLevel::kApplied:
      return member.applied;
  }
  return Lsn();
}

struct DiskCopy {
  uint64_t disk = 0;
  Lsn position;
};

// The best copy of each disk that is certainly another one than the primary's.
std::vector<DiskCopy> OnePerDisk(const std::vector<DiskCopy>& copies, uint64_t own_disk) {
  std::vector<DiskCopy> best;
  for (const DiskCopy& copy : copies) {
    const bool unknown = copy.disk == 0 || own_disk == 0;
    if (RL_MUTANT(kCountUnknownDisk) && unknown) best.push_back(copy);
    if (unknown || copy.disk == own_disk) continue;
    const auto same = std::find_if(best.begin(), best.end(),
                                   [&copy](const DiskCopy& one) { return one.disk == copy.disk; });
    if (same == best.end()) {
      best.push_back(copy);
    } else {
      same->position = std::max(same->position, copy.position);
    }
  }
  return best;
}

// How far `count` other members have it.
Lsn KeptByOthers(const BoardState& state, uint32_t count, bool voters_only, const CopyRule& rule) {
  if (count == 0) return kMaxLsn;
  if (state.role != Role::kPrimary) return Lsn();
  std::vector<DiskCopy> copies;
  for (const BoardMember& member : state.members) {
    if (voters_only && !member.voter) continue;
    copies.push_back({member.disk, PositionOf(member, rule.level)});
  }
  if (rule.distinct_disks) copies = OnePerDisk(copies, state.disk);
  if (copies.size() < count) return Lsn();
  std::vector<Lsn> ends;
  for (const DiskCopy& copy : copies) ends.push_back(copy.position);
  std::sort(ends.begin(), ends.end(), std::greater<>());
  return ends[count - 1];
}

// Other voters that there are besides the primary.
uint32_t OtherVoters(const BoardState& state) {
  return state.voters - std::min(state.voters, state.self_votes ? 1U : 0U);
}

Lsn KeptByAll(const BoardState& state, const CopyRule& rule) {
  if (state.voters == 0) return Lsn();
  return KeptByOthers(state, OtherVoters(state), true, rule);
}

Lsn KeptByQuorum(const BoardState& state, const CopyRule& rule) {
  if (state.copies == 0 || state.voters == 0) return Lsn();
  const bool primary = state.role == Role::kPrimary;
  // K is no measure there: who has to keep a copy stands in the register.
  const bool countable = primary && !state.in_sync;
  const uint32_t others = state.copies - std::min(state.copies, state.self_votes ? 1U : 0U);
  const auto by_number = [&] { return KeptByOthers(state, others, true, rule); };
  if (rule.level == CopyLevel::kApplied) {
    if (!primary) return Lsn();
    return countable ? by_number() : KeptByAll(state, rule);
  }
  if (rule.distinct_disks) {
    if (!primary) return Lsn();
    const Lsn apart = countable ? by_number() : KeptByAll(state, rule);
    return rule.level == CopyLevel::kFlushed ? std::min(apart, state.commit) : apart;
  }
  if (rule.level == CopyLevel::kFlushed || !countable || state.changing) return state.commit;
  return std::max(state.commit, by_number());
}

// Whether every V voters meet a voter that has it flushed. What a reign has inherited counts once
// that voter has the reign's first record as well: until then a primary of another reign may be
// elected that takes it back.
bool MeetsEveryElection(const BoardState& state, Lsn end, Lsn local_flushed) {
  if (state.commit >= end && state.election_safe) return true;
  if (state.role != Role::kPrimary || state.term_end.value == 0) return false;
  if (state.changing || state.voters == 0 || state.votes == 0) return false;
  const Lsn needed = RL_MUTANT(kSurviveInherited) ? end : std::max(end, state.term_end);
  uint32_t copies = state.self_votes && local_flushed >= needed ? 1 : 0;
  for (const BoardMember& member : state.members) {
    if (member.voter && member.flushed >= needed) ++copies;
  }
  return copies + state.votes > state.voters;
}

bool OnTwoDisks(const BoardState& state, Lsn end, Lsn local_flushed) {
  uint64_t first = local_flushed >= end ? state.disk : 0;
  for (const BoardMember& member : state.members) {
    if (member.disk == 0 || member.flushed < end) continue;
    if (first != 0 && first != member.disk) return true;
    first = member.disk;
  }
  return false;
}

}  // namespace

Lsn Reached(const BoardState& state, const CopyRule& rule) {
  switch (rule.kind) {
    case CopyKind::kCount:
      return KeptByOthers(state, rule.count, false, rule);
    case CopyKind::kQuorum:
      return KeptByQuorum(state, rule);
    case CopyKind::kAll:
      return KeptByAll(state, rule);
  }
  return Lsn();
}

Survival Survives(const BoardState& state, Lsn end, Lsn local_flushed) {
  Survival survival;
  // Shared memory outlives the processes, and whoever opens next takes what it holds.
  survival.process = true;
  survival.power = local_flushed >= end || state.commit >= end;
  for (const BoardMember& member : state.members) {
    survival.power = survival.power || member.flushed >= end;
  }
  survival.any_one_disk = OnTwoDisks(state, end, local_flushed);
  survival.election = MeetsEveryElection(state, end, local_flushed);
  return survival;
}

Ballot TermAt(const BoardState& state, Lsn end) {
  if (end > state.end) return Ballot();
  const auto above = std::partition_point(state.terms.begin(), state.terms.end(),
                                          [end](const TermStart& row) { return row.start < end; });
  return above == state.terms.begin() ? Ballot() : std::prev(above)->term;
}

TokenFate Judge(const BoardState& state, const Token& token) {
  const auto& rows = state.terms;
  if (state.commit < token.end) {
    // Terms ascend in a log: behind the committed start of a later one comes nothing of an earlier.
    const bool over = std::any_of(rows.begin(), rows.end(), [&state, &token](const TermStart& row) {
      return row.start < state.commit && row.term > token.term;
    });
    return over ? TokenFate::kRolledBack : TokenFate::kOpen;
  }
  if (RL_MUTANT(kJudgeByEnd)) return TokenFate::kCommitted;
  const auto above = std::partition_point(
      rows.begin(), rows.end(), [&token](const TermStart& row) { return row.start < token.end; });
  if (above == rows.begin()) {
    // What is there is of an earlier term than the first row's, which is all that is known of it.
    const bool later = !rows.empty() && token.term >= rows.front().term;
    return later ? TokenFate::kRolledBack : TokenFate::kForgotten;
  }
  return std::prev(above)->term == token.term ? TokenFate::kCommitted : TokenFate::kRolledBack;
}

}  // namespace ringleader
