// The simulated disk as a file system: paths, files, space, locks, statistics.
#include <thread>

#include "env_sim_fixture.h"

namespace ringleader::test {
namespace {

constexpr size_t kPage = kSimPageBytes;

TEST(sim_disk, paths_and_names) {
  SimDisk disk;
  CHECK_OK(disk.MakeDirectory("a"));
  CHECK_CODE(disk.MakeDirectory("/a/"), Code::kExists);
  OpenFile(disk, "a/file");
  OpenFile(disk, "a/another");
  CHECK(Exists(disk, "/a/file"));
  CHECK(Exists(disk, "./a//file"));
  CHECK_VALUE(const std::vector<std::string> names, disk.List("a"));
  CHECK(names == (std::vector<std::string>{"another", "file"}));
  CHECK_CODE(disk.Info("a/../a").status(), Code::kInvalidArgument);
  CHECK_CODE(disk.Info("b/file").status(), Code::kNotFound);
  CHECK_CODE(disk.Info("a/file/deeper").status(), Code::kNotADirectory);
  CHECK_CODE(disk.List("a/file").status(), Code::kNotADirectory);
  CHECK_CODE(disk.List("b").status(), Code::kNotFound);
  CHECK_CODE(disk.SyncDirectory("a/file"), Code::kNotADirectory);
  CHECK_CODE(disk.SyncDirectory("b"), Code::kNotFound);
  CHECK_CODE(disk.MakeDirectory("b/c"), Code::kNotFound);
  CHECK_VALUE(const FileInfo root, disk.Info("."));
  CHECK(root.is_directory);
}

TEST(sim_disk, open_modes) {
  SimDisk disk;
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    CHECK_CODE(disk.Open("file", mode).status(), Code::kNotFound);
  }
  CHECK_CODE(disk.Open("missing/file", OpenMode::kCreate).status(), Code::kNotFound);
  CHECK_CODE(disk.Open(".", OpenMode::kRead).status(), Code::kInvalidArgument);
  Put(*OpenFile(disk, "file", OpenMode::kCreate), 0, 10, 'a');
  Put(*OpenFile(disk, "file", OpenMode::kReadWrite), 5, 10, 'b');
  CHECK_EQ(ReadAll(disk, "file").size(), 15u);
  Put(*OpenFile(disk, "file", OpenMode::kCreate), 5, 5, 'c');
  CHECK_EQ(ReadAll(disk, "file").size(), 15u);
  const auto reader = OpenFile(disk, "file", OpenMode::kRead);
  CHECK_CODE(reader->WriteAt(0, Filled(1, 0)), Code::kIo);
  CHECK_CODE(reader->Allocate(0, 1), Code::kIo);
  CHECK_CODE(reader->Truncate(0), Code::kInvalidArgument);
  CHECK_OK(reader->SyncData());
  OpenFile(disk, "file", OpenMode::kCreateEmpty);
  CHECK_EQ(ReadAll(disk, "file").size(), 0u);
}

TEST(sim_disk, reads_end_where_the_file_ends_and_holes_are_zero) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  Put(*file, 3 * kPage + 100, 50, 'x');
  CHECK(ReadRange(*file, 3 * kPage + 140, 100) == Filled(10, 'x'));
  CHECK(ReadRange(*file, 3 * kPage + 150, 100).empty());
  CHECK(ReadRange(*file, 1u << 30, 100).empty());
  CHECK(ReadRange(*file, 0, 3 * kPage + 100) == Filled(3 * kPage + 100, 0));
  CHECK_EQ(disk.used_bytes(), kPage);
  CHECK_CODE(file->WriteAt(uint64_t{1} << 60, Filled(1, 1)), Code::kIo);
}

TEST(sim_disk, cut_bytes_do_not_come_back_when_the_file_grows) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 2 * kPage, 'x');
  CHECK_OK(file->Truncate(100));
  CHECK_EQ(disk.used_bytes(), kPage);
  CHECK_OK(file->Allocate(0, 2 * kPage));
  CHECK(ReadRange(*file, 0, 100) == Filled(100, 'x'));
  CHECK(ReadRange(*file, 100, 2 * kPage) == Filled(2 * kPage - 100, 0));
  CHECK_EQ(disk.used_bytes(), 2 * kPage);
}

