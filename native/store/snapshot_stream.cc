#include "store/snapshot_stream.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr std::string_view kMagic = "RLSNAPS1";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderCrcAt = kSnapshotHeaderBytes - sizeof(uint32_t);
constexpr size_t kBlockHeadBytes = 8;
constexpr size_t kBlockBytes = size_t{64} << 10;  // of log or rows, unless one row is larger

Status Damaged(const char* what) {
  return Status(Code::kCorruption, std::string("a snapshot: ") + what);
}

uint32_t HeaderCrc(Bytes header) { return MaskCrc(Crc32c(header.first(kHeaderCrcAt))); }

// Over the checksum of what stands before, the block's head and its payload.
uint32_t BlockCrc(uint32_t before, Bytes head_and_payload) {
  std::array<uint8_t, sizeof before> chain;
  StoreLe(chain.data(), before);
  return MaskCrc(Crc32c(head_and_payload, Crc32c(chain)));
}

}  // namespace

Status SnapshotWriter::Begin(Bytes group) {
  std::vector<uint8_t> header(kMagic.begin(), kMagic.end());
  Encoder out(&header);
  out.Fixed(kVersion);
  out.Fixed(static_cast<uint32_t>(kSnapshotHeaderBytes));
  out.Raw(header_.group_id);
  out.Fixed(header_.segment_bytes);
  out.Fixed(header_.position.value);
  out.Fixed(header_.id);
  RL_CHECK(header.size() <= kHeaderCrcAt && group.size() <= kMaxSnapshotGroupBytes);
  header.resize(kHeaderCrcAt);
  chain_ = MaskCrc(Crc32c(header));
  out.Fixed(chain_);
  RL_RETURN_IF_ERROR(file_.WriteAt(0, header));
  at_ = header.size();
  return Write(SnapshotBlock::kGroup, group);
}

Status SnapshotWriter::Write(SnapshotBlock kind, Bytes payload) {
  frame_.clear();
  Encoder out(&frame_);
  out.Fixed(static_cast<uint32_t>(kind));
  out.Fixed(static_cast<uint32_t>(payload.size()));
  out.Raw(payload);
  chain_ = BlockCrc(chain_, frame_);
  out.Fixed(chain_);
  RL_RETURN_IF_ERROR(file_.WriteAt(at_, frame_));
  at_ += frame_.size();
  return Status::Ok();
}

Status SnapshotWriter::Log(Bytes raw) {
  for (; !raw.empty(); raw = raw.subspan(std::min(raw.size(), kBlockBytes))) {
    RL_RETURN_IF_ERROR(Write(SnapshotBlock::kLog, raw.first(std::min(raw.size(), kBlockBytes))));
  }
  return Status::Ok();
}

Status SnapshotWriter::Row(Bytes row_key, Lsn version, Bytes value) {
  Encoder out(&pending_);
  out.Fixed(static_cast<uint32_t>(row_key.size()));
  out.Fixed(static_cast<uint32_t>(value.size()));
  out.Fixed(version.value);
  out.Raw(row_key);
  out.Raw(value);
  ++rows_;
  return pending_.size() < kBlockBytes ? Status::Ok() : WriteRows();
}

Status SnapshotWriter::WriteRows() {
  const Status written = Write(SnapshotBlock::kRows, pending_);
  // One large row must not keep its memory for as long as the others take.
  pending_ = {};
  return written;
}

Status SnapshotWriter::End(const std::vector<DatabaseId>& dropped) {
  if (!pending_.empty()) RL_RETURN_IF_ERROR(WriteRows());
  std::vector<uint8_t> payload;
  Encoder out(&payload);
  for (const DatabaseId id : dropped) out.Fixed(id);
  RL_RETURN_IF_ERROR(Write(SnapshotBlock::kDropped, payload));
  payload.clear();
  out.Fixed(rows_);
  return Write(SnapshotBlock::kEnd, payload);
}

Result<SnapshotReader> SnapshotReader::Open(std::unique_ptr<File> file) {
  SnapshotReader reader(std::move(file));
  RL_ASSIGN_OR_RETURN(reader.size_, reader.file_->Size());
  std::array<uint8_t, kSnapshotHeaderBytes> bytes;
  RL_RETURN_IF_ERROR(ReadExactly(*reader.file_, 0, bytes, "a snapshot's header"));
  Decoder in(bytes);
  Bytes magic, group;
  uint32_t version = 0, size = 0;
  in.Raw(kMagic.size(), &magic);
  in.Fixed(&version);
  in.Fixed(&size);
  in.Raw(sizeof(Id128), &group);
  in.Fixed(&reader.header_.segment_bytes);
  in.Fixed(&reader.header_.position.value);
  in.Fixed(&reader.header_.id);
  if (!std::equal(magic.begin(), magic.end(), kMagic.begin())) return Damaged("it is none");
  const auto crc = LoadLe<uint32_t>(bytes.data() + kHeaderCrcAt);
  if (crc != HeaderCrc(bytes)) return Damaged("the checksum of its header");
  if (version > kVersion) {
    return Status(Code::kNewerFormat, "the snapshot was made by a later version");
  }
  const bool zeros = std::all_of(in.rest().begin(), in.rest().end() - sizeof crc,
                                 [](uint8_t byte) { return byte == 0; });
  if (version != kVersion || size != kSnapshotHeaderBytes || !zeros || reader.header_.id == 0 ||
      reader.header_.position > kMaxLsn) {
    return Damaged("a field of its header");
  }
  std::memcpy(reader.header_.group_id.data(), group.data(), group.size());
  reader.chain_ = crc;
  reader.offset_ = bytes.size();
  return reader;
}

