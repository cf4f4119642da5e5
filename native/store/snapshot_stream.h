// A snapshot of an environment as a stream of bytes: what one member of a group sends another that
// lacks more than any log still has.
//
//   header | group | log ... | rows ... | dropped | end
//
// The base's rows in the order of their keys, as of one position; the log's bytes of the segment in
// which that lies; and what the layer above needs to go on from there, which is none of the store's
// business. Every block carries a checksum over itself and the checksum of the block before, so
// blocks cannot be left out, repeated or exchanged. (docs/FORMATS.md#snapshot)
//
// What is read is anybody's until it has been checked: no length is believed beyond the end of the
// file.
// Threads: one per object.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "env/env.h"
#include "log/log_format.h"
#include "store/row.h"

namespace ringleader {

// Below an environment's directory.
inline constexpr char kSnapshotDirectoryName[] = "snapshot";
inline constexpr char kIncomingName[] = "incoming";
inline constexpr char kOutgoingName[] = "outgoing";

inline constexpr size_t kSnapshotHeaderBytes = 64;
inline constexpr size_t kMaxSnapshotGroupBytes = size_t{1} << 20;

struct SnapshotHeader {
  Id128 group_id{};
  uint64_t segment_bytes = 0;
  Lsn position;     // an end of a transaction: everything below is in it
  uint64_t id = 0;  // never 0

  bool operator==(const SnapshotHeader&) const = default;
};

enum class SnapshotBlock : uint32_t {
  kGroup = 1,
  kLog = 2,
  kRows = 3,
  kDropped = 4,
  kEnd = 5,
};

struct SnapshotRow {
  Bytes row_key;
  Lsn version;
  Bytes value;
};

class SnapshotWriter {
 public:
  // An empty file.
  SnapshotWriter(File& file, const SnapshotHeader& header) : file_(file), header_(header) {}

  Status Begin(Bytes group);
  Status Log(Bytes raw);
  Status Row(Bytes row_key, Lsn version, Bytes value);
  // Not flushed.
  Status End(const std::vector<DatabaseId>& dropped);
  uint64_t bytes() const { return at_; }

 private:
  Status Write(SnapshotBlock kind, Bytes payload);
  Status WriteRows();

  File& file_;
  const SnapshotHeader header_;
  uint64_t at_ = 0;
  uint32_t chain_ = 0;
  uint64_t rows_ = 0;
  std::vector<uint8_t> pending_;  // rows of the block that is being filled
  std::vector<uint8_t> frame_;
};

class SnapshotReader {
 public:
  // kCorruption where the header fails its checks, kNewerFormat.
  static Result<SnapshotReader> Open(std::unique_ptr<File> file);

  const SnapshotHeader& header() const { return header_; }
  struct Block {
    SnapshotBlock kind = SnapshotBlock::kEnd;
    Bytes payload;  // valid until the next call
  };
  // nullopt where the file ends before the block does. kCorruption where it fails its checks or
  // stands where it must not, or where something follows the last one.
  Result<std::optional<Block>> Next();
  // Behind the last block that was good.
  uint64_t offset() const { return offset_; }
  // The last block has been read.
  bool ended() const { return last_ == SnapshotBlock::kEnd; }

 private:
  explicit SnapshotReader(std::unique_ptr<File> file) : file_(std::move(file)) {}

  Status CheckOrder(SnapshotBlock kind);
  Status CheckEnd(Bytes payload) const;

  std::unique_ptr<File> file_;
  SnapshotHeader header_;
  uint64_t size_ = 0;
  uint64_t offset_ = 0;
  uint32_t chain_ = 0;
  std::optional<SnapshotBlock> last_;
  uint64_t rows_ = 0;
  std::vector<uint8_t> bytes_;
};

// Takes the first row off the payload of a kRows block. False where there is none that makes sense.
bool TakeSnapshotRow(Bytes* payload, SnapshotRow* row);
// kCorruption where the payload of a kDropped block makes no sense.
Result<std::vector<DatabaseId>> DecodeDroppedIds(Bytes payload);

// How many bytes of a stream that is being received are good: whole blocks from the beginning on.
Result<uint64_t> GoodBytes(Env& env, const std::string& path, SnapshotHeader* header);

}  // namespace ringleader
