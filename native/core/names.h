// The names of the core's enumerators, in lower case: for traces, and for the wire, where a value
// without a name is refused.
#pragma once

#include <string_view>

#include "core/configuration.h"
#include "core/message.h"
#include "core/options.h"
#include "core/output.h"
#include "core/witness.h"

namespace ringleader {

// Empty for a value that is none of the enumerators.
std::string_view NameOf(MemberKind kind);
std::string_view NameOf(QuorumRule rule);
std::string_view NameOf(MembershipChange::Kind kind);
std::string_view NameOf(CanvassVerdict verdict);
std::string_view NameOf(AckProblem problem);
std::string_view NameOf(TwoMembers rule);
std::string_view NameOf(Role role);
std::string_view NameOf(NoticeKind kind);
std::string_view NameOf(WitnessOutcome outcome);

}  // namespace ringleader
