// Files and directories of the real world.
//
// Every call is made again after EINTR: signal handlers of the embedding process are none of the
// engine's business. Offsets beyond 2^63 - 1 turn negative on their way into the kernel, which
// refuses them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "env/posix/posix_internal.h"

namespace ringleader {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

// Calls until the result is not EINTR.
template <typename Call>
auto Retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

Status Failed(std::string_view what, std::string_view path) {
  const int sys_errno = errno;
  std::string text("cannot ");
  text += what;
  text += ' ';
  text += path;
  return ErrnoStatus(sys_errno, text);
}

// A failed flush is final. When the kernel says "no space" (delayed allocation over a network, a
// thin-provisioned device), the pages are as lost as after EIO, and kNoSpace would promise that
// trying again is sound.
Status SyncFailed(std::string_view what, std::string_view path) {
  const Status status = Failed(what, path);
  if (status.code() != Code::kNoSpace) return status;
  return Status(Code::kIo, status.message(), status.sys_errno());
}

// A path from outside may hold a NUL, and the kernel would take the part before it.
Status CheckPath(const std::string& path) {
  if (path.find('\0') == std::string::npos) return Status::Ok();
  return Status(Code::kInvalidArgument, "a path must not hold a NUL character");
}

Status WriteFully(int fd, uint64_t offset, Bytes from, std::string_view path) {
  while (!from.empty()) {
    const ssize_t written =
        Retry([&] { return pwrite(fd, from.data(), from.size(), static_cast<off_t>(offset)); });
    if (written == 0) errno = EIO;  // promised by nobody, and would loop for ever
    if (written <= 0) return Failed("write", path);
    offset += static_cast<uint64_t>(written);
    from = from.subspan(static_cast<size_t>(written));
  }
  return Status::Ok();
}

Result<size_t> ReadFully(int fd, uint64_t offset, MutableBytes into, std::string_view path) {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = Retry([&] {
      return pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    });
    if (got < 0) return Failed("read", path);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

// For file systems without fallocate: every block is written, with what it holds already.
Status AllocateByWriting(int fd, uint64_t offset, uint64_t size, std::string_view path) {
  std::vector<uint8_t> buffer(std::min<uint64_t>(size, 256 * 1024));
  while (size > 0) {
    const MutableBytes piece(buffer.data(), std::min<uint64_t>(size, buffer.size()));
    RL_ASSIGN_OR_RETURN(const size_t held, ReadFully(fd, offset, piece, path));
    std::fill(piece.begin() + static_cast<ptrdiff_t>(held), piece.end(), uint8_t{0});
    RL_RETURN_IF_ERROR(WriteFully(fd, offset, piece, path));
    offset += piece.size();
    size -= piece.size();
  }
  return Status::Ok();
}

class PosixFile : public File {
 public:
  PosixFile(FileDescriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<size_t> ReadAt(uint64_t offset, MutableBytes into) override {
    return ReadFully(fd_.get(), offset, into, path_);
  }

  Status WriteAt(uint64_t offset, Bytes from) override {
    return WriteFully(fd_.get(), offset, from, path_);
  }

  Status SyncData() override {
    // EINTR is no verdict: a write-back error would have been returned in its place.
    if (Retry([&] { return fdatasync(fd_.get()); }) == 0) return Status::Ok();
    return SyncFailed("flush", path_);
  }

  Status Allocate(uint64_t offset, uint64_t size) override {
    return AllocateRange(fd_.get(), offset, size, path_);
  }

  Status Truncate(uint64_t size) override {
    if (Retry([&] { return ftruncate(fd_.get(), static_cast<off_t>(size)); }) == 0) {
      return Status::Ok();
    }
    return Failed("change the size of", path_);
  }

  Result<uint64_t> Size() override {
    struct stat info;
    if (fstat(fd_.get(), &info) != 0) return Failed("ask for the size of", path_);
    return static_cast<uint64_t>(info.st_size);
  }

  Status Lock(uint64_t byte, bool exclusive) override {
    if (SetLock(byte, exclusive ? F_WRLCK : F_RDLCK, F_OFD_SETLKW) == 0) return Status::Ok();
    return Failed("lock", path_);
  }

  Status TryLock(uint64_t byte, bool exclusive) override {
    if (SetLock(byte, exclusive ? F_WRLCK : F_RDLCK, F_OFD_SETLK) == 0) return Status::Ok();
    if (errno != EAGAIN && errno != EACCES) return Failed("lock", path_);
    return Status(Code::kBusy, path_ + " is locked", errno);
  }

  Status Unlock(uint64_t byte) override {
    if (SetLock(byte, F_UNLCK, F_OFD_SETLK) == 0) return Status::Ok();
    return Failed("unlock", path_);
  }

 private:
  // Locks of the open file description: those of the process would vanish when any descriptor of
  // the file is closed anywhere in it, and would not keep its threads apart.
  int SetLock(uint64_t byte, short type, int command) {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(byte);
    lock.l_len = 1;
    return Retry([&] { return fcntl(fd_.get(), command, &lock); });
  }

  const FileDescriptor fd_;
  const std::string path_;
};

int OpenFlags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateEmpty:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  RL_CHECK(false);
}

class PosixFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    RL_ASSIGN_OR_RETURN(FileDescriptor fd, OpenRegularFile(path, OpenFlags(mode)));
    return std::unique_ptr<File>(new PosixFile(std::move(fd), path));
  }

