#include "log/log_recovery.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/mutant.h"
#include "log/last_whole.h"
#include "log/log_flusher.h"
#include "log/log_rollback.h"
#include "log/segment_scanner.h"

namespace ringleader {
namespace {

Status Damaged(Lsn at, const std::string& what) {
  return Status(Code::kCorruption, "log at " + std::to_string(at.value) + ": " + what);
}

// One recovery, step by step; the class holds what the steps share.
class Recovery {
 public:
  Recovery(Env& env, const SegmentFiles& files, const ControlState& control, Lsn mark)
      : env_(env), files_(files), control_(control), mark_(mark) {}

  Result<RecoveredLog> Run();

 private:
  Status FindSegments();
  Status FinishRollBack();
  Status ClassifySegments();
  Status ScanLast();
  Status FindVisible(const LastWhole& last);
  Status JudgeEnd();
  Status RewriteTail();
  Status TidyUnused();

  Lsn LastStart() const { return starts_[used_ - 1]; }

  Env& env_;
  const SegmentFiles& files_;
  const ControlState& control_;
  const Lsn mark_;
  std::vector<Lsn> starts_;
  std::vector<PageState> pages_;
  size_t used_ = 0;  // the first so many of starts_ are in use
  ChainState chain_before_last_;
  SegmentScanner::Step stopped_ = SegmentScanner::Step::kSegmentEnd;
  RecoveredLog log_;
};

Status Recovery::FindSegments() {
  const auto listed = files_.List(true);
  if (listed.status().code() == Code::kNotFound) {
    return Status(Code::kCorruption, "the directory of the log is missing");
  }
  RL_ASSIGN_OR_RETURN(const std::vector<Lsn> all, listed);
  for (Lsn start : all) {
    if (start < control_.start) {
      RL_RETURN_IF_ERROR(files_.Remove(start));  // its recycling was cut short
    } else {
      starts_.push_back(start);
    }
  }
  return Status::Ok();
}

// The control page says so until everything above is gone: nothing of that may be looked at.
Status Recovery::FinishRollBack() {
  if (!control_.roll_back) return Status::Ok();
  const Status cut = CutLog(files_, control_.start, *control_.roll_back);
  if (cut.code() == Code::kNotFound) {
    return Damaged(*control_.roll_back, "the segment of an unfinished roll-back is missing");
  }
  RL_RETURN_IF_ERROR(cut);
  starts_.clear();
  return FindSegments();
}

Status Recovery::ClassifySegments() {
  const uint64_t segment = files_.segment_bytes();
  bool ended = false;
  for (size_t i = 0; i < starts_.size(); ++i) {
    const Lsn start = starts_[i];
    std::array<uint8_t, kSegmentPageBytes> page{};
    RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files_.Open(start, OpenMode::kRead));
    const auto got = file->ReadAt(0, page);  // what the file lacks stays zero
    if (!got.ok()) return got.status();
    ChainState before;
    const PageState state = CheckSegmentPage(page, control_.group_id, start, segment, &before);
    pages_.push_back(state);
    if (state == PageState::kNewer) {
      return Status(Code::kNewerFormat, "the log was written by a later version");
    }
    if (state == PageState::kForeign) return Damaged(start, "a segment header of another place");
    const bool next = start == control_.start + i * segment;
    if (state == PageState::kValid && (ended || !next)) {
      return Damaged(start, "a segment in use behind one that is missing or damaged");
    }
    if (state == PageState::kValid) {
      used_ = i + 1;
      chain_before_last_ = before;
    } else {
      ended = true;
    }
  }
  return Status::Ok();
}

Status Recovery::ScanLast() {
  if (used_ == 0) {
    // Nothing was ever written, or it was lost: the mark tells which.
    log_.end = log_.visible = control_.start;
    log_.chain = FirstChain(control_.group_id);
    return Status::Ok();
  }
  const Lsn start = LastStart();
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files_.Open(start, OpenMode::kRead));
  SegmentScanner scanner(*file, start, files_.segment_bytes(), start + kSegmentPageBytes, kMaxLsn,
                         chain_before_last_);
  LastWhole last;
  for (;;) {
    Record record;
    RL_ASSIGN_OR_RETURN(stopped_, scanner.Next(&record));
    if (stopped_ != SegmentScanner::Step::kRecord) break;
    last.Pass(record);
    ++log_.records;
  }
  log_.end = scanner.position();
  log_.chain = scanner.chain();
  log_.torn =
      stopped_ == SegmentScanner::Step::kBadHeader || stopped_ == SegmentScanner::Step::kBadPayload;
  return FindVisible(last);
}

