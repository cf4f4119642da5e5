// The file system of the host, with something happening before its calls.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "env/env.h"

namespace ringleader::test {

// The real file system, but `before` is asked first: what it returns is what the call comes to,
// where it is not kOk. It sees every call that changes a name, or opens a file, reads or writes it.
class WatchedFiles : public FileSystem {
 public:
  using Before = std::function<Status(const std::string& call, const std::string& path)>;
  explicit WatchedFiles(Before before) : before_(std::move(before)) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    RL_RETURN_IF_ERROR(before_("open", path));
    RL_ASSIGN_OR_RETURN(auto file, real_.Open(path, mode));
    return std::unique_ptr<File>(new Watched(*this, path, std::move(file)));
  }
  Status Rename(const std::string& from, const std::string& to) override {
    RL_RETURN_IF_ERROR(before_("rename", to));
    return real_.Rename(from, to);
  }
  Status Remove(const std::string& path) override {
    RL_RETURN_IF_ERROR(before_("remove", path));
    return real_.Remove(path);
  }
  Result<std::vector<std::string>> List(const std::string& directory) override {
    return real_.List(directory);
  }
  Status MakeDirectory(const std::string& path) override {
    RL_RETURN_IF_ERROR(before_("make", path));
    return real_.MakeDirectory(path);
  }
  Status SyncDirectory(const std::string& directory) override {
    RL_RETURN_IF_ERROR(before_("sync", directory));
    return real_.SyncDirectory(directory);
  }
  Result<FileInfo> Info(const std::string& path) override { return real_.Info(path); }

  // An environment over them; everything else is real.
  Env env() {
    Env& real = PosixEnv();
    return {*this, real.clock, real.random, real.host, real.memory, real.threads};
  }

 private:
  class Watched : public File {
   public:
    Watched(WatchedFiles& files, std::string path, std::unique_ptr<File> real)
        : files_(files), path_(std::move(path)), real_(std::move(real)) {}

    Result<size_t> ReadAt(uint64_t offset, MutableBytes into) override {
      RL_RETURN_IF_ERROR(files_.before_("read", path_));
      return real_->ReadAt(offset, into);
    }
    Status WriteAt(uint64_t offset, Bytes from) override {
      RL_RETURN_IF_ERROR(files_.before_("write", path_));
      return real_->WriteAt(offset, from);
    }
    Status SyncData() override {
      RL_RETURN_IF_ERROR(files_.before_("flush", path_));
      return real_->SyncData();
    }
    Status Allocate(uint64_t offset, uint64_t size) override {
      RL_RETURN_IF_ERROR(files_.before_("allocate", path_));
      return real_->Allocate(offset, size);
    }
    Status Truncate(uint64_t size) override { return real_->Truncate(size); }
    Result<uint64_t> Size() override { return real_->Size(); }
    Status Lock(uint64_t byte, bool exclusive) override { return real_->Lock(byte, exclusive); }
    Status TryLock(uint64_t byte, bool exclusive) override {
      return real_->TryLock(byte, exclusive);
    }
    Status Unlock(uint64_t byte) override { return real_->Unlock(byte); }

   private:
    WatchedFiles& files_;
    const std::string path_;
    const std::unique_ptr<File> real_;
  };

  FileSystem& real_ = PosixEnv().files;
  const Before before_;
};

}  // namespace ringleader::test
