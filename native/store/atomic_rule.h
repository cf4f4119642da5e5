// What an atomic operation makes of a row.
//
// Pure, and fast enough for the writer section.
// Threads: any.
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "store/commit.h"
#include "store/row.h"

namespace ringleader {

// Fills in what the operation gives back, and the payload that carries it out; empty where its
// condition does not hold. kInvalidArgument where the row is no number that could be added to.
Status ApplyAtomicRule(const std::optional<Row>& row, AtomicOperation* operation,
                       std::vector<uint8_t>* payload);

}  // namespace ringleader
