#include "base/mutant.h"

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
    case Mutant::kIgnoreRetention:
      return "IgnoreRetention";
    case Mutant::kCount:
      break;
  }
  return "unknown";
}

}  // namespace ringleader
