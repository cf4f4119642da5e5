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

}  // namespace

Status VisitPending(const LogRegion& region, const SegmentFiles& files, Lsn from, Lsn to,
                    const std::function<Status(Lsn end, const Entry& entry)>& visit) {
  const uint64_t segment = files.segment_bytes();
  Source source(region, files, to);
  std::vector<uint8_t> payload;
  bool under_way = false;
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
    if (record.type() != RecordType::kPadding) {
      if (!record.continues()) {
        payload.clear();
        under_way = true;
      }
      if (!under_way) return Damaged();
      const size_t had = payload.size();
      payload.resize(had + record.header.length);
      RL_RETURN_IF_ERROR(source.Read(at + kRecordHeaderBytes, MutableBytes(payload).subspan(had)));
      if (!record.more()) {
        Entry entry;
        entry.payload = payload;
        entry.type = record.type();
        entry.operations = record.header.operations;
        entry.term = record.term();
        RL_RETURN_IF_ERROR(visit(record.end(), entry));
        under_way = false;
      }
    }
    at = record.end();
  }
  return Status::Ok();
}

}  // namespace ringleader
