#include "store/catalogue.h"

#include "base/check.h"
#include "base/coding.h"
#include "store/merge_cursor.h"

namespace ringleader {
namespace {

constexpr uint8_t kNameKind = 'n';
constexpr uint8_t kDroppedKind = 'd';
constexpr uint8_t kNextIdKind = 'i';
constexpr size_t kKindBytes = kRowPrefixBytes + 1;

std::vector<uint8_t> CatalogueRowKey(uint8_t kind) {
  std::vector<uint8_t> row_key(kRowPrefixBytes);
  StoreRowPrefix(row_key.data(), kCatalogueId);
  row_key.push_back(kind);
  return row_key;
}

bool IsOfKind(Bytes row_key, uint8_t kind) {
  return row_key.size() >= kKindBytes && LoadRowPrefix(row_key) == kCatalogueId &&
         row_key[kRowPrefixBytes] == kind;
}

bool IsDatabaseId(DatabaseId id) { return id > kCatalogueId && id <= kMaxDatabaseId; }

// One character of UTF-8 as Unicode has it (The Unicode Standard, table 3-7): how many bytes, and
// what the second one may be. That excludes what is longer than needed, surrogates, and everything
// beyond U+10FFFF.
struct Character {
  size_t bytes;
  uint8_t second_low = 0x80;
  uint8_t second_high = 0xbf;
};

Character CharacterOf(uint8_t first) {
  if (first < 0x80) return {1};
  if (first < 0xc2) return {0};
  if (first < 0xe0) return {2};
  if (first == 0xe0) return {3, 0xa0, 0xbf};
  if (first == 0xed) return {3, 0x80, 0x9f};
  if (first < 0xf0) return {3};
  if (first == 0xf0) return {4, 0x90, 0xbf};
  if (first < 0xf4) return {4};
  if (first == 0xf4) return {4, 0x80, 0x8f};
  return {0};
}

bool IsUtf8(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const Character character = CharacterOf(static_cast<uint8_t>(text[at]));
    if (character.bytes == 0 || text.size() - at < character.bytes) return false;
    for (size_t i = 1; i < character.bytes; ++i) {
      const auto byte = static_cast<uint8_t>(text[at + i]);
      const uint8_t low = i == 1 ? character.second_low : 0x80;
      const uint8_t high = i == 1 ? character.second_high : 0xbf;
      if (byte < low || byte > high) return false;
    }
    at += character.bytes;
  }
  return true;
}

}  // namespace

Status CheckDatabaseName(const std::string& name) {
  if (name.size() > kMaxDatabaseName) {
    return Status(Code::kTooLarge, "the name of a database has at most 255 bytes");
  }
  if (name.empty()) return Status(Code::kInvalidArgument, "a database needs a name");
  if (!IsUtf8(name)) {
    return Status(Code::kInvalidArgument, "the name of a database has to be valid UTF-8");
  }
  return Status::Ok();
}

std::vector<uint8_t> DatabaseRowKey(const std::string& name) {
  std::vector<uint8_t> row_key = CatalogueRowKey(kNameKind);
  row_key.insert(row_key.end(), name.begin(), name.end());
  return row_key;
}

std::vector<uint8_t> DroppedRowKey(DatabaseId id) {
  std::vector<uint8_t> row_key = CatalogueRowKey(kDroppedKind);
  row_key.resize(kKindBytes + sizeof id);
  StoreRowPrefix(row_key.data() + kKindBytes, id);
  return row_key;
}

std::vector<uint8_t> NextIdRowKey() { return CatalogueRowKey(kNextIdKind); }

std::vector<uint8_t> EncodeDatabase(const Database& database) {
  RL_CHECK(IsDatabaseId(database.id));
  RL_CHECK(database.metadata.size() <= kMaxDatabaseMetadata);
  std::vector<uint8_t> value;
  Encoder out(&value);
  out.Fixed(database.id);
  out.Raw(database.metadata);
  return value;
}

Result<Database> DecodeDatabase(Bytes row_key, Bytes value) {
  Database database;
  if (!IsOfKind(row_key, kNameKind)) {
    return Status(Code::kCorruption, "a row of the catalogue does not name a database");
  }
  const Bytes name = row_key.subspan(kKindBytes);
  database.name.assign(name.begin(), name.end());
  const Status named = CheckDatabaseName(database.name);
  if (!named.ok()) return Status(Code::kCorruption, "in the catalogue: " + named.message());
  Decoder in(value);
  if (!in.Fixed(&database.id) || !IsDatabaseId(database.id) ||
      in.rest().size() > kMaxDatabaseMetadata) {
    return Status(Code::kCorruption, "the catalogue's row of a database is damaged");
  }
  database.metadata.assign(in.rest().begin(), in.rest().end());
  return database;
}

std::optional<DatabaseId> DroppedId(Bytes row_key) {
  if (!IsOfKind(row_key, kDroppedKind)) return std::nullopt;
  if (row_key.size() != kKindBytes + sizeof(DatabaseId)) return std::nullopt;
  const DatabaseId id = LoadRowPrefix(row_key.subspan(kKindBytes));
  if (!IsDatabaseId(id)) return std::nullopt;
  return id;
}

Result<std::optional<Database>> FindDatabase(View& view, const std::string& name) {
  RL_RETURN_IF_ERROR(CheckDatabaseName(name));
  const std::vector<uint8_t> row_key = DatabaseRowKey(name);
  RL_ASSIGN_OR_RETURN(const std::optional<Row> row, view.Get(row_key));
  if (!row) return std::optional<Database>();
  RL_ASSIGN_OR_RETURN(Database database, DecodeDatabase(row_key, row->value));
  return std::optional<Database>(std::move(database));
}

Result<std::vector<Database>> ListDatabases(View& view) {
  std::vector<Database> databases;
  RL_ASSIGN_OR_RETURN(const auto cursor, MergeCursor::Open(view, nullptr));
  RL_RETURN_IF_ERROR(cursor->SeekAtLeast(CatalogueRowKey(kNameKind)));
  while (cursor->valid() && IsOfKind(cursor->row_key(), kNameKind)) {
    RL_ASSIGN_OR_RETURN(Database database, DecodeDatabase(cursor->row_key(), cursor->row().value));
    databases.push_back(std::move(database));
    RL_RETURN_IF_ERROR(cursor->Next());
  }
  return databases;
}

}  // namespace ringleader
