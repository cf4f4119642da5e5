// Who still needs the log, and from where on.
//
// A consumer holds the log back at its position: a segment goes only when every consumer that is
// not broken has passed it. A consumer that lags more than its byte cap, or needs records older
// than its age cap, is broken: it is told so and holds nothing back any more. Without any consumer
// the whole log is kept.
//
// Positions live in shared memory and are saved with the control page, at the latest before a
// segment that they release goes away; after power loss a position may be older than it was, never
// newer.
// Threads: any. The table's mutex is never held during I/O.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "env/env.h"
#include "log/control_file.h"
#include "log/log_region.h"

namespace ringleader {

class Retention {
 public:
  Retention(Env& env, LogRegion& region) : env_(env), region_(region) {}

  // Adds a consumer or changes its caps. An existing one keeps its position unless it was broken.
  // kTooLarge where there are 32 already. Not saved yet when this returns.
  Status Put(const Consumer& consumer);
  Status Remove(const std::string& name);
  // Moves a position forward; a lower one changes nothing. kNotFound, or kTrimmed where broken.
  Status Advance(const std::string& name, Lsn position);
  // Holder of all roles, in a roll-back: positions above `end` are lowered to it, that of the
  // consumer that copies whole segments to where the segment of `end` begins.
  Status MoveBack(Lsn end, const std::string& copier, uint64_t segment_bytes);
  // The same where the log has been replaced (log_exchange.h): consumers that `follow` stand at its
  // end; whoever needs what lies below its start is broken. The one that copies segments is lowered
  // as in a roll-back, and finds the gap itself.
  struct Move {
    Lsn start, end;  // of the new log
    Lsn common;      // the old one was the same up to there
    uint64_t segment_bytes = 0;
  };
  Status MoveTo(const Move& move, const std::string& copier,
                const std::function<bool(const std::string& name)>& follows);
  Result<std::vector<Consumer>> List() const;
  // nullopt where there is none of that name.
  Result<std::optional<Consumer>> Get(const std::string& name) const;

  // Marks the consumers that are over their caps. `written_us(position)` tells when the segment
  // that holds a position was last written to, 0 where it still is.
  template <typename WrittenUs>
  Status BreakLaggards(Lsn tail, uint64_t now_us, WrittenUs written_us);
  // The lowest position that is still needed; nullopt where there is no consumer.
  Result<std::optional<Lsn>> Floor() const;

 private:
  Status Lock() const;
  void Unlock() const;
  ConsumerSlot* Find(const std::string& name) const;
  static Consumer Read(const ConsumerSlot& slot);

  Env& env_;
  LogRegion& region_;
};

template <typename WrittenUs>
Status Retention::BreakLaggards(Lsn tail, uint64_t now_us, WrittenUs written_us) {
  RL_ASSIGN_OR_RETURN(const std::vector<Consumer> consumers, List());
  for (const Consumer& consumer : consumers) {
    if (consumer.broken) continue;
    bool lags = consumer.max_bytes != 0 && tail > consumer.position &&
                tail - consumer.position > consumer.max_bytes;
    if (!lags && consumer.max_age_us != 0) {
      const uint64_t written = written_us(consumer.position);
      lags = written != 0 && now_us > written && now_us - written > consumer.max_age_us;
    }
    if (!lags) continue;
    RL_RETURN_IF_ERROR(Lock());
    ConsumerSlot* slot = Find(consumer.name);
    // It may have caught up between the two looks.
    const bool stays = slot != nullptr &&
                       slot->position.load(std::memory_order_acquire) == consumer.position.value;
    if (stays) slot->broken.store(1, std::memory_order_release);
    Unlock();
  }
  return Status::Ok();
}

}  // namespace ringleader
