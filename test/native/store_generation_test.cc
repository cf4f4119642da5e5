// One generation of the overlay against a model of it, at its limits, and with damaged memory.
#include <limits>
#include <set>

#include "base/coding.h"
#include "generation_fixture.h"
#include "store/generation_format.h"

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kAnyLsn = kMaxLsn.value;

std::string Value(std::mt19937_64& random, size_t most) {
  return std::string(random() % (most + 1), static_cast<char>('a' + random() % 26));
}

TEST(store_generation, what_is_inserted_is_found_at_every_snapshot) {
  std::mt19937_64 random(Seed());
  for (uint64_t round = 0; round < Scale(6); ++round) {
    HeapMemory memory(kMinGenerationBytes * 16);
    Generation generation = Fresh(memory.bytes());
    GenerationModel model;
    const size_t variety = 2 + random() % 200;
    uint64_t lsn = 1;
    for (size_t i = 0; i < 3000; ++i) {
      const Change change{TrickyRowKey(random, variety),
                          random() % 4 == 0 ? Content() : Content(Value(random, 300))};
      const uint64_t before = generation.used_bytes();
      CHECK_OK(Put(generation, lsn, change));
      const size_t value_bytes = change.content.value_or("").size();
      CHECK(generation.used_bytes() - before <=
            Generation::InsertBytes(change.row_key.size(), value_bytes));
      model.Put(lsn, change);
      model.CheckFind(generation, change.row_key, lsn);
      model.CheckFind(generation, change.row_key, random() % (lsn + 1));
      model.CheckFind(generation, TrickyRowKey(random, variety), random() % (lsn + 1));
      if (random() % 3 == 0) lsn += 1 + random() % 1000;
    }
    CHECK_EQ(generation.nodes(), model.rows().size());
    CHECK_EQ(generation.versions(), 3000u);
    for (const uint64_t at : {uint64_t{0}, lsn / 3, lsn / 2, lsn - 1, lsn, kAnyLsn}) {
      model.CheckAll(generation, at);
      model.CheckBackwards(generation, at);
    }
  }
}

TEST(store_generation, seeks_stop_where_a_map_does) {
  std::mt19937_64 random(Seed());
  HeapMemory memory(kMinGenerationBytes * 8);
  Generation generation = Fresh(memory.bytes());
  GenerationModel model;
  Generation::Cursor cursor(generation);
  CHECK(!cursor.SeekAtLeast({}) && !cursor.SeekBelow({}) && !cursor.valid() && !cursor.damaged());
  for (uint64_t lsn = 1; lsn <= 400; ++lsn) {
    const Change change{TrickyRowKey(random, 60), "v"};
    CHECK_OK(Put(generation, lsn, change));
    model.Put(lsn, change);
  }
  const auto& rows = model.rows();
  for (size_t i = 0; i < 3000; ++i) {
    const std::string row_key = TrickyRowKey(random, 60);
    const auto expected = rows.lower_bound(row_key);
    CHECK_EQ(cursor.SeekAtLeast(BytesOf(row_key)), expected != rows.end());
    if (expected != rows.end()) CHECK(TextOf(cursor.row_key()) == expected->first);
    // Back over the place: the next one down is what SeekBelow finds at once.
    if (cursor.valid()) cursor.Prev();
    if (expected != rows.end()) CHECK_EQ(cursor.valid(), expected != rows.begin());
    CHECK_EQ(cursor.SeekBelow(BytesOf(row_key)), expected != rows.begin());
    if (expected == rows.begin()) continue;
    CHECK(TextOf(cursor.row_key()) == std::prev(expected)->first);
    CHECK_EQ(cursor.Next(), expected != rows.end());
    if (expected != rows.end()) CHECK(TextOf(cursor.row_key()) == expected->first);
  }
  CHECK(cursor.SeekBelow({}) && TextOf(cursor.row_key()) == rows.rbegin()->first);
  CHECK(!cursor.Next() && !cursor.valid() && !cursor.damaged() && !cursor.Next() && !cursor.Prev());
  CHECK(cursor.SeekAtLeast({}) && TextOf(cursor.row_key()) == rows.begin()->first);
  CHECK(!cursor.Prev() && !cursor.valid() && !cursor.damaged());
}

