#include "env/sim/sim_memory.h"

#include <cerrno>
#include <cstring>
#include <new>

#include "base/check.h"

namespace ringleader {
namespace {

constexpr std::align_val_t kPageAlignment{4096};

}  // namespace

struct SimSharedMemory::Block {
  Block(size_t block_size, ThreadsCell cell)
      : size(block_size),
        data(static_cast<uint8_t*>(::operator new(block_size, kPageAlignment))),
        threads(std::move(cell)) {
    std::memset(data, 0, size);
  }
  ~Block() {
    if (*threads) (*threads)->ForgetMutexes(data, size);
    ::operator delete(data, kPageAlignment);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  const size_t size;
  uint8_t* const data;
  const ThreadsCell threads;
};

class SimSharedMemory::Mapping : public SharedMapping {
 public:
  explicit Mapping(std::shared_ptr<Block> block) : block_(std::move(block)) {}

  uint8_t* data() override { return block_->data; }
  size_t size() const override { return block_->size; }

 private:
  const std::shared_ptr<Block> block_;
};

SimSharedMemory::SimSharedMemory(SimDisk& disk, SimThreads& threads)
    : disk_(disk), threads_(std::make_shared<SimThreads*>(&threads)) {}

SimSharedMemory::~SimSharedMemory() { *threads_ = nullptr; }

Result<std::unique_ptr<SharedMapping>> SimSharedMemory::Create(const std::string& name,
                                                               size_t size) {
  const std::lock_guard lock(mutex_);
  if (name.empty() || name.find('/') != std::string::npos || size == 0) {
    return ErrnoStatus(EINVAL, "create shared memory " + name);
  }
  named_.erase(name);
  uint64_t used = 0;
  for (const auto& [other, block] : named_) used += block->size;
  if (used > limit_bytes_ || size > limit_bytes_ - used) {
    return ErrnoStatus(ENOSPC, "create shared memory " + name);
  }
  auto block = std::make_shared<Block>(size, threads_);
  named_[name] = block;
  return std::unique_ptr<SharedMapping>(new Mapping(std::move(block)));
}

Result<std::unique_ptr<SharedMapping>> SimSharedMemory::Open(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = named_.find(name);
  if (found == named_.end()) return ErrnoStatus(ENOENT, "open shared memory " + name);
  return std::unique_ptr<SharedMapping>(new Mapping(found->second));
}

Status SimSharedMemory::Remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (named_.erase(name) == 0) return ErrnoStatus(ENOENT, "remove shared memory " + name);
  return Status::Ok();
}

Result<std::unique_ptr<SharedMapping>> SimSharedMemory::CreateAt(const std::string& path,
                                                                 size_t size) {
  // A file that others have mapped must not shrink under them: it loses its name instead.
  const Status removed = disk_.Remove(path);
  if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
  RL_ASSIGN_OR_RETURN(const auto file, disk_.Open(path, OpenMode::kCreateEmpty));
  const Status allocated = file->Allocate(0, size);
  if (!allocated.ok()) {
    const Status cleaned = disk_.Remove(path);
    (void)cleaned;  // the first error is the one to report
    return allocated;
  }
  RL_ASSIGN_OR_RETURN(const FileInfo info, disk_.Info(path));
  auto block = std::make_shared<Block>(size, threads_);
  const std::lock_guard lock(mutex_);
  in_files_[info.inode] = block;
  return std::unique_ptr<SharedMapping>(new Mapping(std::move(block)));
}

Result<std::unique_ptr<SharedMapping>> SimSharedMemory::OpenAt(const std::string& path) {
  RL_ASSIGN_OR_RETURN(const FileInfo info, disk_.Info(path));
  {
    const std::lock_guard lock(mutex_);
    const auto found = in_files_.find(info.inode);
    if (found != in_files_.end()) {
      return std::unique_ptr<SharedMapping>(new Mapping(found->second));
    }
  }
  if (info.size == 0) return Status(Code::kNotFound, path + " is empty");
  RL_ASSIGN_OR_RETURN(const auto file, disk_.Open(path, OpenMode::kReadWrite));
  auto block = std::make_shared<Block>(info.size, threads_);
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, MutableBytes(block->data, block->size), path));
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = in_files_.try_emplace(info.inode, block);
  return std::unique_ptr<SharedMapping>(new Mapping(at->second));
}

void SimSharedMemory::SetLimit(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_bytes_ = bytes;
}

std::vector<std::string> SimSharedMemory::Names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, block] : named_) names.push_back(name);
  return names;
}

MutableBytes SimSharedMemory::Find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = named_.find(name);
  if (found == named_.end()) return {};
  return MutableBytes(found->second->data, found->second->size);
}

void SimSharedMemory::Drop() {
  const std::lock_guard lock(mutex_);
  named_.clear();
  in_files_.clear();
}

void SimSharedMemory::WriteBack() {
  const std::lock_guard lock(mutex_);
  for (const auto& [inode, block] : in_files_) {
    disk_.WriteBack(inode, Bytes(block->data, block->size));
  }
}

}  // namespace ringleader
