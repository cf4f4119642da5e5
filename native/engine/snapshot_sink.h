// Receives a snapshot piece by piece, and puts it in place of the environment's rows and log.
//
//   snapshot/incoming   as much of the stream as has come
//
// Pieces are not flushed one by one: after a crash what is there is gone through, and goes on
// behind the last block that is good (store/snapshot_stream.h). Before it is put in place it is
// flushed and checked as a whole.
// Threads: one at a time, but for the constructor.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "core/input.h"
#include "core/output.h"
#include "engine/group_tables.h"
#include "store/store.h"

namespace ringleader {

class SnapshotSink {
 public:
  // At most so many bytes of one snapshot are taken.
  SnapshotSink(Env& env, const std::string& directory, Store& store, uint64_t max_bytes)
      : env_(env), directory_(directory), store_(store), max_bytes_(max_bytes) {}

  // Takes notice of one that a crash has kept from being noticed, and finds out how much there is
  // of one that is being received.
  Status ComeUp(Start* start);

  // kInvalidArgument where the piece does not fit the snapshot that its head tells of.
  Status Keep(const SnapshotHead& head, uint64_t offset, bool last, Bytes bytes);

  struct Order {
    SnapshotHead head;
    Lsn commit;        // nothing below may go
    Ballot discarded;  // the last term of the log that goes
    // Asked when all is ready: up to where this log is the group's, or nothing.
    std::function<std::optional<Lsn>()> permit;
    std::function<bool()> stop;
  };
  // As Store::InstallSnapshot; what goes of the log is kept in a file first.
  Status Install(const Order& order);
  // Of the one installed last.
  const GroupTables& tables() const { return tables_; }
  // What there is of one is no good.
  void Forget();

 private:
  Status Accept(const SnapshotHead& head, Bytes group);
  std::string Path() const;

  Env& env_;
  const std::string directory_;
  Store& store_;
  const uint64_t max_bytes_;
  std::unique_ptr<File> file_;
  SnapshotHead head_;  // of what is being received
  GroupTables tables_;
};

}  // namespace ringleader
