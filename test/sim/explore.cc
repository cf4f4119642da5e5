#include "explore.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>

#include "explore_presets.h"
#include "explore_seen.h"
#include "explore_step.h"

namespace ringleader::sim {
namespace {

class Explorer;
Explorer* g_explorer = nullptr;  // that ExploreTraceOnAbort asks

class Explorer {
 public:
  explicit Explorer(const ExploreOptions& options)
      : options_(options),
        root_{MakeExploreGroup(options.group)},
        steps_(options.bounds, root_.group) {
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
    seen_.Insert(root_.Key());
    origins_.push_back({});
    frontier_.push_back({0, std::make_unique<ExploreNode>(root_)});
    while (!frontier_.empty() && report_.problem.empty()) {
      if (origins_.size() >= options_.max_states || seconds() >= options_.max_seconds) break;
      leaving_ = frontier_.front().index;
      std::unique_ptr<ExploreNode> node = std::move(frontier_.front().node);
      frontier_.pop_front();
      if (node) {
        --kept_;
      } else {
        node = std::make_unique<ExploreNode>(Again(leaving_));
      }
      report_.depth = std::max<uint64_t>(report_.depth, node->depth);
      Leave(*node);
    }
    report_.exhausted = frontier_.empty() && report_.problem.empty();
    report_.states = origins_.size();
    report_.left = origins_.size() - frontier_.size();
    report_.seconds = seconds();
    return report_;
  }

  // The way to a state, and the choice that was made last.
  std::vector<std::string> Trace(uint32_t index, const ExploreChoice* last) const {
    std::vector<std::string> trace;
    ExploreNode node = root_;
    for (const ExploreChoice& choice : PathTo(index)) {
      trace.push_back(steps_.Text(node, choice));
      steps_.Make(node, choice);
    }
    if (last != nullptr) trace.push_back(steps_.Text(node, *last));
    return trace;
  }
  std::vector<std::string> TraceNow() const {
    return Trace(leaving_, making_ ? &*making_ : nullptr);
  }

 private:
  struct Origin {
    uint32_t parent = 0;
    ExploreChoice choice;
  };
  struct Waiting {
    uint32_t index;
    std::unique_ptr<ExploreNode> node;  // null: to be made again
  };

  void Leave(const ExploreNode& node) {
    choices_.clear();
    steps_.Choices(node, &choices_);
    for (const ExploreChoice& choice : choices_) {
      making_ = choice;
      auto next = std::make_unique<ExploreNode>(node);
      steps_.Make(*next, choice);
      ++report_.transitions;
      report_.problem = next->group.Check();
      const bool sound = report_.problem.empty();
      if (sound && !steps_.Within(*next)) continue;
      const uint64_t key = next->Key();
      if (sound && !seen_.Insert(key)) continue;
      if (sound && options_.live_every != 0 && key % options_.live_every == 0) {
        ++report_.lived;
        report_.problem = ExploreLiveness(next->group);
      }
      if (!report_.problem.empty()) {
        report_.trace = Trace(leaving_, &choice);
        return;
      }
      Add(std::move(next), choice);
    }
    making_.reset();
  }

  void Add(std::unique_ptr<ExploreNode> node, const ExploreChoice& choice) {
    report_.committed = std::max<uint64_t>(report_.committed, node->group.rules().committed());
    report_.reigns = std::max(report_.reigns, steps_.Reigns(node->group));
    const auto index = static_cast<uint32_t>(origins_.size());
    origins_.push_back({leaving_, choice});
    const bool keep = kept_ < options_.kept_groups;
    if (keep) ++kept_;
    frontier_.push_back({index, keep ? std::move(node) : nullptr});
  }

  // --- the way back

  std::vector<ExploreChoice> PathTo(uint32_t index) const {
    std::vector<ExploreChoice> path;
    for (; index != 0; index = origins_[index].parent) path.push_back(origins_[index].choice);
    std::reverse(path.begin(), path.end());
    return path;
  }
  ExploreNode Again(uint32_t index) const {
    ExploreNode node = root_;
    for (const ExploreChoice& choice : PathTo(index)) {
      steps_.Make(node, choice);
      // As it was on the way there: what the rules remember is part of a state.
      (void)node.group.Check();
    }
    return node;
  }

  ExploreOptions options_;
  ExploreNode root_;
  ExploreSteps steps_;
  ExploreSeen seen_;
  std::vector<Origin> origins_;  // by state, in the order in which they were found
  std::deque<Waiting> frontier_;
  uint64_t kept_ = 1;  // groups in the frontier
  std::vector<ExploreChoice> choices_;
  uint32_t leaving_ = 0;
  std::optional<ExploreChoice> making_;
  ExploreReport report_;
};

}  // namespace

ExploreReport Explore(const ExploreOptions& options) { return Explorer(options).Run(); }

std::vector<std::string> ExploreTraceOnAbort() {
  return g_explorer != nullptr ? g_explorer->TraceNow() : std::vector<std::string>{};
}

}  // namespace ringleader::sim
