#include "log/pending_records.h"

#include <array>
#include <cstring>
#include <memory>
#include <vector>

namespace ringleader {
namespace {

// Bytes of the log below `to`, wherever they are.
class Source {
 public:
  Source(const LogRegion& region, const SegmentFiles& files, Lsn to)
      : region_(region), files_(files), to_(to) {}

  Status Read(Lsn at, MutableBytes into) {
    if (to_ - at <= region_.ring_bytes()) {
      region_.CopyOut(at, into);
      return Status::Ok();
    }
    const Lsn start = SegmentStart(at, files_.segment_bytes());
    if (file_ == nullptr || start != file_start_) {
      RL_ASSIGN_OR_RETURN(file_, files_.Open(start, OpenMode::kRead));
      file_start_ = start;
    }
    return ReadExactly(*file_, at - start, into, "segment");
  }

 private:
  const LogRegion& region_;
  const SegmentFiles& files_;
  const Lsn to_;
  std::unique_ptr<File> file_;
  Lsn file_start_;
};

Status Damaged() { return Status(Code::kCorruption, "shared memory is damaged: the ring"); }

// Calls `visit` with the header and place of every record of [from, to), paddings left out.
Status WalkRecords(Source& source, uint64_t segment, Lsn from, Lsn to,
                   const std::function<Status(const Record& record)>& visit) {
  for (Lsn at = from; at < to;) {
    const uint64_t offset = at.value % segment;
    if (offset == 0) {
      at = at + kSegmentPageBytes;
      continue;
    }
    if (segment - offset < kRecordHeaderBytes) {
      at = at + (segment - offset);
      continue;
    }
    std::array<uint8_t, kRecordHeaderBytes> bytes;
    RL_RETURN_IF_ERROR(source.Read(at, bytes));
    if (!LooksLikeRecord(bytes, at, segment)) return Damaged();
    Record record;
    std::memcpy(&record.header, bytes.data(), sizeof record.header);
    if (record.end() > to) return Damaged();
    if (record.type() != RecordType::kPadding) RL_RETURN_IF_ERROR(visit(record));
    at = record.end();
  }
  return Status::Ok();
}

Status ReadOn(Source& source, const Record& record, std::vector<uint8_t>* payload) {
  const size_t had = payload->size();
  payload->resize(had + record.header.length);
  return source.Read(record.lsn() + kRecordHeaderBytes, MutableBytes(*payload).subspan(had));
}

}  // namespace

Status VisitPending(const LogRegion& region, const SegmentFiles& files, Lsn from, Lsn to,
                    const std::function<Status(Lsn end, const Entry& entry)>& visit) {
  Source source(region, files, to);
  std::vector<uint8_t> payload;
  bool under_way = false;
  return WalkRecords(source, files.segment_bytes(), from, to, [&](const Record& record) {
    if (!record.continues()) {
      payload.clear();
      under_way = true;
    }
    if (!under_way) return Status::Ok();  // its beginning has been trimmed: nobody needs it
    RL_RETURN_IF_ERROR(ReadOn(source, record, &payload));
    if (record.more()) return Status::Ok();
    under_way = false;
    Entry entry;
    entry.payload = payload;
    entry.type = record.type();
    entry.operations = record.header.operations;
    entry.term = record.term();
    return visit(record.end(), entry);
  });
}

Result<PendingRun> CollectRun(const LogRegion& region, const SegmentFiles& files, Lsn from, Lsn to,
                              bool fill) {
  PendingRun run;
  run.end = to;
  run.filled = fill;
  Source source(region, files, to);
  const Status walked =
      WalkRecords(source, files.segment_bytes(), from, to, [&](const Record& record) {
        if (!record.continues()) {
          run.payload.clear();
          run.begun = true;
        }
        run.open = record.more();
        run.type = record.type();
        return fill && run.begun ? ReadOn(source, record, &run.payload) : Status::Ok();
      });
  if (!walked.ok()) return walked;
  return run;
}

}  // namespace ringleader
