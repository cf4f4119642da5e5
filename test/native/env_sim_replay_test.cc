// Crash states against models that know nothing of how they are made, and the log of operations.
#include <map>
#include <set>

#include "env/sim/sim_rng.h"
#include "env_sim_fixture.h"

namespace ringleader::test {
namespace {

constexpr size_t kSector = kSimSectorBytes;

// --- bytes: which contents may each sector have? -------------------------------------------------

// The plain model of one file of fixed size: every value that a sector has had since it was last
// made durable may be what a power cut leaves.
class SectorModel {
 public:
  using Candidates = std::vector<std::set<std::string>>;

  explicit SectorModel(size_t sectors)
      : bytes_(sectors * kSector, '\0'), candidates_(sectors), dirty_(sectors) {
    Sync();
    for (size_t i = 0; i < sectors; ++i) candidates_[i] = {Sector(i)};
  }

  void Write(size_t offset, const std::vector<uint8_t>& from) {
    std::copy(from.begin(), from.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
    for (size_t i = offset / kSector; i * kSector < offset + from.size(); ++i) {
      candidates_[i].insert(Sector(i));
      dirty_[i] = true;
    }
  }
  void Sync() {
    for (size_t i = 0; i < dirty_.size(); ++i) {
      if (dirty_[i]) candidates_[i] = {Sector(i)};
      dirty_[i] = false;
    }
  }
  void FailedSync() { dirty_.assign(dirty_.size(), false); }

  const Candidates& candidates() const { return candidates_; }
  std::string Sector(size_t i) const { return bytes_.substr(i * kSector, kSector); }

 private:
  std::string bytes_;
  Candidates candidates_;
  std::vector<bool> dirty_;
};

std::string SectorOf(const std::vector<uint8_t>& bytes, size_t i) {
  const auto at = bytes.begin() + static_cast<ptrdiff_t>(i * kSector);
  return std::string(at, at + kSector);
}

// Random writes and flushes on a durable file; the candidates after each operation of the disk.
std::map<uint64_t, SectorModel::Candidates> RandomWrites(SimDisk& disk, size_t sectors,
                                                         SimRng& rng) {
  PutDurably(disk, "file", sectors * kSector, 0);
  const auto file = OpenFile(disk, "file");
  SectorModel model(sectors);
  std::map<uint64_t, SectorModel::Candidates> at;
  at[disk.last_op()] = model.candidates();
  for (int step = 0; step < 60; ++step) {
    const uint64_t kind = rng.Below(10);
    if (kind == 0) {
      const uint64_t fault = disk.AddFault({.calls = Calls({SimCall::kSyncData})});
      CHECK_CODE(file->SyncData(), Code::kIo);
      CHECK(disk.RemoveFault(fault));
      model.FailedSync();
    } else if (kind <= 2) {
      CHECK_OK(file->SyncData());
      model.Sync();
    } else {
      const size_t unit = rng.Chance(0.5) ? kSector : 1;
      const size_t offset = rng.Below(sectors * kSector / unit - 1) * unit;
      const size_t size = std::min<size_t>((1 + rng.Below(12)) * (unit == 1 ? 100 : unit),
                                           sectors * kSector - offset);
      const std::vector<uint8_t> bytes = Filled(size, static_cast<uint8_t>(1 + rng.Below(255)));
      CHECK_OK(file->WriteAt(offset, bytes));
      model.Write(offset, bytes);
    }
    at[disk.last_op()] = model.candidates();
  }
  return at;
}

TEST(sim_replay, every_state_is_one_the_sectors_can_have) {
  for (uint64_t round = 0; round < Scale(20); ++round) {
    SimRng rng(Seed() + round);
    SimDisk disk;
    const size_t sectors = 24;
    const auto candidates = RandomWrites(disk, sectors, rng);
    for (const auto& [at_op, possible] : candidates) {
      for (uint64_t seed = 0; seed < 10; ++seed) {
        const auto after = disk.CrashState(at_op, CrashPolicy::Random(), rng.Next());
        const std::vector<uint8_t> bytes = ReadAll(*after, "file");
        CHECK_EQ(bytes.size(), sectors * kSector);
        for (size_t i = 0; i < sectors; ++i) CHECK(possible[i].contains(SectorOf(bytes, i)));
      }
    }
  }
}

TEST(sim_replay, every_value_a_sector_can_have_is_met) {
  SimDisk disk;
  PutDurably(disk, "file", 4 * kSector, 0);
  const auto file = OpenFile(disk, "file");
  SectorModel model(4);
  SimRng rng(Seed());
  for (int write = 0; write < 8; ++write) {
    const size_t offset = rng.Below(3 * kSector);
    const std::vector<uint8_t> bytes = Filled(kSector, static_cast<uint8_t>(1 + write));
    CHECK_OK(file->WriteAt(offset, bytes));
    model.Write(offset, bytes);
  }
  SectorModel::Candidates met(4);
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const auto after = disk.CrashState(disk.last_op(), CrashPolicy::Random(), seed);
    const std::vector<uint8_t> bytes = ReadAll(*after, "file");
    for (size_t i = 0; i < met.size(); ++i) met[i].insert(SectorOf(bytes, i));
  }
  CHECK(met == model.candidates());
}

// --- names and sizes: the extreme policies against the live disk ---------------------------------

// One random operation on a handful of names in two directories.
void RandomOperation(SimDisk& disk, SimRng& rng) {
  const auto path = [&rng] {
    return std::string(rng.Chance(0.5) ? "" : "dir/") + static_cast<char>('a' + rng.Below(5));
  };
  const std::string name = path();
  switch (rng.Below(8)) {
    case 0:
    case 1:
    case 2:
      Put(*OpenFile(disk, name), rng.Below(6000), 1 + rng.Below(3000),
          static_cast<uint8_t>(rng.Below(256)));
      return;
    case 3:
      CHECK_OK(OpenFile(disk, name)->Truncate(rng.Below(6000)));
      return;
    case 4:
      CHECK_OK(OpenFile(disk, name)->Allocate(rng.Below(6000), 1 + rng.Below(3000)));
      return;
    case 5:
      if (Exists(disk, name)) CHECK_OK(disk.Remove(name));
      return;
    case 6:
      if (Exists(disk, name)) CHECK_OK(disk.Rename(name, path()));
      return;
    case 7:
      if (rng.Chance(0.5)) CHECK_OK(OpenFile(disk, name)->SyncData());
      if (rng.Chance(0.5)) CHECK_OK(disk.SyncDirectory(ParentPath(name)));
      return;
  }
}

void SyncEverything(SimDisk& disk) {
  for (const std::string directory : {".", "dir"}) {
    CHECK_VALUE(const std::vector<std::string> names, disk.List(directory));
    for (const std::string& name : names) {
      const std::string path = JoinPath(directory, name);
      CHECK_VALUE(const FileInfo info, disk.Info(path));
      if (!info.is_directory) CHECK_OK(OpenFile(disk, path)->SyncData());
    }
    CHECK_OK(disk.SyncDirectory(directory));
  }
}

TEST(sim_replay, keeping_everything_is_the_live_disk) {
  for (uint64_t round = 0; round < Scale(5); ++round) {
    SimRng rng(Seed() + round);
    SimDisk disk;
    CHECK_OK(disk.MakeDirectory("dir"));
    std::map<uint64_t, std::string> dumps;
    while (disk.last_op() < 300) {
      RandomOperation(disk, rng);
      dumps[disk.last_op()] = Dump(disk) + std::to_string(disk.used_bytes());
    }
    for (int sample = 0; sample < 200; ++sample) {  // in any order
      const auto dump = dumps.lower_bound(1 + rng.Below(300));
      const auto after = disk.CrashState(dump->first, CrashPolicy::Everything(), sample);
      CHECK_EQ(Dump(*after) + std::to_string(after->used_bytes()), dump->second);
    }
  }
}

TEST(sim_replay, keeping_nothing_is_the_disk_as_it_was_last_synced) {
  for (uint64_t round = 0; round < Scale(5); ++round) {
    SimRng rng(Seed() + round);
    SimDisk disk;
    CHECK_OK(disk.MakeDirectory("dir"));
    for (int cycle = 0; cycle < 20; ++cycle) {
      for (int i = 0; i < 10; ++i) RandomOperation(disk, rng);
      SyncEverything(disk);
      const std::string dump = Dump(disk);
      const auto file = OpenFile(disk, "unsynced", OpenMode::kCreateEmpty);
      Put(*file, 0, 1000, 7);
      Put(*OpenFile(disk, "dir/also", OpenMode::kCreateEmpty), 0, 1000, 7);
      for (int i = 0; i < 5; ++i) {
        if (Exists(disk, "dir/a")) CHECK_OK(disk.Rename("dir/a", "e"));
        if (Exists(disk, "e")) Put(*OpenFile(disk, "e"), 0, 5000, static_cast<uint8_t>(i));
        if (Exists(disk, "b")) CHECK_OK(disk.Remove("b"));
      }
      CHECK_EQ(Dump(*disk.CrashState(disk.last_op(), CrashPolicy::Nothing(), 1)), dump);
      if (Exists(disk, "dir/also")) CHECK_OK(disk.Remove("dir/also"));
      CHECK_OK(disk.Remove("unsynced"));
    }
  }
}

// --- the log of operations -----------------------------------------------------------------------

TEST(sim_replay, same_seed_same_state_in_any_order) {
  SimRng rng(Seed());
  SimDisk disk;
  CHECK_OK(disk.MakeDirectory("dir"));
  while (disk.last_op() < 300) RandomOperation(disk, rng);
  std::map<uint64_t, std::string> forward;
  std::set<std::string> different;
  for (uint64_t at = 0; at <= disk.last_op(); at += 7) {
    forward[at] = Dump(*disk.CrashState(at, CrashPolicy::Random(), at));
    different.insert(forward[at]);
  }
  CHECK(different.size() > forward.size() / 2);
  for (auto state = forward.rbegin(); state != forward.rend(); ++state) {
    CHECK_EQ(Dump(*disk.CrashState(state->first, CrashPolicy::Random(), state->first)),
             state->second);
  }
  std::set<std::string> by_seed;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    by_seed.insert(Dump(*disk.CrashState(disk.last_op(), CrashPolicy::Random(0.5), seed)));
  }
  CHECK(by_seed.size() > 10);
}

TEST(sim_replay, crash_state_is_a_disk_of_its_own) {
  SimDisk disk;
  PutDurably(disk, "file", 2 * kSector, 'a');
  const std::string before = Dump(disk);
  const auto first = disk.CrashState(disk.last_op(), CrashPolicy::Everything(), 1);
  CHECK_EQ(first->last_op(), 0u);
  const auto file = OpenFile(*first, "file");
  Put(*file, 0, kSector, 'b');
  CHECK_OK(file->SyncData());
  Put(*file, kSector, kSector, 'c');
  CHECK_EQ(first->last_op(), 3u);
  const auto second = first->CrashState(first->last_op(), CrashPolicy::Nothing(), 1);
  CHECK(ReadRange(*OpenFile(*second, "file"), 0, 1) == Filled(1, 'b'));
  CHECK(ReadRange(*OpenFile(*second, "file"), kSector, 1) == Filled(1, 'a'));
  CHECK_EQ(Dump(disk), before);
}

TEST(sim_replay, power_cut_in_place) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  const auto file = OpenFile(disk, "file");
  CHECK_OK(file->Lock(0, true));
  Put(*file, 0, kSector, 'b');
  disk.Mark(1, 1);
  disk.Crash(CrashPolicy::Nothing(), 1);
  uint8_t byte = 0;
  CHECK_CODE(file->ReadAt(0, MutableBytes(&byte, 1)).status(), Code::kIo);
  CHECK_CODE(file->WriteAt(0, Bytes(&byte, 1)), Code::kIo);
  CHECK_CODE(file->SyncData(), Code::kIo);
  CHECK_CODE(file->Allocate(0, 1), Code::kIo);
  CHECK_CODE(file->Truncate(0), Code::kIo);
  CHECK_CODE(file->Size().status(), Code::kIo);
  CHECK_CODE(file->TryLock(1, false), Code::kIo);
  CHECK_CODE(file->Unlock(0), Code::kIo);
  CHECK_EQ(disk.open_files(), 0u);
  CHECK_EQ(disk.last_op(), 0u);
  CHECK(!disk.LastMark(1, 0));
  CHECK(ReadAll(disk, "file") == Filled(kSector, 'a'));
  CHECK_OK(OpenFile(disk, "file")->TryLock(0, true));
  PutDurably(disk, "file", kSector, 'c');
  CHECK(ReadAll(*disk.CrashState(disk.last_op(), CrashPolicy::Nothing(), 1), "file") ==
        Filled(kSector, 'c'));
}

