// What a transaction keeps until it commits: its writes, and what it has read.
#include "store/write_set.h"

#include <map>

#include "harness.h"
#include "store/read_set.h"
#include "store_rows.h"

namespace ringleader {
namespace {

using test::AsBytes;
using test::AsText;
using test::KeyOf;

// The operations of a payload in words.
std::string Words(Bytes payload) {
  std::string words;
  OperationReader reader(payload);
  for (Operation operation; reader.Next(&operation);) {
    words += (operation.removes() ? "-" : "+") + AsText(operation.row_key.subspan(4)) +
             AsText(operation.value) + " ";
  }
  CHECK(!reader.damaged());
  return words;
}

TEST(store_write_set, the_newest_write_of_a_row_counts) {
  WriteSet writes;
  CHECK(writes.empty());
  CHECK(!writes.Find(AsBytes(KeyOf(1, "b"))));
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "b")), AsBytes("1")));
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "a")), AsBytes("22")));
  CHECK_OK(writes.Remove(AsBytes(KeyOf(1, "c"))));
  CHECK_EQ(Words(writes.Encode()), "+a22 +b1 -c ");

  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "b")), AsBytes("333")));
  CHECK_OK(writes.Remove(AsBytes(KeyOf(1, "a"))));
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "c")), {}));
  CHECK_EQ(Words(writes.Encode()), "-a +b333 +c ");
  // The same before and after they have become a map.
  for (const bool walked : {false, true}) {
    if (walked) CHECK_EQ(writes.rows().size(), 3u);
    const auto removed = writes.Find(AsBytes(KeyOf(1, "a")));
    CHECK(removed && removed->removed && removed->value.empty());
    const auto put = writes.Find(AsBytes(KeyOf(1, "b")));
    CHECK(put && !put->removed);
    CHECK_EQ(AsText(put->value), "333");
    CHECK_EQ(Words(writes.Encode()), "-a +b333 +c ");
  }

  writes.Clear();
  CHECK(writes.empty());
  CHECK(!writes.Find(AsBytes(KeyOf(1, "b"))));
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "z")), AsBytes("4")));
  CHECK_EQ(Words(writes.Encode()), "+z4 ");
}

// Against a map that has them all, past the number and the size from which they are kept as one.
TEST(store_write_set, few_and_many_are_the_same) {
  test::Choices choices(test::Seed());
  WriteSet writes;
  for (int round = 0; round < 300; ++round) {
    std::map<std::string, std::string> model;
    const bool large = choices.OneIn(10);
    const uint64_t count = 1 + choices.Below(20);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key = std::to_string(choices.Below(12));
      const std::string value(choices.Below(large ? 9000 : 9), static_cast<char>('a' + i));
      const bool removes = choices.OneIn(4);
      const std::string row_key = KeyOf(1, key);
      CHECK_OK(removes ? writes.Remove(AsBytes(row_key))
                       : writes.Put(AsBytes(row_key), AsBytes(value)));
      model[key] = removes ? "-" + key + " " : "+" + key + value + " ";
    }
    std::string expected;
    for (const auto& [key, word] : model) expected += word;
    CHECK_EQ(Words(writes.Encode()), expected);
    CHECK_EQ(writes.payload_bytes(), writes.Encode().size());
    for (const auto& [key, word] : model) {
      const auto own = writes.Find(AsBytes(KeyOf(1, key)));
      CHECK(own);
      CHECK_EQ((own->removed ? "-" : "+") + key + AsText(own->value) + " ", word);
    }
    CHECK(!writes.Find(AsBytes(KeyOf(1, "none"))));
    writes.Clear();
  }
}

TEST(store_write_set, rows_are_in_the_order_of_unsigned_bytes) {
  WriteSet writes;
  for (const char* key : {"\xff", "a", "\x80", "ab", "a\xff", "Z"}) {
    CHECK_OK(writes.Put(AsBytes(KeyOf(1, key)), {}));
  }
  CHECK_OK(writes.Put(AsBytes(KeyOf(0x80000000, "A")), {}));
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, std::string_view("\0", 1))), {}));
  std::string before;
  for (const auto& [row_key, value] : writes.rows()) {
    CHECK(CompareRowKeys(AsBytes(before), AsBytes(row_key)) < 0);
    before = row_key;
  }
  CHECK_EQ(before, KeyOf(0x80000000, "A"));
}

TEST(store_write_set, counts_the_bytes_of_its_payload) {
  WriteSet writes;
  test::Choices choices(test::Seed());
  for (int i = 0; i < 2000; ++i) {
    const std::string row_key = KeyOf(1, std::string(1 + choices.Below(5), 'k'));
    if (choices.OneIn(3)) {
      CHECK_OK(writes.Remove(AsBytes(row_key)));
    } else {
      CHECK_OK(writes.Put(AsBytes(row_key), AsBytes(std::string(choices.Below(300), 'v'))));
    }
    CHECK_EQ(writes.payload_bytes(), writes.Encode().size());
  }
}