TEST(store_generation, a_version_of_the_same_lsn_takes_the_place_of_the_last) {
  HeapMemory memory(kMinGenerationBytes);
  Generation generation = Fresh(memory.bytes());
  GenerationModel model;
  const std::string row_key = RowKeyOf(1, "k");
  const std::vector<std::pair<uint64_t, Content>> history = {
      {5, "first"}, {7, "second"}, {7, Content()}, {7, "third"}, {9, Content()}};
  for (const auto& [lsn, content] : history) {
    CHECK_OK(Put(generation, lsn, {row_key, content}));
    model.Put(lsn, {row_key, content});
  }
  for (uint64_t at = 0; at < 12; ++at) model.CheckFind(generation, row_key, at);
  CHECK_CODE(Put(generation, 8, {row_key, "late"}), Code::kCorruption);
  CHECK_EQ(generation.versions(), 5u);
  CHECK_EQ(generation.nodes(), 1u);

  Row row;
  const uint64_t hash = HashRowKey(BytesOf(row_key));
  CHECK_EQ(generation.Newest(BytesOf(row_key), hash, &row), Found::kRemoved);
  CHECK_EQ(row.version.value, 9u);
  const std::string other = RowKeyOf(1, "l");
  CHECK_EQ(generation.Newest(BytesOf(other), HashRowKey(BytesOf(other)), &row), Found::kNothing);
}

TEST(store_generation, row_keys_and_values_of_every_size_that_is_allowed) {
  HeapMemory memory(uint64_t{40} << 20);
  Generation generation = Fresh(memory.bytes());
  GenerationModel model;
  uint64_t lsn = 1;
  for (const size_t size : {kMinRowKeyBytes, size_t{11}, size_t{12}, size_t{13}, size_t{16},
                            kMaxRowKeyBytes - 1, kMaxRowKeyBytes}) {
    for (const size_t value_bytes : {0, 1, 7, 8, 9, 4096, 1 << 20}) {
      const Change change{RowKeyOf(kMaxDatabaseId, std::string(size - kRowPrefixBytes, '\xff')),
                          std::string(value_bytes, 'v')};
      CHECK_OK(Put(generation, lsn, change));
      model.Put(lsn++, change);
    }
  }
  model.CheckAll(generation, lsn);
  model.CheckBackwards(generation, lsn);
}

TEST(store_generation, what_has_no_room_is_refused_and_harms_nothing) {
  HeapMemory memory(kMinGenerationBytes);
  Generation generation = Fresh(memory.bytes());
  GenerationModel model;
  uint64_t lsn = 1;
  const uint64_t most = Generation::InsertBytes(RowKeyOf(1, "12345678").size(), 500);
  while (generation.capacity() - generation.used_bytes() >= most) {
    const Change change{RowKeyOf(1, std::to_string(10'000'000 + lsn)), std::string(500, 'v')};
    CHECK_OK(Put(generation, lsn, change));
    model.Put(lsn++, change);
  }
  CHECK_CODE(Put(generation, lsn, {RowKeyOf(1, "new"), std::string(4096, 'n')}), Code::kCorruption);
  CHECK_CODE(Put(generation, lsn, {RowKeyOf(1, "10000001"), std::string(4096, 'n')}),
             Code::kCorruption);
  model.CheckAll(generation, kAnyLsn);
}

