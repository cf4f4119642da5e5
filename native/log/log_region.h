// The shared memory of an environment's log: what all its processes see at once.
//
//   header page | writer | positions | flusher | keeper | gate | ring | board
//
// The region lives exactly as long as somebody is attached. Whoever opens the environment while
// nobody is attached salvages what an earlier region still holds (processes died, the machine did
// not), recovers the log from the files and makes a new region; so there is one way to come up and
// no need to trust a region further than its checksums reach.
//
// The board is bytes of who replicates the environment (engine/group_board.h): zeros in a new
// region, and none of the log's business.
//
// Every word has one writer at a time; docs/CONCURRENCY.md has the whole table. Lock order:
// writer, keeper, flusher, consumers.
//
// Writer state. The end of the log, the chain value and the counters must change together although
// the process may die between any two instructions. They are kept twice: a writer fills the copy
// that does not count and then flips `current`, one store. A dead writer has either flipped or not;
// the next one only publishes `tail` and `visible` again from the copy that counts.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/types.h"
#include "env/env.h"
#include "log/control_file.h"
#include "log/log_format.h"
#include "log/log_gate.h"

namespace ringleader {

inline constexpr uint64_t kRegionMagic = 0x31474552474c5221;  // "!RLGREG1"
inline constexpr uint32_t kRegionVersion = 5;
inline constexpr size_t kRegionPageBytes = 8192;
inline constexpr size_t kBoardBytes = 32768;
inline constexpr uint64_t kMinRingBytes = uint64_t{64} << 10;
inline constexpr uint64_t kMaxRingBytes = uint64_t{4} << 30;
inline constexpr uint64_t kDefaultRingBytes = uint64_t{32} << 20;

// The ring must take a record, the padding and the segment page before it, and still leave room for
// the flusher to work in.
constexpr uint64_t SmallestRing(uint64_t segment_bytes) {
  const uint64_t four = 4 * MaxRecordPayload(segment_bytes);
  return four < kMinRingBytes ? kMinRingBytes : four;
}

// Written once by the creator, then never again.
struct RegionHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;  // of everything in front of the ring
  uint64_t ring_bytes;    // a power of two
  uint64_t segment_bytes;
  Id128 environment_id;
  Id128 group_id;
  Id128 boot_id;
  uint64_t pid_namespace;
  uint64_t control_device;  // which directory: a copy of an environment has the same ids
  uint64_t control_inode;
  uint32_t reserved;
  uint32_t crc;  // masked, of everything above
};
static_assert(sizeof(RegionHeader) == 112);
static_assert(offsetof(RegionHeader, crc) == 108);

struct WriterState {
  uint64_t tail;     // end of the last whole record
  uint64_t visible;  // end of the last whole transaction
  uint64_t commit_time_us;
  uint32_t prev_crc;
  uint32_t term;
  uint64_t records;  // since the region was made
  uint64_t transactions;
  uint64_t payload_bytes;
};

struct alignas(64) WriterSection {
  RobustMutex mutex;
  std::atomic<uint32_t> current;  // which of the two states counts: 0 or 1
  // One append in 1,024 is timed from lock to unlock.
  std::atomic<uint64_t> hold_samples;
  std::atomic<uint64_t> hold_ns;
  std::atomic<uint64_t> repairs;  // locks taken over from a dead writer
  alignas(64) WriterState states[2];
};

// W1: tail, visible: stored by the holder of the writer mutex, after the bytes below them.
struct alignas(64) PublishedEnds {
  std::atomic<uint64_t> tail;
  std::atomic<uint64_t> visible;
  // Copies for statistics.
  std::atomic<uint64_t> records;
  std::atomic<uint64_t> transactions;
  std::atomic<uint64_t> payload_bytes;
  std::atomic<uint32_t> term;
};

// W2: written, durable: stored by the holder of the flusher role, after the write or flush.
struct alignas(64) FlushedEnds {
  std::atomic<uint64_t> written;  // the kernel has everything below
  std::atomic<uint64_t> durable;  // the disk has everything below
};

// W3: stored by the holder of the keeper role.
struct alignas(64) SpaceEnds {
  std::atomic<uint64_t> start;          // the log holds everything from here on
  std::atomic<uint64_t> prepared_end;   // segments below exist at full size
  std::atomic<uint64_t> full_since_ns;  // when the disk was last found full; 0 = it is not
  std::atomic<uint32_t> hurry;  // set by appenders that wait for a segment: finish it unfilled
};

// Wakes whoever waits for any of the positions above.
struct alignas(64) ProgressSection {
  std::atomic<uint32_t> sequence;  // changes with every step of written, durable, prepared_end
  std::atomic<uint32_t> waiters;   // a hint: may stay too high when a waiter dies
  std::atomic<int32_t> failed;     // errno of the failure that ended the environment; 0 = none
  // Somebody sleeps who wants to hear of appends too: stored by who has the replication role. What
  // it leaves behind when it dies costs some calls in vain until there is another one.
  std::atomic<uint32_t> heeds_appends;
};

