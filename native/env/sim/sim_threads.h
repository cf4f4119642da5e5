// A deterministic scheduler: the threads are real, but exactly one of them runs at a time.
//
// The running thread holds the baton. It hands it on only at scheduling points: every call of the
// Threads interface, every call of a SimDisk of the same world, and SchedulingPoint(). Who goes on
// is drawn from the seed, so a seed and a program name one schedule, and trace_hash() tells whether
// two runs took the same one. Code between two points runs undisturbed: data races are not found
// here but by ThreadSanitizer on real threads.
//
// Time is the SimClock's; a scheduling point takes a little of it. A wait ends when its deadline
// has passed; when nobody can run, the clock jumps to the earliest deadline. When nobody can run
// and nobody waits for a time, that is a deadlock: every thread's name and what it waits for go to
// stderr, and the program aborts.
//
// The thread that makes a SimThreads is its main thread: a thread like the others that cannot be
// killed. It may act for several processes in turn. While it is alone, a scheduling point is a
// counter.
//
// Death. KillProcess stops the threads of a process where they stand, which is at a scheduling
// point. They are parked: never scheduled again, their stacks kept until the program ends, because
// a killed process runs no destructors and code without exceptions cannot be unwound. Mutexes they
// hold answer kOwnerDied to the next locker. Each killed thread therefore costs a sleeping thread;
// campaigns with many thousands of kills spread them over several programs. A thread inside a hung
// disk call is in the state that no signal ends: it keeps its mutexes, and its process keeps its
// files and their locks, until the disk lets it go; then it dies. Threads: only the main thread and
// those it has spawned, directly or not. An exception that leaves a spawned thread, such as a
// failed CHECK of a test, ends the program.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "env/sim/sim_clock.h"
#include "env/sim/sim_rng.h"
#include "env/threads.h"

namespace ringleader {

struct SimThreadsOptions {
  // How many of the waits return at once without a reason.
  double spurious_wakeups = 0;
  // How much time passes at a scheduling point. With 0 a thread that never sleeps keeps those that
  // do asleep for ever.
  uint64_t point_nanos = 100;
  // Aborts after that many scheduling points: a loop that never ends is a failure, not a hang.
  uint64_t max_points = uint64_t{1} << 24;
};

class SimThreads {
 public:
  SimThreads(SimClock& clock, uint64_t seed, SimThreadsOptions options = {});
  // Parks whatever still runs.
  ~SimThreads();
  SimThreads(const SimThreads&) = delete;
  SimThreads& operator=(const SimThreads&) = delete;

  // The threads and mutexes of one simulated process; lives as long as this.
  Threads& ForProcess(uint64_t process);

  // Lets another thread go on, perhaps.
  void SchedulingPoint();
  void Sleep(uint64_t nanos);
  // Blocks the caller until `ready()`, which is called by whichever thread runs. A wait that is not
  // `killable` outlives the death of its process.
  void WaitUntil(const std::string& what, const std::function<bool()>& ready, bool killable);

  // The caller may be a thread of that process; then the call does not return.
  void KillProcess(uint64_t process);
  // The same at the process's `points`-th scheduling point from now on, counting those of its
  // spawned threads.
  void KillAfter(uint64_t process, uint64_t points);
  // Called once no thread of a killed process is left, before any other thread goes on.
  void SetProcessExit(std::function<void(uint64_t process)> process_exit);
  // Memory goes away: no mutex in it is held any longer.
  void ForgetMutexes(const uint8_t* memory, size_t size);

  uint64_t trace_hash() const { return trace_hash_; }
  uint64_t points() const { return points_; }
  // Threads of the whole program that have been killed and are kept asleep.
  static size_t ParkedThreads();

 private:
  struct Task;
  struct Mutex;
  struct Held {
    Mutex* mutex;
    const Task* holder;
    uint64_t process;
  };
  class ProcessThreads;
  class SpawnedThread;
  enum class Point : uint8_t { kStep, kLock, kUnlock, kWait, kWake, kSpawn, kJoin, kEnd, kKill };

  LockResult Lock(RobustMutex& storage, uint64_t process, bool wait);
  void Unlock(RobustMutex& storage);
  void Wait(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_nanos);
  void WakeAll(std::atomic<uint32_t>& word);
  std::unique_ptr<Thread> Spawn(const std::string& name, uint64_t process,
                                std::function<void()> body);
  void Join(Task* task);

  Task& Self();
  Task& Main() { return *tasks_.front(); }
  bool IsHeld(const Mutex& mutex) const;
  // Start of every call that can block; the caller may be killed here.
  Task& Enter(Point point);
  void Step(Point point);
  // Hands the baton to whoever is next; returns when the caller has it again.
  void Switch(Task& self);
  Task* PickNext();
  bool CanRun(const Task& task) const;
  static void* ThreadBody(void* argument);  // a Task
  void Park(Task* task);
  // Those that match get an owner that died.
  void AbandonMutexes(const std::function<bool(const Held&)>& matches);
  void BuryDying();
  void ExitIfGone(uint64_t process);
  void CountDown(const Task& self);
  void Trace(Point point, const Task& task);
  [[noreturn]] void Report(const char* headline) const;

  SimClock& clock_;
  SimRng rng_;
  const std::thread::id main_thread_ = std::this_thread::get_id();
  const SimThreadsOptions options_;
  std::vector<std::unique_ptr<Task>> tasks_;  // those alive; the main thread first
  uint64_t next_task_ = 0;
  std::vector<Held> held_;
  std::map<uint64_t, uint64_t> kill_after_;
  std::map<uint64_t, std::unique_ptr<ProcessThreads>> processes_;
  std::function<void(uint64_t)> process_exit_;
  uint64_t points_ = 0;
  uint64_t trace_hash_ = 0xcbf29ce484222325;
};

}  // namespace ringleader
