#include "scenario_expect.h"

#include <algorithm>
#include <map>

#include "core/text.h"

namespace ringleader::sim {
namespace {

using Assertion = void (*)(Words& words, ScenarioWorld& world);

void Same(const std::string& wanted, const std::string& came) {
  if (wanted != came) throw ScenarioProblem{"expected " + wanted + ", and it is " + came};
}

const ModelMember& Up(Words& words, ScenarioWorld& world) {
  const ModelMember& member = world.member(words.Id());
  if (!member.up()) throw ScenarioProblem{"member " + ToText(member.id()) + " is down"};
  return member;
}

std::string Rest(Words& words) {
  std::string text;
  while (!words.empty()) text += (text.empty() ? "" : " ") + words.Take();
  return text.empty() ? "none" : text;
}

std::string Primaries(ScenarioWorld& world) {
  std::string text;
  for (size_t i = 0; i < world.group().size(); ++i) {
    const ModelMember& member = world.group().member(i);
    if (!member.up() || member.core().role() != Role::kPrimary) continue;
    text += (text.empty() ? "" : " ") + ToText(member.id());
  }
  return text.empty() ? "none" : text;
}

std::string Values(const ModelMember& member) {
  std::vector<uint64_t> values;
  for (const ModelRecord& record : member.History()) {
    if (record.kind == ModelKind::kData) values.push_back(record.value);
  }
  return values.empty() ? "none" : ValuesText(values);
}

void ExpectPrimaries(Words& words, ScenarioWorld& world) { Same(Rest(words), Primaries(world)); }

void ExpectNo(Words& words, ScenarioWorld& world) {
  if (!words.Take("primary")) throw ScenarioProblem{"no what?"};
  Same("none", Primaries(world));
}

void ExpectFollows(Words& words, ScenarioWorld& world) {
  const ModelMember& member = Up(words, world);
  const MemberId primary = words.Take("nobody") ? kNobody : words.Id();
  Same(ToText(primary), ToText(member.core().primary()));
}

void ExpectRole(Words& words, ScenarioWorld& world) {
  const ModelMember& member = Up(words, world);
  Same(words.Take(), std::string(NameOf(member.core().role())));
}

void ExpectCommit(Words& words, ScenarioWorld& world) {
  const ModelMember& member = Up(words, world);
  Same(words.Take(), ToText(member.core().commit()));
}

void ExpectPromised(Words& words, ScenarioWorld& world) {
  const ModelMember& member = Up(words, world);
  Same(words.Take(), ToText(member.core().state().promise.hard.promised));
}

void ExpectConfiguration(Words& words, ScenarioWorld& world) {
  const ModelMember& member = Up(words, world);
  Same(words.Take(), ToText(member.core().configuration().version));
}

void ExpectValues(Words& words, ScenarioWorld& world) {
  const ModelMember& member = world.member(words.Id());
  Same(Rest(words), Values(member));
}

bool IsAcknowledged(ScenarioWorld& world, uint64_t value) {
  const auto& all = world.group().acknowledged();
  return std::any_of(all.begin(), all.end(),
                     [value](const auto& one) { return one.second.value == value; });
}

void ExpectAcknowledged(Words& words, ScenarioWorld& world) {
  for (const uint64_t value : words.Values()) {
    if (!IsAcknowledged(world, value)) throw ScenarioProblem{ToText(value) + " is not"};
  }
}

void ExpectNotAcknowledged(Words& words, ScenarioWorld& world) {
  for (const uint64_t value : words.Values()) {
    if (IsAcknowledged(world, value)) throw ScenarioProblem{ToText(value) + " is"};
  }
}

void ExpectSameLogs(Words&, ScenarioWorld& world) {
  const ModelMember* first = nullptr;
  for (size_t i = 0; i < world.group().size(); ++i) {
    const ModelMember& member = world.group().member(i);
    if (!member.up()) continue;
    if (first == nullptr) first = &member;
    if (member.History() != first->History()) {
      throw ScenarioProblem{LogText(*first) + " but " + LogText(member)};
    }
  }
}

void ExpectDiscarded(Words& words, ScenarioWorld& world) {
  const ModelMember& member = world.member(words.Id());
  Same(words.Take(), ToText(member.disk().discarded));
}

void ExpectTrue(bool holds, const char* what) {
  if (!holds) throw ScenarioProblem{std::string("it is not ") + what};
}

void ExpectHalted(Words& words, ScenarioWorld& world) {
  ExpectTrue(Up(words, world).core().state().halted, "halted");
}

void ExpectBroken(Words& words, ScenarioWorld& world) {
  ExpectTrue(Up(words, world).core().state().broken, "broken");
}

void ExpectSafe(Words& words, ScenarioWorld& world) {
  ExpectTrue(Up(words, world).core().ElectionSafe(), "safe");
}

void ExpectUnsafe(Words& words, ScenarioWorld& world) {
  ExpectTrue(!Up(words, world).core().ElectionSafe(), "unsafe");
}

}  // namespace

void Expect(Words& words, ScenarioWorld& world) {
  static const std::map<std::string, Assertion> assertions = {
      {"primary", ExpectPrimaries},
      {"primaries", ExpectPrimaries},
      {"no", ExpectNo},
      {"follows", ExpectFollows},
      {"role", ExpectRole},
      {"commit", ExpectCommit},
      {"promised", ExpectPromised},
      {"configuration", ExpectConfiguration},
      {"values", ExpectValues},
      {"acknowledged", ExpectAcknowledged},
      {"not-acknowledged", ExpectNotAcknowledged},
      {"same-logs", ExpectSameLogs},
      {"discarded", ExpectDiscarded},
      {"halted", ExpectHalted},
      {"broken", ExpectBroken},
      {"safe", ExpectSafe},
      {"unsafe", ExpectUnsafe},
  };
  const std::string name = words.Take();
  const auto assertion = assertions.find(name);
  if (assertion == assertions.end()) throw ScenarioProblem{"no expectation is called " + name};
  assertion->second(words, world);
}

}  // namespace ringleader::sim
