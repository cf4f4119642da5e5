// What the disk cannot be talked into here: errors, short counts, interrupted calls.
//
// The test program defines the system calls of the file implementation itself. They pass on to the
// kernel unless a fault is set, and then they do what the fault says; so the tests also see which
// calls are made, on which file, and how often.
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "env/env.h"
#include "harness.h"
#include "slow_sync.h"

namespace ringleader {
namespace {

// What the next calls of one kind do. Single-threaded, like the tests of this file.
struct Fault {
  int failures = 0;              // so many calls fail
  int sys_errno = 0;             // with this
  size_t most_bytes = 0;         // counts are cut to this (0: they are not)
  bool zero = false;             // the count is 0
  size_t largest_fallocate = 0;  // larger requests fail (0: none does)
  bool watched = false;          // calls are counted, on this file
  int calls = 0;
  ino_t inode = 0;

  // True when the call is to fail; errno is set.
  bool Hit(int fd) {
    if (!watched) return false;
    ++calls;
    struct stat info;
    if (fstat(fd, &info) == 0) inode = info.st_ino;
    if (failures == 0) return false;
    --failures;
    errno = sys_errno;
    return true;
  }
};

struct Faults {
  Fault read, write, data_sync, sync, allocate, random;
};
Faults g_faults;

[[maybe_unused]] const bool kHearsOfDataSync = [] {
  test::g_data_sync_fails = [](int fd) { return g_faults.data_sync.Hit(fd); };
  return true;
}();

// Sets faults for a test, and takes them back however it ends.
class Inject {
 public:
  explicit Inject(Fault Faults::*kind, Fault fault) : kind_(kind) {
    g_faults.*kind = fault;
    (g_faults.*kind).watched = true;
  }
  Inject(const Inject&) = delete;
  Inject& operator=(const Inject&) = delete;
  ~Inject() { g_faults.*kind_ = Fault(); }

  int calls() const { return (g_faults.*kind_).calls; }
  ino_t inode() const { return (g_faults.*kind_).inode; }

 private:
  Fault Faults::*const kind_;
};

size_t Cut(const Fault& fault, size_t size) {
  if (fault.zero) return 0;
  return fault.most_bytes == 0 ? size : std::min(size, fault.most_bytes);
}

}  // namespace
}  // namespace ringleader

using ringleader::Cut;
using ringleader::g_faults;

extern "C" {

ssize_t pread(int fd, void* into, size_t size, off_t offset) {
  if (g_faults.read.Hit(fd)) return -1;
  return syscall(SYS_pread64, fd, into, Cut(g_faults.read, size), offset);
}

ssize_t pwrite(int fd, const void* from, size_t size, off_t offset) {
  if (g_faults.write.Hit(fd)) return -1;
  return syscall(SYS_pwrite64, fd, from, Cut(g_faults.write, size), offset);
}

int fsync(int fd) {
  if (g_faults.sync.Hit(fd)) return -1;
  return static_cast<int>(syscall(SYS_fsync, fd));
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  if (g_faults.allocate.Hit(fd)) return -1;
  const size_t largest = g_faults.allocate.largest_fallocate;
  if (largest != 0 && static_cast<size_t>(size) > largest) {
    errno = EINTR;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fallocate, fd, mode, offset, size));
}

ssize_t getrandom(void* into, size_t size, unsigned int flags) {
  if (g_faults.random.Hit(-1)) return -1;
  return syscall(SYS_getrandom, into, Cut(g_faults.random, size), flags);
}

}  // extern "C"

namespace ringleader {
namespace {

using Octets = std::vector<uint8_t>;

FileSystem& Files() { return PosixEnv().files; }

std::unique_ptr<File> Create(const std::string& path) {
  CHECK_VALUE(std::unique_ptr<File> file, Files().Open(path, OpenMode::kCreate));
  return file;
}

Octets Pattern(size_t size) {
  Octets bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 31 + i / 256);
  return bytes;
}

Octets Contents(File& file, size_t size) {
  Octets bytes(size);
  CHECK_OK(ReadExactly(file, 0, bytes, "contents"));
  return bytes;
}

}  // namespace

