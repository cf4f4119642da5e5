// Runs a program instruction by instruction and kills it after a chosen number of them.
//
// ptrace is used through the calls that are the same on every processor: the traced program marks
// the place to begin by stopping itself, and tells through memory that it has come to the end of
// the section, so no register is ever looked at.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "child_process.h"
#include "harness.h"

namespace ringleader::test {

// All children share the processor of this process for as long as this lives: handing over between
// two processors costs more than the step.
class OneProcessor {
 public:
  OneProcessor() {
    CPU_ZERO(&before_);
    if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    const int here = sched_getcpu();
    if (here < 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    changed_ = sched_setaffinity(0, sizeof one, &one) == 0;
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() {
    if (changed_) sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  cpu_set_t before_;
  bool changed_ = false;
};

// Skips the test where this process may not trace its own children.
inline void RequirePtrace() {
  Child probe([] {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) return;
    throw Skip{std::string("ptrace is refused: ") + std::strerror(errno)};
  });
  probe.Join();
}

class SteppedProgram {
 public:
  // Starts `command` with `inherited` open and returns when it has stopped itself.
  SteppedProgram(const std::vector<std::string>& command, int inherited)
      : child_([&] { Become(command, inherited); }) {
    Expect(SIGTRAP);  // after exec
    if (ptrace(PTRACE_SETOPTIONS, child_.pid(), nullptr, PTRACE_O_EXITKILL) != 0) {
      throw Skip{std::string("ptrace options are refused: ") + std::strerror(errno)};
    }
    if (ptrace(PTRACE_CONT, child_.pid(), nullptr, nullptr) != 0) Lost();
    Expect(SIGSTOP);
  }

  // One instruction; a system call is one.
  void Step() {
    if (ptrace(PTRACE_SINGLESTEP, child_.pid(), nullptr, nullptr) != 0) {
      if (errno == EIO) throw Skip{"single steps are refused"};
      Lost();
    }
    Expect(SIGTRAP);
  }

  // At full speed, until the program stops itself again.
  void RunToStop() {
    if (ptrace(PTRACE_CONT, child_.pid(), nullptr, nullptr) != 0) Lost();
    Expect(SIGSTOP);
  }

  pid_t pid() const { return child_.pid(); }

  // Dead when this returns.
  void Kill() { child_.Kill(); }

 private:
  static void Become(const std::vector<std::string>& command, int inherited) {
    fcntl(inherited, F_SETFD, 0);
    // Functions are resolved at start, not inside the section; and blocks are copied by vector
    // instructions: a repeated string instruction is a step for every byte.
    setenv("LD_BIND_NOW", "1", 1);
    setenv("GLIBC_TUNABLES",
           "glibc.cpu.x86_rep_movsb_threshold=1073741824:"
           "glibc.cpu.x86_rep_stosb_threshold=1073741824",
           1);
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(127);
    execv(words[0], words.data());
    _exit(127);
  }

  [[noreturn]] void Lost() { Fail(__FILE__, __LINE__, "the program has ended by itself"); }

  // Leaves the child to be waited for, so that an end is reported once and to Kill.
  void Expect(int signal) {
    siginfo_t info{};
    const int wanted = WSTOPPED | WEXITED | WNOWAIT;
    if (waitid(P_PID, static_cast<id_t>(child_.pid()), &info, wanted) != 0) Lost();
    if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) Lost();
    if (info.si_status != signal) {
      Fail(__FILE__, __LINE__, "stopped by signal " + std::to_string(info.si_status));
    }
  }

  Child child_;
};

}  // namespace ringleader::test
