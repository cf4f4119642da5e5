// What a handle on a store knows of the environment's group: rules about copies and how far each
// has got, what has become of a transaction, how old the data may be.
//
// It looks at the board (engine/group_board.h) when that has changed since its last look. A look is
// of one history of the log: what it says about positions counts for nothing once the log has been
// rolled back since.
// Threads: the environment's JavaScript thread.
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "engine/copy_rule.h"
#include "engine/group_board.h"
#include "store/store.h"

namespace ringleader::binding {

inline constexpr size_t kMaxCopyRules = 32;

// What there is to say about a transaction.
struct TransactionFacts {
  TokenFate fate = TokenFate::kOpen;
  bool here = false;  // this environment's log has it: no other transaction ends there
};

class GroupLook {
 public:
  // kClosed where the log is.
  static Result<GroupLook> At(Store& store);

  // The index of a rule; the same rule has one index. kTooLarge: there are kMaxCopyRules others.
  Result<size_t> Define(const CopyRule& rule);

  // Looks again where there is news. Every call below speaks of the latest look.
  void Refresh();
  const BoardState& state() const { return state_; }

  // For the positions that JavaScript sees: one per rule, and behind all of them the commit
  // position and where the newest term begins. Zeros where the look is not of `history`.
  static constexpr size_t kNumbers = kMaxCopyRules + 2;
  void Fill(double* numbers, uint64_t history) const;

  TransactionFacts FactsOf(const Token& token) const;
  // The token of a transaction that this environment has committed in `term`, or, where that is 0,
  // of whatever ends there now. nullopt where the board does not know.
  std::optional<Token> TokenOf(Lsn end, Term term) const;
  Survival SurvivalOf(Lsn end) const;

  uint64_t AskRead() { return board_.AskRead(); }
  // Somebody waits for positions of the rules.
  void Want();

 private:
  GroupLook(Store& store, GroupBoard board) : log_(&store.log()), board_(std::move(board)) {}

  bool OfThisHistory() const { return log_->History() == state_.history; }

  Log* log_;
  GroupBoard board_;
  std::vector<CopyRule> rules_;
  bool looked_ = false;
  uint32_t sequence_ = 0;  // of the latest look
  BoardState state_;
};

}  // namespace ringleader::binding
