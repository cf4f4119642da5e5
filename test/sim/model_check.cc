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
  Ballot& promised = promised_[member.options().incarnation];
  if (state.promise.hard.promised < promised && member.disk().hard_state &&
      member.disk().hard_state->promised < promised) {
    return Name(member) + ": forgot a promise";
  }
  if (member.disk().hard_state) promised = std::max(promised, member.disk().hard_state->promised);
  if (state.role != Role::kPrimary) return "";
  const Ballot term = state.primary.term;
  const auto [at, first] = primaries_.emplace(term, member.id());
  if (!first && at->second != member.id()) return "two primaries of one ballot";
  return lied_ ? "" : CheckKept(member);
}

// Leader completeness: a primary has what was acknowledged under lower ballots.
std::string ModelGroup::CheckKept(const ModelMember& member) const {
  const Ballot term = member.core().state().primary.term;
  const std::vector<ModelRecord> history = member.History();
  for (const auto& [end, record] : acknowledged_) {
    if (record.term >= term) continue;
    const auto here = std::find_if(history.begin(), history.end(), [&record](const ModelRecord& r) {
      return r.start == record.start;
    });
    if (here == history.end() || *here != record) {
      return Name(member) + " leads without what was acknowledged at " + At(record.start);
    }
  }
  return "";
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
