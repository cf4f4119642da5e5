// Files, directories and locks of the real world. What the disk has to be made to do (errors, short
// writes, interrupted calls) is in env_posix_faults_test.cc.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "child_process.h"
#include "env/env.h"
#include "env_posix_mount.h"
#include "harness.h"

namespace ringleader {
namespace {

using Octets = std::vector<uint8_t>;

FileSystem& Files() { return PosixEnv().files; }

std::unique_ptr<File> Create(const std::string& path) {
  CHECK_VALUE(std::unique_ptr<File> file, Files().Open(path, OpenMode::kCreate));
  return file;
}

Octets Contents(File& file) {
  CHECK_VALUE(const uint64_t size, file.Size());
  Octets bytes(size + 1);
  CHECK_VALUE(const size_t got, file.ReadAt(0, bytes));
  CHECK_EQ(got, size);
  bytes.resize(size);
  return bytes;
}

mode_t ModeOf(const std::string& path) {
  struct stat info;
  CHECK_EQ(stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

uint64_t BlocksOf(const std::string& path) {
  struct stat info;
  CHECK_EQ(stat(path.c_str(), &info), 0);
  return static_cast<uint64_t>(info.st_blocks) * 512;
}

std::string CurrentDirectory() {
  char path[4096];
  CHECK(getcwd(path, sizeof path) != nullptr);
  return path;
}

}  // namespace

TEST(env_posix_file, reads_back_what_was_written) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  CHECK_OK(file->WriteAt(3, Octets{1, 2, 3}));
  CHECK(Contents(*file) == Octets({0, 0, 0, 1, 2, 3}));
  CHECK_OK(file->WriteAt(4, Octets{9}));
  CHECK_OK(file->WriteAt(0, {}));
  CHECK(Contents(*file) == Octets({0, 0, 0, 1, 9, 3}));
  CHECK_OK(file->SyncData());
}

TEST(env_posix_file, reads_fewer_bytes_at_the_end_only) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  const Octets data(10000, 7);
  CHECK_OK(file->WriteAt(0, data));
  Octets into(10000);
  for (const size_t offset : {0u, 1u, 9999u, 10000u, 10001u, 1000000u}) {
    CHECK_VALUE(const size_t got, file->ReadAt(offset, into));
    CHECK_EQ(got, offset < data.size() ? data.size() - offset : 0);
  }
  CHECK_VALUE(const size_t nothing, file->ReadAt(0, {}));
  CHECK_EQ(nothing, 0u);

  for (const size_t size : {9999u, 10000u}) {
    CHECK_OK(ReadExactly(*file, 0, MutableBytes(into).first(size), "a"));
  }
  Octets more(10001);
  const Status status = ReadExactly(*file, 0, more, "segment x");
  CHECK_CODE(status, Code::kCorruption);
  CHECK_EQ(status.message(), "segment x: ends at byte 10000, 1 bytes early");
}

TEST(env_posix_file, offsets_the_kernel_cannot_hold_are_refused) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  constexpr uint64_t kLimit = uint64_t{1} << 63;
  Octets one(1, 1);
  for (const uint64_t offset : {kLimit, kLimit + 1, UINT64_MAX}) {
    CHECK_CODE(file->ReadAt(offset, one).status(), Code::kInvalidArgument);
    CHECK_CODE(file->WriteAt(offset, one), Code::kInvalidArgument);
    CHECK_CODE(file->Truncate(offset), Code::kInvalidArgument);
    CHECK_CODE(file->Allocate(offset, 1), Code::kInvalidArgument);
    CHECK_CODE(file->TryLock(offset, true), Code::kInvalidArgument);
  }
  CHECK_OK(file->TryLock(kLimit - 1, true));
  CHECK(!file->WriteAt(kLimit - 1, one).ok());
  CHECK(Contents(*file).empty());
}

TEST(env_posix_file, open_modes) {
  const std::string path = JoinPath(test::TempDir(), "a");
  CHECK_CODE(Files().Open(path, OpenMode::kRead).status(), Code::kNotFound);
  CHECK_CODE(Files().Open(path, OpenMode::kReadWrite).status(), Code::kNotFound);
  CHECK_OK(Create(path)->WriteAt(0, Octets{1, 2}));
  CHECK(Contents(*Create(path)) == Octets({1, 2}));
  CHECK_VALUE(const auto reader, Files().Open(path, OpenMode::kRead));
  CHECK(Contents(*reader) == Octets({1, 2}));
  CHECK(!reader->WriteAt(0, Octets{3}).ok());
  CHECK_VALUE(const auto writer, Files().Open(path, OpenMode::kReadWrite));
  CHECK_OK(writer->WriteAt(0, Octets{3}));
  CHECK(Contents(*reader) == Octets({3, 2}));
  CHECK_VALUE(const auto emptied, Files().Open(path, OpenMode::kCreateEmpty));
  CHECK(Contents(*reader).empty());
  CHECK_VALUE(const auto created, Files().Open(path + "2", OpenMode::kCreateEmpty));
  CHECK(Contents(*created).empty());
}