TEST(sim_disk, inode_goes_with_the_file_not_with_the_name) {
  SimDisk disk;
  Put(*OpenFile(disk, "a"), 0, 1, 'a');
  Put(*OpenFile(disk, "b"), 0, 1, 'b');
  CHECK_VALUE(const FileInfo a, disk.Info("a"));
  CHECK_VALUE(const FileInfo b, disk.Info("b"));
  CHECK(a.inode != b.inode);
  CHECK_EQ(a.device, b.device);
  const auto replaced = OpenFile(disk, "b");
  CHECK_OK(disk.Rename("a", "b"));
  CHECK(!Exists(disk, "a"));
  CHECK_VALUE(const FileInfo renamed, disk.Info("b"));
  CHECK_EQ(renamed.inode, a.inode);
  CHECK(ReadRange(*replaced, 0, 9) == Filled(1, 'b'));  // still open
  OpenFile(disk, "a");
  CHECK_VALUE(const FileInfo fresh, disk.Info("a"));
  CHECK(fresh.inode != a.inode && fresh.inode != b.inode);
}

TEST(sim_disk, renames_and_removals_that_are_refused) {
  SimDisk disk;
  for (const char* name : {"d", "e"}) CHECK_OK(disk.MakeDirectory(name));
  OpenFile(disk, "file");
  const uint64_t operations = disk.last_op();
  CHECK_CODE(disk.Rename("missing", "x"), Code::kNotFound);
  CHECK_CODE(disk.Rename("file", "d"), Code::kInvalidArgument);
  CHECK_CODE(disk.Rename("d", "file"), Code::kInvalidArgument);
  CHECK_CODE(disk.Rename("d", "e/d"), Code::kIo);
  CHECK_CODE(disk.Rename("file", "missing/file"), Code::kNotFound);
  CHECK_OK(disk.Rename("file", "file"));
  CHECK_CODE(disk.Remove("missing"), Code::kNotFound);
  CHECK_CODE(disk.Remove("d"), Code::kInvalidArgument);
  CHECK_EQ(disk.last_op(), operations);
  CHECK_OK(disk.Rename("d", "renamed"));
  CHECK(Exists(disk, "renamed"));
}

TEST(sim_disk, full_disk_writes_what_fits_and_recovers) {
  SimDisk disk({.capacity_bytes = 4 * kPage});
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 2 * kPage, 'a');
  const Status full = file->WriteAt(2 * kPage - 10, Filled(5 * kPage, 'b'));
  CHECK_CODE(full, Code::kNoSpace);
  CHECK_VALUE(const uint64_t size, file->Size());
  CHECK_EQ(size, 4 * kPage);  // the short write
  CHECK(ReadRange(*file, 2 * kPage - 10, 8 * kPage) == Filled(2 * kPage + 10, 'b'));
  CHECK_EQ(disk.used_bytes(), 4 * kPage);
  Put(*file, 0, 4 * kPage, 'c');  // what exists can be written over
  const auto other = OpenFile(disk, "other");
  CHECK_CODE(other->WriteAt(0, Filled(1, 'x')), Code::kNoSpace);
  CHECK_CODE(other->Allocate(0, 1), Code::kNoSpace);
  CHECK_OK(other->Truncate(kPage));  // a hole takes no space
  CHECK_OK(file->Truncate(2 * kPage));
  CHECK_CODE(other->Allocate(0, 3 * kPage), Code::kNoSpace);
  CHECK_EQ(disk.used_bytes(), 2 * kPage);  // nothing of it
  CHECK_OK(other->Allocate(0, 2 * kPage));
  CHECK_OK(disk.Remove("file"));
  CHECK_EQ(disk.used_bytes(), 4 * kPage);  // it is open
}

TEST(sim_disk, space_returns_with_the_last_close_and_with_capacity) {
  SimDisk disk({.capacity_bytes = 2 * kPage});
  auto file = OpenFile(disk, "file");
  Put(*file, 0, 2 * kPage, 'a');
  CHECK_OK(disk.Remove("file"));
  const auto other = OpenFile(disk, "other");
  CHECK_CODE(other->WriteAt(0, Filled(kPage, 'x')), Code::kNoSpace);
  file.reset();
  CHECK_EQ(disk.used_bytes(), 0u);
  Put(*other, 0, 2 * kPage, 'x');
  CHECK_CODE(other->WriteAt(2 * kPage, Filled(1, 'x')), Code::kNoSpace);
  disk.SetCapacity(3 * kPage);
  Put(*other, 2 * kPage, 1, 'x');
}

