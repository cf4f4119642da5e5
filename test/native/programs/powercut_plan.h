// What powercut_store does and powercut_store_checker expects: a list of steps that follows from a
// seed, and the rows that the store holds after each step that changes any.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "store_fixture.h"

namespace ringleader::test {

enum class StepKind : uint8_t {
  kCommit,
  kCreate,  // the database "extra"
  kDrop,
  kClear,
  kWrite,  // brings the log to `written`
  kFlush,
  kFold,
  kLimit,  // moves the fold limit to the end of an earlier commit; 0 = no limit
  kTick,
  kReopen,
};

struct PlanWrite {
  std::string database;
  std::string key;
  bool removes = false;
  size_t size = 0;
};

struct PlanStep {
  StepKind kind = StepKind::kCommit;
  uint64_t number = 0;  // of a commit
  uint64_t back = 0;    // of a limit: how many commits before
  std::vector<PlanWrite> writes;

  bool changes() const { return kind <= StepKind::kClear; }
};

inline std::string PlanValue(uint64_t number, size_t size) {
  return AsText(Payload(number * 31 + size, size));
}

// Mostly small, some on pages of their own, a few of several records.
inline size_t PlanSize(Choices& choices) {
  const uint64_t kind = choices.Below(40);
  if (kind == 0) return 60'000 + choices.Below(30'000);
  if (kind < 6) return 3000 + choices.Below(6000);
  return choices.Below(300);
}

inline PlanStep PlanCommit(Choices& choices, uint64_t number, bool extra) {
  PlanStep step;
  step.number = number;
  const uint64_t count = 1 + choices.Below(6);
  for (uint64_t i = 0; i < count; ++i) {
    PlanWrite write;
    const uint64_t database = choices.Below(extra ? 3 : 2);
    write.database = database == 0 ? "one" : database == 1 ? "two" : "extra";
    write.key = "key" + std::to_string(choices.Below(80));
    write.removes = choices.OneIn(4);
    if (!write.removes) write.size = PlanSize(choices);
    step.writes.push_back(write);
  }
  return step;
}

inline std::vector<PlanStep> MakePlan(uint64_t seed, uint64_t steps) {
  Choices choices(seed);
  std::vector<PlanStep> plan;
  uint64_t commits = 0;
  bool extra = false;
  for (uint64_t i = 0; i < steps; ++i) {
    PlanStep step;
    switch (choices.Below(32)) {
      case 0:
        step.kind = extra ? StepKind::kDrop : StepKind::kCreate;
        extra = !extra;
        break;
      case 1:
        step.kind = extra ? StepKind::kClear : StepKind::kTick;
        break;
      case 2:
      case 3:
        step.kind = StepKind::kWrite;
        break;
      case 4:
      case 5:
      case 6:
        step.kind = StepKind::kFlush;
        break;
      case 7:
      case 8:
      case 9:
        step.kind = StepKind::kFold;
        break;
      case 10:
        step.kind = StepKind::kLimit;
        step.back = choices.Below(4);
        break;
      case 11:
        step.kind = choices.OneIn(4) ? StepKind::kReopen : StepKind::kTick;
        break;
      default:
        step = PlanCommit(choices, commits++, extra);
        break;
    }
    plan.push_back(std::move(step));
  }
  return plan;
}

// The rows of all databases, by name and key; a database without rows is there too.
struct PlanState {
  std::map<std::string, std::map<std::string, std::string>> databases;

  void Apply(const PlanStep& step) {
    switch (step.kind) {
      case StepKind::kCreate:
      case StepKind::kClear:
        databases["extra"].clear();
        return;
      case StepKind::kDrop:
        databases.erase("extra");
        return;
      case StepKind::kCommit:
        for (const PlanWrite& write : step.writes) {
          auto& rows = databases[write.database];
          if (write.removes) {
            rows.erase(write.key);
          } else {
            rows[write.key] = PlanValue(step.number, write.size);
          }
        }
        databases["one"]["last"] = std::to_string(step.number);
        return;
      default:
        return;
    }
  }

  // Of everything: plans have too many states to keep them all.
  uint64_t Digest() const {
    uint64_t digest = 0xcbf29ce484222325u;
    const auto add = [&digest](const std::string& text) {
      for (const char byte : text + '\n') {
        digest = (digest ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
      }
    };
    for (const auto& [name, rows] : databases) {
      add("database " + name);
      for (const auto& [key, value] : rows) {
        add(key + " " + std::to_string(value.size()));
        add(value);
      }
    }
    return digest;
  }
};

}  // namespace ringleader::test
