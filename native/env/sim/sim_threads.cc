#include "env/sim/sim_threads.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <thread>

#include "base/check.h"

namespace ringleader {
namespace {

constexpr uint32_t kMutexMagic = 0x786d6973;  // "simx"
constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
// An eighth of the usual: killed threads keep their stacks.
constexpr size_t kStackBytes = size_t{1} << 20;

}  // namespace

// Touched only by whoever holds the baton, except for the three members that pass it.
struct SimThreads::Task {
  enum class State : uint8_t {
    kRunnable,
    kLocking,  // until the mutex is free
    kWaiting,  // until woken or the deadline
    kBlocked,  // until ready()
    kJoining,  // until the other task has ended
    kEnded,
  };

  uint64_t id = 0;
  uint64_t process = 0;
  std::string name;
  State state = State::kRunnable;
  std::string what;  // it waits for
  const Mutex* mutex = nullptr;
  const void* word = nullptr;
  uint64_t deadline = kNever;
  std::function<bool()> ready;
  const Task* joined = nullptr;
  bool killable = true;
  bool dying = false;   // killed, but inside a call that no signal ends
  bool parked = false;  // for ever
  std::function<void()> body;
  pthread_t thread{};
  SimThreads* scheduler = nullptr;

  std::mutex baton_mutex;
  std::condition_variable baton_passed;
  bool has_baton = false;

  void Give() {
    // Notified under the mutex: the receiver may destroy this as soon as it runs.
    const std::lock_guard lock(baton_mutex);
    has_baton = true;
    baton_passed.notify_one();
  }
  void Await() {
    std::unique_lock lock(baton_mutex);
    baton_passed.wait(lock, [this] { return has_baton; });
    has_baton = false;
  }
};

// How a RobustMutex looks inside. The memory may have been scribbled on: `magic` and `holder` are
// believed only as far as they fit.
struct SimThreads::Mutex {
  uint32_t magic;
  uint32_t owner_died;
  uint64_t holder;  // task id + 1; 0 = free

  static Mutex& In(RobustMutex& storage) {
    static_assert(sizeof(Mutex) <= sizeof storage.storage);
    return *reinterpret_cast<Mutex*>(storage.storage);
  }
};

namespace {

// Which task the running thread is. The main thread has none: it may belong to several schedulers.
thread_local const void* t_scheduler = nullptr;
thread_local void* t_task = nullptr;

}  // namespace

class SimThreads::ProcessThreads : public Threads {
 public:
  ProcessThreads(SimThreads* threads, uint64_t process) : threads_(threads), process_(process) {}

  void InitMutex(RobustMutex& mutex) override {
    Mutex::In(mutex) = {.magic = kMutexMagic, .owner_died = 0, .holder = 0};
  }
  LockResult Lock(RobustMutex& mutex) override { return threads_->Lock(mutex, process_, true); }
  LockResult TryLock(RobustMutex& mutex) override { return threads_->Lock(mutex, process_, false); }
  void Unlock(RobustMutex& mutex) override { threads_->Unlock(mutex); }
  void Wait(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_nanos) override {
    threads_->Wait(word, expected, timeout_nanos);
  }
  void WakeAll(std::atomic<uint32_t>& word) override { threads_->WakeAll(word); }
  std::unique_ptr<Thread> Spawn(const std::string& name, std::function<void()> body) override {
    return threads_->Spawn(name, process_, std::move(body));
  }

 private:
  SimThreads* const threads_;
  const uint64_t process_;
};

class SimThreads::SpawnedThread : public Thread {
 public:
  SpawnedThread(SimThreads* threads, Task* task) : threads_(threads), task_(task) {}
  ~SpawnedThread() override {
    // A parked task is never freed, so this is safe even after the scheduler's end.
    if (!task_->parked) threads_->Join(task_);
  }

