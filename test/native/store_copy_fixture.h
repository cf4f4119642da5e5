// What the tests of backups, restores, bulk loads and bad input share: everything that a store
// holds as one value, and a file system in which a test has a say.
#pragma once

#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "store_fixture.h"

namespace ringleader::test {

// By the name of the database, then by key.
using Contents = std::map<std::string, std::map<std::string, std::string>>;

inline Contents ContentsOf(View& view) {
  Contents contents;
  CHECK_VALUE(const std::vector<Database> databases, ListDatabases(view));
  CHECK_VALUE(const auto cursor, MergeCursor::Open(view, nullptr));
  for (const Database& database : databases) {
    auto& rows = contents[database.name];
    CHECK_OK(cursor->SeekAtLeast(AsBytes(KeyOf(database.id, ""))));
    while (cursor->valid() && LoadRowPrefix(cursor->row_key()) == database.id) {
      rows[AsText(cursor->row_key().subspan(kRowPrefixBytes))] = AsText(cursor->row().value);
      CHECK_OK(cursor->Next());
    }
  }
  return contents;
}

inline Contents ContentsOf(Store& store) { return ContentsOf(*TakeView(store)); }

// Of an environment that nobody has open, verified on the way.
inline Contents ContentsOf(const std::string& directory) {
  const auto store = OpenStore(directory);
  CHECK_OK(store->Verify().status());
  Contents contents = ContentsOf(*store);
  CHECK_OK(store->Close());
  return contents;
}

// Rows "key<number>" with values that are a few hundred bytes long; one transaction each.
inline Lsn PutMany(Store& store, DatabaseId database, uint64_t from, uint64_t count) {
  Lsn end;
  for (uint64_t number = from; number < from + count; ++number) {
    end = PutRow(store, KeyOf(database, "key" + std::to_string(number)),
                 std::to_string(number) + std::string(300, 'v'));
  }
  return end;
}

// What `cp -a` makes of a directory: the same bytes in files of its own.
inline void CopyDirectory(const std::string& from, const std::string& to) {
  CHECK_EQ(std::system(("cp -a '" + from + "' '" + to + "'").c_str()), 0);
}

inline void RemoveDirectory(const std::string& path) {
  CHECK_EQ(std::system(("rm -r '" + path + "'").c_str()), 0);
}

// Overwrites bytes of a file with what `change` makes of them.
inline void ChangeByte(const std::string& path, uint64_t at) {
  CHECK_VALUE(const auto file, PosixEnv().files.Open(path, OpenMode::kReadWrite));
  uint8_t byte = 0;
  CHECK_OK(ReadExactly(*file, at, MutableBytes(&byte, 1), path));
  byte ^= 0x40;
  CHECK_OK(file->WriteAt(at, Bytes(&byte, 1)));
}

// The real file system, but `before` is asked first: what it returns is what the call comes to,
// where it is not kOk. It sees every call that changes a name, opens a file, or writes to one.
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
