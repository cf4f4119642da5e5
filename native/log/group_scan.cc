#include "log/group_scan.h"

#include "log/segment_walk.h"

namespace ringleader {
namespace {

Status ScanSegment(const SegmentFiles& files, const Id128& group_id, Lsn start, Lsn from, Lsn to,
                   GroupScan* scan) {
  RL_ASSIGN_OR_RETURN(const auto walk, SegmentWalk::Open(files, group_id, start, to));
  walk->SkipPayloads();
  for (Record record;;) {
    RL_ASSIGN_OR_RETURN(const bool more, walk->Next(&record));
    if (!more) return Status::Ok();
    ++scan->records;
    if (record.lsn() < from) continue;
    RL_RETURN_IF_ERROR(NoteGroupRecord(record, &scan->terms, &scan->configurations));
  }
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
