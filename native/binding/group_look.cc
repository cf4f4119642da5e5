#include "binding/group_look.h"

#include <algorithm>
#include <utility>

#include "env/env.h"

namespace ringleader::binding {

Result<GroupLook> GroupLook::At(Store& store) {
  RL_ASSIGN_OR_RETURN(GroupBoard board, GroupBoard::Of(PosixEnv(), store.log()));
  return GroupLook(store, std::move(board));
}

Result<size_t> GroupLook::Define(const CopyRule& rule) {
  const auto known = std::find(rules_.begin(), rules_.end(), rule);
  if (known != rules_.end()) return static_cast<size_t>(known - rules_.begin());
  if (rules_.size() == kMaxCopyRules) {
    return Status(Code::kTooLarge, "durability: more than 32 different rules about copies");
  }
  rules_.push_back(rule);
  return rules_.size() - 1;
}

// The sequence before the look: what changes in between is looked at again.
void GroupLook::Refresh() {
  const uint32_t sequence = board_.Sequence();
  if (looked_ && sequence == sequence_) return;
  // A look that fails leaves what was known before: true then, and never less than the truth now.
  if (!board_.Look(&state_).ok()) return;
  looked_ = true;
  sequence_ = sequence;
}

void GroupLook::Fill(double* numbers, uint64_t history) const {
  std::fill_n(numbers, kNumbers, 0);
  if (state_.history != history) return;
  for (size_t i = 0; i < rules_.size(); ++i) {
    // A rule that asks nothing of anybody is as far as everything.
    numbers[i] = static_cast<double>(Reached(state_, rules_[i]).value);
  }
  numbers[kMaxCopyRules] = static_cast<double>(state_.commit.value);
  if (state_.terms.empty()) return;
  numbers[kMaxCopyRules + 1] = static_cast<double>(state_.terms.back().start.value);
}

void GroupLook::Want() {
  unsigned levels = 0;
  for (const CopyRule& rule : rules_) levels |= 1U << (static_cast<unsigned>(rule.level) - 1);
  board_.Want(static_cast<uint8_t>(levels));
}

TransactionFacts GroupLook::FactsOf(const Token& token) const {
  TransactionFacts facts;
  const bool reaches = token.end <= log_->End(Level::kMemory);
  if (state_.self == kNobody) {
    // Without a group there is one log, and what ends there is what the token means.
    facts.here = reaches && log_->gate().state == GateState::kFree;
    return facts;
  }
  facts.fate = Judge(state_, token);
  // What the board has not been told of yet is of the reign in which this member leads.
  const Gate gate = log_->gate();
  const bool leads = state_.role == Role::kPrimary && gate == Gate::Open(state_.term.counter);
  const bool newer = token.end > state_.end && leads && token.term == state_.term;
  facts.here = reaches && (newer || TermAt(state_, token.end) == token.term) && OfThisHistory();
  return facts;
}

std::optional<Token> GroupLook::TokenOf(Lsn end, Term term) const {
  if (state_.self == kNobody) return Token{end, Ballot{term, Incarnation()}};
  // What this environment has committed in a reign it has committed as the primary of that reign. A
  // rival's may have the same counter, so what stands in the log there now proves nothing.
  if (term.value != 0) return Token{end, Ballot{term, Incarnation(log_->identity().incarnation)}};
  if (!OfThisHistory()) return std::nullopt;
  const Ballot ballot = TermAt(state_, end);
  if (ballot.none() && end > state_.end) return std::nullopt;
  return Token{end, ballot};
}

Survival GroupLook::SurvivalOf(Lsn end) const {
  return Survives(state_, end, log_->End(Level::kFlushed));
}

}  // namespace ringleader::binding
