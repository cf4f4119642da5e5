// The simulated witness: a register far away, whose answers take a while, or never come.
#pragma once

#include <functional>

#include "core/witness.h"
#include "env/sim/sim_rng.h"
#include "sim_plan.h"
#include "sim_schedule.h"

namespace ringleader::simulator {

class SimWitness {
 public:
  using Answer = std::function<void(WitnessOutcome outcome, const WitnessRegister& value)>;

  SimWitness(const SimPlan& plan, SimSchedule* schedule, uint64_t seed)
      : plan_(plan), schedule_(schedule), rng_(seed) {}

  const WitnessRegister& value() const { return value_; }
  // Nobody reaches it until then.
  void GoDown(Nanos length) { down_until_ = schedule_->now() + length; }
  void Freeze() {
    frozen_ = true;
    down_until_ = 0;
  }

  // Done at some time, perhaps long after whoever asked has been told that nobody knows.
  void Ask(const WitnessRequest& request, Answer answer) {
    const bool faulty = plan_.Has(Fault::kWitness) && !frozen_;
    const Nanos way = 100'000 + rng_.Below(5'000'000);
    const bool reached = schedule_->now() >= down_until_ && !(faulty && rng_.Below(20) == 0);
    const bool heard = reached && !(faulty && rng_.Below(20) == 0);
    const Nanos late = faulty && rng_.Below(10) == 0 ? rng_.Below(2'000'000'000) : 0;
    if (!reached) {
      schedule_->In(way * 20, [answer] { answer(WitnessOutcome::kUnknown, {}); });
      return;
    }
    if (!heard || late > 0) {
      schedule_->In(way + late, [this, request] { Swap(request); });
      schedule_->In(way * 20, [answer] { answer(WitnessOutcome::kUnknown, {}); });
      return;
    }
    schedule_->In(way, [this, request, answer, way] {
      const bool done = Swap(request);
      const WitnessRegister now = value_;
      schedule_->In(way, [answer, done, now] {
        answer(done ? WitnessOutcome::kDone : WitnessOutcome::kConflict, now);
      });
    });
  }

 private:
  bool Swap(const WitnessRequest& request) {
    if (request.expected == request.value) return true;
    if (request.expected != value_) return false;
    value_ = request.value;
    return true;
  }

  const SimPlan& plan_;
  SimSchedule* const schedule_;
  SimRng rng_;
  WitnessRegister value_;
  Nanos down_until_ = 0;
  bool frozen_ = false;
};

}  // namespace ringleader::simulator
