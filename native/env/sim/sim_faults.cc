#include "env/sim/sim_faults.h"

#include <algorithm>

#include "base/check.h"

namespace ringleader {
namespace {

uint32_t PossibleCalls(FaultAction action) {
  switch (action) {
    case FaultAction::kLie:
      return Calls({SimCall::kSyncData, SimCall::kSyncDirectory});
    case FaultAction::kLoseWrite:
    case FaultAction::kMisdirectWrite:
      return Calls({SimCall::kWrite});
    case FaultAction::kFlipBit:
      return Calls({SimCall::kRead});
    case FaultAction::kError:
    case FaultAction::kHang:
    case FaultAction::kDelay:
      return kAllCalls;
  }
  return 0;
}

void Outcome(const FaultRule& rule, uint64_t offset, FaultVerdict* verdict) {
  switch (rule.action) {
    case FaultAction::kError:
      verdict->sys_errno = rule.sys_errno;
      verdict->written = rule.written;
      return;
    case FaultAction::kLie:
      verdict->lie = true;
      return;
    case FaultAction::kLoseWrite:
      verdict->lose = true;
      return;
    case FaultAction::kMisdirectWrite:
      verdict->lose = true;
      verdict->misdirect = true;
      verdict->shift = rule.shift;
      return;
    case FaultAction::kFlipBit:
      verdict->flip = true;
      verdict->flip_at = std::max(offset, rule.first_byte);
      return;
    case FaultAction::kHang:
    case FaultAction::kDelay:
      RL_CHECK(false && "an outcome");
  }
}

}  // namespace

uint64_t SimFaults::Add(FaultRule rule) {
  RL_CHECK(rule.calls != 0 && (rule.calls & ~PossibleCalls(rule.action)) == 0);
  RL_CHECK(rule.action != FaultAction::kError || rule.sys_errno > 0);
  const uint64_t id = next_id_++;
  rules_[id].rule = std::move(rule);
  hits_[id] = 0;
  return id;
}

bool SimFaults::Remove(uint64_t id) { return rules_.erase(id) > 0; }

uint64_t SimFaults::Hits(uint64_t id) const {
  const auto found = hits_.find(id);
  RL_CHECK(found != hits_.end());
  return found->second;
}

bool SimFaults::Matches(const FaultRule& rule, SimCall call, std::string_view path,
                        std::string_view other_path, uint64_t offset, uint64_t size) {
  if ((rule.calls & Calls({call})) == 0) return false;
  const bool named = path.find(rule.path) != std::string_view::npos ||
                     other_path.find(rule.path) != std::string_view::npos;
  if (!named || size == 0) return named;
  return offset < rule.end_byte && offset + size > rule.first_byte;
}

bool SimFaults::Hit(uint64_t id, Active* active) {
  const FaultRule& rule = active->rule;
  const uint64_t match = active->matches++;
  if (match < rule.skip || match - rule.skip >= rule.count) return false;
  if (rule.probability < 1 && !rng_.Chance(rule.probability)) return false;
  ++hits_[id];
  return true;
}

FaultVerdict SimFaults::Decide(SimCall call, std::string_view path, std::string_view other_path,
                               uint64_t offset, uint64_t size) {
  FaultVerdict verdict;
  bool decided = false;
  for (auto& [id, active] : rules_) {
    const FaultRule& rule = active.rule;
    if (!Matches(rule, call, path, other_path, offset, size) || !Hit(id, &active)) continue;
    if (rule.action == FaultAction::kDelay) {
      verdict.delay_nanos += rule.nanos;
    } else if (rule.action == FaultAction::kHang) {
      verdict.hang.push_back(id);
    } else if (!decided) {
      Outcome(rule, offset, &verdict);
      decided = true;
    }
  }
  return verdict;
}

}  // namespace ringleader