struct alignas(64) FlusherSection {
  RobustMutex role;
  std::atomic<uint64_t> started_ns;  // when the flush under way began; 0 = none is
  std::atomic<uint64_t> writes;
  std::atomic<uint64_t> flushes;
  std::atomic<uint64_t> flushed_bytes;
  std::atomic<uint64_t> last_flush_ns;
  std::atomic<uint64_t> longest_flush_ns;
  std::atomic<uint64_t> takeovers;  // of a role whose holder had died
};

// W4: the consumers, while the region lives; every change is made under `mutex`, which is never
// held during I/O. `used` is stored last when a slot is filled and first when it is freed, so the
// table needs no repair when a holder dies.
struct ConsumerSlot {
  char name[kMaxConsumerName + 1];
  std::atomic<uint64_t> position;
  uint64_t max_bytes;
  uint64_t max_age_us;
  std::atomic<uint32_t> used;
  std::atomic<uint32_t> broken;
};

struct alignas(64) ConsumerTable {
  RobustMutex mutex;
  ConsumerSlot slots[kMaxConsumers];
};

struct alignas(64) KeeperSection {
  RobustMutex role;
  RobustMutex archive_role;
  std::atomic<uint64_t> control_saved_ns;
  std::atomic<uint64_t> segments_prepared;
  std::atomic<uint64_t> segments_recycled;
};

// Roll-backs (log_rollback.h): written by the holder of archive, writer, keeper and flusher, which
// it holds for as long as one is under way.
inline constexpr size_t kRollBacksKept = 64;
struct alignas(64) RollBackWords {
  // 1 while one is under way. Whoever holds one of these locks and sees it has found a roll-back
  // that was cut short: nothing of the region counts any more, recovery decides.
  std::atomic<uint32_t> under_way;
  std::atomic<uint64_t> history;  // how many have been decided since the region was made
  std::atomic<uint64_t> ends[kRollBacksKept];  // LSN: where number `history` modulo these led to
};

// W5: stored by the holder of the writer mutex, read under it wherever it decides (log_gate.h).
struct alignas(64) GateSection {
  std::atomic<uint64_t> word;
};

struct RegionLayout {
  RegionHeader header;
  alignas(64) WriterSection writer;
  PublishedEnds ends;
  FlushedEnds flushed;
  SpaceEnds space;
  ProgressSection progress;
  FlusherSection flusher;
  KeeperSection keeper;
  ConsumerTable consumers;
  RollBackWords rollback;
  GateSection gate;
};
static_assert(sizeof(RegionLayout) <= kRegionPageBytes);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// What the first process of an environment writes into a new region.
struct RegionInit {
  ControlState control;
  uint64_t ring_bytes = kDefaultRingBytes;
  uint64_t control_device = 0;
  uint64_t control_inode = 0;
  Lsn end;
  Lsn visible;  // below `end` where the log ends inside a transaction
  ChainState chain;
  Lsn prepared_end;
  Gate gate;
};

class LogRegion {
 public:
  // Replaces any earlier region of this environment. Falls back to the file `region` in the
  // directory where shared memory is too small.
  static Result<std::unique_ptr<LogRegion>> Create(Env& env, const std::string& directory,
                                                   const RegionInit& init);
  // kNotFound where there is none, kCorruption where its header fails its checks or names another
  // environment, kForeignHost where it was made under another boot or, unless `alone`, under
  // another PID namespace: death is noticed by thread ids, which mean nothing there.
  static Result<std::unique_ptr<LogRegion>> Attach(Env& env, const std::string& directory,
                                                   const RegionInit& expected, bool alone);
  // kOk where there is nothing to remove.
  static Status Remove(Env& env, const std::string& directory, const RegionInit& init);

  RegionLayout& operator*() { return *layout_; }
  RegionLayout* operator->() { return layout_; }
  uint64_t ring_bytes() const { return ring_bytes_; }
  bool in_file() const { return in_file_; }

  // Copies between the ring and ordinary memory; positions are LSNs.
  void CopyIn(Lsn at, Bytes from);
  void CopyOut(Lsn at, MutableBytes into) const;
  void ZeroIn(Lsn at, uint64_t size);
  // The longest run of ring bytes from `at` on that lies in one piece, at most `size`.
  Bytes Piece(Lsn at, uint64_t size) const;
  MutableBytes Board() { return MutableBytes(ring_ + ring_bytes_, kBoardBytes); }

 private:
  LogRegion(std::unique_ptr<SharedMapping> mapping, bool in_file);
  static Status CheckHeader(SharedMapping& mapping, const RegionInit& expected,
                            const HostIdentity& host, bool alone);

  std::unique_ptr<SharedMapping> mapping_;
  RegionLayout* layout_;
  uint8_t* ring_;
  uint64_t ring_bytes_;
  bool in_file_;
};

}  // namespace ringleader
