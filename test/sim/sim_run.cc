#include "sim_run.h"

#include <algorithm>
#include <bit>

#include "core/text.h"

namespace ringleader::simulator {
namespace {

constexpr Nanos kMilli = 1'000'000;
constexpr Nanos kSecond = 1'000 * kMilli;
constexpr Nanos kCheckInterval = 2 * kSecond;

}  // namespace

SimRun::SimRun(const SimPlan& plan, bool trace)
    : plan_(plan),
      rng_(plan.seed * 0xd1342543de82ef95 + 3),
      striking_(plan.seed * 0xd1342543de82ef95 + 5),
      strike_(0),
      witness_(plan_, &schedule_, rng_.Next()),
      context_{.plan = plan_,
               .schedule = schedule_,
               .ledger = ledger_,
               .witness = witness_,
               .stats = report_.stats,
               .trace = trace},
      network_(plan_, &schedule_, rng_.Next(),
               [this](uint32_t to, const Frame& frame) { context_.members[to]->Deliver(frame); }),
      clients_(std::min<size_t>(plan.clients, kMaxClients)) {
  context_.network = &network_;
  context_.on_written = [this](uint32_t client, uint64_t request, Lsn at) {
    OnWritten(client, request, at);
  };
  context_.on_read = [this](uint64_t id, bool granted, Lsn position) {
    OnRead(id, granted, position);
  };
  for (size_t i = 0; i < context_.group.size(); ++i) {
    context_.group[i] = static_cast<uint8_t>(rng_.Next());
  }
  for (uint32_t i = 0; i < plan_.members(); ++i) {
    context_.members.push_back(std::make_unique<SimMember>(&context_, i, rng_.Next()));
  }
}

SimMember* SimRun::AnyUp(SimRng& rng) {
  const auto first = static_cast<uint32_t>(rng.Below(plan_.members()));
  for (uint32_t i = 0; i < plan_.members(); ++i) {
    SimMember& member = *context_.members[(first + i) % plan_.members()];
    if (member.up() && !member.broken() && !member.paused()) return &member;
  }
  return nullptr;
}

SimMember* SimRun::Primary(SimRng& rng) {
  const auto first = static_cast<uint32_t>(rng.Below(plan_.members()));
  for (uint32_t i = 0; i < plan_.members(); ++i) {
    SimMember& member = *context_.members[(first + i) % plan_.members()];
    if (member.IsPrimary() && !member.broken() && !member.paused()) return &member;
  }
  return nullptr;
}

// The first member founds; again where it has lost that before anybody heard of it.
void SimRun::Found() {
  if (plan_.base_api) return;
  const auto knows = [](const auto& member) {
    return !member->up() || member->core().configuration().version > 0;
  };
  schedule_.In(kSecond, [this] { Found(); });
  if (ledger_.committed().value > 0 || std::ranges::any_of(context_.members, knows)) return;
  std::vector<Member> voters;
  for (uint32_t i = 0; i < plan_.voters; ++i) {
    Member& member = voters.emplace_back();
    member.id = MemberId(i);
    member.incarnation = context_.members[i]->incarnation();
    if (i > 0 && rng_.Below(6) == 0) member.priority = static_cast<uint32_t>(rng_.Below(2)) * 50;
  }
  Configuration configuration = MajorityOf(std::move(voters), 1);
  if (plan_.witness) configuration.rule = QuorumRule::kInSync;
  context_.members[0]->Do(FoundGroup{configuration});
}

bool SimRun::RunUntil(const std::function<bool()>& done, Nanos limit) {
  while (!done()) {
    if (!ledger_.problem().empty()) return false;
    if (schedule_.empty() || schedule_.now() > limit) return false;
    schedule_.RunNext();
  }
  return ledger_.problem().empty();
}

void SimRun::CheckAll() {
  for (const auto& member : context_.members) member->CheckLog();
  if (!live_) schedule_.In(kCheckInterval, [this] { CheckAll(); });
}

SimReport SimRun::Run() {
  for (const auto& member : context_.members) member->Start();
  Found();
  CheckAll();
  const bool founded = RunUntil([this] { return ledger_.committed().value > 0; }, 60 * kSecond);
  if (!founded) ledger_.Fail("the group does not begin");
  for (uint32_t i = 0; i < clients_.size(); ++i) Begin(i);
  StrikeLater();
  // Faults may keep a group from working for as long as there are any.
  const Nanos limit = schedule_.now() + kSecond * (60 + plan_.operations / 10);
  RunUntil([this] { return Done(); }, limit);
  if (ledger_.problem().empty()) Live();
  report_.problem = ledger_.problem();
  report_.hash = context_.hash;
  report_.operations = operations_;
  report_.time = schedule_.now();
  report_.events = schedule_.events();
  report_.network = network_.stats();
  for (const auto& member : context_.members) {
    report_.stats.discarded += member->store().discarded();
  }
  return report_;
}

bool SimRun::IsQuorum(uint32_t core) const {
  if (plan_.base_api) return std::popcount(core) > static_cast<int>(plan_.voters) / 2;
  bool known = false;
  for (const auto& member : context_.members) {
    if (!member->up()) continue;
    // In every configuration that somebody has, committed or not.
    for (const ConfigurationAt& at : member->core().state().log.configurations) {
      const Configuration& now = at.configuration;
      // A register that has gone on without a member waits for one that knows why.
      if (now.rule == QuorumRule::kInSync && now.version != NewestConfiguration()->version) {
        return false;
      }
      uint32_t voters = 0;
      bool leads = false;
      for (const Member& one : now.members) {
        const SimMember& there = *context_.members[one.id.value];
        const bool counts = one.kind == MemberKind::kVoter && (core >> one.id.value & 1) != 0 &&
                            there.incarnation() == one.incarnation;
        voters += counts ? 1 : 0;
        // A member that never leads gives its records to those that may, but no snapshots: with the
        // freshest log, trimmed, it waits for one that has what it has trimmed.
        const bool donor = one.kind == MemberKind::kVoter && one.priority == 0;
        if (donor && there.up() && there.core().state().log.start > Lsn(0)) return false;
        // Under the in-sync rule it takes one that the register holds.
        const bool may = now.rule != QuorumRule::kInSync || witness_.value().Holds(one.incarnation);
        leads = leads || (counts && may && one.priority > 0);
      }
      const bool enough = now.rule == QuorumRule::kInSync
                              ? voters == now.voters
                              : voters >= std::max(now.votes, now.copies);
      if (!enough || !leads) return false;
      known = true;
    }
  }
  return known;
}

uint32_t SimRun::ChooseCore() {
  const uint32_t all = (uint32_t{1} << plan_.members()) - 1;
  for (int i = 0; i < 50; ++i) {
    const auto core = static_cast<uint32_t>(rng_.Below(all + 1));
    if (IsQuorum(core)) return core;
  }
  return IsQuorum(all) ? all : 0;
}

void SimRun::Live() {
  live_ = true;
  context_.frozen = true;
  for (const auto& member : context_.members) {
    member->HealDisk();
    if (!member->up()) member->Start();
  }
  const uint32_t core = ChooseCore();
  if (core == 0) return;  // nobody has to recover
  network_.Freeze(core);
  witness_.Freeze();
  std::vector<SimMember*> members;
  for (uint32_t i = 0; i < plan_.members(); ++i) {
    SimMember& member = *context_.members[i];
    if ((core >> i & 1) != 0) {
      members.push_back(&member);
    } else if (member.up()) {
      member.Stop(false);
    }
  }
  context_.Note(0, "liveness of " + std::to_string(std::popcount(core)) + " members");
  const Nanos limit = schedule_.now() + 60 * kSecond + 60 * plan_.election_timeout;
  // A new transaction, of a client that has not written yet.
  const uint32_t client = kMaxClients - 1;
  Command command;
  command.client = client;
  command.request = 1;
  Nanos next = 0;
  const auto agreed = [&] {
    const Configuration* now = NewestConfiguration();
    for (SimMember* member : members) {
      const Member* known = now == nullptr ? nullptr : now->Find(member->id());
      const bool belongs = known != nullptr && known->incarnation == member->incarnation();
      if (!belongs && !plan_.base_api) continue;
      if (!member->up() || member->broken() || member->state().newest(client) == 0) return false;
    }
    return true;
  };
  const bool lives = RunUntil(
      [&] {
        if (schedule_.now() >= next) {
          next = schedule_.now() + 200 * kMilli;
          SimMember* primary = Primary(rng_);
          if (primary != nullptr && (core >> primary->id().value & 1) != 0) {
            primary->Write(command, 10);
          }
          return agreed();
        }
        return false;
      },
      limit);
  if (!lives && ledger_.problem().empty()) {
    std::string text = "the group does not recover:";
    for (SimMember* member : members) text += "\n    " + member->Describe();
    ledger_.Fail(text);
  }
  CheckAll();
  for (const auto& member : context_.members) {
    if (!member->up() || member->broken()) continue;
    if (std::string gone = member->store().CheckDiscarded(); !gone.empty()) ledger_.Fail(gone);
  }
}

}  // namespace ringleader::simulator
