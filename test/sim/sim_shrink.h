// Makes a run that fails short: takes away kinds of faults, single strikes, members, clients,
// operations and modes, one after the other, and keeps each away without which the run still fails
// in the same way.
//
// Every run is a process of its own, so that one that ends by a signal can be shortened too.
#pragma once

#include <functional>
#include <string>

#include "sim_run.h"

namespace ringleader::simulator {

// What is left of a failure's text when its numbers are taken out: two failures of one kind.
std::string KindOf(const std::string& problem);

// In a process of its own. Of the report: problem, operations and strikes_hit.
SimReport RunApart(const SimPlan& plan);

// `failed`: of that plan. Ends early when `more` says so.
SimPlan Shrink(SimPlan plan, SimReport failed, const std::function<bool()>& more);

// The arguments by which simulate runs the plan, where it is one of DrawPlan with less.
std::string ArgumentsOf(const SimPlan& plan);

}  // namespace ringleader::simulator
