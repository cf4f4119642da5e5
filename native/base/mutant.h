// Planted bugs. RL_MUTANT(kName) is false in every shipped build. In the test build
// (RINGLEADER_MUTANTS) it is true while a test has that mutant switched on, and the test has to
// notice: a check that no planted bug can make fail proves nothing.
#pragma once

#include <cstdint>

namespace ringleader {

enum class Mutant : uint8_t {
  kNone = 0,
  kSkipDataSync,           // the flusher reports durable without fdatasync
  kSkipChainCheck,         // a record whose prevCrc does not fit is accepted
  kAcceptTornBelowMark,    // recovery cuts the log below the durable mark
  kSkipDirectorySync,      // a new segment's directory entry is not flushed
  kSkipRecycleInvalidate,  // a recycled segment keeps its old header page
  kSkipPayloadCheck,       // payload checksums are not compared
  kSkipTailRewrite,        // recovery trusts page-cache bytes it has not flushed
  kSkipSegmentBarrier,     // the flusher starts a segment before the previous one is flushed
  kDurableBeforeSync,      // the durable position is published before fdatasync returns
  kUpdateStateInPlace,     // a writer changes the state that counts instead of the spare one
  kPublishBeforeCopy,      // the appended end moves before the record's bytes are in the ring
  kRetryFailedSync,        // a failed flush is tried again as if nothing had happened
  kIgnoreGate,             // the gate of a group's environment lets every writer in
  kShowPieces,             // pieces of a shipped transaction are visible before it is whole
  kForgetPieces,           // recovery takes pieces of an unfinished transaction for a whole one
  kForgetRing,             // recovery leaves such pieces out of the new ring
  kDiscardUnflushed,       // what a roll-back discards is not flushed before it is cut
  kReplaceUnderControl,    // a log is replaced while the control page of the old one still counts
  kHardStateUnflushed,     // the hard state counts as saved before it is flushed
  kHardStateRetries,       // the hard state is saved again after a failed flush
  kIgnoreRetention,        // a segment is recycled although a consumer still needs it
  kSkipTombstone,          // a remove is not inserted into the overlay
  kPublishBeforeVersion,   // a version is linked before its bytes are written
  kSkipRedo,               // what a dead writer had appended is published without being inserted
  kInsertBeforeFlip,       // a record is inserted into the overlay before it counts
  kFoldPastLimit,          // the fold ignores the limit that its caller has set
  kFreezeHeldBack,         // generations are frozen for their age while none may be folded
  kFoldBeforeFlush,        // the fold does not wait until the log is flushed
  kIgnoreRanges,           // ranges that a transaction has read are not recorded
  kReadBaseBeforeGenerations,  // a view takes the base's snapshot before the generations
  kAppliedOutsideBatch,        // the base tree's applied LSN is written in a transaction of its own
  kSkipRowChecksum,            // checksums of rows in the base tree are not compared
  kLookOnceAtBase,             // a commit while the base tree is being opened is taken for damage
  kBackupWithoutHold,          // a backup does not keep the log while it copies the base
  kBulkLoadEarlyName,          // a bulk load has its name before its last rows are synced
  kSkipSnapshotChecksum,       // the checksums of a received snapshot are not compared
  kInstallOld,                 // a snapshot may lack what this member has acknowledged
  kForgetIncoming,             // a restart forgets what has been received of a snapshot
  kSendUnpaced,                // snapshots are sent faster than they may be
  kInstallUnmarked,            // nothing tells recovery that a snapshot was being installed
  kInstallUnderViews,          // views are taken while a snapshot is being put in place
  kRollBackKeepsMark,          // a roll-back leaves the durable mark where it was
  kRollBackKeepsTail,          // a roll-back leaves the bytes that it discards on the disk
  kReaderKeepsHalf,            // a reader that fails inside a transaction goes on behind it
  kForgetFulfilled,            // a request that another process has fulfilled is not told
  kSkipReclaim,                // what a dead writer had taken in a generation stays taken
  kIgnoreStaleIds,             // ids of databases are used although the catalogue has changed
  kKeepGuardedSlot,            // a view that JavaScript has forgotten keeps its slot
  kGuardAnyGeneration,         // ... gives back a slot that is somebody else's by now
  kCloseBesideJobs,            // an environment is closed while its jobs are running
  kShareQueuedBytes,           // commits that wait keep their bytes where the next ones are written
  kWakeOneThread,              // of the threads that share a store one is told of progress
  kCloseSharedStore,           // the first thread that closes a shared store ends it for all
  kSkipFrameChecksum,          // the checksum of a message is not compared
  kSkipFrameLength,            // a message may be longer or shorter than it says
  kAcceptDamagedHardState,     // the checksum of a copy of the hard state is not compared
  kForkOneRowOn,               // two logs are held to be the same for a term that they do not share
  kShareOldView,               // a view is shared though others have committed since
  kKeepHashIndex,              // the hash index of an older state of the base stays in use
  kSpeakUnflushed,             // votes and acknowledgements leave before their promise is flushed
  kVoteForStale,               // a vote goes to a log that is older than the own one
  kVoteForLonger,              // a vote goes to the longer log, whatever its terms
  kVoteBelowPromise,           // a vote is given under a ballot below the promise
  kAckBeyondMatched,           // flushed records of another history are acknowledged
  kAckUnflushed,               // what is only received is acknowledged as flushed
  kAckOldReign,                // a primary below the promise is still followed and answered
  kCommitOldTerm,              // records of earlier reigns are committed by counting their copies
  kCountLearners,              // copies of learners count
  kCountUnflushed,             // copies count when they are received
  kOneCopyLess,                // K - 1 copies commit
  kOneVoteLess,                // V - 1 votes elect
  kNoStepDown,                 // a primary without a quorum goes on
  kCommitWhileAsking,          // a primary commits while its voters promise a higher ballot
  kRollBackTooFar,             // a roll-back does not stop at the fork
  kTakeStaleDonation,          // a snapshot of a donor that is behind the own log is taken
  kSettleUncompared,           // what a voter knows to be committed counts in any history
  kCountOldFlush,              // a flush of a log that has been rolled back counts
  kCountOldDisk,               // acknowledgements of a disk that has been replaced count
  kStrangerVotes,              // the vote of a disk that has replaced a voter counts
  kTwoChanges,                 // members change while a change is under way
  kEarlyChange,                // members change before the reign has committed its first record
  kPromoteEarly,               // a learner becomes a voter before it has caught up
  kOneConfiguration,           // the configuration before an open change has no say
  kLeaseFromReceipt,           // a lease runs from when its answer is received
  kLeaseKept,                  // a lease holds on while another member is told to take over
  kLeaseIgnored,               // a voter forgets the lease that it has given
  kLeaseForgotten,             // a lease does not outlive a restart of the voter
  kReadEarly,                  // a read is answered before the reign has committed its first record
  kReadWithoutRound,           // a read is answered without a round
  kReadByOldRound,             // a round that began before a read proves it
  kCommitBeyondMatched,        // a replica takes for committed what may be another history
  kAckBeforeShrink,            // a primary goes on alone before the swap that lets it
  kGrowUnawaited,              // a newcomer is not waited for before it is in the register
  kGrowEarly,                  // a newcomer comes into the register before it has caught up
  kGrowByCommit,               // a newcomer needs what is known to be committed, and no more
  kSwapUnpromised,             // the register is swapped before the promise is flushed
  kLeadOutOfSync,              // who is not in the register takes over
  kOutbid,                     // a primary that has committed nothing asks for more than another
  kAppendAnywhere,             // records are appended to a log that differs before them
  kOldSnapshot,                // a snapshot is taken that is older than the log
  kLeaseIgnoresDrift,          // a lease is held as long as if all clocks ran alike
  kCountUnknownSwap,           // a swap that nobody answers for counts as done
  kForgetSwap,                 // a swap that nobody answered for is over when it is read again
  kAppointLoser,               // who has lost its election meanwhile leads without one
  kCountUnknownDisk,           // a copy on an unknown disk counts as one on another disk
  kSurviveInherited,           // what is inherited survives before the reign's first record
  kJudgeByEnd,                 // whatever is committed up to there is the transaction asked for
  kLookOnce,                   // a reader of the board does not look whether it has changed
  kFillInPlace,                // the image of the board that counts is the one that is filled
  kServeByOldRound,            // a round answers tickets that were asked for after it began
  kShareRole,                  // a second process may drive the replication
  kTrustControl,               // recovery acts on a control page that may not be on the disk
  kFoldUncommitted,            // a member's base may hold what the group has not committed
  kDiscardUnkept,              // what a member rolls back is kept in no file
  kPassOverUnseen,             // what is shipped and seems to be there is not compared with it
  kTrustNames,                 // recovery uses a segment whose name may not be on the disk
  kDiscardByName,              // a roll-back removes the names of segments and leaves their bytes
  kTakeForeignGroup,           // a message of another group is taken
  kTrustSender,                // a message is taken whoever has handed it over
  kOneLane,                    // records go before heartbeats where they were there first
  kUnboundedOutbox,            // what a transport does not take is kept without a limit
  kAnswerAll,                  // a request is answered with all there is, whatever the limit
  kJoinAcrossGap,              // messages of a batch are joined although some are missing
  kTakeTornBatch,              // messages are taken of bytes that end inside one
  kPermanentEarly,             // messages are called permanent before they are flushed
  kFailedBeforeFlush,          // sends are told to have failed before the own disk has them
  kDurableViewsAreLocal,       // a snapshot of what is committed shows what is not
  kSkipFrameHeadCheck,         // the checksum of a link frame's head is not compared
  kSkipFrameSequence,          // a link takes frames whatever their numbers are
  kUnboundedMessage,           // pieces of a message are put together without a limit
  kSkipProof,                  // a member is believed to know the secret whatever it proves
  kTakeOwnProof,               // a member's own proof convinces it
  kIgnoreCredit,               // a link takes more than it has allowed the other side to send
  kRingPublishEarly,           // the tail of a ring moves before the frame has been written
  kRingTrustShared,            // a head that the other side can still change says how much is taken
  kRingTrustHead,              // a reader of a ring may say that it has read what was not written
  kRingSleepBlind,             // who goes to sleep does not look once more
  kRingSkipSeals,              // memory of a ring may be such as others can still change
  kCount,
};

// "kSkipDataSync" -> "SkipDataSync"; never null.
const char* MutantName(Mutant mutant);

// Switches on the planted bug of that name; "None" switches off. False, without effect, where this
// build has no such bug.
bool SelectMutant(const char* name);

#ifdef RINGLEADER_MUTANTS
extern Mutant g_mutant;
#define RL_MUTANT(name) (::ringleader::g_mutant == ::ringleader::Mutant::name)
#else
#define RL_MUTANT(name) false
#endif

}  // namespace ringleader
