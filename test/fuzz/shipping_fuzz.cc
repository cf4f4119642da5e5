// Ships hostile bytes to a replica.
//
// The input is a list of edits to what a primary ships: bytes overwritten or moved, headers,
// payloads and pages sealed again so that the checks behind the checksum are reached too, the whole
// cut into runs. Whatever the bytes: appending ends in a value or a typed error. What got in is a
// log: it reads back as it came, raw and by transactions, verifies, says of its group what the
// append said, and is all there when it is opened again. As long as nothing was sealed with
// a fresh checksum, it is what the primary has.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "env/sim/sim_env.h"
#include "input.h"
#include "log/log.h"

namespace ringleader {
namespace {

const Id128 kGroup{1, 2, 3};
constexpr uint64_t kRecords = 40;
constexpr char kDirectory[] = "replica";

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "shipping_fuzz: %s\n", what);
  std::abort();
}

std::unique_ptr<Log> OpenReplica(Env& env, const char* directory) {
  LogOptions options;
  options.segment_bytes = kMinSegmentBytes;
  options.ring_bytes = kMinRingBytes;
  options.service_threads = false;
  options.group_id = kGroup;
  auto log = Log::Open(env, directory, options);
  Require(log.ok(), "the log does not open");
  Require((*log)->SetGate(Gate::Closed(GateReason::kReplica)).ok(), "the gate does not close");
  return std::move(log).value();
}

// What a primary has: terms, configurations, transactions of one record and of several, a border.
std::vector<uint8_t> MakeOriginal() {
  SimWorld world({.seed = 7});
  const auto log = OpenReplica(world.StartProcess().env(), "primary");
  for (uint64_t i = 0; i < kRecords; ++i) {
    std::vector<uint8_t> payload(i * 331 % 2500, static_cast<uint8_t>(i));
    if (i % 9 == 4) payload.resize(2 * MaxRecordPayload(kMinSegmentBytes) + 100);
    Entry entry;
    entry.payload = payload;
    if (i % 10 == 0) {
      Require(log->SetGate(Gate::Closed(GateReason::kReplica)).ok(), "gate");
      Require(log->AppendTerm({Term(static_cast<uint32_t>(i + 1)), i, 1}).ok(), "term");
      Require(log->AppendConfiguration(log->gate().term, payload).ok(), "configuration");
    }
    Require(log->Append(entry).ok(), "append");
  }
  const auto reader = log->ReadRaw(Lsn());
  std::vector<uint8_t> bytes;
  for (;;) {
    auto run = reader->Next(uint64_t{1} << 20);
    Require(run.ok(), "the original does not read");
    if (run->bytes.empty()) break;
    bytes.insert(bytes.end(), run->bytes.begin(), run->bytes.end());
  }
  Require(bytes.size() > kMinSegmentBytes, "the original crosses no border");
  Require(log->Close().ok(), "close");
  return bytes;
}

class Damage {
 public:
  Damage(FuzzInput& input, std::vector<uint8_t>& bytes) : input_(input), bytes_(bytes) {}

  void Apply(size_t edits) {
    for (; edits > 0 && !input_.empty() && !bytes_.empty(); --edits) One();
  }
  // Checksums have been made to fit: the contents prove nothing any more.
  bool sealed() const { return sealed_; }

 private:
  size_t Place() { return input_.Take(3) % bytes_.size(); }

  void One() {
    switch (input_.Take(1) % 6) {
      case 0:
        bytes_[Place()] = static_cast<uint8_t>(input_.Take(1));
        break;
      case 1: {
        const size_t to = Place(), from = Place();
        const size_t most = bytes_.size() - std::max(to, from);
        std::memmove(bytes_.data() + to, bytes_.data() + from,
                     std::min<size_t>(input_.Take(2), most));
        break;
      }
      case 2:
        bytes_.resize(Place());
        break;
      case 3:
        SealPage();
        break;
      default:
        SealRecord();
        break;
    }
  }

