// The messages of the protocol: who sends each to whom, and what it promises.
//
// Every message carries its sender's ballot, the highest it has promised: a member never takes a
// message of a primary whose ballot is below its own promise, and never keeps a promise from a
// message it has not yet flushed. What is in Records::bytes is the log itself and is none of the
// core's business; everything else is listed here once, for the wire, for traces and for hashes.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "core/configuration.h"
#include "core/terms.h"
#include "core/types.h"

namespace ringleader {

// --- Elections -----------------------------------------------------------------------------------

// Candidate -> everybody. "Who would be the best primary?" Promises and costs nothing. From a voter
// that may not lead (priority 0) it is an offer: "whoever lacks some of my log may ask me for it".
struct Canvass {
  uint64_t round = 0;  // of this candidate, ascending
  Position last;       // flushed end of its log
  uint32_t priority = 0;
  uint64_t configuration = 0;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("round", self.round);
    field("last", self.last);
    field("priority", self.priority);
    field("configuration", self.configuration);
  }
};

enum class CanvassVerdict : uint8_t {
  kReady = 1,    // would vote
  kBusy = 2,     // follows a primary that has its quorum, or is bound by a lease
  kStranger = 3  // does not know the candidate as a member
};

// Anybody -> candidate.
struct CanvassReply {
  uint64_t round = 0;
  CanvassVerdict verdict = CanvassVerdict::kReady;
  Position last;
  uint32_t priority = 0;
  uint64_t configuration = 0;
  Position settled;  // where the newest configuration that the sender knows to be committed ends

  static constexpr auto Fields(auto& self, auto&& field) {
    field("round", self.round);
    field("verdict", self.verdict);
    field("last", self.last);
    field("priority", self.priority);
    field("configuration", self.configuration);
    field("settled", self.settled);
  }
};

// Candidate -> the best that its canvass has found, or primary -> the member it hands over to:
// "call for the vote now". With `handover` the sender has ended its reign.
struct Nominate {
  bool handover = false;

  static constexpr auto Fields(auto& self, auto&& field) { field("handover", self.handover); }
};

// Candidate -> everybody, when its own vote is flushed. The ballot is the message's.
struct Vote {
  Position last;
  uint64_t configuration = 0;
  Ballot handover;  // the ballot whose primary has asked for this; none otherwise

  static constexpr auto Fields(auto& self, auto&& field) {
    field("last", self.last);
    field("configuration", self.configuration);
    field("handover", self.handover);
  }
};

// Voter -> candidate. Granted: the voter has flushed the candidate's ballot, and will never again
// acknowledge anything under a lower one. Refused: the message's ballot and `last` say why.
struct VoteReply {
  Ballot candidate;  // the ballot that was asked for
  bool granted = false;
  Position last;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("candidate", self.candidate);
    field("granted", self.granted);
    field("last", self.last);
  }
};

// --- The log -------------------------------------------------------------------------------------

// A configuration and the end of its record.
struct ConfigurationAt {
  Lsn end;
  Configuration configuration;

  bool operator==(const ConfigurationAt&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) {
    field("end", self.end);
    field("configuration", self.configuration);
  }
};

// Primary -> replica, or replica -> replica that has asked. Whole records of [previous.lsn, end):
// they follow `previous`, or nothing of them may be appended.
struct Records {
  Position previous;
  Lsn end;
  Lsn commit;                // the sender's commit position
  Lsn log_end;               // how far the sender's log goes
  bool from_primary = true;  // of the message's ballot; otherwise only a copy of another replica's
  uint8_t levels = 0;        // AckLevel bits that somebody waits for
  std::vector<TermStart> terms;  // that begin in it
  Bytes bytes;                   // filled in and taken out by the driver; not looked at

  static constexpr auto Fields(auto& self, auto&& field) {
    field("previous", self.previous);
    field("end", self.end);
    field("commit", self.commit);
    field("log_end", self.log_end);
    field("from_primary", self.from_primary);
    field("levels", self.levels);
    field("terms", self.terms);
    field("bytes", self.bytes);
  }
};

// What an acknowledgement can prove (bits of Records::levels).
enum AckLevel : uint8_t { kReceived = 1, kWritten = 2, kFlushed = 4, kApplied = 8 };

// Primary -> everybody, every heartbeat interval and whenever a read waits.
struct Heartbeat {
  Nanos sent_at = 0;  // the primary's clock; comes back in the Ack
  Position end;       // of its log
  Lsn commit;
  bool has_quorum = false;  // it has heard from V voters within an election timeout
  Nanos lease = 0;          // how long the receiver is asked to vote for nobody; 0 = no lease

  static constexpr auto Fields(auto& self, auto&& field) {
    field("sent_at", self.sent_at);
    field("end", self.end);
    field("commit", self.commit);
    field("has_quorum", self.has_quorum);
    field("lease", self.lease);
  }
};

enum class AckProblem : uint8_t {
  kNone = 0,
  kGap = 1,      // records before those that came are missing, from Ack::end on
  kFork = 2,     // the logs differ somewhere below what came
  kRefused = 3,  // the replica has promised a higher ballot, the message's
  kBroken = 4,   // the replica's disk has failed; it takes nothing any more
};

