#include "sim_network.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "core/message.h"

namespace ringleader::simulator {

SimNetwork::SimNetwork(const SimPlan& plan, SimSchedule* schedule, uint64_t seed, Deliver deliver)
    : plan_(plan),
      schedule_(schedule),
      rng_(seed),
      deliver_(std::move(deliver)),
      paths_(size_t{plan.members()} * plan.members()) {}

Nanos SimNetwork::Delay() {
  const Nanos spread = plan_.delay_max - plan_.delay_min;
  // Most are quick, a few take as long as there is.
  const double unit = rng_.Unit();
  return plan_.delay_min + static_cast<Nanos>(static_cast<double>(spread) * unit * unit * unit);
}

void SimNetwork::Send(uint32_t from, uint32_t to, size_t type, Frame frame) {
  Path& path = At(from, to);
  ++stats_.sent;
  stats_.bytes += frame->size();
  const Nanos now = schedule_->now();
  if (path.cut) {
    ++stats_.cut;
    return;
  }
  const bool lost = !frozen_ && ((plan_.Has(Fault::kLoss) && rng_.Chance(plan_.loss)) ||
                                 (type == lost_type_ && now < lost_until_));
  if (lost) {
    ++stats_.lost;
    return;
  }
  Nanos at = std::max(now + Delay(), path.clogged_until);
  const bool overtakes = !frozen_ && plan_.Has(Fault::kReorder) && rng_.Chance(plan_.reorder);
  if (!overtakes) at = std::max(at, path.last);
  path.last = std::max(path.last, at);
  if (!frozen_ && plan_.Has(Fault::kDuplicate) && rng_.Chance(plan_.duplicate)) {
    ++stats_.repeated;
    Arrive(to, at + Delay() * (1 + rng_.Below(20)), frame);
  }
  if (!frozen_ && plan_.Has(Fault::kDamage) && rng_.Below(200) == 0) {
    ++stats_.damaged;
    std::vector<uint8_t> damaged = *frame;
    damaged[rng_.Below(damaged.size())] ^= static_cast<uint8_t>(1 << rng_.Below(8));
    frame = std::make_shared<const std::vector<uint8_t>>(std::move(damaged));
  }
  Arrive(to, at, std::move(frame));
}

void SimNetwork::Arrive(uint32_t to, Nanos at, Frame frame) {
  schedule_->At(at, [this, to, frame = std::move(frame)] {
    ++stats_.delivered;
    deliver_(to, frame);
  });
}

void SimNetwork::Cut(uint32_t from, uint32_t to, bool one_way) {
  At(from, to).cut = true;
  if (!one_way) At(to, from).cut = true;
}

std::string SimNetwork::Partition() {
  Heal();
  ++stats_.partitions;
  const uint32_t members = plan_.members();
  const bool one_way = plan_.Has(Fault::kOneWay) && rng_.Below(3) == 0;
  const uint64_t shape = rng_.Below(4);
  const auto alone = static_cast<uint32_t>(rng_.Below(members));
  std::vector<bool> side(members);
  for (uint32_t i = 0; i < members; ++i) side[i] = rng_.Below(2) == 0;
  for (uint32_t a = 0; a < members; ++a) {
    for (uint32_t b = 0; b < members; ++b) {
      if (a == b) continue;
      // The bridge sees both sides. In a ring each sees its neighbours: majorities that overlap.
      const uint32_t apart = (a + members - b) % members;
      const bool cut = shape == 0   ? side[a] != side[b]
                       : shape == 1 ? a == alone
                       : shape == 2 ? side[a] != side[b] && a != alone && b != alone
                                    : apart > 1 && apart < members - 1;
      if (cut && (!one_way || a < b || shape == 1)) Cut(a, b, one_way);
    }
  }
  static constexpr std::array<const char*, 4> kShapes = {"halves", "one alone", "bridge", "ring"};
  return std::string(kShapes[shape]) + (one_way ? ", one way" : "");
}

void SimNetwork::Clog(Nanos length) {
  ++stats_.clogs;
  const uint32_t members = plan_.members();
  if (members < 2) return;
  const auto from = static_cast<uint32_t>(rng_.Below(members));
  const auto to = (from + 1 + static_cast<uint32_t>(rng_.Below(members - 1))) % members;
  At(from, to).clogged_until = schedule_->now() + length;
  if (!plan_.Has(Fault::kOneWay)) At(to, from).clogged_until = schedule_->now() + length;
}

void SimNetwork::LoseType(Nanos length) {
  lost_type_ = rng_.Below(std::variant_size_v<Body>);
  lost_until_ = schedule_->now() + length;
}

void SimNetwork::Heal() {
  if (frozen_) return;
  for (Path& path : paths_) path.cut = false;
}

void SimNetwork::Freeze(uint32_t core) {
  Heal();
  frozen_ = true;
  for (uint32_t a = 0; a < plan_.members(); ++a) {
    for (uint32_t b = 0; b < plan_.members(); ++b) {
      At(a, b).cut = (core >> a & 1) == 0 || (core >> b & 1) == 0;
      At(a, b).clogged_until = 0;
    }
  }
}

}  // namespace ringleader::simulator
