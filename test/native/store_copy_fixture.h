// What the tests of backups, restores, bulk loads and bad input share: everything that a store
// holds as one value.
#pragma once

#include <cstdlib>
#include <map>
#include <string>

#include "store_fixture.h"

namespace ringleader::test {

// By the name of the database, then by key.
using Contents = std::map<std::string, std::map<std::string, std::string>>;

inline Contents ContentsOf(View& view) {
  Contents contents;
  CHECK_VALUE(const std::vector<Database> databases, ListDatabases(view));
  CHECK_VALUE(const auto cursor, MergeCursor::Open(view, nullptr));
  for (const Database& database : databases) {
    auto& rows = contents[database.name];
    CHECK_OK(cursor->SeekAtLeast(AsBytes(KeyOf(database.id, ""))));
    while (cursor->valid() && LoadRowPrefix(cursor->row_key()) == database.id) {
      rows[AsText(cursor->row_key().subspan(kRowPrefixBytes))] = AsText(cursor->row().value);
      CHECK_OK(cursor->Next());
    }
  }
  return contents;
}

inline Contents ContentsOf(Store& store) { return ContentsOf(*TakeView(store)); }

// Of an environment that nobody has open, verified on the way.
inline Contents ContentsOf(const std::string& directory) {
  const auto store = OpenStore(directory);
  CHECK_OK(store->Verify().status());
  Contents contents = ContentsOf(*store);
  CHECK_OK(store->Close());
  return contents;
}

// Rows "key<number>" with values that are a few hundred bytes long; one transaction each.
inline Lsn PutMany(Store& store, DatabaseId database, uint64_t from, uint64_t count) {
  Lsn end;
  for (uint64_t number = from; number < from + count; ++number) {
    end = PutRow(store, KeyOf(database, "key" + std::to_string(number)),
                 std::to_string(number) + std::string(300, 'v'));
  }
  return end;
}

// What `cp -a` makes of a directory: the same bytes in files of its own.
inline void CopyDirectory(const std::string& from, const std::string& to) {
  CHECK_EQ(std::system(("cp -a '" + from + "' '" + to + "'").c_str()), 0);
}

inline void RemoveDirectory(const std::string& path) {
  CHECK_EQ(std::system(("rm -r '" + path + "'").c_str()), 0);
}

// Overwrites bytes of a file with what `change` makes of them.
inline void ChangeByte(const std::string& path, uint64_t at) {
  CHECK_VALUE(const auto file, PosixEnv().files.Open(path, OpenMode::kReadWrite));
  uint8_t byte = 0;
  CHECK_OK(ReadExactly(*file, at, MutableBytes(&byte, 1), path));
  byte ^= 0x40;
  CHECK_OK(file->WriteAt(at, Bytes(&byte, 1)));
}

}  // namespace ringleader::test
