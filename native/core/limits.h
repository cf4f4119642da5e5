// Every bound of the protocol, in one place. Nothing in the core grows beyond one of these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringleader {

// Members of a group of any kind, this one included. Voters among them: kMaxVoters.
inline constexpr size_t kMaxMembers = 32;
inline constexpr size_t kMaxVoters = 15;

// Terms that a member remembers. Older ones are merged into the oldest: a replica that left the
// group's history before it is given a snapshot instead.
inline constexpr size_t kMaxTerms = 1024;
// Terms in one message. A replica with more terms than that which the primary knows nothing of gets
// a snapshot.
inline constexpr size_t kMaxTermsInMessage = 64;
// How far a message may raise the counter of ballots at once: more is damage, and would use the
// counter up.
inline constexpr uint32_t kMaxBallotJump = uint32_t{1} << 20;

// How often in a row a candidate fetches records from a fresher member that cannot lead, before it
// asks for votes without them.
inline constexpr uint32_t kMaxDonations = 3;

// Configurations in the log above the commit position. One change at a time is under way, so more
// than two means that a log has been put together by somebody else.
inline constexpr size_t kMaxOpenConfigurations = 4;

// Linearizable reads that wait for their round at once.
inline constexpr size_t kMaxReads = 1024;

// Bytes of records in one message, and bytes on their way to one member.
inline constexpr uint64_t kMinAppendBytes = 4096;
inline constexpr uint64_t kMaxAppendBytes = uint64_t{16} << 20;
inline constexpr uint64_t kMaxWindowBytes = uint64_t{1} << 30;

// Bytes of contact data that a member tells the others, and of one piece of a snapshot.
inline constexpr size_t kMaxContactBytes = 1024;
inline constexpr uint64_t kMaxSnapshotPieceBytes = uint64_t{4} << 20;

}  // namespace ringleader
