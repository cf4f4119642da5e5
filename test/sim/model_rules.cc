#include "model_rules.h"

#include <algorithm>

#include "model_group.h"

namespace ringleader::sim {
namespace {

// Null where there is none.
const ModelRecord* At(const std::vector<ModelRecord>& below, const ModelLog& log, size_t index) {
  if (index < below.size()) return &below[index];
  index -= below.size();
  return index < log.records().size() ? &log.records()[index] : nullptr;
}

const ModelRecord* OnDisk(const ModelMember& member, size_t index) {
  return At(member.disk().below, member.disk().log, index);
}

const ModelRecord* InLog(const ModelMember& member, size_t index) {
  return At(member.below(), member.log(), index);
}

size_t RecordsBelow(Lsn lsn) { return lsn.value / kModelRecordBytes; }

}  // namespace

void ModelRules::Fail(const ModelMember& member, const std::string& what) {
  if (problem_.empty()) problem_ = "member " + std::to_string(member.id().value) + ": " + what;
}

void ModelRules::Sends(const ModelGroup& group, size_t index, const Message& message) {
  const ModelMember& member = group.member(index);
  const auto* grant = std::get_if<VoteReply>(&message.body);
  const auto* ack = std::get_if<Ack>(&message.body);
  const bool grants = grant != nullptr && grant->granted;
  const bool acknowledges =
      ack != nullptr && ack->problem != AckProblem::kRefused && ack->problem != AckProblem::kBroken;
  const auto* nominate = std::get_if<Nominate>(&message.body);
  const bool leads = member.core().role() == Role::kPrimary;
  if (nominate != nullptr && nominate->handover && leads &&
      !member.core().state().primary.lease_dropped) {
    return Fail(member, "hands over while it reads under its lease");
  }
  if (!grants && !acknowledges && !std::holds_alternative<Vote>(message.body)) return;
  const auto& saved = member.disk().hard_state;
  if (!saved || saved->promised < message.ballot) {
    return Fail(member, "speaks of a promise that is not on its disk");
  }
  Ballot& spoken = copies_[index].spoken;
  if (message.ballot < spoken) return Fail(member, "goes back behind what it has promised");
  spoken = message.ballot;
  if (grants && grant->candidate != message.ballot) {
    return Fail(member, "votes for one ballot and promises another");
  }
  if (!acknowledges) return;
  if (ack->flushed > member.disk().log.end()) {
    return Fail(member, "acknowledges what is not on its disk");
  }
  for (size_t i = 0; i < group.size(); ++i) {
    const ModelMember& other = group.member(i);
    if (!other.up() || other.core().role() != Role::kPrimary) continue;
    if (other.core().term() != message.ballot || ack->received.value == 0) continue;
    const size_t last = RecordsBelow(ack->received) - 1;
    const ModelRecord* mine = InLog(member, last);
    const ModelRecord* theirs = InLog(other, last);
    if (mine == nullptr || theirs == nullptr || *mine != *theirs) {
      return Fail(member, "acknowledges records that are not the primary's");
    }
  }
}

void ModelRules::Appends(const ModelMember& member, const Records& records) {
  if (records.previous.lsn.value == 0 || records.previous.lsn < member.log().start()) return;
  const ModelRecord* before = InLog(member, RecordsBelow(records.previous.lsn) - 1);
  if (before == nullptr || before->term != records.previous.term) {
    Fail(member, "appends records that do not follow its log");
  }
}

void ModelRules::AppendsConfiguration(const ModelMember& member, const Configuration& next) {
  const Replicator& core = member.core();
  const CoreState& state = core.state();
  if (core.role() != Role::kPrimary) return Fail(member, "changes members, and does not lead");
  if (next.version != core.configuration().version + 1) {
    return Fail(member, "changes another configuration than its own");
  }
  if (next.version == 1) return;
  if (state.primary.term_end.value == 0 || state.commit < state.primary.term_end) {
    return Fail(member, "changes members before its reign has committed anything");
  }
  if (state.log.configurations.back().end > state.commit) {
    return Fail(member, "changes members while a change is under way");
  }
  for (const Progress& peer : state.primary.peers) {
    if (!next.IsVoter(peer.id) || core.configuration().IsVoter(peer.id)) continue;
    if (peer.flushed < state.primary.term_end) {
      return Fail(member, "makes a voter of a member that has not caught up");
    }
  }
}

void ModelRules::AnswersRead(const ModelMember& member, const ReadReady& answer) {
  const auto at = reads_.find(answer.id);
  if (at == reads_.end()) return;
  if (answer.granted && !lied_) {
    if (RecordsBelow(answer.position) < at->second.committed) {
      Fail(member, "grants a read that misses what was acknowledged before");
    }
    CheckRound(member, at->second);
  }
  reads_.erase(at);
}

void ModelRules::Stepped(const ModelGroup& group, size_t index, Lsn commit, Ballot reign) {
  const ModelMember& member = group.member(index);
  if (!lied_) {
    const std::string broken = copies_[index].invariants.Check(member.core());
    if (!broken.empty()) Fail(member, broken);
  }
  if (member.core().commit() > commit && member.core().ElectionSafe() && !lied_) {
    Commits(group, index, commit, reign);
  }
}

void ModelRules::Commits(const ModelGroup& group, size_t index, Lsn before, Ballot reign) {
  const ModelMember& member = group.member(index);
  const size_t end = RecordsBelow(member.core().commit());
  size_t& verified = copies_[index].verified;
  for (verified = std::min(verified, end); verified < end; ++verified) {
    const ModelRecord* record = InLog(member, verified);
    if (record == nullptr) return Fail(member, "commits what it does not have");
    if (verified == ledger_->size()) {
      if (reign.none()) return Fail(member, "commits what no primary has committed");
      ledger_.Edit().push_back({*record, reign});
    } else if ((*ledger_)[verified].record != *record) {
      return Fail(member, "commits something else than was committed at " +
                              std::to_string(record->start.value));
    }
  }
  if (reign.none()) return;
  CheckReign(member);
  CheckQuorum(group, member, before);
}

void ModelRules::CheckQuorum(const ModelGroup& group, const ModelMember& member, Lsn before) {
  // The newest configuration of the log, and the one before it where that was in effect too.
  int wanted = 2;
  for (size_t i = member.records(); i-- > 0 && wanted > 0;) {
    const ModelRecord& record = member.record(i);
    if (record.kind != ModelKind::kConfiguration) continue;
    CheckVoters(group, member, record.configuration);
    wanted = record.end > before ? wanted - 1 : 0;
  }
}

void ModelRules::CheckVoters(const ModelGroup& group, const ModelMember& member,
                             const Configuration& now) {
  if (now.rule == QuorumRule::kInSync) {
    if (group.witness().primary != member.core().term()) return;
    for (const Incarnation copy : group.witness().in_sync) {
      if (copy.value != 0 && !Keeps(group, copy)) {
        Fail(member, "commits what a copy that is in sync does not have");
      }
    }
    return;
  }
  uint32_t copies = 0;
  for (const Member& voter : now.members) {
    if (voter.kind == MemberKind::kVoter && Keeps(group, voter.incarnation)) ++copies;
  }
  if (copies < now.copies) Fail(member, "commits what is not flushed on a quorum");
}

bool ModelRules::Keeps(const ModelGroup& group, Incarnation copy) {
  for (size_t i = 0; i < group.size(); ++i) {
    if (group.member(i).options().incarnation != copy) continue;
    CountKept(group, i);
    return copies_[i].kept == ledger_->size();
  }
  const auto gone = replaced_.find(copy);
  return gone != replaced_.end() && gone->second.size() >= ledger_->size() &&
         gone->second[ledger_->size() - 1] == ledger_->back().record;
}

void ModelRules::Replaced(const ModelMember& member, size_t index) {
  std::vector<ModelRecord>& was = replaced_[member.options().incarnation];
  while (const ModelRecord* record = OnDisk(member, was.size())) was.push_back(*record);
  copies_[index] = {};
}

void ModelRules::CountKept(const ModelGroup& group, size_t index) {
  size_t& kept = copies_[index].kept;
  while (kept < ledger_->size()) {
    const ModelRecord* record = OnDisk(group.member(index), kept);
    if (record == nullptr || *record != (*ledger_)[kept].record) return;
    ++kept;
  }
}

void ModelRules::DiskChanged(const ModelGroup& group, size_t index) {
  Copy& copy = copies_[index];
  const size_t before = copy.kept;
  copy.kept = 0;
  copy.verified = 0;
  CountKept(group, index);
  if (copy.kept < before && !lied_) {
    Fail(group.member(index),
         "throws away what is committed, at " + std::to_string(copy.kept * kModelRecordBytes));
  }
}

std::string ModelRules::CheckPrimary(const ModelMember& member) const {
  const Ballot term = member.core().state().primary.term;
  for (size_t i = 0; i < ledger_->size() && !lied_; ++i) {
    if ((*ledger_)[i].reign >= term) continue;
    const ModelRecord* record = InLog(member, i);
    if (record != nullptr && *record == (*ledger_)[i].record) continue;
    return "member " + std::to_string(member.id().value) + " leads without what was committed at " +
           std::to_string((*ledger_)[i].record.start.value);
  }
  return "";
}

}  // namespace ringleader::sim
