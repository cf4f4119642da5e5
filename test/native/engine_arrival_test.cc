// What is told of messages, at the moment when it is told: a primary and its replica, whose frames
// go straight from one to the other.
#include "engine_fixture.h"

namespace ringleader {
namespace {

using namespace test;

// A member of the base API. Its listener looks at the log before it believes what it hears.
class Site : public MessageCarrier, public GroupListener {
 public:
  explicit Site(uint32_t id) : id_(id) {
    StoreOptions options = BusyStore();
    options.log.group_id = Id128{7, 7, 7};
    const std::string directory = TempDir() + "/" + std::to_string(id);
    store_ = OpenStore(directory, options);
    CoreOptions core;
    core.self = id_;
    core.base_api = true;
    CHECK_VALUE(replication_, Replication::Open(PosixEnv(), directory, *store_, core, this, this));
  }
  ~Site() override {
    replication_.reset();
    if (store_ != nullptr) (void)store_->Close().ok();
  }
  void Follow() { replication_->Do(FollowNow{}); }
  void Lead() { replication_->Do(LeadNow{}); }
  // Null: nothing is on its way to the one before when this returns.
  void Connect(Site* other) {
    const std::lock_guard<std::mutex> lock(mutex_);
    other_ = other;
  }
  // What it sends from now on goes nowhere; messages of records are kept.
  void Record() {
    const std::lock_guard<std::mutex> lock(mutex_);
    other_ = nullptr;
    recording_ = true;
  }
  std::vector<std::vector<uint8_t>> recorded() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return recorded_;
  }
  // Hands over messages in one batch, and waits for what they have come to.
  ArrivalReport Take(const std::vector<std::vector<uint8_t>>& messages, uint32_t from) {
    std::vector<uint8_t> bytes;
    for (const auto& message : messages) bytes.insert(bytes.end(), message.begin(), message.end());
    CHECK_OK(replication_->ReceiveMany(bytes, MemberId(from), 2));
    ArrivalReport report;
    Await([&] {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!batch_) return false;
      report = *std::exchange(batch_, std::nullopt);
      return true;
    });
    return report;
  }
  // Sends of records fail from now on.
  void Break() { broken_.store(true, std::memory_order_release); }

  template <typename Condition>
  void Await(const Condition& condition) const {
    for (int tries = 0; !condition(); ++tries) {
      CHECK(tries < 2000);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  void AwaitPrimary() const {
    Await([this] {
      const GroupStatus status = replication_->Look();
      return status.role == Role::kPrimary && status.commit.value > 0 &&
             store_->log().gate().state == GateState::kOpen;
    });
  }

  Store& store() { return *store_; }
  uint64_t permanent() const { return permanent_.load(std::memory_order_acquire); }
  uint64_t failed() const { return failed_.load(std::memory_order_acquire); }
  bool truthful() const { return truthful_.load(std::memory_order_acquire); }

  void Send(const Message& message, const EncodedMessage& bytes) override {
    const auto* records = std::get_if<Records>(&message.body);
    if (records != nullptr && broken_.load(std::memory_order_acquire)) {
      return replication_->SendFailed(records->end);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (recording_ && records != nullptr) recorded_.push_back(bytes.Joined());
    if (other_ == nullptr) return;
    (void)other_->replication_->Receive(bytes.control, bytes.payload, id_, 1).ok();
  }
  void OnArrival(const ArrivalReport& report) override {
    if (report.many) {
      const std::lock_guard<std::mutex> lock(mutex_);
      batch_ = report;
    }
    if (report.result != MessageResult::kPermanent) return;
    Believe(report.lsn);
    permanent_.store(report.lsn.value, std::memory_order_release);
  }
  void OnPermanentFailed(Lsn lsn) override {
    Believe(lsn);
    failed_.store(lsn.value, std::memory_order_release);
  }
  void OnNotice(const Notice&) override {}
  void OnRead(const ReadReady&) override {}
  void OnProgress() override {}
  void OnFailure(const Status&) override { truthful_.store(false, std::memory_order_release); }

 private:
  void Believe(Lsn lsn) {
    if (store_->log().End(Level::kFlushed) < lsn) truthful_.store(false, std::memory_order_release);
  }

  const MemberId id_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Replication> replication_;
  mutable std::mutex mutex_;  // guards what follows
  Site* other_ = nullptr;
  bool recording_ = false;
  std::vector<std::vector<uint8_t>> recorded_;
  std::optional<ArrivalReport> batch_;
  std::atomic<bool> broken_{false}, truthful_{true};
  std::atomic<uint64_t> permanent_{0}, failed_{0};
};

// The first one leads.
struct Pair {
  Pair() {
    one.Connect(&two);
    two.Connect(&one);
    two.Follow();
    one.Lead();
    one.AwaitPrimary();
  }
  ~Pair() {
    one.Connect(nullptr);
    two.Connect(nullptr);
  }
  Site one{1}, two{2};
};

TEST(engine_arrival, what_is_permanent_is_flushed) {
  Pair pair;
  Site &one = pair.one, &two = pair.two;
  const DatabaseId rows = MakeDatabase(one.store(), "rows");
  for (int i = 0; i < 20; ++i) {
    const Lsn end = PutRow(one.store(), KeyOf(rows, std::to_string(i)), "value");
    two.Await([&] { return two.permanent() >= end.value; });
  }
  CHECK(two.truthful());
}

// A batch is put together to few messages: each of those in it has its own answer all the same.
TEST(engine_arrival, what_a_batch_lacks_is_missing) {
  Pair pair;
  Site &one = pair.one, &two = pair.two;
  const DatabaseId rows = MakeDatabase(one.store(), "rows");
  const Lsn begun = PutRow(one.store(), KeyOf(rows, "a"), "value");
  two.Await([&] { return two.permanent() >= begun.value; });
  one.Record();
  std::vector<Lsn> ends;
  for (size_t i = 0; i < 6; ++i) {
    ends.push_back(PutRow(one.store(), KeyOf(rows, std::to_string(i)), "value"));
    one.Await([&] { return one.recorded().size() > i; });
  }
  const std::vector<std::vector<uint8_t>> all = one.recorded();
  const ArrivalReport lacking = two.Take({all[0], all[1], all[3], all[4]}, 1);
  CHECK_EQ(lacking.permanent, 2u);
  CHECK_EQ(lacking.not_permanent, 2u);
  CHECK_EQ(lacking.lsn.value, ends[1].value);
  CHECK_EQ(two.store().log().End(Level::kMemory).value, ends[1].value);
  const ArrivalReport whole = two.Take(all, 1);
  CHECK_EQ(whole.permanent, 6u);
  CHECK_EQ(whole.lsn.value, ends[5].value);
  CHECK(two.truthful());
  CHECK_EQ(RowsOf(*TakeView(two.store()), rows), RowsOf(*TakeView(one.store()), rows));
}

TEST(engine_arrival, what_could_not_be_sent_is_flushed_when_it_is_told) {
  Pair pair;
  Site &one = pair.one, &two = pair.two;
  const DatabaseId rows = MakeDatabase(one.store(), "rows");
  const Lsn begun = PutRow(one.store(), KeyOf(rows, "a"), "value");
  two.Await([&] { return two.permanent() >= begun.value; });
  one.Break();
  for (int i = 0; i < 20; ++i) {
    const Lsn end = PutRow(one.store(), KeyOf(rows, std::to_string(i)), "value");
    one.Await([&] { return one.failed() >= end.value; });
  }
  CHECK(one.truthful());
}

}  // namespace
}  // namespace ringleader