  // The record at or behind some place: a field of its header, or a byte of its payload, gets a new
  // value, and both checksums fit. Sometimes its place is made to fit too.
  void SealRecord() {
    RecordHeader header;
    const size_t from = Place() & ~size_t{7};
    for (size_t at = from; at + sizeof header <= bytes_.size(); at += 8) {
      if (!LooksLikeRecord(Bytes(bytes_).subspan(at), Lsn(at), kMinSegmentBytes)) continue;
      std::memcpy(&header, bytes_.data() + at, sizeof header);
      const uint64_t length = std::min<uint64_t>(header.length, bytes_.size() - at - sizeof header);
      const MutableBytes payload = MutableBytes(bytes_).subspan(at + sizeof header, length);
      if (const uint64_t which = input_.Take(2); which % 2 == 0 && length > 0) {
        payload[which % length] = static_cast<uint8_t>(input_.Take(1));
      } else {
        reinterpret_cast<uint8_t*>(&header)[which % 36] = static_cast<uint8_t>(input_.Take(1));
      }
      if (header.length == length) header.payload_crc = MaskCrc(Crc32c(payload));
      SealRecordHeader(header);
      std::memcpy(bytes_.data() + at, &header, sizeof header);
      // The chain goes on behind it.
      const size_t next = at + RecordBytes(length);
      if (input_.Take(1) % 2 == 0 && next + sizeof header <= bytes_.size() &&
          LooksLikeRecord(Bytes(bytes_).subspan(next), Lsn(next), kMinSegmentBytes)) {
        const uint32_t chain = header.header_crc;
        std::memcpy(&header, bytes_.data() + next, sizeof header);
        header.prev_crc = chain;
        SealRecordHeader(header);
        std::memcpy(bytes_.data() + next, &header, sizeof header);
      }
      sealed_ = true;
      return;
    }
  }

  void SealPage() {
    const size_t at = input_.Take(1) % 2 * kMinSegmentBytes;
    if (at + kSegmentPageBytes > bytes_.size()) return;
    uint8_t* page = bytes_.data() + at;
    page[input_.Take(1) % 72] = static_cast<uint8_t>(input_.Take(1));
    StoreLe(page + 68, MaskCrc(Crc32c(Bytes(page, 68))));
    sealed_ = true;
  }

  FuzzInput& input_;
  std::vector<uint8_t>& bytes_;
  bool sealed_ = false;
};

struct Told {
  std::vector<TermRow> terms;
  std::vector<ConfigurationRow> configurations;
};

// Appends in runs, until all of it is there or is refused.
void Append(Log& log, Bytes bytes, FuzzInput& input, Told* told) {
  for (Lsn from;;) {
    const uint64_t size = std::min<uint64_t>(input.Take(2) + 1, bytes.size() - from.value);
    const Bytes run = input.empty() ? bytes.subspan(from.value) : bytes.subspan(from.value, size);
    const Lsn before = log.Stat().tail;
    const ShippedAppend done = log.AppendRecords(from, run);
    told->terms.insert(told->terms.end(), done.terms.begin(), done.terms.end());
    told->configurations.insert(told->configurations.end(), done.configurations.begin(),
                                done.configurations.end());
    Require(done.end == log.Stat().tail && done.end >= before, "the end that it tells of");
    Require(done.end.value <= from.value + run.size(), "more is there than was shipped");
    const bool all = done.end.value == bytes.size();
    if (done.stop == ShipStop::kRing || done.stop == ShipStop::kSegment) {
      Require(log.AwaitRoom(done).ok(), "there is no room");
    } else if (all || (input.empty() && done.end == before)) {
      return;  // nothing more of it fits
    }
    from = done.end;
  }
}

void CheckLog(Log& log, Bytes bytes, const Told& told) {
  const Lsn end = log.Stat().tail;
  const auto reader = log.ReadRaw(Lsn());
  Lsn at;
  for (;;) {
    auto run = reader->Next(30'000);
    Require(run.ok(), "what got in does not read");
    if (run->bytes.empty()) break;
    Require(std::ranges::equal(run->bytes, bytes.subspan(at.value, run->bytes.size())),
            "what got in is something else");
    at = run->end;
  }
  Require(at == end, "what got in does not all read");
  Require(log.Verify().ok(), "what got in does not verify");
  auto scan = log.ScanGroup();
  Require(scan.ok(), "what got in does not scan");
  Require(scan->terms == told.terms && scan->configurations == told.configurations,
          "what it tells of the group");
  Require(log.LastEnd().ok(), "where its last transaction ends");
}

void Fuzz(Bytes data) {
  static const std::vector<uint8_t>& original = *new std::vector<uint8_t>(MakeOriginal());
  FuzzInput input(data);
  std::vector<uint8_t> bytes = original;
  Damage damage(input, bytes);
  damage.Apply(input.Take(1) % 8);
  SimWorld world({.seed = 3});
  Told told;
  Lsn end;
  {
    const auto log = OpenReplica(world.StartProcess().env(), kDirectory);
    Append(*log, bytes, input, &told);
    CheckLog(*log, bytes, told);
    end = log->Stat().tail;
    Require(
        damage.sealed() || std::equal(bytes.begin(), bytes.begin() + static_cast<long>(end.value),
                                      original.begin()),
        "bytes that no primary has");
    Require(log->Close().ok(), "close");
  }
  const auto log = OpenReplica(world.StartProcess().env(), kDirectory);
  Require(log->Stat().tail == end, "it does not come back as it was");
  CheckLog(*log, bytes, told);
  Require(log->Close().ok(), "close");
}

}  // namespace
}  // namespace ringleader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringleader::Fuzz({data, size});
  return 0;
}
