#include "env/sim/sim_file.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace ringleader {
namespace {

// Content is a flat table of pages: a wild offset shall fail instead of eating the memory.
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 34;

bool TooBig(uint64_t offset, uint64_t size) {
  return size > kMaxFileBytes || offset > kMaxFileBytes - size;
}

Status DiskGone() { return Status(Code::kIo, "the simulated disk is gone", EIO); }

}  // namespace

SimFile::~SimFile() {
  if (handle_->disk) handle_->disk->Close(*handle_);
}

Result<size_t> SimFile::ReadAt(uint64_t offset, MutableBytes into) {
  if (!handle_->disk) return DiskGone();
  return handle_->disk->Read(*handle_, offset, into);
}

Status SimFile::WriteAt(uint64_t offset, Bytes from) {
  return handle_->disk ? handle_->disk->Write(*handle_, offset, from) : DiskGone();
}

Status SimFile::SyncData() { return handle_->disk ? handle_->disk->Sync(*handle_) : DiskGone(); }

Status SimFile::Allocate(uint64_t offset, uint64_t size) {
  return handle_->disk ? handle_->disk->Allocate(*handle_, offset, size) : DiskGone();
}

Status SimFile::Truncate(uint64_t size) {
  return handle_->disk ? handle_->disk->Truncate(*handle_, size) : DiskGone();
}

Result<uint64_t> SimFile::Size() {
  if (!handle_->disk) return DiskGone();
  return handle_->disk->Size(*handle_);
}

Status SimFile::Lock(uint64_t byte, bool exclusive) {
  return handle_->disk ? handle_->disk->LockByte(*handle_, byte, exclusive, true) : DiskGone();
}

Status SimFile::TryLock(uint64_t byte, bool exclusive) {
  return handle_->disk ? handle_->disk->LockByte(*handle_, byte, exclusive, false) : DiskGone();
}

Status SimFile::Unlock(uint64_t byte) {
  return handle_->disk ? handle_->disk->UnlockByte(*handle_, byte) : DiskGone();
}

Result<size_t> SimDisk::Read(Handle& handle, uint64_t offset, MutableBytes into) {
  const Ticket ticket = Begin(SimCall::kRead, handle.path, offset, into.size());
  const FaultVerdict& fault = ticket.fault;
  if (!handle.alive) return Failed(EIO, "read " + handle.path);
  if (fault.sys_errno != 0) return Failed(fault.sys_errno, "read " + handle.path);
  const SimNode& node = *cache_.Find(handle.inode);
  if (offset >= node.size) return size_t{0};
  const size_t size = std::min<uint64_t>(into.size(), node.size - offset);
  node.content.Read(offset, into.first(size));
  if (fault.flip && fault.flip_at - offset < size) into[fault.flip_at - offset] ^= 1;
  stats_.bytes_read += size;
  return size;
}

Status SimDisk::Write(Handle& handle, uint64_t offset, Bytes from) {
  const Ticket ticket = Begin(SimCall::kWrite, handle.path, offset, from.size());
  const FaultVerdict& fault = ticket.fault;
  const std::string what = "write " + handle.path;
  if (!handle.alive) return Failed(EIO, what);
  if (!handle.writable) return Failed(EBADF, what);
  if (TooBig(offset, from.size())) return Failed(EFBIG, what);
  uint64_t room = RoomFor(*cache_.Find(handle.inode), offset, from.size());
  if (fault.sys_errno != 0) room = std::min(room, fault.written);
  WriteBytes(handle, offset, from.first(room), !fault.lose);
  if (fault.misdirect) Misdirect(handle, offset, from.first(room), fault.shift);
  if (fault.sys_errno != 0) return Failed(fault.sys_errno, what);
  // A full disk shows as a short write first; WriteAt goes on and then learns of it.
  return room < from.size() ? Failed(ENOSPC, what) : Status::Ok();
}

