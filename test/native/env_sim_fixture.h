// What the tests of the simulated world share: short ways to fill and read files, and the two
// questions about power cuts: does it hold after every one, does it happen after any.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/sim/sim_disk.h"
#include "harness.h"

namespace ringleader::test {

inline std::vector<uint8_t> Filled(size_t size, uint8_t value) {
  return std::vector<uint8_t>(size, value);
}

inline std::unique_ptr<File> OpenFile(FileSystem& files, const std::string& path,
                                      OpenMode mode = OpenMode::kCreate) {
  CHECK_VALUE(std::unique_ptr<File> file, files.Open(path, mode));
  return file;
}

inline void Put(File& file, uint64_t offset, size_t size, uint8_t value) {
  CHECK_OK(file.WriteAt(offset, Filled(size, value)));
}

inline std::vector<uint8_t> ReadRange(File& file, uint64_t offset, size_t size) {
  std::vector<uint8_t> bytes(size);
  CHECK_VALUE(const size_t got, file.ReadAt(offset, bytes));
  bytes.resize(got);
  return bytes;
}

inline bool Exists(FileSystem& files, const std::string& path) {
  const auto info = files.Info(path);
  if (!info.ok()) CHECK_CODE(info.status(), Code::kNotFound);
  return info.ok();
}

// The whole file; a missing one fails the test.
inline std::vector<uint8_t> ReadAll(FileSystem& files, const std::string& path) {
  const std::unique_ptr<File> file = OpenFile(files, path, OpenMode::kRead);
  CHECK_VALUE(const uint64_t size, file->Size());
  return ReadRange(*file, 0, size);
}

// A file of `size` bytes of one value that survives every power cut.
inline void PutDurably(SimDisk& disk, const std::string& path, size_t size, uint8_t value) {
  const std::unique_ptr<File> file = OpenFile(disk, path, OpenMode::kCreateEmpty);
  Put(*file, 0, size, value);
  CHECK_OK(file->SyncData());
  CHECK_OK(disk.SyncDirectory(ParentPath(path)));
}

inline const std::vector<CrashPolicy>& AllPolicies() {
  static const std::vector<CrashPolicy> policies = [] {
    std::vector<CrashPolicy> made = {CrashPolicy::Nothing(), CrashPolicy::Everything()};
    for (const bool torn : {false, true}) {
      for (const bool ordered : {false, true}) {
        for (const double probability : {-1.0, 0.5}) {
          CrashPolicy policy = CrashPolicy::Random(probability);
          policy.torn_writes = torn;
          policy.ordered_entries = ordered;
          made.push_back(policy);
        }
      }
    }
    return made;
  }();
  return policies;
}

inline constexpr uint64_t kSeedsPerPolicy = 100;

// Runs `check` on what many power cuts right now, by every policy, leave.
inline void AfterEveryCut(SimDisk& disk, const std::function<void(SimDisk&)>& check) {
  for (const CrashPolicy& policy : AllPolicies()) {
    for (uint64_t seed = 0; seed < kSeedsPerPolicy; ++seed) {
      check(*disk.CrashState(disk.last_op(), policy, Seed() + seed));
    }
  }
}

// Whether any of many power cuts by that policy leaves a disk with `property`.
inline bool AfterSomeCut(SimDisk& disk, const std::function<bool(SimDisk&)>& property,
                         const CrashPolicy& policy = CrashPolicy::Random()) {
  for (uint64_t seed = 0; seed < 4 * kSeedsPerPolicy; ++seed) {
    if (property(*disk.CrashState(disk.last_op(), policy, Seed() + seed))) return true;
  }
  return false;
}

// Everything on a disk, names and bytes, in one string to compare.
inline std::string Dump(FileSystem& files, const std::string& directory = ".") {
  std::string text;
  CHECK_VALUE(const std::vector<std::string> names, files.List(directory));
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory, name);
    CHECK_VALUE(const FileInfo info, files.Info(path));
    text += path + (info.is_directory ? "/\n" : " " + std::to_string(info.inode) + " ");
    if (info.is_directory) {
      text += Dump(files, path);
    } else {
      const std::vector<uint8_t> bytes = ReadAll(files, path);
      text.append(bytes.begin(), bytes.end());
      text += '\n';
    }
  }
  return text;
}

}  // namespace ringleader::test
