// A primary and two replicas of Berkeley DB 5.3 in one process, on its base replication API.
//
// One thread per member hands its inbox to rep_process_message: more would only add reordering,
// because a replica applies under one mutex. A permanent message that is broadcast keeps its
// committer inside the transport's callback until as many replicas as asked for have confirmed its
// position. DB_REP_ISPERM confirms a position and all before it; DB_REP_NOTPERM (queued behind a
// gap) confirms nothing, a later DB_REP_ISPERM covers it.
//
// Settings, in favour of the peer wherever the durability asked for does not forbid it:
//   DB_PRIVATE     regions in the heap of the process, with its cheaper mutexes
//   cache          512 MiB, so that no page is read or written but by a checkpoint
//   log            a buffer of 16 MiB, so that a writer that does not flush waits for no write;
//                  files of 64 MiB, as in our log; a region of 1 MiB
//   request limit  none: one answer carries all that a replica lacks
//   checkpoints    on the primary for every 64 MiB of log, with one second instead of 30 between
//                  its pages and its record, in which the replicas write their caches
//   deadlocks      looked for at every conflict; the loser tries its transaction again
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bdb_transport.h"
#include "store_subject.h"

namespace ringleader {

// What has been done when a commit returns.
struct BdbLevel {
  const char* name;
  uint32_t primary;  // by the primary: DB_TXN_NOSYNC, DB_TXN_WRITE_NOSYNC or DB_TXN_SYNC
  uint32_t replica;  // by a replica, before it confirms: DB_TXN_NOSYNC or DB_TXN_SYNC
  size_t replicas;   // how many have confirmed: 1 or 2
};

// Where the messages of a member go, and what its replica has confirmed.
class BdbPost {
 public:
  virtual ~BdbPost() = default;
  virtual int Send(int from, const DBT& control, const DBT& record, const DB_LSN* lsn, int to,
                   uint32_t flags) = 0;
  virtual void Confirm(int member, const DB_LSN& lsn) = 0;
};

// One environment, with its inbox and the thread that empties it.
class BdbMember {
 public:
  static constexpr uint32_t kLogFileBytes = 64u << 20;

