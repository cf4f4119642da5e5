// Long histories: many reigns, and many configurations, that a member has slept through.
#include "harness.h"
#include "model_group.h"

namespace ringleader::test {
namespace {

using sim::ModelGroup;

CoreOptions MemberOptions(uint32_t id) {
  CoreOptions options;
  options.self = MemberId(id);
  options.incarnation = Incarnation(100 + id);
  options.election_timeout = 1000;
  options.heartbeat_interval = 100;
  options.canvass_wait = 200;
  options.request_wait_min = 20;
  options.request_wait_max = 500;
  return options;
}

Member MemberOf(uint32_t id, MemberKind kind) {
  return {MemberId(id), Incarnation(100 + id), kind, 100};
}

void Settle(ModelGroup& group, size_t index) {
  for (int i = 0; i < 6 && group.member(index).up(); ++i) {
    if (group.member(index).saving()) group.SaveHardState(index);
    if (group.member(index).log_dirty()) group.Flush(index);
  }
}

// Everything is delivered and flushed, and time goes on.
void Run(ModelGroup& group, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    for (size_t left = group.network().size(); left > 0; --left) group.Deliver(0);
    for (size_t i = 0; i < group.size(); ++i) Settle(group, i);
    group.Move(5);
    group.TickAll();
    CHECK_EQ(group.Check(), "");
  }
}

TEST(core_reigns, a_member_that_missed_many_reigns_knows_them_all) {
  ModelGroup group({MemberOptions(1), MemberOptions(2)});
  group.Crash(1);
  group.Do(0, FoundGroup{MajorityOf(
                  {MemberOf(1, MemberKind::kVoter), MemberOf(2, MemberKind::kLearner)}, 1)});
  Settle(group, 0);
  constexpr size_t kReigns = 2 * kMaxTermsInMessage + 10;
  for (size_t reign = 1; reign < kReigns; ++reign) {
    group.Crash(0);
    group.Restart(0);
    for (int i = 0; i < 400 && group.member(0).core().role() != Role::kPrimary; ++i) {
      group.Move(20);
      group.TickAll();
      Settle(group, 0);
    }
    while (!group.network().empty()) group.Lose(0);
  }
  group.Restart(1);
  Run(group, 300);
  const TermTable& terms = group.member(0).core().state().log.terms;
  CHECK_EQ(terms.rows().size(), kReigns);
  CHECK(group.member(1).core().state().log.terms == terms);
}

TEST(core_reigns, a_member_goes_through_every_configuration_of_its_log) {
  std::vector<CoreOptions> all;
  for (uint32_t id = 1; id <= 6; ++id) all.push_back(MemberOptions(id));
  for (CoreOptions& options : all) options.append_bytes = kMinAppendBytes;
  ModelGroup group(all);
  for (size_t i = 2; i < 6; ++i) group.Crash(i);
  group.Do(0,
           FoundGroup{MajorityOf({MemberOf(1, MemberKind::kVoter), MemberOf(2, MemberKind::kVoter),
                                  MemberOf(3, MemberKind::kVoter)},
                                 1)});
  Settle(group, 0);
  Run(group, 50);
  for (uint32_t id = 4; id <= 6; ++id) {
    group.Do(0, ChangeMembers{{MembershipChange::Kind::kAdd, MemberOf(id, MemberKind::kLearner)}});
    Run(group, 50);
  }
  // Enough between them that they do not come in one message.
  const size_t primary = group.member(0).writable() ? 0 : 1;
  for (uint64_t value = 1; value < 2 * kMinAppendBytes / sim::kModelRecordBytes; ++value) {
    group.Write(primary, value);
  }
  Run(group, 50);
  group.Do(primary,
           ChangeMembers{{MembershipChange::Kind::kRemove, MemberOf(6, MemberKind::kLearner)}});
  Run(group, 50);
  CHECK_EQ(group.member(primary).core().configuration().version, 5u);
  group.Restart(2);
  for (int i = 0; i < 200 && group.member(2).log().end() < group.member(primary).log().end(); ++i) {
    for (size_t left = group.network().size(); left > 0; --left) {
      group.Deliver(0);
      uint64_t newest = 0;
      for (const sim::ModelRecord& record : group.member(2).History()) {
        if (record.kind == sim::ModelKind::kConfiguration) newest = record.configuration.version;
      }
      CHECK_EQ(group.member(2).core().configuration().version, newest);
    }
    Settle(group, 2);
    group.Move(5);
    group.TickAll();
  }
  CHECK(group.member(2).log().end() == group.member(primary).log().end());
}

}  // namespace
}  // namespace ringleader::test
