// A primary and two replicas of ours in one process, over the engine's own interface.
//
// The transport costs as little as that of bdb_transport.h. There, a message is copied once, and a
// thread of the receiver takes it out of an inbox and works on it. The engine has such an inbox and
// such a thread itself: the sender's pump hands each frame to the receiver's Receive, which copies
// it. Nothing travels but frames of the protocol.
//
// Who waits for copies is told by the primary's pump, and is woken only when its position has been
// reached, as in bdb_transport.h. Every member flushes all the time, whoever waits; all settings
// are the defaults but for the election timeout: a busy machine is no reason for an election.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/replication.h"
#include "store_subject.h"

namespace ringleader {

// What has been done when a commit counts as done.
enum class GroupLevel : uint8_t {
  kMemory,    // nothing beyond the commit itself
  kReceived,  // one replica has it in memory, appended and applied
  kFlushed,   // one replica has flushed it
  kCommit,    // flushed by two of the three members
};

class GroupSubject;

class GroupMember : public MessageCarrier, public GroupListener {
 public:
  GroupMember(GroupSubject& group, MemberId id, std::string directory, const StoreOptions& options)
      : group_(group), id_(id), directory_(std::move(directory)), options_(options) {
    options_.log.group_id = Id128{7, 7, 7};
  }
  ~GroupMember() override { Close(); }

  void Open() {
    store_ = Must(Store::Open(PosixEnv(), directory_, options_));
    CoreOptions core;
    core.self = id_;
    core.election_timeout = 20'000'000'000;
    if (id_.value != 1) core.priority = 0;
    auto replication = Must(Replication::Open(PosixEnv(), directory_, *store_, core, this, this));
    const std::lock_guard lock(life_);
    replication_ = std::move(replication);
    looked_at_.store(replication_.get(), std::memory_order_release);
  }
  void Close() {
    std::unique_ptr<Replication> ending;
    {
      const std::lock_guard lock(life_);
      ending = std::move(replication_);
    }
    ending.reset();
    looked_at_.store(nullptr, std::memory_order_release);
    if (store_ != nullptr) Must(store_->Close());
    store_.reset();
  }

  MemberId id() const { return id_; }
  Store& store() { return *store_; }
  Replication& replication() { return *replication_; }

  uint64_t snapshots() const { return snapshots_.load(std::memory_order_acquire); }

  // How far copies of the log have got, as this primary knows.
  Lsn Reached(GroupLevel level) const {
    return Lsn(reached_[static_cast<size_t>(level)].load(std::memory_order_acquire));
  }
  // Sleeps until that is so. One thread at a time.
  void AwaitReached(Lsn end, GroupLevel level) {
    awaited_level_.store(level, std::memory_order_seq_cst);
    awaited_.store(end.value, std::memory_order_seq_cst);
    for (;;) {
      const uint32_t woken = woken_.load(std::memory_order_seq_cst);
      if (Reached(level) >= end) break;
      woken_.wait(woken, std::memory_order_acquire);
    }
    awaited_.store(UINT64_MAX, std::memory_order_release);
  }

  void Send(const Message& message, const EncodedMessage& bytes) override;
  void Take(const EncodedMessage& frame) {
    const std::lock_guard lock(life_);
    if (replication_ == nullptr) return;
    const Status taken = replication_->Receive(frame.control, frame.payload);
    if (taken.code() != Code::kBusy) Must(taken);
  }
  void OnNotice(const Notice& notice) override {
    if (notice.kind == NoticeKind::kSnapshotDone)
      snapshots_.fetch_add(1, std::memory_order_acq_rel);
  }
  void OnRead(const ReadReady&) override {}
  // Wakes nobody who would go back to sleep.
  void OnProgress() override {
    const Replication* replication = looked_at_.load(std::memory_order_acquire);
    if (replication == nullptr) return;  // not opened altogether
    const GroupStatus status = replication->Look();
    Lsn received, flushed;
    for (const CopyStatus& copy : status.copies) {
      received = std::max(received, copy.received);
      flushed = std::max(flushed, copy.flushed);
    }
    Note(GroupLevel::kReceived, received);
    Note(GroupLevel::kFlushed, flushed);
    Note(GroupLevel::kCommit, status.commit);
    const GroupLevel level = awaited_level_.load(std::memory_order_seq_cst);
    if (Reached(level).value < awaited_.load(std::memory_order_seq_cst)) return;
    woken_.fetch_add(1, std::memory_order_seq_cst);
    woken_.notify_all();
  }
  void OnFailure(const Status& failure) override { Must(failure); }

 private:
  void Note(GroupLevel level, Lsn end) {
    reached_[static_cast<size_t>(level)].store(end.value, std::memory_order_seq_cst);
  }

