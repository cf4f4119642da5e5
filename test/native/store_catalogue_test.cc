// Rows of the catalogue: their bytes (docs/FORMATS.md), what is refused, names.
#include "store/catalogue.h"

#include "store_rows.h"

namespace ringleader {
namespace {

using test::AsBytes;
using test::AsText;
using test::KeyOf;

using Raw = std::vector<uint8_t>;

Raw FromText(std::string_view text) { return Raw(text.begin(), text.end()); }

TEST(store_catalogue, row_keys_have_their_bytes) {
  CHECK(DatabaseRowKey("ab") == (Raw{0, 0, 0, 0, 'n', 'a', 'b'}));
  CHECK(DroppedRowKey(0x01020304) == (Raw{0, 0, 0, 0, 'd', 1, 2, 3, 4}));
  CHECK(NextIdRowKey() == (Raw{0, 0, 0, 0, 'i'}));
}

TEST(store_catalogue, a_database_has_its_bytes) {
  const Database database{"ab", 0x01020304, {7, 8, 9}};
  const Raw value = EncodeDatabase(database);
  CHECK(value == (Raw{4, 3, 2, 1, 7, 8, 9}));
  CHECK_VALUE(const Database back, DecodeDatabase(DatabaseRowKey("ab"), value));
  CHECK_EQ(back.name, "ab");
  CHECK_EQ(back.id, database.id);
  CHECK(back.metadata == database.metadata);
}

TEST(store_catalogue, what_is_no_database_is_refused) {
  const Raw good = EncodeDatabase({"a", 1, {}});
  const Raw key = DatabaseRowKey("a");
  CHECK_OK(DecodeDatabase(key, good).status());
  for (const Raw& other : {NextIdRowKey(), DroppedRowKey(1), FromText(KeyOf(1, "na")), Raw{},
                           FromText(KeyOf(0, "")), DatabaseRowKey(""), DatabaseRowKey("\xff"),
                           DatabaseRowKey(std::string(kMaxDatabaseName + 1, 'a'))}) {
    CHECK_CODE(DecodeDatabase(other, good).status(), Code::kCorruption);
  }
  CHECK_CODE(DecodeDatabase(key, Raw{}).status(), Code::kCorruption);
  CHECK_CODE(DecodeDatabase(key, Raw{1, 0, 0}).status(), Code::kCorruption);
  CHECK_CODE(DecodeDatabase(key, Raw{0, 0, 0, 0}).status(), Code::kCorruption);
  CHECK_CODE(DecodeDatabase(key, Raw{0xff, 0xff, 0xff, 0xff}).status(), Code::kCorruption);
  CHECK_OK(DecodeDatabase(key, Raw{0xfe, 0xff, 0xff, 0xff}).status());

  Raw metadata = good;
  metadata.resize(good.size() + kMaxDatabaseMetadata);
  CHECK_OK(DecodeDatabase(key, metadata).status());
  metadata.push_back(0);
  CHECK_CODE(DecodeDatabase(key, metadata).status(), Code::kCorruption);
}

TEST(store_catalogue, dropped_ids_come_from_their_rows_only) {
  CHECK_EQ(DroppedId(DroppedRowKey(7)).value_or(0), 7u);
  CHECK_EQ(DroppedId(DroppedRowKey(kMaxDatabaseId)).value_or(0), kMaxDatabaseId);
  CHECK(!DroppedId(DatabaseRowKey("d")));
  CHECK(!DroppedId(NextIdRowKey()));
  CHECK(!DroppedId(Raw{}));
  CHECK(!DroppedId(DroppedRowKey(kCatalogueId)));
  CHECK(!DroppedId(DroppedRowKey(kBaseNotesId)));
  Raw longer = DroppedRowKey(7);
  longer.push_back(0);
  CHECK(!DroppedId(longer));
  CHECK(!DroppedId(Bytes(longer).first(longer.size() - 2)));
  CHECK(!DroppedId(FromText(KeyOf(1, std::string_view("d\0\0\0\7", 5)))));
}

TEST(store_catalogue, names_have_one_to_255_bytes) {
  CHECK_OK(CheckDatabaseName("a"));
  CHECK_CODE(CheckDatabaseName(""), Code::kInvalidArgument);
  CHECK_OK(CheckDatabaseName(std::string(kMaxDatabaseName - 1, 'a')));
  CHECK_OK(CheckDatabaseName(std::string(kMaxDatabaseName, 'a')));
  CHECK_CODE(CheckDatabaseName(std::string(kMaxDatabaseName + 1, 'a')), Code::kTooLarge);
}

TEST(store_catalogue, names_are_utf8) {
  for (const char* good : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
                           "\xe1\x80\x80"
                           "a",
                           "gr\xc3\xbc\xc3\x9f"
                           "e"}) {
    CHECK_OK(CheckDatabaseName(good));
  }
  for (const char* bad : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2",
                          "\xc2"
                          "a",
                          "\xe0\x9f\xbf", "\xe1\x80",
                          "\xe1\x80"
                          "a",
                          "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf1\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "ok\xfe"}) {
    CHECK_CODE(CheckDatabaseName(bad), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace ringleader
