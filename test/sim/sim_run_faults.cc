// What strikes the group, one at a time, at random moments. Nothing here destroys what the group
// needs to be right: no two disks are lost before the first is made good, no record loses all its
// copies.
#include <algorithm>
#include <utility>

#include "core/text.h"
#include "sim_run.h"

namespace ringleader::simulator {
namespace {

constexpr Nanos kMilli = 1'000'000;

}  // namespace

void SimRun::StrikeLater() {
  schedule_.In(1 + striking_.Below(2 * plan_.fault_interval), [this] {
    if (live_) return;
    Strike();
    StrikeLater();
  });
}

void SimRun::Strike() {
  const uint64_t number = ++strikes_;
  if (!plan_.Strikes(number)) return;
  strike_ = SimRng(plan_.seed * 0x2545f4914f6cdd1d + number);
  SimMember& member = *context_.members[strike_.Below(plan_.members())];
  for (int i = 0; i < 10; ++i) {
    const auto fault = static_cast<Fault>(strike_.Below(kFaults));
    if (!plan_.Has(fault) || !Hit(fault, member)) continue;
    ++report_.strikes;
    ++report_.struck[static_cast<size_t>(fault)];
    report_.strikes_hit.push_back(number);
    if (context_.trace) {
      context_.Say(member.id().value,
                   "!! " + std::to_string(number) + " " + std::string(NameOf(fault)));
    }
    return;
  }
}

bool SimRun::Hit(Fault fault, SimMember& member) {
  switch (fault) {
    case Fault::kKill:
    case Fault::kPowerCut:
    case Fault::kCutInside:
    case Fault::kPause:
    case Fault::kNewDisk:
    case Fault::kWallJump:
      return HitProcess(fault, member);
    case Fault::kStuckFlush:
    case Fault::kIoError:
    case Fault::kFlushError:
    case Fault::kFullDisk:
    case Fault::kReadError:
      return HitDisk(fault, member);
    case Fault::kClog:
    case Fault::kPartition:
    case Fault::kByType:
    case Fault::kMembership:
    case Fault::kHandOver:
    case Fault::kWitness:
      return HitGroup(fault);
    default:
      return false;  // those that go on all the time
  }
}

void SimRun::StopFor(SimMember& member, bool power, Nanos length) {
  if (!member.up()) return;
  member.Stop(power);
  schedule_.In(length, [this, &member] {
    if (!live_) member.Start();
  });
}

bool SimRun::HitProcess(Fault fault, SimMember& member) {
  const Nanos length = strike_.Below(4) == 0 ? strike_.Below(6 * plan_.election_timeout)
                                             : strike_.Below(200 * kMilli);
  switch (fault) {
    case Fault::kKill:
    case Fault::kPowerCut:
      if (strike_.Below(15) == 0) {
        for (const auto& one : context_.members) StopFor(*one, fault == Fault::kPowerCut, length);
      } else {
        StopFor(member, fault == Fault::kPowerCut, length);
      }
      return true;
    case Fault::kCutInside:
      member.CutNext();
      if (strike_.Below(2) == 0) StopFor(member, true, length);
      return true;
    case Fault::kPause:
      member.Pause(length);
      return true;
    case Fault::kWallJump:
      member.store().world().clock().JumpWall(static_cast<int64_t>(strike_.Below(20'000'000)) -
                                              10'000'000);
      return true;
    case Fault::kNewDisk:
      if (!MayLoseDisk(member)) return false;
      if (member.up()) member.Stop(true);
      member.NewDisk();
      schedule_.In(length, [this, &member] {
        if (!live_) member.Start();
      });
      return true;
    default:
      return false;
  }
}

bool SimRun::HitDisk(Fault fault, SimMember& member) {
  if (!member.up()) return false;
  const Nanos length = 1 + strike_.Below(1'000 * kMilli);
  FaultRule rule;
  switch (fault) {
    case Fault::kStuckFlush:
      member.StickFlush(2 * length);
      return true;
    case Fault::kFullDisk:
      member.Hurt(std::nullopt, length);
      return true;
    case Fault::kIoError:
      rule.calls = Calls({SimCall::kWrite, SimCall::kAllocate, SimCall::kRename, SimCall::kOpen,
                          SimCall::kSyncDirectory});
      rule.skip = strike_.Below(30);
      break;
    case Fault::kFlushError:
      rule.calls = Calls({SimCall::kSyncData});
      rule.skip = strike_.Below(5);
      break;
    default:
      // Of the log, by those who ship and apply it. A start that is misled by what it reads would
      // cut what was flushed: that is a disk that lies, and not part of the promise.
      rule.calls = Calls({SimCall::kRead});
      rule.path = ".seg";
      rule.action = FaultAction::kFlipBit;
      break;
  }
  rule.count = 1;
  member.Hurt(rule, length);
  return true;
}

bool SimRun::HitGroup(Fault fault) {
  const Nanos length = 1 + strike_.Below(strike_.Below(3) == 0 ? 8 * plan_.election_timeout
                                                               : plan_.election_timeout);
  switch (fault) {
    case Fault::kClog:
      network_.Clog(length);
      return true;
    case Fault::kPartition: {
      const std::string shape = network_.Partition();
      context_.Say(0, "partition: " + shape);
      schedule_.In(length, [this] { network_.Heal(); });
      return true;
    }
    case Fault::kByType:
      network_.LoseType(length);
      return true;
    case Fault::kWitness:
      witness_.GoDown(length);
      return plan_.witness;
    case Fault::kHandOver: {
      SimMember* primary = Primary(strike_);
      if (primary == nullptr) return false;
      ++report_.stats.handovers;
      primary->Do(HandOverTo{
          strike_.Below(2) == 0 ? kNobody
                                : MemberId(static_cast<uint32_t>(strike_.Below(plan_.members())))});
      return true;
    }
    default:
      return ChangeMembership();
  }
}

// The one in the log of the latest reign, whatever its number: others were never committed, and
// whoever has one of those may not belong to the group any more, nor hear of that.
const Configuration* SimRun::NewestConfiguration() const {
  const Configuration* newest = nullptr;
  std::pair<Ballot, uint64_t> rank;
  for (const auto& member : context_.members) {
    if (!member->up()) continue;
    const Configuration& now = member->core().configuration();
    const std::pair of(member->core().state().log.terms.last(), now.version);
    if (now.version == 0 || (newest != nullptr && of <= rank)) continue;
    newest = &now;
    rank = of;
  }
  return newest;
}

bool SimRun::MayLoseDisk(const SimMember& member) {
  const SimMember* primary = Primary(strike_);
  const Configuration* now = NewestConfiguration();
  if (primary == nullptr || now == nullptr || primary->id() == member.id()) return false;
  const auto& all = primary->core().state().log.configurations;
  if (primary->core().configuration() != *now || all.back().end > primary->core().commit()) {
    return false;
  }
  for (const auto& one : context_.members) {
    // Somebody may know less, and count those that are not there any more.
    if (!one->up() || (now->Find(one->id()) != nullptr && one->core().configuration() != *now)) {
      return false;
    }
  }
  const Member* known = now->Find(member.id());
  if (known == nullptr) return true;
  if (now->rule == QuorumRule::kInSync) return false;
  for (const Member& one : now->members) {
    if (context_.members[one.id.value]->incarnation() != one.incarnation) return false;
  }
  return known->kind != MemberKind::kVoter || now->voters > now->votes;
}

bool SimRun::ChangeMembership() {
  SimMember* primary = Primary(strike_);
  if (primary == nullptr || primary->core().configuration().version == 0) return false;
  const Configuration& now = primary->core().configuration();
  SimMember& member = *context_.members[strike_.Below(plan_.members())];
  using Kind = MembershipChange::Kind;
  MembershipChange change;
  change.member.id = member.id();
  change.member.incarnation = member.incarnation();
  const Member* known = now.Find(member.id());
  const uint64_t kind = strike_.Below(10);
  if (known == nullptr) {
    change.kind = Kind::kAdd;
    change.member.kind = strike_.Below(6) == 0 ? MemberKind::kView : MemberKind::kLearner;
  } else if (known->incarnation != member.incarnation()) {
    change.kind = Kind::kReplace;
  } else if (known->kind == MemberKind::kLearner) {
    change.kind =
        now.rule == QuorumRule::kInSync && now.voters == 2 ? Kind::kRemove : Kind::kPromote;
  } else if (kind == 0 && (known->kind == MemberKind::kView || now.voters > 1)) {
    change.kind = Kind::kRemove;
  } else if (kind == 1 && known->kind == MemberKind::kVoter && now.voters > 1) {
    change.kind = Kind::kDemote;
  } else {
    change.kind = Kind::kSetPriority;
    change.member.priority = static_cast<uint32_t>(strike_.Below(4)) * 50;
  }
  primary->Do(ChangeMembers{change});
  return true;
}

}  // namespace ringleader::simulator
