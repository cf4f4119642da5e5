// The rules of sim_crash.h, each in both directions: what must survive does so after every cut, and
// what may be lost is lost after some.
#include <map>
#include <set>

#include "env_sim_fixture.h"

namespace ringleader::test {
namespace {

constexpr size_t kSector = kSimSectorBytes;

// The values of the first bytes of each sector.
std::string SectorValues(SimDisk& disk, const std::string& path) {
  const std::vector<uint8_t> bytes = ReadAll(disk, path);
  std::string values;
  for (size_t at = 0; at < bytes.size(); at += kSector) values += static_cast<char>(bytes[at]);
  return values;
}

// All values of `look` over many cuts.
template <typename Look>
auto Outcomes(SimDisk& disk, Look look) {
  std::set<decltype(look(disk))> seen;
  AfterEveryCut(disk, [&](SimDisk& after) { seen.insert(look(after)); });
  return seen;
}

TEST(sim_crash, synced_bytes_survive) {
  SimDisk disk;
  PutDurably(disk, "file", 16 * kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, 4 * kSector, 4 * kSector, 'b');
  CHECK_OK(file->SyncData());
  Put(*file, 8 * kSector, 8 * kSector, 'c');
  AfterEveryCut(
      disk, [](SimDisk& after) { CHECK_EQ(SectorValues(after, "file").substr(0, 8), "aaaabbbb"); });
}

TEST(sim_crash, unsynced_write_is_lost_kept_or_torn) {
  SimDisk disk;
  PutDurably(disk, "file", 4 * kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 4 * kSector, 'b');
  const std::set<std::string> seen =
      Outcomes(disk, [](SimDisk& after) { return SectorValues(after, "file"); });
  CHECK_EQ(seen.size(), 16u);  // every combination of four sectors
  AfterEveryCut(disk, [](SimDisk& after) {
    const std::vector<uint8_t> bytes = ReadAll(after, "file");
    for (size_t at = 0; at < bytes.size(); ++at) {
      CHECK(bytes[at] == 'a' || bytes[at] == 'b');
      CHECK_EQ(bytes[at], bytes[at / kSector * kSector]);
    }
  });
}

TEST(sim_crash, policies_decide) {
  SimDisk disk;
  PutDurably(disk, "file", 64 * kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 32 * kSector, 'b');
  Put(*file, 32 * kSector, 32 * kSector, 'c');
  const std::string a(32, 'a'), b(32, 'b'), c(32, 'c');
  const uint64_t now = disk.last_op();
  CHECK_EQ(SectorValues(*disk.CrashState(now, CrashPolicy::Nothing(), 1), "file"), a + a);
  CHECK_EQ(SectorValues(*disk.CrashState(now, CrashPolicy::Everything(), 1), "file"), b + c);
  CrashPolicy whole = CrashPolicy::Random(0.5);
  whole.torn_writes = false;
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeedsPerPolicy; ++seed) {
    seen.insert(SectorValues(*disk.CrashState(now, whole, seed), "file"));
  }
  CHECK(seen == (std::set<std::string>{a + a, a + c, b + a, b + c}));
}

TEST(sim_crash, sector_brings_earlier_writes_along) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 100, 'x');
  Put(*file, 100, 100, 'y');
  const std::set<std::string> seen = Outcomes(disk, [](SimDisk& after) {
    const std::vector<uint8_t> bytes = ReadAll(after, "file");
    return std::string{static_cast<char>(bytes[99]), static_cast<char>(bytes[100]),
                       static_cast<char>(bytes[200])};
  });
  CHECK(seen == (std::set<std::string>{"aaa", "xaa", "xya"}));
}

TEST(sim_crash, size_lags_or_leads) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, kSector, kSector, 'b');
  Put(*file, 2 * kSector, kSector, 'c');
  const std::string zero(1, '\0');
  const std::set<std::string> seen =
      Outcomes(disk, [](SimDisk& after) { return SectorValues(after, "file"); });
  CHECK(seen == (std::set<std::string>{"a", "ab", "a" + zero, "abc", "a" + zero + zero, "ab" + zero,
                                       "a" + zero + "c"}));
  AfterEveryCut(disk, [&](SimDisk& after) {  // what the size does not cover is gone for good
    const std::string left = SectorValues(after, "file");
    CHECK_OK(OpenFile(after, "file")->Truncate(3 * kSector));
    CHECK_EQ(SectorValues(after, "file"), left + std::string(3 - left.size(), '\0'));
  });
  CHECK_OK(file->SyncData());
  AfterEveryCut(disk, [](SimDisk& after) { CHECK_EQ(SectorValues(after, "file"), "abc"); });
}

