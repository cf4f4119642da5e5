// The groups that are explored, as they are when they are at work: founded, everything committed
// everywhere, nothing on its way.
#pragma once

#include "explore.h"
#include "model_group.h"

namespace ringleader::sim {

// Times are counted in units, so that few of them differ.
inline constexpr Nanos kExploreTimeout = 3;

ModelGroup MakeExploreGroup(const std::string& name);

}  // namespace ringleader::sim
