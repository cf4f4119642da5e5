// Steps of one core, where a group of them would hide what is looked at.
#include "core/replicator.h"

#include <algorithm>

#include "harness.h"

namespace ringleader::test {
namespace {

constexpr Ballot kOwnTerm{Term(5), Incarnation(101)};
constexpr Ballot kDonorTerm{Term(9), Incarnation(101)};

CoreOptions OptionsOf(uint32_t id) {
  CoreOptions options;
  options.self = MemberId(id);
  options.incarnation = Incarnation(100 + id);
  return options;
}

// The third one never leads.
Configuration ThreeMembers() {
  std::vector<Member> members;
  for (uint32_t id = 1; id <= 3; ++id) {
    members.push_back({MemberId(id), Incarnation(100 + id), MemberKind::kVoter, id == 3 ? 0u : 9u});
  }
  return MajorityOf(members, 1);
}

// The second one, with a log that ends at 800.
Start SecondMember() {
  Start start;
  start.log_end = Lsn(800);
  CHECK(start.terms.Add({kOwnTerm, Lsn(0)}));
  start.configurations = {{Lsn(100), ThreeMembers()}};
  start.hard_state.promised = kOwnTerm;
  return start;
}

class Driven {
 public:
  Driven(uint32_t id, const Start& start) : core(OptionsOf(id), start, 1) {}

  const Outputs& Do(Event event) {
    out_.Clear();
    core.Step({now, std::move(event)}, &out_);
    return out_;
  }
  const Outputs& Hear(uint32_t from, Incarnation incarnation, Ballot ballot, Body body) {
    Message message;
    message.from = MemberId(from);
    message.to = core.options().self;
    message.incarnation = incarnation;
    message.ballot = ballot;
    message.body = std::move(body);
    return Do(Receive{std::move(message)});
  }
  // Steps until the core has nothing to do before `until`; how often it has
  // saved.
  int RunUntil(Nanos until) {
    int saves = 0;
    while (core.Deadline() <= until) {
      now = std::max(now, core.Deadline());
      if (!Do(Tick{}).save) continue;
      ++saves;
      Do(HardStateSaved{core.state().promise.hard.sequence});
    }
    now = until;
    return saves;
  }

  Replicator core;
  Nanos now = 1;

