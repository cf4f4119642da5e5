// A base tree whose file has been damaged: it may refuse, it may answer rightly, and nothing else.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/coding.h"
#include "child_process.h"
#include "store_base_fixture.h"

namespace ringleader::test {
namespace {

std::string DataFile(const std::string& directory) { return directory + "/base/data.mdb"; }

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out << content << std::flush;
  CHECK(out.good());
}

// A file with everything in it: two levels, long keys, overflow pages, several databases, notes of
// both kinds and lists of free pages.
Model MakeBase(const std::string& directory, std::mt19937_64& random) {
  auto base = OpenBase(directory);
  Model model;
  for (uint64_t round = 0; round < 4; ++round) {
    CHECK_VALUE(auto batch, base->Begin());
    for (int i = 0; i < 120; ++i) {
      std::string key = std::to_string(random() % 1000);
      if (random() % 20 == 0) key.resize(1500, 'k');
      const std::string row_key = RowKey(1 + static_cast<DatabaseId>(random() % 3), key);
      const size_t bytes = random() % 12 == 0 ? 3000 + random() % 7000 : random() % 150;
      model[row_key] = {round, RandomText(random, bytes)};
      PutRow(*batch, row_key, round, model[row_key].value);
    }
    if (round == 2) CHECK_OK(batch->AddDropped(9));
    CHECK_OK(batch->SetApplied(Lsn(5000 + round)));
    CHECK_OK(batch->Commit());
  }
  CHECK_OK(base->Verify().status());
  return model;
}

// The only failures that damage may lead to.
bool Refused(const Status& status) {
  CHECK(status.code() == Code::kCorruption || status.code() == Code::kNewerFormat);
  return true;
}

// Each of these returns whether damage was met; a wrong answer fails the test.
bool ReadsRightly(BaseTree& base, const Model& model) {
  auto opened = base.OpenSnapshot();
  if (!opened.ok()) return Refused(opened.status());
  auto snapshot = std::move(opened).value();
  bool damaged = false;
  const auto get = [&](const std::string& key, const ModelRow* expected) {
    const auto row = snapshot->Get(AsBytes(key));
    if (!row.ok()) {
      damaged = Refused(row.status());
      return;
    }
    CHECK_EQ(row.value().has_value(), expected != nullptr);
    if (expected == nullptr) return;
    CHECK_EQ(row.value()->version, Lsn(expected->version));
    CHECK(AsText(row.value()->value) == expected->value);
  };
  for (const auto& [key, row] : model) {
    get(key, &row);
    if (!model.count(key + "0")) get(key + "0", nullptr);
  }
  return damaged;
}

bool ScansRightly(BaseTree& base, const Model& model, bool forward) {
  auto opened = base.OpenSnapshot();
  if (!opened.ok()) return true;
  auto snapshot = std::move(opened).value();
  CHECK_VALUE(auto cursor, BaseTree::Cursor::Open(*snapshot));
  std::vector<std::string> met;
  Status status = forward ? cursor->SeekAtLeast({}) : cursor->SeekBelow({});
  while (status.ok() && cursor->valid()) {
    const auto found = model.find(AsText(cursor->row_key()));
    CHECK(found != model.end());
    CHECK(AsText(cursor->row().value) == found->second.value);
    met.push_back(found->first);
    status = forward ? cursor->Next() : cursor->Prev();
  }
  if (!forward) std::reverse(met.begin(), met.end());
  const size_t passed_over = forward ? 0 : model.size() - met.size();
  auto at = std::next(model.begin(), static_cast<ptrdiff_t>(passed_over));
  for (const std::string& key : met) CHECK_EQ(key, (at++)->first);
  if (status.ok()) CHECK_EQ(met.size(), model.size());
  return !status.ok() && Refused(status);
}

// Changes rows; what the batch does not touch must stay right.
bool WritesRightly(BaseTree& base, Model* model, std::mt19937_64& random) {
  auto begun = base.Begin();
  if (!begun.ok()) return Refused(begun.status());
  const auto batch = std::move(begun).value();
  Model changed = *model;
  Status status;
  for (auto at = model->begin(); status.ok() && at != model->end(); ++at) {
    const uint64_t choice = random() % 6;
    if (choice == 0) {
      status = batch->Remove(AsBytes(at->first));
      changed.erase(at->first);
    } else if (choice == 1) {
      changed[at->first] = {8000, RandomText(random, random() % 5000)};
      status = batch->Put(AsBytes(at->first), Lsn(8000), AsBytes(changed[at->first].value));
    }
  }
  if (status.ok()) status = batch->SetApplied(Lsn(9000));
  if (status.ok()) status = batch->Commit();
  if (!status.ok()) return Refused(status);
  *model = std::move(changed);
  return false;
}

struct Tally {
  uint64_t refused = 0, read_damage = 0, write_damage = 0, found_by_verify = 0, unnoticed = 0;
};

void UseDamaged(const std::string& directory, Model model, uint64_t seed, Tally* tally) {
  std::mt19937_64 random(seed);
  auto opened = BaseTree::Open(PosixEnv(), directory, TestBaseOptions());
  if (!opened.ok()) {
    tally->refused += Refused(opened.status()) ? 1 : 0;
    return;
  }
  auto base = std::move(opened).value();
  const bool whole = base->Verify().ok();
  const bool forward = ScansRightly(*base, model, true);
  const bool damaged = ReadsRightly(*base, model) || forward;
  CHECK_EQ(ScansRightly(*base, model, false), forward);
  CHECK(!whole || !damaged);
  static_cast<void>(base->Stat());
  tally->read_damage += damaged ? 1 : 0;
  tally->found_by_verify += !whole && !damaged ? 1 : 0;
  tally->unnoticed += whole ? 1 : 0;
  if (WritesRightly(*base, &model, random)) {
    tally->write_damage += 1;
    return;
  }
  ReadsRightly(*base, model);
  ScansRightly(*base, model, true);
}

void DamageOnce(std::string* content, std::mt19937_64& random) {
  const bool meta = random() % 12 == 0;
  const size_t page = random() % (meta ? kFirstBasePage : content->size() / 4096);
  // Half of the time in the header and the node offsets, where most is decided by few bytes.
  const bool in_header = meta || random() % 2 == 0;
  const size_t at = 4096 * page + random() % (in_header ? kBaseMetaBytes : 4096);
  if (random() % 8 == 0) {
    const size_t run = std::min<size_t>(content->size() - at, 1 + random() % 600);
    std::fill_n(content->begin() + static_cast<ptrdiff_t>(at), run, static_cast<char>(random()));
  } else {
    (*content)[at] = static_cast<char>((*content)[at] ^ (1 << (random() % 8)));
  }
}

TEST(store_base_damage, flipped_bits_never_give_wrong_rows_or_crashes) {
  const std::string origin = TempDir(), directory = TempDir();
  std::mt19937_64 random(Seed());
  const Model model = MakeBase(origin, random);
  const std::string whole = ReadFile(DataFile(origin));
  OpenBase(directory);
  SharedValue<Tally> tally;
  const uint64_t rounds = Scale(200);
  for (uint64_t round = 0; round < rounds; ++round) {
    std::string content = whole;
    DamageOnce(&content, random);
    const uint64_t seed = random();
    WriteFile(DataFile(directory), content);
    Child child([&] { UseDamaged(directory, model, seed, &*tally); });
    child.Join();
  }
  std::printf(
      "    %llu flips: refused %llu, met by reads %llu, by writes %llu, by Verify only %llu, "
      "unnoticed %llu\n",
      static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(tally->refused),
      static_cast<unsigned long long>(tally->read_damage),
      static_cast<unsigned long long>(tally->write_damage),
      static_cast<unsigned long long>(tally->found_by_verify),
      static_cast<unsigned long long>(tally->unnoticed));
  CHECK(tally->refused > 0 && tally->read_damage > 0 && tally->write_damage > 0);
}

TEST(store_base_damage, a_flip_anywhere_in_a_row_is_met) {
  const std::string directory = TempDir();
  const std::string key = RowKey(1, "the key of a row");
  const std::string value = "the value of a row, which nobody else has";
  PutRows(*OpenBase(directory), {{RowKey(1, "a"), {1, ""}}, {key, {77, value}}}, Lsn(5000));
  const std::string whole = ReadFile(DataFile(directory));
  const size_t at = whole.find(key);
  CHECK(at != std::string::npos && whole.compare(at + key.size(), value.size(), value) == 0);
  for (size_t byte = 0; byte < key.size() + value.size() + kBaseTrailerBytes; ++byte) {
    std::string content = whole;
    content[at + byte] ^= 4;
    WriteFile(DataFile(directory), content);
    auto opened = BaseTree::Open(PosixEnv(), directory, TestBaseOptions());
    if (!opened.ok()) {
      CHECK_CODE(opened.status(), Code::kCorruption);
      continue;
    }
    CHECK_CODE(opened.value()->Verify().status(), Code::kCorruption);
    CHECK_VALUE(auto snapshot, opened.value()->OpenSnapshot());
    const auto row = snapshot->Get(AsBytes(key));
    // The first checksum stands for the key only: a row that is found has the second one.
    const size_t first_checksum = key.size() + value.size() + 8;
    const bool spare = byte >= first_checksum && byte < first_checksum + 4;
    if (spare) CHECK(row.ok() && AsText(row.value()->value) == value);
    if (!spare) CHECK_CODE(row.status(), Code::kCorruption);
  }
}

TEST(store_base_damage, a_file_cut_short_is_refused) {
  const std::string directory = TempDir();
  std::mt19937_64 random(Seed());
  const Model model = MakeBase(directory, random);
  const std::string whole = ReadFile(DataFile(directory));
  for (size_t bytes = whole.size() - 4096; bytes > 0; bytes -= std::min<size_t>(bytes, 4096)) {
    for (const size_t length : {bytes, bytes + 100}) {
      WriteFile(DataFile(directory), whole.substr(0, length));
      Child child([&] {
        Tally tally;
        UseDamaged(directory, model, 1, &tally);
        CHECK_EQ(tally.refused, 1u);
      });
      child.Join();
    }
  }
  WriteFile(DataFile(directory), "");
  CHECK_CODE(BaseTree::Open(PosixEnv(), directory, TestBaseOptions()).status(), Code::kCorruption);
}

TEST(store_base_damage, a_later_format_is_refused) {
  const std::string directory = TempDir();
  OpenBase(directory);
  std::string content = ReadFile(DataFile(directory));
  const std::vector<uint8_t> key = NoteKey(NoteKind::kStamp);
  const size_t at = content.find(AsText(key), kFirstBasePage * kMinBasePageBytes);
  CHECK(at != std::string::npos);
  auto* stamp = reinterpret_cast<uint8_t*>(content.data()) + at + key.size();
  constexpr size_t kStampBytes = 44;
  StoreLe(stamp, kBaseFormatVersion + 1);
  StoreBaseTrailer(key, Lsn(4096), Bytes(stamp, kStampBytes), stamp + kStampBytes);
  WriteFile(DataFile(directory), content);
  CHECK_CODE(BaseTree::Open(PosixEnv(), directory, TestBaseOptions()).status(), Code::kNewerFormat);
}

// An older root page that is still whole, with its rows: the stamp below it tells.
TEST(store_base_damage, a_meta_page_that_leads_to_an_older_state_is_refused) {
  const std::string directory = TempDir();
  {
    auto base = OpenBase(directory);
    PutRows(*base, {{RowKey(1, "a"), {1, "old"}}}, Lsn(5000));
    PutRows(*base, {{RowKey(1, "a"), {2, "new"}}}, Lsn(6000));
  }
  const std::string whole = ReadFile(DataFile(directory));
  constexpr size_t kRowsRootAt = 88, kRootPageAt = kRowsRootAt + 40;
  const auto root_of = [&](size_t page) { return whole.substr(4096 * page + kRootPageAt, 8); };
  // Of creation 1 and the batches 2 and 3 the last one is in meta page 1.
  CHECK(root_of(0) != root_of(1));
  std::string content = whole;
  content.replace(4096 + kRootPageAt, 8, root_of(0));
  WriteFile(DataFile(directory), content);
  CHECK_CODE(BaseTree::Open(PosixEnv(), directory, TestBaseOptions()).status(), Code::kCorruption);
}

}  // namespace
}  // namespace ringleader::test
