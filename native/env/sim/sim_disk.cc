#include "env/sim/sim_disk.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "env/sim/sim_file.h"

namespace ringleader {
namespace {

constexpr uint64_t kCheckpointOps = 64;

// The parts of a path; false where it holds a part that is not supported.
bool SplitPath(const std::string& path, std::vector<std::string>* parts) {
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, end - at);
    at = end + 1;
    if (part == "..") return false;
    if (!part.empty() && part != ".") parts->push_back(std::move(part));
  }
  return true;
}

}  // namespace

SimDisk::SimDisk(SimDiskOptions options) : SimDisk(SimImage(), options) {}

SimDisk::SimDisk(SimImage image, SimDiskOptions options)
    : options_(options),
      cache_(std::move(image)),
      used_pages_(cache_.UsedPages()),
      durability_(cache_),
      faults_(options.seed) {
  if (options_.record) checkpoints_.push_back({0, durability_});
}

SimDisk::~SimDisk() {
  const Guard lock(mutex_);
  for (const std::shared_ptr<Handle>& handle : handles_) handle->disk = nullptr;
}

SimDisk::Ticket SimDisk::Begin(SimCall call, const std::string& path, uint64_t offset,
                               uint64_t size, const std::string& other_path) {
  if (hooks_.step) hooks_.step();
  Ticket ticket{Guard(mutex_), {}};
  ++stats_.calls[static_cast<size_t>(call)];
  if (faults_.empty()) return ticket;
  ticket.fault = faults_.Decide(call, path, other_path, offset, size);
  const uint64_t power_cuts = power_cuts_;
  if (ticket.fault.delay_nanos > 0) {
    RL_CHECK(hooks_.delay);
    ticket.lock.unlock();
    hooks_.delay(ticket.fault.delay_nanos);
    ticket.lock.lock();
  }
  const std::vector<uint64_t>& rules = ticket.fault.hang;
  if (!rules.empty()) {
    ++hung_calls_;
    changed_.notify_all();
    WaitUntil(ticket.lock, "the hung disk at " + path, false, [&] {
      return power_cuts_ != power_cuts ||
             std::none_of(rules.begin(), rules.end(), [&](uint64_t id) { return faults_.Has(id); });
    });
    --hung_calls_;
  }
  if (power_cuts_ != power_cuts) ticket.fault = {.sys_errno = EIO};
  return ticket;
}

Status SimDisk::Failed(int sys_errno, const std::string& what) {
  ++stats_.failed_calls;
  return ErrnoStatus(sys_errno, what);
}

// As on the real disk: a flush that found no space has lost the pages, and kNoSpace would promise
// that trying again is sound.
Status SimDisk::SyncFailed(int sys_errno, const std::string& what) {
  const Status status = Failed(sys_errno, what);
  if (status.code() != Code::kNoSpace) return status;
  return Status(Code::kIo, status.message(), sys_errno);
}

void SimDisk::WaitUntil(Guard& lock, const std::string& what, bool killable,
                        const std::function<bool()>& ready) {
  while (!ready()) {
    if (!hooks_.wait_until) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    const auto locked_ready = [this, &ready] {
      const Guard inner(mutex_);
      return ready();
    };
    hooks_.wait_until(what, locked_ready, killable);
    lock.lock();
  }
}

Result<SimDisk::Place> SimDisk::Locate(const std::string& path) const {
  std::vector<std::string> parts;
  if (!SplitPath(path, &parts)) return ErrnoStatus(EINVAL, path);
  Place place{.directory = 0, .name = "", .inode = kSimRootInode};
  for (const std::string& part : parts) {
    const SimNode* node = cache_.Find(place.inode);
    if (!node) return ErrnoStatus(ENOENT, path);
    if (!node->is_directory) return ErrnoStatus(ENOTDIR, path);
    place.directory = place.inode;
    place.name = part;
    const auto found = node->entries.find(part);
    place.inode = found == node->entries.end() ? 0 : found->second;
  }
  return place;
}

