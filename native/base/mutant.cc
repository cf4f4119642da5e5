#include "base/mutant.h"

#include <cstring>

namespace ringleader {

#ifdef RINGLEADER_MUTANTS
Mutant g_mutant = Mutant::kNone;
#endif

const char* MutantName(Mutant mutant) {
  // Without a default, so that the compiler names the mutant that is missing here.
  switch (mutant) {
    case Mutant::kNone:
      return "None";
    case Mutant::kSkipDataSync:
      return "SkipDataSync";
    case Mutant::kSkipChainCheck:
      return "SkipChainCheck";
    case Mutant::kAcceptTornBelowMark:
      return "AcceptTornBelowMark";
    case Mutant::kSkipDirectorySync:
      return "SkipDirectorySync";
    case Mutant::kSkipRecycleInvalidate:
      return "SkipRecycleInvalidate";
    case Mutant::kSkipPayloadCheck:
      return "SkipPayloadCheck";
    case Mutant::kSkipTailRewrite:
      return "SkipTailRewrite";
    case Mutant::kSkipSegmentBarrier:
      return "SkipSegmentBarrier";
    case Mutant::kDurableBeforeSync:
      return "DurableBeforeSync";
    case Mutant::kUpdateStateInPlace:
      return "UpdateStateInPlace";
    case Mutant::kPublishBeforeCopy:
      return "PublishBeforeCopy";
    case Mutant::kRetryFailedSync:
      return "RetryFailedSync";
    case Mutant::kIgnoreGate:
      return "IgnoreGate";
    case Mutant::kShowPieces:
      return "ShowPieces";
    case Mutant::kForgetPieces:
      return "ForgetPieces";
    case Mutant::kForgetRing:
      return "ForgetRing";
    case Mutant::kDiscardUnflushed:
      return "DiscardUnflushed";
    case Mutant::kHardStateUnflushed:
      return "HardStateUnflushed";
    case Mutant::kHardStateRetries:
      return "HardStateRetries";
    case Mutant::kIgnoreRetention:
      return "IgnoreRetention";
    case Mutant::kSkipTombstone:
      return "SkipTombstone";
    case Mutant::kPublishBeforeVersion:
      return "PublishBeforeVersion";
    case Mutant::kSkipRedo:
      return "SkipRedo";
    case Mutant::kInsertBeforeFlip:
      return "InsertBeforeFlip";
    case Mutant::kFoldPastLimit:
      return "FoldPastLimit";
    case Mutant::kFoldBeforeFlush:
      return "FoldBeforeFlush";
    case Mutant::kIgnoreRanges:
      return "IgnoreRanges";
    case Mutant::kReadBaseBeforeGenerations:
      return "ReadBaseBeforeGenerations";
    case Mutant::kAppliedOutsideBatch:
      return "AppliedOutsideBatch";
    case Mutant::kSkipRowChecksum:
      return "SkipRowChecksum";
    case Mutant::kBackupWithoutHold:
      return "BackupWithoutHold";
    case Mutant::kBulkLoadEarlyName:
      return "BulkLoadEarlyName";
    case Mutant::kRollBackKeepsMark:
      return "RollBackKeepsMark";
    case Mutant::kRollBackKeepsTail:
      return "RollBackKeepsTail";
    case Mutant::kReaderKeepsHalf:
      return "ReaderKeepsHalf";
    case Mutant::kForgetFulfilled:
      return "ForgetFulfilled";
    case Mutant::kSkipReclaim:
      return "SkipReclaim";
    case Mutant::kIgnoreStaleIds:
      return "IgnoreStaleIds";
    case Mutant::kKeepGuardedSlot:
      return "KeepGuardedSlot";
    case Mutant::kGuardAnyGeneration:
      return "GuardAnyGeneration";
    case Mutant::kCloseBesideJobs:
      return "CloseBesideJobs";
    case Mutant::kShareQueuedBytes:
      return "ShareQueuedBytes";
    case Mutant::kWakeOneThread:
      return "WakeOneThread";
    case Mutant::kCloseSharedStore:
      return "CloseSharedStore";
    case Mutant::kSkipFrameChecksum:
      return "SkipFrameChecksum";
    case Mutant::kSkipFrameLength:
      return "SkipFrameLength";
    case Mutant::kAcceptDamagedHardState:
      return "AcceptDamagedHardState";
    case Mutant::kForkOneRowOn:
      return "ForkOneRowOn";
    case Mutant::kShareOldView:
      return "ShareOldView";
    case Mutant::kCount:
      break;
  }
  return "unknown";
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