  BdbMember(BdbPost& post, int id, std::string directory)
      : post_(post), id_(id), directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_);
  }
  ~BdbMember() { Close(); }
  BdbMember(const BdbMember&) = delete;
  BdbMember& operator=(const BdbMember&) = delete;

  // Recovers. The member is silent until it is started.
  void Open() {
    MustBdb(db_env_create(&env_, 0));
    env_->app_private = this;
    env_->set_errfile(env_, stderr);
    MustBdb(env_->set_cachesize(env_, 0, kCacheBytes, 1));
    MustBdb(env_->set_lg_bsize(env_, kLogBufferBytes));
    MustBdb(env_->set_lg_max(env_, kLogFileBytes));
    MustBdb(env_->set_lg_regionmax(env_, kLogRegionBytes));
    MustBdb(env_->set_lk_detect(env_, DB_LOCK_DEFAULT));
    MustBdb(env_->set_flags(env_, DB_TXN_NOSYNC, 1));
    MustBdb(env_->set_event_notify(env_, OnEvent));
    MustBdb(env_->rep_set_transport(env_, id_, OnSend));
    MustBdb(env_->rep_set_limit(env_, 0, 0));
    MustBdb(env_->rep_set_timeout(env_, DB_REP_CHECKPOINT_DELAY, kCheckpointDelayMicros));
    const uint32_t flags = DB_CREATE | DB_RECOVER | DB_PRIVATE | DB_THREAD | DB_INIT_MPOOL |
                           DB_INIT_TXN | DB_INIT_LOG | DB_INIT_LOCK | DB_INIT_REP;
    MustBdb(env_->open(env_, directory_.c_str(), flags, 0));
  }

  // As DB_REP_MASTER or as DB_REP_CLIENT.
  void Start(uint32_t role) {
    started_.store(false, std::memory_order_release);
    inbox_.Open();  // for the answers to what it sends while it starts
    MustBdb(env_->rep_start(env_, nullptr, role));
    delivery_ = std::thread([this] { Deliver(); });
  }

  // Until a replica has all that the primary had.
  void AwaitStarted() { started_.wait(false, std::memory_order_acquire); }

  void Close() {
    inbox_.Close();
    if (delivery_.joinable()) delivery_.join();
    if (env_ != nullptr) MustBdb(env_->close(env_, 0));
    env_ = nullptr;
  }

  // What committing, or applying a commit, does by default. Nothing may be under way.
  void SetDurability(uint32_t level) {
    for (const uint32_t flag : {uint32_t{DB_TXN_NOSYNC}, uint32_t{DB_TXN_WRITE_NOSYNC}}) {
      MustBdb(env_->set_flags(env_, flag, 0));
    }
    if (level != DB_TXN_SYNC) MustBdb(env_->set_flags(env_, level, 1));
  }

  DB_ENV* env() { return env_; }
  BdbInbox& inbox() { return inbox_; }

  uint64_t PagesReceived() {
    DB_REP_STAT* stat = nullptr;
    MustBdb(env_->rep_stat(env_, &stat, 0));
    const uint64_t pages = stat->st_pg_records;
    std::free(stat);
    return pages;
  }

 private:
  static constexpr uint32_t kCacheBytes = 512u << 20;
  static constexpr uint32_t kLogBufferBytes = 16u << 20;
  static constexpr uint32_t kLogRegionBytes = 1u << 20;
  static constexpr uint32_t kCheckpointDelayMicros = 1'000'000;

  static int OnSend(DB_ENV* env, const DBT* control, const DBT* record, const DB_LSN* lsn, int to,
                    uint32_t flags) {
    auto* self = static_cast<BdbMember*>(env->app_private);
    return self->post_.Send(self->id_, *control, *record, lsn, to, flags);
  }

  static void OnEvent(DB_ENV* env, uint32_t event, void*) {
    auto* self = static_cast<BdbMember*>(env->app_private);
    if (event == DB_EVENT_PANIC) MustBdb(DB_RUNRECOVERY);
    if (event != DB_EVENT_REP_STARTUPDONE) return;
    self->started_.store(true, std::memory_order_release);  // pairs with AwaitStarted
    self->started_.notify_all();
  }

  void Deliver() {
    while (const BdbMessagePointer message = inbox_.Pop()) {
      DBT control = Thing(message->control());
      DBT record = Thing(message->record());
      DB_LSN lsn;
      const int code = env_->rep_process_message(env_, &control, &record, message->from(), &lsn);
      switch (code) {
        case DB_REP_ISPERM:
          post_.Confirm(id_, lsn);
          break;
        case DB_REP_NOTPERM:
        case DB_REP_NEWSITE:
        case DB_REP_IGNORE:
          break;
        default:
          MustBdb(code);
      }
    }
  }

  BdbPost& post_;
  const int id_;
  const std::string directory_;
  DB_ENV* env_ = nullptr;
  BdbInbox inbox_;
  std::thread delivery_;
  std::atomic<bool> started_{false};
};

class BdbGroup : public BdbPost {
 public:
  static constexpr int kWriters = 8;

