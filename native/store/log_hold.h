// Keeps the log from going while a copy of the base is made, from the last byte below what the base
// has on: a log that ends there is kept with its last record.
// Threads: one per hold; one hold of a name at a time.
#pragma once

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "base/status.h"
#include "log/log.h"

namespace ringleader {

class LogHold {
 public:
  LogHold(Log& log, std::string name) : log_(log), name_(std::move(name)) {}
  ~LogHold() {
    if (held_) static_cast<void>(log_.RemoveConsumer(name_));
  }
  LogHold(const LogHold&) = delete;
  LogHold& operator=(const LogHold&) = delete;

  // `max_bytes`: held no longer where the log has grown by more; 0 = as long as the object is
  // there.
  Status Take(const std::atomic<uint64_t>& applied, uint64_t max_bytes = 0) {
    const Status old = log_.RemoveConsumer(name_);  // of one that has died
    if (!old.ok() && old.code() != Code::kNotFound) return old;
    for (int tries = 0;; ++tries) {
      Consumer consumer;
      consumer.name = name_;
      consumer.max_bytes = max_bytes;
      const Lsn before(std::max<uint64_t>(applied.load(std::memory_order_acquire), 1) - 1);
      consumer.position = std::max(log_.Stat().start, before);
      const Status put = log_.PutConsumer(consumer);
      held_ = put.ok();
      // The fold may have gone on, and the log with it.
      if (put.code() != Code::kTrimmed || tries == kMaxTries) return put;
    }
  }
  // The consumer stays when the object goes.
  void Keep() { held_ = false; }

 private:
  static constexpr int kMaxTries = 100;

  Log& log_;
  const std::string name_;
  bool held_ = false;
};

}  // namespace ringleader
