// The shared memory of one environment: areas with names of their own, in the host's shared memory
// or, where that is too small, in files of the environment's directory.
//
// A container's shared memory may be 64 MB or none at all. A file serves as well; the kernel then
// also writes its pages back, which costs some bandwidth.
// Threads: any.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "env/env.h"

namespace ringleader {

struct SharedArea {
  std::unique_ptr<SharedMapping> mapping;
  bool in_file = false;
};

enum class AreaPlace : uint8_t {
  kMemory,  // a file of the directory where there is no room
  kFile,    // large, and rarely looked at: its pages may go to the disk
};

class SharedAreas {
 public:
  // `lock`: the environment's lock file, which tells one directory from another.
  SharedAreas(Env& env, std::string directory, const FileInfo& lock);

  // Zeroed and backed in full; replaces what had the name. kNoSpace where neither place has room.
  Result<SharedArea> Create(const std::string& name, size_t size,
                            AreaPlace place = AreaPlace::kMemory) const;
  Result<SharedArea> Open(const std::string& name) const;
  // kOk where there is nothing to remove.
  Status Remove(const std::string& name) const;

 private:
  std::string MemoryName(const std::string& name) const;
  std::string Path(const std::string& name) const;

  Env& env_;
  const std::string directory_;
  const std::string prefix_;
};

}  // namespace ringleader
