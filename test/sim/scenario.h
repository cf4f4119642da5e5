// Scenarios: what happens to a group, written down as text, with what has to come of it.
//
//   # What is shown, where it comes from, and why it has to be so.
//   group 1 2 3
//   found 1
//   settle
//     1 is primary in 1.a
//     ...
//   expect log 3 7
//
// A line at the margin is a command (scenario_commands.cc lists them); the lines indented below it
// are its trace: messages as core/text.h prints them, what members tell, and in the end what was
// committed and acknowledged. They are compared as they stand. Whatever the command, the rules of
// ModelGroup::Check hold after each of its steps, or the scenario fails.
//
// Nothing is random: members have the incarnations a, b, c, ... and time moves only by commands.
#pragma once

#include <string>
#include <string_view>

namespace ringleader::sim {

struct ScenarioRun {
  std::string problem;  // with the number of its line; empty: all is as expected
  bool broken = false;  // not a trace that differs: a rule, an `expect`, or the text itself
  std::string updated;  // the text, with what came out in place of what was expected
};

ScenarioRun RunScenario(std::string_view text);

}  // namespace ringleader::sim
