// A disk in memory that can lose power (SimDisk), but for the base tree, which LMDB writes to the
// real one: what LMDB has committed is flushed, and what it has not never happened, so a power cut
// leaves of it one of the states between two commits.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "env/sim/sim_disk.h"
#include "harness.h"

namespace ringleader::test {

class SplitFiles : public FileSystem {
 public:
  explicit SplitFiles(FileSystem& disk) : disk_(disk) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return Of(path).Open(path, mode);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return Of(from).Rename(from, to);
  }
  Status Remove(const std::string& path) override {
    if (before_remove) before_remove(path);
    return Of(path).Remove(path);
  }
  Result<std::vector<std::string>> List(const std::string& directory) override {
    return Of(directory).List(directory);
  }
  Status MakeDirectory(const std::string& path) override { return Of(path).MakeDirectory(path); }
  Status SyncDirectory(const std::string& directory) override {
    return Of(directory).SyncDirectory(directory);
  }
  Result<FileInfo> Info(const std::string& path) override { return Of(path).Info(path); }

  std::function<void(const std::string& path)> before_remove;

  Env env() {
    Env& real = PosixEnv();
    return {*this, real.clock, real.random, real.host, real.memory, real.threads};
  }

 private:
  FileSystem& Of(const std::string& path) {
    const bool base = path.ends_with("/base") || path.find("/base/") != path.npos;
    return base ? PosixEnv().files : disk_;
  }

  FileSystem& disk_;
};

// The directories that lead to `path` and that one, on a disk that has none yet.
inline void MakePath(FileSystem& files, const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    const Status made = files.MakeDirectory(part);
    CHECK(made.ok() || made.code() == Code::kExists);
    CHECK_OK(files.SyncDirectory(ParentPath(part)));
    if (at == path.npos) return;
  }
}

// One real directory in place of another.
inline void ReplaceDirectory(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

}  // namespace ringleader::test