  GroupSubject& group_;
  const MemberId id_;
  const std::string directory_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Replication> replication_;
  std::mutex life_;
  std::atomic<Replication*> looked_at_{nullptr};
  std::array<std::atomic<uint64_t>, 4> reached_{};
  std::atomic<GroupLevel> awaited_level_{};
  std::atomic<uint64_t> awaited_{UINT64_MAX};
  std::atomic<uint32_t> woken_{0};
  std::atomic<uint64_t> snapshots_{0};
};

class GroupSubject {
 public:
  static constexpr size_t kMembers = 3;

  // All members are up, one leads, and all have all the rows.
  GroupSubject(const std::string& directory, uint64_t rows, const StoreOptions& options = {})
      : rows_(rows) {
    std::filesystem::create_directories(directory);
    std::vector<Member> list;
    for (uint32_t i = 0; i < kMembers; ++i) {
      members_[i] = std::make_unique<GroupMember>(
          *this, MemberId(i + 1), directory + "/member-" + std::to_string(i + 1), options);
      members_[i]->Open();
      list.push_back({members_[i]->id(), members_[i]->replication().incarnation()});
    }
    primary().replication().Do(FoundGroup{MajorityOf(list, 1)});
    AwaitGate();
    Load();
    Settle();
    // Until segments of the log are made of old ones, as they are in the long run.
    while (primary().store().log().Stat().segments_recycled < 2) {
      Commit(GroupLevel::kMemory, kRun, 0.5);
      Settle();
    }
  }

  ~GroupSubject() {
    for (auto& member : members_) member->Close();  // all are there for each other's last frames
  }
  GroupSubject(const GroupSubject&) = delete;
  GroupSubject& operator=(const GroupSubject&) = delete;

  GroupMember& primary() { return *members_[0]; }
  GroupMember& replica(size_t which) { return *members_[which]; }

  void Carry(MemberId from, MemberId to, const EncodedMessage& frame) {
    for (auto& member : members_) {
      if (member->id() != from && (to == kNobody || to == member->id())) member->Take(frame);
    }
  }

  // One-operation transactions on random rows of one thread that has at most `outstanding` of them
  // waiting for the level, for that long or until there are `count`. Per second.
  double Commit(GroupLevel level, size_t outstanding, double seconds, uint64_t count = UINT64_MAX) {
    GroupBoard board = Must(GroupBoard::Of(PosixEnv(), primary().store().log()));
    std::deque<Lsn> waiting;
    uint64_t done = 0;
    const double began = Now();
    while (done < count && Now() - began < seconds) {
      if (level != GroupLevel::kMemory) {
        board.Want(level == GroupLevel::kReceived ? AckLevel::kReceived : AckLevel::kFlushed);
        if (waiting.size() == outstanding) primary().AwaitReached(waiting.front(), level);
        const Lsn reached = primary().Reached(level);
        while (!waiting.empty() && waiting.front() <= reached) waiting.pop_front();
      }
      const size_t run = std::min(kRun, outstanding - waiting.size());
      for (const Lsn end : CommitRun(run)) {
        if (level != GroupLevel::kMemory) waiting.push_back(end);
      }
      done += run;
    }
    if (!waiting.empty()) primary().AwaitReached(waiting.back(), level);
    return static_cast<double>(done) / (Now() - began);
  }

  struct Rates {
    double committed;  // per second, nobody waiting for a replica
    double applied;
    double opened_s;   // recovery of the replica
    double started_s;  // from then until it has applied something new
    double cpu_us;     // of the process for each that was applied
  };

  // One replica is away while the primary commits `count` transactions; then it is opened again and
  // applies them. How fast, is measured from what it applies first to the last. `beside` runs in
  // threads of its own meanwhile, until it is told to stop; it returns how much it has done.
  struct Beside {
    size_t threads = 0;
    std::function<uint64_t(Store&, const std::atomic<bool>& stop)> run = nullptr;
    double per_second = 0;  // out
  };
  Rates CatchUp(uint64_t count, Beside* beside = nullptr) {
    Settle();
    GroupMember& away = replica(2);
    const Lsn before = away.store().log().End(Level::kMemory);
    away.Close();
    // What it lacks stays in the primary's log: nothing is measured of a snapshot.
    Consumer lacking;
    lacking.name = "bench";
    lacking.position = before;
    Must(primary().store().log().PutConsumer(lacking));
    const uint64_t snapshots = away.snapshots();
    Rates rates{};
    rates.committed = Commit(GroupLevel::kMemory, kRun, 1e9, count);
    const Lsn last = primary().store().log().End(Level::kMemory);
    primary().AwaitReached(last, GroupLevel::kCommit);
    const double opened = Now();
    away.Open();
    const double began = Now();
    rates.opened_s = began - opened;
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> done{0};
    std::vector<std::thread> threads;
    for (size_t i = 0; beside != nullptr && i < beside->threads; ++i) {
      threads.emplace_back([&] { done.fetch_add(beside->run(away.store(), stop)); });
    }
    const Lsn first = AwaitApplied(away, before);
    const double first_at = Now();
    const double cpu = ProcessCpu();
    AwaitApplied(away, Lsn(last.value - 1));
    const double ended = Now();
    const double applied = static_cast<double>(count) * static_cast<double>(last - first) /
                           static_cast<double>(last - before);
    rates.applied = applied / (ended - first_at);
    rates.cpu_us = (ProcessCpu() - cpu) / applied * 1e6;
    stop.store(true, std::memory_order_release);
    for (std::thread& thread : threads) thread.join();
    if (beside != nullptr) beside->per_second = static_cast<double>(done.load()) / (ended - began);
    rates.started_s = first_at - began;
    Must(primary().store().log().RemoveConsumer(lacking.name));
    if (away.snapshots() != snapshots || first >= last) {
      Must(Status(Code::kFailed, "the replica took a snapshot instead of applying the log"));
    }
    return rates;
  }

