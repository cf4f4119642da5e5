#include "store/reservation.h"

#include <algorithm>

namespace ringleader {
namespace {

constexpr uint64_t kNoticeNs = 50'000'000;  // for the owner of a ticket to see that it is its turn
constexpr uint64_t kLookAgainNs = 5'000'000;

}  // namespace

Reservation::Reservation(Env& env, StoreRegion& region, uint64_t lease_ns)
    : env_(env), region_(region), lease_ns_(lease_ns) {}

void Reservation::StartTurn(uint64_t allowed_ns) {
  region_->reservation.deadline_ns.store(env_.clock.MonotonicNanos() + allowed_ns,
                                         std::memory_order_release);
}

bool Reservation::Admits(uint64_t ticket) const {
  const ReservationWords& words = region_->reservation;
  const uint64_t serving = words.serving.load(std::memory_order_acquire);
  // Ticket 0 is never drawn: numbers begin at 1.
  return serving + 1 > words.next.load(std::memory_order_acquire) || ticket == serving + 1;
}

bool Reservation::ExpireOverdue() {
  ReservationWords& words = region_->reservation;
  uint64_t serving = words.serving.load(std::memory_order_acquire);
  if (serving >= words.next.load(std::memory_order_acquire)) return false;
  if (env_.clock.MonotonicNanos() < words.deadline_ns.load(std::memory_order_acquire)) return false;
  StartTurn(kNoticeNs);
  if (!words.serving.compare_exchange_strong(serving, serving + 1, std::memory_order_acq_rel)) {
    return false;
  }
  region_.Announce();
  return true;
}

Result<uint64_t> Reservation::Take(uint64_t timeout_ns) {
  ReservationWords& words = region_->reservation;
  const uint64_t began = env_.clock.MonotonicNanos();
  // `next` counts tickets drawn, `serving` those that are done with: ticket n is served while
  // serving == n - 1.
  const uint64_t ticket = words.next.fetch_add(1, std::memory_order_acq_rel) + 1;
  if (words.serving.load(std::memory_order_acquire) + 1 == ticket) StartTurn(kNoticeNs);
  for (;;) {
    const uint32_t sequence = region_.ProgressSequence();
    const uint64_t serving = words.serving.load(std::memory_order_acquire);
    if (serving + 1 == ticket) {
      StartTurn(lease_ns_);
      return ticket;
    }
    // Passed over before it noticed: there is no way back into the queue but a new ticket.
    if (serving >= ticket) return Take(timeout_ns);
    if (env_.clock.MonotonicNanos() - began > timeout_ns) {
      return Status(Code::kTimeout, "the turn of this transaction has not come");
    }
    if (!ExpireOverdue()) region_.AwaitProgress(sequence, kLookAgainNs);
  }
}

void Reservation::GiveBack(uint64_t ticket) {
  ReservationWords& words = region_->reservation;
  uint64_t expected = ticket - 1;
  // Given back already, or passed on because its time had run out.
  if (words.serving.load(std::memory_order_acquire) != expected) return;
  StartTurn(kNoticeNs);
  words.serving.compare_exchange_strong(expected, ticket, std::memory_order_acq_rel);
  region_.Announce();
}

}  // namespace ringleader
