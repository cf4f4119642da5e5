// CPU time of a step of the replication core.
//
//   core_bench [BLOCKS]
//
// A primary with two and with six replicas, and a replica, are given what a busy group gives them.
// Every kind of step runs in blocks of some hundred, timed by the thread's own clock; blocks of all
// kinds follow one another, so that a slow spell of the machine hits all of them, and a line shows
// the median block. What a step hands out is looked at and thrown away, so memory is used again as
// a driver would. Messages are changed in place: to decode them is not the core's work.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "core/replicator.h"
#include "measure.h"

namespace ringleader {
namespace {

constexpr size_t kBlock = 256;
constexpr uint64_t kBatchBytes = 16'384;  // of records, in one message
constexpr Nanos kMillisecond = 1'000'000;

CoreOptions OptionsOf(uint32_t id) {
  CoreOptions options;
  options.self = MemberId(id);
  options.incarnation = Incarnation(100 + id);
  options.window_bytes = kMaxWindowBytes;
  return options;
}

Configuration GroupOf(uint32_t members) {
  std::vector<Member> all;
  for (uint32_t id = 1; id <= members; ++id) {
    all.push_back({MemberId(id), Incarnation(100 + id), MemberKind::kVoter, 100});
  }
  return MajorityOf(all, 1);
}

Message MessageOf(uint32_t from, uint32_t to, Ballot ballot, Body body) {
  Message message;
  message.from = MemberId(from);
  message.to = MemberId(to);
  message.incarnation = Incarnation(100 + from);
  message.ballot = ballot;
  message.body = std::move(body);
  return message;
}

// One kind of step, and how long the blocks of it took.
class Series {
 public:
  explicit Series(std::string name) : name_(std::move(name)) {}

  template <typename Block>
  void Time(size_t steps, const Block& block) {
    const double begin = ThreadCpu();
    block();
    nanos_.push_back((ThreadCpu() - begin) * 1e9 / static_cast<double>(steps));
  }
  void Print() const {
    std::printf("%-44s %7.0f ns a step (least %.0f)\n", name_.c_str(), Median(nanos_),
                Quantile(nanos_, 0));
  }

 private:
  std::string name_;
  std::vector<double> nanos_;
};

// A core and what it hands out; answers nothing by itself.
class Driven {
 public:
  Driven(const CoreOptions& options, const Start& start) : core_(options, start, 1) {}

  const Outputs& Do(const Input& input) {
    out_.Clear();
    core_.Step(input, &out_);
    if (out_.save) saving_ = out_.save->sequence;
    return out_;
  }
  const Outputs& Do(Event event) { return Do(Input{now, std::move(event)}); }
  void Save() {
    if (saving_ != 0) Do(HardStateSaved{std::exchange(saving_, 0)});
  }
  const Replicator& core() const { return core_; }

  Nanos now = 1;

 private:
  Replicator core_;
  Outputs out_;
  uint64_t saving_ = 0;
};

class PrimaryBench {
 public:
  explicit PrimaryBench(uint32_t replicas)
      : replicas_(replicas),
        primary_(OptionsOf(1), Start{}),
        append_("primary, " + Of() + "append and ship a batch"),
        flush_("primary, " + Of() + "own flush"),
        ack_("primary, " + Of() + "acknowledgement"),
        heartbeat_("primary, " + Of() + "heartbeat to all") {
    primary_.Do(FoundGroup{GroupOf(replicas + 1)});
    primary_.Save();
    const Ballot term = primary_.core().term();
    primary_.Do(TermAppended{term, Lsn(0), Lsn(64)});
    primary_.Do(ConfigurationAppended{GroupOf(replicas + 1), Lsn(512)});
    end_ = 512;
    for (uint32_t i = 0; i < replicas; ++i) {
      acks_.push_back({0, Receive{MessageOf(2 + i, 1, term, Ack{})}});
    }
    primary_.Do(LogFlushed{Lsn(end_)});
    Acknowledge(end_);
    primary_.Save();
    RL_CHECK(primary_.core().commit() == Lsn(end_));
  }

