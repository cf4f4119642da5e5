// The words of a command, taken from the left; `name=value` may stand anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"
#include "scenario_world.h"

namespace ringleader::sim {

class Words {
 public:
  explicit Words(const std::string& line);

  bool empty() const { return words_.empty(); }
  std::string Take();
  // True, and taken, where it comes next.
  bool Take(std::string_view word);
  // Its value, and taken, wherever it stands.
  std::optional<std::string> Option(std::string_view name);
  std::optional<uint64_t> NumberOption(std::string_view name);
  std::optional<Nanos> TimeOption(std::string_view name);
  uint64_t Number();
  MemberId Id();
  Nanos Time();
  // "7 11..600": all that are left.
  std::vector<uint64_t> Values();
  // "all", "1->2", "1->*", and then a type of message or nothing.
  MessagePattern Pattern();
  // Nothing may be left.
  void End() const;

 private:
  std::vector<std::string> words_;
};

uint64_t NumberOf(const std::string& word);
Incarnation IncarnationOf(const std::string& word);  // hexadecimal, as traces have it
Nanos TimeOf(const std::string& word);               // "250ms", "3s"
MemberId IdOf(const std::string& word);

}  // namespace ringleader::sim
