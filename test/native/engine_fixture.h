// A group of real environments in one process: real disks, clocks and threads, and a transport
// between them that the test can cut, and that loses, repeats and reorders if it is told to.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/replication.h"
#include "store_fixture.h"

namespace ringleader::test {

class TestGroup;

// One member: an environment, its part in the group, and what was heard of it.
class TestMember : public MessageCarrier, public GroupListener {
 public:
  TestMember(TestGroup& group, MemberId id, std::string directory)
      : group_(group), id_(id), directory_(std::move(directory)) {}

  void Start();
  // Everything of the process goes; what it has on the disk and in its log stays.
  void Stop();
  bool up() const { return replication_ != nullptr; }

  Store& store() { return *store_; }
  Replication& replication() { return *replication_; }
  GroupStatus status() const { return replication_->Look(); }
  MemberId id() const { return id_; }
  const std::string& directory() const { return directory_; }
  Incarnation incarnation() const { return incarnation_; }
  uint64_t heard(NoticeKind kind) const {
    return heard_[static_cast<size_t>(kind)].load(std::memory_order_acquire);
  }
  std::string Failure() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return failure_;
  }
  void Deliver(Bytes control, Bytes payload);

  void Send(const Message& message, const EncodedMessage& bytes) override;
  void OnNotice(const Notice& notice) override {
    heard_[static_cast<size_t>(notice.kind)].fetch_add(1, std::memory_order_acq_rel);
  }
  void OnRead(const ReadReady& read) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    reads_.push_back(read);
  }
  void OnProgress() override {}
  void OnFailure(const Status& failure) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure_ = failure.ToString();
  }

 private:
  friend class TestGroup;

  TestGroup& group_;
  const MemberId id_;
  const std::string directory_;
  Incarnation incarnation_;
  mutable std::mutex mutex_;  // guards reads_, failure_
  std::vector<ReadReady> reads_;
  std::string failure_;
  std::array<std::atomic<uint64_t>, 32> heard_{};
  std::mutex delivery_;  // guards the life of replication_ against deliveries
  std::unique_ptr<Store> store_;
  std::unique_ptr<Replication> replication_;
};

// What a member comes up with, where a test wants other than the usual.
struct MemberSetup {
  StoreOptions store;
  CoreOptions core;
  SnapshotOptions snapshots;
  Env* env = nullptr;        // of the replication
  Env* store_env = nullptr;  // of log and tables
};

class TestGroup {
 public:
  struct Parcel {
    MemberId from, to;
    std::vector<uint8_t> bytes;
  };
  // Set before the members come up. The tap sees what is about to be delivered, on the courier's
  // thread, may change it, and says whether it is delivered at all.
  std::function<void(MemberId member, MemberSetup& setup)> adapt;
  std::function<bool(Parcel& parcel)> tap;

  explicit TestGroup(uint32_t members, uint64_t seed = 1) : random_(seed) {
    for (uint32_t i = 0; i < members; ++i) {
      members_.push_back(std::make_unique<TestMember>(*this, MemberId(i + 1),
                                                      TempDir() + "/" + std::to_string(i + 1)));
    }
    courier_ = std::thread([this] { Carry(); });
  }
  ~TestGroup() {
    for (auto& member : members_) member->Stop();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    more_.notify_one();
    courier_.join();
  }

  TestMember& operator[](size_t index) { return *members_[index]; }
  size_t size() const { return members_.size(); }

  // All members up, the first one founds the group.
  void Found() {
    std::vector<Member> list;
    for (auto& member : members_) {
      member->Start();
      list.push_back({member->id(), member->incarnation()});
    }
    members_[0]->replication().Do(FoundGroup{MajorityOf(list, 1)});
  }

  // The only primary that has a quorum, when there is one.
  TestMember& AwaitPrimary() {
    TestMember* found = nullptr;
    Await("a primary", [&] {
      for (auto& member : members_) {
        if (!member->up() || cut_.load(std::memory_order_acquire) == member->id().value) continue;
        const GroupStatus status = member->status();
        if (status.role == Role::kPrimary && status.commit.value > 0 &&
            member->store().log().gate().state == GateState::kOpen) {
          found = member.get();
        }
      }
      return found != nullptr;
    });
    return *found;
  }