// `last`: of the last segment. Earlier ones are read only where no transaction ends in it.
Status Recovery::FindVisible(const LastWhole& last) {
  LastWhole found = last;
  for (size_t i = used_ - 1; !found.end && i > 0; --i) {
    const bool pieces = found.pieces;
    RL_ASSIGN_OR_RETURN(found,
                        FindLastWhole(files_, control_.group_id, starts_[i - 1], starts_[i]));
    found.pieces |= pieces;
  }
  const bool pieces = found.pieces && !RL_MUTANT(kForgetPieces);
  log_.visible = pieces ? found.end.value_or(control_.start) : log_.end;
  return Status::Ok();
}

Status Recovery::JudgeEnd() {
  if (log_.end < mark_ && !RL_MUTANT(kAcceptTornBelowMark)) {
    return Damaged(log_.end, std::string(StepName(stopped_)) + ", below the durable mark " +
                                 std::to_string(mark_.value));
  }
  if (used_ == 0 && control_.start > Lsn()) {
    return Damaged(control_.start, "the first segment is missing");
  }
  if (used_ == 0) return Status::Ok();
  const Lsn segment_end = LastStart() + files_.segment_bytes();
  const Lsn beyond = log_.end + kMaxUnflushedBytes;
  if (beyond >= segment_end) return Status::Ok();
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files_.Open(LastStart(), OpenMode::kRead));
  std::vector<uint8_t> rest(segment_end - beyond);
  RL_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(beyond - LastStart(), rest));
  for (size_t at = 0; at + kRecordHeaderBytes <= got; at += 8) {
    if (LooksLikeRecord(Bytes(rest).subspan(at), beyond + at, files_.segment_bytes())) {
      return Damaged(log_.end, std::string(StepName(stopped_)) + ", with an intact record at " +
                                   std::to_string((beyond + at).value));
    }
  }
  return Status::Ok();
}

Status Recovery::RewriteTail() {
  if (used_ == 0 || RL_MUTANT(kSkipTailRewrite)) return Status::Ok();
  if (control_.clean && mark_ == log_.end) return Status::Ok();
  const Lsn start = LastStart();
  const uint64_t back = std::min(log_.end - start, kMaxUnflushedBytes);
  const Lsn from = std::max({start, Lsn(log_.end.value - back), std::min(mark_, log_.end)});
  const Lsn to = std::min(start + files_.segment_bytes(), log_.end + kMaxUnflushedBytes);
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files_.Open(start, OpenMode::kReadWrite));
  std::vector<uint8_t> bytes(to - from);  // zeros from log_.end on
  RL_RETURN_IF_ERROR(
      ReadExactly(*file, from - start, MutableBytes(bytes).first(log_.end - from), "log tail"));
  RL_RETURN_IF_ERROR(file->WriteAt(from - start, bytes));
  return file->SyncData();
}

// Segments behind the end: kept where they can be used as they are, in one run from the end on.
Status Recovery::TidyUnused() {
  const uint64_t segment = files_.segment_bytes();
  log_.prepared_end = used_ == 0 ? control_.start : LastStart() + segment;
  for (size_t i = used_; i < starts_.size(); ++i) {
    RL_ASSIGN_OR_RETURN(const FileInfo info, env_.files.Info(files_.Path(starts_[i])));
    const bool usable =
        starts_[i] == log_.prepared_end && pages_[i] == PageState::kZero && info.size == segment;
    if (usable) {
      RL_RETURN_IF_ERROR(files_.RenewName(starts_[i]));
      log_.prepared_end = log_.prepared_end + segment;
    } else {
      RL_RETURN_IF_ERROR(files_.Remove(starts_[i]));
    }
  }
  // The entries of segments in use may still be on their way to the disk.
  return env_.files.SyncDirectory(files_.directory());
}

Result<RecoveredLog> Recovery::Run() {
  RL_RETURN_IF_ERROR(FindSegments());
  RL_RETURN_IF_ERROR(FinishRollBack());
  RL_RETURN_IF_ERROR(ClassifySegments());
  RL_RETURN_IF_ERROR(ScanLast());
  RL_RETURN_IF_ERROR(JudgeEnd());
  RL_RETURN_IF_ERROR(RewriteTail());
  RL_RETURN_IF_ERROR(TidyUnused());
  return log_;
}

}  // namespace

