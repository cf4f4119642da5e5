#include "scenario_words.h"

#include <charconv>
#include <sstream>

namespace ringleader::sim {
namespace {

uint64_t Parse(const std::string& word, int base) {
  uint64_t value = 0;
  const char* end = word.data() + word.size();
  const auto [at, error] = std::from_chars(word.data(), end, value, base);
  if (error != std::errc() || at != end) throw ScenarioProblem{"no number: " + word};
  return value;
}

std::optional<MemberId> EndOf(const std::string& word) {
  if (word == "*") return std::nullopt;
  return IdOf(word);
}

}  // namespace

uint64_t NumberOf(const std::string& word) { return Parse(word, 10); }
Incarnation IncarnationOf(const std::string& word) { return Incarnation(Parse(word, 16)); }
MemberId IdOf(const std::string& word) { return MemberId(static_cast<uint32_t>(NumberOf(word))); }

Nanos TimeOf(const std::string& word) {
  if (word.ends_with("ms")) return NumberOf(word.substr(0, word.size() - 2)) * 1'000'000;
  if (word.ends_with("s")) return NumberOf(word.substr(0, word.size() - 1)) * 1'000'000'000;
  throw ScenarioProblem{"no time: " + word};
}

Words::Words(const std::string& line) {
  std::istringstream in(line);
  for (std::string word; in >> word;) words_.push_back(word);
}

std::string Words::Take() {
  if (words_.empty()) throw ScenarioProblem{"a word is missing"};
  std::string word = words_.front();
  words_.erase(words_.begin());
  return word;
}

bool Words::Take(std::string_view word) {
  if (words_.empty() || words_.front() != word) return false;
  words_.erase(words_.begin());
  return true;
}

std::optional<std::string> Words::Option(std::string_view name) {
  const std::string prefix = std::string(name) + "=";
  for (auto word = words_.begin(); word != words_.end(); ++word) {
    if (!word->starts_with(prefix)) continue;
    std::string value = word->substr(prefix.size());
    words_.erase(word);
    return value;
  }
  return std::nullopt;
}

std::optional<uint64_t> Words::NumberOption(std::string_view name) {
  const std::optional<std::string> value = Option(name);
  if (!value) return std::nullopt;
  return NumberOf(*value);
}

std::optional<Nanos> Words::TimeOption(std::string_view name) {
  const std::optional<std::string> value = Option(name);
  if (!value) return std::nullopt;
  return TimeOf(*value);
}

uint64_t Words::Number() { return NumberOf(Take()); }
MemberId Words::Id() { return IdOf(Take()); }
Nanos Words::Time() { return TimeOf(Take()); }

std::vector<uint64_t> Words::Values() {
  std::vector<uint64_t> values;
  do {
    const std::string word = Take();
    const size_t dots = word.find("..");
    const uint64_t first = NumberOf(word.substr(0, dots));
    const uint64_t last = dots == std::string::npos ? first : NumberOf(word.substr(dots + 2));
    for (uint64_t value = first; value <= last; ++value) values.push_back(value);
  } while (!words_.empty());
  return values;
}

MessagePattern Words::Pattern() {
  MessagePattern pattern;
  const std::string ends = Take();
  if (const size_t arrow = ends.find("->"); arrow != std::string::npos) {
    pattern.from = EndOf(ends.substr(0, arrow));
    pattern.to = EndOf(ends.substr(arrow + 2));
  } else if (ends != "all") {
    throw ScenarioProblem{"no ends of messages: " + ends};
  }
  if (!words_.empty()) pattern.type = Take();
  return pattern;
}

void Words::End() const {
  if (!words_.empty()) throw ScenarioProblem{"what is " + words_.front() + "?"};
}

}  // namespace ringleader::sim
