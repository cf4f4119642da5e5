// A disk in memory that can lose power, fail, fill up, lie and hang.
//
// SimDisk is a FileSystem. It keeps the operations that changed it, in order, and builds from them
// the disk as a power cut after any of them might have left it (sim_crash.h has the rules):
//
//   SimDisk disk;
//   ... run the code under test; disk.Mark(kAcked, lsn) wherever it promises something ...
//   for (uint64_t at = 0; at <= disk.last_op(); ++at) {
//     std::unique_ptr<SimDisk> after = disk.CrashState(at, CrashPolicy::Random(), seed);
//     ... recover on *after, expect everything up to disk.LastMark(kAcked, at) ...
//   }
//
// On the new disk everything is durable and its log of operations is empty, so the recovery itself
// can be crashed in the same way. What such a disk shares with its origin never changes: the two
// may be used by different threads.
//
// Paths: "a/b", "/a/b" and "./a//b" are the same; ".." is not supported. Directories cannot be
// removed, and be renamed only to a free name in the directory they are in.
// Threads: safe from any thread. Calls that wait (locks, hung calls) wait through the hooks, which
// a SimWorld sets to its scheduler; without hooks they block the calling thread.
#pragma once

#include <array>
#include <condition_variable>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/file.h"
#include "env/sim/sim_crash.h"
#include "env/sim/sim_faults.h"
#include "env/sim/sim_image.h"

namespace ringleader {

struct SimDiskStats {
  std::array<uint64_t, static_cast<size_t>(SimCall::kCount)> calls{};
  uint64_t failed_calls = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;

  uint64_t Calls(SimCall call) const { return calls[static_cast<size_t>(call)]; }
};

// How a disk joins a simulated world. Called without any lock of the disk held.
struct SimDiskHooks {
  // At the start of every call: a place where another thread may go on.
  std::function<void()> step = {};
  // Returns once `ready()` is true. `what` is for deadlock reports. Where not `killable`, the
  // caller outlives the death of its process until then.
  std::function<void(const std::string& what, const std::function<bool()>& ready, bool killable)>
      wait_until = {};
  // Spends simulated time; without it a fault rule cannot delay.
  std::function<void(uint64_t nanos)> delay = {};
};

struct SimDiskOptions {
  uint64_t capacity_bytes = std::numeric_limits<uint64_t>::max();  // in whole pages of 4 KiB
  uint64_t device = 1;                                             // as FileInfo reports it
  uint64_t seed = 1;   // of fault rules that have a probability
  bool record = true;  // false: no log of operations, no CrashState; Crash works
};

class SimDisk : public FileSystem {
 public:
  explicit SimDisk(SimDiskOptions options = {});
  // A disk that durably holds `image`.
  SimDisk(SimImage image, SimDiskOptions options);
  ~SimDisk() override;
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status MakeDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& directory) override;
  Result<FileInfo> Info(const std::string& path) override;

  // The same, for a process that CloseProcess can end.
  Result<std::unique_ptr<File>> OpenAs(uint64_t process, const std::string& path, OpenMode mode);
  // What the kernel does when a process dies: closes its files and drops their locks. The File
  // objects stay and answer every call with kIo.
  void CloseProcess(uint64_t process);

  // Operations are numbered from 1; 0 is the state before the first.
  uint64_t last_op() const;
  const SimOp& operation(uint64_t sequence) const;
  // Notes something in the order of operations; it gets a number like them.
  uint64_t Mark(uint64_t kind, uint64_t value);
  // The value of the last mark of that kind among the operations up to `at_op`.
  std::optional<uint64_t> LastMark(uint64_t kind, uint64_t at_op) const;
  // The disk as a power cut right after operation `at_op` may leave it; the same seed and policy
  // leave the same disk. Quickest when `at_op` does not go back.
  std::unique_ptr<SimDisk> CrashState(uint64_t at_op, const CrashPolicy& policy, uint64_t seed);
  // The power cut here and now: open Files answer kIo for ever, locks are gone, the log of
  // operations starts again.
  void Crash(const CrashPolicy& policy, uint64_t seed);

