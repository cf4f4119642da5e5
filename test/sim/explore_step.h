// One step of an exploration: which there are from a state, within the bounds, and what each does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "explore.h"
#include "model_group.h"

namespace ringleader::sim {

struct ExploreChoice {
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
  Kind kind = Kind::kTick;
  uint8_t which = 0;  // member, packet, or late swap
};

struct ExploreNode {
  ModelGroup group;
  uint32_t depth = 0;
  uint8_t writes = 0, crashes = 0, losses = 0, repeats = 0, disks = 0, changes = 0, ticks = 0;

  uint64_t Key() const;
};

class ExploreSteps {
 public:
  ExploreSteps(const ExploreBounds& bounds, const ModelGroup& first)
      : bounds_(bounds), first_ballot_(first.member(0).core().term().counter.value) {}

  void Choices(const ExploreNode& node, std::vector<ExploreChoice>* out) const;
  void Make(ExploreNode& node, const ExploreChoice& choice) const;
  // Whether a state is within the bounds that no choice can know beforehand.
  bool Within(const ExploreNode& node) const;
  // How many ballots the group has come on since it began.
  uint64_t Reigns(const ModelGroup& group) const;
  std::string Text(const ExploreNode& node, const ExploreChoice& choice) const;

 private:
  ExploreBounds bounds_;
  uint64_t first_ballot_;
};

// What is wrong where the faults end here: everybody comes up, nothing is lost, clocks run as one,
// and yet no primary commits a record that it is given now. Empty where one does, or where the
// group has lost the disks that it would need.
std::string ExploreLiveness(ModelGroup group);

}  // namespace ringleader::sim
