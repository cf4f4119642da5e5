// A hash of 64 bits over plain data, for an explorer that wants to know whether it has been here.
//
// Every word goes through the finalizer of SplitMix64, which is a bijection of good avalanche,
// xor-ed with all that came before: equal data give equal hashes on every platform, and of two
// different ones the chance to collide is that of two random numbers. Lengths and alternatives are
// part of it, so ([a], []) is not ([], [a]). Not for bytes from outside: whoever chooses the data
// can make collisions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "core/fields.h"
#include "core/types.h"

namespace ringleader {

class StateHash {
 public:
  uint64_t value() const { return state_; }

  void Word(uint64_t word) {
    uint64_t x = (state_ ^ word) + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    state_ = x ^ (x >> 31);
  }

  template <typename T>
  void Add(const T& value) {
    if constexpr (std::is_enum_v<T> || std::is_unsigned_v<T>) {
      Word(static_cast<uint64_t>(value));
    } else if constexpr (std::is_integral_v<T>) {
      Word(static_cast<uint64_t>(static_cast<int64_t>(value)));
    } else if constexpr (HasFields<T>) {
      VisitFields(value, *this);
    } else if constexpr (requires { value.counter; }) {  // Ballot
      Add(value.counter);
      Add(value.incarnation);
    } else if constexpr (requires { value.term; }) {  // Position
      Add(value.term);
      Add(value.lsn);
    } else if constexpr (requires { value.has_value(); }) {  // std::optional
      Word(value.has_value());
      if (value) Add(*value);
    } else if constexpr (requires { value.index(); }) {  // std::variant
      Word(value.index());
      std::visit([this](const auto& chosen) { this->Add(chosen); }, value);
    } else if constexpr (requires { value.value; }) {  // Lsn, Term, MemberId, Incarnation
      Word(value.value);
    } else {
      AddRange(value);
    }
  }

  // Visits Fields.
  template <typename T>
  void operator()(const char*, const T& value, Since = {}) {
    Add(value);
  }

 private:
  // Vectors, arrays, spans, strings, ordered maps and sets.
  template <typename T>
  void AddRange(const T& values) {
    Word(values.size());
    if constexpr (requires { values.begin()->first; }) {
      for (const auto& [key, value] : values) {
        Add(key);
        Add(value);
      }
    } else if constexpr (sizeof(*values.begin()) == 1) {
      AddBytes(values);
    } else {
      for (const auto& value : values) Add(value);
    }
  }

  // Eight to a word, whatever the byte order of the machine.
  template <typename T>
  void AddBytes(const T& values) {
    uint64_t word = 0;
    size_t filled = 0;
    for (const auto value : values) {
      word |= uint64_t{static_cast<uint8_t>(value)} << (8 * filled);
      if (++filled < 8) continue;
      Word(word);
      word = 0;
      filled = 0;
    }
    if (filled > 0) Word(word);
  }

  uint64_t state_ = 0;
};

template <typename T>
uint64_t HashOf(const T& value) {
  StateHash hash;
  hash.Add(value);
  return hash.value();
}

}  // namespace ringleader
