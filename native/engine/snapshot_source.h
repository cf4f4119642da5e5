// Gives snapshots to members that lack more than any log still has.
//
//   snapshot/outgoing   the stream (store/snapshot_stream.h) as it is sent, whole and flushed
//
// One snapshot at a time, shared by all who ask: it is on the disk, so the same bytes can be asked
// for again after a loss, by another member, or after a restart of this one. While it is there the
// log is held from its position on, or whoever has fetched it would lack what follows. It goes when
// nobody has asked for some time, and when it is of no use: when the log begins above it, or
// somebody begins with it again and again. Disk: at most `max_bytes`, and `max_log_bytes` of log.
//
// A thread of its own makes it and reads pieces of it, and sleeps where that would be faster than
// `bytes_per_second`. The pump asks, says what the group was at a position, and sends what is
// ready.
// Threads: Ask, Wanted, Describe, Take: the pump's.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "core/output.h"
#include "engine/group_tables.h"
#include "store/store.h"

namespace ringleader {

struct SnapshotOptions {
  uint64_t bytes_per_second = 0;                // that are sent, to all members together; 0 = any
  uint64_t max_bytes = uint64_t{1} << 40;       // of one snapshot, sent or received
  uint64_t keep_unasked_ns = 60'000'000'000;    // how long it is kept for whoever asked last
  uint64_t max_log_bytes = uint64_t{64} << 30;  // that are held for whoever fetches one; 0 = any
};

// The consumer that holds the log back for it.
inline constexpr char kSnapshotConsumer[] = "snapshot";

class SnapshotSource {
 public:
  struct Piece {
    MemberId to;
    SnapshotPiece piece;  // without its bytes
    std::vector<uint8_t> bytes;
  };
  struct Counts {
    uint64_t made = 0, failed = 0, pieces = 0, bytes = 0;
  };

  // Whether an earlier run has left one, which holds the log.
  static Result<bool> LeftBehind(Log& log);
  // `wake`: there is something for the pump; from the source's thread.
  SnapshotSource(Env& env, const std::string& directory, Store& store,
                 const SnapshotOptions& options, std::function<void()> wake);
  ~SnapshotSource();
  SnapshotSource(const SnapshotSource&) = delete;
  SnapshotSource& operator=(const SnapshotSource&) = delete;

  // A member's latest request takes the place of what it asked for before.
  void Ask(const SendPiece& request);
  // The position of which it has to be told who led and what the group was; Describe answers.
  std::optional<Lsn> Wanted();
  void Describe(Result<GroupTables> tables);
  std::optional<Piece> Take();
  Counts counts() const;

 private:
  struct Outgoing {
    SnapshotHead head;
    std::unique_ptr<File> file;
    std::map<MemberId, uint32_t> begun;  // how often each has been sent the beginning
  };

  void Run();
  bool AwaitRequest(SendPiece* request);
  void Serve(const SendPiece& request);
  Status MakeReady(const SendPiece& request);
  bool Usable(const SendPiece& request);
  Status Load();
  Status Make();
  Result<std::vector<uint8_t>> AskPump(Lsn position);
  void Drop();
  bool Pace(uint64_t bytes);
  bool Stopping() const { return stopping_.load(std::memory_order_acquire); }

  Env& env_;
  const std::string directory_;
  Store& store_;
  const SnapshotOptions options_;
  const std::function<void()> wake_;

  // Of the thread.
  std::optional<Outgoing> outgoing_;
  bool looked_ = false;    // for what an earlier run has left
  Nanos paced_until_ = 0;  // when the next piece may go

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable news_;
  std::deque<SendPiece> asked_;  // one of each member at most
  std::deque<Piece> ready_;
  std::optional<Lsn> wanted_;
  std::optional<Result<GroupTables>> described_;
  Counts counts_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Thread> thread_;  // last: it uses all of the above
};

// What is told of a snapshot that has these tables.
SnapshotHead HeadOf(const SnapshotHeader& header, uint64_t total_bytes, const GroupTables& tables);

}  // namespace ringleader
