// Memory shared by the processes of one host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace ringleader {

// A mapping; unmapped on destruction. The memory itself lives until its name is removed and the
// last mapping is gone.
class SharedMapping {
 public:
  virtual ~SharedMapping() = default;
  virtual uint8_t* data() = 0;
  virtual size_t size() const = 0;
};

class SharedMemory {
 public:
  virtual ~SharedMemory() = default;

  // Creates zeroed memory under a name without slashes, replacing what had the name. All of it is
  // backed before the call returns: kNoSpace instead of a SIGBUS later.
  virtual Result<std::unique_ptr<SharedMapping>> Create(const std::string& name, size_t size) = 0;
  // Maps all of what was created; kNotFound where there is none.
  virtual Result<std::unique_ptr<SharedMapping>> Open(const std::string& name) = 0;
  virtual Status Remove(const std::string& name) = 0;

  // The same, backed by a file at a path: for hosts whose shared memory is too small.
  virtual Result<std::unique_ptr<SharedMapping>> CreateAt(const std::string& path, size_t size) = 0;
  virtual Result<std::unique_ptr<SharedMapping>> OpenAt(const std::string& path) = 0;
};

}  // namespace ringleader