 private:
  Outputs out_;
};

template <typename B>
size_t CountOf(const std::vector<Message>& messages) {
  return static_cast<size_t>(std::count_if(
      messages.begin(), messages.end(),
      [](const Message& message) { return std::holds_alternative<B>(message.body); }));
}

size_t CountOf(const std::vector<Notice>& notices, NoticeKind kind) {
  return static_cast<size_t>(std::count_if(notices.begin(), notices.end(),
                                           [kind](const Notice& one) { return one.kind == kind; }));
}

SnapshotPiece PieceAt(const Position& position) {
  SnapshotPiece piece;
  piece.head.id = 7;
  piece.head.position = position;
  piece.head.terms = {{kDonorTerm, Lsn(600)}};
  piece.from_primary = false;
  return piece;
}

// Asks the third member for records, and has been told that there are none but
// a snapshot.
void FetchOfTheThird(Driven& second) {
  const Incarnation third(103);
  second.now = second.core.Deadline();
  CHECK_EQ(CountOf<Canvass>(second.Do(Tick{}).send), 2u);
  CanvassReply reply;
  reply.round = second.core.state().election.round;
  reply.last = {kDonorTerm, Lsn(1000)};
  reply.configuration = 1;
  second.Hear(3, third, kDonorTerm, reply);
  second.now = second.core.Deadline();
  CHECK_EQ(CountOf<Request>(second.Do(Tick{}).send), 1u);
  // Its terms are others than those that this member remembers: how far the
  // logs agree is unknown.
  const Refusal refusal{
      {kOwnTerm, Lsn(800)}, Lsn(500), Lsn(900), {kDonorTerm, Lsn(1000)}, {{kDonorTerm, Lsn(600)}}};
  CHECK_EQ(CountOf<SnapshotRequest>(second.Hear(3, third, kDonorTerm, refusal).send), 1u);
}

TEST(core_replicator, a_donation_takes_nothing_away) {
  Driven second(2, SecondMember());
  FetchOfTheThird(second);
  const Incarnation third(103);
  const auto kept = [&](uint32_t from, const Position& position) {
    return second.Hear(from, Incarnation(100 + from), kDonorTerm, PieceAt(position)).keep.size();
  };
  CHECK_EQ(kept(3, {Ballot{Term(4), third}, Lsn(900)}),
           0u);                                   // an older term than the own log's
  CHECK_EQ(kept(3, {kDonorTerm, Lsn(700)}), 0u);  // shorter than the own log
  CHECK_EQ(kept(1, {kDonorTerm, Lsn(900)}),
           0u);  // of somebody who was not asked
  CHECK_EQ(kept(3, {kDonorTerm, Lsn(900)}), 1u);
}

TEST(core_replicator, a_fetch_that_brings_nothing_ends) {
  Driven second(2, SecondMember());
  FetchOfTheThird(second);
  CHECK(second.core.state().replica.fetch.wanted);
  const Nanos timeout = second.core.options().election_timeout;
  second.RunUntil(second.now + timeout - 1);
  CHECK(second.core.state().replica.fetch.wanted);
  second.RunUntil(second.now + 2);
  CHECK(!second.core.state().replica.fetch.wanted);
  // It canvasses again: the donor may be another one by now.
  CHECK(second.core.state().election.phase == ElectionPhase::kCanvassing);
}

// A member that has the record of the newest configuration, which ends at 300, and does not know
// that it is committed.
Driven MemberWithTwoConfigurations() {
  Start start = SecondMember();
  Configuration newest = ThreeMembers();
  newest.version = 2;
  start.configurations.push_back({Lsn(300), newest});
  return Driven(2, start);
}

TEST(core_replicator, what_is_settled_counts_in_the_same_history_only) {
  Driven second = MemberWithTwoConfigurations();
  second.now = second.core.Deadline();
  second.Do(Tick{});
  CHECK(second.core.state().election.phase == ElectionPhase::kCanvassing);
  const auto commit_after = [&second](const Position& settled) {
    CanvassReply reply;
    reply.round = second.core.state().election.round;
    reply.verdict = CanvassVerdict::kStranger;
    reply.settled = settled;
    second.Hear(1, Incarnation(101), kOwnTerm, reply);
    return second.core.commit();
  };
  CHECK_EQ(commit_after({}), Lsn(0));
  CHECK_EQ(commit_after({kDonorTerm, Lsn(300)}), Lsn(0));
  CHECK_EQ(commit_after({Ballot{}, Lsn(300)}), Lsn(0));
  CHECK_EQ(commit_after({kOwnTerm, Lsn(900)}), Lsn(0));  // behind the own log's end
  CHECK_EQ(second.core.state().log.configurations.size(), 2u);
  CHECK_EQ(commit_after({kOwnTerm, Lsn(300)}), Lsn(300));
  CHECK_EQ(second.core.state().log.configurations.size(), 1u);
}

// A primary of three that has committed its first records.
Driven FirstPrimary() {
  Driven first(1, Start{});
  first.Do(FoundGroup{ThreeMembers()});
  first.Do(HardStateSaved{first.core.state().promise.hard.sequence});  // it leads then
  first.Do(HardStateSaved{first.core.state().promise.hard.sequence});
  const Ballot term = first.core.term();
  first.Do(TermAppended{term, Lsn(0), Lsn(64)});
  first.Do(ConfigurationAppended{ThreeMembers(), Lsn(128)});
  first.Do(LogFlushed{Lsn(128)});
  return first;
}

void Acknowledge(Driven& first, uint32_t from, Lsn end) {
  Ack ack;
  ack.sent_at = first.core.state().primary.sent_at;
  ack.received = ack.written = ack.flushed = end;
  first.Hear(from, Incarnation(100 + from), first.core.term(), ack);
}

TEST(core_replicator, the_commit_position_is_saved_once_in_an_interval) {
  Driven first = FirstPrimary();
  const Nanos interval = first.core.options().commit_save_interval;
  const auto saved = [&first] { return first.core.state().promise.hard.commit; };
  const auto run = [&first](Nanos time) {
    int saves = 0;
    for (const Nanos end = first.now + time; first.now < end;) {
      saves += first.RunUntil(std::min(end, first.now + 100'000'000));
      Acknowledge(first, 2, first.core.state().log.end);
    }
    return saves;
  };
  // What is still to be saved of the founding, with the first commit.
  Acknowledge(first, 2, Lsn(128));
  CHECK_EQ(first.core.commit(), Lsn(128));
  CHECK_EQ(run(interval + 1), 1);
  CHECK_EQ(saved(), Lsn(128));
  CHECK_EQ(run(4 * interval), 0);  // nothing new
  first.Do(LogAppended{Lsn(256)});
  first.Do(LogFlushed{Lsn(256)});
  Acknowledge(first, 2, Lsn(256));
  CHECK_EQ(run(interval / 2), 0);
  CHECK_EQ(saved(), Lsn(128));
  first.Do(LogAppended{Lsn(384)});
  first.Do(LogFlushed{Lsn(384)});
  Acknowledge(first, 2, Lsn(384));
  CHECK_EQ(run(interval), 1);
  CHECK_EQ(saved(), Lsn(384));
}

TEST(core_replicator, strangers_are_told_of_once) {
  Driven first = FirstPrimary();
  size_t told = 0;
  const auto meet = [&](uint32_t id, uint64_t incarnation) {
    const Outputs& out = first.Hear(id, Incarnation(incarnation), first.core.term(), Ack{});
    told += CountOf(out.events, NoticeKind::kStranger);
  };
  for (int i = 0; i < 3; ++i) {
    meet(2, 777);  // another copy of a member
    meet(9, 109);  // no member
  }
  CHECK_EQ(told, 2u);
  meet(2, 778);
  CHECK_EQ(told, 3u);
  for (uint32_t id = 100; id < 100 + 2 * kMaxMembers; ++id) meet(id, id);
  CHECK_EQ(told, kMaxMembers);
  CHECK_EQ(first.core.state().primary.strangers.size(), kMaxMembers);
}

}  // namespace
}  // namespace ringleader::test
