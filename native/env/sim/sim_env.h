// A simulated host: one disk, one clock, one scheduler, shared memory, and processes on them.
//
//   SimWorld world({.seed = seed});
//   SimProcess& first = world.StartProcess();
//   ... Log::Open(first.env(), ...) ...
//   world.KillProcess(first);              // SIGKILL: memory stays, robust mutexes tell
//   world.PowerCut(CrashPolicy::Random(), seed);
//   SimProcess& second = world.StartProcess();
//
// Whoever runs code of a process on the main thread and then kills that process must not run its
// destructors: a killed process runs none. Release the objects instead (std::unique_ptr::release);
// running a destructor afterwards is harmless for files, mappings and threads, and wrong for
// whatever would unlock a mutex that is no longer held.
// Threads: as SimThreads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "env/env.h"
#include "env/sim/sim_clock.h"
#include "env/sim/sim_disk.h"
#include "env/sim/sim_memory.h"
#include "env/sim/sim_rng.h"
#include "env/sim/sim_threads.h"

namespace ringleader {

// Bits that follow from the seed.
class SimRandom : public Random {
 public:
  explicit SimRandom(uint64_t seed) : rng_(seed) {}
  void Fill(MutableBytes into) override;

 private:
  SimRng rng_;
};

class SimHost : public Host {
 public:
  SimHost(const HostIdentity& identity, uint32_t process_id)
      : identity_(identity), process_id_(process_id) {}
  HostIdentity Identity() override { return identity_; }
  uint32_t ProcessId() override { return process_id_; }

 private:
  const HostIdentity identity_;  // no process outlives its kernel
  const uint32_t process_id_;
};

// The disk as one process sees it: what it opens is closed when it is killed.
class SimProcessFiles : public FileSystem {
 public:
  SimProcessFiles(SimDisk& disk, uint64_t process) : disk_(disk), process_(process) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status MakeDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& directory) override;
  Result<FileInfo> Info(const std::string& path) override;

 private:
  SimDisk& disk_;
  const uint64_t process_;
};

class SimWorld;

class SimProcess {
 public:
  Env& env() { return env_; }
  uint64_t id() const { return id_; }
  bool alive() const { return alive_; }

 private:
  friend class SimWorld;
  SimProcess(SimWorld& world, uint64_t id, uint64_t seed, const HostIdentity& identity);

  const uint64_t id_;
  bool alive_ = true;
  SimProcessFiles files_;
  SimRandom random_;
  SimHost host_;
  Env env_;
};

struct SimWorldOptions {
  uint64_t seed = 1;
  SimDiskOptions disk = {};
  SimThreadsOptions threads = {};
};

class SimWorld {
 public:
  explicit SimWorld(const SimWorldOptions& options = {});
  // On a disk that exists, such as a crash state of another one; `options.disk` does not count.
  SimWorld(const SimWorldOptions& options, std::unique_ptr<SimDisk> disk);
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  SimClock& clock() { return clock_; }
  SimThreads& threads() { return threads_; }
  SimDisk& disk() { return *disk_; }
  SimSharedMemory& memory() { return memory_; }

  // `pid_namespace`: processes of another one share the disk and nothing they should rely on.
  SimProcess& StartProcess(uint64_t pid_namespace = 1);
  void KillProcess(SimProcess& process);
  // All processes die, the disk loses what it may lose, and the host comes up again. From the main
  // thread only.
  void PowerCut(const CrashPolicy& policy, uint64_t seed);
  // An orderly restart: nothing on the disk is lost, memory is.
  void Reboot();

 private:
  void KillAll();
  void NewBoot();

  SimRng rng_;
  SimClock clock_;
  SimThreads threads_;
  const std::unique_ptr<SimDisk> disk_;
  SimSharedMemory memory_;
  HostIdentity identity_;
  std::vector<std::unique_ptr<SimProcess>> processes_;
};

}  // namespace ringleader