// Replica -> primary. Positions are of records that the replica certainly has in common with the
// primary of this ballot, and `flushed` is a promise: it leaves when the bytes, and the ballot, are
// on the replica's disk.
struct Ack {
  Nanos sent_at = 0;  // of the newest heartbeat taken; 0 = none yet
  AckProblem problem = AckProblem::kNone;
  Lsn received, written, flushed, applied;
  // kGap, kFork: where the replica's log ends, and the newest terms of it: enough for the primary
  // to find how far the two are the same.
  Position end;
  std::vector<TermStart> terms;
  uint64_t disk = 0;  // that the copy lies on, a number to tell disks apart; 0 = unknown

  static constexpr auto Fields(auto& self, auto&& field) {
    field("sent_at", self.sent_at);
    field("problem", self.problem);
    field("received", self.received);
    field("written", self.written);
    field("flushed", self.flushed);
    field("applied", self.applied);
    field("end", self.end);
    field("terms", self.terms);
    field("disk", self.disk);
  }
};

// Replica -> replica (or primary): "send me records from there". Answered with Records, or with
// Refusal where the log does not hold them or holds something else: then with where it begins and
// ends, the newest terms of it, as an Ack has them, and what of it is committed.
struct Request {
  Position from;
  uint64_t limit_bytes = 0;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("from", self.from);
    field("limit_bytes", self.limit_bytes);
  }
};
struct Refusal {
  Position from;
  Lsn log_start;
  Lsn commit;  // the sender's commit position
  Position end;
  std::vector<TermStart> terms;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("from", self.from);
    field("log_start", self.log_start);
    field("commit", self.commit);
    field("end", self.end);
    field("terms", self.terms);
  }
};

// --- Joining -------------------------------------------------------------------------------------

// A member -> everybody, when it starts and while it knows no primary.
struct Hello {
  Position last;
  std::vector<uint8_t> contact;  // the application's, at most kMaxContactBytes

  static constexpr auto Fields(auto& self, auto&& field) {
    field("last", self.last);
    field("contact", self.contact);
  }
};

// Primary -> replica: what the replica lacks is in nobody's log any more, or its history is too old
// to compare. It needs a snapshot.
struct Outdated {
  Lsn log_start;

  static constexpr auto Fields(auto& self, auto&& field) { field("log_start", self.log_start); }
};

// Replica -> primary, or, where nobody leads, candidate -> donor: one piece of a snapshot. `id` 0
// asks for a new one.
struct SnapshotRequest {
  uint64_t id = 0;
  uint64_t offset = 0;
  uint64_t limit_bytes = 0;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("offset", self.offset);
    field("limit_bytes", self.limit_bytes);
  }
};

// What a snapshot is a snapshot of.
struct SnapshotHead {
  uint64_t id = 0;           // of its maker; another maker's is another snapshot
  uint64_t total_bytes = 0;  // 0 = not known yet
  Position position;         // everything below is in it
  std::vector<TermStart> terms;
  ConfigurationAt configuration;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("total_bytes", self.total_bytes);
    field("position", self.position);
    field("terms", self.terms);
    field("configuration", self.configuration);
  }
};

// The answer. What the snapshot holds is committed, whoever has made it.
struct SnapshotPiece {
  SnapshotHead head;
  uint64_t offset = 0;
  bool last = false;
  bool from_primary = true;  // of the message's ballot; Replicator::Envelope says it
  Bytes bytes;               // filled in and taken out by the driver

  static constexpr auto Fields(auto& self, auto&& field) {
    field("head", self.head);
    field("offset", self.offset);
    field("last", self.last);
    field("from_primary", self.from_primary);
    field("bytes", self.bytes);
  }
};

// --- Reads ---------------------------------------------------------------------------------------

// Replica -> primary: "from where on is a read of mine linearizable?" Answered when a round of
// heartbeats has shown that the primary still was one when it was asked.
struct ReadRequest {
  uint64_t id = 0;

  static constexpr auto Fields(auto& self, auto&& field) { field("id", self.id); }
};
struct ReadReply {
  uint64_t id = 0;
  bool granted = false;
  Lsn position;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("id", self.id);
    field("granted", self.granted);
    field("position", self.position);
  }
};

// --- Envelope ------------------------------------------------------------------------------------

using Body =
    std::variant<Canvass, CanvassReply, Nominate, Vote, VoteReply, Records, Heartbeat, Ack, Request,
                 Refusal, Hello, Outdated, SnapshotRequest, SnapshotPiece, ReadRequest, ReadReply>;

struct Message {
  MemberId from, to;                     // to: kNobody = everybody
  Incarnation incarnation;               // of the sender
  MemberKind kind = MemberKind::kVoter;  // of the sender, as it sees itself
  Ballot ballot;  // the highest the sender has promised (Vote: the one it asks for)
  Body body;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("from", self.from);
    field("to", self.to);
    field("incarnation", self.incarnation);
    field("kind", self.kind);
    field("ballot", self.ballot);
    field("body", self.body);
  }
};

// "Records", "Ack", ...
std::string_view NameOf(const Body& body);

}  // namespace ringleader