TEST(env_posix_faults, short_writes_are_continued) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  const Octets data = Pattern(1000);
  {
    const Inject inject(&Faults::write, {.most_bytes = 7});
    CHECK_OK(file->WriteAt(11, data));
    CHECK_EQ(inject.calls(), 143);  // 142 * 7 + 6
  }
  const Octets contents = Contents(*file, 1011);
  CHECK(std::equal(data.begin(), data.end(), contents.begin() + 11));
}

TEST(env_posix_faults, short_reads_are_continued) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  const Octets data = Pattern(1000);
  CHECK_OK(file->WriteAt(0, data));
  const Inject inject(&Faults::read, {.most_bytes = 7});
  CHECK(Contents(*file, 1000) == data);
  Octets more(1001);
  CHECK_VALUE(const size_t got, file->ReadAt(0, more));
  CHECK_EQ(got, 1000u);
}

TEST(env_posix_faults, interrupted_calls_are_made_again) {
  const std::string directory = test::TempDir();
  const auto file = Create(JoinPath(directory, "a"));
  const Octets data = Pattern(100);
  const Fault interrupted = {.failures = 3, .sys_errno = EINTR};
  const Inject write(&Faults::write, interrupted), read(&Faults::read, interrupted);
  const Inject data_sync(&Faults::data_sync, interrupted), sync(&Faults::sync, interrupted);
  CHECK_OK(file->WriteAt(0, data));
  CHECK(Contents(*file, 100) == data);
  CHECK_OK(file->SyncData());
  CHECK_OK(Files().SyncDirectory(directory));
  CHECK_EQ(write.calls(), 4);
  CHECK_EQ(read.calls(), 4);
  CHECK_EQ(data_sync.calls(), 4);
  CHECK_EQ(sync.calls(), 4);
}

TEST(env_posix_faults, a_write_that_gets_nowhere_is_an_error) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  const Inject inject(&Faults::write, {.zero = true});
  CHECK_CODE(file->WriteAt(0, Pattern(10)), Code::kIo);
  CHECK_EQ(inject.calls(), 1);
}

TEST(env_posix_faults, errors_arrive_with_code_and_errno) {
  const std::string path = JoinPath(test::TempDir(), "a");
  const auto file = Create(path);
  CHECK_OK(file->WriteAt(0, Pattern(10)));
  const struct {
    int sys_errno;
    Code code;
  } cases[] = {{EIO, Code::kIo}, {ENOSPC, Code::kNoSpace}, {EDQUOT, Code::kNoSpace}};
  for (const auto& [sys_errno, code] : cases) {
    const Fault fault = {.failures = 1, .sys_errno = sys_errno};
    const Inject write(&Faults::write, fault), allocate(&Faults::allocate, fault);
    const Status written = file->WriteAt(0, Pattern(10));
    CHECK_CODE(written, code);
    CHECK_EQ(written.sys_errno(), sys_errno);
    CHECK(written.message().find(path) != std::string::npos);
    CHECK_CODE(file->Allocate(0, 10), code);
  }
  const Inject read(&Faults::read, {.failures = 1, .sys_errno = EIO});
  Octets into(10);
  CHECK_CODE(file->ReadAt(0, into).status(), Code::kIo);
}

// A second fdatasync may succeed over pages that the first one has lost.
TEST(env_posix_faults, a_failed_flush_is_not_tried_again) {
  const std::string directory = test::TempDir();
  const auto file = Create(JoinPath(directory, "a"));
  for (const int sys_errno : {EIO, ENOSPC, EDQUOT, ENOMEM}) {
    const Fault fault = {.failures = 1, .sys_errno = sys_errno};
    const Inject data_sync(&Faults::data_sync, fault), sync(&Faults::sync, fault);
    const Status data = file->SyncData(), entries = Files().SyncDirectory(directory);
    // Never kNoSpace, which says that trying again later is sound.
    CHECK_CODE(data, Code::kIo);
    CHECK_CODE(entries, Code::kIo);
    CHECK_EQ(data.sys_errno(), sys_errno);
    CHECK_EQ(entries.sys_errno(), sys_errno);
    CHECK_EQ(data_sync.calls(), 1);
    CHECK_EQ(sync.calls(), 1);
  }
}