  // All rows are there before the replicas come and copy them, page by page.
  BdbGroup(const std::string& directory, uint64_t rows) : rows_(rows) {
    for (int id = 0; id < 3; ++id) {
      members_[id] =
          std::make_unique<BdbMember>(*this, id, directory + "/member-" + std::to_string(id));
      members_[id]->Open();
    }
    primary().Start(DB_REP_MASTER);
    Load();
    for (int id = 1; id < 3; ++id) members_[id]->Start(DB_REP_CLIENT);
    for (int id = 1; id < 3; ++id) members_[id]->AwaitStarted();
    checkpoints_ = std::thread([this] {
      DB_ENV* env = primary().env();
      while (!stopping_.load(std::memory_order_acquire)) {
        MustBdb(env->txn_checkpoint(env, kCheckpointKilobytes, 0, 0));
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    });
  }
  BdbGroup(const BdbGroup&) = delete;
  BdbGroup& operator=(const BdbGroup&) = delete;
  ~BdbGroup() override {
    stopping_.store(true, std::memory_order_release);
    checkpoints_.join();
    for (int id = 2; id > 0; --id) members_[id]->Close();
    MustBdb(db_->close(db_, 0));
    primary().Close();  // sends what is left in its bulk buffer: all inboxes are needed still
  }

  // One-operation transactions per second of kWriters threads.
  double CommitPerSecond(const BdbLevel& level, bool bulk, double seconds) {
    SetBulk(bulk);
    CommitOne(0, DB_TXN_NOSYNC);
    AwaitBoth();
    for (int id = 1; id < 3; ++id) members_[id]->SetDurability(level.replica);
    primary().SetDurability(level.primary);
    wanted_.store(level.replicas, std::memory_order_release);
    const double rate = Commit(level.primary, UINT64_MAX, seconds);
    AwaitBoth();
    wanted_.store(0, std::memory_order_release);
    return rate;
  }

  struct Rates {
    double committed;  // per second, by kWriters threads, nobody waiting for a replica
    double applied;
    double started_s;  // from the replica's start until it has confirmed something new
    double cpu_us;     // of the process for each that was applied
  };

  // One replica is away while the primary commits `count` transactions, unflushed; then it is
  // opened again and applies them. How fast, is measured from what it confirms first to the last.
  Rates CatchUp(uint64_t count, bool bulk) {
    SetBulk(bulk);
    AwaitBoth();
    for (auto& member : members_) member->SetDurability(DB_TXN_NOSYNC);
    const uint64_t before = last_permanent_.load(std::memory_order_acquire);
    BdbMember& replica = *members_[2];
    replica.Close();
    Rates rates{};
    rates.committed = Commit(DB_TXN_NOSYNC, count, kPatience.count());
    MustBdb(primary().env()->log_flush(primary().env(), nullptr));
    AwaitReplica(0);
    const uint64_t last = last_permanent_.load(std::memory_order_acquire);
    replica.Open();
    const double began = Now();
    replica.Start(DB_REP_CLIENT);
    AwaitReplica(1, before + 1);
    const uint64_t first = confirmations_.ConfirmedBy(1);
    const double first_at = Now();
    const double cpu = ProcessCpu();
    AwaitReplica(1, last);
    const double applied =
        static_cast<double>(count) * LogBytes(first, last) / LogBytes(before, last);
    rates.applied = applied / (Now() - first_at);
    rates.cpu_us = (ProcessCpu() - cpu) / applied * 1e6;
    rates.started_s = first_at - began;
    if (replica.PagesReceived() != 0) Fail("the replica copied pages instead of applying the log");
    replica.AwaitStarted();
    return rates;
  }

  // Commits that no replica confirmed in time. 0, unless something is wrong.
  uint64_t unconfirmed() const { return unconfirmed_.load(std::memory_order_acquire); }

 private:
  static constexpr uint32_t kCheckpointKilobytes = 64u << 10;
  static constexpr std::chrono::seconds kPatience{60};

  [[noreturn]] static void Fail(const char* what) {
    std::fprintf(stderr, "Berkeley DB: %s\n", what);
    std::exit(1);
  }

  static uint64_t Position(const DB_LSN& lsn) { return uint64_t{lsn.file} << 32 | lsn.offset; }

  static double LogBytes(uint64_t from, uint64_t to) {
    const auto at = [](uint64_t position) {
      return static_cast<double>(position >> 32) * BdbMember::kLogFileBytes +
             static_cast<double>(position & UINT32_MAX);
    };
    return at(to) - at(from);
  }

  BdbMember& primary() { return *members_[0]; }

  int Send(int from, const DBT& control, const DBT& record, const DB_LSN* lsn, int to,
           uint32_t flags) override {
    const auto message = std::make_shared<const BdbMessage>(from, control, record);
    for (int id = 0; id < 3; ++id) {
      if (id == from || (to != DB_EID_BROADCAST && to != id)) continue;
      members_[id]->inbox().Push(message);
    }
    // What is sent again, to one member, has no committer that waits for it.
    if (from != 0 || to != DB_EID_BROADCAST || !(flags & DB_REP_PERMANENT)) return 0;
    const uint64_t position = Position(*lsn);
    uint64_t last = last_permanent_.load(std::memory_order_acquire);
    while (last < position && !last_permanent_.compare_exchange_weak(last, position)) continue;
    for (int id = 1; id < 3; ++id) members_[id]->inbox().AwaitRoom();
    const size_t wanted = wanted_.load(std::memory_order_acquire);
    if (wanted == 0) return 0;
    if (wanted == 1 ? confirmations_.AwaitAny(position, kPatience)
                    : confirmations_.AwaitAll(position, kPatience)) {
      return 0;
    }
    unconfirmed_.fetch_add(1, std::memory_order_release);
    return DB_REP_UNAVAIL;
  }

  void Confirm(int member, const DB_LSN& lsn) override {
    confirmations_.Confirm(static_cast<size_t>(member) - 1, Position(lsn));
  }

  void AwaitReplica(size_t replica) {
    AwaitReplica(replica, last_permanent_.load(std::memory_order_acquire));
  }
  void AwaitReplica(size_t replica, uint64_t position) {
    if (!confirmations_.AwaitReplica(replica, position, kPatience)) Fail("a replica is stuck");
  }
  void AwaitBoth() {
    AwaitReplica(0);
    AwaitReplica(1);
  }

  void SetBulk(bool bulk) {
    for (auto& member : members_) {
      MustBdb(member->env()->rep_set_config(member->env(), DB_REP_CONF_BULK, bulk));
    }
  }

  void Load() {
    DB_ENV* env = primary().env();
    MustBdb(db_create(&db_, env, 0));
    MustBdb(db_->open(db_, nullptr, "rows", nullptr, DB_BTREE,
                      DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0));
    const std::vector<uint8_t> value(kValueBytes, 'v');
    DB_TXN* txn = nullptr;
    uint64_t count = 0;
    for (const auto& key : KeysInOrder(rows_)) {
      if (txn == nullptr) MustBdb(env->txn_begin(env, nullptr, &txn, 0));
      MustBdb(Put(txn, key, value));
      if (++count % 1000 != 0) continue;
      MustBdb(txn->commit(txn, DB_TXN_NOSYNC));
      txn = nullptr;
    }
    if (txn != nullptr) MustBdb(txn->commit(txn, DB_TXN_NOSYNC));
  }

  int Put(DB_TXN* txn, Bytes key, Bytes value) {
    DBT key_thing = Thing(key);
    DBT value_thing = Thing(value);
    return db_->put(db_, txn, &key_thing, &value_thing, 0);
  }

  void CommitOne(uint64_t row, uint32_t flags) {
    static constexpr std::array<uint8_t, kValueBytes> kValue{};
    DB_ENV* env = primary().env();
    for (;;) {
      DB_TXN* txn = nullptr;
      MustBdb(env->txn_begin(env, nullptr, &txn, 0));
      const int code = Put(txn, RowKey(0, row).key(), kValue);
      if (code == 0) return MustBdb(txn->commit(txn, flags));
      MustBdb(txn->abort(txn));
      if (code != DB_LOCK_DEADLOCK) MustBdb(code);
    }
  }

  // Transactions per second of kWriters threads, until there are `count` or time is over.
  double Commit(uint32_t flags, uint64_t count, double seconds) {
    std::atomic<uint64_t> begun{0};
    std::atomic<uint64_t> done{0};
    std::vector<std::thread> writers;
    const double began = Now();
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&, writer] {
        RandomNumbers random(static_cast<uint64_t>(writer) + 1);
        uint64_t own = 0;
        while (begun.fetch_add(1, std::memory_order_acq_rel) < count && Now() - began < seconds) {
          CommitOne(random.Below(rows_), flags);
          ++own;
        }
        done.fetch_add(own, std::memory_order_acq_rel);
      });
    }
    for (auto& writer : writers) writer.join();
    return static_cast<double>(done.load(std::memory_order_acquire)) / (Now() - began);
  }

  const uint64_t rows_;
  std::array<std::unique_ptr<BdbMember>, 3> members_;
  DB* db_ = nullptr;
  BdbConfirmations confirmations_;
  std::atomic<size_t> wanted_{0};            // replicas that each commit waits for
  std::atomic<uint64_t> last_permanent_{0};  // position of the newest permanent message
  std::atomic<uint64_t> unconfirmed_{0};
  std::atomic<bool> stopping_{false};
  std::thread checkpoints_;
};

}  // namespace ringleader