  // See sim_faults.h. Crash states have no rules. Removing a rule lets the calls go on that hang on
  // it.
  uint64_t AddFault(FaultRule rule);
  bool RemoveFault(uint64_t id);
  void RemoveAllFaults();
  uint64_t FaultHits(uint64_t id) const;
  // How many calls hang.
  size_t HungCalls() const;

  // What the kernel does with mapped pages: the bytes of a file are `bytes`, unflushed. No call, so
  // no fault rule and no scheduling point; nothing where the file has no name any more.
  void WriteBack(uint64_t inode, Bytes bytes);
  // Flips bits behind everybody's back, in the cache and on the disk: bit rot. RL_CHECKs the path.
  void FlipBits(const std::string& path, uint64_t offset, uint8_t bits);

  void SetCapacity(uint64_t bytes);
  uint64_t used_bytes() const;
  SimDiskStats stats() const;
  size_t open_files() const;
  void SetHooks(SimDiskHooks hooks);

 private:
  friend class SimFile;
  struct Handle;
  using Guard = std::unique_lock<std::mutex>;
  struct ByteLock {
    const Handle* exclusive = nullptr;
    std::set<const Handle*> shared;
  };
  // Where a path leads.
  struct Place {
    uint64_t directory = 0;
    std::string name;    // empty: the root
    uint64_t inode = 0;  // 0: nothing of that name
  };
  struct Checkpoint {
    uint64_t at_op;
    SimDurability state;
  };

  Result<size_t> Read(Handle& handle, uint64_t offset, MutableBytes into);
  Status Write(Handle& handle, uint64_t offset, Bytes from);
  Status Sync(Handle& handle);
  Status Allocate(Handle& handle, uint64_t offset, uint64_t size);
  Status Truncate(Handle& handle, uint64_t size);
  Result<uint64_t> Size(Handle& handle);
  Status LockByte(Handle& handle, uint64_t byte, bool exclusive, bool wait);
  Status UnlockByte(Handle& handle, uint64_t byte);
  void Close(Handle& handle);

  // What a call has from its start on: the mutex, and what the fault rules want of it.
  struct Ticket {
    Guard lock;
    FaultVerdict fault;
  };
  // Start of every call: scheduling point, statistics, delays and hangs.
  Ticket Begin(SimCall call, const std::string& path, uint64_t offset = 0, uint64_t size = 0,
               const std::string& other_path = std::string());
  Status Failed(int sys_errno, const std::string& what);
  Status SyncFailed(int sys_errno, const std::string& what);
  void WaitUntil(Guard& lock, const std::string& what, bool killable,
                 const std::function<bool()>& ready);
  Result<Place> Locate(const std::string& path) const;
  uint64_t Record(SimOp op);
  uint64_t MakeNode(SimOpKind kind, const std::string& path, const Place& place);
  // Page cache and log of operations in one step.
  void ChangeFile(SimOp op);
  void WriteBytes(const Handle& handle, uint64_t offset, Bytes from, bool reaches_disk);
  void Misdirect(const Handle& handle, uint64_t offset, Bytes from, int64_t shift);
  uint64_t RoomFor(const SimNode& node, uint64_t offset, uint64_t size) const;
  bool Conflicting(const ByteLock& lock, const Handle& handle, bool exclusive) const;
  void Kill(Handle& handle);
  void DropIfClosed(uint64_t inode);
  SimDurability& StateAt(uint64_t at_op);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  SimDiskOptions options_;
  SimDiskHooks hooks_;
  SimImage cache_;  // what callers see
  uint64_t used_pages_ = 0;
  SimDurability durability_;
  uint64_t last_op_ = 0;
  std::vector<SimOpPointer> log_;
  std::map<uint64_t, std::vector<const SimOp*>> marks_;
  std::vector<Checkpoint> checkpoints_;
  std::optional<Checkpoint> replay_;
  std::set<std::shared_ptr<Handle>> handles_;
  std::set<uint64_t> nameless_;  // inodes that live only as long as a file is open
  std::map<std::pair<uint64_t, uint64_t>, ByteLock> locks_;  // by inode and byte
  SimFaults faults_;
  size_t hung_calls_ = 0;
  uint64_t power_cuts_ = 0;
  SimDiskStats stats_;
};

}  // namespace ringleader