Result<RecoveredLog> RecoverLog(Env& env, const SegmentFiles& files, const ControlState& control,
                                Lsn mark) {
  RL_CHECK(mark >= control.durable_mark);
  return Recovery(env, files, control, mark).Run();
}

namespace {

// The next thing the ring holds at `at`: the header page at a segment's start, zeros where no
// header fits, else a record. 0 where it is none of these.
uint64_t CheckRingItem(const ControlState& control, const LogRegion& region, Lsn at, Lsn tail,
                       ChainState* chain, std::vector<uint8_t>* item) {
  const uint64_t segment = control.segment_bytes;
  const uint64_t left = std::min(segment - at.value % segment, tail - at);
  if (at.value % segment == 0) {
    if (left < kSegmentPageBytes) return 0;
    item->resize(kSegmentPageBytes);
    region.CopyOut(at, *item);
    ChainState before;
    const PageState state = CheckSegmentPage(*item, control.group_id, at, segment, &before);
    return state == PageState::kValid && before.prev_crc == chain->prev_crc ? kSegmentPageBytes : 0;
  }
  if (left < kRecordHeaderBytes) {
    item->assign(left, 0);
    return left;
  }
  item->resize(kRecordHeaderBytes);
  region.CopyOut(at, *item);
  RecordHeader header;
  if (CheckRecordHeader(*item, at, segment, *chain, &header) != HeaderState::kValid) return 0;
  const uint64_t size = RecordBytes(header.length);
  if (size > left) return 0;
  item->resize(size);
  region.CopyOut(at, *item);
  if (!CheckRecordPayload(*item, header)) return 0;
  *chain = ChainAfter(header);
  return size;
}

}  // namespace

Status SalvageRing(const SegmentFiles& files, const ControlState& control, LogRegion& region,
                   RecoveredLog* log) {
  const RegionLayout& shared = *region;
  const uint32_t current = shared.writer.current.load(std::memory_order_acquire) & 1;
  const Lsn tail(shared.writer.states[current].tail);
  const Lsn written(shared.flushed.written.load(std::memory_order_acquire));
  // A region that a failed flush ended holds nothing that anybody was promised beyond the files.
  if (shared.progress.failed.load(std::memory_order_acquire) != 0) return Status::Ok();
  if (log->end < written || tail <= log->end || tail > log->prepared_end ||
      tail - written > region.ring_bytes()) {
    return Status::Ok();
  }
  std::unique_ptr<File> file;
  Lsn file_start = kMaxLsn;
  std::vector<uint8_t> item;
  LastWhole last{log->visible, log->visible < log->end};
  while (log->end < tail) {
    ChainState chain = log->chain;
    const uint64_t size = CheckRingItem(control, region, log->end, tail, &chain, &item);
    if (size == 0) break;  // the ring is damaged from here on; the rest was only in memory
    const Lsn start = SegmentStart(log->end, files.segment_bytes());
    if (start != file_start) {
      if (file != nullptr) RL_RETURN_IF_ERROR(file->SyncData());  // before the next one is begun
      RL_ASSIGN_OR_RETURN(file, files.Open(start, OpenMode::kReadWrite));
      file_start = start;
    }
    RL_RETURN_IF_ERROR(file->WriteAt(log->end - start, item));
    if (log->end > start && item.size() >= kRecordHeaderBytes) {
      Record record{};
      std::memcpy(&record.header, item.data(), sizeof record.header);
      last.Pass(record);
    }
    log->chain = chain;
    log->end = log->end + size;
    log->salvaged_bytes += size;
  }
  log->visible = last.pieces ? *last.end : log->end;
  return file == nullptr ? Status::Ok() : file->SyncData();
}

Status LoadRing(const SegmentFiles& files, const RecoveredLog& log, LogRegion& region) {
  if (RL_MUTANT(kForgetRing)) return Status::Ok();
  std::vector<uint8_t> bytes;
  const uint64_t back = std::min(log.end - log.visible, region.ring_bytes());
  for (Lsn at(log.end.value - back); at < log.end;) {
    const Lsn start = SegmentStart(at, files.segment_bytes());
    bytes.resize(std::min(log.end, start + files.segment_bytes()) - at);
    RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(start, OpenMode::kRead));
    RL_RETURN_IF_ERROR(ReadExactly(*file, at - start, bytes, SegmentName(start)));
    region.CopyIn(at, bytes);
    at = at + bytes.size();
  }
  return Status::Ok();
}

}  // namespace ringleader
