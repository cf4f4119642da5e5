#include "walk.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>
#include <vector>

#include "core/state_hash.h"
#include "core/text.h"
#include "model_group.h"
#include "walk_plan.h"

namespace ringleader::sim {
namespace {

// Beyond this the network loses what it likes.
constexpr size_t kMaxPackets = 60;
// For the end: rounds, and the time of each. A hundred election timeouts.
constexpr int kHealRounds = 10'000;
constexpr Nanos kHealStride = 10'000'000;

class Walker {
 public:
  explicit Walker(const WalkOptions& options)
      : options_(options), random_(options.seed), plan_(Draw()), group_(All()) {
    const size_t n = group_.size();
    paused_.assign(n, false);
    cut_.assign(n * n, false);
    for (size_t i = 0; i < n; ++i) {
      if (plan_.drift_ppm == 0) break;
      const auto range = static_cast<uint64_t>(plan_.drift_ppm);
      group_.SetDrift(i, static_cast<int64_t>(random_.Below(2 * range + 1)) - plan_.drift_ppm);
    }
    next_incarnation_ = kFirstIncarnation + n + 1;
  }

  WalkReport Run() {
    report_.plan = plan_.Text();
    Say("plan", report_.plan);
    group_.Do(0, FoundGroup{plan_.First()});
    for (uint64_t i = 0; i < options_.steps && Sound(); ++i) Choose();
    if (Sound()) Live();
    report_.steps = group_.steps();
    report_.committed = group_.rules().committed();
    hash_.Add(group_.Hash());
    report_.hash = hash_.value();
    if (options_.trace) TellStates();
    return report_;
  }

 private:
  WalkPlan Draw() {
    WalkPlan plan = WalkPlan::Draw(random_);
    if (options_.preferred) plan.PreferOne();
    return plan;
  }
  std::vector<CoreOptions> All() const {
    std::vector<CoreOptions> all;
    for (size_t i = 0; i < plan_.voters + plan_.spares; ++i) all.push_back(plan_.Member(i));
    return all;
  }

  // --- what is known of the group

  bool Sound() {
    if (!report_.problem.empty()) return false;
    report_.problem = group_.Check();
    for (size_t i = 0; i < group_.size(); ++i) {
      if (!Leads(i) || group_.member(i).core().term() <= newest_) continue;
      newest_ = group_.member(i).core().term();
      ++report_.reigns;
    }
    return report_.problem.empty();
  }
  bool Up(size_t i) const { return group_.member(i).up(); }
  bool Leads(size_t i) const { return Up(i) && group_.member(i).core().role() == Role::kPrimary; }
  bool Cut(size_t from, size_t to) const { return cut_[from * group_.size() + to]; }
  size_t Any() { return random_.Below(group_.size()); }

  void Say(const char* what, const std::string& about) {
    ++report_.choices;
    hash_.Add(std::string_view(what));
    hash_.Add(std::string_view(about));
    if (report_.choices % 256 == 0) hash_.Add(group_.Hash());
    if (!options_.trace) return;
    std::printf("%6llu %s %s\n", static_cast<unsigned long long>(report_.choices), what,
                about.c_str());
    std::fflush(stdout);
  }
  void TellStates() const {
    for (size_t i = 0; i < group_.size(); ++i) {
      if (!Up(i)) {
        std::printf("member %s is down\n", Name(i).c_str());
        continue;
      }
      const CoreState& state = group_.member(i).core().state();
      std::printf("member %s: phase=%d %s commit=%s\n  log %s\n  promise %s\n", Name(i).c_str(),
                  static_cast<int>(state.election.phase), NameOf(state.role).data(),
                  ToText(state.commit).c_str(), ToText(state.log).c_str(),
                  ToText(state.promise).c_str());
      for (const Progress& peer : state.primary.peers) {
        std::printf("  peer %s\n", ToText(peer).c_str());
      }
      if (!plan_.in_sync) continue;
      std::printf("  knows %s certain=%d growing=%s takeover-end=%s\n",
                  ToText(state.in_sync.known).c_str(), state.in_sync.certain,
                  ToText(state.in_sync.growing).c_str(),
                  ToText(state.in_sync.takeover_end).c_str());
    }
    if (plan_.in_sync) std::printf("register: %s\n", ToText(group_.witness()).c_str());
  }
  std::string Name(size_t i) const { return std::to_string(group_.member(i).id().value); }

  // --- choices

