// An open file of a SimDisk. Private to the disk's own sources.
#pragma once

#include <memory>
#include <string>

#include "env/sim/sim_disk.h"

namespace ringleader {

// Survives both the File and the disk it belongs to.
struct SimDisk::Handle {
  SimDisk* disk = nullptr;  // null once the disk is gone
  uint64_t process = 0;
  uint64_t inode = 0;
  std::string path;  // by which it was opened
  bool writable = false;
  bool alive = true;  // false once closed, by anybody
};

class SimFile : public File {
 public:
  explicit SimFile(std::shared_ptr<SimDisk::Handle> handle) : handle_(std::move(handle)) {}
  ~SimFile() override;

  Result<size_t> ReadAt(uint64_t offset, MutableBytes into) override;
  Status WriteAt(uint64_t offset, Bytes from) override;
  Status SyncData() override;
  Status Allocate(uint64_t offset, uint64_t size) override;
  Status Truncate(uint64_t size) override;
  Result<uint64_t> Size() override;
  Status Lock(uint64_t byte, bool exclusive) override;
  Status TryLock(uint64_t byte, bool exclusive) override;
  Status Unlock(uint64_t byte) override;

 private:
  const std::shared_ptr<SimDisk::Handle> handle_;
};

}  // namespace ringleader
