// Threads, robust mutexes and futex words of the real world.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <new>

#include "base/check.h"
#include "env/posix/posix_internal.h"

namespace ringleader {
namespace {

static_assert(sizeof(long) == 8, "SYS_futex takes a 64-bit time only on 64-bit systems");
static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free,
              "the kernel reads the word itself");

// --- mutexes -------------------------------------------------------------------------------------

// How a RobustMutex is used. The mark tells a mutex from memory that was never prepared or has been
// overwritten: to the C library a zeroed mutex is a valid one of the wrong kind, which would
// neither exclude other processes nor report a death. It is taken away from a mutex that the C
// library has given up, because its trylock leaves such a mutex locked and the next one would wait.
struct MutexLayout {
  pthread_mutex_t mutex;
  std::atomic<uint64_t> mark;
};
static_assert(sizeof(MutexLayout) <= sizeof(RobustMutex));
static_assert(alignof(MutexLayout) <= alignof(RobustMutex));

constexpr uint64_t kMutexMark = 0x7865'7475'6d2d'6c72;  // "rl-mutex"

MutexLayout& LayoutOf(RobustMutex& mutex) {
  return *std::launder(reinterpret_cast<MutexLayout*>(mutex.storage));
}

bool Usable(const MutexLayout& layout) {
  return layout.mark.load(std::memory_order_acquire) == kMutexMark;
}

// The outcome of a lock or trylock of the C library.
LockResult Outcome(MutexLayout& layout, int result) {
  if (result == 0) return LockResult::kLocked;
  if (result == EBUSY) return LockResult::kBusy;
  if (result == EOWNERDEAD && pthread_mutex_consistent(&layout.mutex) == 0) {
    return LockResult::kOwnerDied;
  }
  layout.mark.store(0, std::memory_order_release);
  return LockResult::kBroken;
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // "yield" takes no time at all on most cores
#endif
}

bool MayRunInParallel() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  // Fails where there are more processors than the set has room for.
  return sched_getaffinity(0, sizeof cpus, &cpus) != 0 || CPU_COUNT(&cpus) > 1;
}

#if defined(__SANITIZE_THREAD__)
#define RL_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RL_THREAD_SANITIZER 1
#endif
#endif

// Sleeps until the mutex is free. In slices: a kernel before 5.5 loses the wake-up when the thread
// that it has woken is killed before it takes the mutex, and the others would sleep for ever.
int LockSleeping(MutexLayout& layout) {
#ifdef RL_THREAD_SANITIZER
  // It takes EOWNERDEAD from the timed call for "not locked".
  return pthread_mutex_lock(&layout.mutex);
#else
  constexpr time_t kSliceSeconds = 1;
  while (Usable(layout)) {
    timespec until;
    RL_CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_sec += kSliceSeconds;
    const int result = pthread_mutex_timedlock(&layout.mutex, &until);
    if (result != ETIMEDOUT) return result;
  }
  return ENOTRECOVERABLE;
#endif
}

// --- threads -------------------------------------------------------------------------------------

// Blocks every signal but those that a thread brings upon itself by a fault: blocked, they kill the
// process without asking the handlers that write crash reports.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS}) {
      sigdelset(&signals, fault);
    }
    RL_CHECK(pthread_sigmask(SIG_SETMASK, &signals, &before_) == 0);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { RL_CHECK(pthread_sigmask(SIG_SETMASK, &before_, nullptr) == 0); }

 private:
  sigset_t before_;
};

class PosixThread : public Thread {
 public:
  PosixThread(const std::string& name, std::function<void()> body)
      : name_(name), body_(std::move(body)) {
    RL_CHECK(name.size() <= kMaxNameLength);
    // The new thread inherits the mask: there is no moment in which it could be interrupted.
    const SignalsBlocked blocked;
    RL_CHECK(pthread_create(&thread_, nullptr, &Run, this) == 0);
  }
  PosixThread(const PosixThread&) = delete;
  PosixThread& operator=(const PosixThread&) = delete;
  ~PosixThread() override { RL_CHECK(pthread_join(thread_, nullptr) == 0); }

 private:
  static constexpr size_t kMaxNameLength = 15;

  static void* Run(void* argument) {
    const auto* self = static_cast<PosixThread*>(argument);
    // By the thread itself: from outside it fails when the thread has ended already.
    pthread_setname_np(pthread_self(), self->name_.c_str());
    self->body_();
    return nullptr;
  }

  const std::string name_;
  const std::function<void()> body_;
  pthread_t thread_;
};

class PosixThreadsImpl : public Threads {
 public:
  void InitMutex(RobustMutex& mutex) override {
    pthread_mutexattr_t kind;
    RL_CHECK(pthread_mutexattr_init(&kind) == 0);
    RL_CHECK(pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
    RL_CHECK(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
    auto* layout = new (mutex.storage) MutexLayout;
    RL_CHECK(pthread_mutex_init(&layout->mutex, &kind) == 0);
    RL_CHECK(pthread_mutexattr_destroy(&kind) == 0);
    layout->mark.store(kMutexMark, std::memory_order_release);
  }

  LockResult Lock(RobustMutex& mutex) override {
    MutexLayout& layout = LayoutOf(mutex);
    if (!Usable(layout)) return LockResult::kBroken;
    int result = pthread_mutex_trylock(&layout.mutex);
    if (result == EBUSY) result = SpinToLock(layout.mutex);
    if (result == EBUSY) result = LockSleeping(layout);
    return Outcome(layout, result);
  }

  LockResult TryLock(RobustMutex& mutex) override {
    MutexLayout& layout = LayoutOf(mutex);
    if (!Usable(layout)) return LockResult::kBroken;
    return Outcome(layout, pthread_mutex_trylock(&layout.mutex));
  }

  void Unlock(RobustMutex& mutex) override {
    RL_CHECK(pthread_mutex_unlock(&LayoutOf(mutex).mutex) == 0);
  }

  void Wait(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_nanos) override {
    const timespec timeout = {.tv_sec = static_cast<time_t>(timeout_nanos / 1'000'000'000),
                              .tv_nsec = static_cast<long>(timeout_nanos % 1'000'000'000)};
    // Without FUTEX_PRIVATE_FLAG: the word is found by its page, whatever the address in a process.
    // All results mean the same to the caller, who looks at the word again.
    syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
  }

  void WakeAll(std::atomic<uint32_t>& word) override {
    syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  }

  std::unique_ptr<Thread> Spawn(const std::string& name, std::function<void()> body) override {
    return std::make_unique<PosixThread>(name, std::move(body));
  }

 private:
  // A critical section of the log takes one to two microseconds, a sleep and its wake-up tens of
  // them. At most 127 pauses, 2 us on the processors where a pause is short and 6 us where it is
  // long; they double so that the holder's cache line is left alone.
  int SpinToLock(pthread_mutex_t& mutex) const {
    if (!parallel_) return EBUSY;
    constexpr int kLongestPause = 64;
    for (int pauses = 1; pauses <= kLongestPause; pauses *= 2) {
      for (int i = 0; i < pauses; ++i) Pause();
      const int result = pthread_mutex_trylock(&mutex);
      if (result != EBUSY) return result;
    }
    return EBUSY;
  }

  const bool parallel_ = MayRunInParallel();
};

}  // namespace

Threads& PosixThreads() {
  static Threads& threads = *new PosixThreadsImpl();
  return threads;
}

}  // namespace ringleader
