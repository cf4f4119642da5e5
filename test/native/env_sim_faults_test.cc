// Fault rules: which calls they hit, what they do, and what a power cut leaves after them.
#include <chrono>
#include <set>
#include <thread>

#include "env_sim_fixture.h"

namespace ringleader::test {
namespace {

constexpr size_t kSector = kSimSectorBytes;

uint8_t FirstByte(FileSystem& files, const std::string& path, uint64_t offset = 0) {
  return ReadRange(*OpenFile(files, path, OpenMode::kRead), offset, 1).at(0);
}

// What one byte of a file may be after a power cut.
std::string AfterCuts(SimDisk& disk, const std::string& path, uint64_t offset = 0) {
  std::set<char> seen;
  AfterEveryCut(disk, [&](SimDisk& after) {
    seen.insert(static_cast<char>(FirstByte(after, path, offset)));
  });
  return std::string(seen.begin(), seen.end());
}

// --- which calls are hit -------------------------------------------------------------------------

TEST(sim_faults, skip_and_count) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  const uint64_t fault = disk.AddFault({.calls = Calls({SimCall::kWrite}), .skip = 2, .count = 2});
  std::string outcomes;
  for (int i = 0; i < 6; ++i) outcomes += file->WriteAt(0, Filled(1, 'a')).ok() ? '.' : 'X';
  CHECK_EQ(outcomes, "..XX..");
  CHECK_EQ(disk.FaultHits(fault), 2u);
  CHECK(disk.RemoveFault(fault));
  CHECK(!disk.RemoveFault(fault));
  CHECK_EQ(disk.FaultHits(fault), 2u);
}

TEST(sim_faults, path_calls_and_range) {
  SimDisk disk;
  const auto log = OpenFile(disk, "0000.seg");
  const auto other = OpenFile(disk, "control");
  disk.AddFault({.calls = Calls({SimCall::kWrite, SimCall::kRead}),
                 .path = ".seg",
                 .first_byte = 100,
                 .end_byte = 200});
  const std::vector<uint8_t> bytes = Filled(50, 'a');
  CHECK_OK(log->WriteAt(50, bytes));
  CHECK_CODE(log->WriteAt(51, bytes), Code::kIo);
  CHECK_CODE(log->WriteAt(199, bytes), Code::kIo);
  CHECK_OK(log->WriteAt(200, bytes));
  CHECK_OK(log->SyncData());
  CHECK_OK(other->WriteAt(100, bytes));
  std::vector<uint8_t> into(10);
  CHECK_CODE(log->ReadAt(150, into).status(), Code::kIo);
  disk.RemoveAllFaults();
  CHECK_OK(log->WriteAt(150, bytes));
}

TEST(sim_faults, rename_matches_by_either_path) {
  SimDisk disk;
  OpenFile(disk, "a");
  const uint64_t fault =
      disk.AddFault({.calls = Calls({SimCall::kRename}), .path = "target", .sys_errno = ENOSPC});
  CHECK_OK(disk.Rename("a", "b"));
  CHECK_CODE(disk.Rename("b", "target"), Code::kNoSpace);
  CHECK(Exists(disk, "b"));
  CHECK_EQ(disk.FaultHits(fault), 1u);
}

TEST(sim_faults, probability_follows_the_seed) {
  const auto run = [](uint64_t seed) {
    SimDisk disk({.seed = seed});
    const auto file = OpenFile(disk, "file");
    disk.AddFault({.calls = Calls({SimCall::kWrite}), .probability = 0.3});
    std::string outcomes;
    for (int i = 0; i < 200; ++i) outcomes += file->WriteAt(0, Filled(1, 'a')).ok() ? '.' : 'X';
    return outcomes;
  };
  CHECK_EQ(run(1), run(1));
  CHECK(run(1) != run(2));
  const std::string outcomes = run(3);
  const auto hits = std::count(outcomes.begin(), outcomes.end(), 'X');
  CHECK(hits > 30 && hits < 90);
}

TEST(sim_faults, every_call_can_fail_without_effect) {
  SimDisk disk;
  PutDurably(disk, "file", 10, 'a');
  const auto file = OpenFile(disk, "file");
  const std::string before = Dump(disk);
  disk.AddFault({.sys_errno = EROFS});
  std::vector<uint8_t> into(10);
  CHECK_CODE(disk.Open("new", OpenMode::kCreate).status(), Code::kPermission);
  CHECK_CODE(file->ReadAt(0, into).status(), Code::kPermission);
  CHECK_CODE(file->WriteAt(0, into), Code::kPermission);
  CHECK_CODE(file->Allocate(0, 100), Code::kPermission);
  CHECK_CODE(file->Truncate(1), Code::kPermission);
  CHECK_CODE(file->Size().status(), Code::kPermission);
  CHECK_CODE(file->TryLock(0, true), Code::kPermission);
  CHECK_CODE(file->Unlock(0), Code::kPermission);
  CHECK_CODE(disk.Rename("file", "other"), Code::kPermission);
  CHECK_CODE(disk.Remove("file"), Code::kPermission);
  CHECK_CODE(disk.List(".").status(), Code::kPermission);
  CHECK_CODE(disk.MakeDirectory("d"), Code::kPermission);
  CHECK_CODE(disk.Info("file").status(), Code::kPermission);
  disk.RemoveAllFaults();
  CHECK_EQ(Dump(disk), before);
  disk.AddFault({.calls = kChangingCalls, .sys_errno = EROFS});
  CHECK(FirstByte(disk, "file") == 'a');
  CHECK_CODE(disk.Remove("file"), Code::kPermission);
}

TEST(sim_faults, short_write_then_error) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  disk.AddFault({.calls = Calls({SimCall::kWrite}), .written = 700});
  CHECK_CODE(file->WriteAt(0, Filled(1000, 'a')), Code::kIo);
  CHECK(ReadAll(disk, "file") == Filled(700, 'a'));
}

