#include "log/last_whole.h"

#include <algorithm>
#include <array>

#include "log/segment_scanner.h"

namespace ringleader {

Result<LastWhole> FindLastWhole(const SegmentFiles& files, const Id128& group_id, Lsn start,
                                Lsn limit) {
  const uint64_t segment = files.segment_bytes();
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(start, OpenMode::kRead));
  std::array<uint8_t, kSegmentPageBytes> page;
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, page, SegmentName(start)));
  ChainState chain;
  if (CheckSegmentPage(page, group_id, start, segment, &chain) != PageState::kValid) {
    return Status(Code::kCorruption, SegmentName(start) + ": header page");
  }
  LastWhole last;
  if (limit < start + kSegmentPageBytes) return last;
  SegmentScanner scanner(*file, start, segment, start + kSegmentPageBytes, limit, chain);
  for (;;) {
    Record record;
    RL_ASSIGN_OR_RETURN(const SegmentScanner::Step step, scanner.Next(&record));
    if (step == SegmentScanner::Step::kLimit || step == SegmentScanner::Step::kSegmentEnd) {
      return last;
    }
    if (step != SegmentScanner::Step::kRecord) {
      return Status(Code::kCorruption,
                    "log at " + std::to_string(scanner.position().value) + ": " + StepName(step));
    }
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