TEST(store_generation, room_that_is_asked_for_is_there) {
  std::mt19937_64 random(Seed());
  for (uint64_t i = 0; i < 20'000; ++i) {
    const uint64_t wanted = random() >> (30 + random() % 34);
    const uint64_t bytes = Generation::BytesFor(wanted);
    CHECK(bytes >= kMinGenerationBytes);
    const generation_format::Places places(bytes);
    CHECK(places.first_free + wanted <= bytes);
    CHECK(bytes <= std::max(kMinGenerationBytes, wanted + wanted / 14 + 4096));
  }
  HeapMemory memory(Generation::BytesFor(1'000'000));
  CHECK(Fresh(memory.bytes()).capacity() >= 1'000'000);
  // Towers and padding stay within what InsertBytes allows for them.
  for (uint64_t at = 0; at < 64; at += 8) {
    for (uint32_t height = 1; height <= generation_format::kMaxHeight; ++height) {
      const uint64_t tower = generation_format::TowerBytes(height);
      CHECK(tower + generation_format::PaddingBytes(at, tower) <=
            generation_format::kMaxTowerAndPaddingBytes);
    }
  }
}

TEST(store_generation, heights_are_spread_as_the_levels_need) {
  std::map<uint32_t, uint64_t> nodes;
  constexpr uint64_t kRows = 100'000;
  for (uint64_t i = 0; i < kRows; ++i) {
    const std::string row_key = RowKeyOf(1, std::to_string(i));
    ++nodes[generation_format::HeightOf(HashRowKey(BytesOf(row_key)))];
  }
  double expected = kRows / 2.0;
  for (uint32_t height = 1; height <= 8; ++height) {
    CHECK(static_cast<double>(nodes[height]) > expected * 0.8);
    CHECK(static_cast<double>(nodes[height]) < expected * 1.25);
    if (height < generation_format::kHalvingLevels - 1) expected /= 2;
    if (height == generation_format::kHalvingLevels - 1) expected *= 0.75;
    if (height >= generation_format::kHalvingLevels) expected /= 4;
  }
  CHECK_EQ(generation_format::HeightOf(0), generation_format::kMaxHeight);
  CHECK_EQ(generation_format::HeightOf(1), 1u);
}

TEST(store_generation, hashes_differ_in_every_bit) {
  // A flipped bit of the key flips about half the bits of the hash, whatever the length.
  std::mt19937_64 random(Seed());
  for (size_t size = 5; size < 140; ++size) {
    uint64_t flipped = 0;
    for (int i = 0; i < 64; ++i) {
      std::string key(size, '\0');
      for (char& byte : key) byte = static_cast<char>(random());
      const uint64_t before = HashRowKey(BytesOf(key));
      key[random() % size] ^= static_cast<char>(1u << random() % 8);
      flipped += static_cast<uint64_t>(std::popcount(before ^ HashRowKey(BytesOf(key))));
    }
    CHECK(flipped > 64 * 26 && flipped < 64 * 38);
  }
}

// Row keys that collide in one environment are nothing special in the next one: neither those that
// make a word of the hash zero, where the keys are known, nor those that swap two words.
TEST(store_generation, nobody_can_choose_row_keys_of_one_hash) {
  const HashKeys known(1);
  const auto load = [](const std::string& key, size_t at) {
    return LoadLe<uint64_t>(reinterpret_cast<const uint8_t*>(key.data()) + at);
  };
  const auto key_of = [](uint64_t low, uint64_t high) {
    std::string key(16, '\0');
    StoreLe(reinterpret_cast<uint8_t*>(key.data()), low);
    StoreLe(reinterpret_cast<uint8_t*>(key.data()) + 8, high);
    return key;
  };
  // The second word meets `state`, which is known with the keys: here they cancel out.
  const uint64_t state = known.keys[0] ^ 16 ^ known.keys[3];
  std::set<uint64_t> theirs, ours;
  std::mt19937_64 random(Seed());
  for (int i = 0; i < 1000; ++i) {
    const std::string key = key_of(random(), state);
    CHECK_EQ(load(key, 8), state);
    theirs.insert(ringleader::HashRowKey(BytesOf(key), known));
    ours.insert(HashRowKey(BytesOf(key)));
  }
  CHECK_EQ(theirs.size(), size_t{1});
  CHECK_EQ(ours.size(), size_t{1000});
  for (int i = 0; i < 1000; ++i) {
    const uint64_t low = random(), high = random();
    const uint64_t apart = known.keys[1] ^ state;
    const std::string key = key_of(low, high), swapped = key_of(high ^ apart, low ^ apart);
    CHECK_EQ(ringleader::HashRowKey(BytesOf(key), known),
             ringleader::HashRowKey(BytesOf(swapped), known));
    CHECK(HashRowKey(BytesOf(key)) != HashRowKey(BytesOf(swapped)));
  }
  // Nor those that swap two words of the long ones.
  const std::string row_key(48, 'k');
  for (size_t left = 0; left < 40; left += 8) {
    for (size_t right = left + 8; right < 48; right += 8) {
      std::string one = row_key, other = row_key;
      one.replace(left, 8, "12345678");
      other.replace(right, 8, "12345678");
      CHECK(HashRowKey(BytesOf(one)) != HashRowKey(BytesOf(other)));
    }
  }
}