// --- flushes -------------------------------------------------------------------------------------

TEST(sim_faults, flush_that_succeeds_after_one_that_failed_proves_nothing) {
  SimDisk disk;
  PutDurably(disk, "file", 8 * kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 4 * kSector, 'b');
  const uint64_t fault = disk.AddFault({.calls = Calls({SimCall::kSyncData}), .count = 1});
  CHECK_CODE(file->SyncData(), Code::kIo);
  CHECK_EQ(disk.FaultHits(fault), 1u);
  Put(*file, 4 * kSector, kSector, 'c');
  CHECK_OK(file->SyncData());
  CHECK(FirstByte(disk, "file") == 'b');  // the page cache still has it
  CHECK_EQ(AfterCuts(disk, "file"), "ab");
  CHECK_EQ(AfterCuts(disk, "file", 4 * kSector), "c");
  // Only writing it again helps; a sector goes as a whole.
  Put(*file, 0, kSector, 'b');
  Put(*file, kSector + 100, 1, 'd');
  CHECK_OK(file->SyncData());
  CHECK_EQ(AfterCuts(disk, "file"), "b");
  CHECK_EQ(AfterCuts(disk, "file", kSector), "b");
  CHECK_EQ(AfterCuts(disk, "file", kSector + 100), "d");
  CHECK_EQ(AfterCuts(disk, "file", 2 * kSector), "ab");
}

TEST(sim_faults, size_of_a_failed_flush_can_become_durable_over_lost_bytes) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, kSector, kSector, 'b');
  const uint64_t fault = disk.AddFault({.calls = Calls({SimCall::kSyncData})});
  CHECK_CODE(file->SyncData(), Code::kIo);
  CHECK(disk.RemoveFault(fault));
  CHECK_OK(file->SyncData());
  AfterEveryCut(disk, [](SimDisk& after) {
    CHECK_VALUE(const FileInfo info, after.Info("file"));
    CHECK_EQ(info.size, 2 * kSector);
  });
  CHECK_EQ(AfterCuts(disk, "file", kSector), std::string("\0b", 2));
}

TEST(sim_faults, cut_off_bytes_of_a_failed_flush_do_not_return) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 4 * kSector, 'b');
  const uint64_t fault = disk.AddFault({.calls = Calls({SimCall::kSyncData})});
  CHECK_CODE(file->SyncData(), Code::kIo);
  CHECK(disk.RemoveFault(fault));
  CHECK_OK(file->Truncate(100));
  CHECK_OK(file->Truncate(4 * kSector));
  CHECK_OK(file->SyncData());
  CHECK_EQ(AfterCuts(disk, "file"), "ab");
  CHECK_EQ(AfterCuts(disk, "file", 100), std::string(1, '\0'));
  CHECK_EQ(AfterCuts(disk, "file", 2 * kSector), std::string(1, '\0'));
}