TEST(store_write_set, a_transaction_ends_at_its_limit) {
  // Two rows of one byte each: 2 * (8 + 5 + 1).
  constexpr uint64_t kLimit = 28;
  WriteSet writes(kLimit);
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "a")), AsBytes("1")));
  CHECK_CODE(writes.Put(AsBytes(KeyOf(1, "b")), AsBytes("12")), Code::kTooLarge);
  CHECK_CODE(writes.Put(AsBytes(KeyOf(1, "a")), AsBytes(std::string(16, 'x'))), Code::kTooLarge);
  // A refused write has changed nothing.
  CHECK_EQ(Words(writes.Encode()), "+a1 ");
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "b")), AsBytes("1")));
  CHECK_EQ(writes.payload_bytes(), kLimit);
  CHECK_CODE(writes.Remove(AsBytes(KeyOf(1, "c"))), Code::kTooLarge);
  // Rows that are there may be written again, and give their room back.
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "a")), AsBytes("2")));
  CHECK_OK(writes.Remove(AsBytes(KeyOf(1, "a"))));
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, "b")), AsBytes("12")));
  CHECK_EQ(Words(writes.Encode()), "-a +b12 ");
}

TEST(store_write_set, rows_have_limits) {
  WriteSet writes;
  CHECK_OK(writes.Put(AsBytes(KeyOf(1, std::string(kMaxKeyBytes, 'k'))), {}));
  CHECK_CODE(writes.Put(AsBytes(KeyOf(1, std::string(kMaxKeyBytes + 1, 'k'))), {}),
             Code::kTooLarge);
  CHECK_CODE(writes.Put(AsBytes(KeyOf(1, "")), {}), Code::kInvalidArgument);
  CHECK_CODE(writes.Remove({}), Code::kInvalidArgument);
  CHECK_OK(writes.Remove(AsBytes(KeyOf(kMaxDatabaseId, "k"))));
  CHECK_CODE(writes.Remove(AsBytes(KeyOf(kBaseNotesId, "k"))), Code::kInvalidArgument);
  // The bytes of the value are not looked at before its size is.
  const Bytes huge(reinterpret_cast<const uint8_t*>(&writes), kMaxValueBytes + 1);
  CHECK_CODE(writes.Put(AsBytes(KeyOf(1, "k")), huge), Code::kTooLarge);
  CHECK_EQ(writes.rows().size(), 2u);
}

std::string Ranges(const ReadSet& reads) {
  std::string words;
  for (const ReadSet::Range& range : reads.ranges()) words += range.low + "-" + range.high + " ";
  return words;
}

TEST(store_read_set, keys_are_kept_once) {
  ReadSet reads;
  CHECK(reads.empty());
  reads.AddKey(AsBytes(KeyOf(1, "a")));
  const uint64_t bytes = reads.bytes();
  CHECK(bytes > 0);
  reads.AddKey(AsBytes(KeyOf(1, "a")));
  CHECK_EQ(reads.bytes(), bytes);
  reads.AddKey(AsBytes(KeyOf(2, "a")));
  CHECK_EQ(reads.keys().size(), 2u);
  CHECK(!reads.empty());
}

TEST(store_read_set, many_keys_are_kept_once_too) {
  ReadSet reads;
  for (int round = 0; round < 3; ++round) {
    for (int again = 0; again < 2; ++again) {
      for (int i = 0; i < 1000; ++i) reads.AddKey(AsBytes(KeyOf(1, std::to_string(i))));
    }
    CHECK_EQ(reads.keys().size(), 1000u);
    for (int i = 0; i < 1000; ++i) {
      const std::string row_key = KeyOf(1, std::to_string(i));
      CHECK_EQ(AsText(reads.RowKeyOf(reads.keys()[i])), row_key);
    }
    reads.Clear();
    CHECK(reads.empty());
    CHECK_EQ(reads.bytes(), 0u);
  }
}

TEST(store_read_set, pieces_of_a_walk_become_one_range) {
  ReadSet forwards;
  forwards.AddRange(AsBytes("b"), AsBytes("d"));
  forwards.AddRange(AsBytes("d"), AsBytes("f"));
  forwards.AddRange(AsBytes("e"), AsBytes("g"));
  CHECK_EQ(Ranges(forwards), "b-g ");
  forwards.AddRange(AsBytes("c"), AsBytes("d"));
  CHECK_EQ(Ranges(forwards), "b-g ");
  forwards.AddRange(AsBytes("h"), {});
  CHECK_EQ(Ranges(forwards), "b-g h- ");
  forwards.AddRange(AsBytes("x"), AsBytes("y"));
  CHECK_EQ(Ranges(forwards), "b-g h- ");
  forwards.AddRange({}, AsBytes("h"));
  CHECK_EQ(Ranges(forwards), "b-g - ");

  ReadSet backwards;
  backwards.AddRange(AsBytes("m"), {});
  backwards.AddRange(AsBytes("k"), AsBytes("m"));
  backwards.AddRange(AsBytes("a"), AsBytes("c"));
  CHECK_EQ(Ranges(backwards), "k- a-c ");
}

TEST(store_read_set, a_range_without_rows_is_nothing) {
  ReadSet reads;
  reads.AddRange(AsBytes("b"), AsBytes("b"));
  reads.AddRange(AsBytes("c"), AsBytes("b"));
  CHECK(reads.empty());
  reads.AddRange(AsBytes("b"), AsBytes(std::string_view("b\0", 2)));
  CHECK_EQ(reads.ranges().size(), 1u);
}

}  // namespace
}  // namespace ringleader