TEST(env_posix_file, nobody_else_may_read_what_is_created) {
  const std::string directory = JoinPath(test::TempDir(), "d");
  const mode_t before = umask(0);
  const Status made = Files().MakeDirectory(directory);
  const bool created = Files().Open(JoinPath(directory, "f"), OpenMode::kCreate).ok();
  umask(before);
  CHECK_OK(made);
  CHECK(created);
  CHECK_EQ(ModeOf(directory), 0700u);
  CHECK_EQ(ModeOf(JoinPath(directory, "f")), 0600u);
}

TEST(env_posix_file, closed_in_programs_that_are_started) {
  const std::string path = JoinPath(test::TempDir(), "a");
  const auto file = Create(path);
  int found = 0;
  for (int fd = 3; fd < 256; ++fd) {
    struct stat mine, other;
    if (fstat(fd, &other) != 0 || stat(path.c_str(), &mine) != 0) continue;
    if (mine.st_ino != other.st_ino || mine.st_dev != other.st_dev) continue;
    ++found;
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK_EQ(found, 1);
}

TEST(env_posix_file, truncate_cuts_and_extends_with_zeros) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  CHECK_OK(file->WriteAt(0, Octets{1, 2, 3}));
  CHECK_OK(file->Truncate(1));
  CHECK_OK(file->Truncate(4));
  CHECK(Contents(*file) == Octets({1, 0, 0, 0}));
}

TEST(env_posix_file, allocate_reserves_and_keeps) {
  const std::string path = JoinPath(test::TempDir(), "a");
  const auto file = Create(path);
  CHECK_OK(file->WriteAt(0, Octets{1, 2, 3}));
  CHECK_OK(file->Allocate(1, 1 << 20));
  const Octets contents = Contents(*file);
  CHECK_EQ(contents.size(), (1u << 20) + 1);
  CHECK(contents[0] == 1 && contents[1] == 2 && contents[2] == 3);
  CHECK(std::all_of(contents.begin() + 3, contents.end(), [](uint8_t byte) { return byte == 0; }));
  CHECK(BlocksOf(path) >= 1 << 20);
  CHECK_OK(file->Allocate(0, 10));
  CHECK_OK(file->Allocate(5, 0));
  CHECK_EQ(Contents(*file).size(), contents.size());
}

TEST(env_posix_file, a_full_disk_is_no_space_and_passes) {
  test::WithMount("tmpfs", "size=1m", [](const std::string& directory) {
    constexpr uint64_t kDisk = 1 << 20;
    const auto file = Create(JoinPath(directory, "a"));
    CHECK_OK(file->WriteAt(0, Octets{1, 2, 3}));
    CHECK_CODE(file->Allocate(0, kDisk + 1), Code::kNoSpace);
    CHECK_OK(file->Allocate(0, kDisk));
    CHECK(Contents(*file)[2] == 3);
    CHECK_OK(file->WriteAt(kDisk - 1, Octets{4}));

    const auto other = Create(JoinPath(directory, "b"));
    const Octets page(4096, 5);
    CHECK_CODE(other->WriteAt(0, page), Code::kNoSpace);
    CHECK_OK(file->Truncate(kDisk - page.size()));
    CHECK_OK(other->WriteAt(0, page));
    CHECK(Contents(*other) == page);
    // The part that fits is written before the rest is refused.
    CHECK_OK(other->Truncate(0));
    CHECK_CODE(other->WriteAt(0, Octets(3 * page.size(), 6)), Code::kNoSpace);
    CHECK(Contents(*other) == Octets(page.size(), 6));
  });
}

