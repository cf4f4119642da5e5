#include "log/log_reader.h"

#include <algorithm>
#include <array>

#include "base/mutant.h"
#include "log/segment_walk.h"

namespace ringleader {

LogReader::LogReader(LogRegion& region, const SegmentFiles& files, LogFlusher& flusher, Lsn from)
    : region_(region),
      files_(files),
      flusher_(flusher),
      position_(from),
      first_(from),
      returned_{from, std::nullopt},
      history_(flusher.History()) {}

Status LogReader::OpenSegment() {
  scanner_.reset();
  const Lsn start = SegmentStart(position_, files_.segment_bytes());
  if (start.value < region_->space.start.load(std::memory_order_acquire)) {
    return Status(Code::kTrimmed, "the log no longer holds this position");
  }
  auto file = files_.Open(start, OpenMode::kRead);
  if (file.status().code() == Code::kNotFound) {
    return Status(Code::kTrimmed, "the log no longer holds this position");
  }
  if (!file.ok()) return file.status();
  file_ = std::move(file).value();
  std::array<uint8_t, kSegmentPageBytes> page;
  RL_RETURN_IF_ERROR(ReadExactly(*file_, 0, page, SegmentName(start)));
  ChainState before;
  const PageState state =
      CheckSegmentPage(page, region_->header.group_id, start, files_.segment_bytes(), &before);
  if (state != PageState::kValid) return Explain(SegmentScanner::Step::kBadHeader);
  if (chain_ && position_ == start && chain_->prev_crc != before.prev_crc) {
    return Explain(SegmentScanner::Step::kBadHeader);
  }
  const bool middle = position_ > start + kSegmentPageBytes;
  position_ = std::max(position_, start + kSegmentPageBytes);
  scanner_ = std::make_unique<SegmentScanner>(*file_, start, files_.segment_bytes(), position_,
                                              position_, chain_ ? *chain_ : before);
  if (middle && !chain_) scanner_->TrustFirst();
  return Status::Ok();
}

// What a record that fails its checks means.
Status LogReader::Explain(SegmentScanner::Step step) {
  scanner_.reset();
  // The segment may have become another one while it was being read.
  const Lsn start = SegmentStart(position_, files_.segment_bytes());
  if (start.value < region_->space.start.load(std::memory_order_acquire)) {
    return Status(Code::kTrimmed, "the log no longer holds this position");
  }
  if (position_ == first_ && !chain_) {
    RL_ASSIGN_OR_RETURN(const bool boundary,
                        WalkComesBy(files_, region_->header.group_id, position_));
    if (!boundary) {
      return Status(Code::kInvalidArgument,
                    "no record begins at " + std::to_string(position_.value));
    }
  }
  return Status(Code::kCorruption,
                "log at " + std::to_string(position_.value) + ": " + StepName(step));
}

Result<bool> LogReader::NextRecord(Record* record, Lsn visible) {
  while (position_ < visible) {
    if (!scanner_) RL_RETURN_IF_ERROR(OpenSegment());
    scanner_->SetLimit(visible);
    RL_ASSIGN_OR_RETURN(const SegmentScanner::Step step, scanner_->Next(record));
    if (step == SegmentScanner::Step::kLimit) break;
    if (step != SegmentScanner::Step::kRecord && step != SegmentScanner::Step::kSegmentEnd) {
      return Explain(step);
    }
    position_ = scanner_->position();
    if (step == SegmentScanner::Step::kRecord) {
      chain_ = scanner_->chain();
      return true;
    }
    // The chain stays as it was: unknown, where the reader began too near the end for a record.
    scanner_.reset();
  }
  return false;
}

void LogReader::GoBackTo(const Place& place) {
  position_ = place.position;
  chain_ = place.chain;
  scanner_.reset();
}

// A roll-back becomes known before it changes the first byte of a file: what was read while the
// history stayed the same is of that history.
Result<std::optional<LogEntry>> LogReader::Next() {
  for (;;) {
    RL_ASSIGN_OR_RETURN(const bool changed, flusher_.FollowHistory(returned_.position, &history_));
    if (changed) GoBackTo(returned_);
    auto next = NextHere();
    if (flusher_.History() != history_) continue;
    if (next.ok() && next.value()) returned_ = {position_, chain_};
    return next;
  }
}

Result<std::optional<LogEntry>> LogReader::NextHere() {
  Lsn visible(region_->ends.visible.load(std::memory_order_acquire));  // pairs with W1
  if (position_ > visible && position_ > Lsn(kSegmentPageBytes)) {
    return Status(Code::kInvalidArgument, "the position is beyond the end of the log");
  }
  if (!flusher_.WaitFor(visible, Level::kWritten).ok()) {
    // Reads go on after a failure and on a full disk, with what the kernel had until then.
    visible = std::min(visible, Lsn(region_->flushed.written.load(std::memory_order_acquire)));
  }
  std::optional<Place> began;
  auto next = Assemble(visible, &began);
  // Not all of the transaction is written yet, or can be read now: the next call begins with it
  // again.
  const bool stays = RL_MUTANT(kReaderKeepsHalf) && !next.ok();
  if (began && !(next.ok() && next.value()) && !stays) GoBackTo(*began);
  return next;
}

// `began`: where the transaction begins that the reader is in the middle of.
Result<std::optional<LogEntry>> LogReader::Assemble(Lsn visible, std::optional<Place>* began) {
  assembler_.Reset();
  Record record;
  for (;;) {
    const std::optional<ChainState> before = chain_;
    RL_ASSIGN_OR_RETURN(const bool found, NextRecord(&record, visible));
    if (!found) return std::optional<LogEntry>();
    if (record.type() != RecordType::kPadding && !record.continues()) {
      *began = {record.lsn(), before};
    }
    RL_ASSIGN_OR_RETURN(const bool whole, assembler_.Add(record));
    if (whole) return std::optional<LogEntry>(assembler_.entry());
  }
}

}  // namespace ringleader
