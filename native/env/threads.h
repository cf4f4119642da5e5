// Threads, and the two ways in which they meet: robust mutexes and waiting on a word.
//
// Both kinds of object live in shared memory and are used by threads of many processes, any of
// which may die at any instruction. A mutex therefore reports the death of its holder to the next
// one who takes it; a waiter always has a time limit, because the death of whoever would have woken
// it wakes nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace ringleader {

// Storage of a mutex in shared memory: 64 bytes, of which the implementation uses what it needs.
struct alignas(64) RobustMutex {
  uint8_t storage[64];
};

enum class LockResult : uint8_t {
  kLocked,
  kOwnerDied,  // locked, but what it guards may be half-changed: repair it, then go on
  kBusy,       // TryLock only: somebody else has it
  kBroken,     // unusable: the shared memory it lies in has been damaged
};

// A running thread; destruction joins it.
class Thread {
 public:
  virtual ~Thread() = default;
};

class Threads {
 public:
  virtual ~Threads() = default;

  // Prepares a mutex in zeroed shared memory, once, before anybody else can see it.
  virtual void InitMutex(RobustMutex& mutex) = 0;
  // After kOwnerDied the mutex is already marked consistent: a thread that dies during the repair
  // makes the next one see kOwnerDied again. Not recursive.
  virtual LockResult Lock(RobustMutex& mutex) = 0;
  virtual LockResult TryLock(RobustMutex& mutex) = 0;
  virtual void Unlock(RobustMutex& mutex) = 0;

  // Sleeps while *word == expected, until Wake, at most `timeout_nanos`; may return early without
  // a reason. Works across processes.
  virtual void Wait(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_nanos) = 0;
  virtual void WakeAll(std::atomic<uint32_t>& word) = 0;

  // `name`: at most 15 characters. The new thread has all signals blocked but those of its own
  // faults (SIGSEGV and its like): handlers run on the application's threads.
  virtual std::unique_ptr<Thread> Spawn(const std::string& name, std::function<void()> body) = 0;
};

}  // namespace ringleader
