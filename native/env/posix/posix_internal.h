// What the POSIX implementations share.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "env/file.h"
#include "env/shared_memory.h"
#include "env/threads.h"

namespace ringleader {

// The one object of each kind; never destroyed, so that threads still running at exit find them.
FileSystem& PosixFiles();
SharedMemory& PosixMemory();
Threads& PosixThreads();

// Closes what it holds. The result of close is of no interest: what had to be durable was synced,
// and on Linux the descriptor is gone even when close fails.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }

 private:
  int fd_;
};

// open() with O_CLOEXEC, mode 0600 for what it creates, and again after EINTR. Refuses what is not
// a regular file.
Result<FileDescriptor> OpenRegularFile(const std::string& path, int flags);

// unlink().
Status RemoveFile(const std::string& path);

// Reserves [offset, offset + size) of an open file and extends it. Contents stay.
Status AllocateRange(int fd, uint64_t offset, uint64_t size, std::string_view path);

}  // namespace ringleader
