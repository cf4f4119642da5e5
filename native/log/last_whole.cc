#include "log/last_whole.h"

#include "log/segment_walk.h"

namespace ringleader {

Result<LastWhole> FindLastWhole(const SegmentFiles& files, const Id128& group_id, Lsn start,
                                Lsn limit) {
  RL_ASSIGN_OR_RETURN(const auto walk, SegmentWalk::Open(files, group_id, start, limit));
  LastWhole last;
  for (Record record;;) {
    RL_ASSIGN_OR_RETURN(const bool more, walk->Next(&record));
    if (!more) return last;
    last.Pass(record);
  }
}

Result<Lsn> LastEndAtOrBelow(const SegmentFiles& files, const Id128& group_id, Lsn start, Lsn at) {
  if (at < start) return Status(Code::kTrimmed, "the log no longer holds this position");
  if (at == start) return start;
  for (Lsn segment = SegmentStart(Lsn(at.value - 1), files.segment_bytes());;
       segment = Lsn(segment.value - files.segment_bytes())) {
    RL_ASSIGN_OR_RETURN(const LastWhole last, FindLastWhole(files, group_id, segment, at));
    if (last.end) return *last.end;
    if (segment == start) return start;
  }
}

}  // namespace ringleader
