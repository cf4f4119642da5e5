// The hash index of the base tree: the right row or none, of the right state, whatever the file
// says.
#include <atomic>
#include <fstream>

#include "concurrent.h"
#include "store_base_fixture.h"
#include "test_hash.h"

namespace ringleader::test {
namespace {

constexpr int kRows = 3000;
// Every row more often than an index needs to be made.
constexpr int kPasses = 3;

std::string NthKey(int row) { return RowKey(1, "row" + std::to_string(row * 7919)); }

// Rows with and without overflow pages, which say their number and that of their batch.
std::string NthValue(int row, uint64_t batch) {
  const std::string value = std::to_string(row) + "/" + std::to_string(batch);
  return value + std::string(row % 50 == 0 ? 5000 : row % 90, 'x');
}

void PutAll(BaseTree& base, uint64_t batch) {
  Model model;
  for (int row = 0; row < kRows; ++row) model[NthKey(row)] = {batch, NthValue(row, batch)};
  PutRows(base, model, Lsn(5000 + batch));
}

std::unique_ptr<BaseTree::Snapshot> OpenSnapshot(BaseTree& base) {
  CHECK_VALUE(auto snapshot, base.OpenSnapshot());
  return snapshot;
}

uint64_t IndexBytes(BaseTree& base) {
  CHECK_VALUE(const BaseStat stat, base.Stat());
  return stat.hash_index_bytes;
}

void CheckAll(BaseTree::Snapshot& snapshot, uint64_t batch) {
  for (int row = 0; row < kRows; ++row) {
    const auto found = GetRow(snapshot, NthKey(row));
    CHECK(found.has_value());
    CHECK_EQ(found->version, batch);
    CHECK(found->value == NthValue(row, batch));
    CHECK(!GetRow(snapshot, NthKey(row) + "?").has_value());
  }
}

void Use(BaseTree::Snapshot& snapshot, uint64_t batch) {
  for (int pass = 0; pass < kPasses; ++pass) CheckAll(snapshot, batch);
}

TEST(store_base_hash_index, answers_as_the_tree_does) {
  const std::string dir = TempDir();
  const auto base = OpenBase(dir);
  base->SetHashKeys(HashKeys(kTestHashSeed));
  PutAll(*base, 1);
  const auto snapshot = OpenSnapshot(*base);
  CHECK_EQ(IndexBytes(*base), 0u);
  Use(*snapshot, 1);
  CHECK(IndexBytes(*base) >= 4096);
  // Prefetches are hints for rows that are there and rows that are not.
  for (int row = 0; row < kRows; ++row) {
    const std::string key = NthKey(row) + (row % 2 == 0 ? "" : "?");
    snapshot->PrefetchBucket(HashRowKey(AsBytes(key)));
    snapshot->PrefetchRow(HashRowKey(AsBytes(key)));
  }
  CheckAll(*snapshot, 1);
}

TEST(store_base_hash_index, a_state_never_answers_for_another) {
  const std::string dir = TempDir();
  const auto base = OpenBase(dir);
  PutAll(*base, 1);
  auto old = OpenSnapshot(*base);
  auto renewed = OpenSnapshot(*base);
  Use(*old, 1);
  Use(*renewed, 1);
  PutAll(*base, 2);
  CHECK_OK(renewed->Renew());
  Use(*renewed, 2);
  // The old one goes on with its own, and gets none once it has let go of it.
  Use(*old, 1);
  PutAll(*base, 3);
  Use(*old, 1);
  Use(*renewed, 2);
  const auto fresh = OpenSnapshot(*base);
  Use(*fresh, 3);
  CHECK_OK(old->Renew());
  Use(*old, 3);
  Use(*renewed, 2);
}

TEST(store_base_hash_index, what_has_been_removed_is_gone) {
  const std::string dir = TempDir();
  const auto base = OpenBase(dir);
  PutAll(*base, 1);
  const auto snapshot = OpenSnapshot(*base);
  Use(*snapshot, 1);
  CHECK_VALUE(auto batch, base->Begin());
  for (int row = 0; row < kRows; row += 2) CHECK_OK(batch->Remove(AsBytes(NthKey(row))));
  CHECK_OK(batch->Commit());
  CHECK_OK(snapshot->Renew());
  for (int pass = 0; pass < 2 * kPasses; ++pass) {
    for (int row = 0; row < kRows; ++row) {
      CHECK_EQ(GetRow(*snapshot, NthKey(row)).has_value(), row % 2 != 0);
    }
  }
}

TEST(store_base_hash_index, takes_the_memory_it_may) {
  const std::string dir = TempDir();
  BaseOptions options = TestBaseOptions();
  for (const uint64_t most : {uint64_t{0}, uint64_t{4095}, uint64_t{4096}, uint64_t{1} << 30}) {
    options.hash_index_bytes = most;
    const auto base = OpenBase(dir, options);
    if (most == 0) PutAll(*base, 1);
    const auto snapshot = OpenSnapshot(*base);
    Use(*snapshot, 1);
    const uint64_t bytes = IndexBytes(*base);
    if (most < 4096) CHECK_EQ(bytes, 0u);
    if (most == 4096) CHECK_EQ(bytes, 4096u);  // a sixth of the rows: they push each other out
    if (most > 4096) CHECK(bytes >= kRows * 12 && bytes <= kRows * 20);
  }
}

TEST(store_base_hash_index, is_not_kept_for_a_state_that_nobody_reads) {
  const std::string dir = TempDir();
  const auto base = OpenBase(dir);
  PutAll(*base, 1);
  const auto snapshot = OpenSnapshot(*base);
  Use(*snapshot, 1);
  CHECK(IndexBytes(*base) > 0);
  PutAll(*base, 2);
  CHECK_OK(snapshot->Renew());
  CHECK(GetRow(*snapshot, NthKey(1)).has_value());
  CHECK_EQ(IndexBytes(*base), 0u);
}

// Damage under rows that the index knows: an error or the right row.
TEST(store_base_hash_index, damage_is_never_taken_for_a_row) {
  const std::string dir = TempDir();
  const auto base = OpenBase(dir);
  PutAll(*base, 1);
  const auto snapshot = OpenSnapshot(*base);
  Use(*snapshot, 1);
  std::fstream file(dir + "/base/data.mdb", std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(0, std::ios::end);
  const auto bytes = static_cast<uint64_t>(file.tellg());
  std::mt19937_64 random(Seed());
  uint64_t refused = 0;
  for (int round = 0; round < 40; ++round) {
    for (int flip = 0; flip < 20; ++flip) {
      const uint64_t at = 2 * 4096 + random() % (bytes - 2 * 4096);
      file.seekg(static_cast<std::streamoff>(at));
      const char was = static_cast<char>(file.get());
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(was ^ static_cast<char>(1 << random() % 8)));
    }
    file.flush();
    for (int row = 0; row < kRows; ++row) {
      const auto found = snapshot->Get(AsBytes(NthKey(row)));
      if (!found.ok()) {
        CHECK_EQ(found.status().code(), Code::kCorruption);
        ++refused;
        continue;
      }
      CHECK(found.value().has_value());
      CHECK(AsText(found.value()->value) == NthValue(row, 1));
    }
  }
  CHECK(refused > 0);
}

TEST(store_base_hash_index, threads_share_it_while_states_change) {
  const std::string dir = TempDir();
  const auto base = OpenBase(dir);
  PutAll(*base, 1);
  std::atomic<uint64_t> newest{1};
  const auto read = [&](const std::stop_token& stop) {
    const auto snapshot = OpenSnapshot(*base);
    while (!stop.stop_requested()) {
      const uint64_t least = newest.load(std::memory_order_acquire);
      CHECK_OK(snapshot->Renew());
      const uint64_t batch = snapshot->applied().value - 5000;
      CHECK(batch >= least);
      Use(*snapshot, batch);
    }
  };
  Worker one(read), two(read);
  for (uint64_t batch = 2; batch < 12; ++batch) {
    PutAll(*base, batch);
    newest.store(batch, std::memory_order_release);
  }
  one.Stop();
  two.Stop();
}

}  // namespace
}  // namespace ringleader::test