TEST(sim_disk, locks_belong_to_the_open_file) {
  SimDisk disk;
  const auto a = OpenFile(disk, "file");
  auto b = OpenFile(disk, "file");
  const auto elsewhere = OpenFile(disk, "elsewhere");
  CHECK_OK(a->TryLock(0, true));
  CHECK_CODE(b->TryLock(0, true), Code::kBusy);
  CHECK_CODE(b->TryLock(0, false), Code::kBusy);
  CHECK_OK(b->TryLock(1, true));  // another byte
  CHECK_OK(elsewhere->TryLock(0, true));
  CHECK_OK(a->TryLock(0, true));  // has it already
  CHECK_OK(a->TryLock(0, false));
  CHECK_OK(b->TryLock(0, false));  // shared by both
  CHECK_CODE(a->TryLock(0, true), Code::kBusy);
  CHECK_OK(a->Unlock(0));
  CHECK_CODE(a->TryLock(0, true), Code::kBusy);
  CHECK_OK(b->Unlock(0));
  CHECK_OK(a->TryLock(0, true));
  CHECK_OK(b->Unlock(0));  // held by the other: nothing happens
  CHECK_CODE(b->TryLock(0, false), Code::kBusy);
  CHECK_CODE(a->TryLock(1, false), Code::kBusy);
  b.reset();
  CHECK_OK(a->TryLock(1, false));
  CHECK_CODE(OpenFile(disk, "file", OpenMode::kRead)->TryLock(7, true), Code::kIo);
}

TEST(sim_disk, lock_waits_for_real_threads) {
  SimDisk disk;
  const auto a = OpenFile(disk, "file");
  const auto b = OpenFile(disk, "file");
  CHECK_OK(a->Lock(0, true));
  Put(*a, 0, 1, 1);
  std::vector<uint8_t> seen;
  Status locked;
  std::thread waiter([&] {
    locked = b->Lock(0, true);
    seen = ReadAll(disk, "file");
  });
  Put(*a, 0, 1, 2);
  CHECK_OK(a->Unlock(0));
  waiter.join();
  CHECK_OK(locked);
  CHECK(seen == Filled(1, 2));
}

TEST(sim_disk, end_of_a_process_closes_its_files) {
  SimDisk disk;
  CHECK_VALUE(const auto mine, disk.OpenAs(1, "file", OpenMode::kCreate));
  CHECK_VALUE(const auto other, disk.OpenAs(2, "file", OpenMode::kCreate));
  CHECK_OK(mine->TryLock(0, true));
  Put(*mine, 0, 1, 'a');
  CHECK_CODE(other->TryLock(0, true), Code::kBusy);
  disk.CloseProcess(1);
  CHECK_EQ(disk.open_files(), 1u);
  CHECK_CODE(mine->WriteAt(0, Filled(1, 'b')), Code::kIo);
  CHECK_OK(other->TryLock(0, true));
  CHECK(ReadRange(*other, 0, 1) == Filled(1, 'a'));  // the kernel has what was written
}

TEST(sim_disk, files_outlive_the_disk_harmlessly) {
  auto disk = std::make_unique<SimDisk>();
  const auto file = OpenFile(*disk, "file");
  disk.reset();
  CHECK_CODE(file->SyncData(), Code::kIo);
  CHECK_CODE(file->Size().status(), Code::kIo);
}

TEST(sim_disk, calls_are_counted) {
  SimDisk disk;
  const auto file = OpenFile(disk, "file");
  Put(*file, 0, 100, 'a');
  Put(*file, 100, 50, 'a');
  CHECK_EQ(ReadRange(*file, 100, 100).size(), 50u);
  CHECK_OK(file->SyncData());
  CHECK_CODE(disk.Remove("missing"), Code::kNotFound);
  const SimDiskStats stats = disk.stats();
  CHECK_EQ(stats.Calls(SimCall::kOpen), 1u);
  CHECK_EQ(stats.Calls(SimCall::kWrite), 2u);
  CHECK_EQ(stats.Calls(SimCall::kRead), 1u);
  CHECK_EQ(stats.Calls(SimCall::kSyncData), 1u);
  CHECK_EQ(stats.Calls(SimCall::kRemove), 1u);
  CHECK_EQ(stats.bytes_written, 150u);
  CHECK_EQ(stats.bytes_read, 50u);
  CHECK_EQ(stats.failed_calls, 1u);
}

}  // namespace
}  // namespace ringleader::test
