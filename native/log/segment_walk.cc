#include "log/segment_walk.h"

#include <array>

namespace ringleader {

SegmentWalk::SegmentWalk(std::unique_ptr<File> file, Lsn start, uint64_t segment_bytes, Lsn limit,
                         const ChainState& chain)
    : file_(std::move(file)),
      scanner_(*file_, start, segment_bytes, start + kSegmentPageBytes, limit, chain) {}

Result<std::unique_ptr<SegmentWalk>> SegmentWalk::Open(const SegmentFiles& files,
                                                       const Id128& group_id, Lsn start,
                                                       Lsn limit) {
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.Open(start, OpenMode::kRead));
  return Over(std::move(file), group_id, start, files.segment_bytes(), limit);
}

Result<std::unique_ptr<SegmentWalk>> SegmentWalk::Over(std::unique_ptr<File> file,
                                                       const Id128& group_id, Lsn start,
                                                       uint64_t segment_bytes, Lsn limit) {
  std::array<uint8_t, kSegmentPageBytes> page;
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, page, SegmentName(start)));
  ChainState chain;
  if (CheckSegmentPage(page, group_id, start, segment_bytes, &chain) != PageState::kValid) {
    return Status(Code::kCorruption, SegmentName(start) + ": header page");
  }
  return std::unique_ptr<SegmentWalk>(
      new SegmentWalk(std::move(file), start, segment_bytes, limit, chain));
}

Result<bool> SegmentWalk::Next(Record* record) {
  RL_ASSIGN_OR_RETURN(const SegmentScanner::Step step, scanner_.Next(record));
  switch (step) {
    case SegmentScanner::Step::kRecord:
      return true;
    case SegmentScanner::Step::kLimit:
    case SegmentScanner::Step::kSegmentEnd:
      return false;
    default:
      return Status(Code::kCorruption,
                    "log at " + std::to_string(position().value) + ": " + StepName(step));
  }
}

Result<bool> WalkComesBy(const SegmentFiles& files, const Id128& group_id, Lsn position) {
  const Lsn start = SegmentStart(position, files.segment_bytes());
  if (position == start) return true;
  auto walk = SegmentWalk::Open(files, group_id, start, kMaxLsn);
  if (walk.status().code() == Code::kCorruption) return true;
  RL_RETURN_IF_ERROR(walk.status());
  while ((*walk)->position() < position) {
    Record record;
    auto more = (*walk)->Next(&record);
    if (more.status().code() == Code::kCorruption) return true;
    RL_RETURN_IF_ERROR(more.status());
    if (!*more) return true;
  }
  return (*walk)->position() == position;
}

}  // namespace ringleader
