// Cursors over hand-made places: own writes, generations in plain memory, a base of their own.
#include <cstring>
#include <map>

#include "store/generation_format.h"
#include "store_rows.h"

namespace ringleader {
namespace {

using test::AsBytes;
using test::AsText;
using test::At;
using test::Backwards;
using test::Choices;
using test::Forwards;
using test::HeapGeneration;
using test::KeyOf;

std::string Key(std::string_view key) { return KeyOf(1, key); }

std::unique_ptr<MergeCursor> Open(std::vector<const Generation*> newest_first, uint64_t at,
                                  const WriteSet* own = nullptr,
                                  BaseTree::Snapshot* base = nullptr) {
  MergeInput input;
  input.own = own;
  input.generations = std::move(newest_first);
  input.at = Lsn(at);
  input.base = base;
  CHECK_VALUE(std::unique_ptr<MergeCursor> cursor, MergeCursor::Open(input));
  return cursor;
}

void CheckSeeks(MergeCursor& cursor, const std::string& row_key, const std::string& at_least,
                const std::string& below) {
  CHECK_OK(cursor.SeekAtLeast(AsBytes(row_key)));
  CHECK_EQ(At(cursor), at_least);
  CHECK_OK(cursor.SeekBelow(AsBytes(row_key)));
  CHECK_EQ(At(cursor), below);
}

TEST(store_cursor, without_rows_there_is_no_place_to_stand) {
  const auto nothing = Open({}, 10);
  CHECK(!nothing->valid());
  CHECK_EQ(Forwards(*nothing) + Backwards(*nothing), "");

  const WriteSet own;
  const HeapGeneration generation;
  const auto empty = Open({generation.get()}, 10, &own);
  CHECK_EQ(Forwards(*empty) + Backwards(*empty), "");
  CheckSeeks(*empty, Key("a"), "end", "end");
}

TEST(store_cursor, seeks_at_least_and_below) {
  HeapGeneration generation;
  for (const char* key : {"b", "d", "dd", "f"}) generation.Put(5, Key(key), "1");
  const auto cursor = Open({generation.get()}, 10);
  CheckSeeks(*cursor, "", "b=1", "f=1");
  CheckSeeks(*cursor, Key("a"), "b=1", "end");
  CheckSeeks(*cursor, Key("b"), "b=1", "end");
  CheckSeeks(*cursor, Key("c"), "d=1", "b=1");
  CheckSeeks(*cursor, Key("d"), "d=1", "b=1");
  CheckSeeks(*cursor, Key("da"), "dd=1", "d=1");
  CheckSeeks(*cursor, Key("f"), "f=1", "dd=1");
  CheckSeeks(*cursor, Key("g"), "end", "f=1");
  CheckSeeks(*cursor, KeyOf(0, "z"), "b=1", "end");
  CheckSeeks(*cursor, KeyOf(2, "a"), "end", "f=1");
}

TEST(store_cursor, the_newest_place_speaks_for_a_row) {
  HeapGeneration older, newer;
  older.Put(5, Key("a"), "old");
  older.Put(5, Key("b"), "old");
  older.Put(5, Key("c"), "old");
  older.Remove(5, Key("d"));
  older.Remove(5, Key("e"));
  newer.Put(15, Key("b"), "new");
  newer.Remove(15, Key("c"));
  newer.Put(15, Key("d"), "new");
  WriteSet own;
  CHECK_OK(own.Remove(AsBytes(Key("a"))));
  CHECK_OK(own.Put(AsBytes(Key("c")), AsBytes("own")));
  CHECK_OK(own.Put(AsBytes(Key("e")), AsBytes("own")));
  CHECK_OK(own.Remove(AsBytes(Key("f"))));

  const auto view = Open({newer.get(), older.get()}, 20);
  CHECK_EQ(Forwards(*view), "a=old b=new d=new ");
  CHECK_EQ(Backwards(*view), "d=new b=new a=old ");
  CHECK_OK(view->SeekAtLeast(AsBytes(Key("b"))));
  CHECK_EQ(view->row().version.value, 15u);

  const auto mine = Open({newer.get(), older.get()}, 20, &own);
  CHECK_EQ(Forwards(*mine), "b=new c=own d=new e=own ");
  CHECK_EQ(Backwards(*mine), "e=own d=new c=own b=new ");
  CHECK_OK(mine->SeekAtLeast(AsBytes(Key("c"))));
  CHECK_EQ(mine->row().version.value, 0u);
}

TEST(store_cursor, what_is_newer_than_the_snapshot_is_not_there) {
  HeapGeneration older, newer;
  older.Put(5, Key("a"), "5");
  older.Put(7, Key("a"), "7");
  older.Put(9, Key("b"), "9");
  newer.Remove(11, Key("a"));
  newer.Put(12, Key("b"), "12");
  newer.Put(13, Key("c"), "13");
  const auto at = [&](uint64_t lsn) { return Open({newer.get(), older.get()}, lsn); };
  const std::map<uint64_t, std::string> expected{
      {4, ""},          {5, "a=5 "},  {7, "a=7 "},   {9, "a=7 b=9 "},
      {10, "a=7 b=9 "}, {11, "b=9 "}, {12, "b=12 "}, {13, "b=12 c=13 "},
  };
  for (const auto& [lsn, rows] : expected) {
    CHECK_EQ(Forwards(*at(lsn)), rows);
    std::string reversed;
    const auto cursor = at(lsn);
    CHECK_OK(cursor->SeekBelow({}));
    while (cursor->valid()) {
      reversed = At(*cursor) + " " + reversed;
      CHECK_OK(cursor->Prev());
    }
    CHECK_EQ(reversed, rows);
  }
}

TEST(store_cursor, turns_round_anywhere) {
  HeapGeneration left, right;
  for (const char* key : {"a", "c", "d"}) left.Put(5, Key(key), "l");
  for (const char* key : {"b", "d", "f"}) right.Put(15, Key(key), "r");
  right.Remove(15, Key("c"));
  const auto cursor = Open({right.get(), left.get()}, 20);
  const std::vector<std::string> rows{"a=l", "b=r", "d=r", "f=r"};
  for (size_t start = 0; start < rows.size(); ++start) {
    for (size_t turn = start; turn < rows.size(); ++turn) {
      CHECK_OK(cursor->SeekAtLeast(AsBytes(Key(rows[start].substr(0, 1)))));
      for (size_t i = start; i < turn; ++i) CHECK_OK(cursor->Next());
      for (size_t i = turn;; --i) {
        CHECK_EQ(At(*cursor), rows[i]);
        CHECK_OK(cursor->Prev());
        if (i == 0) break;
      }
      CHECK_EQ(At(*cursor), "end");
      CHECK_OK(cursor->SeekBelow(AsBytes(Key("z"))));
      for (size_t i = rows.size() - 1; i > start; --i) CHECK_OK(cursor->Prev());
      for (size_t i = start; i < rows.size(); ++i) {
        CHECK_EQ(At(*cursor), rows[i]);
        CHECK_OK(cursor->Next());
      }
      CHECK_EQ(At(*cursor), "end");
    }
  }
}

TEST(store_cursor, runs_of_removed_rows_are_passed_in_a_loop) {
  constexpr int kRun = 200'000;
  HeapGeneration generation(uint64_t{64} << 20);
  WriteSet own;
  const auto number = [](int i) { return Key("m" + std::to_string(1'000'000 + i)); };
  for (int i = 0; i < kRun; ++i) {
    generation.Put(5, number(i), "v");
    if (i % 2 == 0) {
      generation.Remove(6, number(i));
    } else {
      CHECK_OK(own.Remove(AsBytes(number(i))));
    }
  }
  generation.Put(7, Key("a"), "1");
  generation.Put(7, Key("z"), "2");
  const auto cursor = Open({generation.get()}, 10, &own);
  CHECK_EQ(Forwards(*cursor), "a=1 z=2 ");
  CHECK_EQ(Backwards(*cursor), "z=2 a=1 ");
}

// A row that the transaction removes under the cursor: the next step goes on from where it stood.
TEST(store_cursor, own_writes_may_change_between_seeks) {
  HeapGeneration generation;
  for (const char* key : {"a", "b", "c"}) generation.Put(5, Key(key), "1");
  WriteSet own;
  const auto cursor = Open({generation.get()}, 10, &own);
  CHECK_OK(cursor->SeekAtLeast(AsBytes(Key("b"))));
  CHECK_OK(own.Remove(AsBytes(Key("b"))));
  CHECK_OK(own.Put(AsBytes(Key("bb")), AsBytes("2")));
  CHECK_OK(cursor->SeekAtLeast(AsBytes(Key("b"))));
  CHECK_EQ(At(*cursor), "bb=2");
  CHECK_EQ(Backwards(*cursor), "c=1 bb=2 a=1 ");
  CHECK_OK(own.Put(AsBytes(Key("b")), AsBytes("3")));
  CHECK_EQ(Forwards(*cursor), "a=1 b=3 bb=2 c=1 ");
}

TEST(store_cursor, damage_is_reported_and_ends_the_walk) {
  HeapGeneration healthy, damaged;
  healthy.Put(5, Key("a"), "1");
  healthy.Put(5, Key("m"), "1");
  damaged.Put(6, Key("c"), "2");
  // The bottom link of the head leads far outside.
  const generation_format::Places places(damaged.bytes_of_memory().size());
  const uint32_t outside = 0xfffffff0;
  std::memcpy(damaged.bytes_of_memory().data() + places.head, &outside, sizeof outside);
  const auto cursor = Open({damaged.get(), healthy.get()}, 10);
  CHECK_CODE(cursor->SeekAtLeast(AsBytes(Key("a"))), Code::kCorruption);
  CHECK(!cursor->valid());
  CHECK_CODE(cursor->SeekBelow(AsBytes(Key("b"))), Code::kCorruption);
  CHECK(!cursor->valid());
}

// --- against a reference -------------------------------------------------------------------------

using Reference = std::map<std::string, std::string>;

// Few letters and lengths, so that keys meet in several places and are prefixes of each other.
std::string RandomKey(Choices& choices) {
  static constexpr char kLetters[] = {'\0', 'a', 'b', '\xff'};
  std::string key;
  const size_t length = 1 + choices.Below(3);
  while (key.size() < length) key += kLetters[choices.Below(sizeof kLetters)];
  return KeyOf(static_cast<DatabaseId>(1 + choices.Below(2)), key);
}

constexpr uint64_t kBaseVersion = 100;

// Other rows for the base: all of them are replaced, in one batch.
Reference FillBase(Choices& choices, BaseTree& base) {
  CHECK_VALUE(const auto batch, base.Begin());
  Reference rows;
  for (DatabaseId database : {1u, 2u}) {
    CHECK_VALUE(const uint64_t left, batch->RemoveRows(database, 1'000));
    CHECK_EQ(left, 0u);
  }
  for (uint64_t writes = choices.Below(60); writes > 0; --writes) {
    rows[RandomKey(choices)] = "base" + std::to_string(writes);
  }
  for (const auto& [row_key, value] : rows) {
    CHECK_OK(batch->Put(AsBytes(row_key), Lsn(kBaseVersion), AsBytes(value)));
  }
  CHECK_OK(batch->SetApplied(Lsn(kBaseVersion)));
  CHECK_OK(batch->Commit());
  return rows;
}

struct World {
  HeapGeneration generations[3];
  WriteSet own;
  uint64_t at = 0;
  Reference rows;

  World(Choices& choices, const Reference& base) : rows(base) {
    at = kBaseVersion + choices.Below(400);
    uint64_t lsn = kBaseVersion;
    for (HeapGeneration& generation : generations) {
      for (uint64_t writes = choices.Below(60); writes > 0; --writes) {
        Write(choices, generation, lsn += 1 + choices.Below(4));
      }
    }
    for (uint64_t writes = choices.Below(20); writes > 0; --writes) {
      const std::string row_key = RandomKey(choices);
      if (choices.OneIn(2)) {
        CHECK_OK(own.Remove(AsBytes(row_key)));
        rows.erase(row_key);
      } else {
        CHECK_OK(own.Put(AsBytes(row_key), AsBytes("own")));
        rows[row_key] = "own";
      }
    }
  }

  void Write(Choices& choices, HeapGeneration& generation, uint64_t lsn) {
    const std::string row_key = RandomKey(choices);
    const std::string value = "v" + std::to_string(lsn);
    if (choices.OneIn(3)) {
      generation.Remove(lsn, row_key);
      if (lsn <= at) rows.erase(row_key);
    } else {
      generation.Put(lsn, row_key, value);
      if (lsn <= at) rows[row_key] = value;
    }
  }
};

// Does something at random with both and compares them.
void WalkBoth(Choices& choices, MergeCursor& cursor, const Reference& rows) {
  auto place = rows.end();
  for (int step = 0; step < 200; ++step) {
    const std::string to = choices.OneIn(10) ? std::string() : RandomKey(choices);
    const uint64_t what = choices.Below(10);
    const bool stands = place != rows.end();
    if (stands && what < 4) {
      CHECK_OK(cursor.Next());
      ++place;
    } else if (stands && what < 8) {
      CHECK_OK(cursor.Prev());
      place = place == rows.begin() ? rows.end() : std::prev(place);
    } else if (what % 2 == 0) {
      CHECK_OK(cursor.SeekAtLeast(AsBytes(to)));
      place = rows.lower_bound(to);
    } else {
      CHECK_OK(cursor.SeekBelow(AsBytes(to)));
      const auto bound = to.empty() ? rows.end() : rows.lower_bound(to);
      place = bound == rows.begin() ? rows.end() : std::prev(bound);
    }
    CHECK_EQ(cursor.valid(), place != rows.end());
    if (!cursor.valid()) continue;
    CHECK_EQ(AsText(cursor.row_key()), place->first);
    CHECK_EQ(AsText(cursor.row().value), place->second);
  }
}

TEST(store_cursor, any_walk_over_any_places) {
  CHECK_VALUE(const auto base, BaseTree::Open(PosixEnv(), test::TempDir(), {}));
  CHECK_VALUE(const auto snapshot, base->OpenSnapshot());
  for (uint64_t round = 0; round < test::Scale(20); ++round) {
    Choices choices(test::Seed() * 1'000'003 + round);
    const Reference base_rows = FillBase(choices, *base);
    CHECK_OK(snapshot->Renew());
    for (int i = 0; i < 20; ++i) {
      const World world(choices, base_rows);
      const auto& generations = world.generations;
      const auto cursor = Open({generations[2].get(), generations[1].get(), generations[0].get()},
                               world.at, &world.own, snapshot.get());
      WalkBoth(choices, *cursor, world.rows);
    }
  }
}

}  // namespace
}  // namespace ringleader