  void Choose() {
    const struct {
      uint64_t weight;
      void (Walker::*choice)();
    } choices[] = {
        {100, &Walker::Network},
        {30, &Walker::Disk},
        {24, &Walker::Time},
        {plan_.writes, &Walker::Write},
        {plan_.crashes, &Walker::Crash},
        {plan_.crashes + plan_.disks + 1, &Walker::Restart},
        {plan_.pauses, &Walker::Pause},
        {plan_.cuts, &Walker::CutLinks},
        {plan_.trims, &Walker::Trim},
        {plan_.handovers, &Walker::HandOver},
        {plan_.changes, &Walker::Change},
        {plan_.disks, &Walker::NewDisk},
        {plan_.reads, &Walker::Read},
        {plan_.elections, &Walker::Elect},
    };
    uint64_t sum = 0;
    for (const auto& one : choices) sum += one.weight;
    uint64_t at = random_.Below(sum);
    for (const auto& one : choices) {
      if (at < one.weight) return (this->*one.choice)();
      at -= one.weight;
    }
  }

  void Network() {
    const size_t count = group_.network().size();
    if (count == 0) return Time();
    size_t packet = random_.Percent(plan_.reorder) ? random_.Below(count) : 0;
    const size_t to = group_.IndexOf(group_.network()[packet].message.to);
    const size_t from = group_.IndexOf(group_.network()[packet].message.from);
    const std::string text = ToText(group_.network()[packet].message);
    if (to < group_.size() && paused_[to] && count < kMaxPackets) return Time();
    if (to == group_.size() || paused_[to] || Cut(from, to) || random_.Percent(plan_.loss)) {
      Say("lose", text);
      group_.Lose(packet);
    } else if (random_.Percent(plan_.delay) && count < kMaxPackets) {
      Say("delay", text);
      group_.Delay(packet);
    } else if (random_.Percent(plan_.repeat) && count < kMaxPackets) {
      Say("repeat", text);
      group_.Repeat(packet);
      // The second one comes later, perhaps much later.
      if (packet < group_.network().size() && random_.Percent(50)) group_.Delay(packet);
    } else {
      Say("deliver", text);
      group_.Deliver(packet);
    }
  }

  void Disk() {
    const size_t i = Any();
    const ModelMember& member = group_.member(i);
    if (!Up(i) || paused_[i]) return LateSwap();
    const uint64_t what = random_.Below(3);
    if (member.asking() && what == 0) {
      const bool loses = random_.Percent(plan_.witness_loss);
      const bool fails = loses && random_.Percent(50);
      Say(fails ? "fail-witness" : loses ? "lose-witness" : "witness", Name(i));
      fails ? group_.FailWitness(i) : group_.AnswerWitness(i, loses);
    } else if (member.saving() && what <= 1) {
      Say("save", Name(i));
      group_.SaveHardState(i);
    } else if (member.flushing()) {
      Say("flushed", Name(i));
      group_.FinishFlush(i);
    } else if (member.log_dirty() && random_.Percent(50)) {
      Say("start-flush", Name(i));
      group_.StartFlush(i);
    } else if (member.log_dirty()) {
      Say("flush", Name(i));
      group_.Flush(i);
    }
  }

  void LateSwap() {
    if (group_.late_swaps().empty()) return;
    const size_t swap = random_.Below(group_.late_swaps().size());
    Say("late-swap", std::to_string(swap));
    random_.Percent(50) ? group_.SwapLate(swap) : group_.LoseSwap(swap);
  }

  void Time() {
    const Nanos by = random_.Below(plan_.stride);
    Say("time", std::to_string(by));
    group_.Move(by);
    for (size_t i = 0; i < group_.size(); ++i) {
      if (Up(i) && !paused_[i]) group_.Tick(i);
    }
  }

  void Write() {
    const size_t i = Any();
    if (!Up(i) || !group_.member(i).writable()) return;
    Say("write", Name(i) + " " + std::to_string(++value_));
    group_.Write(i, value_);
  }

  void Crash() {
    const size_t i = Any();
    if (!Up(i)) return;
    const bool power = random_.Percent(50);
    const Incarnation incarnation = group_.member(i).options().incarnation;
    Say(power ? "crash" : "kill", Name(i));
    power ? group_.Crash(i) : group_.Kill(i);
    paused_[i] = false;
    if (power || !random_.Percent(30)) return;
    for (size_t j = 0; j < group_.size(); ++j) {
      if (Up(j)) group_.Do(j, MemberDied{group_.member(i).id(), incarnation});
    }
  }

  void Restart() {
    const size_t i = Any();
    if (Up(i)) return;
    Say("restart", Name(i));
    group_.Restart(i);
  }

  void Pause() {
    const size_t i = Any();
    if (!Up(i) && !paused_[i]) return;
    paused_[i] = !paused_[i];
    Say(paused_[i] ? "pause" : "go-on", Name(i));
  }