  template <typename Condition>
  void Await(const char* what, const Condition& condition) {
    for (int tries = 0; tries < 6000; ++tries) {
      if (condition()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    Describe();
    std::printf("waited for %s in vain\n", what);
    CHECK(false);
  }

  void Describe() {
    for (auto& member : members_) {
      if (!member->up()) continue;
      const GroupStatus s = member->status();
      std::printf("member %u: role %d term %u primary %u end %llu flushed %llu commit %llu %s\n",
                  member->id().value, static_cast<int>(s.role), s.term.counter.value,
                  s.primary.value, static_cast<unsigned long long>(s.end.value),
                  static_cast<unsigned long long>(s.flushed.value),
                  static_cast<unsigned long long>(s.commit.value), member->Failure().c_str());
    }
  }

  // All that are up have committed and applied as far as the primary's log goes.
  void AwaitAgreement() {
    Await("agreement", [&] {
      Lsn end;
      bool primary = false;
      for (auto& member : members_) {
        if (!member->up()) continue;
        const GroupStatus status = member->status();
        end = std::max(end, member->store().log().End(Level::kMemory));
        primary = primary || status.role == Role::kPrimary;
      }
      if (!primary) return false;
      for (auto& member : members_) {
        if (member->up() && member->status().commit < end) return false;
      }
      return true;
    });
  }

  // No message to or from it; 0 = all is well.
  void Cut(uint32_t member) { cut_.store(member, std::memory_order_release); }
  // Answers to readers wait until they are let go.
  void HoldReplies(bool hold) {
    const std::lock_guard<std::mutex> lock(mutex_);
    holding_ = hold;
    if (hold) return;
    for (Parcel& parcel : held_) waiting_.push_back(std::move(parcel));
    held_.clear();
    more_.notify_one();
  }
  size_t replies_held() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return held_.size();
  }
  // Of a hundred messages, so many are lost, and as many come twice or late.
  void Disturb(uint32_t percent) { disturbed_.store(percent, std::memory_order_release); }

  void Carry(MemberId from, const Message& message, const EncodedMessage& bytes) {
    const bool reply = std::holds_alternative<ReadReply>(message.body);
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& member : members_) {
      if (member->id() == from || (message.to != kNobody && message.to != member->id())) continue;
      auto& queue = reply && holding_ ? held_ : waiting_;
      queue.push_back({from, member->id(), bytes.Joined()});
    }
    more_.notify_one();
  }

 private:
  void Carry() {
    for (;;) {
      Parcel parcel;
      bool twice = false;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        more_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
        if (ended_) return;
        const uint32_t percent = disturbed_.load(std::memory_order_acquire);
        size_t at = 0;
        if (random_() % 100 < percent) at = random_() % waiting_.size();
        parcel = std::move(waiting_[at]);
        waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(at));
        if (random_() % 100 < percent) continue;
        twice = random_() % 100 < percent;
      }
      if (tap && !tap(parcel)) continue;
      const uint32_t cut = cut_.load(std::memory_order_acquire);
      if (cut == parcel.from.value || cut == parcel.to.value) continue;
      for (int i = 0; i < (twice ? 2 : 1); ++i) {
        members_[parcel.to.value - 1]->Deliver(parcel.bytes, {});
      }
    }
  }

  std::vector<std::unique_ptr<TestMember>> members_;
  std::atomic<uint32_t> cut_{0};
  std::atomic<uint32_t> disturbed_{0};
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Parcel> waiting_, held_;
  bool holding_ = false;
  std::mt19937_64 random_;
  bool ended_ = false;
  std::thread courier_;
};

inline void TestMember::Start() {
  MemberSetup setup{BusyStore(), {}, {}, &PosixEnv(), &PosixEnv()};
  setup.store.log.group_id = Id128{7, 7, 7};
  CoreOptions& core = setup.core;
  core.self = id_;
  core.election_timeout = 300'000'000;
  core.heartbeat_interval = 50'000'000;
  core.canvass_wait = 50'000'000;
  core.automatic_snapshot = false;
  if (group_.adapt) group_.adapt(id_, setup);
  store_ = OpenStore(directory_, setup.store, *setup.store_env);
  CHECK_VALUE(
      std::unique_ptr<Replication> replication,
      Replication::Open(*setup.env, directory_, *store_, core, this, this, setup.snapshots));
  incarnation_ = replication->incarnation();
  const std::lock_guard<std::mutex> lock(delivery_);
  replication_ = std::move(replication);
}

inline void TestMember::Stop() {
  std::unique_ptr<Replication> ending;
  {
    const std::lock_guard<std::mutex> lock(delivery_);
    ending = std::move(replication_);
  }
  ending.reset();
  if (store_ != nullptr) CHECK_OK(store_->Close());
  store_.reset();
}

inline void TestMember::Deliver(Bytes control, Bytes payload) {
  const std::lock_guard<std::mutex> lock(delivery_);
  if (replication_ != nullptr) (void)replication_->Receive(control, payload).ok();
}

inline void TestMember::Send(const Message& message, const EncodedMessage& bytes) {
  group_.Carry(id_, message, bytes);
}

}  // namespace ringleader::test
