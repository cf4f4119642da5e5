// What a primary knows of one other member, in its present ballot.
//
//              fork found                      log does not reach back
//   kProbing ---------------> kStreaming ----------------------------> kSnapshot
//      ^                          |  gap, fork: `next` moves back          |
//      +--------------------------+----------------------------------------+
//        new ballot, new disk                  installed
//
// Between the positions: applied <= received, flushed <= written <= received <= next, and all of
// them at most the end of the primary's log. `received`, `written` and `flushed` never move back
// within a ballot, except where the member itself says that it has lost what it had.
#pragma once

#include "core/types.h"

namespace ringleader {

enum class PeerState : uint8_t {
  kProbing = 1,    // nothing is sent but heartbeats: their answer says where the logs part
  kStreaming = 2,  // records are sent as they come, up to the window
  kSnapshot = 3,   // it has been told that it needs one
};

struct Progress {
  MemberId id;
  Incarnation incarnation;
  PeerState state = PeerState::kProbing;
  bool shipping = false;  // a Ship is with the driver
  bool broken = false;    // its disk has failed
  Lsn next;               // first byte not sent yet
  Lsn received, written, flushed, applied;
  Nanos heard_at = 0;  // last message of this ballot
  // When the newest heartbeat that it has answered was sent: at that time, and later, it followed.
  Nanos echoed = 0;
  uint64_t disk = 0;  // as its newest Ack says

  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("incarnation", self.incarnation);
    field("state", self.state);
    field("shipping", self.shipping);
    field("broken", self.broken);
    field("next", self.next);
    field("received", self.received);
    field("written", self.written);
    field("flushed", self.flushed);
    field("applied", self.applied);
    field("heard_at", self.heard_at);
    field("echoed", self.echoed);
    field("disk", self.disk);
  }
};

}  // namespace ringleader