void SimDisk::WriteBytes(const Handle& handle, uint64_t offset, Bytes from, bool reaches_disk) {
  if (from.empty()) return;
  SimOp op;
  op.kind = SimOpKind::kWrite;
  op.path = handle.path;
  op.inode = handle.inode;
  op.offset = offset;
  op.size = from.size();
  op.never_reaches_disk = !reaches_disk;
  if (!AllZero(from)) op.data.assign(from.begin(), from.end());
  ChangeFile(std::move(op));
  stats_.bytes_written += from.size();
}

void SimDisk::Misdirect(const Handle& handle, uint64_t offset, Bytes from, int64_t shift) {
  const uint64_t size = cache_.Find(handle.inode)->size;
  const uint64_t landing = offset + static_cast<uint64_t>(shift);
  if (landing >= size) return;  // in front of the file or behind it: in another one
  const Bytes inside = from.first(std::min<uint64_t>(from.size(), size - landing));
  if (RoomFor(*cache_.Find(handle.inode), landing, inside.size()) < inside.size()) return;
  WriteBytes(handle, landing, inside, true);
}

void SimDisk::WriteBack(uint64_t inode, Bytes bytes) {
  const Guard lock(mutex_);
  const SimNode* node = cache_.Find(inode);
  if (!node || nameless_.contains(inode)) return;
  SimOp op;
  op.kind = SimOpKind::kWrite;
  op.path = "mapped memory";
  op.inode = inode;
  op.size = RoomFor(*node, 0, std::min<uint64_t>(bytes.size(), node->size));
  if (op.size == 0) return;
  op.data.assign(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(op.size));
  ChangeFile(std::move(op));
}

Status SimDisk::Sync(Handle& handle) {
  const Ticket ticket = Begin(SimCall::kSyncData, handle.path);
  const int sys_errno = ticket.fault.sys_errno;
  const std::string what = "sync " + handle.path;
  if (!handle.alive) return Failed(EIO, what);
  if (ticket.fault.lie) return Status::Ok();
  SimOp op;
  op.kind = sys_errno == 0 ? SimOpKind::kSyncData : SimOpKind::kSyncFailed;
  op.path = handle.path;
  op.inode = handle.inode;
  Record(std::move(op));
  return sys_errno == 0 ? Status::Ok() : SyncFailed(sys_errno, what);
}

Status SimDisk::Allocate(Handle& handle, uint64_t offset, uint64_t size) {
  const Ticket ticket = Begin(SimCall::kAllocate, handle.path, offset, size);
  const std::string what = "allocate " + handle.path;
  if (!handle.alive) return Failed(EIO, what);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, what);
  if (!handle.writable) return Failed(EBADF, what);
  if (size == 0) return Failed(EINVAL, what);
  if (TooBig(offset, size)) return Failed(EFBIG, what);
  if (RoomFor(*cache_.Find(handle.inode), offset, size) < size) return Failed(ENOSPC, what);
  SimOp op;
  op.kind = SimOpKind::kAllocate;
  op.path = handle.path;
  op.inode = handle.inode;
  op.offset = offset;
  op.size = size;
  ChangeFile(std::move(op));
  return Status::Ok();
}

Status SimDisk::Truncate(Handle& handle, uint64_t size) {
  const Ticket ticket = Begin(SimCall::kTruncate, handle.path);
  const std::string what = "truncate " + handle.path;
  if (!handle.alive) return Failed(EIO, what);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, what);
  if (!handle.writable) return Failed(EINVAL, what);
  if (TooBig(size, 0)) return Failed(EFBIG, what);
  SimOp op;
  op.kind = SimOpKind::kTruncate;
  op.path = handle.path;
  op.inode = handle.inode;
  op.offset = size;
  ChangeFile(std::move(op));
  return Status::Ok();
}

Result<uint64_t> SimDisk::Size(Handle& handle) {
  const Ticket ticket = Begin(SimCall::kSize, handle.path);
  if (!handle.alive) return Failed(EIO, "size of " + handle.path);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, "size of " + handle.path);
  return cache_.Find(handle.inode)->size;
}

