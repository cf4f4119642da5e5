// A primary gives its reign to another member without losing or refusing more than it must.
//
// It shuts writers out, waits until the target has flushed its whole log, gives up its lease for
// good, and tells the target to call for the vote at once. The target names this primary's ballot
// in its vote, so voters do not hold their promise to this primary against it. All of it is
// bounded: where the target has died meanwhile, writers go on here. The lease stays given up,
// because the target may have been told and act later.
#include <algorithm>

#include "base/mutant.h"
#include "core/replicator.h"

namespace ringleader {

void Replicator::On(const HandOverTo& event) {
  PrimaryState& primary = state_.primary;
  const auto refuse = [this](const char* reason) {
    Tell(NoticeKind::kChangeRefused).reason = reason;
  };
  if (state_.role != Role::kPrimary) return refuse("this member does not lead");
  if (primary.handover != kNobody) return refuse("a hand-over is under way");
  if (primary.term_end.value == 0 || state_.commit < primary.term_end) {
    return refuse("this reign has not committed its first record");
  }
  const Progress* target = nullptr;
  for (const Progress& peer : primary.peers) {
    const Member* member = configuration().Find(peer.id);
    if (!Counts(peer) || peer.broken || peer.state != PeerState::kStreaming) continue;
    // Whether it may lead it knows itself in the base API.
    if (!options_.base_api && member->priority == 0) continue;
    if (event.member != kNobody && peer.id != event.member) continue;
    if (target == nullptr || peer.flushed > target->flushed) target = &peer;
  }
  if (target == nullptr) return refuse("no such member can lead now");
  primary.handover = target->id;
  primary.handover_ends = state_.now + options_.handover_timeout;
  primary.nominated = false;
  out_->log.emplace_back(StopWriters{});
}

void Replicator::AdvanceHandover() {
  PrimaryState& primary = state_.primary;
  if (primary.handover == kNobody) return;
  if (state_.now >= primary.handover_ends) return AbortHandover("it took too long");
  const Progress* target = Peer(primary.handover);
  if (target == nullptr) return AbortHandover("the member has been removed");
  if (primary.nominated || target->flushed < state_.log.end) return;
  primary.nominated = true;
  primary.lease_dropped = !RL_MUTANT(kLeaseKept);
  SendTo(target->id, Nominate{true});
}

void Replicator::AbortHandover(const char* reason) {
  PrimaryState& primary = state_.primary;
  Notice& notice = Tell(NoticeKind::kHandOverFailed);
  notice.member = primary.handover;
  notice.reason = reason;
  primary.handover = kNobody;
  primary.handover_ends = 0;
  primary.nominated = false;
  out_->log.emplace_back(ResumeWriters{});
}

}  // namespace ringleader
