// Every file of test/scenarios is one test. The table of docs/TESTING.md is held to what there is.
#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "harness.h"
#include "scenario.h"

namespace ringleader::sim {
namespace {

std::string ContentOf(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

const std::vector<std::filesystem::path>& Files() {
  static const std::vector<std::filesystem::path> files = [] {
    std::vector<std::filesystem::path> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(RINGLEADER_SCENARIOS, error)) {
      if (entry.path().extension() == ".txt") found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }();
  return files;
}

// A test is a plain function, so the n-th file gets the n-th of these.
constexpr size_t kMostFiles = 300;

template <size_t kNumber>
void RunFile() {
  const ScenarioRun run = RunScenario(ContentOf(Files()[kNumber]));
  if (run.problem.empty()) return;
  throw test::Failure{Files()[kNumber].filename().string() + ": " + run.problem +
                      "\n    (the program sim/scenario --update writes what came out)"};
}

template <size_t... kNumbers>
constexpr std::array<void (*)(), sizeof...(kNumbers)> Runners(std::index_sequence<kNumbers...>) {
  return {RunFile<kNumbers>...};
}

const bool g_registered = [] {
  static constexpr auto kRunners = Runners(std::make_index_sequence<kMostFiles>());
  static std::deque<std::string> names;
  for (size_t i = 0; i < std::min(Files().size(), kMostFiles); ++i) {
    names.push_back(Files()[i].stem().string());
    test::AllTests().push_back({"scenario", names.back().c_str(), kRunners[i]});
  }
  return true;
}();

// The lines of a section that are rows of its table.
std::vector<std::string> RowsOf(const std::string& document, const std::string& section) {
  std::vector<std::string> rows;
  std::istringstream in(document);
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) inside = line == "## " + section;
    if (inside && line.starts_with("| ")) rows.push_back(line);
  }
  return rows;
}

std::string Numbered(const char* prefix, int number) {
  const std::string digits = std::to_string(number);
  return "| " + std::string(prefix) + (digits.size() < 2 ? "0" : "") + digits + " |";
}

}  // namespace

TEST(scenario_runner, finds_all_files) {
  CHECK(g_registered);
  CHECK(Files().size() >= 100);
  CHECK(Files().size() <= kMostFiles);
}

TEST(scenario_runner, the_table_names_what_there_is) {
  const std::filesystem::path root =
      std::filesystem::path(RINGLEADER_SCENARIOS).parent_path().parent_path();
  const std::vector<std::string> rows = RowsOf(ContentOf(root / "docs/TESTING.md"), "Scenarios");
  std::set<std::string> named;
  for (const std::string& row : rows) {
    for (size_t at = row.find('`'); at != std::string::npos; at = row.find('`', at + 1)) {
      const size_t end = row.find('`', at + 1);
      CHECK(end != std::string::npos);
      const std::string file = row.substr(at + 1, end - at - 1);
      const bool scenario = file.ends_with(".txt");
      if (scenario) named.insert(file);
      const std::filesystem::path path =
          scenario ? std::filesystem::path(RINGLEADER_SCENARIOS) / file : root / file;
      if (!std::filesystem::exists(path)) throw test::Failure{"there is no " + file};
      at = end;
    }
  }
  for (const std::filesystem::path& file : Files()) {
    const std::string name = file.filename().string();
    if (named.count(name) == 0) throw test::Failure{name + " is not in docs/TESTING.md"};
  }
  for (int number = 1; number <= 78; ++number) {
    const std::string start = Numbered("S", number);
    const auto count = std::count_if(rows.begin(), rows.end(), [&start](const std::string& row) {
      return row.starts_with(start);
    });
    if (count != 1) throw test::Failure{"not one row for S" + std::to_string(number)};
  }
}

TEST(scenario_runner, a_trace_that_differs_fails) {
  const ScenarioRun good = RunScenario("# A trial.\ngroup 1 2 3\nmembers\n");
  CHECK(!good.problem.empty() && !good.broken);
  CHECK(RunScenario(good.updated).problem.empty());
  std::string other = good.updated;
  other.replace(other.find("replica"), 7, "primary");
  const ScenarioRun differs = RunScenario(other);
  CHECK(differs.problem.find("line 4") != std::string::npos);
  CHECK(!differs.broken);
  CHECK_EQ(differs.updated, good.updated);
  // One line too many, at the end.
  CHECK(!RunScenario(good.updated + "  3 replica, promised -\n").problem.empty());
}

TEST(scenario_runner, an_expectation_that_does_not_hold_fails) {
  const std::string start = "# A trial.\ngroup 1 2 3\n";
  CHECK(RunScenario(start + "expect no primary\n").problem.empty());
  for (const char* wrong : {"expect primary 1\n", "expect follows 2 1\n", "expect values 1 7\n",
                            "expect commit 1 8\n", "expect acknowledged 7\n", "expect halted 1\n",
                            "expect safe 1\n", "expect promised 1 1.a\n", "expect nonsense\n",
                            "nonsense\n", "crash 4\n", "deliver all\n", "members 1\n"}) {
    const ScenarioRun run = RunScenario(start + wrong);
    CHECK(run.broken);
    CHECK(run.problem.starts_with("line 3: "));
  }
  CHECK(RunScenario("group 1 2 3\n").broken);  // says nothing of what it shows
}

}  // namespace ringleader::sim
