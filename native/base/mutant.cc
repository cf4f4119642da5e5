#include "base/mutant.h"

#include <cstddef>
#include <cstring>
#include <iterator>

namespace ringleader {

#ifdef RINGLEADER_MUTANTS
Mutant g_mutant = Mutant::kNone;
#endif

namespace {

struct Named {
  Mutant mutant;
  const char* name;
};

#define RL_MUTANT_NAME(name) \
  { Mutant::k##name, #name }

constexpr Named kNames[] = {
    RL_MUTANT_NAME(None),
    RL_MUTANT_NAME(SkipDataSync),
    RL_MUTANT_NAME(SkipChainCheck),
    RL_MUTANT_NAME(AcceptTornBelowMark),
    RL_MUTANT_NAME(SkipDirectorySync),
    RL_MUTANT_NAME(SkipRecycleInvalidate),
    RL_MUTANT_NAME(SkipPayloadCheck),
    RL_MUTANT_NAME(SkipTailRewrite),
    RL_MUTANT_NAME(SkipSegmentBarrier),
    RL_MUTANT_NAME(DurableBeforeSync),
    RL_MUTANT_NAME(UpdateStateInPlace),
    RL_MUTANT_NAME(PublishBeforeCopy),
    RL_MUTANT_NAME(RetryFailedSync),
    RL_MUTANT_NAME(IgnoreGate),
    RL_MUTANT_NAME(ShowPieces),
    RL_MUTANT_NAME(ForgetPieces),
    RL_MUTANT_NAME(ForgetRing),
    RL_MUTANT_NAME(DiscardUnflushed),
    RL_MUTANT_NAME(ReplaceUnderControl),
    RL_MUTANT_NAME(HardStateUnflushed),
    RL_MUTANT_NAME(HardStateRetries),
    RL_MUTANT_NAME(IgnoreRetention),
    RL_MUTANT_NAME(SkipTombstone),
    RL_MUTANT_NAME(PublishBeforeVersion),
    RL_MUTANT_NAME(SkipRedo),
    RL_MUTANT_NAME(InsertBeforeFlip),
    RL_MUTANT_NAME(FoldPastLimit),
    RL_MUTANT_NAME(FreezeHeldBack),
    RL_MUTANT_NAME(FoldBeforeFlush),
    RL_MUTANT_NAME(IgnoreRanges),
    RL_MUTANT_NAME(ReadBaseBeforeGenerations),
    RL_MUTANT_NAME(AppliedOutsideBatch),
    RL_MUTANT_NAME(SkipRowChecksum),
    RL_MUTANT_NAME(LookOnceAtBase),
    RL_MUTANT_NAME(BackupWithoutHold),
    RL_MUTANT_NAME(BulkLoadEarlyName),
    RL_MUTANT_NAME(SkipSnapshotChecksum),
    RL_MUTANT_NAME(InstallOld),
    RL_MUTANT_NAME(ForgetIncoming),
    RL_MUTANT_NAME(SendUnpaced),
    RL_MUTANT_NAME(InstallUnmarked),
    RL_MUTANT_NAME(InstallUnderViews),
    RL_MUTANT_NAME(RollBackKeepsMark),
    RL_MUTANT_NAME(RollBackKeepsTail),
    RL_MUTANT_NAME(ReaderKeepsHalf),
    RL_MUTANT_NAME(ForgetFulfilled),
    RL_MUTANT_NAME(SkipReclaim),
    RL_MUTANT_NAME(IgnoreStaleIds),
    RL_MUTANT_NAME(KeepGuardedSlot),
    RL_MUTANT_NAME(GuardAnyGeneration),
    RL_MUTANT_NAME(CloseBesideJobs),
    RL_MUTANT_NAME(ShareQueuedBytes),
    RL_MUTANT_NAME(WakeOneThread),
    RL_MUTANT_NAME(CloseSharedStore),
    RL_MUTANT_NAME(SkipFrameChecksum),
    RL_MUTANT_NAME(SkipFrameLength),
    RL_MUTANT_NAME(AcceptDamagedHardState),
    RL_MUTANT_NAME(ForkOneRowOn),
    RL_MUTANT_NAME(ShareOldView),
    RL_MUTANT_NAME(KeepHashIndex),
    RL_MUTANT_NAME(SpeakUnflushed),
    RL_MUTANT_NAME(VoteForStale),
    RL_MUTANT_NAME(VoteForLonger),
    RL_MUTANT_NAME(VoteBelowPromise),
    RL_MUTANT_NAME(AckBeyondMatched),
    RL_MUTANT_NAME(AckUnflushed),
    RL_MUTANT_NAME(AckOldReign),
    RL_MUTANT_NAME(CommitOldTerm),
    RL_MUTANT_NAME(CountLearners),
    RL_MUTANT_NAME(CountUnflushed),
    RL_MUTANT_NAME(OneCopyLess),
    RL_MUTANT_NAME(OneVoteLess),
    RL_MUTANT_NAME(NoStepDown),
    RL_MUTANT_NAME(CommitWhileAsking),
    RL_MUTANT_NAME(RollBackTooFar),
    RL_MUTANT_NAME(TakeStaleDonation),
    RL_MUTANT_NAME(SettleUncompared),
    RL_MUTANT_NAME(CountOldFlush),
    RL_MUTANT_NAME(CountOldDisk),
    RL_MUTANT_NAME(StrangerVotes),
    RL_MUTANT_NAME(TwoChanges),
    RL_MUTANT_NAME(EarlyChange),
    RL_MUTANT_NAME(PromoteEarly),
    RL_MUTANT_NAME(OneConfiguration),
    RL_MUTANT_NAME(LeaseFromReceipt),
    RL_MUTANT_NAME(LeaseKept),
    RL_MUTANT_NAME(LeaseIgnored),
    RL_MUTANT_NAME(LeaseForgotten),
    RL_MUTANT_NAME(ReadEarly),
    RL_MUTANT_NAME(ReadWithoutRound),
    RL_MUTANT_NAME(ReadByOldRound),
    RL_MUTANT_NAME(CommitBeyondMatched),
    RL_MUTANT_NAME(AckBeforeShrink),
    RL_MUTANT_NAME(GrowUnawaited),
    RL_MUTANT_NAME(GrowEarly),
    RL_MUTANT_NAME(GrowByCommit),
    RL_MUTANT_NAME(SwapUnpromised),
    RL_MUTANT_NAME(LeadOutOfSync),
    RL_MUTANT_NAME(Outbid),
    RL_MUTANT_NAME(AppendAnywhere),
    RL_MUTANT_NAME(OldSnapshot),
    RL_MUTANT_NAME(LeaseIgnoresDrift),
    RL_MUTANT_NAME(CountUnknownSwap),
    RL_MUTANT_NAME(ForgetSwap),
    RL_MUTANT_NAME(AppointLoser),
    RL_MUTANT_NAME(CountUnknownDisk),
    RL_MUTANT_NAME(SurviveInherited),
    RL_MUTANT_NAME(JudgeByEnd),
    RL_MUTANT_NAME(LookOnce),
    RL_MUTANT_NAME(FillInPlace),
    RL_MUTANT_NAME(ServeByOldRound),
    RL_MUTANT_NAME(ShareRole),
    RL_MUTANT_NAME(TrustControl),
    RL_MUTANT_NAME(FoldUncommitted),
    RL_MUTANT_NAME(DiscardUnkept),
    RL_MUTANT_NAME(PassOverUnseen),
    RL_MUTANT_NAME(TrustNames),
    RL_MUTANT_NAME(DiscardByName),
    RL_MUTANT_NAME(TakeForeignGroup),
    RL_MUTANT_NAME(TrustSender),
    RL_MUTANT_NAME(OneLane),
    RL_MUTANT_NAME(UnboundedOutbox),
    RL_MUTANT_NAME(AnswerAll),
    RL_MUTANT_NAME(JoinAcrossGap),
    RL_MUTANT_NAME(TakeTornBatch),
    RL_MUTANT_NAME(PermanentEarly),
    RL_MUTANT_NAME(FailedBeforeFlush),
    RL_MUTANT_NAME(DurableViewsAreLocal),
    RL_MUTANT_NAME(SkipFrameHeadCheck),
    RL_MUTANT_NAME(SkipFrameSequence),
    RL_MUTANT_NAME(UnboundedMessage),
    RL_MUTANT_NAME(SkipProof),
    RL_MUTANT_NAME(TakeOwnProof),
    RL_MUTANT_NAME(IgnoreCredit),
    RL_MUTANT_NAME(RingPublishEarly),
    RL_MUTANT_NAME(RingTrustShared),
    RL_MUTANT_NAME(RingTrustHead),
    RL_MUTANT_NAME(RingSleepBlind),
    RL_MUTANT_NAME(RingSkipSeals),
};

constexpr bool InOrder() {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i].mutant != static_cast<Mutant>(i)) return false;
  }
  return std::size(kNames) == static_cast<size_t>(Mutant::kCount);
}
static_assert(InOrder(), "every mutant has its row, in the order of mutant.h");

}  // namespace

const char* MutantName(Mutant mutant) {
  const auto index = static_cast<size_t>(mutant);
  return index < std::size(kNames) ? kNames[index].name : "unknown";
}

bool SelectMutant(const char* name) {
#ifdef RINGLEADER_MUTANTS
  for (uint8_t i = 0; i < static_cast<uint8_t>(Mutant::kCount); ++i) {
    if (std::strcmp(MutantName(static_cast<Mutant>(i)), name) != 0) continue;
    g_mutant = static_cast<Mutant>(i);
    return true;
  }
#endif
  return std::strcmp(name, MutantName(Mutant::kNone)) == 0;
}

}  // namespace ringleader
