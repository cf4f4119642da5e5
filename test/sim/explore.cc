#include "explore.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <unordered_set>

#include "core/text.h"
#include "explore_key.h"
#include "explore_presets.h"

namespace ringleader::sim {
namespace {

enum class Kind : uint8_t {
  kDeliver,
  kRepeat,
  kLose,
  kFlush,
  kSave,
  kWitness,
  kLoseWitness,
  kLateSwap,
  kWrite,
  kTick,
  kCrash,
  kKill,
  kRestart,
  kNewDisk,
  kChange,
};

struct Choice {
  Kind kind = Kind::kTick;
  uint8_t which = 0;  // member, packet, or late swap
};

struct Node {
  ModelGroup group;
  uint32_t depth = 0;
  uint8_t writes = 0, crashes = 0, losses = 0, repeats = 0, disks = 0, changes = 0, ticks = 0;
};

class Explorer;
Explorer* g_explorer = nullptr;  // that ExploreTraceOnAbort asks

class Explorer {
 public:
  explicit Explorer(const ExploreOptions& options)
      : options_(options), bounds_(options.bounds), root_{MakeExploreGroup(options.group)} {
    first_ballot_ = root_.group.member(0).core().term().counter.value;
    g_explorer = this;
  }
  ~Explorer() { g_explorer = nullptr; }
  Explorer(const Explorer&) = delete;
  Explorer& operator=(const Explorer&) = delete;

  ExploreReport Run() {
    const auto start = std::chrono::steady_clock::now();
    const auto seconds = [start] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    seen_.insert(KeyOf(root_));
    origins_.push_back({});
    frontier_.push_back({0, std::make_unique<Node>(root_)});
    while (!frontier_.empty() && report_.problem.empty()) {
      if (origins_.size() >= options_.max_states || seconds() >= options_.max_seconds) break;
      leaving_ = frontier_.front().index;
      std::unique_ptr<Node> node = std::move(frontier_.front().node);
      frontier_.pop_front();
      if (node) {
        --kept_;
      } else {
        node = std::make_unique<Node>(Again(leaving_));
      }
      report_.depth = std::max<uint64_t>(report_.depth, node->depth);
      Leave(*node);
    }
    report_.exhausted = frontier_.empty() && report_.problem.empty();
    report_.states = origins_.size();
    report_.seconds = seconds();
    return report_;
  }

  // The way to a state, and the choice that was made last.
  std::vector<std::string> Trace(uint32_t index, const Choice* last) const {
    std::vector<std::string> trace;
    Node node = root_;
    for (const Choice& choice : PathTo(index)) {
      trace.push_back(Text(node, choice));
      Make(node, choice);
    }
    if (last != nullptr) trace.push_back(Text(node, *last));
    return trace;
  }
  std::vector<std::string> TraceNow() const { return Trace(leaving_, &making_); }

 private:
  struct Origin {
    uint32_t parent = 0;
    Choice choice;
  };
  struct Waiting {
    uint32_t index;
    std::unique_ptr<Node> node;  // null: to be made again
  };

  uint64_t KeyOf(const Node& node) const {
    ExploreKey key(kExploreTimeout);
    key.AddGroup(node.group);
    StateHash hash;
    for (const uint64_t word : {key.value(), uint64_t{node.writes}, uint64_t{node.crashes},
                                uint64_t{node.losses}, uint64_t{node.repeats}, uint64_t{node.disks},
                                uint64_t{node.changes}, uint64_t{node.ticks}}) {
      hash.Word(word);
    }
    return hash.value();
  }

  void Leave(const Node& node) {
    choices_.clear();
    Choices(node, &choices_);
    for (const Choice& choice : choices_) {
      making_ = choice;
      auto next = std::make_unique<Node>(node);
      Make(*next, choice);
      ++report_.transitions;
      report_.problem = next->group.Check();
      if (!report_.problem.empty()) {
        report_.trace = Trace(leaving_, &choice);
        return;
      }
      if (!Within(*next) || !seen_.insert(KeyOf(*next)).second) continue;
      Note(next->group);
      ++next->depth;
      const auto index = static_cast<uint32_t>(origins_.size());
      origins_.push_back({leaving_, choice});
      const bool keep = kept_ < options_.kept_groups;
      if (keep) ++kept_;
      frontier_.push_back({index, keep ? std::move(next) : nullptr});
    }
  }