// Group, then log, then rows, then the dropped, then the end; of log and rows any number.
Status SnapshotReader::CheckOrder(SnapshotBlock kind) {
  const bool first = !last_;
  const bool repeats = kind == SnapshotBlock::kLog || kind == SnapshotBlock::kRows;
  const bool fits =
      first ? kind == SnapshotBlock::kGroup : kind > *last_ || (kind == *last_ && repeats);
  const bool whole = kind != SnapshotBlock::kEnd || (last_ && *last_ == SnapshotBlock::kDropped);
  return fits && whole ? Status::Ok() : Damaged("a block out of its place");
}

Status SnapshotReader::CheckEnd(Bytes payload) const {
  if (payload.size() != sizeof rows_ || LoadLe<uint64_t>(payload.data()) != rows_) {
    return Damaged("its number of rows");
  }
  return Status::Ok();
}

Result<std::optional<SnapshotReader::Block>> SnapshotReader::Next() {
  constexpr auto kCrcBytes = sizeof(uint32_t);
  if (ended()) {
    if (offset_ == size_) return std::optional<Block>();
    return Damaged("bytes behind its end");
  }
  const uint64_t left = size_ - offset_;
  if (left < kBlockHeadBytes + kCrcBytes) return std::optional<Block>();
  bytes_.resize(kBlockHeadBytes);
  RL_RETURN_IF_ERROR(ReadExactly(*file_, offset_, bytes_, "a snapshot"));
  const auto kind = static_cast<SnapshotBlock>(LoadLe<uint32_t>(bytes_.data()));
  const uint64_t size = LoadLe<uint32_t>(bytes_.data() + 4);
  if (kind < SnapshotBlock::kGroup || kind > SnapshotBlock::kEnd) return Damaged("a block's kind");
  if (size > left - kBlockHeadBytes - kCrcBytes) return std::optional<Block>();
  bytes_.resize(kBlockHeadBytes + size + kCrcBytes);
  RL_RETURN_IF_ERROR(ReadExactly(*file_, offset_, bytes_, "a snapshot"));
  const Bytes content = Bytes(bytes_).first(kBlockHeadBytes + size);
  const auto crc = LoadLe<uint32_t>(bytes_.data() + content.size());
  if (crc != BlockCrc(chain_, content) && !RL_MUTANT(kSkipSnapshotChecksum)) {
    return Damaged("the checksum of a block");
  }
  RL_RETURN_IF_ERROR(CheckOrder(kind));
  Block block{kind, content.subspan(kBlockHeadBytes)};
  if (kind == SnapshotBlock::kEnd) RL_RETURN_IF_ERROR(CheckEnd(block.payload));
  if (kind == SnapshotBlock::kRows) {
    SnapshotRow row;
    Bytes rest = block.payload;
    while (TakeSnapshotRow(&rest, &row)) ++rows_;
    if (!rest.empty()) return Damaged("a row");
  }
  chain_ = crc;
  last_ = kind;
  offset_ += bytes_.size();
  return std::optional<Block>(block);
}

bool TakeSnapshotRow(Bytes* payload, SnapshotRow* row) {
  Decoder in(*payload);
  uint32_t key_bytes = 0, value_bytes = 0;
  if (!in.Fixed(&key_bytes) || !in.Fixed(&value_bytes) || !in.Fixed(&row->version.value)) {
    return false;
  }
  if (!in.Raw(key_bytes, &row->row_key) || !in.Raw(value_bytes, &row->value)) return false;
  *payload = in.rest();
  return true;
}

Result<std::vector<DatabaseId>> DecodeDroppedIds(Bytes payload) {
  std::vector<DatabaseId> ids;
  Decoder in(payload);
  for (DatabaseId id = 0; !in.rest().empty();) {
    if (!in.Fixed(&id) || (!ids.empty() && id <= ids.back()) || id == kBaseNotesId) {
      return Damaged("its list of dropped databases");
    }
    ids.push_back(id);
  }
  return ids;
}

Result<uint64_t> GoodBytes(Env& env, const std::string& path, SnapshotHeader* header) {
  auto file = env.files.Open(path, OpenMode::kRead);
  if (file.status().code() == Code::kNotFound) return uint64_t{0};
  RL_RETURN_IF_ERROR(file.status());
  auto reader = SnapshotReader::Open(std::move(file).value());
  const auto damaged = [](const Status& status) {
    return status.code() == Code::kCorruption || status.code() == Code::kNewerFormat;
  };
  if (damaged(reader.status())) return uint64_t{0};
  RL_RETURN_IF_ERROR(reader.status());
  *header = reader.value().header();
  for (;;) {
    const auto block = reader.value().Next();
    if (!block.ok() && !damaged(block.status())) return block.status();
    if (!block.ok() || !block.value()) return reader.value().offset();
  }
}

}  // namespace ringleader
