// One line of text for any struct that lists its fields: for traces and for the expected output of
// scenarios, so it stays as it is.
//
//   2->1 Ack ballot=3.b problem=gap flushed=120
//   1->* Vote ballot=4.a last=3.b@120
//
// Fields that have the value of a fresh struct are left out. A flag that is set is its name alone,
// one that is not (where it usually is) "name=no". A ballot is counter.incarnation, the second in
// hexadecimal, "-" for none; a position is ballot@lsn, and so is a row of a table of terms; a
// member is id.incarnation, and what is unusual about it after colons. Bytes are told by their
// number. The sender's incarnation is left out of a message: a trace says once who is who.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "core/fields.h"
#include "core/message.h"
#include "core/names.h"
#include "core/terms.h"
#include "core/types.h"

namespace ringleader {

std::string ToText(uint64_t number);
std::string ToText(Lsn lsn);
std::string ToText(Term term);
std::string ToText(MemberId id);
std::string ToText(Incarnation incarnation);
std::string ToText(const Ballot& ballot);
std::string ToText(const Position& position);
std::string ToText(const TermStart& row);
std::string ToText(const Member& member);
std::string ToText(const Message& message);
std::string ToText(const std::array<uint8_t, 16>& id);
// Of any other struct with Fields: "name=value name=value", without braces.
template <HasFields T>
std::string ToText(const T& value);

namespace text_internal {

// Whether a value is that of a field of a fresh struct.
template <typename T>
bool IsSame(const T& value, const T& fresh);

// The field of that number, compared with one of the same type.
template <typename T>
struct SameAs {
  const T& value;
  int wanted;
  int at = 0;
  bool same = false;

  template <typename U>
  void operator()(const char*, const U& fresh, Since = {}) {
    if constexpr (std::is_same_v<T, U>) {
      if (at == wanted) same = IsSame(value, fresh);
    }
    ++at;
  }
};

// The same for all fields of a struct.
template <typename Struct>
struct AllSame {
  const Struct& fresh;
  int at = 0;
  bool same = true;

  template <typename T>
  void operator()(const char*, const T& value, Since = {}) {
    SameAs<T> field{value, at++};
    VisitFields(fresh, field);
    same = same && field.same;
  }
};

template <typename T>
bool IsSame(const T& value, const T& fresh) {
  if constexpr (requires { value == fresh; }) {
    return value == fresh;
  } else if constexpr (HasFields<T>) {
    AllSame<T> all{fresh};
    VisitFields(value, all);
    return all.same;
  } else {
    return value.empty() && fresh.empty();
  }
}

template <typename T>
std::string ValueText(const T& value);

template <typename T>
std::string ListText(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) {
    if (text.size() > 1) text += ' ';
    text += ValueText(value);
  }
  return text + "]";
}

template <typename T>
std::string EnumText(T value) {
  if constexpr (requires { NameOf(value); }) {
    const std::string_view name = NameOf(value);
    if (!name.empty()) return std::string(name);
  }
  return ToText(static_cast<uint64_t>(value));
}

template <typename T>
inline constexpr bool kHasOwnText =
    std::is_same_v<T, Lsn> || std::is_same_v<T, Term> || std::is_same_v<T, MemberId> ||
    std::is_same_v<T, Incarnation> || std::is_same_v<T, Ballot> || std::is_same_v<T, Position> ||
    std::is_same_v<T, TermStart> || std::is_same_v<T, Member> ||
    std::is_same_v<T, std::array<uint8_t, 16>>;

// As it stands behind "name=" or in a list.
template <typename T>
std::string ValueText(const T& value) {
  if constexpr (kHasOwnText<T>) {
    return ToText(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "yes" : "no";
  } else if constexpr (std::is_enum_v<T>) {
    return EnumText(value);
  } else if constexpr (std::is_unsigned_v<T>) {
    return ToText(static_cast<uint64_t>(value));
  } else if constexpr (std::is_same_v<T, Bytes> || std::is_same_v<T, std::vector<uint8_t>>) {
    return ToText(static_cast<uint64_t>(value.size())) + "B";
  } else if constexpr (requires { value.has_value(); }) {
    return value ? ValueText(*value) : "none";
  } else if constexpr (HasFields<T>) {
    return "{" + ToText(value) + "}";
  } else {
    return ListText(value);
  }
}

// Adds what differs from a fresh struct.
template <typename Struct>
struct FieldText {
  const Struct& fresh;
  std::string* out;
  int at = 0;

  template <typename T>
  void operator()(const char* name, const T& value, Since = {}) {
    SameAs<T> field{value, at++};
    VisitFields(fresh, field);
    if (field.same) return;
    if (!out->empty()) *out += ' ';
    *out += name;
    if constexpr (std::is_same_v<T, bool>) {
      if (value) return;
    }
    *out += '=' + ValueText(value);
  }
};

}  // namespace text_internal

template <HasFields T>
std::string ToText(const T& value) {
  const T fresh{};
  std::string text;
  text_internal::FieldText<T> fields{fresh, &text};
  VisitFields(value, fields);
  return text;
}

}  // namespace ringleader
