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
// A full disk is found here, before anything is promised: an append needs room in segments that
// already exist at full size. kNoSpace means that nothing happened.
// Threads: any number, in any number of processes.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "env/env.h"
#include "log/log_flusher.h"
#include "log/log_keeper.h"
#include "log/log_region.h"

namespace ringleader {

// One transaction to append.
struct Entry {
  Bytes payload;  // at most kMaxTransactionBytes
  RecordType type = RecordType::kTransaction;
  uint16_t operations = 0;
  Term term;  // 0 = that of the record before; otherwise not below it
};

struct Appended {
  Lsn lsn;  // where its first record stands
  Lsn end;  // where its last record ends: durable once the durable position is here
};

class LogAppender {
 public:
  LogAppender(Env& env, LogRegion& region, const SegmentFiles& files, LogFlusher& flusher,
              LogKeeper& keeper, const Id128& group_id);

  // Waits for room in the ring or in the segments where there is none.
  Result<Appended> Append(const Entry& entry);
  // Appends as many as there is room for right now, in order, and returns how many: 0 where the
  // first one would have to wait. Never waits for a disk or for another writer for long.
  Result<size_t> TryAppend(std::span<const Entry> entries, std::span<Appended> appended);

 private:
  enum class Room : uint8_t { kReady, kRingFull, kNoSegment };
  struct Piece;

  Status CheckEntry(const Entry& entry) const;
  Status LockWriter();
  bool TryLockWriter();
  void Repair();
  void Publish(const WriterState& state);
  Room RoomFor(const WriterState& state, uint64_t payload, Lsn* end) const;
  Lsn Place(WriterState& state, const Piece& piece);
  void FillSegment(WriterState& state);
  Status MakeRoom(Room room, Lsn end);
  Result<Appended> AppendSmall(const Entry& entry);
  Result<Appended> AppendLarge(const Entry& entry);
  size_t AppendRun(std::span<const Entry> entries, std::span<const uint32_t> crcs, uint64_t now_us,
                   std::span<Appended> appended);

  Env& env_;
  LogRegion& region_;
  LogFlusher& flusher_;
  LogKeeper& keeper_;
  const Id128 group_id_;
  const uint64_t segment_bytes_;
  const uint64_t max_payload_;
};

}  // namespace ringleader