uint64_t SimDisk::Record(SimOp op) {
  op.sequence = ++last_op_;
  auto pointer = std::make_shared<const SimOp>(std::move(op));
  durability_.Apply(pointer);
  if (options_.record) {
    if (pointer->kind == SimOpKind::kMark) marks_[pointer->mark_kind].push_back(pointer.get());
    log_.push_back(std::move(pointer));
  }
  return last_op_;
}

uint64_t SimDisk::MakeNode(SimOpKind kind, const std::string& path, const Place& place) {
  SimOp op;
  op.kind = kind;
  op.path = path;
  op.inode = cache_.next_inode++;
  op.directory = place.directory;
  op.name = place.name;
  cache_.nodes[op.inode].is_directory = kind == SimOpKind::kMakeDirectory;
  ApplyEntryOp(op, &cache_);
  const uint64_t inode = op.inode;
  Record(std::move(op));
  return inode;
}

Result<std::unique_ptr<File>> SimDisk::Open(const std::string& path, OpenMode mode) {
  return OpenAs(0, path, mode);
}

Result<std::unique_ptr<File>> SimDisk::OpenAs(uint64_t process, const std::string& path,
                                              OpenMode mode) {
  const Ticket ticket = Begin(SimCall::kOpen, path);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, "open " + path);
  auto located = Locate(path);
  if (!located.ok()) return located.status();
  uint64_t inode = located->inode;
  if (inode == 0) {
    if (mode == OpenMode::kRead || mode == OpenMode::kReadWrite) {
      return Failed(ENOENT, "open " + path);
    }
    inode = MakeNode(SimOpKind::kCreate, path, *located);
  }
  const SimNode* node = cache_.Find(inode);
  RL_CHECK(node != nullptr);
  if (node->is_directory) return Failed(EISDIR, "open " + path);
  if (mode == OpenMode::kCreateEmpty && (node->size > 0 || node->content.used_pages() > 0)) {
    SimOp op;
    op.kind = SimOpKind::kTruncate;
    op.path = path;
    op.inode = inode;
    ChangeFile(std::move(op));
  }
  auto handle = std::make_shared<Handle>();
  handle->disk = this;
  handle->process = process;
  handle->inode = inode;
  handle->path = path;
  handle->writable = mode != OpenMode::kRead;
  handles_.insert(handle);
  return std::unique_ptr<File>(new SimFile(std::move(handle)));
}

Status SimDisk::Rename(const std::string& from, const std::string& to) {
  const Ticket ticket = Begin(SimCall::kRename, from, 0, 0, to);
  const std::string what = "rename " + from + " to " + to;
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, what);
  RL_ASSIGN_OR_RETURN(const Place source, Locate(from));
  RL_ASSIGN_OR_RETURN(const Place target, Locate(to));
  if (source.inode == 0) return Failed(ENOENT, what);
  if (source.inode == target.inode) return Status::Ok();
  if (source.directory == 0 || target.directory == 0) return Failed(EINVAL, what);
  const SimNode* moved = cache_.Find(source.inode);
  const SimNode* replaced = cache_.Find(target.inode);
  if (replaced && (moved->is_directory || replaced->is_directory)) return Failed(EISDIR, what);
  if (moved->is_directory && source.directory != target.directory) return Failed(EXDEV, what);
  SimOp op;
  op.kind = SimOpKind::kRename;
  op.path = from;
  op.inode = source.inode;
  op.directory = source.directory;
  op.name = source.name;
  op.to_directory = target.directory;
  op.to_name = target.name;
  op.replaced = target.inode;
  ApplyEntryOp(op, &cache_);
  Record(std::move(op));
  if (target.inode != 0) {
    nameless_.insert(target.inode);
    DropIfClosed(target.inode);
  }
  return Status::Ok();
}

