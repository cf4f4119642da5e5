// A member that may not lead has the freshest log: it gives its records, it is not voted down.
#include <algorithm>

#include "harness.h"
#include "model_group.h"

namespace ringleader::test {
namespace {

using sim::ModelGroup;

constexpr size_t kFirst = 0, kSecond = 1, kDonor = 2;

ModelGroup ThreeMembers() {
  std::vector<CoreOptions> all;
  std::vector<Member> members;
  for (uint32_t id = 1; id <= 3; ++id) {
    CoreOptions options;
    options.self = MemberId(id);
    options.incarnation = Incarnation(100 + id);
    options.election_timeout = 1000;
    options.heartbeat_interval = 100;
    options.canvass_wait = 200;
    options.request_wait_min = 20;
    options.request_wait_max = 500;
    all.push_back(options);
    members.push_back({options.self, options.incarnation, MemberKind::kVoter, id == 3 ? 0u : 100u});
  }
  ModelGroup group(all);
  group.Do(kFirst, FoundGroup{MajorityOf(members, 1)});
  return group;
}

void Settle(ModelGroup& group) {
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group.member(i).up()) continue;
    if (group.member(i).saving()) group.SaveHardState(i);
    if (group.member(i).log_dirty()) group.Flush(i);
  }
}

// Time goes on and messages arrive, but no Records of `silent`, until `done` or for too long.
template <typename Done>
bool RunUntil(ModelGroup& group, size_t silent, const Done& done) {
  for (int round = 0; round < 4000 && !done(); ++round) {
    for (size_t left = group.network().size(); left > 0; --left) {
      const Message& message = group.network().front().message;
      const bool records = std::holds_alternative<Records>(message.body);
      if (silent < group.size() && records && group.IndexOf(message.from) == silent) {
        group.Lose(0);
      } else {
        group.Deliver(0);
      }
    }
    Settle(group);
    group.Move(5);
    group.TickAll();
    CHECK_EQ(group.Check(), "");
  }
  return done();
}

bool Leads(const ModelGroup& group, size_t index) {
  return group.member(index).up() && group.member(index).writable();
}

TEST(core_donor, gives_to_a_log_that_has_forked) {
  ModelGroup group = ThreeMembers();
  const auto together = [&group] {
    return Leads(group, kFirst) &&
           group.member(kFirst).core().commit() == group.member(kFirst).log().end() &&
           group.member(kSecond).log().end() == group.member(kFirst).log().end() &&
           group.member(kDonor).log().end() == group.member(kFirst).log().end();
  };
  CHECK(RunUntil(group, group.size(), together));
  // A reign of the second member, of which nobody else gets a record.
  group.Do(kFirst, HandOverTo{MemberId(2)});
  CHECK(RunUntil(group, kSecond, [&group] { return Leads(group, kSecond); }));
  group.Write(kSecond, 7);
  Settle(group);
  group.Crash(kSecond);
  // One of the first, which the member that may not lead has all of.
  CHECK(RunUntil(group, group.size(), [&group] { return Leads(group, kFirst); }));
  group.Write(kFirst, 8);
  const Lsn end = group.member(kFirst).log().end();
  CHECK(RunUntil(group, group.size(), [&group, end] {
    return group.member(kDonor).log().end() == end && group.member(kFirst).core().commit() == end;
  }));
  group.Crash(kFirst);
  group.Restart(kSecond);
  const TermTable& terms = group.member(kSecond).core().state().log.terms;
  CHECK(terms.last() < group.member(kDonor).core().state().log.terms.last());
  CHECK(RunUntil(group, group.size(), [&group] { return Leads(group, kSecond); }));
  const std::vector<sim::ModelRecord> history = group.member(kSecond).History();
  const auto holds = [&history](uint64_t value) {
    return std::any_of(history.begin(), history.end(),
                       [value](const sim::ModelRecord& record) { return record.value == value; });
  };
  CHECK(holds(8));
  CHECK(!holds(7));
  CHECK(group.member(kSecond).disk().discarded >= 2);
}

}  // namespace
}  // namespace ringleader::test