TEST(sim_crash, truncation_is_pending_until_synced) {
  SimDisk disk;
  PutDurably(disk, "file", 2 * kSector, 'a');
  const auto file = OpenFile(disk, "file");
  CHECK_OK(file->Truncate(100));
  CHECK_OK(file->Truncate(2 * kSector));
  const auto look = [](SimDisk& after) {
    const std::vector<uint8_t> bytes = ReadAll(after, "file");
    const bool cut =
        std::all_of(bytes.begin() + 100, bytes.end(), [](uint8_t b) { return b == 0; });
    const bool whole = std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 'a'; });
    CHECK(cut || whole);
    CHECK_EQ(bytes[99], 'a');
    return std::to_string(bytes.size()) + (whole ? " whole" : " cut");
  };
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"1024 whole", "100 whole", "1024 cut"}));
  CHECK_OK(file->SyncData());
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"1024 cut"}));
}

TEST(sim_crash, reservation_is_pending_until_synced) {
  SimDisk disk;
  PutDurably(disk, "file", 0, 0);
  const auto file = OpenFile(disk, "file");
  CHECK_OK(file->Allocate(0, 10 * kSimPageBytes));
  const auto look = [](SimDisk& after) {
    CHECK_EQ(after.used_bytes(), ReadAll(after, "file").size());
    return after.used_bytes();
  };
  CHECK(Outcomes(disk, look) == (std::set<uint64_t>{0, 10 * kSimPageBytes}));
  CHECK_OK(file->SyncData());
  CHECK(Outcomes(disk, look) == (std::set<uint64_t>{10 * kSimPageBytes}));
}

TEST(sim_crash, emptying_at_open_is_a_truncation) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  CHECK(OpenFile(disk, "file", OpenMode::kCreateEmpty)->SyncData().ok());
  AfterEveryCut(disk, [](SimDisk& after) { CHECK_EQ(SectorValues(after, "file"), ""); });
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, kSector, 'b');
  CHECK_OK(file->SyncData());
  OpenFile(disk, "file", OpenMode::kCreateEmpty);
  CHECK(Outcomes(disk, [](SimDisk& after) { return SectorValues(after, "file"); }) ==
        (std::set<std::string>{"", "b"}));
}

TEST(sim_crash, synced_file_without_its_name_is_lost) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, kSector, 'a');
  CHECK_OK(file->SyncData());
  const auto exists = [](SimDisk& after) {
    const bool found = Exists(after, "file");
    if (found) CHECK_EQ(SectorValues(after, "file"), "a");
    return found;
  };
  CHECK(Outcomes(disk, exists) == (std::set<bool>{false, true}));
  CHECK_OK(disk.SyncDirectory("."));
  CHECK(Outcomes(disk, exists) == (std::set<bool>{true}));
}

TEST(sim_crash, name_survives_without_its_bytes) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, kSector, 'a');
  CHECK_OK(disk.SyncDirectory("."));
  CHECK(Outcomes(disk, [](SimDisk& after) { return SectorValues(after, "file"); }) ==
        (std::set<std::string>{"", std::string(1, '\0'), "a"}));
}

TEST(sim_crash, rename_over_a_file_is_atomic) {
  SimDisk disk;
  PutDurably(disk, "control", kSector, 'a');
  PutDurably(disk, "temporary", kSector, 'b');
  CHECK_OK(disk.Rename("temporary", "control"));
  const auto look = [](SimDisk& after) {
    const std::string values = SectorValues(after, "control");
    CHECK_EQ(Exists(after, "temporary"), values == "a");
    return values;
  };
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"a", "b"}));
  CHECK_OK(disk.SyncDirectory("."));
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"b"}));
}

TEST(sim_crash, lost_removal_brings_the_file_back) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  CHECK_OK(disk.Remove("file"));
  const auto look = [](SimDisk& after) {
    return Exists(after, "file") ? SectorValues(after, "file") : "-";
  };
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"a", "-"}));
  CHECK_OK(disk.SyncDirectory("."));
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"-"}));
  CHECK_EQ(disk.CrashState(disk.last_op(), CrashPolicy::Nothing(), 1)->used_bytes(), 0u);
}

std::string NamesOf(SimDisk& disk, const std::string& directory = ".") {
  CHECK_VALUE(const std::vector<std::string> names, disk.List(directory));
  std::string text;
  for (const std::string& name : names) text += name;
  return text;
}