Status SimDisk::Remove(const std::string& path) {
  const Ticket ticket = Begin(SimCall::kRemove, path);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, "remove " + path);
  RL_ASSIGN_OR_RETURN(const Place place, Locate(path));
  if (place.inode == 0) return Failed(ENOENT, "remove " + path);
  if (cache_.Find(place.inode)->is_directory) return Failed(EISDIR, "remove " + path);
  SimOp op;
  op.kind = SimOpKind::kRemove;
  op.path = path;
  op.inode = place.inode;
  op.directory = place.directory;
  op.name = place.name;
  ApplyEntryOp(op, &cache_);
  Record(std::move(op));
  nameless_.insert(place.inode);
  DropIfClosed(place.inode);
  return Status::Ok();
}

Result<std::vector<std::string>> SimDisk::List(const std::string& directory) {
  const Ticket ticket = Begin(SimCall::kList, directory);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, "list " + directory);
  RL_ASSIGN_OR_RETURN(const Place place, Locate(directory));
  const SimNode* node = cache_.Find(place.inode);
  if (!node) return Failed(ENOENT, "list " + directory);
  if (!node->is_directory) return Failed(ENOTDIR, "list " + directory);
  std::vector<std::string> names;
  for (const auto& [name, inode] : node->entries) names.push_back(name);
  return names;
}

Status SimDisk::MakeDirectory(const std::string& path) {
  const Ticket ticket = Begin(SimCall::kMakeDirectory, path);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, "make directory " + path);
  RL_ASSIGN_OR_RETURN(const Place place, Locate(path));
  if (place.inode != 0) return Failed(EEXIST, "make directory " + path);
  MakeNode(SimOpKind::kMakeDirectory, path, place);
  return Status::Ok();
}

Status SimDisk::SyncDirectory(const std::string& directory) {
  const Ticket ticket = Begin(SimCall::kSyncDirectory, directory);
  const std::string what = "sync directory " + directory;
  RL_ASSIGN_OR_RETURN(const Place place, Locate(directory));
  const SimNode* node = cache_.Find(place.inode);
  if (!node) return Failed(ENOENT, what);
  if (!node->is_directory) return Failed(ENOTDIR, what);
  if (ticket.fault.lie) return Status::Ok();
  SimOp op;
  op.kind =
      ticket.fault.sys_errno == 0 ? SimOpKind::kSyncDirectory : SimOpKind::kSyncDirectoryFailed;
  op.path = directory;
  op.directory = place.inode;
  Record(std::move(op));
  return ticket.fault.sys_errno == 0 ? Status::Ok() : SyncFailed(ticket.fault.sys_errno, what);
}

Result<FileInfo> SimDisk::Info(const std::string& path) {
  const Ticket ticket = Begin(SimCall::kInfo, path);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, "stat " + path);
  RL_ASSIGN_OR_RETURN(const Place place, Locate(path));
  const SimNode* node = cache_.Find(place.inode);
  if (!node) return Failed(ENOENT, "stat " + path);
  return FileInfo{.device = options_.device,
                  .inode = place.inode,
                  .size = node->size,
                  .is_directory = node->is_directory};
}

void SimDisk::CloseProcess(uint64_t process) {
  const Guard lock(mutex_);
  for (auto at = handles_.begin(); at != handles_.end();) {
    const std::shared_ptr<Handle> handle = *at++;
    if (handle->process == process) Kill(*handle);
  }
}

uint64_t SimDisk::last_op() const {
  const Guard lock(mutex_);
  return last_op_;
}

const SimOp& SimDisk::operation(uint64_t sequence) const {
  const Guard lock(mutex_);
  RL_CHECK(options_.record && sequence >= 1 && sequence <= log_.size());
  return *log_[sequence - 1];
}

uint64_t SimDisk::Mark(uint64_t kind, uint64_t value) {
  const Guard lock(mutex_);
  SimOp op;
  op.kind = SimOpKind::kMark;
  op.mark_kind = kind;
  op.mark_value = value;
  return Record(std::move(op));
}

std::optional<uint64_t> SimDisk::LastMark(uint64_t kind, uint64_t at_op) const {
  const Guard lock(mutex_);
  const auto found = marks_.find(kind);
  if (found == marks_.end()) return std::nullopt;
  const auto after =
      std::upper_bound(found->second.begin(), found->second.end(), at_op,
                       [](uint64_t at, const SimOp* mark) { return at < mark->sequence; });
  if (after == found->second.begin()) return std::nullopt;
  return (*std::prev(after))->mark_value;
}

