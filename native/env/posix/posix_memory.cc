// Shared memory: files on the tmpfs at /dev/shm, or at a path that the caller names.
//
// What shm_open does is open a file below /dev/shm; it is done here directly, so that there is one
// code path for both kinds and no need for librt, where older C libraries keep shm_open.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "env/posix/posix_internal.h"

namespace ringleader {
namespace {

constexpr std::string_view kSharedMemoryDirectory = "/dev/shm";

class PosixMapping : public SharedMapping {
 public:
  PosixMapping(void* data, size_t size) : data_(static_cast<uint8_t*>(data)), size_(size) {}
  PosixMapping(const PosixMapping&) = delete;
  PosixMapping& operator=(const PosixMapping&) = delete;
  ~PosixMapping() override { RL_CHECK(munmap(data_, size_) == 0); }

  uint8_t* data() override { return data_; }
  size_t size() const override { return size_; }

 private:
  uint8_t* const data_;
  const size_t size_;
};

Result<std::unique_ptr<SharedMapping>> Map(int fd, size_t size, const std::string& path) {
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return ErrnoStatus(errno, "cannot map " + path);
  return std::unique_ptr<SharedMapping>(new PosixMapping(data, size));
}

Result<std::unique_ptr<SharedMapping>> AllocateAndMap(int fd, size_t size,
                                                      const std::string& path) {
  RL_RETURN_IF_ERROR(AllocateRange(fd, 0, size, path));
  return Map(fd, size, path);
}

Result<std::string> PathOfName(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos) {
    return Status(Code::kInvalidArgument, "not a name of shared memory: \"" + name + "\"");
  }
  return JoinPath(kSharedMemoryDirectory, name);
}

class PosixSharedMemory : public SharedMemory {
 public:
  Result<std::unique_ptr<SharedMapping>> Create(const std::string& name, size_t size) override {
    RL_ASSIGN_OR_RETURN(const std::string path, PathOfName(name));
    return CreateAt(path, size);
  }

  Result<std::unique_ptr<SharedMapping>> Open(const std::string& name) override {
    RL_ASSIGN_OR_RETURN(const std::string path, PathOfName(name));
    return OpenAt(path);
  }

  Status Remove(const std::string& name) override {
    RL_ASSIGN_OR_RETURN(const std::string path, PathOfName(name));
    return RemoveFile(path);
  }

  Result<std::unique_ptr<SharedMapping>> CreateAt(const std::string& path, size_t size) override {
    if (size == 0) return Status(Code::kInvalidArgument, "shared memory of no bytes: " + path);
    // Never the old file emptied: whoever still maps it would get SIGBUS.
    const Status removed = RemoveFile(path);
    if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
    // O_EXCL also refuses a symbolic link that somebody put there: /dev/shm is open to all users.
    RL_ASSIGN_OR_RETURN(const FileDescriptor fd, OpenRegularFile(path, O_RDWR | O_CREAT | O_EXCL));
    auto mapping = AllocateAndMap(fd.get(), size, path);
    if (!mapping.ok()) (void)RemoveFile(path);
    return mapping;
  }

  Result<std::unique_ptr<SharedMapping>> OpenAt(const std::string& path) override {
    RL_ASSIGN_OR_RETURN(const FileDescriptor fd, OpenRegularFile(path, O_RDWR | O_NOFOLLOW));
    struct stat info;
    if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "cannot find the size of " + path);
    // Its creator died before it had any memory: nothing was ever shared under this name.
    if (info.st_size == 0) return Status(Code::kNotFound, path + " is empty");
    return Map(fd.get(), static_cast<size_t>(info.st_size), path);
  }
};

}  // namespace

SharedMemory& PosixMemory() {
  static SharedMemory& memory = *new PosixSharedMemory();
  return memory;
}

}  // namespace ringleader
