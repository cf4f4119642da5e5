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
// meets a struct with Fields goes into it with VisitFields.
#pragma once

#include <concepts>
#include <type_traits>

namespace ringleader {

struct AnyField {
  template <typename T>
  void operator()(const char*, T&) const {}
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