  void Note(const ModelGroup& group) {
    report_.committed = std::max<uint64_t>(report_.committed, group.rules().committed());
    for (size_t i = 0; i < group.size(); ++i) {
      if (!group.member(i).up() || group.member(i).core().role() != Role::kPrimary) continue;
      const uint64_t ballot = group.member(i).core().term().counter.value - first_ballot_ + 1;
      report_.reigns = std::max(report_.reigns, ballot);
    }
  }

  bool Within(const Node& node) const {
    const ModelGroup& group = node.group;
    if (group.network().size() > bounds_.packets) return false;
    for (size_t i = 0; i < group.size(); ++i) {
      if (!group.member(i).up()) continue;
      const CoreState& state = group.member(i).core().state();
      const uint64_t counter = state.promise.hard.promised.counter.value;
      if (counter > first_ballot_ + bounds_.ballots) return false;
      if (state.election.round > bounds_.rounds) return false;
      if (state.election.failures > bounds_.rounds + 1) return false;
    }
    return true;
  }

  // --- choices

  void Choices(const Node& node, std::vector<Choice>* out) const {
    const ModelGroup& group = node.group;
    const auto add = [out](Kind kind, size_t which) {
      out->push_back({kind, static_cast<uint8_t>(which)});
    };
    if (node.crashes >= bounds_.crashes) {
      for (size_t i = 0; i < group.size(); ++i) {
        const ModelMember& member = group.member(i);
        if (member.up() && member.saving()) return add(Kind::kSave, i);
        if (member.up() && member.log_dirty()) return add(Kind::kFlush, i);
      }
    }
    for (size_t i = 0; i < group.network().size(); ++i) {
      if (bounds_.fifo && Overtakes(group, i)) continue;
      add(Kind::kDeliver, i);
      if (node.losses < bounds_.losses) add(Kind::kLose, i);
      if (node.repeats < bounds_.repeats) add(Kind::kRepeat, i);
    }
    for (size_t i = 0; i < group.size(); ++i) {
      const ModelMember& member = group.member(i);
      if (!member.up()) {
        add(Kind::kRestart, i);
        if (node.disks < bounds_.disks) add(Kind::kNewDisk, i);
        continue;
      }
      if (member.log_dirty()) add(Kind::kFlush, i);
      if (member.saving()) add(Kind::kSave, i);
      if (member.asking()) add(Kind::kWitness, i);
      if (member.asking() && node.losses < bounds_.losses) add(Kind::kLoseWitness, i);
      if (member.writable() && node.writes < bounds_.writes) add(Kind::kWrite, i);
      if (node.ticks < bounds_.ticks && MayTick(group, i)) add(Kind::kTick, i);
      if (node.crashes < bounds_.crashes) {
        add(Kind::kCrash, i);
        if (member.log_dirty()) add(Kind::kKill, i);
      }
      if (member.core().role() == Role::kPrimary && node.changes < bounds_.changes) {
        for (size_t j = 0; j < group.size(); ++j) add(Kind::kChange, i * 16 + j);
      }
    }
    for (size_t i = 0; i < group.late_swaps().size(); ++i) add(Kind::kLateSwap, i);
  }

  static bool MayTick(const ModelGroup& group, size_t index) {
    const ModelMember& member = group.member(index);
    return member.core().Deadline() != UINT64_MAX &&
           std::none_of(group.network().begin(), group.network().end(), [&](const Packet& packet) {
             return packet.message.from == member.id() &&
                    std::holds_alternative<Heartbeat>(packet.message.body);
           });
  }

  static bool Overtakes(const ModelGroup& group, size_t packet) {
    const Message& message = group.network()[packet].message;
    for (size_t i = 0; i < packet; ++i) {
      const Message& before = group.network()[i].message;
      if (before.from == message.from && before.to == message.to) return true;
    }
    return false;
  }

