// The control page of an environment: who it is and what is known to be on its disk.
//
//   control   two slots of 4096 bytes; the valid one with the higher sequence number counts
//
// A save writes the slot that does not count and flushes it. A torn or failed save therefore leaves
// the older slot, which is always a safe answer: identities never change, and every position in it
// is a lower bound that only grows. A roll-back lowers them, and is the one save whose
// older slot means another state: the one before it. (docs/FORMATS.md#control)
// Threads: callers hold the keeper role or have the environment to themselves.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "env/env.h"
#include "log/log_format.h"

namespace ringleader {

inline constexpr size_t kMaxConsumers = 32;
inline constexpr size_t kMaxConsumerName = 47;

// Somebody who still needs the log from a position on: a replica, a base tree, an archive.
struct Consumer {
  std::string name;         // 1 to 47 bytes
  Lsn position;             // everything below is not needed any more
  uint64_t max_bytes = 0;   // give up on it when it lags further behind; 0 = never
  uint64_t max_age_us = 0;  // or when what it needs is older; 0 = never
  bool broken = false;      // given up on: it holds nothing back any more
};

struct ControlState {
  uint64_t sequence = 0;     // of the save
  Id128 environment_id{};    // minted when the directory is formatted
  Id128 group_id{};          // the same in every member of a group
  uint64_t incarnation = 0;  // identity of this copy
  uint64_t segment_bytes = 0;
  uint64_t created_us = 0;
  Lsn start;           // the log holds everything from here on; segments below may be gone
  Lsn durable_mark;    // the log was flushed at least up to here
  bool clean = false;  // closed in order: the log ends at durable_mark
  // A roll-back to this end of a record has been decided and is not finished: everything above has
  // to go before anything else happens.
  std::optional<Lsn> roll_back;
  // Of the file `lock` when the environment was opened last; 0 = not known. Tells a copy of the
  // directory, which has a file of its own, from the directory itself, wherever it was moved to.
  uint64_t lock_inode = 0;
  std::vector<Consumer> consumers;
};

inline constexpr size_t kControlSlotBytes = 4096;

// The bytes of one slot, and back. Decode refuses anything that Encode would not have written.
std::vector<uint8_t> EncodeControl(const ControlState& state);
Result<ControlState> DecodeControl(Bytes slot);

class ControlFile {
 public:
  // kNotFound where the environment has not been formatted.
  static Result<ControlFile> Open(Env& env, const std::string& directory);
  // Writes a new control file; it and its name are flushed before this returns.
  static Result<ControlFile> Create(Env& env, const std::string& directory,
                                    const ControlState& initial);

  // The newest valid slot, read again from the disk. kCorruption where neither is valid.
  Result<ControlState> Load();
  // The slot that the last Load gave is the only one that is valid: the other may have been newer.
  bool alone() const { return alone_; }
  // What Load gave is flushed when it returns. It may have been in the page cache only, where a
  // save has failed or its process died in it: whoever takes such a state to finish what it has
  // begun, such as to remove what lies below its start, has to have it on the disk first.
  Status Confirm(const ControlState& loaded);
  // Flushed when it returns. Sets state.sequence.
  Status Save(ControlState& state);

 private:
  Status WriteSlot(const ControlState& state);
  explicit ControlFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

  std::unique_ptr<File> file_;
  bool alone_ = false;
};

}  // namespace ringleader
