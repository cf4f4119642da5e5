// A file system of its own for a test, in a child process with its own mount table: nothing of it
// is left when the child ends, however it ends.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include "child_process.h"

namespace ringleader::test {

// Runs `body(directory)` in a child where a new file system of `type` ("tmpfs", "ramfs") is mounted
// at a directory. Skips the test where neither root nor a user namespace may mount.
inline void WithMount(const char* type, const char* options,
                      const std::function<void(const std::string& directory)>& body) {
  const std::string directory = TempDir();
  Child child([&] {
    const bool apart = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    const bool mounted = apart && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("none", directory.c_str(), type, 0, options) == 0;
    if (!mounted) throw Skip{std::string("cannot mount a ") + type + ": " + strerror(errno)};
    body(directory);
  });
  child.Join();
}

}  // namespace ringleader::test