  // Of a group cut in two, one member cut off, one way only, or a bridge between two halves.
  void CutLinks() {
    const size_t n = group_.size();
    const uint64_t shape = random_.Below(5);
    cut_.assign(n * n, false);
    Say("cut", std::to_string(shape));
    if (shape == 0) return;
    const size_t bridge = shape == 4 ? Any() : n;
    const size_t alone = shape == 2 || shape == 3 ? Any() : n;
    std::vector<bool> side(n);
    for (size_t i = 0; i < n; ++i) side[i] = alone == n ? random_.Percent(50) : i == alone;
    for (size_t from = 0; from < n; ++from) {
      for (size_t to = 0; to < n; ++to) {
        const bool apart = side[from] != side[to] && from != bridge && to != bridge;
        const bool both_ways = shape != 3;
        cut_[from * n + to] = apart && (both_ways || side[from]);
      }
    }
  }

  void Trim() {
    const size_t i = Any();
    if (!Up(i) || !group_.member(i).core().ElectionSafe()) return;
    const ModelMember& member = group_.member(i);
    // What a member that never leads has trimmed nobody could have of it any more: records are
    // given by any replica, snapshots by primaries only.
    if (plan_.priorities[i] == 0) return;
    const Lsn most = std::min(member.core().commit(), member.disk().log.end());
    if (most <= member.log().start() || member.flushing()) return;
    const uint64_t records = (most - member.log().start()) / kModelRecordBytes;
    const Lsn start = member.log().start() + random_.Between(1, records) * kModelRecordBytes;
    Say("trim", Name(i) + " " + ToText(start));
    group_.Trim(i, start);
  }

  void HandOver() {
    const size_t i = Any();
    if (!Leads(i)) return;
    Say("hand-over", Name(i));
    group_.Do(i, HandOverTo{random_.Percent(50) ? kNobody : group_.member(Any()).id()});
  }

  void Elect() {
    const size_t i = Any();
    if (!Up(i)) return;
    const bool follow = random_.Percent(50);
    Say(follow ? "follow" : "elect", Name(i));
    if (follow) {
      group_.Do(i, FollowNow{});
    } else {
      group_.Do(i, CallElection{});
    }
  }

  void Read() {
    const size_t i = Any();
    if (!Up(i) || paused_[i]) return;
    Say("read", Name(i) + " " + std::to_string(++reads_));
    group_.Do(i, AskRead{reads_});
    ++report_.reads;
  }

  void Change() {
    const size_t i = Any();
    if (!Leads(i)) return;
    const ModelMember& about = group_.member(Any());
    const Configuration& now = group_.member(i).core().configuration();
    const Member* member = now.Find(about.id());
    using Kind = MembershipChange::Kind;
    MembershipChange change;
    change.member = {about.id(), about.options().incarnation, MemberKind::kLearner,
                     about.options().priority};
    if (member == nullptr) {
      change.kind = Kind::kAdd;
    } else if (member->incarnation != about.options().incarnation) {
      change.kind = Kind::kReplace;
    } else if (member->kind == MemberKind::kLearner) {
      change.kind = random_.Percent(80) ? Kind::kPromote : Kind::kRemove;
      if (plan_.in_sync && now.voters >= 2) return;
    } else if (random_.Percent(60)) {
      change.kind = random_.Percent(50) ? Kind::kDemote : Kind::kRemove;
    } else {
      change.kind = Kind::kSetPriority;
    }
    Say("change", Name(i) + " " + ToText(change));
    group_.Do(i, ChangeMembers{change});
    ++report_.changes;
  }

  // A disk goes only where the group can do without: that it cannot is another promise.
  void NewDisk() {
    const size_t i = Any();
    if (Up(i)) return;
    std::vector<bool> there(group_.size(), true);
    there[i] = false;
    if (!group_.late_swaps().empty() || !CanLive(there)) return;
    Say("new-disk", Name(i));
    group_.NewDisk(i, Incarnation(next_incarnation_++));
    group_.Restart(i);
  }

  // --- the end

