// The bundle of the real world, with its smallest members: clock, random bits, host.
#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <optional>

#include "env/env.h"
#include "env/posix/posix_internal.h"

namespace ringleader {
namespace {

class PosixClock : public Clock {
 public:
  uint64_t MonotonicNanos() override {
    const timespec now = Now(CLOCK_MONOTONIC);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  }

  uint64_t WallMicros() override {
    const timespec now = Now(CLOCK_REALTIME);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000 +
           static_cast<uint64_t>(now.tv_nsec) / 1000;
  }

 private:
  static timespec Now(clockid_t clock) {
    timespec now;
    RL_CHECK(clock_gettime(clock, &now) == 0);
    return now;
  }
};

class PosixRandom : public Random {
 public:
  void Fill(MutableBytes into) override {
    while (!into.empty()) {
      const ssize_t got = getrandom(into.data(), into.size(), 0);
      // Every kernel since 3.17 has it, and it fails for no other reason.
      RL_CHECK(got > 0 || errno == EINTR);
      if (got > 0) into = into.subspan(static_cast<size_t>(got));
    }
  }
};

std::optional<uint8_t> HexDigit(uint8_t digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return std::nullopt;
}

using BootId = std::array<uint8_t, 16>;

// "0a1b2c3d-...": 32 digits and four dashes.
std::optional<BootId> ReadBootId() {
  const FileDescriptor fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  uint8_t text[36];
  if (fd.get() < 0 || pread(fd.get(), text, sizeof text, 0) != sizeof text) return std::nullopt;
  BootId id{};
  size_t digits = 0;
  for (const uint8_t character : text) {
    if (character == '-') continue;
    const std::optional<uint8_t> digit = HexDigit(character);
    if (!digit || digits == 2 * id.size()) return std::nullopt;
    uint8_t& byte = id[digits++ / 2];
    byte = static_cast<uint8_t>(byte << 4 | *digit);
  }
  if (digits != 2 * id.size()) return std::nullopt;
  return id;
}

std::optional<uint64_t> ReadPidNamespace() {
  struct stat info;
  if (stat("/proc/self/ns/pid", &info) != 0) return std::nullopt;
  return info.st_ino;
}

// Asked before every commit and every snapshot: kept at hand instead of asking the kernel.
std::atomic<uint32_t> g_process_id{0};

// Relaxed: stored before there is a second thread that could ask.
void NoteProcessId() {
  g_process_id.store(static_cast<uint32_t>(getpid()), std::memory_order_relaxed);
}

class PosixHost : public Host {
 public:
  // A host that hides one of the two (no /proc, a sandbox) gets a value of this process alone, so
  // that memory is shared with nobody rather than with the wrong ones.
  explicit PosixHost(Random& random) : own_pid_namespace_(random.Next64()) {
    random.Fill(own_boot_id_);
    NoteProcessId();
    RL_CHECK(pthread_atfork(nullptr, nullptr, &NoteProcessId) == 0);
  }

  // Read at each call: a child process may live in another namespace.
  HostIdentity Identity() override {
    return {.boot_id = ReadBootId().value_or(own_boot_id_),
            .pid_namespace = ReadPidNamespace().value_or(own_pid_namespace_)};
  }

  uint32_t ProcessId() override { return g_process_id.load(std::memory_order_relaxed); }

 private:
  BootId own_boot_id_{};
  const uint64_t own_pid_namespace_;
};

}  // namespace

Env& PosixEnv() {
  static Clock& clock = *new PosixClock();
  static Random& random = *new PosixRandom();
  static Host& host = *new PosixHost(random);
  static Env& env = *new Env{PosixFiles(), clock, random, host, PosixMemory(), PosixThreads()};
  return env;
}

}  // namespace ringleader
