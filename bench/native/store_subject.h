// What the benches of the store share: rows, and a store that is loaded, written and read.
//
// Keys of 16 bytes, scattered over the key space, values of 100, random rows. A failure ends the
// program.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "measure.h"
#include "store/operations.h"
#include "store/store.h"

namespace ringleader {

inline constexpr size_t kKeyBytes = 16;
inline constexpr size_t kValueBytes = 100;
inline constexpr size_t kRun = 64;  // commits handed over together
inline constexpr size_t kOutstanding = 1000;

class RandomNumbers {
 public:
  explicit RandomNumbers(uint64_t seed) : state_(seed) {}
  uint64_t Below(uint64_t limit) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 20) % limit;
  }

 private:
  uint64_t state_;
};

// Row `number` of a database: scattered over the key space.
class RowKey {
 public:
  RowKey(DatabaseId database, uint64_t number) {
    StoreRowPrefix(bytes_.data(), database);
    const uint64_t scattered = number * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < 8; ++i) {
      bytes_[kRowPrefixBytes + i] = static_cast<uint8_t>(scattered >> (56 - 8 * i));
    }
    std::memset(bytes_.data() + kRowPrefixBytes + 8, 'k', kKeyBytes - 8);
  }
  Bytes bytes() const { return bytes_; }
  Bytes key() const { return bytes().subspan(kRowPrefixBytes); }

 private:
  std::array<uint8_t, kRowPrefixBytes + kKeyBytes> bytes_;
};

// The keys of all rows, in their order.
inline std::vector<std::array<uint8_t, kKeyBytes>> KeysInOrder(uint64_t rows) {
  std::vector<std::array<uint8_t, kKeyBytes>> keys(rows);
  for (uint64_t i = 0; i < rows; ++i) {
    std::memcpy(keys[i].data(), RowKey(0, i).key().data(), kKeyBytes);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

class Subject {
 public:
  Subject(const std::string& directory, uint64_t rows, const StoreOptions& options = {})
      : store_(Must(Store::Open(PosixEnv(), directory, options))), rows_(rows) {
    payloads_.resize(kRun);
  }

  // All rows, through the bulk path.
  void Load() {
    const auto keys = KeysInOrder(rows_);
    const std::vector<uint8_t> value(kValueBytes, 'v');
    size_t at = 0;
    Must(store_->BulkLoad("rows", [&](Store::BulkRow* row) -> Result<bool> {
      if (at == keys.size()) return false;
      row->key = keys[at++];
      row->value = value;
      return true;
    }));
    Use();
  }

  void Use() { database_ = Must(store_->OpenDatabase("rows", {}, true)).id; }

  // One-operation transactions on random rows for that long, at most kOutstanding not yet durable.
  // Returns transactions per second; *cpu is what the committing thread used per transaction.
  double Update(double seconds, double* cpu = nullptr, bool durable = true) {
    Log& log = store_->log();
    const double began = Now();
    const double cpu_began = ThreadCpu();
    uint64_t done = 0;
    std::vector<Lsn> ends;
    size_t oldest = 0;
    double now = began;
    for (; now - began < seconds; now = Now()) {
      const Lsn end = CommitRun(kRun);
      done += kRun;
      if (!durable) continue;
      log.Request(end, Level::kFlushed);
      ends.push_back(end);
      if (ends.size() - oldest > kOutstanding / kRun) {
        Must(log.WaitFor(ends[oldest++], Level::kFlushed));
      }
    }
    if (cpu != nullptr) *cpu = (ThreadCpu() - cpu_began) / static_cast<double>(done) * 1e6;
    if (durable && !ends.empty()) Must(log.WaitFor(ends.back(), Level::kFlushed));
    return static_cast<double>(done) / (Now() - began);
  }

  // One transaction of one operation, durable when it returns.
  void CommitDurable() { Must(store_->log().WaitFor(CommitRun(1), Level::kFlushed)); }

  // Reads of random rows, every one of the newest state; all of them have to be there.
  void Get(View& view, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      Must(view.Renew());
      const auto row = Must(view.Get(RowKey(database_, random_.Below(rows_)).bytes()));
      if (!row || row->value.size() != kValueBytes) Must(Status(Code::kCorruption, "no such row"));
    }
  }

  // CPU of such a read, in microseconds.
  double GetMicros(uint64_t count) {
    const std::unique_ptr<View> view = store_->NewView();
    const double began = ThreadCpu();
    Get(*view, count);
    return (ThreadCpu() - began) / static_cast<double>(count) * 1e6;
  }

  Store& store() { return *store_; }

 private:
  // Commits `count` of them, at most kRun, together.
  Lsn CommitRun(size_t count) {
    const std::array<uint8_t, kValueBytes> value{};
    std::array<Commit, kRun> commits;
    std::array<Commit*, kRun> pointers;
    for (size_t i = 0; i < count; ++i) {
      const RowKey row_key(database_, random_.Below(rows_));
      Operation operation;
      operation.row_key = row_key.bytes();
      operation.value = value;
      payloads_[i].clear();
      AppendOperation(operation, &payloads_[i]);
      commits[i].payload = payloads_[i];
      commits[i].catalogue = store_->CatalogueState();
      pointers[i] = &commits[i];
    }
    for (size_t done = 0; done < count;) {
      done += Must(store_->TryCommit(std::span(pointers).subspan(done, count - done)));
      if (done == count) break;
      Must(store_->CommitOne(*pointers[done]));
      ++done;
    }
    for (size_t i = 0; i < count; ++i) {
      if (commits[i].verdict != Verdict::kCommitted) Must(Status(Code::kConflict, "not committed"));
    }
    return commits[count - 1].appended.end;
  }

  std::unique_ptr<Store> store_;
  const uint64_t rows_;
  DatabaseId database_ = 0;
  RandomNumbers random_{1};
  std::vector<std::vector<uint8_t>> payloads_;
};

// A directory of its own below `under`, or below the system's temporary one.
inline std::string MakeDirectory(const char* under) {
  std::string directory = under ? under : std::filesystem::temp_directory_path().string();
  directory += "/ringleader-bench-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    std::perror(directory.c_str());
    std::exit(1);
  }
  return directory;
}

}  // namespace ringleader