TEST(sim_faults, flush_that_finds_no_space_is_a_device_error) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  disk.AddFault(
      {.calls = Calls({SimCall::kSyncData, SimCall::kSyncDirectory}), .sys_errno = ENOSPC});
  CHECK_CODE(file->SyncData(), Code::kIo);
  CHECK_CODE(disk.SyncDirectory("."), Code::kIo);
}

TEST(sim_faults, names_of_a_failed_directory_flush_stay_uncertain) {
  SimDisk disk;
  OpenFile(disk, "early");
  const uint64_t fault = disk.AddFault({.calls = Calls({SimCall::kSyncDirectory})});
  CHECK_CODE(disk.SyncDirectory("."), Code::kIo);
  CHECK(disk.RemoveFault(fault));
  OpenFile(disk, "late");
  CHECK_OK(disk.SyncDirectory("."));
  const auto has = [](const char* name) {
    return [name](SimDisk& after) { return Exists(after, name); };
  };
  const auto lacks = [](const char* name) {
    return [name](SimDisk& after) { return !Exists(after, name); };
  };
  CHECK(AfterSomeCut(disk, has("early")));
  CHECK(AfterSomeCut(disk, lacks("early")));
  CHECK(!AfterSomeCut(disk, lacks("late")));
  // A later operation on the name that survives proves the earlier one.
  CHECK_OK(disk.Rename("early", "renamed"));
  CHECK_OK(disk.SyncDirectory("."));
  CHECK(!AfterSomeCut(disk, lacks("renamed")));
}

TEST(sim_faults, lying_flush_has_no_effect) {
  SimDisk disk;
  PutDurably(disk, "file", kSector, 'a');
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, kSector, 'b');
  OpenFile(disk, "name");
  const uint64_t fault = disk.AddFault(
      {.calls = Calls({SimCall::kSyncData, SimCall::kSyncDirectory}), .action = FaultAction::kLie});
  CHECK_OK(file->SyncData());
  CHECK_OK(disk.SyncDirectory("."));
  CHECK_EQ(AfterCuts(disk, "file"), "ab");
  CHECK(AfterSomeCut(disk, [](SimDisk& after) { return !Exists(after, "name"); }));
  CHECK(disk.RemoveFault(fault));
  CHECK_OK(file->SyncData());
  CHECK_OK(disk.SyncDirectory("."));
  CHECK_EQ(AfterCuts(disk, "file"), "b");
  CHECK(!AfterSomeCut(disk, [](SimDisk& after) { return !Exists(after, "name"); }));
}

// --- bytes that go astray ------------------------------------------------------------------------

TEST(sim_faults, lost_write_is_seen_until_the_power_cut) {
  SimDisk disk;
  PutDurably(disk, "file", 2 * kSector, 'a');
  const auto file = OpenFile(disk, "file");
  disk.AddFault({.calls = Calls({SimCall::kWrite}), .count = 1, .action = FaultAction::kLoseWrite});
  Put(*file, 0, 2 * kSector, 'b');
  CHECK_OK(file->SyncData());
  CHECK(FirstByte(disk, "file") == 'b');
  CHECK_EQ(AfterCuts(disk, "file"), "a");
  Put(*file, 0, 1, 'c');
  CHECK_OK(file->SyncData());
  CHECK_EQ(AfterCuts(disk, "file", 1), "b");  // the sector went as a whole
  CHECK_EQ(AfterCuts(disk, "file", kSector), "a");
}

TEST(sim_faults, misdirected_write_lands_elsewhere) {
  SimDisk disk;
  PutDurably(disk, "file", 4 * kSector, 'a');
  const auto file = OpenFile(disk, "file");
  disk.AddFault({.calls = Calls({SimCall::kWrite}),
                 .count = 1,
                 .action = FaultAction::kMisdirectWrite,
                 .shift = 2 * kSector});
  Put(*file, kSector, 2 * kSector, 'b');
  CHECK_OK(file->SyncData());
  CHECK_EQ(AfterCuts(disk, "file", kSector), "a");
  CHECK_EQ(AfterCuts(disk, "file", 2 * kSector), "a");
  CHECK_EQ(AfterCuts(disk, "file", 3 * kSector), "b");
  CHECK_EQ(ReadAll(disk, "file").size(), 4 * kSector);  // the rest fell behind the file's end
}

