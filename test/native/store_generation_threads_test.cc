// Readers of a generation beside its one writer. What a transaction writes follows from its LSN, so
// a reader knows, without asking anybody, every version that its snapshot must show.
#include <thread>

#include "generation_fixture.h"

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kHotRows = 31;  // each transaction changes one of them
constexpr size_t kReaders = 3;

// Transaction n makes a row of its own, somewhere in the order, and changes hot row n mod kHotRows.
std::string OwnRow(uint64_t lsn) {
  const uint64_t scattered = __builtin_bswap64(lsn * 0x9e3779b97f4a7c15);
  std::string key(sizeof scattered, '\0');
  std::memcpy(key.data(), &scattered, sizeof scattered);
  return RowKeyOf(2, key + std::string(lsn % 7, 'x'));
}
std::string HotRow(uint64_t number) { return RowKeyOf(1, "hot " + std::to_string(number)); }
Content ContentAt(uint64_t lsn) {
  if (lsn % 5 == 0) return {};
  return std::string(lsn % 50, static_cast<char>('a' + lsn % 26));
}

// The last transaction at or below `at` that changed the row; 0 = none.
uint64_t LastChange(uint64_t number, uint64_t at) {
  const uint64_t back = (at + kHotRows - number % kHotRows) % kHotRows;
  return back < at ? at - back : 0;
}

void CheckVersion(uint64_t lsn, Found found, const Row& row) {
  const Content content = ContentAt(lsn);
  CHECK_EQ(found, content.has_value() ? Found::kValue : Found::kRemoved);
  CHECK_EQ(row.version.value, lsn);
  CHECK(TextOf(row.value) == content.value_or(""));
}

class Reader {
 public:
  Reader(const Generation& generation, uint64_t seed) : generation_(generation), random_(seed) {}

  void LookUp(uint64_t at) {
    for (int i = 0; i < 20; ++i) {
      const uint64_t number = random_() % kHotRows;
      Row row;
      Found found = Find(HotRow(number), at, &row);
      const uint64_t last = LastChange(number, at);
      if (last == 0) CHECK_EQ(found, Found::kNothing);
      if (last != 0) CheckVersion(last, found, row);

      const std::string newest_of = HotRow(number);
      const Bytes row_key = BytesOf(newest_of);
      found = generation_.Newest(row_key, HashRowKey(row_key), &row);
      CHECK(found == Found::kNothing ? last == 0 : row.version.value >= last);
      if (found != Found::kNothing) CheckVersion(row.version.value, found, row);

      const uint64_t lsn = 1 + random_() % (at + 10);
      found = Find(OwnRow(lsn), at, &row);
      if (lsn > at) CHECK_EQ(found, Found::kNothing);
      if (lsn <= at) CheckVersion(lsn, found, row);
    }
  }

  // Every row of the snapshot is met once, in order, at its version.
  void Walk(uint64_t at, bool forward) {
    Generation::Cursor cursor(generation_);
    std::string before;
    uint64_t own = 0;
    uint64_t hot = 0;
    bool on = forward ? cursor.SeekAtLeast({}) : cursor.SeekBelow({});
    for (; on; on = forward ? cursor.Next() : cursor.Prev()) {
      const std::string row_key = TextOf(cursor.row_key());
      if (!before.empty()) CHECK(forward ? before < row_key : row_key < before);
      before = row_key;
      Row row;
      const Found found = cursor.Read(Lsn(at), &row);
      if (found == Found::kNothing) continue;
      CHECK(row.version.value <= at);
      CheckVersion(row.version.value, found, row);
      ++(LoadRowPrefix(cursor.row_key()) == 2 ? own : hot);
    }
    CHECK(!cursor.damaged());
    CHECK_EQ(own, at);
    CHECK_EQ(hot, std::min(at, kHotRows));
  }

  void Seek(uint64_t at) {
    if (at == 0) return;
    const std::string row_key = OwnRow(1 + random_() % at);
    Generation::Cursor cursor(generation_);
    CHECK(cursor.SeekAtLeast(BytesOf(row_key)));
    CHECK(TextOf(cursor.row_key()) == row_key);
    if (cursor.SeekBelow(BytesOf(row_key))) CHECK(TextOf(cursor.row_key()) < row_key);
  }

 private:
  Found Find(const std::string& row_key, uint64_t at, Row* row) const {
    const Bytes bytes = BytesOf(row_key);
    return generation_.Find(bytes, HashRowKey(bytes), Lsn(at), row);
  }

  const Generation& generation_;
  std::mt19937_64 random_;
};

TEST(store_generation_threads, readers_see_their_snapshot_beside_the_writer) {
  const uint64_t transactions = Scale(3000);
  const uint64_t each =
      Generation::InsertBytes(RowKeyOf(1, "a key of 20 bytes at most").size(), 50);
  HeapMemory memory(Generation::BytesFor(2 * transactions * each));
  const Generation generation = Fresh(memory.bytes());
  std::atomic<uint64_t> visible{0};
  std::vector<std::string> reports(kReaders);
  std::vector<std::thread> readers;
  for (size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] {
      try {
        Reader reader(generation, Seed() + i);
        for (uint64_t round = 0, at = 0; at < transactions; ++round) {
          at = visible.load(std::memory_order_acquire);
          reader.LookUp(at);
          reader.Seek(at);
          if (round % 8 == 0) reader.Walk(at, true);
          if (round % 32 == 4) reader.Walk(at, false);
        }
      } catch (const Failure& failure) {
        reports[i] = failure.text;
      }
    });
  }
  Status status;
  CHECK_VALUE(Generation writer, Generation::Attach(memory.bytes()));
  for (uint64_t lsn = 1; lsn <= transactions && status.ok(); ++lsn) {
    status = Put(writer, lsn, {OwnRow(lsn), ContentAt(lsn)});
    if (status.ok()) status = Put(writer, lsn, {HotRow(lsn % kHotRows), ContentAt(lsn)});
    visible.store(status.ok() ? lsn : transactions, std::memory_order_release);
    if (lsn % 16 == 0) std::this_thread::yield();
  }
  for (std::thread& reader : readers) reader.join();
  CHECK_OK(status);
  for (const std::string& report : reports) {
    if (!report.empty()) Fail(__FILE__, __LINE__, report);
  }
}

}  // namespace
}  // namespace ringleader
