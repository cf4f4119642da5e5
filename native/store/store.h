// The store of an environment: log, overlay and base tree as one.
//
// One Store per environment and process; any number of processes and threads at once. Opening
// attaches, or recovers where nobody is attached: the log first, then whatever the base has not yet
// is replayed into fresh generations. A process that dies at any instruction leaves an environment
// that the others go on using.
//
// Committing: `memory` when a commit call returns; Log::WaitFor and Log::Request take it further.
// Threads: any, unless said otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "log/log.h"
#include "store/base_tree.h"
#include "store/catalogue.h"
#include "store/commit.h"
#include "store/snapshot_stream.h"
#include "store/transaction.h"
#include "store/view.h"

namespace ringleader {

struct StoreOptions {
  LogOptions log;
  // Largest generation of the overlay: 1 MiB to 4 GiB. Memory for rows not yet in the base is at
  // most about four of them. A transaction larger than that gets a generation of its own.
  uint64_t generation_bytes = uint64_t{128} << 20;
  // Frozen generations that may wait for the fold before writers are held up, 1 to 8. Those that
  // the fold limit holds back wait in files, as many as 30, without holding anybody up.
  uint32_t max_frozen = 2;
  // A generation that is not full is folded when it is this old, so that the log can be recycled.
  uint64_t fold_interval_ns = 30'000'000'000;
  // Rows beyond are not folded; see SetFoldLimit. Absent: no limit, but where the environment
  // belongs to a group nothing more is folded until somebody says how far.
  std::optional<Lsn> fold_limit;
  uint32_t max_readers = 4096;  // views held at once over all processes; of a new base
  // Memory that this process may use to find rows of the base faster; 0 = none.
  uint64_t hash_index_bytes = uint64_t{32} << 20;
  // How long an interactive transaction that has a reservation keeps the others from committing.
  uint64_t reservation_lease_ns = 1'000'000'000;
};

struct StoreStat {
  LogStat log;
  BaseStat base;
  uint32_t generations = 0;  // active and frozen
  uint64_t overlay_bytes = 0, overlay_used_bytes = 0, overlay_versions = 0;
  bool overlay_in_file = false;
  uint64_t folds = 0, folded_rows = 0, fold_ns = 0;
  uint64_t fold_failures = 0;  // of this process, see last_fold_failure
  std::string last_fold_failure;
  uint64_t commits = 0, conflicts = 0, reservations = 0, held_up = 0;  // since the region was made
  uint64_t rollbacks = 0;
  uint64_t replayed_records = 0, replay_ns = 0;  // of this process's own opening
};

class Store {
 public:
  static Result<std::unique_ptr<Store>> Open(Env& env, const std::string& directory,
                                             const StoreOptions& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  // Durable: everything committed by anybody, flushed. Views and transactions must be gone.
  // A child of fork cannot use what its parent has opened: commits, views and folds fail there with
  // kUnsupported, and closing lets go of nothing. It opens the environment for itself.
  Status Close();

  // Reading.
  std::unique_ptr<View> NewView(ReadLevel level = ReadLevel::kLocal);

  // Commits as many as can be right now, in order; returns how many have a final verdict. Never
  // waits for a disk or for room. Those after the first that has to wait stay kPending.
  Result<size_t> TryCommit(std::span<Commit*> commits);
  // Commits one, waiting for room in log and overlay, for the lock and for reservations of others.
  // Fails where the environment has failed or room does not come (kNoSpace); the verdict is final
  // otherwise.
  Status CommitOne(Commit& commit, uint64_t timeout_ns = kForeverNs);

  // Appends whole records of another member's log and applies their transactions, as far as there
  // is room right now (LogAppender::AppendRecords). kHook: the overlay has none; AwaitShipped.
  ShippedAppend AppendShipped(Lsn from, Bytes raw);
  // Waits until an append of these that stopped for room can go on, or the time is over.
  Status AwaitShipped(const ShippedAppend& stopped, uint64_t timeout_ns);

  // The right to commit while all other commits wait, first come, first served. Returns a ticket
  // for Begin. The verdict of its commit ends the turn; give it back where there is no commit.
  Result<uint64_t> Reserve(uint64_t timeout_ns);
  void GiveBack(uint64_t ticket);

  // Databases. The first two commit a transaction on the catalogue at level `memory`.
  // Finds or makes it; `metadata` is stored when it is made.
  Result<Database> OpenDatabase(const std::string& name, Bytes metadata, bool create);
  Status DropDatabase(const std::string& name);
  // All rows gone, the name and metadata stay; the id changes.
  Result<Database> ClearDatabase(const std::string& name);
  Result<std::vector<Database>> Databases();
  // Changes whenever any database is made, dropped or cleared. Ids found at one value of it are
  // good as long as it stays. The load is cheap.
  uint64_t CatalogueState() const;
  // A view that reaches as far sees that state, or one that came after it. Ask for the state first.
  Lsn CatalogueEnd() const;
  // Exact after a Fold while nobody writes; otherwise what a sample of the overlay suggests.
  Result<uint64_t> EstimateRows(DatabaseId database);

  // Folding. The limit is the group's commit point, and durable views end there: it never goes back
  // but from no limit at all.
  void SetFoldLimit(Lsn limit);
  // Freezes what there is and returns when all of it that may be is in the base.
  Status Fold(uint64_t timeout_ns = kForeverNs);

  // Makes the state at `to`, an end of a transaction at or above what has been folded, the newest
  // one, for all processes: the log ends there, later transactions are gone. Open views keep what
  // they see; open transactions conflict. kTrimmed where `to` lies below what the base holds.
  Status RollBack(Lsn to);

  // Fills an empty database faster than commits can. `next` gives rows in strictly ascending order
  // of their keys until it says false. All or nothing; durable when it returns.
  struct BulkRow {
    Bytes key;  // of the application
    Bytes value;
  };
  Result<uint64_t> BulkLoad(const std::string& name,
                            const std::function<Result<bool>(BulkRow*)>& next);

  // A consistent copy of the whole state into an empty or new directory, which Open takes: base and
  // the log from there on. Returns the LSN of the state that the copy has.
  Result<Lsn> Backup(const std::string& directory);

  // Snapshots for other members of the group (snapshot_stream.h). Writes one of what the base holds
  // into an empty file, flushed; writers do not notice. From its position on the log is held by the
  // consumer until somebody removes that. kBusy: not now; kTooLarge, kClosed as the order says.
  struct SnapshotOrder {
    uint64_t id = 0;  // of the snapshot
    uint64_t max_bytes = 0;
    std::string consumer;
    uint64_t max_log_bytes = 0;  // that the consumer may hold; 0 = any
    // What goes with it, once it is known of which position it is.
    std::function<Result<std::vector<uint8_t>>(Lsn position)> describe;
    std::function<bool()> stop;
  };
  Result<SnapshotHeader> WriteSnapshot(File& into, const SnapshotOrder& order);
  // Puts one in place of rows and log, for all processes that are attached; whoever holds a view
  // keeps it. kCorruption where the stream fails its checks or is not the expected one, kTrimmed
  // where it is older than what is here, kBusy where it is not permitted, kNoSpace: nothing has
  // happened then. An error of unknown fate has ended the environment; opening it finishes.
  struct SnapshotInstall {
    std::string path;  // the stream: snapshot/incoming
    SnapshotHeader expected;
    std::string follows;  // the consumer that stands for what `accept` has been given
    std::function<Status(Bytes group)> accept;
    // Asked when everything is ready: up to where the log that goes is the group's. Nothing: it
    // must not be done.
    std::function<std::optional<Lsn>()> permit;
    std::function<bool()> stop;
  };
  Status InstallSnapshot(const SnapshotInstall& order);
  // Reads and checks every page, row and record, and that log, overlay and base agree.
  struct Verified {
    uint64_t rows = 0, records = 0, databases = 0;
  };
  Result<Verified> Verify();

  StoreStat Stat();
  Log& log() { return *log_; }

  struct Parts;

 private:
  explicit Store(Env& env);
  Status OpenLog(const std::string& directory, const StoreOptions& options);
  Status ChangeCatalogue(const std::function<Result<bool>(Transaction&)>& change,
                         Appended* appended = nullptr);
  Result<DatabaseId> TakeBulkId(const std::string& name, uint64_t* history, Lsn* version);
  Status NameBulkLoad(const std::string& name, DatabaseId id, uint64_t rows, uint64_t history);

  Env& env_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ringleader
