// What tests with threads and processes share: waiting for what another one does, and a thread
// whose failed CHECKs count.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "harness.h"

namespace ringleader::test {

// For a machine that is busy with other things. A test whose point is that something takes little
// time measures it several times and takes the shortest.
inline constexpr std::chrono::seconds kPatience{60};

template <typename Come>
void Await(const char* file, int line, const char* text, const Come& come) {
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  while (!come()) {
    if (std::chrono::steady_clock::now() > patience) {
      Fail(file, line, std::string("it has not come: ") + text);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// A thread of a test: it is asked to stop and waited for however the test ends, and a CHECK that
// fails in it, which would end the whole program, is repeated by Join.
class Worker {
 public:
  explicit Worker(std::function<void(std::stop_token)> body)
      : thread_([this, body = std::move(body)](const std::stop_token& stop) {
          try {
            body(stop);
          } catch (const Failure& failure) {
            failure_ = failure.text;
          }
        }) {}

  void Join() {
    thread_.join();
    if (!failure_.empty()) throw Failure{failure_};
  }
  void Stop() {
    thread_.request_stop();
    Join();
  }

 private:
  std::string failure_;
  std::jthread thread_;
};

}  // namespace ringleader::test

// Looks again and again until the expression holds; the test fails where it never does.
#define AWAIT(expression)                                    \
  ::ringleader::test::Await(__FILE__, __LINE__, #expression, \
                            [&] { return static_cast<bool>(expression); })
