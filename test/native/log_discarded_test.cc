// What a roll-back discards: kept in a file that is whole or not there, whatever happens in
// between; read back transaction by transaction; never lost to the roll-back that follows.
#include "log/discarded.h"

#include "env/sim/sim_env.h"
#include "ship_fixture.h"

namespace ringleader {
namespace {

using namespace test;

constexpr char kDirectory[] = "member";
constexpr uint64_t kSavedMark = 1;       // the file is promised
constexpr uint64_t kRolledBackMark = 2;  // the log may end at the fork
const Id128 kGroup{3, 2, 1};

std::vector<Stored> ReadDiscarded(Env& env, const std::string& path) {
  CHECK_VALUE(const std::unique_ptr<DiscardedReader> reader, DiscardedReader::Open(env, path));
  std::vector<Stored> all;
  for (;;) {
    CHECK_VALUE(const std::optional<LogEntry> entry, reader->Next());
    if (!entry) return all;
    all.push_back({entry->lsn, entry->end, entry->term,
                   std::vector<uint8_t>(entry->payload.begin(), entry->payload.end())});
  }
}

struct Member {
  explicit Member(Env& where, uint64_t seed, uint64_t transactions = 60) : env(where), rng(seed) {
    log = OpenMember(env, kDirectory, kGroup);
    HoldAll(*log);
    Lead(*log);
    for (uint64_t i = 0; i < transactions; ++i) WriteSome(*log, rng, i);
    CHECK_OK(log->SetGate(Gate::Closed(GateReason::kReplica)).status());
    all = ReadAll(*log);
    fork = rng.Below(all.size() - 1);
  }

  Lsn ForkAt() const { return all[fork].end; }
  std::vector<Stored> Behind() const {
    return {all.begin() + static_cast<long>(fork) + 1, all.end()};
  }
  Result<std::optional<std::string>> Save() {
    return SaveDiscarded(env, kDirectory, *log, ForkAt(), Term(5), 0xabcdef);
  }

