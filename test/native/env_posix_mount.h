// A file system of its own for a test, in a child process with its own mount table: nothing of it
// is left when the child ends, however it ends.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "child_process.h"

namespace ringleader::test {

// Gives the calling process, which must have one thread only, new namespaces of the kinds `flags`
// (CLONE_NEWNS and its like): as root directly, else as root of a user namespace of its own.
inline bool Unshare(int flags) {
  if (unshare(flags) == 0) return true;
  const std::string user = "0 " + std::to_string(geteuid()) + " 1";
  const std::string group = "0 " + std::to_string(getegid()) + " 1";
  if (unshare(CLONE_NEWUSER | flags) != 0) return false;
  // Files can be created only by owners that have a number in this namespace.
  std::ofstream("/proc/self/uid_map") << user << std::flush;
  std::ofstream("/proc/self/setgroups") << "deny" << std::flush;
  std::ofstream("/proc/self/gid_map") << group << std::flush;
  return geteuid() == 0 && getegid() == 0;
}

// Runs `body(directory)` in a child where a new file system of `type` ("tmpfs", "ramfs") is mounted
// at a directory. Skips the test where neither root nor a user namespace may mount.
inline void WithMount(const char* type, const char* options,
                      const std::function<void(const std::string& directory)>& body) {
  const std::string directory = TempDir();
  Child child([&] {
    const bool apart = Unshare(CLONE_NEWNS);
    const bool mounted = apart && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("none", directory.c_str(), type, 0, options) == 0;
    if (!mounted) throw Skip{std::string("cannot mount a ") + type + ": " + strerror(errno)};
    body(directory);
  });
  child.Join();
}

}  // namespace ringleader::test