void SimDisk::ChangeFile(SimOp op) {
  SimNode* node = cache_.Find(op.inode);
  RL_CHECK(node != nullptr);
  const uint64_t before = node->content.used_pages();
  ApplyContentOp(op, &node->content);
  node->size = SizeAfter(op, node->size);
  used_pages_ = used_pages_ - before + node->content.used_pages();
  Record(std::move(op));
}

uint64_t SimDisk::RoomFor(const SimNode& node, uint64_t offset, uint64_t size) const {
  const uint64_t capacity = options_.capacity_bytes / kSimPageBytes;
  uint64_t free = capacity > used_pages_ ? capacity - used_pages_ : 0;
  if (node.content.HolesIn(offset, size) <= free) return size;
  uint64_t room = 0;
  while (room < size) {
    if (node.content.HolesIn(offset + room, 1) > 0 && free-- == 0) break;
    room += kSimPageBytes - (offset + room) % kSimPageBytes;
  }
  return std::min(room, size);
}

bool SimDisk::Conflicting(const ByteLock& lock, const Handle& handle, bool exclusive) const {
  if (lock.exclusive && lock.exclusive != &handle) return true;
  if (!exclusive) return false;
  return lock.shared.size() > (lock.shared.contains(&handle) ? 1 : 0);
}

Status SimDisk::LockByte(Handle& handle, uint64_t byte, bool exclusive, bool wait) {
  Ticket ticket = Begin(SimCall::kLock, handle.path, byte, 1);
  const std::string what = "lock byte " + std::to_string(byte) + " of " + handle.path;
  if (!handle.alive) return Failed(EIO, what);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, what);
  if (exclusive && !handle.writable) return Failed(EBADF, what);
  const std::pair<uint64_t, uint64_t> key(handle.inode, byte);
  const auto free = [&] { return !handle.alive || !Conflicting(locks_[key], handle, exclusive); };
  if (!wait && !free()) return Status(Code::kBusy, what + ": held by another file");
  WaitUntil(ticket.lock, what, true, free);
  if (!handle.alive) return Failed(EIO, what);
  ByteLock& held = locks_[key];
  if (exclusive) {
    held.shared.erase(&handle);
    held.exclusive = &handle;
  } else {
    if (held.exclusive == &handle) held.exclusive = nullptr;
    held.shared.insert(&handle);
    changed_.notify_all();
  }
  return Status::Ok();
}

Status SimDisk::UnlockByte(Handle& handle, uint64_t byte) {
  const Ticket ticket = Begin(SimCall::kLock, handle.path, byte, 1);
  if (!handle.alive) return Failed(EIO, "unlock " + handle.path);
  if (ticket.fault.sys_errno != 0) return Failed(ticket.fault.sys_errno, "unlock " + handle.path);
  ByteLock& held = locks_[{handle.inode, byte}];
  if (held.exclusive == &handle) held.exclusive = nullptr;
  held.shared.erase(&handle);
  changed_.notify_all();
  return Status::Ok();
}

void SimDisk::Close(Handle& handle) {
  const Guard lock(mutex_);
  if (handle.alive) Kill(handle);
}

void SimDisk::Kill(Handle& handle) {
  handle.alive = false;
  for (auto& [key, lock] : locks_) {
    if (lock.exclusive == &handle) lock.exclusive = nullptr;
    lock.shared.erase(&handle);
  }
  std::erase_if(locks_, [](const auto& entry) {
    return !entry.second.exclusive && entry.second.shared.empty();
  });
  std::erase_if(handles_, [&](const auto& other) { return other.get() == &handle; });
  DropIfClosed(handle.inode);
  changed_.notify_all();
}

void SimDisk::DropIfClosed(uint64_t inode) {
  if (!nameless_.contains(inode)) return;
  for (const std::shared_ptr<Handle>& handle : handles_) {
    if (handle->inode == inode) return;
  }
  used_pages_ -= cache_.Find(inode)->content.used_pages();
  cache_.nodes.erase(inode);
  nameless_.erase(inode);
}

}  // namespace ringleader
