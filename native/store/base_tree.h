// The base tree: an LMDB environment in `base/` that holds every row as of the applied LSN.
//
// Rows arrive in sorted batches, each one LMDB transaction that is fully synced when its Commit
// returns, with the applied LSN in the same transaction. So the base is whole after any death and
// any power loss, and says itself from where on the log has to be replayed.
//
//   row       row key -> value | version u64 | masked CRC-32C of row key, value and version u32
//   notes     prefix 0xffffffff -> format, environment id, applied LSN, rows per database, databases
//             that are being dropped
//
// LMDB 0.9.29 as the npm package `lmdb` ships it, unchanged: MDB_NOTLS | MDB_NORDAHEAD, never
// MDB_WRITEMAP or MDB_NOSYNC; a map of 1 TiB of address space, so that it never has to be resized;
// MDB_MAXKEYSIZE=0 for row keys of 1,982 bytes. LMDB destroys its mutexes when the last process
// closes, racing with one that opens: a file lock of our own is held around both.
//
// What comes out of the file is not trusted: a value has to lie inside the file and its checksum to
// fit, and a file shorter than its own meta page claims is refused at opening, because reading it
// would end in SIGBUS. LMDB itself keeps no page checksums; Verify reads everything.
// Threads: one object per process and environment. Snapshots and cursors: one thread at a time each,
// any number at once. Batch: one at a time over all processes (LMDB's own lock sees to it).
#pragma once

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
#include "store/row.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace ringleader {

struct BaseOptions {
  uint32_t max_readers = 4096;  // snapshots open at once over all processes
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
};

class BaseTree {
 public:
  // Opens or makes it. kCorruption where the file fails its checks or belongs to another
  // environment, kNewerFormat where a later version wrote it.
  static Result<std::unique_ptr<BaseTree>> Open(Env& env, const std::string& directory,
                                                const BaseOptions& options);
  ~BaseTree();
  BaseTree(const BaseTree&) = delete;
  BaseTree& operator=(const BaseTree&) = delete;

  // A consistent view. Bytes that it hands out are valid until it is renewed, released or destroyed.
  class Snapshot {
   public:
    ~Snapshot();
    // Lets go of the view but keeps its place; Renew takes the newest one. A failed Renew leaves it
    // released.
    void Release();
    Status Renew();
    bool held() const { return held_; }
    Lsn applied() const { return applied_; }  // as of the last Renew

    // kCorruption where the stored row fails its checks.
    Result<std::optional<Row>> Get(Bytes row_key);
    // Rows of a database, exact as of the applied LSN.
    Result<uint64_t> Rows(DatabaseId database);

   private:
    friend class BaseTree;
    Snapshot(BaseTree& tree, MDB_txn* txn) : tree_(tree), txn_(txn) {}

    BaseTree& tree_;
    MDB_txn* txn_;
    bool held_ = false;
    Lsn applied_;
    uint64_t file_bytes_ = 0;  // what the view may refer to ends here
    friend class Cursor;
  };

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
    Cursor(Snapshot& snapshot, MDB_cursor* cursor) : snapshot_(snapshot), cursor_(cursor) {}

    Snapshot& snapshot_;
    MDB_cursor* cursor_;
    bool valid_ = false;
    Bytes row_key_;
    Row row_;
  };

  // One write transaction; destroyed without Commit, it never happened. Keeps the rows-per-database
  // counts: a Put of a row that is there counts nothing. Rows in ascending order are fastest.
  class Batch {
   public:
    ~Batch();
    // `append`: the row key is above every row in the tree (bulk load).
    Status Put(Bytes row_key, Lsn version, Bytes value);
    Status Remove(Bytes row_key);
    // Removes up to `limit` rows of a database; returns how many are left to do: 0 = all are gone.
    Result<uint64_t> RemoveRows(DatabaseId database, uint64_t limit);
    Status SetApplied(Lsn applied);
    // The databases whose rows are to be removed, as noted by earlier batches.
    Result<std::vector<DatabaseId>> Dropped();
    Status AddDropped(DatabaseId database);
    Status RemoveDropped(DatabaseId database);
    // Fully synced when it returns. kNoSpace, kIo: nothing of it happened, the base is as before.
    Status Commit();

   private:
    friend class BaseTree;
    Batch(BaseTree& tree, MDB_txn* txn);

    struct State;
    std::unique_ptr<State> state_;
  };
  Result<std::unique_ptr<Batch>> Begin();

  // Writes a whole copy of the newest state, as a file that Open takes, while writes go on.
  // `sink` is called with consecutive pieces; an error from it ends the copy with that error.
  // Returns the applied LSN of the copy.
  Result<Lsn> Copy(const std::function<Status(Bytes piece)>& sink);
  // Walks every page and row: order, checksums, counts, prefixes. Returns the number of rows.
  Result<uint64_t> Verify();
  // Frees the reader places of processes that have died.
  Status CheckReaders();
  Result<BaseStat> Stat();

 private:
  explicit BaseTree(Env& env) : env_(env) {}

  Env& env_;
  MDB_env* mdb_ = nullptr;
  unsigned dbi_ = 0;
  std::string directory_;
};

}  // namespace ringleader