TEST(sim_faults, bit_flips_on_read_and_bit_rot) {
  SimDisk disk;
  PutDurably(disk, "file", 100, 'a');
  const auto file = OpenFile(disk, "file");
  disk.AddFault({.calls = Calls({SimCall::kRead}),
                 .first_byte = 40,
                 .end_byte = 41,
                 .count = 1,
                 .action = FaultAction::kFlipBit});
  CHECK(ReadRange(*file, 0, 40) == Filled(40, 'a'));
  std::vector<uint8_t> expected = Filled(50, 'a');
  expected[10] ^= 1;
  CHECK(ReadRange(*file, 30, 50) == expected);
  CHECK(ReadRange(*file, 30, 50) == Filled(50, 'a'));
  disk.FlipBits("file", 7, 0x80);
  CHECK(FirstByte(disk, "file", 7) == ('a' ^ 0x80));
  disk.Crash(CrashPolicy::Nothing(), 1);
  CHECK(FirstByte(disk, "file", 7) == ('a' ^ 0x80));
  CHECK(FirstByte(disk, "file", 8) == 'a');
}

// --- calls that stand still ----------------------------------------------------------------------

TEST(sim_faults, hung_call_goes_on_when_released) {
  SimDisk disk;
  PutDurably(disk, "file", 1, 'a');
  const auto file = OpenFile(disk, "file");
  const uint64_t fault =
      disk.AddFault({.calls = Calls({SimCall::kWrite}), .action = FaultAction::kHang});
  Status written;
  std::thread writer([&] { written = file->WriteAt(0, Filled(1, 'b')); });
  while (disk.HungCalls() == 0) std::this_thread::yield();
  CHECK(FirstByte(disk, "file") == 'a');  // no effect yet, and other calls go on
  std::this_thread::sleep_for(std::chrono::milliseconds(10));  // until the writer sleeps again
  CHECK(disk.RemoveFault(fault));
  writer.join();
  CHECK_OK(written);
  CHECK(FirstByte(disk, "file") == 'b');
  CHECK_EQ(disk.HungCalls(), 0u);
}

TEST(sim_faults, power_cut_ends_hung_calls) {
  SimDisk disk;
  PutDurably(disk, "file", 1, 'a');
  const auto file = OpenFile(disk, "file");
  disk.AddFault({.action = FaultAction::kHang});
  Status written, synced;
  std::thread writer([&] { written = file->WriteAt(0, Filled(1, 'b')); });
  std::thread syncer([&] { synced = disk.SyncDirectory("."); });
  while (disk.HungCalls() < 2) std::this_thread::yield();
  disk.Crash(CrashPolicy::Everything(), 1);
  writer.join();
  syncer.join();
  CHECK_CODE(written, Code::kIo);
  CHECK_CODE(synced, Code::kIo);
  disk.RemoveAllFaults();
  CHECK(FirstByte(disk, "file") == 'a');
}

TEST(sim_faults, hang_without_threads_asks_the_hook) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  const uint64_t fault =
      disk.AddFault({.calls = Calls({SimCall::kSyncData}), .action = FaultAction::kHang});
  std::vector<std::string> asked;
  SimDiskHooks hooks;
  hooks.wait_until = [&](const std::string& what, const std::function<bool()>& ready,
                         bool killable) {
    CHECK(!killable && !ready());
    asked.push_back(what);
    CHECK(disk.RemoveFault(fault));
    CHECK(ready());
  };
  disk.SetHooks(hooks);
  CHECK_OK(file->SyncData());
  CHECK(asked == std::vector<std::string>{"the hung disk at file"});
}

TEST(sim_faults, delays_add_up_and_the_outcome_stands) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  uint64_t spent = 0;
  SimDiskHooks hooks;
  hooks.delay = [&](uint64_t nanos) { spent += nanos; };
  disk.SetHooks(hooks);
  const uint32_t sync = Calls({SimCall::kSyncData});
  disk.AddFault({.calls = sync, .action = FaultAction::kDelay, .nanos = 100});
  disk.AddFault({.calls = sync, .count = 1, .sys_errno = ENODEV});
  disk.AddFault({.calls = sync, .action = FaultAction::kDelay, .nanos = 20});
  disk.AddFault({.calls = sync, .action = FaultAction::kLie});
  CHECK_EQ(file->SyncData().sys_errno(), ENODEV);
  CHECK_EQ(spent, 120u);
  CHECK_OK(file->SyncData());
  CHECK_EQ(spent, 240u);
  disk.SetHooks({});
}

}  // namespace
}  // namespace ringleader::test
