// How a struct of the core lists its fields: once, for the wire, for traces and for state hashes.
//
//   struct Vote {
//     Position last;
//     bool handover = false;
//     static constexpr auto Fields(auto& self, auto&& field) {
//       field("last", self.last);
//       field("handover", self.handover);
//     }
//   };
//
// `field` is called with a name and a reference, in an order that never changes. A visitor that
// meets a struct with Fields goes into it with VisitFields. A field that a later version of the
// wire has added stands last and says so: field("hint", self.hint, Since{2}).
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace ringleader {

// The version of the wire from which on a field is sent (wire/message_codec.h).
struct Since {
  uint8_t version = 1;
};

struct AnyField {
  template <typename T>
  void operator()(const char*, T&, Since = {}) const {}
};

template <typename T>
concept HasFields = requires(std::remove_cv_t<T>& self) {
  std::remove_cv_t<T>::Fields(self, AnyField{});
};

template <typename T, typename Visitor>
constexpr void VisitFields(T& value, Visitor&& visitor) {
  std::remove_cv_t<T>::Fields(value, visitor);
}

}  // namespace ringleader
