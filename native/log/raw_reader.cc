#include "log/raw_reader.h"

#include <algorithm>
#include <cstring>

#include "log/segment_walk.h"

namespace ringleader {
namespace {

// Copies what another thread may be writing over: the copy is thrown away then. Not a memcpy, which
// a race detector would watch. Each load acquires: whatever is read afterwards is read after it.
#if defined(__GNUC__)
__attribute__((no_sanitize("thread")))
#endif
void CopyUnstable(const uint8_t* from, uint8_t* into, size_t size) {
  // Ring positions and sizes are multiples of 8.
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word =
        __atomic_load_n(reinterpret_cast<const uint64_t*>(from + at), __ATOMIC_ACQUIRE);
    std::memcpy(into + at, &word, sizeof word);
  }
}

}  // namespace

RawReader::RawReader(LogRegion& region, const SegmentFiles& files, LogFlusher& flusher, Lsn from)
    : region_(region),
      files_(files),
      flusher_(flusher),
      position_(from),
      history_(flusher.History()) {}

void RawReader::Seek(Lsn from) {
  if (from == position_) return;
  position_ = from;
  chain_.reset();
  history_ = flusher_.History();
}

Status RawReader::Trimmed() const {
  return Status(Code::kTrimmed, "the log no longer holds this position");
}

// A roll-back is counted before it changes anything that is read here: what was read while the
// count stayed the same is of one history.
Result<RawRun> RawReader::Next(uint64_t limit, Lsn to) {
  for (;;) {
    RL_ASSIGN_OR_RETURN(const bool changed, flusher_.FollowHistory(position_, &history_));
    if (changed) file_.reset();
    const Lsn position = position_;
    const std::optional<ChainState> chain = chain_;
    auto next = NextHere(limit, to);
    if (flusher_.History() == history_) return next;
    position_ = position;
    chain_ = chain;
  }
}

bool RawReader::FillFromRing(Lsn at, MutableBytes into) {
  for (uint64_t done = 0; done < into.size();) {
    const Bytes piece = region_.Piece(at + done, into.size() - done);
    CopyUnstable(piece.data(), into.data() + done, piece.size());
    done += piece.size();
  }
  return region_->flushed.written.load(std::memory_order_acquire) <= at.value;
}

Status RawReader::FillFromFile(Lsn at, MutableBytes into) {
  const Lsn start = SegmentStart(at, files_.segment_bytes());
  if (start.value < region_->space.start.load(std::memory_order_acquire)) return Trimmed();
  if (file_ == nullptr || file_start_ != start) {
    file_.reset();
    auto file = files_.Open(start, OpenMode::kRead);
    if (file.status().code() == Code::kNotFound) return Trimmed();
    if (!file.ok()) return file.status();
    file_ = std::move(file).value();
    file_start_ = start;
  }
  return ReadExactly(*file_, at - start, into, SegmentName(start));
}

// Makes the first `size` bytes from position_ on available, which lie below `end`.
Status RawReader::Fill(uint64_t size, Lsn end) {
  size = std::min(size, end - position_);
  while (bytes_.size() < size) {
    const uint64_t had = bytes_.size();
    const Lsn at = position_ + had;
    const Lsn written(region_->flushed.written.load(std::memory_order_acquire));  // pairs with W2
    if (at >= written) {
      bytes_.resize(size);
      if (FillFromRing(at, MutableBytes(bytes_).subspan(had))) return Status::Ok();
      bytes_.resize(had);  // the kernel has it by now
      continue;
    }
    const Lsn border = SegmentStart(at, files_.segment_bytes()) + files_.segment_bytes();
    bytes_.resize(std::min({position_ + size, written, border}) - position_);
    RL_RETURN_IF_ERROR(FillFromFile(at, MutableBytes(bytes_).subspan(had)));
  }
  return Status::Ok();
}

Result<RawRun> RawReader::NextHere(uint64_t limit, Lsn to) {
  const Lsn tail(region_->ends.tail.load(std::memory_order_acquire));  // pairs with W1
  const Lsn end = std::min(tail, Lsn(to.value & ~uint64_t{7}));
  limit &= ~uint64_t{7};
  RawRun run{position_, position_, {}, {}, {}};
  if (position_ > tail && position_ > Lsn(kSegmentPageBytes)) {
    return Status(Code::kInvalidArgument, "the position is beyond the end of the log");
  }
  if (position_ >= end) return run;
  if (position_.value < region_->space.start.load(std::memory_order_acquire)) return Trimmed();
  if (position_.value % 8 != 0) {
    return Status(Code::kInvalidArgument, "no record begins at " + std::to_string(position_.value));
  }
  bytes_.clear();
  std::optional<ChainState> chain = chain_;
  RecordStream stream(region_->header.group_id, files_.segment_bytes(), position_, chain_);
  RL_RETURN_IF_ERROR(Fill(limit, end));
  for (uint64_t used = 0;;) {
    RecordStream::Item item;
    const Bytes rest = Bytes(bytes_).subspan(used);
    const RecordStream::Step step = stream.Look(rest, &item);
    const bool some = run.end > position_;
    if (step == RecordStream::Step::kBad && !some) return Explain(stream);
    const uint64_t needed = used + item.bytes;
    const bool enough = some && (step == RecordStream::Step::kBad || needed > limit);
    if (enough || position_ + needed > end) break;
    if (needed > bytes_.size()) {
      RL_RETURN_IF_ERROR(Fill(needed, end));
      continue;
    }
    if (item.kind == RecordStream::Kind::kPadding || item.kind == RecordStream::Kind::kRest) {
      // Nothing but zeros was ever appended there, and nobody checks what has become of them.
      const size_t header = item.kind == RecordStream::Kind::kPadding ? kRecordHeaderBytes : 0;
      std::fill_n(bytes_.begin() + static_cast<ptrdiff_t>(used + header), item.bytes - header, 0);
    }
    stream.Pass(item);
    used = needed;
    if (item.kind != RecordStream::Kind::kRecord) continue;
    RL_RETURN_IF_ERROR(NoteGroupRecord(item.record, &run.terms, &run.configurations));
    run.end = run.from + used;
    chain = stream.chain();
  }
  chain_ = chain;
  run.bytes = Bytes(bytes_).first(run.end - run.from);
  position_ = run.end;
  return run;
}

// What bytes that fail their checks mean.
Status RawReader::Explain(const RecordStream& stream) {
  file_.reset();
  // The segment may have become another one while it was being read.
  const Lsn at = stream.position();
  if (SegmentStart(at, files_.segment_bytes()).value <
      region_->space.start.load(std::memory_order_acquire)) {
    return Trimmed();
  }
  if (at == position_ && !chain_) {
    RL_RETURN_IF_ERROR(flusher_.WaitFor(position_, Level::kWritten));
    RL_ASSIGN_OR_RETURN(const bool boundary,
                        WalkComesBy(files_, region_->header.group_id, position_));
    if (!boundary) {
      return Status(Code::kInvalidArgument, "no record begins at " + std::to_string(at.value));
    }
  }
  return Status(Code::kCorruption,
                "log at " + std::to_string(at.value) + ": what is stored fails its checks");
}

}  // namespace ringleader
