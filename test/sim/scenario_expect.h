// What a scenario asserts beyond its trace.
#pragma once

#include "scenario_words.h"

namespace ringleader::sim {

// expect ..., of members that are up:
//   primary M | no primary          who leads, and nobody else
//   primaries M..                   who leads, in any ballots
//   follows M PRIMARY | follows M nobody
//   role M replica|candidate|primary
//   commit M LSN  promised M BALLOT  configuration M VERSION
//   values M V.. | values M none    the data records of its whole log
//   acknowledged V.. | not-acknowledged V..
//   same-logs                       of all that are up
//   discarded M N                   records that roll-backs have kept in files
//   halted M  broken M  safe M  unsafe M
void Expect(Words& words, ScenarioWorld& world);

}  // namespace ringleader::sim
