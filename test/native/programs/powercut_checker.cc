// Recovers the logs that powercut_writer left behind, and says what is in them.
//
//   powercut_checker < DIRECTORIES        one per line, one line of answer each:
//     ok FIRST END CONSUMER SALVAGED      payloads FIRST to END - 1, in order and intact; CONSUMER
//                                         is the first one that the consumer gets, "-" without it
//     empty CONSUMER SALVAGED
//     missing                             there is no environment
//     bad TEXT
// The exit code is 1 when any answer was "bad".
#include <iostream>

#include "powercut_payload.h"

namespace ringleader {
namespace {

using test::PowercutPayload;
using test::ReadAll;
using test::Stored;

std::string At(Lsn lsn) { return " at " + std::to_string(lsn.value); }

uint64_t NumberOf(const Stored& stored) {
  uint64_t number = 0;
  CHECK(stored.payload.size() >= sizeof number);
  std::memcpy(&number, stored.payload.data(), sizeof number);
  if (stored.payload != PowercutPayload(number)) {
    throw test::Failure{"not payload " + std::to_string(number) + At(stored.lsn)};
  }
  return number;
}

std::string ConsumersNumber(Log& log, uint64_t end) {
  CHECK_VALUE(const std::vector<Consumer> consumers, log.Consumers());
  for (const Consumer& consumer : consumers) {
    if (consumer.name != test::kPowercutConsumer) continue;
    CHECK(!consumer.broken);
    const std::vector<Stored> rest = ReadAll(log, consumer.position);
    return std::to_string(rest.empty() ? end : NumberOf(rest[0]));
  }
  return "-";
}

std::string Describe(Log& log) {
  CHECK_OK(log.Verify().status());
  const std::vector<Stored> found = ReadAll(log, log.Stat().start);
  const uint64_t first = found.empty() ? 0 : NumberOf(found[0]);
  for (size_t i = 0; i < found.size(); ++i) {
    const uint64_t number = NumberOf(found[i]);
    if (number == first + i) continue;
    throw test::Failure{"payload " + std::to_string(number) + " instead of " +
                        std::to_string(first + i) + At(found[i].lsn)};
  }
  const uint64_t end = first + found.size();
  const std::string rest =
      ConsumersNumber(log, end) + " " + std::to_string(log.Stat().salvaged_bytes);
  if (found.empty()) return "empty " + rest;
  return "ok " + std::to_string(first) + " " + std::to_string(end) + " " + rest;
}

std::string Check(const std::string& directory) {
  LogOptions options = test::SmallLog();
  options.adopt_copy = true;  // the disk of after a power loss, in a directory of its own
  options.create = false;
  auto opened = Log::Open(PosixEnv(), directory, options);
  if (opened.status().code() == Code::kNotFound) return "missing";
  if (!opened.ok()) return "bad " + opened.status().ToString();
  const std::unique_ptr<Log> log = std::move(opened).value();
  try {
    std::string description = Describe(*log);
    CHECK_OK(log->Close());
    return description;
  } catch (const test::Failure& failure) {
    return "bad " + failure.text;
  }
}

int Main() {
  bool bad = false;
  std::string directory;
  while (std::getline(std::cin, directory)) {
    const std::string answer = Check(directory);
    bad = bad || answer.starts_with("bad");
    std::cout << answer << std::endl;  // flushed: the runner waits for it
  }
  return bad ? 1 : 0;
}

}  // namespace
}  // namespace ringleader

int main() { return ringleader::Main(); }