TEST(sim_replay, power_cut_without_a_log_of_operations) {
  SimDisk disk({.record = false});
  PutDurably(disk, "file", kSector, 'a');
  Put(*OpenFile(disk, "file"), 0, kSector, 'b');
  disk.Crash(CrashPolicy::Nothing(), 1);
  CHECK(ReadAll(disk, "file") == Filled(kSector, 'a'));
}

TEST(sim_replay, marks_stand_in_the_order_of_operations) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  CHECK_EQ(disk.Mark(1, 10), 2u);
  Put(*file, 0, 1, 'a');
  CHECK_EQ(disk.Mark(2, 99), 4u);
  CHECK_EQ(disk.Mark(1, 20), 5u);
  CHECK(!disk.LastMark(1, 1));
  CHECK(disk.LastMark(1, 2) == 10u);
  CHECK(disk.LastMark(1, 4) == 10u);
  CHECK(disk.LastMark(1, 5) == 20u);
  CHECK(disk.LastMark(2, 5) == 99u);
  CHECK(!disk.LastMark(3, 5));
  CHECK_EQ(disk.operation(1).Describe(), "1 create file");
  CHECK_EQ(disk.operation(3).Describe(), "3 write file [0, 1)");
  CHECK_EQ(disk.operation(5).Describe(), "5 mark 1 = 20");
}

}  // namespace
}  // namespace ringleader::test
