// The base tree: an LMDB environment in `base/` that holds every row as of the applied LSN.
//
// Rows arrive in batches, each one LMDB transaction that is fully synced when its Commit returns,
// with the applied LSN in the same transaction. So the base is whole after any death and any power
// loss, and says itself from where on the log has to be replayed. What rows and notes look like is
// in base_rows.h.
//
// LMDB 0.9.29 as the npm package `lmdb` ships it, unchanged: MDB_NOTLS | MDB_NORDAHEAD, never
// MDB_WRITEMAP or MDB_NOSYNC; a map of 1 TiB of address space, so that it never has to be resized;
// MDB_MAXKEYSIZE=0 for row keys of 1,982 bytes. LMDB writes, keeps the pages of open snapshots and
// shares the file between processes; reading is done here, through a map of our own, because LMDB
// trusts its pages (base_page.h). LMDB destroys its mutexes when the last process closes, racing
// with one that opens: the file lock `base/open.lock` is held around both. Whoever opens alone
// begins with a fresh table of readers.
//
// What comes out of the file is not trusted: every page is checked before it is followed, a value
// has to lie inside the file, its checksum has to fit, and that a row is missing has to be proved.
// Opening checks both meta pages, the stamp and the lists of free pages; a batch checks the pages
// that it is about to let LMDB change. Not found out by that, LMDB having no page checksums:
//   - a page that an earlier transaction wrote in the same place for the same range of keys (the
//     disk lost a later write): Verify finds it where the old page's links do not add up;
//   - damage to the pages of a neighbour that LMDB merges with a page two removals away in the same
//     batch, or to the lists of free pages after opening: LMDB may end the process with an
//     assertion;
//   - a device error while a page is read through the map ends the process with SIGBUS.
// Threads: one object per process and environment, checked. Snapshots and cursors: one thread at a
// time each, any number at once. Batch: one at a time over all processes (LMDB's own lock sees to
// it), begun, used and ended by one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"
#include "env/env.h"
#include "log/log_format.h"
#include "store/base_hash_index.h"
#include "store/base_page.h"
#include "store/base_rows.h"
#include "store/base_walk.h"
#include "store/row.h"

struct MDB_env;
struct MDB_txn;

namespace ringleader {

struct BaseOptions {
  uint32_t max_readers = 4096;  // snapshots open at once over all processes
  // Memory for the hash index of this process (base_hash_index.h); 0 = none.
  uint64_t hash_index_bytes = uint64_t{32} << 20;
  // Of a base that is being made.
  Id128 environment_id{};
  Lsn start;  // applied LSN of an empty base
};

struct BaseStat {
  Lsn applied;
  uint64_t rows = 0;        // over all databases
  uint64_t file_bytes = 0;  // length of the file
  uint64_t used_bytes = 0;  // of it, in pages that are in use
  uint32_t depth = 0;
  uint32_t readers = 0;  // snapshots open now, over all processes
  uint32_t max_readers = 0;
  uint64_t hash_index_bytes = 0;  // of this process, now
};

class BaseTree {
 public:
  // Opens or makes `directory`/base. kCorruption where the file fails its checks or belongs to
  // another environment, kNewerFormat where a later version wrote it, kBusy where this process has
  // it open.
  static Result<std::unique_ptr<BaseTree>> Open(Env& env, const std::string& directory,
                                                const BaseOptions& options);
  ~BaseTree();
  BaseTree(const BaseTree&) = delete;
  BaseTree& operator=(const BaseTree&) = delete;

  // A consistent view. Bytes that it hands out are valid until it is renewed, released or
  // destroyed.
  class Snapshot {
   public:
    ~Snapshot();
    // Lets go of the view but keeps its place; Renew takes the newest one. A failed Renew leaves it
    // released.
    void Release();
    Status Renew();
    bool held() const { return held_; }
    Lsn applied() const { return view_.stamp.applied; }  // as of the last Renew

    // kCorruption where the stored row fails its checks.
    Result<std::optional<Row>> Get(Bytes row_key) {
      return Get(row_key, HashRowKey(row_key, tree_.hash_index_.hash_keys()));
    }
    // The same, with the row key's hash.
    Result<std::optional<Row>> Get(Bytes row_key, uint64_t hash);
    // Hints that a row will be asked for: of many rows, the buckets of all before the first row.
    void PrefetchBucket(uint64_t hash) const {
      if (index_ != nullptr) index_->PrefetchBucket(hash);
    }
    void PrefetchRow(uint64_t hash) const {
      if (index_ != nullptr) index_->PrefetchRow(view_.pages, hash);
    }
    // Rows of a database, exact as of the applied LSN.
    Result<uint64_t> Rows(DatabaseId database);
    // The databases whose rows are to be removed.
    Result<std::vector<DatabaseId>> Dropped();

   private:
    friend class BaseTree;
    Snapshot(BaseTree& tree, MDB_txn* txn) : tree_(tree), txn_(txn) {}

    BaseTree& tree_;
    MDB_txn* txn_;
    bool held_ = false;
    BaseView view_;
    // Of the state of view_, while it is held: kept longer, it would be memory for nothing.
    std::shared_ptr<BaseHashIndex> index_;
    bool asked_ = false;    // for one
    uint64_t lookups_ = 0;  // without one, since
  };

