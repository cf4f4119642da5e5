// What the tests of shipping share: a primary with a random history, a replica of its group, the
// way between them, and the bytes that both have.
#pragma once

#include <algorithm>

#include "engine/hard_state_file.h"
#include "env/sim/sim_rng.h"
#include "log_fixture.h"

namespace ringleader::test {

inline constexpr uint64_t kPieceBytes = MaxRecordPayload(kMinSegmentBytes);

// An environment that belongs to a group from the start: its gate is closed.
inline std::unique_ptr<Log> OpenMember(Env& env, const std::string& directory, const Id128& group,
                                       LogOptions options = SmallLog()) {
  options.group_id = group;
  const Status made = env.files.MakeDirectory(directory);
  CHECK(made.ok() || made.code() == Code::kExists);
  if (made.ok()) CHECK_OK(env.files.SyncDirectory(ParentPath(directory)));
  const Status created = HardStateFile::Create(env, directory);
  CHECK(created.ok() || created.code() == Code::kExists);
  auto log = OpenLog(env, directory, options);
  CHECK(log->gate().state == GateState::kClosed);
  return log;
}

inline void HoldAll(Log& log) { CHECK_OK(log.PutConsumer({"all", log.Stat().start, 0, 0, false})); }

// Begins the next term at this member.
inline Appended Lead(Log& log, uint64_t incarnation = 77, uint32_t member = 1) {
  CHECK_OK(log.SetGate(Gate::Closed(GateReason::kReplica)).status());
  const TermRecord term{Term(log.Stat().term.value + 1), incarnation, member};
  CHECK_VALUE(const Appended at, log.AppendTerm(term));
  CHECK(log.gate() == Gate::Open(term.counter));
  return at;
}

// One step of a primary's life: most often a transaction, sometimes one of several records, a term,
// a configuration, or housekeeping.
inline void WriteSome(Log& log, SimRng& rng, uint64_t number) {
  const auto append = [&](size_t size, RecordType type) {
    const std::vector<uint8_t> payload = Payload(number, size);
    Entry entry = EntryOf(payload);
    entry.type = type;
    CHECK_OK(log.Append(entry).status());
  };
  switch (rng.Below(24)) {
    case 0:
      Lead(log, rng.Below(5) + 1);
      return;
    case 1:
      return append(40 + rng.Below(200), RecordType::kConfiguration);
    case 2:
    case 3:
      return append(kPieceBytes * (1 + rng.Below(6)) + rng.Below(kPieceBytes),
                    RecordType::kTransaction);
    case 4:
      CHECK_OK(log.WaitFor(log.Stat().tail, Level::kFlushed));
      return;
    case 5:
      CHECK_OK(log.Tick());
      return;
    case 6:
    case 7:
      return append(rng.Below(kPieceBytes), RecordType::kTransaction);
    default:
      return append(rng.Below(rng.Below(4) == 0 ? 3000 : 200), RecordType::kTransaction);
  }
}

// Appends what has been read, waiting for room; false where the hook has it wait.
inline bool AppendRun(Log& log, Lsn from, Bytes bytes, WriterHook* hook = nullptr) {
  const Lsn end = from + bytes.size();
  for (;;) {
    const ShippedAppend done = log.AppendRecords(from, bytes, hook);
    CHECK_OK(done.status);
    CHECK(done.end.value == log.Stat().tail.value);
    if (done.stop == ShipStop::kHook) return false;
    if (done.stop == ShipStop::kNothing) {
      CHECK_EQ(done.end.value, end.value);
      return true;
    }
    CHECK(done.end < end);
    CHECK_OK(log.AwaitRoom(done));
  }
}

// Ships what the replica lacks, up to `to`, in runs of random length.
inline void Ship(Log& primary, Log& replica, SimRng& rng, Lsn to = kMaxLsn,
                 WriterHook* hook = nullptr) {
  const auto reader = primary.ReadRaw(replica.Stat().tail);
  for (;;) {
    CHECK_VALUE(const RawRun run, reader->Next(1 + rng.Below(40'000), to));
    CHECK_EQ(run.end - run.from, run.bytes.size());
    if (run.bytes.empty()) return;
    while (!AppendRun(replica, run.from, run.bytes, hook)) {
    }
  }
}

// The bytes of a log's files from `from` up to `to`.
inline std::vector<uint8_t> FileBytes(Env& env, const std::string& directory, Log& log, Lsn from,
                                      Lsn to) {
  CHECK_OK(log.WaitFor(to, Level::kWritten));
  const uint64_t segment = log.identity().segment_bytes;
  const SegmentFiles files(env, JoinPath(directory, "log"), segment);
  std::vector<uint8_t> bytes;
  for (Lsn at = from; at < to;) {
    const Lsn start = SegmentStart(at, segment);
    std::vector<uint8_t> piece(std::min(to, start + segment) - at);
    CHECK_VALUE(const std::unique_ptr<File> file, files.Open(start, OpenMode::kRead));
    CHECK_OK(ReadExactly(*file, at - start, piece, "segment"));
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    at = at + piece.size();
  }
  return bytes;
}

inline bool SameTransactions(const std::vector<Stored>& left, const std::vector<Stored>& right) {
  return std::ranges::equal(left, right, [](const Stored& a, const Stored& b) {
    return a.lsn == b.lsn && a.end == b.end && a.term == b.term && a.payload == b.payload;
  });
}

// Remembers what it is told; has every so manieth transaction wait once.
class Recorder : public WriterHook {
 public:
  explicit Recorder(uint64_t stop_one_in = 0) : stop_one_in_(stop_one_in) {}

  Admission Admit(size_t, Lsn, Entry&) override {
    ++asked_;
    return stop_one_in_ != 0 && asked_ % stop_one_in_ == 0 ? Admission::kStop : Admission::kAppend;
  }
  Status Insert(Lsn end, const Entry& entry) override { return Note(end, entry); }
  Status Redo(Lsn end, const Entry& entry) override {
    ++redone;
    return Note(end, entry);
  }
  void Mend() override {}

  std::vector<Stored> seen;  // without where they begin
  size_t redone = 0;

 private:
  Status Note(Lsn end, const Entry& entry) {
    seen.push_back({Lsn(), end, entry.term, {entry.payload.begin(), entry.payload.end()}});
    return Status::Ok();
  }

  const uint64_t stop_one_in_;
  uint64_t asked_ = 0;
};

}  // namespace ringleader::test