 private:
  SimThreads* const threads_;
  Task* const task_;
};

SimThreads::SimThreads(SimClock& clock, uint64_t seed, SimThreadsOptions options)
    : clock_(clock), rng_(seed), options_(options) {
  auto main = std::make_unique<Task>();
  main->id = next_task_++;
  main->name = "main";
  tasks_.push_back(std::move(main));
}

Threads& SimThreads::ForProcess(uint64_t process) {
  std::unique_ptr<ProcessThreads>& view = processes_[process];
  if (!view) view = std::make_unique<ProcessThreads>(this, process);
  return *view;
}

SimThreads::~SimThreads() {
  held_.clear();  // the memory they lie in may be gone already
  while (tasks_.size() > 1) Park(tasks_.back().get());
}

SimThreads::Task& SimThreads::Self() {
  if (t_scheduler == this) return *static_cast<Task*>(t_task);
  RL_CHECK(std::this_thread::get_id() == main_thread_);
  return Main();
}

void SimThreads::Trace(Point point, const Task& task) {
  constexpr uint64_t kFnvPrime = 0x100000001b3;
  trace_hash_ = (trace_hash_ ^ static_cast<uint64_t>(point)) * kFnvPrime;
  trace_hash_ = (trace_hash_ ^ task.id) * kFnvPrime;
}

SimThreads::Task& SimThreads::Enter(Point point) {
  Task& self = Self();
  Trace(point, self);
  if (++points_ > options_.max_points) Report("too many scheduling points");
  clock_.Advance(options_.point_nanos);
  CountDown(self);
  return self;
}

void SimThreads::Step(Point point) {
  Task& self = Enter(point);
  if (tasks_.size() > 1) Switch(self);
}

void SimThreads::CountDown(const Task& self) {
  if (kill_after_.empty() || &self == &Main()) return;
  const auto found = kill_after_.find(self.process);
  if (found == kill_after_.end() || --found->second > 0) return;
  kill_after_.erase(found);
  KillProcess(self.process);
}

void SimThreads::Switch(Task& self) {
  Task* next = PickNext();
  if (next != &self) {
    next->Give();
    self.Await();
  }
  self.state = Task::State::kRunnable;
}

bool SimThreads::CanRun(const Task& task) const {
  if (task.dying) return false;
  switch (task.state) {
    case Task::State::kRunnable:
      return true;
    case Task::State::kLocking:
      return task.mutex->holder == 0;
    case Task::State::kWaiting:
      return task.deadline <= clock_.Now();
    case Task::State::kBlocked:
      return task.ready();
    case Task::State::kJoining:
      return task.joined->state == Task::State::kEnded || task.joined->parked;
    case Task::State::kEnded:
      return false;
  }
  return false;
}

SimThreads::Task* SimThreads::PickNext() {
  std::vector<Task*> candidates;
  for (;;) {
    BuryDying();
    for (const std::unique_ptr<Task>& task : tasks_) {
      if (CanRun(*task)) candidates.push_back(task.get());
    }
    if (!candidates.empty()) return candidates[rng_.Below(candidates.size())];
    uint64_t earliest = kNever;
    for (const std::unique_ptr<Task>& task : tasks_) {
      if (task->state == Task::State::kWaiting) earliest = std::min(earliest, task->deadline);
    }
    if (earliest == kNever) Report("deadlock");
    clock_.AdvanceTo(earliest);
  }
}

void SimThreads::Report(const char* headline) const {
  std::fprintf(stderr, "simulated threads: %s after %llu scheduling points\n", headline,
               static_cast<unsigned long long>(points_));
  for (const std::unique_ptr<Task>& task : tasks_) {
    const bool ended = task->state == Task::State::kEnded;
    const bool runs = task->state == Task::State::kRunnable;
    std::fprintf(stderr, "  %s (process %llu) %s%s\n", task->name.c_str(),
                 static_cast<unsigned long long>(task->process),
                 ended  ? "has ended"
                 : runs ? "can run"
                        : "waits for ",
                 ended || runs ? "" : task->what.c_str());
  }
  std::abort();
}

void SimThreads::SchedulingPoint() { Step(Point::kStep); }

void SimThreads::Sleep(uint64_t nanos) {
  Task& self = Enter(Point::kWait);
  const uint64_t now = clock_.Now();
  self.state = Task::State::kWaiting;
  self.what = "its sleep to end";
  self.word = nullptr;
  self.deadline = nanos < kNever - now ? now + nanos : kNever;
  Switch(self);
}

void SimThreads::WaitUntil(const std::string& what, const std::function<bool()>& ready,
                           bool killable) {
  Task& self = Enter(Point::kWait);
  while (!ready()) {
    self.state = Task::State::kBlocked;
    self.what = what;
    self.ready = ready;
    self.killable = killable;
    Switch(self);
  }
  self.ready = nullptr;
  self.killable = true;
}

void SimThreads::Wait(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_nanos) {
  Step(Point::kWait);
  // The baton makes the comparison and going to sleep one step, as the kernel does for a futex.
  if (word.load(std::memory_order_acquire) != expected) return;
  if (options_.spurious_wakeups > 0 && rng_.Chance(options_.spurious_wakeups)) return;
  Task& self = Self();
  const uint64_t now = clock_.Now();
  self.state = Task::State::kWaiting;
  self.what = "a word to change from " + std::to_string(expected);
  self.word = &word;
  self.deadline = timeout_nanos < kNever - now ? now + timeout_nanos : kNever;
  Switch(self);
  self.word = nullptr;
}

void SimThreads::WakeAll(std::atomic<uint32_t>& word) {
  for (const std::unique_ptr<Task>& task : tasks_) {
    if (task->state == Task::State::kWaiting && task->word == &word) {
      task->state = Task::State::kRunnable;
    }
  }
  Step(Point::kWake);
}

bool SimThreads::IsHeld(const Mutex& mutex) const {
  return std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
    return held.mutex == &mutex && held.holder->id + 1 == mutex.holder;
  });
}

