// The board: what whoever drives an environment's replication tells all its processes, and what
// they ask of it. It lies in the log's region and so lives exactly as long as somebody is attached.
//
//   head | image 0 | image 1
//
// Who publishes. The holder of the replication role (ReplicationRole), one thread of it.
//
// How. The holder fills the image that does not count, word by word, and then counts `published` up
// by one: its lowest bit says which image counts. A holder that dies on the way has published
// nothing; the images need no repair, since the next holder fills the same one from its beginning.
// Readers therefore never wait for a writer.
//
// Reading. Load `published` (acquire), the words (acquire), `published` again: if it has changed,
// the image may have been filled anew meanwhile, and the reader begins again. The words are stored
// with release after `published` counted the image before, so who has seen a word of a later
// filling sees a later `published` too. No fence is needed, which ThreadSanitizer would not
// understand.
//
// What is read is hostile until checked: a checksum over the image, counts within their limits,
// enumerations and orders. Nothing of the board is ever a pointer or an offset.
//
// Waking. `bell` changes after every publication and every Ring; `sleepers` says whether somebody
// sleeps on it. Both are sequentially consistent: either the ringer sees the sleeper or the
// sleeper's last look sees the ring. A sleeper that dies leaves the hint too high, which costs a
// system call now and then.
//
// Threads: any, but for Publish. The log must stay open meanwhile: Log::Close takes the memory
// away.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/board_state.h"
#include "env/env.h"
#include "log/log.h"

namespace ringleader {

inline constexpr uint64_t kWantedNs = 100'000'000;

struct BoardLayout;

class GroupBoard {
 public:
  // kClosed where the log is.
  static Result<GroupBoard> Of(Env& env, Log& log);

  // One consistent look. Nothing published yet: a state with self == kNobody. kCorruption where
  // the memory has been damaged; kBusy where it changes faster than it can be read. `state` is
  // changed only where kOk is returned.
  Status Look(BoardState* state) const;
  Result<BoardState> Look() const;

  // Read the sequence, look, and then wait for another sequence: nothing is missed. Await returns
  // when it is another one or the time is over, or earlier without a reason; true = another one.
  uint32_t Sequence() const;
  bool Await(uint32_t sequence, uint64_t timeout_ns);
  // Wakes all who wait, in all processes; they find nothing new. For ending a waiter.
  void Ring();

  // Asks for a linearizable read; the answer is there when BoardState::reads.served is at least the
  // ticket. A refusal means: ask again, or elsewhere. Nobody answers where nobody has the role, so
  // wait with a limit.
  uint64_t AskRead();

  // Somebody waits for copies at these levels (AckLevel bits of core/message.h). For kWantedNs they
  // are told of as soon as they are reached, and what nobody waits for may be late.
  void Want(uint8_t levels);

  // --- of the holder of the role
  // False, and nothing is done, where nothing but the counters would change. No system call where
  // nobody sleeps.
  bool Publish(const BoardState& state);
  // The newest ticket.
  uint64_t AskedReads() const;
  // The levels that somebody has wanted lately.
  uint8_t Wanted() const;
  void SetHolder(uint32_t pid);
  uint32_t holder_pid() const;

 private:
  GroupBoard(Env& env, Log& log, BoardLayout* layout) : env_(&env), log_(&log), layout_(layout) {}
  Status Read(std::vector<uint64_t>* words) const;

  Env* env_;
  Log* log_;
  BoardLayout* layout_;
  std::vector<uint64_t> newest_, next_;  // images, of the holder
};

// The right to drive the environment's replication: one process of all, and one object in it. A
// lock on a byte of the file `lock`, which the kernel drops when the holder dies.
class ReplicationRole {
 public:
  // kBusy, naming the process, where somebody has it.
  static Result<std::unique_ptr<ReplicationRole>> Take(Env& env, const std::string& directory,
                                                       GroupBoard board);
  // Gives it up: the board says that nobody holds it.
  ~ReplicationRole();
  ReplicationRole(const ReplicationRole&) = delete;
  ReplicationRole& operator=(const ReplicationRole&) = delete;

 private:
  ReplicationRole(GroupBoard board, std::unique_ptr<File> lock)
      : board_(std::move(board)), lock_(std::move(lock)) {}

  GroupBoard board_;
  std::unique_ptr<File> lock_;
};

}  // namespace ringleader
