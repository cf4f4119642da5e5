// The exclusive right to commit, first come, first served: for transactions that optimism has
// failed twice.
//
// A ticket is drawn, its turn comes when all earlier ones have given back. Its owner has a short
// time to notice (it may have died) and then a lease; when either runs out, the turn passes on by
// itself. While somebody's turn lasts, everybody else's commits wait. Losing a turn loses nothing
// but priority: the commit is validated like any other.
// Threads: any.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "env/env.h"
#include "store/store_region.h"

namespace ringleader {

class Reservation {
 public:
  Reservation(Env& env, StoreRegion& region, uint64_t lease_ns);

  // Returns the ticket when its turn has come; kTimeout.
  Result<uint64_t> Take(uint64_t timeout_ns);
  void GiveBack(uint64_t ticket);
  // Whether a commit with this ticket (0 = none) may go on now.
  bool Admits(uint64_t ticket) const;
  // Ends a turn whose time has run out. True where that changed anything.
  bool ExpireOverdue();

 private:
  void StartTurn(uint64_t allowed_ns);

  Env& env_;
  StoreRegion& region_;
  const uint64_t lease_ns_;
};

}  // namespace ringleader
