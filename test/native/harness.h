// The smallest test harness that does the job: no dependency, one binary, a filter, a count.
//
//   TEST(crc32c, known_values) { CHECK_EQ(Crc32c(...), 0xe3069283u); }
//
// `native-test [--list] [--times] [--shard=I/N] [--seed=N] [--mutant=NAME] [--without=SUBSTRING]
// [SUBSTRING...]` runs the tests whose "suite.name" holds any of the substrings and none of the
// unwanted ones, or every Nth of them, and closes with a line "N passed, N failed" (and ", N
// skipped"); before it, with --times, the tests that took longest. A failed CHECK ends its test at
// once. A test in which the program dies is named on standard error.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "base/status.h"

namespace ringleader::test {

struct Failure {
  std::string text;
};
struct Skip {
  std::string reason;
};

struct TestCase {
  const char* suite;
  const char* name;
  void (*run)();
};

std::vector<TestCase>& AllTests();

struct Register {
  Register(const char* suite, const char* name, void (*run)()) {
    AllTests().push_back({suite, name, run});
  }
};

// A value of the command line's --seed, or one fixed for the test; printed when a test fails.
uint64_t Seed();
// Scale of random campaigns: 1 in the ordinary run; RINGLEADER_TEST_SCALE multiplies it.
uint64_t Scale(uint64_t count);
// A fresh directory below the system's temporary directory, removed when the test has ended
// (temp_dirs.h).
std::string TempDir();
// The same in memory where that can be: for tests that are not about the disk.
std::string MemoryDir();

template <typename T>
std::string Show(const T& value) {
  if constexpr (requires { std::ostringstream() << value; }) {
    std::ostringstream out;
    if constexpr (std::is_same_v<T, uint8_t>) {
      out << static_cast<int>(value);
    } else {
      out << value;
    }
    return out.str();
  } else if constexpr (requires { value.value; }) {
    return std::to_string(value.value);
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<long long>(value));
  } else {
    return "(a value)";
  }
}

[[noreturn]] inline void Fail(const char* file, int line, const std::string& text) {
  throw Failure{std::string(file) + ":" + std::to_string(line) + ": " + text};
}

}  // namespace ringleader::test

#define TEST(suite, name)                                                               \
  static void test_##suite##_##name();                                                  \
  static ::ringleader::test::Register register_##suite##_##name(#suite, #name,          \
                                                                test_##suite##_##name); \
  static void test_##suite##_##name()

#define CHECK(expression)                                                         \
  do {                                                                            \
    if (!(expression)) ::ringleader::test::Fail(__FILE__, __LINE__, #expression); \
  } while (false)

#define CHECK_EQ(left, right)                                                           \
  do {                                                                                  \
    const auto& check_left = (left);                                                    \
    const auto& check_right = (right);                                                  \
    if (!(check_left == check_right)) {                                                 \
      ::ringleader::test::Fail(__FILE__, __LINE__,                                      \
                               std::string(#left " == " #right ": ") +                  \
                                   ::ringleader::test::Show(check_left) + " against " + \
                                   ::ringleader::test::Show(check_right));              \
    }                                                                                   \
  } while (false)

#define CHECK_OK(expression)                                                                    \
  do {                                                                                          \
    const ::ringleader::Status check_status = (expression);                                     \
    if (!check_status.ok()) {                                                                   \
      ::ringleader::test::Fail(__FILE__, __LINE__, #expression ": " + check_status.ToString()); \
    }                                                                                           \
  } while (false)

#define CHECK_CODE(expression, expected)                                                        \
  do {                                                                                          \
    const ::ringleader::Status check_status = (expression);                                     \
    if (check_status.code() != (expected)) {                                                    \
      ::ringleader::test::Fail(__FILE__, __LINE__, #expression ": " + check_status.ToString()); \
    }                                                                                           \
  } while (false)

// CHECK_VALUE(auto file, files.Open(path)): the value of a Result, or the test fails.
#define CHECK_VALUE(target, expression) \
  CHECK_VALUE_INNER(RL_CONCAT(check_result_, __LINE__), target, expression)
#define CHECK_VALUE_INNER(result, target, expression)                                            \
  auto result = (expression);                                                                    \
  if (!result.ok()) {                                                                            \
    ::ringleader::test::Fail(__FILE__, __LINE__, #expression ": " + result.status().ToString()); \
  }                                                                                              \
  target = std::move(result).value()
