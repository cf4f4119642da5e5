// What makes two states of a group the same for the explorer.
//
// Times are hashed as distances from the clock that they were read from: that of the member itself
// or, for what it will echo to a primary, the primary's. What is older than everything that the
// core asks about is hashed as simply old, counts of saves as distances from the newest one. Left
// out is what no rule looks at again: how often a log was rolled back, how much was kept from it,
// and a counter that has been seen but is not above the promise.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
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
    for (size_t i = 0; i < group.size(); ++i) hash_.Word(OfMember(group, i));
    std::vector<uint64_t> packets;
    for (const Packet& packet : group.network()) packets.push_back(OfPacket(group, packet));
    std::sort(packets.begin(), packets.end());
    for (const uint64_t packet : packets) hash_.Word(packet);
    hash_.Word(packets.size());
    hash_.Add(group.witness());
    hash_.Add(group.late_swaps());
    hash_.Add(group.rules());
  }

  // A heartbeat carries the time of who sends it; an answer the time of who gets it.
  uint64_t OfPacket(const ModelGroup& group, const Packet& packet) const {
    const bool answer = std::holds_alternative<Ack>(packet.message.body);
    const Nanos clock = ClockOf(group, answer ? packet.message.to : packet.message.from);
    Note& note = packet.note;
    if (note.made && note.made_at == clock) return note.value;
    ExploreKey key(oldest_);
    key.clock_ = key.primary_clock_ = clock;
    key.Add(packet);
    note = {key.value(), clock, true};
    return note.value;
  }

  template <typename T>
  [[gnu::always_inline]] void operator()(const char* name, const T& value, Since = {}) {
    if constexpr (std::is_same_v<T, uint64_t>) {
      AddNumber(name, value);
    } else if constexpr (std::is_same_v<T, Term>) {
      hash_.Word(std::string_view(name) == "seen" ? std::max(value, promised_).value : value.value);
    } else {
      Add(value);
    }
  }

 private:
  static Nanos ClockOf(const ModelGroup& group, MemberId id) {
    const size_t index = group.IndexOf(id);
    return index < group.size() ? group.member(index).clock() : 0;
  }

  uint64_t OfMember(const ModelGroup& group, size_t index) const {
    const ModelMember& member = group.member(index);
    Nanos primary = 0;
    if (member.up() && !member.core().state().replica.ballot.none()) {
      primary = ClockOf(group, member.core().state().replica.primary);
    }
    Note& note = group.note(index);
    if (note.made && note.made_at == primary) return note.value;
    ExploreKey key(oldest_);
    key.clock_ = member.clock();
    key.primary_clock_ = primary;
    if (member.up()) {
      key.saves_ = member.core().state().promise.hard.sequence;
      key.promised_ = member.core().state().promise.hard.promised.counter;
      key.leads_ = member.core().role() == Role::kPrimary;
      key.in_sync_ = member.core().configuration().rule == QuorumRule::kInSync;
    } else if (member.disk().hard_state) {
      key.saves_ = member.disk().hard_state->sequence;
    }
    key.Add(member);
    note = {key.value(), primary, true};
    return note.value;
  }

  static constexpr bool IsTime(std::string_view name) {
    return name == "due" || name == "ends" || name == "waits_until" || name == "free_at" ||
           name == "heard_at" || name == "quorum_at" || name == "missing_at" || name == "ask_at" ||
           name == "asked_at" || name == "heartbeat_at" || name == "since" || name == "echoed" ||
           name == "retry_at" || name == "lease_until" || name == "handover_ends";
  }

  [[gnu::always_inline]] void AddNumber(std::string_view name, uint64_t value) {
    if (name == "now" || name == "history" || name == "discarded") return;
    // Asked for by the in-sync rule alone, and of a primary's peers.
    if (name == "heard_at" && !(leads_ && in_sync_)) return;
    if (name == "sequence" || name == "saved" || name == "promised") {
      hash_.Word(saves_ - value);
    } else if (name == "sent_at") {
      // Of a replica: to be echoed. Of a primary: its own.
      AddTime(value, leads_ ? clock_ : primary_clock_);
    } else if (IsTime(name)) {
      AddTime(value, clock_);
    } else {
      hash_.Word(value);
    }
  }

  void AddTime(Nanos value, Nanos clock) {
    if (value == 0) {
      hash_.Word(~uint64_t{0});
    } else if (value > clock) {
      hash_.Word((value - clock) << 32);
    } else {
      hash_.Word(std::min(clock - value, oldest_));
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
  Nanos clock_ = 0;          // of the member
  Nanos primary_clock_ = 0;  // of the primary that it follows
  uint64_t saves_ = 0;
  Term promised_;
  bool leads_ = false;
  bool in_sync_ = false;
};

}  // namespace ringleader::sim
