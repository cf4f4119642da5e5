#include "log/group_scan.h"

#include <array>

#include "log/segment_scanner.h"

namespace ringleader {
namespace {

Status ScanSegment(const SegmentFiles& files, const Id128& group_id, Lsn start, Lsn from, Lsn to,
                   GroupScan* scan) {
  const uint64_t segment = files.segment_bytes();
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(start, OpenMode::kRead));
  std::array<uint8_t, kSegmentPageBytes> page;
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, page, SegmentName(start)));
  ChainState chain;
  if (CheckSegmentPage(page, group_id, start, segment, &chain) != PageState::kValid) {
    return Status(Code::kCorruption, SegmentName(start) + ": header page");
  }
  SegmentScanner scanner(*file, start, segment, start + kSegmentPageBytes, to, chain);
  scanner.SkipPayloads();
  for (;;) {
    Record record;
    RL_ASSIGN_OR_RETURN(const SegmentScanner::Step step, scanner.Next(&record));
    if (step == SegmentScanner::Step::kLimit || step == SegmentScanner::Step::kSegmentEnd) break;
    if (step != SegmentScanner::Step::kRecord) {
      return Status(Code::kCorruption,
                    "log at " + std::to_string(scanner.position().value) + ": " + StepName(step));
    }
    ++scan->records;
    if (record.lsn() < from) continue;
    RL_RETURN_IF_ERROR(NoteGroupRecord(record, &scan->terms, &scan->configurations));
  }
  return Status::Ok();
}

}  // namespace

Result<GroupScan> ScanGroup(const SegmentFiles& files, const Id128& group_id, Lsn from, Lsn to) {
  GroupScan scan;
  for (Lsn start = SegmentStart(from, files.segment_bytes()); start + kSegmentPageBytes < to;
       start = start + files.segment_bytes()) {
    RL_RETURN_IF_ERROR(ScanSegment(files, group_id, start, from, to, &scan));
  }
  return scan;
}

}  // namespace ringleader
