// The rules that hold after every step of a group.
#include <algorithm>

#include "core/names.h"
#include "model_group.h"

namespace ringleader::sim {
namespace {

std::string Name(const ModelMember& member) {
  return "member " + std::to_string(member.id().value);
}

std::string At(Lsn lsn) { return std::to_string(lsn.value); }

}  // namespace

std::string ModelGroup::Check() {
  if (!rules_.problem().empty()) return rules_.problem();
  for (const Shared<ModelMember>& member : members_) {
    if (!member->up()) continue;
    if (std::string problem = CheckMember(*member); !problem.empty()) return problem;
  }
  return CheckLogs();
}

std::string ModelGroup::CheckMember(const ModelMember& member) {
  const CoreState& state = member.core().state();
  const LogState& log = state.log;
  if (log.end != member.log().end()) return Name(member) + ": the core thinks of another log";
  if (log.flushed > log.end || log.written > log.end || state.commit > log.end) {
    return Name(member) + ": positions beyond its log";
  }
  if (state.halted && !lied_) return Name(member) + ": halted, though no disk has lied";
  if (state.role != Role::kPrimary) return "";
  const Ballot term = state.primary.term;
  const auto at = primaries_->find(term);
  if (at == primaries_->end()) {
    primaries_.Edit().emplace(term, member.id());
  } else if (at->second != member.id()) {
    return "two primaries of one ballot";
  }
  return rules_.CheckPrimary(member);
}

// Log matching: where two logs have a record of one reign at the same place, they are the same
// below.
std::string ModelGroup::CheckLogs() const {
  for (size_t i = 0; i < members_.size(); ++i) {
    for (size_t j = i + 1; j < members_.size(); ++j) {
      if (std::string problem = CheckPair(member(i), member(j)); !problem.empty()) return problem;
    }
  }
  return "";
}

std::string ModelGroup::CheckPair(const ModelMember& a, const ModelMember& b) const {
  const size_t both = std::min(a.records(), b.records());
  size_t last = both;
  while (last > 0 && (a.record(last - 1).end != b.record(last - 1).end ||
                      a.record(last - 1).term != b.record(last - 1).term)) {
    --last;
  }
  for (size_t k = 0; k < last; ++k) {
    if (a.record(k) != b.record(k)) {
      return Name(a) + " and " + Name(b) + " differ at " + At(a.record(k).start);
    }
  }
  // What both take for committed is the same.
  if (lied_ || !a.up() || !b.up()) return "";
  if (!a.core().ElectionSafe() || !b.core().ElectionSafe()) return "";
  const Lsn commit = std::min(a.core().commit(), b.core().commit());
  for (size_t k = last; k < both && a.record(k).end <= commit; ++k) {
    if (a.record(k) != b.record(k)) {
      return "two members have committed different records at " + At(a.record(k).start);
    }
  }
  return "";
}

}  // namespace ringleader::sim
