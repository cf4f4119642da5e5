// Files and directories: the only way the engine touches a disk.
//
// One interface, two implementations: posix/ and sim/. Every call that the durability of the log
// rests on is here and nowhere else, so the simulated disk can forget, tear, fail, lie or hang at
// each of them. Calls are safe from any thread; one File may be used by several threads at once as
// long as their byte ranges do not overlap.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace ringleader {

// An open file. Closing (destruction) flushes nothing and drops the locks taken through it.
class File {
 public:
  virtual ~File() = default;

  // Reads up to `into.size()` bytes at `offset`; fewer only at the end of the file.
  virtual Result<size_t> ReadAt(uint64_t offset, MutableBytes into) = 0;
  // Writes everything or fails. After a failure any part of the range may have been written.
  // kNoSpace can be tried again later; every other failure says nothing about the range.
  virtual Status WriteAt(uint64_t offset, Bytes from) = 0;
  // Makes the file's bytes and size survive power loss (fdatasync). A failure is final for the
  // range: the kernel may have dropped the pages, and a second call that succeeds proves nothing.
  virtual Status SyncData() = 0;
  // Reserves disk space for [offset, offset + size) and extends the file; new bytes read as zero.
  // kNoSpace leaves the file usable; part of the space may stay reserved.
  virtual Status Allocate(uint64_t offset, uint64_t size) = 0;
  virtual Status Truncate(uint64_t size) = 0;
  virtual Result<uint64_t> Size() = 0;

  // Advisory lock on one byte, held by this File (not by the process or thread) until Unlock or
  // destruction; it dies with the process. TryLock returns kBusy where another File holds a
  // conflicting one. Taking a held byte again changes its mode, not always atomically.
  virtual Status Lock(uint64_t byte, bool exclusive) = 0;
  virtual Status TryLock(uint64_t byte, bool exclusive) = 0;
  virtual Status Unlock(uint64_t byte) = 0;
};

enum class OpenMode : uint8_t {
  kRead,         // must exist
  kReadWrite,    // must exist
  kCreate,       // opened or created
  kCreateEmpty,  // created, or emptied where it exists
};

struct FileInfo {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  bool is_directory = false;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Atomic; replaces `to`. Survives power loss only after SyncDirectory of the directory.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // kNotFound where there is nothing to remove.
  virtual Status Remove(const std::string& path) = 0;
  // Names in a directory, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;
  // kExists where something of that name is there.
  virtual Status MakeDirectory(const std::string& path) = 0;
  // Makes the entries of a directory (created, renamed, removed names) survive power loss.
  virtual Status SyncDirectory(const std::string& directory) = 0;
  virtual Result<FileInfo> Info(const std::string& path) = 0;
};

// "a/b" + "c" = "a/b/c"
std::string JoinPath(std::string_view directory, std::string_view name);
// "a/b/c" -> "a/b"; "c" -> "."; "/c" -> "/"
std::string ParentPath(std::string_view path);

// Makes a directory, and its name durable, where there is none.
Status EnsureDirectory(FileSystem& files, const std::string& path);
Status RemoveIfThere(FileSystem& files, const std::string& path);

// What a small file says, of the kernel's for the most part, which have no sizes: at most its first
// 4 KiB, without the ends of lines behind it. nullopt where it cannot be read.
std::optional<std::string> ReadText(FileSystem& files, const std::string& path);
// Reads exactly into.size() bytes; a short file is kCorruption.
Status ReadExactly(File& file, uint64_t offset, MutableBytes into, std::string_view what);
// The first `size` bytes of one file over those of the other, unflushed; errors as ReadExactly's.
Status CopyBytes(File& from, File& to, uint64_t size, std::string_view what);

}  // namespace ringleader