  // The hash keys of the environment, which Snapshot::Get's hashes are made with. Before the first
  // snapshot.
  void SetHashKeys(const HashKeys& hash_keys) { hash_index_.SetHashKeys(hash_keys); }

  // A new snapshot, held. kBusy where all reader places are taken ("too many readers").
  Result<std::unique_ptr<Snapshot>> OpenSnapshot();

  // Walks rows in row-key order, notes excluded. Ends with its snapshot's next Renew or Release:
  // then it has to be made anew.
  class Cursor {
   public:
    static Result<std::unique_ptr<Cursor>> Open(Snapshot& snapshot);
    ~Cursor();
    // The first row at or above / the last row strictly below; an empty key means first / last of
    // all. Ok with valid() false where there is none.
    Status SeekAtLeast(Bytes row_key);
    Status SeekBelow(Bytes row_key);
    Status Next();
    Status Prev();
    bool valid() const { return valid_; }
    Bytes row_key() const { return row_key_; }
    const Row& row() const { return row_; }

   private:
    explicit Cursor(const BaseView& view)
        : view_(view), walk_(view_.pages, view_.meta.rows, BaseKeys::kRows) {}
    Status Take(Step step);

    const BaseView view_;
    BaseWalk walk_;
    bool valid_ = false;
    Bytes row_key_;
    Row row_;
  };

  // One write transaction; destroyed without Commit, it never happened. Keeps the rows-per-database
  // counts: a Put of a row that is there counts nothing. Rows in ascending order are fastest.
  class Batch {
   public:
    ~Batch();
    Status Put(Bytes row_key, Lsn version, Bytes value);
    Status Remove(Bytes row_key);
    // Removes up to `limit` rows of a database; returns how many are left to do: 0 = all are gone.
    Result<uint64_t> RemoveRows(DatabaseId database, uint64_t limit);
    Status SetApplied(Lsn applied);
    // The databases whose rows are to be removed, as noted by earlier batches.
    Result<std::vector<DatabaseId>> Dropped();
    Status AddDropped(DatabaseId database);
    Status RemoveDropped(DatabaseId database);
    // Fully synced when it returns, the last call on a batch. kNoSpace, kIo: nothing of it
    // happened, the base is as before. kFailed: it may come back after a power loss; the base has
    // to be opened again.
    Status Commit();

   private:
    friend class BaseTree;
    Batch(BaseTree& tree, MDB_txn* txn);

    struct State;
    std::unique_ptr<State> state_;
  };
  Result<std::unique_ptr<Batch>> Begin();

  // One write transaction that puts other rows in place of all there are; destroyed without Commit,
  // it never happened. Snapshots of the old state go on. As Batch in all else.
  class Replacement {
   public:
    ~Replacement();
    // In strictly ascending order of the keys: kInvalidArgument otherwise.
    Status Put(Bytes row_key, Lsn version, Bytes value);
    Status AddDropped(DatabaseId database);
    // As Batch::Commit: the rows and the applied LSN, and nothing of what was there before.
    Status Commit(Lsn applied);

   private:
    friend class BaseTree;
    Replacement(BaseTree& tree, MDB_txn* txn);

    struct State;
    std::unique_ptr<State> state_;
  };
  // kCorruption where the pages of the rows that are to go fail their checks.
  Result<std::unique_ptr<Replacement>> BeginReplacement();

  // Writes a whole copy of the newest state, as a file that Open takes, while writes go on.
  // `sink` is called with consecutive pieces; an error from it ends the copy with that error.
  // Returns the applied LSN of the copy.
  Result<Lsn> Copy(const std::function<Status(Bytes piece)>& sink);
  // Walks every page and row of the newest state: order, checksums, counts, prefixes, and that
  // every page of the file is in use exactly once or free exactly once. Returns the number of rows.
  Result<uint64_t> Verify();
  // Frees the reader places of processes that have died.
  Status CheckReaders();
  Result<BaseStat> Stat();

 private:
  BaseTree(Env& env, std::string directory, uint64_t hash_index_bytes);

  Status OpenLocked(const BaseOptions& options, bool alone);
  Status OpenLmdb(uint32_t max_readers);
  Status CheckWhole(const BaseOptions& options);
  // The state that transaction `number` left; it must be protected by a read or the write lock.
  Status LoadView(uint64_t number, BaseView* view);
  Result<std::unique_ptr<Snapshot>> BeginSnapshot();
  // What a commit that LMDB has refused means.
  Status FailedCommit(int code);

  Env& env_;
  const std::string directory_;  // with base/
  const uint32_t process_;
  std::unique_ptr<File> lock_;
  bool registered_ = false;
  FileInfo identity_;
  MDB_env* mdb_ = nullptr;
  const uint8_t* map_ = nullptr;
  uint32_t page_bytes_ = 0;
  int fd_ = -1;                          // LMDB's, of the file
  std::atomic<uint64_t> file_bytes_{0};  // at least; the file never shrinks
  CurrentHashIndex hash_index_;
};

}  // namespace ringleader