TEST(env_posix_file, allocates_where_the_file_system_cannot) {
  test::WithMount("ramfs", nullptr, [](const std::string& directory) {
    const std::string path = JoinPath(directory, "a");
    const auto file = Create(path);
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    CHECK(fallocate(fd, 0, 0, 1) != 0 && errno == EOPNOTSUPP);
    close(fd);
    // Longer than the buffer of the fallback, with contents on both of its edges, and holes.
    constexpr uint64_t kSize = 700'001;
    const Octets mark = {1, 2, 3, 4};
    const uint64_t marks[] = {0, 256 * 1024 - 2, 512 * 1024 - 2, 600'000};
    for (const uint64_t at : marks) CHECK_OK(file->WriteAt(at, mark));
    CHECK_OK(file->Allocate(1, kSize - 1));
    Octets expected(kSize, 0);
    for (const uint64_t at : marks) {
      std::copy(mark.begin(), mark.end(), expected.begin() + static_cast<ptrdiff_t>(at));
    }
    CHECK(Contents(*file) == expected);
  });
}

TEST(env_posix_file, rename_replaces) {
  const std::string directory = test::TempDir();
  const std::string from = JoinPath(directory, "from"), to = JoinPath(directory, "to");
  CHECK_OK(Create(from)->WriteAt(0, Octets{1}));
  CHECK_OK(Create(to)->WriteAt(0, Octets{2, 2}));
  CHECK_OK(Files().Rename(from, to));
  CHECK(Contents(*Create(to)) == Octets({1}));
  CHECK_CODE(Files().Info(from).status(), Code::kNotFound);
  CHECK_CODE(Files().Rename(from, to), Code::kNotFound);
  CHECK_OK(Files().MakeDirectory(from));
  CHECK_CODE(Files().Rename(to, from), Code::kInvalidArgument);
  CHECK_CODE(Files().Rename(JoinPath(to, "x"), from), Code::kNotADirectory);
}

TEST(env_posix_file, list_is_sorted) {
  const std::string directory = test::TempDir();
  CHECK_VALUE(std::vector<std::string> names, Files().List(directory));
  CHECK(names.empty());
  for (const char* name : {"b", "a", "..c", ".d", "B", "aa"}) Create(JoinPath(directory, name));
  CHECK_OK(Files().MakeDirectory(JoinPath(directory, "dir")));
  CHECK_VALUE(names, Files().List(directory));
  CHECK(names == std::vector<std::string>({"..c", ".d", "B", "a", "aa", "b", "dir"}));
  CHECK_OK(Files().Remove(JoinPath(directory, "aa")));
  CHECK_CODE(Files().Remove(JoinPath(directory, "aa")), Code::kNotFound);
  CHECK_VALUE(names, Files().List(directory));
  CHECK_EQ(names.size(), 6u);
}

TEST(env_posix_file, directory_errors) {
  const std::string directory = test::TempDir();
  const std::string file = JoinPath(directory, "file"), missing = JoinPath(directory, "missing");
  Create(file);
  CHECK_OK(Files().SyncDirectory(directory));
  CHECK_CODE(Files().SyncDirectory(file), Code::kNotADirectory);
  CHECK_CODE(Files().SyncDirectory(missing), Code::kNotFound);
  CHECK_CODE(Files().List(file).status(), Code::kNotADirectory);
  CHECK_CODE(Files().List(missing).status(), Code::kNotFound);
  CHECK_CODE(Files().MakeDirectory(directory), Code::kExists);
  CHECK_CODE(Files().MakeDirectory(file), Code::kExists);
  CHECK_CODE(Files().MakeDirectory(JoinPath(missing, "x")), Code::kNotFound);
  CHECK_CODE(Files().MakeDirectory(JoinPath(file, "x")), Code::kNotADirectory);
  CHECK_CODE(Files().Open(JoinPath(file, "x"), OpenMode::kCreate).status(), Code::kNotADirectory);
  CHECK_CODE(Files().Open(directory, OpenMode::kRead).status(), Code::kInvalidArgument);
  CHECK_CODE(Files().Open(directory, OpenMode::kCreate).status(), Code::kInvalidArgument);
  CHECK_CODE(Files().Remove(directory), Code::kInvalidArgument);
}

TEST(env_posix_file, info) {
  const std::string directory = test::TempDir(), path = JoinPath(directory, "a");
  CHECK_OK(Create(path)->WriteAt(0, Octets(5, 1)));
  CHECK_VALUE(const FileInfo file, Files().Info(path));
  CHECK_VALUE(const FileInfo parent, Files().Info(directory));
  struct stat info;
  CHECK_EQ(stat(path.c_str(), &info), 0);
  CHECK_EQ(file.size, 5u);
  CHECK_EQ(file.inode, info.st_ino);
  CHECK_EQ(file.device, info.st_dev);
  CHECK(!file.is_directory && parent.is_directory);
  CHECK_CODE(Files().Info(path + "x").status(), Code::kNotFound);
}

TEST(env_posix_file, names_at_the_limit) {
  const std::string directory = test::TempDir();
  for (const size_t length : {254u, 255u, 256u}) {
    const std::string path = JoinPath(directory, std::string(length, 'n'));
    const Code expected = length <= 255 ? Code::kOk : Code::kInvalidArgument;
    CHECK_CODE(Files().Open(path, OpenMode::kCreate).status(), expected);
    CHECK_CODE(Files().Rename(path, path), expected);
    CHECK_CODE(Files().Remove(path), expected);
    CHECK_CODE(Files().MakeDirectory(path), expected);
    CHECK_CODE(Files().List(path).status(), expected);
    CHECK_CODE(Files().SyncDirectory(path), expected);
  }
}

TEST(env_posix_file, a_nul_does_not_cut_a_path_short) {
  const std::string directory = test::TempDir();
  Create(JoinPath(directory, "a"));
  const std::string path = JoinPath(directory, std::string("a\0b", 3));
  CHECK_CODE(Files().Open(path, OpenMode::kRead).status(), Code::kInvalidArgument);
  CHECK_CODE(Files().Remove(path), Code::kInvalidArgument);
  CHECK_CODE(Files().Rename(path, directory + "/b"), Code::kInvalidArgument);
  CHECK_CODE(Files().Rename(directory + "/a", path), Code::kInvalidArgument);
  CHECK_CODE(Files().Info(path).status(), Code::kInvalidArgument);
  const std::string below = directory + std::string("\0x", 2);
  CHECK_CODE(Files().List(below).status(), Code::kInvalidArgument);
  CHECK_CODE(Files().MakeDirectory(path), Code::kInvalidArgument);
  CHECK_CODE(Files().SyncDirectory(below), Code::kInvalidArgument);
  CHECK_OK(Files().Remove(JoinPath(directory, "a")));
}

TEST(env_posix_file, permission_is_refused) {
  const std::string directory = test::TempDir();
  const std::string path = JoinPath(directory, "a");
  Create(path);
  test::Child child([&] {
    CHECK_EQ(chmod(directory.c_str(), 0500), 0);
    if (geteuid() == 0) {
      CHECK_EQ(chown(directory.c_str(), 65534, 65534), 0);
      CHECK_EQ(seteuid(65534), 0);
    }
    CHECK_CODE(Files().Open(path + "2", OpenMode::kCreate).status(), Code::kPermission);
    CHECK_CODE(Files().Remove(path), Code::kPermission);
    CHECK_CODE(Files().MakeDirectory(path + "3"), Code::kPermission);
    if (seteuid(getuid()) == 0) CHECK_EQ(chmod(directory.c_str(), 0700), 0);
  });
  child.Join();
}

TEST(env_posix_file, paths_are_joined_and_taken_apart) {
  CHECK_EQ(JoinPath("a/b", "c"), "a/b/c");
  CHECK_EQ(JoinPath("a/b/", "c"), "a/b/c");
  CHECK_EQ(JoinPath("/", "c"), "/c");
  CHECK_EQ(JoinPath("", "c"), "c");
  CHECK_EQ(ParentPath("a/b/c"), "a/b");
  CHECK_EQ(ParentPath("a/b/c//"), "a/b");
  CHECK_EQ(ParentPath("a//b"), "a");
  CHECK_EQ(ParentPath("c"), ".");
  CHECK_EQ(ParentPath("c/"), ".");
  CHECK_EQ(ParentPath("/c"), "/");
  CHECK_EQ(ParentPath("//c"), "/");
  CHECK_EQ(ParentPath("/"), "/");
  CHECK_EQ(ParentPath(""), ".");
}

TEST(env_posix_file, relative_paths_start_at_the_working_directory) {
  const std::string directory = test::TempDir(), before = CurrentDirectory();
  CHECK_EQ(chdir(directory.c_str()), 0);
  const bool created = Files().Open("here", OpenMode::kCreate).ok();
  const Status synced = Files().SyncDirectory(ParentPath("here"));
  CHECK_EQ(chdir(before.c_str()), 0);
  CHECK(created);
  CHECK_OK(synced);
  CHECK_OK(Files().Remove(JoinPath(directory, "here")));
}

}  // namespace ringleader
