// Names of databases, and the ids behind them: rows of database 0.
//
//   n<name>    -> id u32 | metadata      a database; metadata is the caller's (at most 4,096 bytes)
//   d<id>      -> (empty)                rows of this id are to be removed; eaten by the fold
//   i          -> next id
//
// The last two ids are four bytes big-endian, as in a row key.
//
// Dropping or clearing a database only changes its name's row; the fold removes the old rows from
// the base bit by bit. Because the catalogue is made of rows, views see the databases of their
// time, and transactions on it are validated like any other. Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "store/row.h"
#include "store/view.h"

namespace ringleader {

inline constexpr size_t kMaxDatabaseName = 255;  // bytes of UTF-8; at least 1
inline constexpr size_t kMaxDatabaseMetadata = 4096;

struct Database {
  std::string name;
  DatabaseId id = 0;
  std::vector<uint8_t> metadata;
};

// kTooLarge where the name is too long, kInvalidArgument where it is empty or no UTF-8.
Status CheckDatabaseName(const std::string& name);

// Row keys and values of the catalogue.
std::vector<uint8_t> DatabaseRowKey(const std::string& name);
std::vector<uint8_t> DroppedRowKey(DatabaseId id);
std::vector<uint8_t> NextIdRowKey();
std::vector<uint8_t> EncodeDatabase(const Database& database);
// kCorruption where the row is no database.
Result<Database> DecodeDatabase(Bytes row_key, Bytes value);
// The id of a `d` row; nullopt for any other row key.
std::optional<DatabaseId> DroppedId(Bytes row_key);

// As the view has them, in the order of their names. A name that no database can have is refused as
// CheckDatabaseName does.
Result<std::optional<Database>> FindDatabase(View& view, const std::string& name);
Result<std::vector<Database>> ListDatabases(View& view);

}  // namespace ringleader