TEST(store_generation, the_header_says_what_it_is) {
  HeapMemory memory(kMinGenerationBytes + 24);
  const Generation generation = Fresh(memory.bytes(), 0x1234567890);
  CHECK_EQ(generation.sequence(), 0x1234567890u);
  CHECK_EQ(generation.used_bytes(), 0u);
  CHECK_EQ(generation.nodes() + generation.versions(), 0u);
  const auto code = [](MutableBytes bytes) { return Generation::Attach(bytes).status().code(); };
  CHECK_EQ(code(memory.bytes()), Code::kOk);
  CHECK_EQ(code(memory.bytes().first(kMinGenerationBytes)), Code::kCorruption);
  CHECK_EQ(code(memory.bytes().first(kMinGenerationBytes - 1)), Code::kCorruption);
  CHECK_EQ(code(memory.bytes().first(0)), Code::kCorruption);
  for (size_t i = 0; i < offsetof(generation_format::Header, nodes); ++i) {
    memory.bytes()[i] ^= 0x40;
    CHECK_EQ(code(memory.bytes()), Code::kCorruption);
    memory.bytes()[i] ^= 0x40;
  }
  CHECK_EQ(code(memory.bytes()), Code::kOk);
}

// What a writer leaves that dies between the bottom link and the bucket, when others go on with
// other rows before anybody inserts this one again.
TEST(store_generation, a_node_that_missed_its_bucket_is_taken_in_later) {
  HeapMemory memory(kMinGenerationBytes);
  Generation generation = Fresh(memory.bytes());
  const generation_format::Places places(kMinGenerationBytes);
  uint8_t* const buckets = memory.bytes().data() + sizeof(generation_format::Header);
  std::vector<uint8_t> before(places.buckets * sizeof(uint64_t));
  GenerationModel model;
  const auto add = [&](uint64_t lsn, const std::string& key) {
    const Change change{RowKeyOf(1, key), key + std::to_string(lsn)};
    CHECK_OK(Put(generation, lsn, change));
    model.Put(lsn, change);
  };
  for (uint64_t i = 0; i < 300; ++i) add(1, "early " + std::to_string(i));
  std::memcpy(before.data(), buckets, before.size());
  for (uint64_t i = 0; i < 30; ++i) add(2, "orphan " + std::to_string(i));
  std::memcpy(buckets, before.data(), before.size());
  const std::string orphan = RowKeyOf(1, "orphan 7");
  Row row;
  CHECK_EQ(generation.Newest(BytesOf(orphan), HashRowKey(BytesOf(orphan)), &row), Found::kNothing);
  for (uint64_t i = 0; i < 600; ++i) add(3, "late " + std::to_string(i));
  const uint64_t nodes = generation.nodes();
  for (uint64_t i = 0; i < 30; ++i) add(4, "orphan " + std::to_string(i));
  CHECK_EQ(generation.nodes(), nodes);
  for (uint64_t at = 0; at < 5; ++at) model.CheckAll(generation, at);
}