TEST(env_posix_faults, flushes_reach_the_file_and_the_directory_that_are_meant) {
  const std::string directory = test::TempDir(), path = JoinPath(directory, "a");
  const auto file = Create(path);
  const auto other = Create(path + "2");
  const Inject data_sync(&Faults::data_sync, {}), sync(&Faults::sync, {});
  CHECK_OK(file->SyncData());
  CHECK_OK(Files().SyncDirectory(directory));
  CHECK_VALUE(const FileInfo file_info, Files().Info(path));
  CHECK_VALUE(const FileInfo directory_info, Files().Info(directory));
  CHECK_EQ(data_sync.calls(), 1);
  CHECK_EQ(data_sync.inode(), file_info.inode);
  CHECK_EQ(sync.calls(), 1);
  CHECK_EQ(sync.inode(), directory_info.inode);
}

TEST(env_posix_faults, an_interrupted_allocation_goes_on_in_smaller_pieces) {
  const std::string path = JoinPath(test::TempDir(), "a");
  const auto file = Create(path);
  CHECK_OK(file->WriteAt(0, Pattern(100)));
  {
    // As a tmpfs under a fast timer: what takes too long never succeeds.
    const Inject inject(&Faults::allocate, {.largest_fallocate = 100'000});
    CHECK_OK(file->Allocate(0, 1'000'001));
    CHECK(inject.calls() <= 20);
  }
  CHECK_VALUE(const uint64_t size, file->Size());
  CHECK_EQ(size, 1'000'001u);
  CHECK(Contents(*file, 100) == Pattern(100));
  struct stat info;
  CHECK_EQ(stat(path.c_str(), &info), 0);
  CHECK(info.st_blocks * 512 >= 1'000'001);
}

TEST(env_posix_faults, allocation_without_fallocate_writes_and_keeps) {
  for (const int sys_errno : {EOPNOTSUPP, ENOSYS}) {
    const std::string path = JoinPath(test::TempDir(), "a");
    const auto file = Create(path);
    CHECK_OK(file->WriteAt(300'000, Pattern(1000)));
    {
      const Inject inject(&Faults::allocate, {.failures = 1, .sys_errno = sys_errno});
      CHECK_OK(file->Allocate(5, 700'000));
      CHECK_EQ(inject.calls(), 1);
    }
    Octets expected(700'005, 0);
    const Octets data = Pattern(1000);
    std::copy(data.begin(), data.end(), expected.begin() + 300'000);
    CHECK(Contents(*file, expected.size()) == expected);
    CHECK_VALUE(const uint64_t size, file->Size());
    CHECK_EQ(size, expected.size());
    CHECK_OK(file->SyncData());
    struct stat info;
    CHECK_EQ(stat(path.c_str(), &info), 0);
    CHECK(info.st_blocks * 512 >= 700'000);
  }
}

TEST(env_posix_faults, an_allocation_that_fails_while_writing_says_so) {
  const auto file = Create(JoinPath(test::TempDir(), "a"));
  const Inject allocate(&Faults::allocate, {.failures = 1, .sys_errno = EOPNOTSUPP});
  const Inject write(&Faults::write, {.failures = 1, .sys_errno = ENOSPC});
  CHECK_CODE(file->Allocate(0, 10), Code::kNoSpace);
}

TEST(env_posix_faults, random_bits_come_in_pieces) {
  Octets bytes(1000, 0), touched(1000, 0);
  const Inject inject(&Faults::random, {.failures = 3, .sys_errno = EINTR, .most_bytes = 256});
  for (int i = 0; i < 16; ++i) {
    PosixEnv().random.Fill(bytes);
    for (size_t k = 0; k < bytes.size(); ++k) touched[k] |= bytes[k];
  }
  CHECK(std::all_of(touched.begin(), touched.end(), [](uint8_t byte) { return byte != 0; }));
  CHECK_EQ(inject.calls(), 3 + 16 * 4);
}

}  // namespace ringleader