  // Everything is on every member, committed, flushed and folded.
  void Settle() {
    const Lsn end = primary().store().log().End(Level::kMemory);
    for (auto& member : members_) {
      AwaitApplied(*member, Lsn(end.value - 1));
      while (member->replication().Look().commit < end) Nap();
      Must(member->store().log().WaitFor(end, Level::kFlushed));
      Must(member->store().Fold());
    }
    for (auto& member : members_) {
      for (;;) {
        const LogStat stat = member->store().log().Stat();
        if (stat.prepared_end - stat.tail >= 2 * stat.segment_bytes) break;
        Nap();
      }
    }
  }

  // Random rows, each of the newest state, until it is told to stop; how many.
  uint64_t ReadRows(Store& store, const std::atomic<bool>& stop) const {
    const std::unique_ptr<View> view = store.NewView();
    RandomNumbers random(7);
    uint64_t count = 0;
    for (; !stop.load(std::memory_order_acquire); ++count) {
      Must(view->Renew());
      const auto row = Must(view->Get(RowKey(database_, random.Below(rows_)).bytes()));
      if (!row || row->value.size() != kValueBytes) Must(Status(Code::kCorruption, "no such row"));
    }
    return count;
  }

 private:
  static void Nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

  void AwaitGate() {
    while (primary().store().log().gate().state != GateState::kOpen) Nap();
  }

  // Until that member has applied something beyond `above`; how far it has.
  static Lsn AwaitApplied(GroupMember& member, Lsn above) {
    for (;;) {
      const Lsn visible = member.store().log().End(Level::kMemory);
      if (visible > above) return visible;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  // All rows, in transactions of a thousand.
  void Load() {
    Store& store = primary().store();
    database_ = Must(store.OpenDatabase("rows", {}, true)).id;
    const std::array<uint8_t, kValueBytes> value{};
    std::vector<uint8_t> payload;
    for (uint64_t row = 0; row < rows_; ++row) {
      const RowKey row_key(database_, row);
      Operation operation;
      operation.row_key = row_key.bytes();
      operation.value = value;
      AppendOperation(operation, &payload);
      if ((row + 1) % 1000 != 0 && row + 1 != rows_) continue;
      ringleader::Commit commit;
      commit.payload = payload;
      Must(store.CommitOne(commit));
      payload.clear();
    }
  }

  // Commits `count`, at most kRun, transactions of one operation together; where each ends.
  std::vector<Lsn> CommitRun(size_t count) {
    static constexpr std::array<uint8_t, kValueBytes> kValue{};
    Store& store = primary().store();
    std::array<ringleader::Commit, kRun> commits;
    std::array<ringleader::Commit*, kRun> pointers;
    payloads_.resize(kRun);
    for (size_t i = 0; i < count; ++i) {
      const RowKey row_key(database_, random_.Below(rows_));
      Operation operation;
      operation.row_key = row_key.bytes();
      operation.value = kValue;
      payloads_[i].clear();
      AppendOperation(operation, &payloads_[i]);
      commits[i].payload = payloads_[i];
      commits[i].catalogue = store.CatalogueState();
      pointers[i] = &commits[i];
    }
    for (size_t done = 0; done < count;) {
      done += Must(store.TryCommit(std::span(pointers).subspan(done, count - done)));
      if (done == count) break;
      Must(store.CommitOne(*pointers[done]));
      ++done;
    }
    std::vector<Lsn> ends;
    for (size_t i = 0; i < count; ++i) {
      if (commits[i].verdict != Verdict::kCommitted) Must(Status(Code::kConflict, "not committed"));
      ends.push_back(commits[i].appended.end);
    }
    return ends;
  }

  const uint64_t rows_;
  std::array<std::unique_ptr<GroupMember>, kMembers> members_;
  DatabaseId database_ = 0;
  RandomNumbers random_{1};
  std::vector<std::vector<uint8_t>> payloads_;
};

inline void GroupMember::Send(const Message& message, const EncodedMessage& bytes) {
  group_.Carry(id_, message.to, bytes);
}

}  // namespace ringleader
