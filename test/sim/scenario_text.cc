// What the trace says.
#include "core/text.h"
#include "scenario_world.h"

namespace ringleader::sim {
namespace {

std::string ConfigurationText(const Configuration& configuration) {
  std::string text = "C" + ToText(configuration.version);
  for (const Member& member : configuration.members) text += " " + ToText(member);
  if (configuration.rule == QuorumRule::kInSync) return text + " in-sync";
  return text + " votes=" + ToText(uint64_t{configuration.votes}) +
         " copies=" + ToText(uint64_t{configuration.copies});
}

std::string RegisterText(const WitnessRegister& held) {
  std::string text;
  for (const Incarnation copy : held.in_sync) {
    if (copy.value != 0) text += " " + ToText(copy);
  }
  return text;
}

}  // namespace

std::string TextOf(const ModelMember& member, const Notice& notice) {
  const std::string self = ToText(member.id()) + " ";
  const std::string name = self + std::string(NameOf(notice.kind));
  switch (notice.kind) {
    case NoticeKind::kRole:
      if (notice.role != Role::kPrimary) return self + "is " + std::string(NameOf(notice.role));
      return self + "is primary in " + ToText(notice.term);
    case NoticeKind::kNewPrimary:
      return self + "follows " + ToText(notice.member) + " in " + ToText(notice.term);
    case NoticeKind::kElected:
      return self + "has won " + ToText(notice.term);
    case NoticeKind::kConfigured:
      return self + "has " + ConfigurationText(member.core().configuration());
    case NoticeKind::kInSync:
      return name + RegisterText(member.core().state().in_sync.known);
    case NoticeKind::kHoldElection:
    case NoticeKind::kDuplicatePrimary:
    case NoticeKind::kStranger:
      return name + " " + ToText(notice.member);
    case NoticeKind::kNewMember:
      return name + " " + ToText(notice.member) + " at " + ToText(notice.position);
    case NoticeKind::kStartupDone:
    case NoticeKind::kSnapshotDone:
    case NoticeKind::kRolledBack:
    case NoticeKind::kHalted:
      return name + " " + ToText(notice.position);
    case NoticeKind::kChangeRefused:
    case NoticeKind::kHandOverFailed:
      return name + ": " + notice.reason;
    case NoticeKind::kElectionFailed:
    case NoticeKind::kJoinFailure:
    case NoticeKind::kHandOverDone:
    case NoticeKind::kLostQuorum:
      return name;
  }
  return name;
}

std::string TextOf(const ModelMember& member, const ReadReady& read) {
  const std::string text = ToText(member.id()) + " read " + ToText(read.id);
  return read.granted ? text + " granted at " + ToText(read.position) : text + " refused";
}

std::string ValuesText(const std::vector<uint64_t>& values) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    size_t last = i;
    while (last + 1 < values.size() && values[last + 1] == values[last] + 1) ++last;
    if (i > 0) text += " ";
    text += ToText(values[i]);
    if (last < i + 2) continue;
    text += ".." + ToText(values[last]);
    i = last;
  }
  return text;
}

std::string LogText(const ModelMember& member) {
  std::string text = ToText(member.id()) + ": ";
  std::vector<uint64_t> values;  // that are not in the text yet
  const auto add = [&text](const std::string& word) {
    if (!text.ends_with('[') && !text.ends_with(' ')) text += ' ';
    text += word;
  };
  const auto add_values = [&] {
    if (!values.empty()) add(ValuesText(values));
    values.clear();
  };
  Ballot term;
  for (const ModelRecord& record : member.History()) {
    if (record.kind == ModelKind::kData) {
      values.push_back(record.value);
      continue;
    }
    add_values();
    if (record.kind == ModelKind::kConfiguration) {
      add("C" + ToText(record.configuration.version));
      continue;
    }
    if (!term.none()) text += "] ";
    term = record.term;
    text += ToText(term) + "[T";
  }
  add_values();
  if (!term.none()) text += "] ";
  if (member.log().start().value > 0) text += "start=" + ToText(member.log().start()) + " ";
  text += "end=" + ToText(member.log().end());
  if (!member.up()) return text + " down";
  return text + " flushed=" + ToText(member.core().state().log.flushed) +
         " commit=" + ToText(member.core().commit());
}

std::string MemberText(const ModelMember& member) {
  std::string text = ToText(member.id());
  if (!member.up()) return text + " down";
  const Replicator& core = member.core();
  text += " " + std::string(NameOf(core.role()));
  if (core.role() == Role::kPrimary) text += " in " + ToText(core.term());
  if (core.role() == Role::kReplica && core.primary() != kNobody) {
    text += " of " + ToText(core.primary()) + " in " + ToText(core.term());
  }
  text += ", promised " + ToText(core.state().promise.hard.promised);
  if (core.state().broken) text += ", broken";
  if (core.state().halted) text += ", halted";
  return text;
}

}  // namespace ringleader::sim
