// A store beside Berkeley DB 5.3, through its C interface: `bdb_bench [DIRECTORY] [CASE...]`.
//
// Cases (all of them where none is named), alternating windows of both, medians:
//   memory    one-operation transactions that are not flushed (Berkeley DB: DB_TXN_NOSYNC)
//   durable   the same, 1,000 outstanding (Berkeley DB: DB_TXN_NOSYNC and log_flush every 1,000)
//   serial    one-operation transactions, each flushed before the next (DB_TXN_SYNC)
//   get       point reads
// 1M rows, both in memory: Berkeley DB has a cache of 512 MiB. Each has its housekeeping beside it:
// the fold there, a checkpoint for every 64 MiB of log here. Built where CMake finds the library.
#include <cstdio>

#ifdef RINGLEADER_BENCH_BDB

#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bdb_support.h"
#include "store_subject.h"

namespace ringleader {
namespace {

constexpr int kRounds = 7;
constexpr double kWindowSeconds = 2;
constexpr uint64_t kGets = 500'000;
constexpr uint32_t kCacheBytes = 512u << 20;
constexpr uint32_t kLogBufferBytes = 16u << 20;
constexpr uint32_t kLogFileBytes = 64u << 20;
constexpr uint32_t kCheckpointKilobytes = 64u << 10;

// RINGLEADER_BENCH_ROWS makes everything smaller, to try it out.
uint64_t Rows() {
  const char* given = std::getenv("RINGLEADER_BENCH_ROWS");
  return given ? std::strtoull(given, nullptr, 10) : 1'000'000;
}

class BerkeleyDb {
 public:
  BerkeleyDb(const std::string& directory, uint64_t rows) : rows_(rows) {
    std::filesystem::create_directories(directory);
    MustBdb(db_env_create(&env_, 0));
    MustBdb(env_->set_cachesize(env_, 0, kCacheBytes, 1));
    MustBdb(env_->set_lg_bsize(env_, kLogBufferBytes));
    MustBdb(env_->set_lg_max(env_, kLogFileBytes));
    MustBdb(env_->log_set_config(env_, DB_LOG_AUTO_REMOVE, 1));
    const uint32_t flags =
        DB_CREATE | DB_INIT_MPOOL | DB_INIT_TXN | DB_INIT_LOG | DB_INIT_LOCK | DB_THREAD;
    MustBdb(env_->open(env_, directory.c_str(), flags, 0));
    MustBdb(db_create(&db_, env_, 0));
    MustBdb(db_->open(db_, nullptr, "rows", nullptr, DB_BTREE,
                      DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0));
    checkpoints_ = std::thread([this] {
      while (!stopping_.load(std::memory_order_acquire)) {
        MustBdb(env_->txn_checkpoint(env_, kCheckpointKilobytes, 0, 0));
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    });
  }
  BerkeleyDb(const BerkeleyDb&) = delete;
  BerkeleyDb& operator=(const BerkeleyDb&) = delete;
  ~BerkeleyDb() {
    stopping_.store(true, std::memory_order_release);
    checkpoints_.join();
    db_->close(db_, 0);
    env_->close(env_, 0);
  }

  void Load() {
    const std::vector<uint8_t> value(kValueBytes, 'v');
    DB_TXN* txn = nullptr;
    uint64_t count = 0;
    for (const auto& key : KeysInOrder(rows_)) {
      if (txn == nullptr) MustBdb(env_->txn_begin(env_, nullptr, &txn, DB_TXN_NOSYNC));
      Put(txn, key, value);
      if (++count % 1000 != 0) continue;
      MustBdb(txn->commit(txn, DB_TXN_NOSYNC));
      txn = nullptr;
    }
    if (txn != nullptr) MustBdb(txn->commit(txn, DB_TXN_NOSYNC));
    MustBdb(env_->log_flush(env_, nullptr));
  }

  // One-operation transactions per second. `flags` are those of the commit; the log is flushed
  // after every `group` of them, never with 0.
  double Update(double seconds, uint32_t flags, uint64_t group) {
    const std::vector<uint8_t> value(kValueBytes, 0);
    const double began = Now();
    uint64_t done = 0;
    while (Now() - began < seconds) {
      DB_TXN* txn = nullptr;
      MustBdb(env_->txn_begin(env_, nullptr, &txn, 0));
      Put(txn, RowKey(0, random_.Below(rows_)).key(), value);
      MustBdb(txn->commit(txn, flags));
      ++done;
      if (group != 0 && done % group == 0) MustBdb(env_->log_flush(env_, nullptr));
    }
    if (group != 0) MustBdb(env_->log_flush(env_, nullptr));
    return static_cast<double>(done) / (Now() - began);
  }

  double GetMicros(uint64_t count) {
    std::vector<uint8_t> room(kValueBytes);
    const double began = ThreadCpu();
    for (uint64_t i = 0; i < count; ++i) {
      const RowKey row_key(0, random_.Below(rows_));
      DBT key = Thing(row_key.key());
      DBT value = Thing(room);
      MustBdb(db_->get(db_, nullptr, &key, &value, 0));
    }
    return (ThreadCpu() - began) / static_cast<double>(count) * 1e6;
  }

 private:
  void Put(DB_TXN* txn, Bytes key, Bytes value) {
    DBT key_thing = Thing(key);
    DBT value_thing = Thing(value);
    MustBdb(db_->put(db_, txn, &key_thing, &value_thing, 0));
  }

  const uint64_t rows_;
  DB_ENV* env_ = nullptr;
  DB* db_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::thread checkpoints_;
  RandomNumbers random_{1};
};

// Figures of both, round by round.
class Comparison {
 public:
  void Add(double ours, double theirs) {
    ours_.push_back(ours);
    theirs_.push_back(theirs);
    ratios_.push_back(ours / theirs);
  }
  void Print(const char* name, const char* unit) const {
    const auto [least, most] = std::minmax_element(ratios_.begin(), ratios_.end());
    std::printf("%-8s store %.2f %s, Berkeley DB %.2f %s, ratio %.2f (%.2f-%.2f)\n", name,
                Median(ours_), unit, Median(theirs_), unit, Median(ratios_), *least, *most);
  }