SimDurability& SimDisk::StateAt(uint64_t at_op) {
  RL_CHECK(options_.record && at_op <= last_op_);
  const auto after =
      std::upper_bound(checkpoints_.begin(), checkpoints_.end(), at_op,
                       [](uint64_t at, const Checkpoint& point) { return at < point.at_op; });
  const Checkpoint& nearest = *std::prev(after);
  if (!replay_ || replay_->at_op > at_op || replay_->at_op < nearest.at_op) replay_ = nearest;
  while (replay_->at_op < at_op) {
    replay_->state.Apply(log_[replay_->at_op]);
    ++replay_->at_op;
    if (replay_->at_op >= checkpoints_.back().at_op + kCheckpointOps) {
      checkpoints_.push_back(*replay_);
    }
  }
  return replay_->state;
}

std::unique_ptr<SimDisk> SimDisk::CrashState(uint64_t at_op, const CrashPolicy& policy,
                                             uint64_t seed) {
  const Guard lock(mutex_);
  return std::make_unique<SimDisk>(StateAt(at_op).Crash(policy, seed), options_);
}

void SimDisk::Crash(const CrashPolicy& policy, uint64_t seed) {
  const Guard lock(mutex_);
  while (!handles_.empty()) {
    const std::shared_ptr<Handle> handle = *handles_.begin();
    Kill(*handle);
  }
  cache_ = durability_.Crash(policy, seed);
  used_pages_ = cache_.UsedPages();
  durability_ = SimDurability(cache_);
  nameless_.clear();
  log_.clear();
  marks_.clear();
  last_op_ = 0;
  replay_.reset();
  checkpoints_.clear();
  if (options_.record) checkpoints_.push_back({0, durability_});
  ++power_cuts_;
  changed_.notify_all();
}

uint64_t SimDisk::AddFault(FaultRule rule) {
  const Guard lock(mutex_);
  return faults_.Add(std::move(rule));
}

bool SimDisk::RemoveFault(uint64_t id) {
  const Guard lock(mutex_);
  changed_.notify_all();
  return faults_.Remove(id);
}

void SimDisk::RemoveAllFaults() {
  const Guard lock(mutex_);
  faults_.Clear();
  changed_.notify_all();
}

uint64_t SimDisk::FaultHits(uint64_t id) const {
  const Guard lock(mutex_);
  return faults_.Hits(id);
}

size_t SimDisk::HungCalls() const {
  const Guard lock(mutex_);
  return hung_calls_;
}

void SimDisk::FlipBits(const std::string& path, uint64_t offset, uint8_t bits) {
  const Guard lock(mutex_);
  const auto place = Locate(path);
  RL_CHECK(place.ok() && place.value().inode != 0);
  const uint64_t inode = place.value().inode;
  for (SimContent* content : {&cache_.Find(inode)->content, durability_.DurableContent(inode)}) {
    uint8_t byte = 0;
    content->Read(offset, MutableBytes(&byte, 1));
    byte ^= bits;
    content->Write(offset, Bytes(&byte, 1));
  }
  used_pages_ = cache_.UsedPages();
}

void SimDisk::SetCapacity(uint64_t bytes) {
  const Guard lock(mutex_);
  options_.capacity_bytes = bytes;
}

uint64_t SimDisk::used_bytes() const {
  const Guard lock(mutex_);
  return used_pages_ * kSimPageBytes;
}

SimDiskStats SimDisk::stats() const {
  const Guard lock(mutex_);
  return stats_;
}

size_t SimDisk::open_files() const {
  const Guard lock(mutex_);
  return handles_.size();
}

void SimDisk::SetHooks(SimDiskHooks hooks) {
  const Guard lock(mutex_);
  hooks_ = std::move(hooks);
}

}  // namespace ringleader