  Env& env;
  SimRng rng;
  std::unique_ptr<Log> log;
  std::vector<Stored> all;
  size_t fork = 0;
};

TEST(log_discarded, what_goes_can_be_read) {
  for (uint64_t run = 0; run < Scale(20); ++run) {
    SimWorld world({.seed = Seed() * 1000 + run});
    Member member(world.StartProcess().env(), Seed() * 1000 + run);
    CHECK_VALUE(const std::vector<std::string> none, ListDiscarded(member.env, kDirectory));
    CHECK(none.empty());
    CHECK_VALUE(const std::optional<std::string> path, member.Save());
    CHECK(path.has_value());
    CHECK_VALUE(const std::optional<std::string> again, member.Save());
    CHECK(again == path);
    CHECK_OK(member.log->RollBack(member.ForkAt()));
    // Made once more, as after a crash: nothing is there to be kept, and what was kept stays.
    CHECK_VALUE(const std::optional<std::string> later, member.Save());
    CHECK(!later);
    CHECK(SameTransactions(ReadDiscarded(member.env, *path), member.Behind()));
    CHECK_VALUE(const std::vector<std::string> listed, ListDiscarded(member.env, kDirectory));
    CHECK(listed == std::vector<std::string>{*path});
    CHECK_VALUE(const auto names, member.env.files.List(JoinPath(kDirectory, "discarded")));
    CHECK_EQ(names.size(), 1u);
    CHECK_VALUE(const std::unique_ptr<DiscardedReader> reader,
                DiscardedReader::Open(member.env, *path));
    CHECK_OK(reader->Verify());
    const DiscardedHead& head = reader->head();
    CHECK(head.fork == member.ForkAt() && head.counter == Term(5) && head.incarnation == 0xabcdef &&
          head.group_id == kGroup && head.segment_bytes == kMinSegmentBytes &&
          head.end >= member.all.back().end);
    char name[64];
    std::snprintf(name, sizeof name, "%016llx-5.0000000000abcdef.log",
                  static_cast<unsigned long long>(head.fork.value));
    CHECK(path->ends_with(name));
    // Of a shorter log of the same history the longer file is kept; a longer one replaces it.
    CHECK_OK(member.log->Close());
  }
}

TEST(log_discarded, the_longer_file_stays) {
  SimWorld world({.seed = Seed()});
  Member member(world.StartProcess().env(), Seed());
  member.fork = 2;
  CHECK_VALUE(const std::optional<std::string> path, member.Save());
  CHECK(path.has_value());
  // A part of it was not flushed, and power loss has taken it.
  CHECK_OK(member.log->RollBack(member.all[10].end));
  CHECK_VALUE(const std::optional<std::string> again, member.Save());
  CHECK(again == path);
  CHECK(SameTransactions(ReadDiscarded(member.env, *path), member.Behind()));
  // Damage anywhere: found by the reader or by the checksum; the next one to save makes it new.
  CHECK_VALUE(const std::unique_ptr<File> file, member.env.files.Open(*path, OpenMode::kReadWrite));
  CHECK_VALUE(const uint64_t size, file->Size());
  for (uint64_t round = 0; round < Scale(100); ++round) {
    const uint64_t at = round < 96 ? round : member.rng.Below(size);
    uint8_t byte = 0;
    CHECK_OK(ReadExactly(*file, at, {&byte, 1}, "file"));
    byte ^= 0x40;
    CHECK_OK(file->WriteAt(at, {&byte, 1}));
    const auto opened = DiscardedReader::Open(member.env, *path);
    if (opened.ok()) CHECK_CODE(opened.value()->Verify(), Code::kCorruption);
    if (!opened.ok()) CHECK_CODE(opened.status(), Code::kCorruption);
    byte ^= 0x40;
    CHECK_OK(file->WriteAt(at, {&byte, 1}));
  }
  const uint64_t record = 96 + kRecordHeaderBytes + 3;
  const std::vector<uint8_t> bad(16, 0xdd);
  CHECK_OK(file->WriteAt(record, bad));
  CHECK_VALUE(const std::unique_ptr<DiscardedReader> reader,
              DiscardedReader::Open(member.env, *path));
  CHECK_CODE(reader->Next().status(), Code::kCorruption);
  CHECK_VALUE(const std::optional<std::string> remade, member.Save());
  CHECK(remade == path);
  const std::vector<Stored> found = ReadDiscarded(member.env, *path);
  CHECK_EQ(found.size(), 8u);  // what the log still had
  CHECK_OK(file->Truncate(size - 1));
}

// After a flush of a directory that has failed, no later one says anything about the names that
// were in it: of the directory of these files, and of a file.
TEST(log_discarded, a_name_whose_flush_has_failed_is_not_built_upon) {
  for (const char* where : {"member", "discarded"}) {
    SimWorld world({.seed = Seed()});
    SimProcess& process = world.StartProcess();
    Member member(process.env(), Seed(), 30);
    CHECK_OK(member.log->WaitFor(member.log->Stat().tail, Level::kFlushed));
    world.disk().AddFault({.calls = Calls({SimCall::kSyncDirectory}), .path = where, .count = 1});
    CHECK(!member.Save().ok());
    world.KillProcess(process);
    Bury(std::move(member.log));
    SimProcess& next = world.StartProcess();
    auto log = OpenMember(next.env(), kDirectory, kGroup);
    CHECK_OK(
        SaveDiscarded(next.env(), kDirectory, *log, member.ForkAt(), Term(5), 0xabcdef).status());
    world.KillProcess(next);
    Bury(std::move(log));
    world.PowerCut(CrashPolicy::Nothing(), 1);
    Env& env = world.StartProcess().env();
    CHECK_VALUE(const std::vector<std::string> listed, ListDiscarded(env, kDirectory));
    CHECK_EQ(listed.size(), 1u);
    CHECK(SameTransactions(ReadDiscarded(env, listed[0]), member.Behind()));
  }
}

TEST(log_discarded, a_full_disk_leaves_nothing_behind) {
  SimWorld world({.seed = Seed()});
  Member member(world.StartProcess().env(), Seed());
  world.disk().AddFault(
      {.calls = Calls({SimCall::kWrite}), .path = "discarded/", .count = 1, .sys_errno = ENOSPC});
  CHECK_CODE(member.Save().status(), Code::kNoSpace);
  CHECK_VALUE(const auto names, member.env.files.List(JoinPath(kDirectory, "discarded")));
  CHECK(names.empty());
  CHECK_VALUE(const std::optional<std::string> path, member.Save());
  CHECK(SameTransactions(ReadDiscarded(member.env, *path), member.Behind()));
}

// Save and roll back, cut anywhere: where the log is found to end at the fork, the file is whole;
// where it is not, doing both again ends in the same way. Nested: the second attempt is cut too.
TEST(log_discarded, power_cuts) {
  uint64_t states = 0, rolled = 0;
  for (uint64_t run = 0; run < Scale(12); ++run) {
    const uint64_t seed = Seed() * 1000 + run;
    SimWorld world({.seed = seed});
    Member member(world.StartProcess().env(), seed, 30);
    CHECK_OK(member.log->WaitFor(member.log->Stat().tail, Level::kFlushed));
    const uint64_t first = world.disk().last_op();
    const auto keep_and_cut = [&](SimWorld& where, Env& env, Log& log) {
      const auto saved = SaveDiscarded(env, kDirectory, log, member.ForkAt(), Term(5), 0xabcdef);
      CHECK_OK(saved.status());
      where.disk().Mark(kSavedMark, 1);
      CHECK_OK(log.RollBack(member.ForkAt()));
      where.disk().Mark(kRolledBackMark, 1);
    };
    // Returns the log of what the cut has left, checked.
    const auto check = [&](SimWorld& after, Env& env, bool saved) {
      auto log = OpenMember(env, kDirectory, kGroup);
      CHECK_VALUE(const std::vector<std::string> listed, ListDiscarded(env, kDirectory));
      const size_t found = ReadAll(*log).size();
      CHECK(found == member.all.size() || found == member.fork + 1);
      if (saved || found == member.fork + 1) CHECK_EQ(listed.size(), 1u);
      for (const std::string& path : listed) {
        CHECK(SameTransactions(ReadDiscarded(env, path), member.Behind()));
      }
      rolled += found == member.fork + 1 ? 1 : 0;
      keep_and_cut(after, env, *log);
      CHECK_EQ(ReadAll(*log).size(), member.fork + 1);
      CHECK_OK(log->Close());
    };
    keep_and_cut(world, member.env, *member.log);
    for (uint64_t op = first; op <= world.disk().last_op(); ++op) {
      for (uint64_t kind = 0; kind < 3; ++kind, ++states) {
        const CrashPolicy policy = kind == 0   ? CrashPolicy::Nothing()
                                   : kind == 1 ? CrashPolicy::Everything()
                                               : CrashPolicy::Random();
        const uint64_t cut_seed = seed * 1'000'003 + op * 3 + kind;
        try {
          SimWorld after({.seed = cut_seed}, world.disk().CrashState(op, policy, cut_seed));
          const bool saved = world.disk().LastMark(kSavedMark, op).has_value();
          check(after, after.StartProcess().env(), saved);
          if (kind != 2) continue;
          const uint64_t second = 1 + member.rng.Below(after.disk().last_op());
          SimWorld last({.seed = cut_seed}, after.disk().CrashState(second, policy, cut_seed));
          const bool still = saved || after.disk().LastMark(kSavedMark, second).has_value();
          check(last, last.StartProcess().env(), still);
        } catch (const Failure& failure) {
          throw Failure{failure.text + "\n    run seed " + std::to_string(seed) +
                        ", cut after operation " + std::to_string(op) + ", kind " +
                        std::to_string(kind)};
        }
      }
    }
  }
  std::printf("log_discarded: %llu crash states, %llu with the fork as their end\n",
              static_cast<unsigned long long>(states), static_cast<unsigned long long>(rolled));
  CHECK(rolled > 50);
}

}  // namespace
}  // namespace ringleader
