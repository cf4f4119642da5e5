// A log put in place of another one, as with a snapshot: what is there afterwards, what is refused,
// and what a power cut leaves at every point.
#include "log/log_replacement.h"

#include "env/sim/sim_env.h"
#include "ship_fixture.h"

namespace ringleader {
namespace {

using namespace test;

constexpr char kDirectory[] = "member";
constexpr char kRows[] = "member/rows";  // stands for what goes with the log
const Id128 kGroup{5, 5, 5};
const Id128 kOldId{1}, kNewId{2};

// A primary with several segments, and what it gives of its log with a snapshot.
struct Donor {
  explicit Donor(Env& env) {
    log = OpenMember(env, "donor", kGroup);
    HoldAll(*log);
    Lead(*log);
    for (uint64_t i = 0; i < 60; ++i) ends.push_back(AppendOne(*log, i, 4000).end);
  }
  ~Donor() { (void)log->Close().ok(); }

  NewLog At(Lsn end) {
    NewLog made;
    made.environment_id = kNewId;
    made.group_id = kGroup;
    made.segment_bytes = kMinSegmentBytes;
    made.end = end;
    const Lsn first = LogReplacement::FirstByte(end, kMinSegmentBytes);
    const auto reader = log->ReadRaw(first);
    CHECK_VALUE(const RawRun run, reader->Next(2 * kMinSegmentBytes, end));
    CHECK(run.from == first && run.end == end);
    bytes.assign(run.bytes.begin(), run.bytes.end());
    made.raw = bytes;
    return made;
  }

