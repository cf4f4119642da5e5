// The file in which a member keeps what it must never forget (core/hard_state.h).
//
//   group   two slots of 4096 bytes, written in turn
//
// It gets its name when it is whole, zeros, and flushed: so it is there or it is not, and an
// environment that has it belongs to a group (log/log_gate.h). What is read at opening is written
// again and flushed before anybody may rest on it: after a failed flush the kernel goes on showing
// what never reached the disk. The first failed save is final, for the same reason: the object
// refuses all that come after it, and the member has to come up again.
// Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "core/hard_state.h"
#include "env/env.h"

namespace ringleader {

class HardStateFile {
 public:
  // Durable when it returns: a file in which nothing was ever promised. kExists where there is one.
  static Status Create(Env& env, const std::string& directory);
  // kNotFound where there is none, kCorruption and kNewerFormat as ChooseHardState.
  static Result<std::unique_ptr<HardStateFile>> Open(Env& env, const std::string& directory);

  // What was saved last; nullopt: nothing yet. Flushed.
  const std::optional<HardState>& state() const { return state_; }
  // Flushed when it returns kOk. The sequence number must be one above that of state(), 1 at first.
  // After a failure, which leaves the old state or the new one on the disk, kFailed for ever.
  Status Save(const HardState& state);

 private:
  explicit HardStateFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

  Status Write(const HardState& state);

  std::unique_ptr<File> file_;
  std::optional<HardState> state_;
  Status failure_;
};

}  // namespace ringleader
