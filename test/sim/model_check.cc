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
  for (const ModelMember& member : members_) {
    if (!member.up()) continue;
    if (std::string problem = CheckMember(member); !problem.empty()) return problem;
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
  const auto [at, first] = primaries_.emplace(term, member.id());
  if (!first && at->second != member.id()) return "two primaries of one ballot";
  return rules_.CheckPrimary(member);
}

// Log matching: where two logs have a record of one reign at the same place, they are the same
// below.
std::string ModelGroup::CheckLogs() const {
  for (size_t i = 0; i < members_.size(); ++i) {
    const std::vector<ModelRecord> a = members_[i].History();
    for (size_t j = i + 1; j < members_.size(); ++j) {
      const std::vector<ModelRecord> b = members_[j].History();
      size_t last = std::min(a.size(), b.size());
      while (last > 0 &&
             !(a[last - 1].end == b[last - 1].end && a[last - 1].term == b[last - 1].term))
        --last;
      for (size_t k = 0; k < last; ++k) {
        if (a[k] != b[k]) {
          return Name(members_[i]) + " and " + Name(members_[j]) + " differ at " + At(a[k].start);
        }
      }
      // What both take for committed is the same.
      if (lied_ || !members_[i].up() || !members_[j].up()) continue;
      if (!members_[i].core().ElectionSafe() || !members_[j].core().ElectionSafe()) continue;
      const Lsn commit = std::min(members_[i].core().commit(), members_[j].core().commit());
      for (size_t k = 0; k < std::min(a.size(), b.size()) && a[k].end <= commit; ++k) {
        if (a[k] != b[k])
          return "two members have committed different records at " + At(a[k].start);
      }
    }
  }
  return "";
}

}  // namespace ringleader::sim
