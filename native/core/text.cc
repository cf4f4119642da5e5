#include "core/text.h"

#include <variant>

namespace ringleader {
namespace {

std::string Hex(uint64_t value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[value & 15]);
    value >>= 4;
  } while (value != 0);
  return digits;
}

}  // namespace

std::string ToText(uint64_t number) { return std::to_string(number); }
std::string ToText(Lsn lsn) { return ToText(lsn.value); }
std::string ToText(Term term) { return ToText(uint64_t{term.value}); }
std::string ToText(MemberId id) { return id == kNobody ? "*" : ToText(uint64_t{id.value}); }
std::string ToText(Incarnation incarnation) { return Hex(incarnation.value); }

std::string ToText(const Ballot& ballot) {
  if (ballot == Ballot{}) return "-";
  return ToText(ballot.counter) + "." + ToText(ballot.incarnation);
}

std::string ToText(const Position& position) {
  return ToText(position.term) + "@" + ToText(position.lsn);
}

std::string ToText(const TermStart& row) { return ToText(row.term) + "@" + ToText(row.start); }

std::string ToText(const Member& member) {
  std::string text = ToText(member.id);
  if (member.incarnation != Incarnation()) text += "." + ToText(member.incarnation);
  if (member.kind != Member{}.kind) text += ":" + text_internal::EnumText(member.kind);
  if (member.priority != Member{}.priority) {
    text += ":priority=" + ToText(uint64_t{member.priority});
  }
  return text;
}

std::string ToText(const std::array<uint8_t, 16>& id) {
  std::string text;
  for (const uint8_t byte : id) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string ToText(const Message& message) {
  std::string text = ToText(message.from) + "->" + ToText(message.to) + " ";
  text += NameOf(message.body);
  if (message.kind != Message{}.kind) text += " kind=" + text_internal::EnumText(message.kind);
  if (message.ballot != Ballot{}) text += " ballot=" + ToText(message.ballot);
  const std::string fields =
      std::visit([](const auto& body) { return ToText(body); }, message.body);
  if (!fields.empty()) text += " " + fields;
  return text;
}

}  // namespace ringleader
