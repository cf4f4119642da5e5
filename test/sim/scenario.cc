#include "scenario.h"

#include <vector>

#include "scenario_world.h"

namespace ringleader::sim {
namespace {

constexpr std::string_view kIndent = "  ";

std::vector<std::string> LinesOf(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

bool IsTrace(const std::string& line) { return line.starts_with(kIndent); }
bool IsCommand(const std::string& line) {
  return !line.empty() && line[0] != '#' && !IsTrace(line);
}

std::string At(size_t line, const std::string& what) {
  return "line " + std::to_string(line + 1) + ": " + what;
}

// Lines that are repeated become one.
std::vector<std::string> Shortened(const std::vector<std::string>& trace) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < trace.size();) {
    size_t end = i + 1;
    while (end < trace.size() && trace[end] == trace[i]) ++end;
    const std::string times = end - i > 1 ? " (" + std::to_string(end - i) + " times)" : "";
    lines.push_back(trace[i] + times);
    i = end;
  }
  return lines;
}

// The first difference between what was expected from line `first` on and what came.
std::string Difference(const std::vector<std::string>& lines, size_t first, size_t end,
                       const std::vector<std::string>& trace) {
  for (size_t i = 0; i < trace.size() || first + i < end; ++i) {
    const std::string wanted = first + i < end ? lines[first + i].substr(kIndent.size()) : "";
    const std::string came = i < trace.size() ? trace[i] : "";
    if (wanted == came) continue;
    return At(first + i, "expected\n      " + (wanted.empty() ? "nothing more" : wanted) +
                             "\n    and got\n      " + (came.empty() ? "nothing more" : came));
  }
  return "";
}

}  // namespace

ScenarioRun RunScenario(std::string_view text) {
  ScenarioRun run;
  ScenarioWorld world;
  const std::vector<std::string> lines = LinesOf(text);
  if (lines.empty() || !lines[0].starts_with("# ")) {
    return {"line 1: a scenario begins with what it shows", true, std::string(text)};
  }
  for (size_t i = 0; i < lines.size();) {
    run.updated += lines[i] + "\n";
    if (IsTrace(lines[i])) return {At(i, "a trace without a command"), true, std::string(text)};
    if (!IsCommand(lines[i])) {
      ++i;
      continue;
    }
    const size_t first = i + 1;
    size_t end = first;
    while (end < lines.size() && IsTrace(lines[end])) ++end;
    std::string broken;
    try {
      RunCommand(lines[i], &world);
    } catch (const ScenarioProblem& problem) {
      broken = problem.text;
    }
    const std::vector<std::string> trace = Shortened(world.TakeTrace());
    for (const std::string& line : trace) run.updated += std::string(kIndent) + line + "\n";
    if (!broken.empty()) {
      run.problem = At(i, broken);
      for (const std::string& line : trace) run.problem += "\n      " + line;
      run.broken = true;
      return run;
    }
    if (run.problem.empty()) run.problem = Difference(lines, first, end, trace);
    i = end;
  }
  return run;
}

}  // namespace ringleader::sim
