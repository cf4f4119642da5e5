// Who may lead, or go on alone, when answers are lost: one member, everything told to it by hand.
#include <optional>
#include <utility>

#include "core/replicator.h"
#include "harness.h"

namespace ringleader {
namespace {

constexpr Incarnation kSelf(101), kOther(102);
constexpr MemberId kSelfId(1), kOtherId(2);

CoreOptions OptionsOf(bool base_api) {
  CoreOptions options;
  options.self = kSelfId;
  options.incarnation = kSelf;
  options.base_api = base_api;
  options.election_timeout = 1000;
  options.heartbeat_interval = 100;
  options.canvass_wait = 200;
  return options;
}

class Alone {
 public:
  explicit Alone(bool base_api) : core_(OptionsOf(base_api), Start{}, now_) {}

  const Replicator& core() const { return core_; }
  // What it asked of the witness last, and has not been told.
  const WitnessRequest& asked() const { return asked_.value(); }
  void Pass(Nanos time) { now_ += time; }

  void Do(Event event) {
    Outputs out;
    core_.Step({++now_, std::move(event)}, &out);
    if (out.witness) asked_ = out.witness;
    if (out.save) Do(HardStateSaved{out.save->sequence});
  }
  void Answer(WitnessOutcome outcome, WitnessRegister value) {
    asked_.reset();
    Do(WitnessAnswer{outcome, value});
  }
  void Hear(Ballot ballot, Body body) {
    Message message;
    message.from = kOtherId;
    message.to = kSelfId;
    message.incarnation = kOther;
    message.ballot = ballot;
    message.body = std::move(body);
    Do(Receive{message});
  }

 private:
  Nanos now_ = 1;
  Replicator core_;
  std::optional<WitnessRequest> asked_;
};

// A primary of two, alone in the register, with everything up to 200 committed.
void FoundAlone(Alone& member) {
  Configuration configuration =
      MajorityOf({{kSelfId, kSelf, MemberKind::kVoter}, {kOtherId, kOther, MemberKind::kVoter}}, 1);
  configuration.rule = QuorumRule::kInSync;
  member.Do(FoundGroup{configuration});
  member.Answer(WitnessOutcome::kDone, {});
  member.Answer(WitnessOutcome::kDone, member.asked().value);
  CHECK(member.core().role() == Role::kPrimary);
  member.Do(TermAppended{member.core().term(), Lsn(16), Lsn(100)});
  member.Do(ConfigurationAppended{configuration, Lsn(200)});
  member.Do(LogFlushed{Lsn(200)});
  CHECK(member.core().commit() == Lsn(200));
}

// A newcomer is to be added, nobody answers, and the register does not have it when it is read. By
// then the newcomer is gone. The swap may be on its way: what is committed without the newcomer
// before that is settled would be lost if the newcomer took over.
TEST(core_takeover, a_swap_that_comes_late) {
  Alone member(false);
  FoundAlone(member);
  Ack ack;
  ack.received = ack.written = ack.flushed = Lsn(200);
  member.Hear(member.core().term(), ack);
  member.Do(Tick{});
  const WitnessRequest grows = member.asked();
  CHECK(grows.value.Holds(kOther) && !grows.expected.Holds(kOther));
  member.Answer(WitnessOutcome::kUnknown, {});
  member.Pass(5000);
  member.Do(Tick{});
  CHECK(member.asked().value == member.asked().expected);
  member.Answer(WitnessOutcome::kDone, grows.expected);
  member.Do(LogAppended{Lsn(300)});
  member.Do(LogFlushed{Lsn(300)});
  CHECK(member.core().commit() == Lsn(200));
  // It makes the swap come too late, and only then goes on.
  CHECK(member.asked().expected == grows.expected);
  CHECK(member.asked().value.version == grows.value.version);
  CHECK(!member.asked().value.Holds(kOther));
  member.Answer(WitnessOutcome::kDone, member.asked().value);
  member.Do(Tick{});
  CHECK(member.core().commit() == Lsn(300));
}

// Base API: a member that nobody has told how many there are cannot count votes.
TEST(core_takeover, nobody_is_elected_without_numbers) {
  Alone member(true);
  const Ballot ballot{Term(1), kOther};
  Heartbeat heartbeat;
  heartbeat.sent_at = 1;
  member.Hear(ballot, heartbeat);
  CHECK(member.core().primary() == kOtherId);
  member.Hear(ballot, Nominate{true});
  CHECK(member.core().role() == Role::kReplica);
  CHECK(member.core().state().election.phase == ElectionPhase::kIdle);
}

}  // namespace
}  // namespace ringleader