  // Whether the members that are there suffice under every configuration that may be in effect.
  bool CanLive(const std::vector<bool>& there) const {
    for (size_t i = 0; i < group_.size(); ++i) {
      const std::vector<ModelRecord> history = group_.member(i).History();
      int last = 2;
      for (auto record = history.rbegin(); record != history.rend() && last > 0; ++record) {
        if (record->kind != ModelKind::kConfiguration) continue;
        --last;
        if (!Suffices(record->configuration, there)) return false;
      }
    }
    return true;
  }
  bool Suffices(const Configuration& configuration, const std::vector<bool>& there) const {
    uint32_t voters = 0;
    bool may_lead = false;
    bool in_sync = group_.witness().version == 0;
    for (size_t i = 0; i < group_.size(); ++i) {
      const Member* member = configuration.Find(group_.member(i).id());
      const Incarnation incarnation = group_.member(i).options().incarnation;
      if (!there[i] || member == nullptr || member->incarnation != incarnation) continue;
      if (member->kind != MemberKind::kVoter) continue;
      ++voters;
      may_lead = may_lead || member->priority > 0;
      in_sync = in_sync || group_.witness().Holds(incarnation);
    }
    if (configuration.rule == QuorumRule::kInSync && !in_sync) return false;
    return may_lead && voters >= std::max(configuration.votes, configuration.copies);
  }

  void Live() {
    const size_t n = group_.size();
    cut_.assign(n * n, false);
    paused_.assign(n, false);
    while (!group_.late_swaps().empty()) group_.LoseSwap(0);
    std::vector<bool> there(n, true);
    for (size_t tries = random_.Below(n); tries > 0; --tries) {
      const size_t gone = Any();
      there[gone] = false;
      if (!CanLive(there)) there[gone] = true;
    }
    for (size_t i = 0; i < n; ++i) {
      if (there[i] && !Up(i)) group_.Restart(i);
      if (!there[i] && Up(i)) group_.Kill(i);
      Say(there[i] ? "heals" : "is gone", Name(i));
    }
    const uint64_t before = value_;
    // A group that was never founded, or has lost its last voter, has nothing to live for; and
    // where nobody that may lead knows who belongs to it, nobody can.
    const bool founded = plan_.preferred || group_.rules().committed() > 0;
    if (!founded || !CanLive(there) || !SomebodyKnows()) return;
    for (int round = 0; round < kHealRounds && Sound(); ++round) {
      Heal(round, before);
      if (value_ > before && Converged(there)) return;
    }
    if (report_.problem.empty()) report_.problem = "the group does not come to life again";
  }

  bool SomebodyKnows() const {
    for (size_t i = 0; i < group_.size(); ++i) {
      if (!Up(i)) continue;
      const Member* self = group_.member(i).core().configuration().Find(group_.member(i).id());
      if (self != nullptr && self->kind == MemberKind::kVoter && self->priority > 0) return true;
    }
    return false;
  }

  void Heal(int round, uint64_t before) {
    const size_t n = group_.size();
    for (size_t i = 0; i < n; ++i) {
      if (!Up(i)) continue;
      if (group_.member(i).flushing()) group_.FinishFlush(i);
      if (group_.member(i).log_dirty()) group_.Flush(i);
      if (group_.member(i).saving()) group_.SaveHardState(i);
      if (group_.member(i).asking()) group_.AnswerWitness(i, false);
    }
    for (size_t count = group_.network().size(); count > 0; --count) {
      Say("deliver", ToText(group_.network()[0].message));
      group_.Deliver(0);
    }
    group_.Move(kHealStride);
    group_.TickAll();
    Say("round", std::to_string(round));
    if (round % 100 != 99) return;
    for (size_t i = 0; i < n; ++i) {
      if (value_ > before + 3 || !Leads(i) || !group_.member(i).writable()) continue;
      Say("write", Name(i) + " " + std::to_string(++value_));
      group_.Write(i, value_);
    }
  }

  bool Converged(const std::vector<bool>& there) const {
    for (size_t i = 0; i < group_.size(); ++i) {
      if (!Leads(i) || group_.member(i).log().records().empty()) continue;
      const ModelMember& primary = group_.member(i);
      if (primary.log().records().back().value != value_) continue;
      bool all = true;
      for (size_t j = 0; j < group_.size(); ++j) {
        const ModelMember& other = group_.member(j);
        const Member* member = primary.core().configuration().Find(other.id());
        if (member == nullptr || member->incarnation != other.options().incarnation) continue;
        all = all && (!there[j] || other.core().commit() == primary.log().end());
      }
      if (all) return true;
    }
    return false;
  }

  WalkOptions options_;
  Random random_;
  WalkPlan plan_;
  ModelGroup group_;
  WalkReport report_;
  StateHash hash_;
  std::vector<bool> paused_;
  std::vector<bool> cut_;  // from * members + to
  uint64_t value_ = 0;
  uint64_t reads_ = 0;
  uint64_t next_incarnation_ = 0;
  Ballot newest_;
};

}  // namespace

WalkReport Walk(const WalkOptions& options) { return Walker(options).Run(); }

}  // namespace ringleader::sim
