// The base tree against a model, in one process.
#include "store_base_fixture.h"

namespace ringleader::test {
namespace {

void CheckCount(BaseTree& base, DatabaseId database, uint64_t expected) {
  CHECK_VALUE(auto snapshot, base.OpenSnapshot());
  CHECK_VALUE(const uint64_t rows, snapshot->Rows(database));
  CHECK_EQ(rows, expected);
}

void CheckCounts(BaseTree::Snapshot& snapshot, const Model& model, DatabaseId databases) {
  for (DatabaseId database = 0; database <= databases; ++database) {
    const uint64_t expected = static_cast<uint64_t>(std::distance(
        model.lower_bound(RowKey(database, "")), model.lower_bound(RowKey(database + 1, ""))));
    CHECK_VALUE(const uint64_t rows, snapshot.Rows(database));
    CHECK_EQ(rows, expected);
  }
}

TEST(store_base, a_new_base_is_empty) {
  const std::string directory = TempDir();
  auto base = OpenBase(directory);
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  CHECK_EQ(snapshot->applied(), Lsn(4096));
  CHECK(!GetRow(*snapshot, RowKey(1, "a")));
  CHECK(AllRows(*snapshot).empty());
  CHECK_VALUE(auto cursor, BaseTree::Cursor::Open(*snapshot));
  CHECK_OK(cursor->SeekBelow({}));
  CHECK(!cursor->valid());
  CHECK_VALUE(const uint64_t rows, base->Verify());
  CHECK_EQ(rows, 0u);
  CheckCount(*base, 1, 0);
}

TEST(store_base, rows_of_every_size_come_back) {
  const std::string directory = TempDir();
  std::mt19937_64 random(Seed());
  Model model;
  const std::vector<size_t> values = {0,    1,    100,  1000, 1900, 2000,    2015,    2016,
                                      2100, 4000, 4064, 4065, 8000, 100'000, 1 << 20, 64 << 20};
  for (const size_t bytes : values) {
    model[RowKey(1, "value" + std::to_string(bytes))] = {bytes + 1, RandomText(random, bytes)};
  }
  for (const size_t bytes : {size_t{1}, size_t{2}, size_t{1000}, kMaxKeyBytes - 1, kMaxKeyBytes}) {
    model[RowKey(kMaxDatabaseId, RandomText(random, bytes))] = {kMaxLsn.value,
                                                                RandomText(random, bytes % 7)};
  }
  if (Scale(1) > 1) model[RowKey(2, "huge")] = {1, std::string(kMaxValueBytes, 'x')};
  PutRows(*OpenBase(directory), model, Lsn(9000));
  auto base = OpenBase(directory);
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  CHECK_EQ(snapshot->applied(), Lsn(9000));
  for (const auto& [key, row] : model) CHECK(GetRow(*snapshot, key) == row);
  CHECK(AllRows(*snapshot) == model);
  CHECK_VALUE(const uint64_t rows, base->Verify());
  CHECK_EQ(rows, model.size());
}

TEST(store_base, what_is_no_row_is_refused) {
  auto base = OpenBase(TempDir());
  CHECK_VALUE(auto batch, base->Begin());
  const std::string longest(kMaxKeyBytes, 'k');
  CHECK_CODE(batch->Put(AsBytes(RowKey(1, "")), Lsn(1), {}), Code::kInvalidArgument);
  CHECK_CODE(batch->Put({}, Lsn(1), {}), Code::kInvalidArgument);
  CHECK_CODE(batch->Put(AsBytes(RowKey(kBaseNotesId, "x")), Lsn(1), {}), Code::kInvalidArgument);
  CHECK_CODE(batch->Put(AsBytes(RowKey(1, longest + "k")), Lsn(1), {}), Code::kTooLarge);
  CHECK_CODE(batch->Remove(AsBytes(RowKey(kBaseNotesId, "\1"))), Code::kInvalidArgument);
  CHECK_CODE(batch->SetApplied(kMaxLsn + 1), Code::kInvalidArgument);
  CHECK_OK(batch->Put(AsBytes(RowKey(1, longest)), Lsn(1), {}));
  CHECK_OK(batch->Commit());
  CheckCount(*base, 1, 1);
}

// A step of the random model test: one batch of puts and removes, now and then thrown away.
void RandomBatch(BaseTree& base, std::mt19937_64& random, Model* model, uint64_t version) {
  CHECK_VALUE(auto batch, base.Begin());
  Model changed = *model;
  const uint64_t operations = random() % 400;
  for (uint64_t i = 0; i < operations; ++i) {
    const DatabaseId database = static_cast<DatabaseId>(random() % 4);
    std::string key = std::to_string(random() % 500);
    if (random() % 8 == 0) key.resize(kMaxKeyBytes - random() % 3, 'k');
    const std::string row_key = RowKey(database, key);
    if (random() % 3 == 0) {
      CHECK_OK(batch->Remove(AsBytes(row_key)));
      changed.erase(row_key);
    } else {
      const size_t bytes = random() % 20 == 0 ? random() % 20'000 : random() % 200;
      const std::string value = RandomText(random, bytes);
      PutRow(*batch, row_key, version + i, value);
      changed[row_key] = {version + i, value};
    }
  }
  if (random() % 5 == 0) return;
  CHECK_OK(batch->SetApplied(Lsn(version + operations)));
  CHECK_OK(batch->Commit());
  *model = std::move(changed);
}

TEST(store_base, random_batches_agree_with_a_model) {
  const std::string directory = TempDir();
  std::mt19937_64 random(Seed());
  Model model;
  auto base = OpenBase(directory);
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  const uint64_t rounds = Scale(60);
  for (uint64_t round = 0; round < rounds; ++round) {
    RandomBatch(*base, random, &model, 5000 + 1000 * round);
    if (random() % 10 == 0) {
      snapshot.reset();
      base.reset();
      base = OpenBase(directory);
      CHECK_VALUE(snapshot, base->OpenSnapshot());
    }
    CHECK_OK(snapshot->Renew());
    CHECK(AllRows(*snapshot) == model);
    CheckCounts(*snapshot, model, 4);
    for (int i = 0; i < 100; ++i) {
      const std::string key =
          RowKey(static_cast<DatabaseId>(random() % 5), std::to_string(random() % 500));
      const auto found = model.find(key);
      CHECK(GetRow(*snapshot, key) ==
            (found == model.end() ? std::nullopt : std::optional(found->second)));
    }
    CHECK_VALUE(const uint64_t rows, base->Verify());
    CHECK_EQ(rows, model.size());
  }
}

void CheckAt(const BaseTree::Cursor& cursor, const Model& model, Model::const_iterator expected) {
  CHECK_EQ(cursor.valid(), expected != model.end());
  if (!cursor.valid()) return;
  CHECK_EQ(AsText(cursor.row_key()), expected->first);
  CHECK_EQ(cursor.row().version, Lsn(expected->second.version));
  CHECK_EQ(AsText(cursor.row().value), expected->second.value);
}

// The row before `at`, or none.
Model::const_iterator Before(const Model& model, Model::const_iterator at) {
  return at == model.begin() ? model.end() : std::prev(at);
}

TEST(store_base, cursors_go_both_ways) {
  auto base = OpenBase(TempDir());
  std::mt19937_64 random(Seed());
  Model model;
  for (int i = 0; i < 5000; ++i) {
    model[RowKey(1 + static_cast<DatabaseId>(random() % 3), std::to_string(random() % 20'000))] = {
        random() % 1000, RandomText(random, random() % 60)};
  }
  PutRows(*base, model, Lsn(9000));
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  CHECK_VALUE(auto cursor, BaseTree::Cursor::Open(*snapshot));
  for (uint64_t round = 0; round < Scale(2000); ++round) {
    std::string key =
        RowKey(static_cast<DatabaseId>(random() % 5), std::to_string(random() % 20'000));
    if (random() % 50 == 0) key.clear();
    Model::const_iterator at = model.lower_bound(key);
    if (random() % 2 == 0) {
      CHECK_OK(cursor->SeekAtLeast(AsBytes(key)));
    } else {
      CHECK_OK(cursor->SeekBelow(AsBytes(key)));
      at = Before(model, key.empty() ? model.end() : at);
    }
    CheckAt(*cursor, model, at);
    for (int i = 0; i < 30 && cursor->valid(); ++i) {
      const bool forward = random() % 2 == 0;
      CHECK_OK(forward ? cursor->Next() : cursor->Prev());
      at = forward ? std::next(at) : Before(model, at);
      CheckAt(*cursor, model, at);
    }
  }
  CHECK_OK(cursor->SeekBelow(AsBytes(RowKey(kBaseNotesId, "\2"))));
  CheckAt(*cursor, model, std::prev(model.end()));
  CHECK_OK(cursor->SeekAtLeast(AsBytes(RowKey(kBaseNotesId, ""))));
  CHECK(!cursor->valid());
}

TEST(store_base, a_snapshot_does_not_see_later_batches) {
  auto base = OpenBase(TempDir());
  Model first, second;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = RowKey(1, std::to_string(i));
    first[key] = {1, std::string(100, 'a')};
    second[key] = {2, std::string(i % 7 == 0 ? 5000 : 90, 'b')};
  }
  PutRows(*base, first, Lsn(5000));
  CHECK_VALUE(auto old, base->OpenSnapshot());
  for (uint64_t i = 0; i < 8; ++i) PutRows(*base, second, Lsn(6000 + i));
  CHECK(AllRows(*old) == first);
  CHECK_EQ(old->applied(), Lsn(5000));
  CHECK_OK(old->Renew());
  CHECK(AllRows(*old) == second);
  CHECK_EQ(old->applied(), Lsn(6007));
  old->Release();
  CHECK(!old->held());
}

TEST(store_base, rows_are_removed_in_steps) {
  const std::string directory = TempDir();
  auto base = OpenBase(directory);
  Model model;
  for (int i = 0; i < 1000; ++i) {
    for (DatabaseId database = 1; database <= 3; ++database) {
      model[RowKey(database, std::to_string(i))] = {1, std::string(i % 50 == 0 ? 9000 : 20, 'v')};
    }
  }
  PutRows(*base, model, Lsn(5000));
  {
    CHECK_VALUE(auto batch, base->Begin());
    CHECK_OK(batch->AddDropped(2));
    CHECK_OK(batch->AddDropped(9));
    CHECK_OK(batch->Commit());
  }
  uint64_t left = 1000;
  for (uint64_t step = 0; left > 0; ++step) {
    CHECK_VALUE(auto batch, base->Begin());
    CHECK_VALUE(const auto dropped, batch->Dropped());
    CHECK(dropped == (std::vector<DatabaseId>{2, 9}));
    CHECK_VALUE(left, batch->RemoveRows(2, 300));
    CHECK_EQ(left, step < 3 ? 1000 - 300 * (step + 1) : 0);
    CHECK_VALUE(const uint64_t none, batch->RemoveRows(9, 300));
    CHECK_EQ(none, 0u);
    if (left == 0) CHECK_OK(batch->RemoveDropped(2));
    CHECK_OK(batch->Commit());
    CheckCount(*base, 2, left);
    CHECK_OK(base->Verify().status());
  }
  std::erase_if(model, [](const auto& item) { return LoadRowPrefix(AsBytes(item.first)) == 2; });
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  CHECK(AllRows(*snapshot) == model);
  CHECK_VALUE(auto batch, base->Begin());
  CHECK_VALUE(const auto dropped, batch->Dropped());
  CHECK(dropped == std::vector<DatabaseId>{9});
}

TEST(store_base, a_batch_that_is_destroyed_never_happened) {
  auto base = OpenBase(TempDir());
  PutRows(*base, {{RowKey(1, "a"), {1, "x"}}}, Lsn(5000));
  {
    CHECK_VALUE(auto batch, base->Begin());
    PutRow(*batch, RowKey(1, "b"), 2, "y");
    CHECK_OK(batch->Remove(AsBytes(RowKey(1, "a"))));
    CHECK_OK(batch->SetApplied(Lsn(6000)));
  }
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  CHECK_EQ(snapshot->applied(), Lsn(5000));
  CHECK(AllRows(*snapshot) == (Model{{RowKey(1, "a"), {1, "x"}}}));
  CheckCount(*base, 1, 1);
}

TEST(store_base, statistics_tell_what_is_there) {
  BaseOptions options = TestBaseOptions();
  options.max_readers = 10;
  auto base = OpenBase(TempDir(), options);
  Model model;
  for (int i = 0; i < 2000; ++i) model[RowKey(1, std::to_string(i))] = {1, std::string(100, 'v')};
  model[RowKey(7, "x")] = {1, "y"};
  PutRows(*base, model, Lsn(5000));
  CHECK_VALUE(auto one, base->OpenSnapshot());
  CHECK_VALUE(auto two, base->OpenSnapshot());
  CHECK_VALUE(auto three, base->OpenSnapshot());
  three->Release();
  CHECK_VALUE(const BaseStat stat, base->Stat());
  CHECK_EQ(stat.applied, Lsn(5000));
  CHECK_EQ(stat.rows, 2001u);
  CHECK_EQ(stat.readers, 2u);
  CHECK(stat.max_readers >= 10);
  CHECK(stat.depth >= 2);
  CHECK(stat.used_bytes <= stat.file_bytes && stat.used_bytes > 200'000);
}

TEST(store_base, one_object_per_process) {
  const std::string directory = TempDir();
  auto base = OpenBase(directory);
  CHECK_CODE(BaseTree::Open(PosixEnv(), directory, TestBaseOptions()).status(), Code::kBusy);
  base.reset();
  CHECK_OK(BaseTree::Open(PosixEnv(), directory, TestBaseOptions()).status());
}

TEST(store_base, another_environment_is_refused) {
  const std::string directory = TempDir();
  OpenBase(directory);
  BaseOptions options = TestBaseOptions();
  options.environment_id[3] = 8;
  CHECK_CODE(BaseTree::Open(PosixEnv(), directory, options).status(), Code::kCorruption);
}

}  // namespace
}  // namespace ringleader::test