TEST(sim_crash, unrelated_names_survive_as_any_subset_or_as_a_prefix) {
  SimDisk disk;
  for (const char* name : {"x", "y", "z"}) OpenFile(disk, name);
  CHECK_EQ(Outcomes(disk, [](SimDisk& after) { return NamesOf(after); }).size(), 8u);
  CrashPolicy ordered = CrashPolicy::Random();
  ordered.ordered_entries = true;
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeedsPerPolicy; ++seed) {
    seen.insert(NamesOf(*disk.CrashState(disk.last_op(), ordered, seed)));
  }
  CHECK(seen == (std::set<std::string>{"", "x", "xy", "xyz"}));
}

TEST(sim_crash, file_has_exactly_one_name_through_renames) {
  SimDisk disk;
  PutDurably(disk, "a", kSector, 'A');
  CHECK_OK(disk.Rename("a", "b"));
  CHECK_OK(disk.Rename("b", "c"));
  PutDurably(disk, "unrelated", 0, 0);  // its SyncDirectory settles the renames too
  CHECK_EQ(NamesOf(*disk.CrashState(disk.last_op(), CrashPolicy::Nothing(), 1)), "cunrelated");
  CHECK_OK(disk.Rename("c", "d"));
  OpenFile(disk, "c");
  CHECK_OK(disk.Rename("d", "e"));
  const std::set<std::string> seen = Outcomes(disk, [](SimDisk& after) {
    int copies = 0;
    for (const char* name : {"a", "b", "c", "d", "e"}) {
      if (Exists(after, name) && SectorValues(after, name) == "A") ++copies;
    }
    CHECK_EQ(copies, 1);
    return NamesOf(after);
  });
  CHECK(seen == (std::set<std::string>{"cunrelated", "dunrelated", "cdunrelated", "eunrelated",
                                       "ceunrelated"}));
}

TEST(sim_crash, lost_directory_takes_its_files_along) {
  SimDisk disk;
  CHECK_OK(disk.MakeDirectory("log"));
  PutDurably(disk, "log/file", kSector, 'a');  // syncs log, not the directory log lies in
  const auto look = [](SimDisk& after) {
    if (!Exists(after, "log")) return std::string("-");
    return SectorValues(after, "log/file");
  };
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"-", "a"}));
  CHECK_OK(disk.SyncDirectory("."));
  CHECK(Outcomes(disk, look) == (std::set<std::string>{"a"}));
}

TEST(sim_crash, rename_between_directories_needs_both_synced) {
  SimDisk disk;
  for (const char* name : {"from", "to"}) CHECK_OK(disk.MakeDirectory(name));
  CHECK_OK(disk.SyncDirectory("."));
  PutDurably(disk, "from/file", kSector, 'a');
  CHECK_OK(disk.Rename("from/file", "to/file"));
  const auto look = [](SimDisk& after) {
    CHECK(Exists(after, "from/file") != Exists(after, "to/file"));
    return Exists(after, "to/file");
  };
  CHECK(Outcomes(disk, look) == (std::set<bool>{false, true}));
  CHECK_OK(disk.SyncDirectory("to"));
  CHECK(Outcomes(disk, look) == (std::set<bool>{false, true}));
  CHECK_OK(disk.SyncDirectory("from"));
  CHECK(Outcomes(disk, look) == (std::set<bool>{true}));
  CHECK_OK(disk.Rename("to/file", "from/file"));
  CHECK_OK(disk.SyncDirectory("to"));  // this time the directory it leaves
  CHECK(Outcomes(disk, look) == (std::set<bool>{false, true}));
}

TEST(sim_crash, removed_file_that_is_still_open_stays_gone) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  const auto file = OpenFile(disk, "file");
  CHECK_OK(disk.Remove("file"));
  CHECK_OK(disk.SyncDirectory("."));
  Put(*file, 0, 8 * kSector, 'b');
  CHECK_OK(file->SyncData());
  CHECK(ReadRange(*file, 7 * kSector, 1) == Filled(1, 'b'));
  AfterEveryCut(disk, [](SimDisk& after) {
    CHECK_EQ(NamesOf(after), "");
    CHECK_EQ(after.used_bytes(), 0u);
  });
}

TEST(sim_crash, crash_before_any_operation_is_empty) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  CHECK_EQ(NamesOf(*disk.CrashState(0, CrashPolicy::Everything(), 1)), "");
}

}  // namespace
}  // namespace ringleader::test
