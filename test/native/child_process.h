// A forked process in which a test runs a part of itself: to be killed, to hold a lock that another
// process wants, or to have mounts of its own.
#pragma once

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include "harness.h"

namespace ringleader::test {

// A value that this process and its later children see; zeroed at first.
template <typename T>
class SharedValue {
 public:
  SharedValue()
      : value_(
            mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (value_ == MAP_FAILED) Fail(__FILE__, __LINE__, "mmap");
    new (value_) T();
  }
  SharedValue(const SharedValue&) = delete;
  SharedValue& operator=(const SharedValue&) = delete;
  ~SharedValue() { munmap(value_, sizeof(T)); }

  T& operator*() { return *static_cast<T*>(value_); }
  T* operator->() { return static_cast<T*>(value_); }

 private:
  void* value_;
};

// For a test whose child has threads of its own: to ThreadSanitizer they are those of its parent.
inline void SkipUnderThreadSanitizer() {
#if defined(__SANITIZE_THREAD__)
  throw Skip{"ThreadSanitizer cannot follow threads of a forked child"};
#endif
}

// Runs `body` in a child. A failed CHECK or a Skip there is repeated here by Join. A child that is
// never joined is killed; none outlives the test program.
class Child {
 public:
  explicit Child(const std::function<void()>& body) {
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ < 0) Fail(__FILE__, __LINE__, "fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      _exit(Run(body));
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { Kill(); }

  pid_t pid() const { return pid_; }

  // Whether the body has not come to its end.
  bool alive() const {
    siginfo_t info{};
    return pid_ > 0 &&
           waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
  }

  // Waits for the end of the body, which must come by itself and without a failed check.
  void Join() {
    const int status = Wait();
    if (WIFSIGNALED(status)) {
      Fail(__FILE__, __LINE__, "child killed by signal " + std::to_string(WTERMSIG(status)));
    }
    if (WEXITSTATUS(status) == kSkipped) throw Skip{report_->text};
    if (WEXITSTATUS(status) != 0) throw Failure{std::string("in a child: ") + report_->text};
  }

  // The number of the signal that ends the child.
  int JoinKilled() {
    const int status = Wait();
    if (!WIFSIGNALED(status)) {
      Fail(__FILE__, __LINE__, std::string("the child was not killed: ") + report_->text);
    }
    return WTERMSIG(status);
  }

  // SIGKILL, and gone when this returns.
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    Wait();
  }

 private:
  static constexpr int kFailed = 1;
  static constexpr int kSkipped = 2;
  struct Report {
    char text[1024];
  };

  int Run(const std::function<void()>& body) {
    try {
      body();
      return 0;
    } catch (const Failure& failure) {
      std::strncpy(report_->text, failure.text.c_str(), sizeof report_->text - 1);
      return kFailed;
    } catch (const Skip& skip) {
      std::strncpy(report_->text, skip.reason.c_str(), sizeof report_->text - 1);
      return kSkipped;
    }
  }

  int Wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0) {
      if (errno != EINTR) Fail(__FILE__, __LINE__, "waitpid");
    }
    pid_ = -1;
    return status;
  }

  SharedValue<Report> report_;
  pid_t pid_ = -1;
};

}  // namespace ringleader::test
