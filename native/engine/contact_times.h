// Since when a replica has had everything that its primary had then.
//
// Each heartbeat says how far the primary's log went when it was sent. Once a replica has all of
// that, its data is no older than the heartbeat's arrival, whatever has been written since. (What a
// message took on its way is not known to who gets it: so much older it may be.)
//
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>

#include "core/state.h"

namespace ringleader {

class ContactTimes {
 public:
  // After every step of the core.
  void Note(const CoreState& state) {
    const ReplicaState& replica = state.replica;
    if (state.role != Role::kReplica || replica.ballot.none() || replica.ballot != ballot_) {
      ballot_ = state.role == Role::kReplica ? replica.ballot : Ballot();
      waiting_.clear();
      sent_at_ = 0;
      if (state.role == Role::kPrimary) fresh_ = 0;
    }
    if (ballot_.none()) return;
    // One that was overtaken on its way says nothing new.
    if (replica.sent_at > sent_at_) {
      sent_at_ = replica.sent_at;
      if (waiting_.size() < kMostWaiting) {
        waiting_.push_back({replica.primary_end.lsn, replica.heard_at});
      }
    }
    const Lsn held = std::min(state.log.applied, replica.matched);
    while (!waiting_.empty() && waiting_.front().end <= held) {
      fresh_ = waiting_.front().at;
      waiting_.pop_front();
    }
  }

  // On the member's clock; 0 = never yet.
  Nanos fresh() const { return fresh_; }

 private:
  static constexpr size_t kMostWaiting = 64;
  struct Contact {
    Lsn end;
    Nanos at = 0;
  };

  Ballot ballot_;  // of the primary that is followed
  Nanos sent_at_ = 0;
  std::deque<Contact> waiting_;  // for the log to get there
  Nanos fresh_ = 0;
};

}  // namespace ringleader
