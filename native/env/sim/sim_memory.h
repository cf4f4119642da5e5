// Shared memory of one simulated host: blocks of the heap with names.
//
// A block outlives the processes that mapped it, as the kernel's does, and every process maps it at
// the same address. Drop() is the end of the kernel: names vanish, mappings of dead processes stay
// readable so that nothing they left behind dangles.
//
// File-backed memory lies in a file of the disk. WriteBack() gives the file the bytes that the
// memory has, unflushed: a power cut then leaves any part of them, as it does of dirty pages.
// Threads: safe from any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "env/shared_memory.h"
#include "env/sim/sim_disk.h"
#include "env/sim/sim_threads.h"

namespace ringleader {

class SimSharedMemory : public SharedMemory {
 public:
  SimSharedMemory(SimDisk& disk, SimThreads& threads);
  ~SimSharedMemory() override;

  Result<std::unique_ptr<SharedMapping>> Create(const std::string& name, size_t size) override;
  Result<std::unique_ptr<SharedMapping>> Open(const std::string& name) override;
  Status Remove(const std::string& name) override;
  Result<std::unique_ptr<SharedMapping>> CreateAt(const std::string& path, size_t size) override;
  Result<std::unique_ptr<SharedMapping>> OpenAt(const std::string& path) override;

  // What named memory may take in all; Create answers kNoSpace beyond. 0: there is none to be had.
  void SetLimit(uint64_t bytes);
  std::vector<std::string> Names() const;
  // The bytes behind a name, for tests that scribble on them; empty where there is none.
  MutableBytes Find(const std::string& name);

  void Drop();
  void WriteBack();

 private:
  struct Block;
  class Mapping;
  // Null once the scheduler may be gone; blocks can live longer.
  using ThreadsCell = std::shared_ptr<SimThreads*>;

  SimDisk& disk_;
  const ThreadsCell threads_;
  mutable std::mutex mutex_;
  uint64_t limit_bytes_ = std::numeric_limits<uint64_t>::max();
  std::map<std::string, std::shared_ptr<Block>> named_;
  std::map<uint64_t, std::shared_ptr<Block>> in_files_;  // by inode
};

}  // namespace ringleader
