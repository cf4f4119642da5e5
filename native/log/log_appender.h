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
// A full disk is found here, before anything is promised: an append needs room in segments that
// already exist at full size. kNoSpace means that nothing happened.
// Threads: any number, in any number of processes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"
#include "env/env.h"
#include "log/log_flusher.h"
#include "log/log_keeper.h"
#include "log/log_region.h"
#include "log/writer_hook.h"

namespace ringleader {

struct Appended {
  Lsn lsn;  // where its first record stands; 0 together with `end` where the hook has refused it
  Lsn end;  // where its last record ends: durable once the durable position is here
  uint64_t history = 0;  // roll-backs before it: a later one may have taken it back
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

  // Runs `section` under the writer lock, with the end of the log.
  Status InSection(const std::function<Status(Lsn tail)>& section);
  // Holder of the writer lock: the log ends at `to`, and goes on from `chain`.
  void MoveBack(Lsn to, const ChainState& chain);

 private:
  enum class Room : uint8_t { kReady, kRingFull, kNoSegment };
  struct Piece;

  Status CheckEntry(const Entry& entry) const;
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
  Result<Appended> AppendSmall(const Entry& entry, WriterHook* hook);
  Result<Appended> AppendLarge(const Entry& entry, WriterHook* hook);
  Result<Appended> AppendPieces(const Entry& entry, WriterHook* hook);
  size_t AppendRun(std::span<const Entry> entries, std::span<const uint32_t> crcs, uint64_t now_us,
                   std::span<Appended> appended, size_t first, WriterHook* hook);

  Env& env_;
  LogRegion& region_;
  const SegmentFiles& files_;
  LogFlusher& flusher_;
  LogKeeper& keeper_;
  const Id128 group_id_;
  const uint64_t segment_bytes_;
  const uint64_t max_payload_;
  WriterHook* hook_ = nullptr;
};

}  // namespace ringleader
