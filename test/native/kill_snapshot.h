// Copies of an environment at one moment: its files and its shared region, as they would be left if
// a certain process died now.
//
// What the kernel does for the dead is done to the copy: a mutex that the process holds is marked
// as one whose owner has died. The copy's lock file is another one, so its region has another name,
// which is entered into the region's header, and into the control file, which would refuse a copy.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "harness.h"
#include "log/control_file.h"
#include "log/log_region.h"

namespace ringleader::test {

// Where the region of an environment is; empty where it has no lock file yet.
inline std::string RegionPath(const std::string& directory) {
  struct stat lock;
  if (stat((directory + "/lock").c_str(), &lock) != 0) return "";
  std::array<char, 96> name;
  std::snprintf(name.data(), name.size(), "/dev/shm/ringleader-%llx-%llx-region",
                static_cast<unsigned long long>(lock.st_dev),
                static_cast<unsigned long long>(lock.st_ino));
  return name.data();
}

inline std::vector<uint8_t> ReadWholeFile(const std::string& path) {
  std::vector<uint8_t> bytes;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return bytes;
  struct stat info;
  if (fstat(fd, &info) == 0) bytes.resize(static_cast<size_t>(info.st_size));
  const ssize_t got = pread(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  close(fd);
  return bytes;
}

inline void WriteWholeFile(const std::string& path, const std::vector<uint8_t>& bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  const ssize_t wrote = write(fd, bytes.data(), bytes.size());
  close(fd);
  CHECK_EQ(wrote, static_cast<ssize_t>(bytes.size()));
}

// What the kernel does when the owner of a robust mutex ends.
inline void DropMutexOf(RobustMutex& mutex, pid_t owner) {
  constexpr int kOwnerMask = 0x3fffffff;
  constexpr int kOwnerDied = 0x40000000;
  int& word = reinterpret_cast<pthread_mutex_t*>(mutex.storage)->__data.__lock;
  if ((word & kOwnerMask) == owner) word = (word & ~kOwnerMask) | kOwnerDied;
}

// A region's bytes as another environment would have them after the death of `owner`.
inline void MoveRegion(std::vector<uint8_t>& bytes, const std::string& directory, pid_t owner) {
  if (bytes.size() < kRegionPageBytes) return;  // its creator had not got further
  auto& layout = *reinterpret_cast<RegionLayout*>(bytes.data());
  for (RobustMutex* mutex : {&layout.writer.mutex, &layout.flusher.role, &layout.keeper.role,
                             &layout.keeper.archive_role, &layout.consumers.mutex}) {
    DropMutexOf(*mutex, owner);
  }
  RegionHeader& header = layout.header;
  const Bytes checked(bytes.data(), offsetof(RegionHeader, crc));
  if (header.crc != MaskCrc(Crc32c(checked))) return;  // not finished: nobody will believe it
  struct stat lock;
  CHECK_EQ(stat((directory + "/lock").c_str(), &lock), 0);
  header.control_device = lock.st_dev;
  header.control_inode = lock.st_ino;
  header.crc = MaskCrc(Crc32c(checked));
}

// Enters the lock file of a copy where the control file names the one that was copied.
inline void MoveControl(const std::string& directory) {
  struct stat lock;
  if (stat((directory + "/lock").c_str(), &lock) != 0) return;
  const std::string path = directory + "/control";
  std::vector<uint8_t> bytes = ReadWholeFile(path);
  if (bytes.size() != 2 * kControlSlotBytes) return;
  for (const size_t at : {size_t{0}, kControlSlotBytes}) {
    const auto slot = DecodeControl(Bytes(bytes).subspan(at, kControlSlotBytes));
    if (!slot.ok() || slot.value().lock_inode == 0) continue;
    ControlState state = slot.value();
    state.lock_inode = lock.st_ino;
    const std::vector<uint8_t> moved = EncodeControl(state);
    std::copy(moved.begin(), moved.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
  }
  CHECK_EQ(unlink(path.c_str()), 0);
  WriteWholeFile(path, bytes);
}

// A copy in a directory of its own; it and its region are removed at the end.
class Snapshot {
 public:
  Snapshot(const std::string& from, const std::string& to, const std::vector<uint8_t>& region,
           pid_t owner)
      : directory_(to) {
    std::error_code failed;
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive, failed);
    CHECK(!failed);
    MoveControl(to);
    region_path_ = RegionPath(to);
    if (region_path_.empty() || region.empty()) return;
    std::vector<uint8_t> moved = region;
    MoveRegion(moved, to, owner);
    unlink(region_path_.c_str());
    WriteWholeFile(region_path_, moved);
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() {
    // Where the copy had no lock file it may have got one since.
    const std::string region = RegionPath(directory_);
    if (!region.empty()) unlink(region.c_str());
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  const std::string& directory() const { return directory_; }

 private:
  const std::string directory_;
  std::string region_path_;
};

// Tells whether an environment has changed since the last look.
class ChangeWatch {
 public:
  enum class Change { kNone, kRingOnly, kState };

  explicit ChangeWatch(std::string directory)
      : directory_(std::move(directory)), events_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    CHECK(events_ >= 0);
    Look();
  }
  ChangeWatch(const ChangeWatch&) = delete;
  ChangeWatch& operator=(const ChangeWatch&) = delete;
  ~ChangeWatch() {
    Unmap();
    close(events_);
  }

  Change Look() {
    bool state = FilesChanged();
    state |= MapRegion();
    if (mapped_ == nullptr) {
      state |= !last_.empty();
      last_.clear();
      return state ? Change::kState : Change::kNone;
    }
    const bool other_size = last_.size() != size_;
    const size_t page = std::min<size_t>(size_, kRegionPageBytes);
    state |= other_size || std::memcmp(last_.data(), mapped_, page) != 0;
    const bool ring =
        other_size || std::memcmp(last_.data() + page, mapped_ + page, size_ - page) != 0;
    if (state || ring) last_.assign(mapped_, mapped_ + size_);
    if (state) return Change::kState;
    return ring ? Change::kRingOnly : Change::kNone;
  }

  // The region at the last look; empty where there was none.
  const std::vector<uint8_t>& region() const { return last_; }

 private:
  bool FilesChanged() {
    bool changed = false;
    alignas(inotify_event) std::array<char, 4096> buffer;
    while (read(events_, buffer.data(), buffer.size()) > 0) changed = true;
    // Made again each time: the directories may have come into being just now.
    constexpr uint32_t kWatched = IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVE;
    if (!watching_ || changed) {
      inotify_add_watch(events_, directory_.c_str(), kWatched);
      inotify_add_watch(events_, (directory_ + "/log").c_str(), kWatched);
      watching_ = true;
    }
    return changed;
  }

  // Follows the region when it is replaced; true where it was.
  bool MapRegion() {
    const std::string path = RegionPath(directory_);
    struct stat info {};
    const bool there = !path.empty() && stat(path.c_str(), &info) == 0 && info.st_size > 0;
    const ino_t inode = there ? info.st_ino : 0;
    const size_t size = there ? static_cast<size_t>(info.st_size) : 0;
    if (inode == inode_ && size == size_) return false;
    Unmap();
    if (!there) return true;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    void* at = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    CHECK(at != MAP_FAILED);
    mapped_ = static_cast<uint8_t*>(at);
    inode_ = inode;
    size_ = size;
    return true;
  }

  void Unmap() {
    if (mapped_ != nullptr) munmap(mapped_, size_);
    mapped_ = nullptr;
    inode_ = 0;
    size_ = 0;
  }

  const std::string directory_;
  const int events_;
  bool watching_ = false;
  uint8_t* mapped_ = nullptr;
  ino_t inode_ = 0;
  size_t size_ = 0;
  std::vector<uint8_t> last_;
};

}  // namespace ringleader::test