  Status Rename(const std::string& from, const std::string& to) override {
    RL_RETURN_IF_ERROR(CheckPath(from));
    RL_RETURN_IF_ERROR(CheckPath(to));
    if (rename(from.c_str(), to.c_str()) == 0) return Status::Ok();
    return Failed("rename " + from + " to", to);
  }

  Status Remove(const std::string& path) override { return RemoveFile(path); }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    RL_RETURN_IF_ERROR(CheckPath(directory));
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), &closedir);
    if (!stream) return Failed("list", directory);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(stream.get());
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    if (errno != 0) return Failed("list", directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status MakeDirectory(const std::string& path) override {
    RL_RETURN_IF_ERROR(CheckPath(path));
    if (mkdir(path.c_str(), kDirectoryMode) == 0) return Status::Ok();
    return Failed("make the directory", path);
  }

  Status SyncDirectory(const std::string& directory) override {
    RL_RETURN_IF_ERROR(CheckPath(directory));
    const FileDescriptor fd(
        Retry([&] { return open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (fd.get() < 0) return Failed("open the directory", directory);
    if (Retry([&] { return fsync(fd.get()); }) == 0) return Status::Ok();
    return SyncFailed("flush the directory", directory);
  }

  Result<FileInfo> Info(const std::string& path) override {
    RL_RETURN_IF_ERROR(CheckPath(path));
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return Failed("find", path);
    return FileInfo{.device = info.st_dev,
                    .inode = info.st_ino,
                    .size = static_cast<uint64_t>(info.st_size),
                    .is_directory = S_ISDIR(info.st_mode)};
  }
};

}  // namespace

Result<FileDescriptor> OpenRegularFile(const std::string& path, int flags) {
  RL_RETURN_IF_ERROR(CheckPath(path));
  FileDescriptor fd(Retry([&] { return open(path.c_str(), flags | O_CLOEXEC, kFileMode); }));
  if (fd.get() < 0) return Failed("open", path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return Failed("open", path);
  // A directory opens for reading without complaint and fails at the first read only.
  if (!S_ISREG(info.st_mode)) {
    return Status(Code::kInvalidArgument, path + " is not a regular file");
  }
  return fd;
}

Status RemoveFile(const std::string& path) {
  RL_RETURN_IF_ERROR(CheckPath(path));
  if (unlink(path.c_str()) == 0) return Status::Ok();
  return Failed("remove", path);
}

Status AllocateRange(int fd, uint64_t offset, uint64_t size, std::string_view path) {
  constexpr uint64_t kSmallestPiece = 64 * 1024;
  uint64_t piece = size;
  while (size > 0) {
    piece = std::min(piece, size);
    if (fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(piece)) == 0) {
      offset += piece;
      size -= piece;
    } else if (errno == EINTR) {
      // A tmpfs gives back what it had reserved when a signal arrives, so that a profiling timer
      // can keep one large call from ever finishing. Smaller ones get through.
      piece = std::max(piece / 2, kSmallestPiece);
    } else if (errno == EOPNOTSUPP || errno == ENOSYS) {
      return AllocateByWriting(fd, offset, size, path);
    } else {
      return Failed("reserve space for", path);
    }
  }
  return Status::Ok();
}

FileSystem& PosixFiles() {
  static FileSystem& files = *new PosixFileSystem();
  return files;
}

}  // namespace ringleader