  std::unique_ptr<Log> log;
  std::vector<Lsn> ends;
  std::vector<uint8_t> bytes;
};

// What takes the place: of the log, and of the rows in between.
Status Replace(Env& env, const NewLog& log) {
  RL_ASSIGN_OR_RETURN(const auto replacement, LogReplacement::Begin(env, kDirectory, log));
  {
    RL_ASSIGN_OR_RETURN(const auto rows, env.files.Open(kRows, OpenMode::kCreate));
    RL_RETURN_IF_ERROR(rows->WriteAt(0, log.environment_id));
    RL_RETURN_IF_ERROR(rows->SyncData());
  }
  return replacement->Finish();
}

// The member before: another history, of more terms, longer than the snapshot or shorter.
void MakeOld(Env& env, uint64_t count) {
  const auto log = OpenMember(env, kDirectory, kGroup);
  HoldAll(*log);
  Lead(*log, 99);
  for (uint64_t i = 0; i < count; ++i) AppendOne(*log, 7000 + i, 3000);
  CHECK_OK(log->Close());
  CHECK_VALUE(const auto rows, env.files.Open(kRows, OpenMode::kCreate));
  CHECK_OK(rows->WriteAt(0, kOldId));
  CHECK_OK(rows->SyncData());
  CHECK_OK(env.files.SyncDirectory(kDirectory));
}

Id128 RowsOf(Env& env) {
  CHECK_VALUE(const auto rows, env.files.Open(kRows, OpenMode::kRead));
  Id128 id;
  CHECK_OK(ReadExactly(*rows, 0, id, kRows));
  return id;
}

// The log that was put there: it ends at `end`, has nothing below its segment, and takes what
// comes.
void CheckNew(Env& env, Donor& donor, Lsn end) {
  auto log = OpenMember(env, kDirectory, kGroup);
  const Lsn first = LogReplacement::FirstByte(end, kMinSegmentBytes);
  const LogStat stat = log->Stat();
  CHECK(stat.start == first && stat.tail == end && stat.visible == end && stat.durable == end);
  CHECK_VALUE(const Lsn last, log->LastEnd());
  CHECK_EQ(last.value, end.value);
  CHECK(log->identity().environment_id == kNewId);
  CHECK(SameTransactions(ReadAll(*log, first), [&] {
    std::vector<Stored> there = ReadAll(*donor.log, first);
    std::erase_if(there, [&](const Stored& stored) { return stored.end > end; });
    return there;
  }()));
  if (first > Lsn()) {
    CHECK_CODE(log->Read(Lsn())->Next().status(), Code::kTrimmed);
    CHECK_CODE(log->ReadRaw(Lsn(first.value - 8))->Next(1000).status(), Code::kTrimmed);
    CHECK_CODE(log->RollBack(Lsn(first.value - 8)), Code::kTrimmed);
    CHECK_CODE(log->PutConsumer({"late", Lsn(), 0, 0, false}), Code::kTrimmed);
  }
  CHECK_OK(log->Verify().status());
  SimRng rng(Seed());
  Ship(*donor.log, *log, rng);
  CHECK(FileBytes(env, kDirectory, *log, first, donor.log->Stat().tail) ==
        FileBytes(env, "donor", *donor.log, first, donor.log->Stat().tail));
  CHECK_OK(log->Close());
  log = OpenMember(env, kDirectory, kGroup);
  CHECK_EQ(log->Stat().tail.value, donor.log->Stat().tail.value);
  CHECK_OK(log->Close());
}

TEST(log_replacement, the_log_goes_on_where_the_snapshot_ends) {
  for (const size_t at : {0u, 1u, 14u, 15u, 16u, 45u, 59u}) {
    for (const uint64_t old : {0u, 3u, 90u}) {
      SimWorld world({.seed = Seed()});
      Env& env = world.StartProcess().env();
      Donor donor(env);
      if (old != 0) MakeOld(env, old);
      if (old == 0) CHECK_OK(env.files.MakeDirectory(kDirectory));
      for (int i = 0; i < 2; ++i) {  // once more over itself
        CHECK_OK(Replace(env, donor.At(donor.ends[at])));
        CheckNew(env, donor, donor.ends[at]);
      }
    }
  }
}

TEST(log_replacement, what_does_not_fit_changes_nothing) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  Donor donor(env);
  MakeOld(env, 20);
  const NewLog good = donor.At(donor.ends[40]);
  const std::vector<uint8_t> bytes(good.raw.begin(), good.raw.end());
  const auto refused = [&](const NewLog& log, Code code) {
    CHECK_CODE(LogReplacement::Begin(env, kDirectory, log).status(), code);
    CHECK_VALUE(const bool incomplete, IsIncomplete(env, kDirectory));
    CHECK(!incomplete);
  };
  NewLog bad = good;
  bad.end = donor.ends[39];
  refused(bad, Code::kInvalidArgument);
  bad = good;
  bad.group_id = Id128{6};
  refused(bad, Code::kInvalidArgument);
  bad = good;
  bad.segment_bytes = 2 * kMinSegmentBytes;
  refused(bad, Code::kInvalidArgument);
  bad = good;
  bad.raw = good.raw.first(good.raw.size() - 8);
  bad.end = Lsn(good.end.value - 8);
  refused(bad, Code::kCorruption);
  for (const size_t at : {3u, 20u, 60u, 4100u, 5000u}) {
    std::vector<uint8_t> flipped = bytes;
    flipped[at] ^= 1;
    bad = good;
    bad.raw = flipped;
    CHECK(!LogReplacement::Begin(env, kDirectory, bad).ok());
  }
  // Pieces of a transaction are no end.
  const Appended large = AppendOne(*donor.log, 1, 3 * kPieceBytes);
  refused(donor.At(large.lsn + RecordBytes(kPieceBytes)), Code::kInvalidArgument);
  auto log = OpenMember(env, kDirectory, kGroup);
  refused(donor.At(donor.ends[40]), Code::kBusy);
  CHECK_EQ(ReadAll(*log).size(), 21u);
  CHECK_OK(log->Close());
}

// At every operation of it: the old environment, an incomplete one, or the new one, and none of
// them with the rows of another.
TEST(log_replacement, a_power_cut_leaves_one_of_three) {
  uint64_t before = 0, incomplete = 0, after = 0;
  for (const uint64_t old : {10u, 60u}) {
    for (const size_t at : {12u, 40u}) {
      SimWorld source({.seed = Seed()});
      Env& source_env = source.StartProcess().env();
      Donor donor(source_env);
      const NewLog log = donor.At(donor.ends[at]);
      SimWorld world({.seed = Seed()});
      Env& env = world.StartProcess().env();
      MakeOld(env, old);
      const uint64_t began = world.disk().last_op();
      CHECK_OK(Replace(env, log));
      for (uint64_t point = began; point <= world.disk().last_op(); ++point) {
        for (uint64_t kind = 0; kind < 3; ++kind) {
          const CrashPolicy policy = kind == 0   ? CrashPolicy::Nothing()
                                     : kind == 1 ? CrashPolicy::Everything()
                                                 : CrashPolicy::Random();
          const uint64_t seed = Seed() * 1000 + point;
          SimWorld cut({.seed = seed}, world.disk().CrashState(point, policy, seed));
          Env& found = cut.StartProcess().env();
          CHECK_VALUE(const bool half, IsIncomplete(found, kDirectory));
          if (half) {
            LogOptions options = SmallLog();
            options.group_id = kGroup;
            CHECK_CODE(Log::Open(found, kDirectory, options).status(), Code::kCorruption);
            CHECK_OK(Replace(found, log));
            ++incomplete;
          }
          auto opened = OpenMember(found, kDirectory, kGroup);
          const bool is_new = opened->identity().environment_id == kNewId;
          CHECK(RowsOf(found) == (is_new ? kNewId : kOldId));
          if (!is_new) CHECK_EQ(ReadAll(*opened).size(), old + 1);
          if (is_new) CHECK_EQ(opened->Stat().tail.value, log.end.value);
          CHECK_OK(opened->Verify().status());
          CHECK_OK(opened->Close());
          if (!is_new) ++before;
          if (is_new && !half) ++after;
        }
      }
    }
  }
  std::printf("log_replacement: %llu states before, %llu incomplete, %llu after\n",
              static_cast<unsigned long long>(before), static_cast<unsigned long long>(incomplete),
              static_cast<unsigned long long>(after));
  CHECK(before > 0 && incomplete > 0 && after > 0);
}

}  // namespace
}  // namespace ringleader
