#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "child_process.h"
#include "env/env.h"
#include "env_posix_mount.h"
#include "harness.h"

namespace ringleader {
namespace {

SharedMemory& Memory() { return PosixEnv().memory; }

// A name that no other test run has, removed at the end of the test.
class Name {
 public:
  Name() : text_("ringleader-test-" + std::to_string(PosixEnv().random.Next64())) {}
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  ~Name() { (void)Memory().Remove(text_); }

  operator const std::string&() const { return text_; }

 private:
  const std::string text_;
};

std::unique_ptr<SharedMapping> Create(const std::string& name, size_t size) {
  CHECK_VALUE(std::unique_ptr<SharedMapping> mapping, Memory().Create(name, size));
  CHECK_EQ(mapping->size(), size);
  return mapping;
}

}  // namespace

TEST(env_posix_memory, two_mappings_are_one_memory) {
  const Name name;
  CHECK_CODE(Memory().Open(name).status(), Code::kNotFound);
  const auto created = Create(name, 100'000);
  CHECK(std::all_of(created->data(), created->data() + 100'000, [](uint8_t b) { return b == 0; }));
  created->data()[99'999] = 42;
  CHECK_VALUE(const auto opened, Memory().Open(name));
  CHECK_EQ(opened->size(), 100'000u);
  CHECK(opened->data() != created->data());
  CHECK_EQ(opened->data()[99'999], 42);
  opened->data()[0] = 43;
  CHECK_EQ(created->data()[0], 43);
}

TEST(env_posix_memory, processes_share_it) {
  const Name name;
  const auto mapping = Create(name, 4096);
  test::Child child([&] {
    CHECK_VALUE(const auto opened, Memory().Open(name));
    opened->data()[17] = 99;
  });
  child.Join();
  CHECK_EQ(mapping->data()[17], 99);
}

TEST(env_posix_memory, memory_outlives_its_name) {
  const Name name;
  const auto mapping = Create(name, 4096);
  CHECK_OK(Memory().Remove(name));
  CHECK_CODE(Memory().Remove(name), Code::kNotFound);
  CHECK_CODE(Memory().Open(name).status(), Code::kNotFound);
  mapping->data()[4095] = 1;
  CHECK_EQ(mapping->data()[4095], 1);
}

TEST(env_posix_memory, creating_again_replaces_the_name_and_not_the_memory) {
  const Name name;
  const auto first = Create(name, 8192);
  first->data()[8191] = 1;
  const auto second = Create(name, 4096);
  CHECK_EQ(second->data()[0], 0);
  second->data()[0] = 2;
  CHECK_EQ(first->data()[8191], 1);  // not cut under whoever still uses it
  CHECK_EQ(first->data()[0], 0);
  CHECK_VALUE(const auto opened, Memory().Open(name));
  CHECK_EQ(opened->size(), 4096u);
  CHECK_EQ(opened->data()[0], 2);
}

TEST(env_posix_memory, odd_sizes_are_kept) {
  for (const size_t size : {1u, 4095u, 4096u, 4097u}) {
    const Name name;
    const auto mapping = Create(name, size);
    mapping->data()[size - 1] = 5;
    CHECK_VALUE(const auto opened, Memory().Open(name));
    CHECK_EQ(opened->size(), size);
    CHECK_EQ(opened->data()[size - 1], 5);
  }
  CHECK_CODE(Memory().Create(Name(), 0).status(), Code::kInvalidArgument);
}

TEST(env_posix_memory, names_are_checked) {
  for (const char* name : {"", ".", "..", "a/b", "/a", "../tmp/a"}) {
    CHECK_CODE(Memory().Create(name, 1).status(), Code::kInvalidArgument);
    CHECK_CODE(Memory().Open(name).status(), Code::kInvalidArgument);
    CHECK_CODE(Memory().Remove(name), Code::kInvalidArgument);
  }
  const std::string with_nul("ringleader\0test", 15);
  CHECK_CODE(Memory().Create(with_nul, 1).status(), Code::kInvalidArgument);
  CHECK_CODE(Memory().Open(with_nul).status(), Code::kInvalidArgument);
  CHECK_CODE(Memory().Remove(with_nul), Code::kInvalidArgument);
  const std::string prefix = Name();
  for (const size_t length : {254u, 255u, 256u}) {
    std::string name = prefix;
    name.resize(length, 'n');
    const Code expected = length <= 255 ? Code::kOk : Code::kInvalidArgument;
    CHECK_CODE(Memory().Create(name, 1).status(), expected);
    CHECK_CODE(Memory().Open(name).status(), expected);
    CHECK_CODE(Memory().Remove(name), expected);
  }
}

TEST(env_posix_memory, lies_where_the_system_keeps_shared_memory) {
  const Name name;
  const auto mapping = Create(name, 4096);
  const int fd = shm_open(("/" + std::string(name)).c_str(), O_RDWR, 0);
  CHECK(fd >= 0);
  struct stat info;
  const int stated = fstat(fd, &info);
  close(fd);
  CHECK_EQ(stated, 0);
  CHECK_EQ(info.st_mode & 07777, 0600u);
  CHECK_EQ(info.st_size, 4096);
}

TEST(env_posix_memory, at_a_path) {
  const std::string directory = test::TempDir(), path = JoinPath(directory, "region");
  CHECK_CODE(Memory().OpenAt(path).status(), Code::kNotFound);
  CHECK_VALUE(const auto created, Memory().CreateAt(path, 70'000));
  created->data()[69'999] = 8;
  CHECK_VALUE(const auto opened, Memory().OpenAt(path));
  CHECK_EQ(opened->size(), 70'000u);
  CHECK_EQ(opened->data()[69'999], 8);
  CHECK_CODE(Memory().CreateAt(JoinPath(path, "x"), 1).status(), Code::kNotADirectory);
  CHECK_CODE(Memory().CreateAt(directory, 1).status(), Code::kInvalidArgument);
  CHECK_CODE(Memory().CreateAt(directory + "/missing/x", 1).status(), Code::kNotFound);
  CHECK_CODE(Memory().OpenAt(directory).status(), Code::kInvalidArgument);
}

TEST(env_posix_memory, a_file_without_bytes_was_never_shared) {
  const std::string path = JoinPath(test::TempDir(), "region");
  CHECK(PosixEnv().files.Open(path, OpenMode::kCreate).ok());
  CHECK_CODE(Memory().OpenAt(path).status(), Code::kNotFound);
  CHECK_VALUE(const auto created, Memory().CreateAt(path, 1));
  CHECK(Memory().OpenAt(path).ok());
}

TEST(env_posix_memory, symbolic_links_are_not_followed) {
  const std::string directory = test::TempDir();
  const std::string target = JoinPath(directory, "target"), link = JoinPath(directory, "link");
  CHECK_VALUE(const auto target_mapping, Memory().CreateAt(target, 4096));
  CHECK_EQ(symlink(target.c_str(), link.c_str()), 0);
  CHECK_CODE(Memory().OpenAt(link).status(), Code::kInvalidArgument);
  CHECK_VALUE(const auto created, Memory().CreateAt(link, 4096));
  created->data()[0] = 1;
  CHECK_EQ(target_mapping->data()[0], 0);
}

TEST(env_posix_memory, too_little_memory_is_no_space_and_leaves_no_name) {
  test::WithMount("tmpfs", "size=1m", [](const std::string& directory) {
    const std::string path = JoinPath(directory, "region");
    constexpr size_t kRoom = 1 << 20;
    for (const size_t size : {kRoom + 1, 64 * kRoom}) {
      CHECK_CODE(Memory().CreateAt(path, size).status(), Code::kNoSpace);
      CHECK_CODE(Memory().OpenAt(path).status(), Code::kNotFound);
      CHECK_CODE(PosixEnv().files.Info(path).status(), Code::kNotFound);
    }
    for (const size_t size : {kRoom - 1, kRoom}) {
      CHECK_VALUE(const auto mapping, Memory().CreateAt(path, size));
      // With nothing behind it, this would be a SIGBUS.
      std::fill_n(mapping->data(), size, uint8_t{1});
      CHECK_EQ(mapping->data()[size - 1], 1);
    }
    // All of it is taken now, although the mapping is gone: the name holds it.
    CHECK_CODE(Memory().CreateAt(path + "2", 1).status(), Code::kNoSpace);
    CHECK_OK(PosixEnv().files.Remove(path));
    CHECK(Memory().CreateAt(path + "2", 1).ok());
  });
}

TEST(env_posix_memory, too_little_memory_under_a_name) {
  test::WithMount("tmpfs", "size=1m", [](const std::string& directory) {
    // Only this child sees the small memory in the place of the system's.
    if (mount(directory.c_str(), "/dev/shm", nullptr, MS_BIND, nullptr) != 0) {
      throw test::Skip{std::string("cannot mount at /dev/shm: ") + strerror(errno)};
    }
    CHECK_CODE(Memory().Create("region", (1 << 20) + 1).status(), Code::kNoSpace);
    CHECK_CODE(Memory().Open("region").status(), Code::kNotFound);
    CHECK(Memory().Create("region", 1 << 20).ok());
  });
}

}  // namespace ringleader
