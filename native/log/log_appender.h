// Puts records at the end of the log: the writer section.
//
// Outside the lock: payload checksums and the clock. Inside: position, header checksum, copy into
// the ring, one flip of the writer state, publication. Nothing in the section waits, allocates or
// calls the kernel, except for a transaction larger than one record: its pieces have to lie next to
// each other, so it keeps the lock while the ring drains.
//
// When an append returns it is `memory`: it survives the death of every process of this machine,
// not power loss. LogFlusher::WaitFor takes it further.
//
// A layer above may have a part in the section (writer_hook.h): what it refuses is not appended,
// and what it inserts is visible together with the record.
//
// In an environment that belongs to a group, a gate (log_gate.h) decides in the section whose
// appends are taken: those of the local writers while this member is the primary, otherwise records
// that were shipped (record_appender.cc).
//
// A full disk is found here, before anything is promised: an append needs room in segments that
// already exist at full size. kNoSpace means that nothing happened.
// Threads: any number, in any number of processes.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "log/group_records.h"
#include "log/log_flusher.h"
#include "log/log_keeper.h"
#include "log/log_region.h"
#include "log/pending_records.h"
#include "log/record_stream.h"
#include "log/term_record.h"
#include "log/writer_hook.h"

namespace ringleader {

struct Appended {
  Lsn lsn;  // where its first record stands; 0 together with `end` where the hook has refused it
  Lsn end;  // where its last record ends: durable once the durable position is here
  uint64_t history = 0;  // roll-backs before it: a later one may have taken it back
  Term term = Term();    // of its records
};

// Why an append of shipped records went no further.
enum class ShipStop : uint8_t {
  kNothing,  // all of it is appended
  kRing,     // the ring is full: AwaitRoom
  kSegment,  // no prepared segment: AwaitRoom
  kHook,     // the hook has it wait
  kBusy,     // another writer holds the lock: again, soon
  kFork,     // behind `from` the log has something else, which it has to be rolled back from first
  kError,    // see the status
};

struct ShippedAppend {
  // kCorruption: what stands at `end` fails its checks. kInvalidArgument: `from` lies beyond the
  // log's end, the gate is not closed, or the bytes are of another group or of segments of another
  // size. kBusy: the log has been changed meanwhile, by a roll-back.
  Status status;
  ShipStop stop = ShipStop::kNothing;
  Lsn end;     // of the log now: everything below is appended, whatever the status; kFork: `from`
  Lsn wanted;  // kRing, kSegment: room up to here
  // Of what this call has appended: where the last transaction ends that is whole with it, 0 where
  // none is; and the records that say who led and what the group was.
  Lsn whole;
  std::vector<TermRow> terms;
  std::vector<ConfigurationRow> configurations;
  uint64_t history = 0;
};

class LogAppender {
 public:
  LogAppender(Env& env, LogRegion& region, const SegmentFiles& files, LogFlusher& flusher,
              LogKeeper& keeper, const Id128& group_id);

  // Called before anything else of what it does in the section; null = none. Set before the first
  // append. An append may bring a hook of its own, which is asked in its place.
  void SetHook(WriterHook* hook) { hook_ = hook; }

  // Waits for room in the ring or in the segments where there is none. kBusy where the hook has it
  // wait: whoever set the hook knows for what.
  Result<Appended> Append(const Entry& entry, WriterHook* hook = nullptr);
  // Appends as many as there is room for right now, in order, and returns how many are done with:
  // 0 where the first one would have to wait. Never waits for a disk or for another writer for
  // long.
  Result<size_t> TryAppend(std::span<const Entry> entries, std::span<Appended> appended,
                           WriterHook* hook = nullptr);

  // Appends the whole records that `raw` holds, the log's bytes from `from` on, as another member
  // has them; what the log has already is passed over (shipped_overlap.h). They are checked
  // (record_stream.h), one pass over each payload. Never waits; returns how far it got, and why no
  // further. A transaction of several records is admitted and visible with its last one, in
  // whichever call that comes; what `hook` refuses is kInvalidArgument. Only while the gate is
  // closed.
  // Threads: one at a time over all processes, the one that has the replication role.
  ShippedAppend AppendRecords(Lsn from, Bytes raw, WriterHook* hook = nullptr);
  // Waits until an append that stopped for room has it.
  Status AwaitRoom(const ShippedAppend& stopped);
  // Begins a reign: appends the record, raises the term, and opens the gate for what follows, in
  // one section. kInvalidArgument where the gate is not closed or the counter not above the log's
  // term. A death in between leaves the record and a closed gate; an error, of fate none, neither.
  Result<Appended> AppendTerm(const TermRecord& record);
  // Appends what the group is from here on, in `term` only: kNotPrimary where the gate is closed,
  // kInvalidArgument where it is open in another term, kTooLarge beyond one record.
  Result<Appended> AppendConfiguration(Term term, Bytes payload);
  // Returns the end of the log: behind it nothing is appended that the new gate keeps out.
  // kInvalidArgument where it is to open in another term than the log's.
  Result<Lsn> SetGate(const Gate& gate);
  Gate gate() const;

  // Runs `section` under the writer lock, with the end of the log.
  Status InSection(const std::function<Status(Lsn tail)>& section);
  // Holder of the writer lock: the log ends at `to`, and goes on from `chain`.
  void MoveBack(Lsn to, const ChainState& chain);

 private:
  enum class Room : uint8_t { kReady, kRingFull, kNoSegment };
  enum class Role : uint8_t { kWriter, kNewPrimary };
  struct Piece;
  class Shipment;

  Status CheckEntry(const Entry& entry) const;
  Result<Appended> AppendOfGroup(const Entry& entry, Role role);
  Status Enter(LockResult lock);
  Status LockWriter();
  bool TryLockWriter();
  Status Repair();
  const WriterState& Current() const;
  void Flip(const WriterState& state);
  void PublishEnds(const WriterState& state);
  Room RoomFor(const WriterState& state, uint64_t payload, Lsn* end) const;
  Lsn Place(WriterState& state, const Piece& piece);
  void FillSegment(WriterState& state);
  Status MakeRoom(Room room, Lsn end, uint64_t history);
  Status CheckGate(const Entry& entry, Role role) const;
  Result<Appended> AppendSmall(const Entry& entry, WriterHook* hook, Role role);
  Result<Appended> AppendLarge(const Entry& entry, WriterHook* hook);
  Result<Appended> AppendPieces(const Entry& entry, WriterHook* hook);
  size_t AppendRun(std::span<const Entry> entries, std::span<const uint32_t> crcs, uint64_t now_us,
                   std::span<Appended> appended, size_t first, WriterHook* hook, bool* waits);

  Env& env_;
  LogRegion& region_;
  const SegmentFiles& files_;
  LogFlusher& flusher_;
  LogKeeper& keeper_;
  const Id128 group_id_;
  const uint64_t segment_bytes_;
  const uint64_t max_payload_;
  WriterHook* hook_ = nullptr;
  std::mutex shipping_;
  PendingRun run_;  // what the log ends with, kept from one AppendRecords to the next
  uint64_t run_history_ = 0;
};

}  // namespace ringleader
