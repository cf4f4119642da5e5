// Opens the stores that powercut_store left behind, and says what is in them.
//
//   powercut_store_checker SEED STEPS < DIRECTORIES     one per line, one line of answer each:
//     ok N M        exactly what the first N changing steps of the plan leave, or the first M
//     missing       there is no environment
//     unfinished    an environment without its two databases
//     bad TEXT
// What it finds it also folds, looks at again, and goes on writing to.
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "powercut_plan.h"

namespace ringleader {
namespace {

using namespace test;

class Checker {
 public:
  explicit Checker(const std::vector<PlanStep>& plan) {
    PlanState state;
    state.databases = {{"one", {}}, {"two", {}}};
    states_.push_back(state.Digest());
    for (const PlanStep& step : plan) {
      if (!step.changes()) continue;
      state.Apply(step);
      states_.push_back(state.Digest());
    }
  }

  std::string Check(const std::string& directory) const {
    StoreOptions options = QuietStore();
    options.log.adopt_copy = true;  // the disk of after a power loss, in a directory of its own
    options.log.create = false;
    auto opened = Store::Open(PosixEnv(), directory, options);
    if (opened.status().code() == Code::kNotFound) return "missing";
    if (!opened.ok()) return "bad " + opened.status().ToString();
    const std::unique_ptr<Store> store = std::move(opened).value();
    try {
      const std::string answer = Describe(*store);
      CHECK_OK(store->Close());
      return answer;
    } catch (const Failure& failure) {
      return "bad " + failure.text;
    }
  }

 private:
  std::string Describe(Store& store) const {
    CHECK_OK(store.Verify().status());
    CHECK(store.Stat().base.applied <= store.Stat().log.durable);
    const PlanState found = Read(store);
    const uint64_t digest = found.Digest();
    const auto first = std::find(states_.begin(), states_.end(), digest);
    if (first == states_.end()) {
      if (!found.databases.contains("two")) return "unfinished";
      const auto one = found.databases.find("one");
      const bool any = one != found.databases.end() && one->second.contains("last");
      return "bad no prefix of the plan; the last commit is " +
             (any ? one->second.at("last") : "none");
    }
    CHECK_OK(store.Fold());
    CHECK_EQ(Read(store).Digest(), digest);
    CHECK_OK(store.Verify().status());
    PutRow(store, KeyOf(MakeDatabase(store, "after"), "key"), "value");
    // A database that is made and dropped again leaves what was there before.
    const auto last = std::find(states_.rbegin(), states_.rend(), digest);
    return "ok " + std::to_string(first - states_.begin()) + " " +
           std::to_string(states_.rend() - last - 1);
  }

  static PlanState Read(Store& store) {
    PlanState state;
    const auto view = TakeView(store);
    CHECK_VALUE(const std::vector<Database> databases, ListDatabases(*view));
    CHECK_VALUE(const auto cursor, MergeCursor::Open(*view, nullptr));
    for (const Database& database : databases) {
      auto& rows = state.databases[database.name];
      CHECK_OK(cursor->SeekAtLeast(AsBytes(KeyOf(database.id, ""))));
      while (cursor->valid() && LoadRowPrefix(cursor->row_key()) == database.id) {
        const std::string key = AsText(cursor->row_key());
        rows[key.substr(kRowPrefixBytes)] = AsText(cursor->row().value);
        CHECK_EQ(ValueOf(*view, key), AsText(cursor->row().value));
        CHECK_OK(cursor->Next());
      }
    }
    return state;
  }

  std::vector<uint64_t> states_;  // digests
};

int Main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: powercut_store_checker SEED STEPS < DIRECTORIES\n");
    return 2;
  }
  const Checker checker(
      MakePlan(std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10)));
  bool bad = false;
  std::string directory;
  while (std::getline(std::cin, directory)) {
    const std::string answer = checker.Check(directory);
    bad = bad || answer.starts_with("bad");
    std::cout << answer << std::endl;  // flushed: the runner waits for it
  }
  return bad ? 1 : 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
