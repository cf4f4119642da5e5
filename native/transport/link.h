// A link carries messages between two members, both ways, until one side is gone.
//
// What a link promises. A message that arrives is one that the other side has sent, whole, once,
// and in the order of its lane. A link loses messages only by ending: who has a new link to the
// same member starts from what that member says it has. Messages are frames of
// wire/message_codec.h and know their own lengths; what is in them is none of the link's business.
//
// What a link never does is wait. Where there is no room Send says so, and the log goes on without
// this member, which is sent what it lacks from the log's files when there is room again.
//
// The other side is not trusted: whatever it does to sockets or to shared memory ends the link with
// a Status, within bounded memory and time.
//
// Threads: one at a time, the one that polls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace ringleader {

// Messages of different lanes may overtake each other.
enum class Lane : uint8_t {
  kUrgent = 0,    // small, and somebody waits for it: heartbeats, votes, acknowledgements
  kLog = 1,       // records
  kSnapshot = 2,  // pieces of snapshots, which are as many as there is room for
};
inline constexpr size_t kLanes = 3;

enum class LinkKind : uint8_t { kInProcess = 0, kRing = 1, kTcp = 2, kCustom = 3 };

// "ring"
std::string_view NameOf(LinkKind kind);

// Ascending, of one link.
struct LinkCounters {
  uint64_t messages_sent = 0, bytes_sent = 0;
  uint64_t messages_received = 0, bytes_received = 0;
  uint64_t no_room = 0;  // calls of Send that found none
  uint64_t wakes = 0;    // doorbells rung or system calls that sent
  uint64_t sleeps = 0;   // times that the own side has said it sleeps
};

class Link {
 public:
  virtual ~Link() = default;

  virtual LinkKind kind() const = 0;

  // Bytes of messages that Send would take now at least.
  virtual size_t Room(Lane lane) const = 0;
  // Takes a copy of a message, which is `head` with `body` behind it. False, and nothing has
  // happened, where there is no room. What has been taken goes on its way with the next Flush, or
  // before. kTooLarge above the link's limit, which is kMaxFrameBytes of wire/message_codec.h.
  virtual Result<bool> Send(Lane lane, Bytes head, Bytes body) = 0;
  // Wakes the other side, or hands over to the kernel as much as it takes; the rest goes when the
  // poller says that there is room. Called once for all the messages of a round.
  virtual Status Flush() = 0;

  // Appends messages that have come to `out`, one behind the other, each whole; ends when there are
  // no more or `limit` bytes have been appended (the last message may pass it). True: there is
  // more. kClosed: the other side is gone, and everything that it sent has been taken; kCorruption:
  // it broke the rules. After an error the link is of no use, and what has been appended is whole.
  virtual Result<bool> Receive(size_t limit, std::vector<uint8_t>* out) = 0;

  // Before the thread waits in its poller: true, and from now on the other side wakes it; or false,
  // where something has come that it was not woken for: Receive first.
  virtual bool PrepareSleep() = 0;
  // After the wait, whatever ended it.
  virtual void EndSleep() = 0;

  virtual const LinkCounters& counters() const = 0;
};

}  // namespace ringleader