// --- damaged memory ------------------------------------------------------------------------------

uint64_t Sum(Bytes bytes) {
  uint64_t sum = 0;
  for (const uint8_t byte : bytes) sum += byte;
  return sum;
}

// Everything that can be done to a generation; what comes out of it must end and lie inside.
void UseAll(Generation& generation, const std::vector<std::string>& keys, std::mt19937_64& random) {
  const uint64_t most = generation.capacity() / 48 + 1;
  uint64_t sum = 0;
  Row row;
  std::vector<Bytes> all;
  for (const std::string& key : keys) all.push_back(BytesOf(key));
  generation.FetchPlaces(all);
  for (int i = 0; i < 20; ++i) {
    const Bytes key = BytesOf(keys[random() % keys.size()]);
    if (generation.Find(key, HashRowKey(key), Lsn(random() % 600), &row) == Found::kValue) {
      sum += Sum(row.value);
    }
  }
  Generation::Cursor cursor(generation);
  uint64_t steps = 0;
  for (bool on = cursor.SeekAtLeast({}); on; on = cursor.Next(), ++steps) {
    CHECK(cursor.row_key().size() >= kMinRowKeyBytes);
    sum += Sum(cursor.row_key());
    if (cursor.Read(Lsn(300), &row) == Found::kValue) sum += Sum(row.value);
  }
  CHECK(steps <= most);
  bool on = random() % 2 == 0 ? cursor.SeekBelow({}) : cursor.SeekBelow(BytesOf(keys[0]));
  for (steps = 0; on && steps < 100; on = cursor.Prev(), ++steps) sum += Sum(cursor.row_key());
  for (int i = 0; i < 10; ++i) {
    const std::string& key = keys[random() % keys.size()];
    const Status status = Put(generation, 1000, {i % 2 == 0 ? key : key + "x", "value"});
    CHECK(status.ok() || status.code() == Code::kCorruption);
  }
  CHECK(generation.used_bytes() <= generation.capacity());
  CHECK(sum < std::numeric_limits<uint64_t>::max());
}

TEST(store_generation, damage_leads_nowhere_outside) {
  std::mt19937_64 random(Seed());
  constexpr size_t kSize = kMinGenerationBytes;
  std::vector<std::string> keys;
  HeapMemory healthy(kSize);
  Generation filled = Fresh(healthy.bytes());
  for (uint64_t lsn = 1; lsn <= 500; ++lsn) {
    keys.push_back(RowKeyOf(1, "key " + std::to_string(random() % 300)));
    CHECK_OK(Put(filled, lsn, {keys.back(), Value(random, 60)}));
  }
  const size_t first = offsetof(generation_format::Header, nodes);
  const size_t used = generation_format::Places(kSize).first_free + filled.used_bytes();
  uint64_t noticed = 0;
  for (uint64_t round = 0; round < Scale(600); ++round) {
    HeapMemory memory(kSize);
    std::memcpy(memory.bytes().data(), healthy.bytes().data(), kSize);
    CHECK_VALUE(Generation generation, Generation::Attach(memory.bytes()));
    for (uint64_t edits = 1 + random() % 40; edits > 0; --edits) {
      const size_t at = (first + random() % (used - first)) & ~size_t{3};
      // Half of them lead to where something is, a quarter near the end, a quarter anywhere.
      uint32_t word = static_cast<uint32_t>(random() % (used / 8));
      if (random() % 4 == 0) word = static_cast<uint32_t>(kSize / 8 - random() % 6);
      if (random() % 4 == 0) word = static_cast<uint32_t>(random());
      std::memcpy(memory.bytes().data() + at, &word, sizeof word);
    }
    UseAll(generation, keys, random);
    Generation::Cursor cursor(generation);
    for (bool on = cursor.SeekAtLeast({}); on; on = cursor.Next()) {
    }
    if (cursor.damaged()) ++noticed;
  }
  CHECK(noticed > 0);
}

}  // namespace
}  // namespace ringleader
