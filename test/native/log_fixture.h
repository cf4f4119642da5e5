// What the tests of the log share: small logs, and payloads that say what they are.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/coding.h"
#include "harness.h"
#include "log/log.h"

namespace ringleader::test {

// Small enough that a few kilobytes cross segments and fill the ring.
inline LogOptions SmallLog() {
  LogOptions options;
  options.segment_bytes = kMinSegmentBytes;
  options.ring_bytes = kMinRingBytes;
  options.service_threads = false;
  return options;
}

// `size` bytes that follow from `number`, the number itself in front where it fits.
inline std::vector<uint8_t> Payload(uint64_t number, size_t size) {
  std::vector<uint8_t> bytes(size);
  uint64_t state = number * 0x9e3779b97f4a7c15u + 1;
  for (size_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = static_cast<uint8_t>(state >> 56);
  }
  if (size >= sizeof number) std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

inline Entry EntryOf(const std::vector<uint8_t>& payload) {
  Entry entry;
  entry.payload = payload;
  entry.operations = 1;
  return entry;
}

inline Appended AppendOne(Log& log, uint64_t number, size_t size) {
  const std::vector<uint8_t> payload = Payload(number, size);
  CHECK_VALUE(const Appended appended, log.Append(EntryOf(payload)));
  return appended;
}

struct Stored {
  Lsn lsn;
  Lsn end;
  Term term;
  std::vector<uint8_t> payload;
};

// Every transaction from a position to the visible end.
inline std::vector<Stored> ReadAll(Log& log, Lsn from = Lsn()) {
  std::vector<Stored> all;
  const std::unique_ptr<LogReader> reader = log.Read(from);
  for (;;) {
    CHECK_VALUE(const std::optional<LogEntry> entry, reader->Next());
    if (!entry) return all;
    all.push_back({entry->lsn, entry->end, entry->term,
                   std::vector<uint8_t>(entry->payload.begin(), entry->payload.end())});
  }
}

// A process that dies runs no destructors: its log stays as it was, reachable for the leak check.
inline void Bury(std::unique_ptr<Log> log) {
  static std::vector<Log*>& dead = *new std::vector<Log*>();
  dead.push_back(log.release());
}

inline std::unique_ptr<Log> OpenLog(Env& env, const std::string& directory,
                                    const LogOptions& options) {
  CHECK_VALUE(std::unique_ptr<Log> log, Log::Open(env, directory, options));
  return log;
}

}  // namespace ringleader::test