  void Block() {
    const uint64_t first = end_;
    append_.Time(kBlock * (1 + replicas_), [this] {
      for (size_t i = 0; i < kBlock; ++i) Append();
    });
    flush_.Time(kBlock, [this, first] {
      for (uint64_t i = 1; i <= kBlock; ++i) primary_.Do(LogFlushed{Lsn(first + i * kBatchBytes)});
    });
    ack_.Time(kBlock * replicas_, [this, first] {
      for (uint64_t i = 1; i <= kBlock; ++i) Acknowledge(first + i * kBatchBytes);
    });
    RL_CHECK(primary_.core().commit() == Lsn(end_));
    const Nanos interval = primary_.core().options().heartbeat_interval;
    heartbeat_.Time(kBlock, [this, interval] {
      for (size_t i = 0; i < kBlock; ++i) {
        primary_.now += interval / kBlock + 1;
        RL_CHECK(primary_.Do(BeatNow()).send.size() == replicas_);
      }
    });
    Acknowledge(end_);
    primary_.Save();
    RL_CHECK(primary_.core().role() == Role::kPrimary);
  }

  void Print() {
    for (Series* one : {&append_, &flush_, &ack_, &heartbeat_}) one->Print();
  }

 private:
  std::string Of() const { return std::to_string(replicas_) + " replicas: "; }

  // A primary that is asked for an election says at once that there is one.
  static Event BeatNow() { return CallElection{}; }

  void Append() {
    end_ += kBatchBytes;
    RL_CHECK(primary_.Do(LogAppended{Lsn(end_)}).ship.size() == replicas_);
    for (uint32_t i = 0; i < replicas_; ++i) primary_.Do(Shipped{MemberId(2 + i), Lsn(end_)});
  }

  void Acknowledge(uint64_t end) {
    for (Input& input : acks_) {
      Ack& ack = std::get<Ack>(std::get<Receive>(input.event).message.body);
      ack.received = ack.written = ack.flushed = ack.applied = Lsn(end);
      ack.sent_at = input.now = primary_.now;
      primary_.Do(input);
    }
  }

  uint32_t replicas_;
  Driven primary_;
  uint64_t end_ = 0;
  std::vector<Input> acks_;
  Series append_, flush_, ack_, heartbeat_;
};

class ReplicaBench {
 public:
  ReplicaBench()
      : replica_(OptionsOf(2), StartOf()),
        records_("replica: records, appended, flushed"),
        heartbeat_("replica: heartbeat") {
    Records records;
    records.previous = {kBallot, Lsn(end_)};
    records_in_ = {0, Receive{MessageOf(1, 2, kBallot, records)}};
    heartbeat_in_ = {0, Receive{MessageOf(1, 2, kBallot, Heartbeat{})}};
    Beat();
    replica_.Save();
    RL_CHECK(replica_.core().primary() == MemberId(1));
  }

  void Block() {
    records_.Time(3 * kBlock, [this] {
      for (size_t i = 0; i < kBlock; ++i) Take();
    });
    heartbeat_.Time(kBlock, [this] {
      for (size_t i = 0; i < kBlock; ++i) Beat();
    });
    replica_.Save();
  }

  void Print() {
    records_.Print();
    heartbeat_.Print();
  }

 private:
  static constexpr Ballot kBallot{Term(1), Incarnation(101)};

  static Start StartOf() {
    Start start;
    start.log_end = Lsn(512);
    RL_CHECK(start.terms.Add({kBallot, Lsn(0)}));
    start.configurations = {{Lsn(512), GroupOf(3)}};
    start.hard_state.promised = kBallot;
    return start;
  }

  void Take() {
    Records& records = std::get<Records>(std::get<Receive>(records_in_.event).message.body);
    records.previous.lsn = Lsn(end_);
    records.commit = Lsn(end_);
    end_ += kBatchBytes;
    records.end = records.log_end = Lsn(end_);
    records_in_.now = replica_.now;
    RL_CHECK(replica_.Do(records_in_).log.size() == 1);
    replica_.Do(LogAppended{Lsn(end_)});
    RL_CHECK(replica_.Do(LogFlushed{Lsn(end_)}).send.size() == 1);
  }

  void Beat() {
    replica_.now += kMillisecond;
    Heartbeat& beat = std::get<Heartbeat>(std::get<Receive>(heartbeat_in_.event).message.body);
    beat.sent_at = heartbeat_in_.now = replica_.now;
    beat.end = {kBallot, Lsn(end_)};
    beat.commit = Lsn(end_);
    beat.has_quorum = true;
    replica_.Do(heartbeat_in_);
  }

  Driven replica_;
  uint64_t end_ = 512;
  Input records_in_, heartbeat_in_;
  Series records_, heartbeat_;
};

int Main(size_t blocks) {
  PrimaryBench two(2), six(6);
  ReplicaBench replica;
  for (size_t i = 0; i < blocks; ++i) {
    two.Block();
    six.Block();
    replica.Block();
  }
  two.Print();
  six.Print();
  replica.Print();
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) {
  const size_t blocks = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 400;
  return ringleader::Main(blocks > 0 ? blocks : 1);
}