  void Make(Node& node, const Choice& choice) const {
    ModelGroup& group = node.group;
    const size_t which = choice.which;
    switch (choice.kind) {
      case Kind::kDeliver:
        group.Deliver(which);
        break;
      case Kind::kRepeat:
        ++node.repeats;
        group.Repeat(which);
        break;
      case Kind::kLose:
        ++node.losses;
        group.Lose(which);
        break;
      case Kind::kFlush:
        group.Flush(which);
        break;
      case Kind::kSave:
        group.SaveHardState(which);
        break;
      case Kind::kLoseWitness:
        ++node.losses;
        group.AnswerWitness(which, true);
        break;
      case Kind::kWitness:
        group.AnswerWitness(which, false);
        break;
      case Kind::kLateSwap:
        group.SwapLate(which);
        break;
      case Kind::kWrite:
        group.Write(which, ++node.writes);
        break;
      case Kind::kTick: {
        ++node.ticks;
        const ModelMember& member = group.member(which);
        const Nanos at = member.core().Deadline();
        group.MoveOne(which, at > member.clock() ? at - member.clock() : 1);
        group.Tick(which);
        break;
      }
      case Kind::kCrash:
        ++node.crashes;
        group.Crash(which);
        break;
      case Kind::kKill:
        ++node.crashes;
        group.Kill(which);
        break;
      case Kind::kRestart:
        group.Restart(which);
        break;
      case Kind::kNewDisk:
        group.NewDisk(which, Incarnation(100 + node.disks++));
        break;
      case Kind::kChange:
        ++node.changes;
        group.Do(which / 16, ChangeOf(group, which / 16, which % 16));
        break;
    }
    DropEqual(group);
  }

  // A learner is promoted, a voter removed.
  static ChangeMembers ChangeOf(const ModelGroup& group, size_t primary, size_t about) {
    MembershipChange change;
    const CoreOptions& options = group.member(about).options();
    const Member* now = group.member(primary).core().configuration().Find(options.self);
    const bool learner = now != nullptr && now->kind == MemberKind::kLearner;
    change.kind = learner ? MembershipChange::Kind::kPromote : MembershipChange::Kind::kRemove;
    change.member.id = options.self;
    return {change};
  }

  static void DropEqual(ModelGroup& group) {
    for (size_t i = group.network().size(); i-- > 1;) {
      const ExploreKey key(kExploreTimeout);
      const uint64_t value = key.OfPacket(group, group.network()[i]);
      for (size_t j = 0; j < i; ++j) {
        if (key.OfPacket(group, group.network()[j]) != value) continue;
        group.Lose(i);
        break;
      }
    }
  }

  // --- the way back

  std::vector<Choice> PathTo(uint32_t index) const {
    std::vector<Choice> path;
    for (; index != 0; index = origins_[index].parent) path.push_back(origins_[index].choice);
    std::reverse(path.begin(), path.end());
    return path;
  }
  Node Again(uint32_t index) const {
    Node node = root_;
    for (const Choice& choice : PathTo(index)) {
      Make(node, choice);
      // As it was on the way there: what the rules remember is part of a state.
      (void)node.group.Check();
      ++node.depth;
    }
    return node;
  }

  static std::string Text(const Node& node, const Choice& choice) {
    static constexpr const char* kNames[] = {
        "deliver",   "repeat", "lose", "flush", "save", "witness answers", "witness's answer lost",
        "late swap", "write",  "tick", "crash", "kill", "restart",         "new disk",
        "change"};
    std::string text = kNames[static_cast<size_t>(choice.kind)];
    const ModelGroup& group = node.group;
    if (choice.kind <= Kind::kLose)
      return text + " " + ToText(group.network()[choice.which].message);
    if (choice.kind == Kind::kLateSwap) return text + " " + ToText(group.late_swaps()[0]);
    if (choice.kind == Kind::kChange) {
      const size_t primary = choice.which / 16;
      return text + " " + ToText(group.member(primary).id()) + " " +
             ToText(ChangeOf(group, primary, choice.which % 16).change);
    }
    return text + " " + ToText(group.member(choice.which).id());
  }

  ExploreOptions options_;
  ExploreBounds bounds_;
  Node root_;
  uint64_t first_ballot_ = 0;
  std::unordered_set<uint64_t> seen_;
  std::vector<Origin> origins_;  // by state, in the order in which they were found
  std::deque<Waiting> frontier_;
  uint64_t kept_ = 1;  // groups in the frontier
  std::vector<Choice> choices_;
  uint32_t leaving_ = 0;
  Choice making_;
  ExploreReport report_;
};

}  // namespace

ExploreReport Explore(const ExploreOptions& options) { return Explorer(options).Run(); }

std::vector<std::string> ExploreTraceOnAbort() {
  return g_explorer != nullptr ? g_explorer->TraceNow() : std::vector<std::string>{};
}

}  // namespace ringleader::sim
