// The directories of tests, and what environments in them have left in shared memory: gone when
// the test has ended, and when the program has, in whatever way. For main.cc.
//
// A process of its own learns of every directory through a pipe. When the pipe ends, which is when
// this program and the children that share it are dead, it removes what is left. It is in a session
// of its own, so that whoever kills the group of this program does not kill it.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "harness.h"

namespace ringleader::test {

// An environment's names in shared memory follow from its lock file.
inline void RemoveSharedNamesOf(const struct stat& lock) {
  std::array<char, 96> prefix;
  std::snprintf(prefix.data(), prefix.size(), "ringleader-%llx-%llx-",
                static_cast<unsigned long long>(lock.st_dev),
                static_cast<unsigned long long>(lock.st_ino));
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
    if (entry.path().filename().string().starts_with(prefix.data())) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

inline void RemoveTempDir(const std::string& directory) {
  std::error_code failed;
  std::filesystem::recursive_directory_iterator at(directory, failed);
  for (; !failed && at != std::filesystem::recursive_directory_iterator(); at.increment(failed)) {
    struct stat lock;
    const std::string path = at->path().string();
    const bool is_lock = path.ends_with("/lock") && lstat(path.c_str(), &lock) == 0;
    if (is_lock && S_ISREG(lock.st_mode)) RemoveSharedNamesOf(lock);
  }
  std::filesystem::remove_all(directory, failed);
}

class TempDirs {
 public:
  // With RINGLEADER_TEST_KEEP=1 those of tests that have failed stay.
  TempDirs() : keep_(std::getenv("RINGLEADER_TEST_KEEP") != nullptr) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    if (fork() == 0) {
      close(ends[1]);
      Serve(ends[0]);
      _exit(0);
    }
    close(ends[0]);
    pipe_ = ends[1];
  }
  TempDirs(const TempDirs&) = delete;
  TempDirs& operator=(const TempDirs&) = delete;
  ~TempDirs() { close(pipe_); }

  std::string Make(const std::string& below) {
    std::string directory = below + "/ringleader-XXXXXX";
    if (mkdtemp(directory.data()) == nullptr) Fail(__FILE__, __LINE__, "mkdtemp " + directory);
    made_.push_back(directory);
    const std::string line = "+" + directory + "\n";
    if (write(pipe_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      Fail(__FILE__, __LINE__, "nobody looks after " + directory);
    }
    return directory;
  }

  void Drop(bool passed) {
    for (const std::string& directory : made_) {
      if (passed || !keep_) {
        RemoveTempDir(directory);
        continue;
      }
      std::printf("    kept: %s\n", directory.c_str());
      const std::string line = "-" + directory + "\n";
      if (write(pipe_, line.data(), line.size()) < 0) std::printf("    for now\n");
    }
    made_.clear();
  }

 private:
  static void Serve(int from) {
    setsid();
    const int nothing = open("/dev/null", O_RDWR);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, stream);
    std::vector<std::string> directories;
    std::string line;
    for (char next; read(from, &next, 1) == 1;) {
      if (next != '\n') {
        line.push_back(next);
        continue;
      }
      const std::string directory = line.substr(1);
      if (line[0] == '+') directories.push_back(directory);
      if (line[0] == '-') std::erase(directories, directory);
      line.clear();
    }
    for (const std::string& directory : directories) RemoveTempDir(directory);
  }

  const bool keep_;
  int pipe_ = -1;
  std::vector<std::string> made_;
};

}  // namespace ringleader::test