LockResult SimThreads::Lock(RobustMutex& storage, uint64_t process, bool wait) {
  Step(Point::kLock);
  Task& self = Self();
  Mutex& mutex = Mutex::In(storage);
  for (;;) {
    if (mutex.magic != kMutexMagic) return LockResult::kBroken;
    if (mutex.holder == 0) break;
    if (!IsHeld(mutex)) return LockResult::kBroken;
    if (!wait) return LockResult::kBusy;
    if (mutex.holder == self.id + 1) Report("a thread locks a mutex that it holds");
    self.state = Task::State::kLocking;
    self.mutex = &mutex;
    for (const Held& held : held_) {
      if (held.mutex == &mutex) self.what = "a mutex that " + held.holder->name + " holds";
    }
    Switch(self);
  }
  mutex.holder = self.id + 1;
  held_.push_back({&mutex, &self, process});
  if (mutex.owner_died == 0) return LockResult::kLocked;
  mutex.owner_died = 0;
  return LockResult::kOwnerDied;
}

void SimThreads::Unlock(RobustMutex& storage) {
  const Task& self = Self();
  Mutex& mutex = Mutex::In(storage);
  const size_t released = std::erase_if(
      held_, [&](const Held& held) { return held.mutex == &mutex && held.holder == &self; });
  RL_CHECK(released == 1);
  mutex.holder = 0;
  Step(Point::kUnlock);
}

std::unique_ptr<Thread> SimThreads::Spawn(const std::string& name, uint64_t process,
                                          std::function<void()> body) {
  RL_CHECK(name.size() <= 15);
  auto task = std::make_unique<Task>();
  Task* const raw = task.get();
  raw->id = next_task_++;
  raw->process = process;
  raw->name = name;
  raw->body = std::move(body);
  tasks_.push_back(std::move(task));
  raw->scheduler = this;
  pthread_attr_t attributes;
  RL_CHECK(pthread_attr_init(&attributes) == 0);
  RL_CHECK(pthread_attr_setstacksize(&attributes, kStackBytes) == 0);
  RL_CHECK(pthread_create(&raw->thread, &attributes, &ThreadBody, raw) == 0);
  RL_CHECK(pthread_attr_destroy(&attributes) == 0);
  auto thread = std::make_unique<SpawnedThread>(this, raw);
  Step(Point::kSpawn);
  return thread;
}

void* SimThreads::ThreadBody(void* argument) {
  auto* const self = static_cast<Task*>(argument);
  self->Await();
  SimThreads* const scheduler = self->scheduler;
  t_scheduler = scheduler;
  t_task = self;
  self->body();
  scheduler->Trace(Point::kEnd, *self);
  self->state = Task::State::kEnded;
  // Last: whoever runs next may destroy the scheduler.
  scheduler->PickNext()->Give();
  return nullptr;
}

