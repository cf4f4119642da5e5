// The commits of one call inside the writer section: validation, atomic rules, room, insertion.
//
// Everything here runs under the log's writer lock and touches memory only (writer_hook.h).
// Threads: one call.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "log/writer_hook.h"
#include "store/commit.h"
#include "store/operations.h"
#include "store/overlay.h"
#include "store/reservation.h"
#include "store/store_region.h"

namespace ringleader {

// Why a commit could not go on.
enum class Stop : uint8_t {
  kNone,
  kRefresh,    // the list of generations has changed
  kCatalogue,  // so has the catalogue: are its databases still there?
  kReread,     // the row of an atomic operation has to be read again
  kReserved,   // it is somebody else's turn
  kRoom,       // the overlay has no room
};

// What is made of a commit before it takes the lock.
struct PreparedCommit {
  PayloadSummary summary;
  // Of an atomic operation: the payload that its rule makes of the row.
  std::vector<uint8_t> payload;
  Lsn read_at;           // of which the row was the newest version
  bool changed = false;  // in the section, after the checksum of the payload was made
  uint64_t hash = 0;
};

// Fetches what will be needed to insert the first row that each of them writes: most have no other
// one. For who is about to take the writer lock.
void FetchPlaces(const Generation& generation, std::span<const Entry> entries);
// Inserts the rows of a transaction that ends at `end`. `again`: parts of it may be there already;
// these are recognized and not made twice.
Status InsertPayload(Generation& generation, Lsn end, Bytes payload, bool again);
// Holder of the writer lock: the transaction that ends at `end` has changed the catalogue.
void NoteCatalogueChange(StoreRegion& region, Lsn end);

// Holder of the writer lock: whether a transaction that takes so many bytes has room in the active
// generation; where it has none, the next one becomes active. `inserted`: transactions before it
// wait to be published with it.
Stop MakeRoom(Overlay& overlay, StoreRegion& region, const Generation& active, uint64_t bytes,
              bool inserted);

class CommitSection : public WriterHook {
 public:
  CommitSection(Overlay& overlay, StoreRegion& region, const Reservation& reservation,
                GenerationSetRef set, std::span<Commit*> commits,
                std::span<PreparedCommit> prepared)
      : overlay_(overlay),
        region_(region),
        reservation_(reservation),
        set_(std::move(set)),
        commits_(commits),
        prepared_(prepared) {}

  // Why it went no further.
  Stop stop() const { return stop_; }

  Admission Admit(size_t index, Lsn, Entry& entry) override;
  Status Insert(Lsn end, const Entry& entry) override;
  // Parts of the hook that is set for good.
  Status Redo(Lsn, const Entry&) override { return Status::Ok(); }
  void Mend() override {}

 private:
  Admission StopFor(Stop stop);
  Found Newest(Bytes row_key, uint64_t hash, Row* row) const;
  Lsn Horizon() const;
  bool Changed(Commit& commit, Bytes row_key);
  bool RangeChanged(Commit& commit, const ReadSet::Range& range);
  bool Conflicts(Commit& commit);
  Verdict ApplyAtomic(Commit& commit, PreparedCommit& prepared, bool* changed);

  Overlay& overlay_;
  StoreRegion& region_;
  const Reservation& reservation_;
  GenerationSetRef set_;
  std::span<Commit*> commits_;
  std::span<PreparedCommit> prepared_;
  size_t index_ = 0;  // of the entry that was admitted last
  bool inserted_ = false;
  Stop stop_ = Stop::kNone;
};

}  // namespace ringleader
