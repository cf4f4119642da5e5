// Takes the log's stream apart as it is shipped and kept: pages, records, paddings and the zeros
// that end a segment, one after the other, in ordinary memory.
//
// The one opinion on which bytes may follow which; SegmentScanner has the same one on files. What
// is shipped is checked more strictly than what is read back: a page must be the page that this
// log would have written here, padding must be as short as a primary makes it, and zeros.
// Threads: one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/status.h"
#include "log/log_format.h"

namespace ringleader {

class RecordStream {
 public:
  enum class Kind : uint8_t {
    kPage,
    kRecord,
    kPadding,
    kRest,  // fewer than a header's bytes before the end of a segment
  };
  struct Item {
    Kind kind = Kind::kRest;
    uint64_t bytes = 0;  // in the stream
    Record record{};     // kRecord; the payload points into what was looked at
    ChainState after;    // the chain behind it
  };
  enum class Step : uint8_t {
    kItem,   // checked
    kShort,  // there must be `item.bytes` to check it
    kBad,
  };

  // `chain`: of the record before; without it the first record or page is believed in that.
  RecordStream(const Id128& group_id, uint64_t segment_bytes, Lsn position,
               std::optional<ChainState> chain)
      : group_id_(group_id), segment_bytes_(segment_bytes), position_(position), chain_(chain) {}

  // What stands at position(), where `bytes` begin. One pass over a record's payload. Padding and
  // the rest of a segment are not looked into: Zeros does that.
  Step Look(Bytes bytes, Item* item) const;
  // Steps over what Look has found.
  void Pass(const Item& item);
  // Why Look has said kBad: kInvalidArgument where the bytes are of another group or of segments of
  // another size, kNewerFormat, or kCorruption.
  Status Explain(Bytes bytes) const;

  Lsn position() const { return position_; }
  const std::optional<ChainState>& chain() const { return chain_; }

 private:
  Step LookAtPage(Bytes bytes, Item* item) const;
  Step LookAtRecord(Bytes bytes, uint64_t left, Item* item) const;

  Id128 group_id_;
  uint64_t segment_bytes_;
  Lsn position_;
  std::optional<ChainState> chain_;
};

// Whether the bytes of a padding behind its header, or of a segment's rest, are zero.
bool Zeros(const RecordStream::Item& item, Bytes bytes);

}  // namespace ringleader
