// What received messages have come to, and what has been counted of them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/types.h"

namespace ringleader {

enum class MessageResult : uint8_t {
  kProcessed = 0,
  kPermanent = 1,     // its transactions are in the log, as safely as the member has been told to
  kNotPermanent = 2,  // what comes before it is missing: it is asked for, and this comes again
  kIgnored = 3,       // of a reign that is over, or for somebody else
  kNewMember = 4,     // `member`, with `contact`
  kHoldElection = 5,  // `member` canvasses
  kDuplicatePrimary = 6,  // `member` leads too
  kJoinFailure = 7,       // a snapshot is needed, and automatic ones are off
};
inline constexpr size_t kMessageResults = 8;

// Of one call of Replication::Receive or ReceiveMany.
struct ArrivalReport {
  uint64_t ticket = 0;
  bool many = false;                                 // of ReceiveMany
  MessageResult result = MessageResult::kProcessed;  // of the latest one
  uint32_t processed = 0;                            // kProcessed, and those from kNewMember on
  uint32_t permanent = 0, not_permanent = 0, ignored = 0;
  uint32_t refused = 0;  // not a message of this group and sender
  Lsn lsn;               // up to here all is permanent, or, where nothing was, the latest's end
  MemberId member;
  std::vector<uint8_t> contact;
};

// Ascending; of one run of a member.
struct ReplicationCounters {
  uint64_t results[kMessageResults] = {};  // messages by MessageResult
  uint64_t sent = 0;                       // messages of all kinds
  uint64_t records_sent = 0, record_bytes_sent = 0;
  uint64_t records_received = 0, record_bytes_received = 0;
  uint64_t records_repeated = 0;  // messages of records that were all there
  uint64_t requests_sent = 0;     // for what was missing, to a replica or the primary
  uint64_t requests_received = 0, refusals_sent = 0;
  uint64_t pieces_sent = 0, pieces_received = 0, snapshots = 0;
  uint64_t elections = 0, elections_won = 0, elections_failed = 0;
  uint64_t primary_changes = 0;
  uint64_t outdated = 0;          // members that were told that they need a snapshot
  uint64_t permanent_failed = 0;  // times that sends of records failed and the log was flushed
};

}  // namespace ringleader