 private:
  std::vector<double> ours_, theirs_, ratios_;
};

// One transaction after the other, each durable before the next.
double SerialPerSecond(Subject& subject, double seconds) {
  const double began = Now();
  uint64_t done = 0;
  for (; Now() - began < seconds; ++done) subject.CommitDurable();
  return static_cast<double>(done) / (Now() - began);
}

int Main(int argc, char** argv) {
  const std::string directory = MakeDirectory(argc > 1 ? argv[1] : nullptr);
  const auto wanted = [&](const char* name) {
    return argc < 3 || std::any_of(argv + 2, argv + argc, [&](const char* given) {
             return std::strcmp(name, given) == 0;
           });
  };
  {
    Subject store(directory + "/store", Rows());
    BerkeleyDb bdb(directory + "/bdb", Rows());
    store.Load();
    bdb.Load();
    Comparison memory, durable, serial, get;
    for (int round = 0; round < kRounds; ++round) {
      const double seconds = kWindowSeconds;
      if (wanted("get")) get.Add(store.GetMicros(kGets), bdb.GetMicros(kGets));
      if (wanted("memory")) {
        const double ours = store.Update(seconds, nullptr, false);
        Must(store.store().Fold());  // not the load of the other one
        memory.Add(ours, bdb.Update(seconds, DB_TXN_NOSYNC, 0));
      }
      if (wanted("durable")) {
        const double ours = store.Update(seconds);
        Must(store.store().Fold());
        durable.Add(ours, bdb.Update(seconds, DB_TXN_NOSYNC, kOutstanding));
      }
      if (wanted("serial")) {
        serial.Add(SerialPerSecond(store, seconds), bdb.Update(seconds, DB_TXN_SYNC, 0));
      }
    }
    if (wanted("memory")) memory.Print("memory", "/s");
    if (wanted("durable")) durable.Print("durable", "/s");
    if (wanted("serial")) serial.Print("serial", "/s");
    if (wanted("get")) get.Print("get", "us");
  }
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }

#else

int main() {
  std::printf("left out: built without Berkeley DB 5.3 (db.h, libdb-5.3)\n");
  return 0;
}

#endif