void SimThreads::Join(Task* task) {
  Task& self = Enter(Point::kJoin);
  if (task->state != Task::State::kEnded) {
    self.state = Task::State::kJoining;
    self.what = task->name + " to end";
    self.joined = task;
    Switch(self);
    self.joined = nullptr;
  }
  if (task->parked) return;
  RL_CHECK(pthread_join(task->thread, nullptr) == 0);
  std::erase_if(tasks_, [&](const auto& other) { return other.get() == task; });
}

void SimThreads::AbandonMutexes(const std::function<bool(const Held&)>& matches) {
  for (const Held& held : held_) {
    if (!matches(held)) continue;
    held.mutex->holder = 0;
    held.mutex->owner_died = 1;
  }
  std::erase_if(held_, matches);
}

void SimThreads::ForgetMutexes(const uint8_t* memory, size_t size) {
  std::erase_if(held_, [&](const Held& held) {
    const auto* at = reinterpret_cast<const uint8_t*>(held.mutex);
    return at >= memory && at < memory + size;
  });
}

void SimThreads::KillProcess(uint64_t process) {
  Task& self = Self();
  Trace(Point::kKill, self);
  kill_after_.erase(process);
  AbandonMutexes(
      [&](const Held& held) { return held.holder == &Main() && held.process == process; });
  std::vector<Task*> victims;
  for (const std::unique_ptr<Task>& task : tasks_) {
    const bool lives_on = task.get() == &Main() || task.get() == &self;
    if (task->process == process && !lives_on) victims.push_back(task.get());
  }
  for (Task* task : victims) {
    if (task->state == Task::State::kBlocked && !task->killable) {
      task->dying = true;
    } else {
      Park(task);
    }
  }
  const bool suicide = self.process == process && &self != &Main();
  if (suicide) Park(&self);
  ExitIfGone(process);
  if (!suicide) return;
  PickNext()->Give();
  self.Await();  // for ever
}

void SimThreads::KillAfter(uint64_t process, uint64_t points) {
  RL_CHECK(points > 0);
  kill_after_[process] = points;
}

void SimThreads::SetProcessExit(std::function<void(uint64_t process)> process_exit) {
  process_exit_ = std::move(process_exit);
}

void SimThreads::ExitIfGone(uint64_t process) {
  const auto spawned = tasks_.begin() + 1;
  const bool left = std::any_of(spawned, tasks_.end(),
                                [&](const auto& task) { return task->process == process; });
  if (!left && process_exit_) process_exit_(process);
}

void SimThreads::BuryDying() {
  for (size_t i = 1; i < tasks_.size();) {
    Task* const task = tasks_[i].get();
    if (!task->dying || !task->ready()) {
      ++i;
      continue;
    }
    Park(task);
    ExitIfGone(task->process);
    i = 1;  // whatever that let go may end another one
  }
}

namespace {

// Never freed, and reachable for the leak checker, which also searches the stacks of the parked
// threads: what a killed process had allocated does not count as lost.
struct Graveyard {
  std::mutex mutex;
  std::vector<void*> tasks;

  static Graveyard& Only() {
    static auto* const graveyard = new Graveyard();
    return *graveyard;
  }
};

}  // namespace

void SimThreads::Park(Task* task) {
  AbandonMutexes([&](const Held& held) { return held.holder == task; });
  task->parked = true;
  if (task->state == Task::State::kEnded) {
    RL_CHECK(pthread_join(task->thread, nullptr) == 0);
  } else {
    RL_CHECK(pthread_detach(task->thread) == 0);
  }
  const auto found = std::find_if(tasks_.begin(), tasks_.end(),
                                  [&](const auto& other) { return other.get() == task; });
  RL_CHECK(found != tasks_.end());
  Graveyard& graveyard = Graveyard::Only();
  const std::lock_guard lock(graveyard.mutex);
  graveyard.tasks.push_back(found->release());
  tasks_.erase(found);
}

size_t SimThreads::ParkedThreads() {
  Graveyard& graveyard = Graveyard::Only();
  const std::lock_guard lock(graveyard.mutex);
  return graveyard.tasks.size();
}

}  // namespace ringleader
