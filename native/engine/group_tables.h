// Who led and what the group was, for the part of history that the log has let go of.
//
//   group-tables   version (1), position (8), terms, configuration, checksum (4)
//
// The log alone tells what a member comes up with (log/group_scan.h) as long as it reaches back to
// the beginning. What lies below its start is kept here: written whole under another name, flushed
// and renamed before the log may be trimmed up to the position.
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "core/message.h"
#include "core/terms.h"
#include "env/env.h"

namespace ringleader {

inline constexpr char kGroupTablesName[] = "group-tables";

struct GroupTables {
  Lsn position;                   // everything below is accounted for
  std::vector<TermStart> terms;   // that begin below, ascending
  ConfigurationAt configuration;  // the newest one that ends at or below; version 0 = none

  bool operator==(const GroupTables&) const = default;
};

std::vector<uint8_t> EncodeGroupTables(const GroupTables& tables);
// kCorruption for anything that Encode would not have written; kNewerFormat.
Result<GroupTables> DecodeGroupTables(Bytes bytes);

// Empty tables where there is no file.
Result<GroupTables> LoadGroupTables(Env& env, const std::string& directory);
// Durable when it returns.
Status SaveGroupTables(Env& env, const std::string& directory, const GroupTables& tables);

}  // namespace ringleader
