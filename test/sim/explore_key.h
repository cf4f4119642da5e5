// What makes two states of a group the same for the explorer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/state_hash.h"
#include "model_group.h"

namespace ringleader::sim {

// As StateHash, but that it knows what times and counts mean by the names of their fields.
class ExploreKey {
 public:
  // `oldest`: the longest time ago that the core can tell from longer ago.
  explicit ExploreKey(Nanos oldest) : oldest_(oldest) {}

  uint64_t value() const { return hash_.value(); }

  void AddGroup(const ModelGroup& group) {
    for (size_t i = 0; i < group.size(); ++i) {
      const ModelMember& member = group.member(i);
      clock_ = member.clock();
      const auto& saved = member.disk().hard_state;
      saves_ =
          member.up() ? member.core().state().promise.hard.sequence : (saved ? saved->sequence : 0);
      Add(member);
    }
    packets_.clear();
    for (const Packet& packet : group.network()) packets_.push_back(OfPacket(group, packet));
    std::sort(packets_.begin(), packets_.end());
    for (const uint64_t packet : packets_) hash_.Word(packet);
    hash_.Word(packets_.size());
    hash_.Add(group.witness());
    hash_.Add(group.late_swaps());
    hash_.Add(group.rules());
  }

  // A heartbeat carries the time of who sends it; an answer the time of who gets it.
  uint64_t OfPacket(const ModelGroup& group, const Packet& packet) const {
    const bool answer = std::holds_alternative<Ack>(packet.message.body);
    const size_t whose = group.IndexOf(answer ? packet.message.to : packet.message.from);
    ExploreKey key(oldest_);
    if (whose < group.size()) key.clock_ = group.member(whose).clock();
    key.Add(packet);
    return key.value();
  }

  template <typename T>
  void operator()(const char* name, const T& value, Since = {}) {
    if constexpr (std::is_same_v<T, uint64_t>) {
      AddNumber(name, value);
    } else {
      Add(value);
    }
  }

 private:
  static bool IsTime(const char* name) {
    static constexpr const char* kTimes[] = {
        "due",     "ends",       "waits_until", "free_at",      "heard_at",     "quorum_at",
        "sent_at", "missing_at", "ask_at",      "asked_at",     "heartbeat_at", "since",
        "echoed",  "retry_at",   "lease_until", "handover_ends"};
    return std::any_of(std::begin(kTimes), std::end(kTimes),
                       [name](const char* one) { return std::strcmp(one, name) == 0; });
  }

  void AddNumber(const char* name, uint64_t value) {
    if (std::strcmp(name, "now") == 0 || std::strcmp(name, "history") == 0) return;
    if (std::strcmp(name, "sequence") == 0 || std::strcmp(name, "saved") == 0 ||
        std::strcmp(name, "promised") == 0) {
      hash_.Word(saves_ - value);
    } else if (!IsTime(name)) {
      hash_.Word(value);
    } else if (value == 0) {
      hash_.Word(~uint64_t{0});
    } else if (value > clock_) {
      hash_.Word((value - clock_) << 32);
    } else {
      hash_.Word(std::min(clock_ - value, oldest_));
    }
  }

  template <typename T>
  void Add(const T& value) {
    if constexpr (HasFields<T>) {
      VisitFields(value, *this);
    } else if constexpr (requires { value.has_value(); }) {
      hash_.Word(value.has_value());
      if (value) Add(*value);
    } else if constexpr (requires { value.index(); }) {
      hash_.Word(value.index());
      std::visit([this](const auto& chosen) { this->Add(chosen); }, value);
    } else if constexpr (requires { value.begin()->Fields(*value.begin(), AnyField{}); }) {
      hash_.Word(value.size());
      for (const auto& one : value) Add(one);
    } else {
      hash_.Add(value);
    }
  }

  StateHash hash_;
  Nanos oldest_;
  Nanos clock_ = 0;
  uint64_t saves_ = 0;
  std::vector<uint64_t> packets_;
};

}  // namespace ringleader::sim
