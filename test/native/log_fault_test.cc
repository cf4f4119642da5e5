// Disks that fail, fill up, hang, lie and rot under the log; files that are missing or belong
// elsewhere. Each is a typed error with the right fate, or recovery by rule; never wrong data.
#include <algorithm>
#include <map>

#include "env/sim/sim_env.h"
#include "log_fixture.h"

namespace ringleader {
namespace {

using test::AppendOne;
using test::EntryOf;
using test::OpenLog;
using test::Payload;
using test::ReadAll;
using test::SmallLog;
using test::Stored;

constexpr char kDirectory[] = "env";
const std::string kFirstSegment = "env/log/" + SegmentName(Lsn());

Status TryOpen(SimProcess& process, const std::string& directory = kDirectory) {
  return Log::Open(process.env(), directory, SmallLog()).status();
}

void FlushAll(Log& log) { CHECK_OK(log.WaitFor(log.Stat().tail, Level::kFlushed)); }

void Kill(SimWorld& world, SimProcess& process, std::unique_ptr<Log> log) {
  world.KillProcess(process);
  test::Bury(std::move(log));
}

void ExpectPayloads(Log& log, uint64_t count, size_t size) {
  const std::vector<Stored> all = ReadAll(log);
  CHECK_EQ(all.size(), size_t{count});
  for (uint64_t i = 0; i < count; ++i) CHECK(all[i].payload == Payload(i, size));
}

// --- failing ---

void FailingCallEndsTheEnvironment(SimCall call) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  AppendOne(*log, 0, 100);
  FlushAll(*log);
  const Appended lost = AppendOne(*log, 1, 100);
  world.disk().AddFault({.calls = Calls({call}), .path = ".seg", .count = 1});
  const Status failed = log->WaitFor(lost.end, Level::kFlushed);
  CHECK_CODE(failed, Code::kFailed);
  CHECK(failed.fate() == Fate::kUnknown);
  CHECK_EQ(failed.sys_errno(), EIO);
  CHECK(!log->Reached(lost.end, Level::kFlushed));
  // The disk is well again; nothing is tried a second time.
  CHECK_CODE(log->WaitFor(lost.end, Level::kFlushed), Code::kFailed);
  CHECK(!log->Reached(lost.end, Level::kFlushed));
  const std::vector<uint8_t> payload = Payload(2, 100);
  const Status refused = log->Append(EntryOf(payload)).status();
  CHECK_CODE(refused, Code::kFailed);
  CHECK(refused.fate() == Fate::kNone);
  CHECK_CODE(log->Tick(), Code::kFailed);
  CHECK_EQ(log->Stat().failed_errno, EIO);
  CHECK(!ReadAll(*log).empty());  // reads go on
  CHECK_CODE(TryOpen(world.StartProcess()), Code::kFailed);
  CHECK_CODE(log->Close(), Code::kFailed);
  // Everybody has left: opening recovers, and what it reports as flushed is flushed.
  log = OpenLog(process.env(), kDirectory, SmallLog());
  const size_t found = ReadAll(*log).size();
  CHECK(found >= 1);
  CHECK(log->Stat().durable == log->Stat().tail);
  AppendOne(*log, found, 100);
  FlushAll(*log);
  Kill(world, process, std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  ExpectPayloads(*log, found + 1, 100);
}

TEST(log_fault, a_failed_flush_is_final) { FailingCallEndsTheEnvironment(SimCall::kSyncData); }

TEST(log_fault, a_failed_write_is_final) { FailingCallEndsTheEnvironment(SimCall::kWrite); }

TEST(log_fault, a_control_page_that_cannot_be_saved_is_final) {
  SimWorld world;
  auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  AppendOne(*log, 0, 100);
  FlushAll(*log);
  world.disk().AddFault({.calls = Calls({SimCall::kSyncData}), .path = "control", .count = 1});
  CHECK_CODE(log->PutConsumer({"base", Lsn(), 0, 0, false}), Code::kIo);
  CHECK_CODE(log->Failure(), Code::kFailed);
}

TEST(log_fault, opening_reports_what_the_disk_says) {
  for (const SimCall call : {SimCall::kRead, SimCall::kWrite, SimCall::kSyncData,
                             SimCall::kSyncDirectory, SimCall::kRename, SimCall::kOpen}) {
    for (uint64_t skip = 0; skip < 6; ++skip) {
      SimWorld world;
      SimProcess& process = world.StartProcess();
      const uint64_t rule =
          world.disk().AddFault({.calls = Calls({call}), .path = "env/", .skip = skip, .count = 1});
      const Status opened = TryOpen(process);
      if (world.disk().FaultHits(rule) > 0 && !opened.ok()) CHECK_CODE(opened, Code::kIo);
      world.disk().RemoveAllFaults();
      // A second try meets whatever the first one left.
      CHECK_OK(TryOpen(process));
    }
  }
}

// --- full ---

TEST(log_fault, a_full_disk_refuses_cleanly_and_recovers) {
  SimWorld world;
  const auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  world.disk().SetCapacity(world.disk().used_bytes() + 3 * kMinSegmentBytes);
  uint64_t count = 0;
  Status status;
  std::vector<uint8_t> payload;
  while (status.ok()) {
    payload = Payload(count, 1000);
    status = log->Append(EntryOf(payload)).status();
    if (status.ok()) ++count;
  }
  CHECK_CODE(status, Code::kNoSpace);
  CHECK(status.fate() == Fate::kNone);
  CHECK(count > 100);
  CHECK(log->Stat().disk_full);
  std::vector<Appended> none(1);
  const Entry entry = EntryOf(payload);
  CHECK_VALUE(const size_t tried, log->TryAppend({&entry, 1}, none));
  CHECK_EQ(tried, size_t{0});
  FlushAll(*log);  // what was accepted has its room
  ExpectPayloads(*log, count, 1000);
  CHECK_CODE(log->Append(entry).status(), Code::kNoSpace);
  world.disk().SetCapacity(uint64_t{1} << 40);
  CHECK_CODE(log->Append(entry).status(), Code::kNoSpace);  // asked again only after a while
  world.clock().Advance(200'000'000);
  AppendOne(*log, count, 1000);
  CHECK(!log->Stat().disk_full);
  ExpectPayloads(*log, count + 1, 1000);
}

TEST(log_fault, a_large_transaction_that_does_not_fit_never_happened) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  AppendOne(*log, 0, 1000);
  world.disk().SetCapacity(world.disk().used_bytes() + 2 * kMinSegmentBytes);
  const std::vector<uint8_t> large = Payload(9, 10 * kMinSegmentBytes);
  const Status status = log->Append(EntryOf(large)).status();
  CHECK_CODE(status, Code::kNoSpace);
  CHECK(status.fate() == Fate::kNone);
  ExpectPayloads(*log, 1, 1000);
  world.disk().SetCapacity(uint64_t{1} << 40);
  world.clock().Advance(200'000'000);
  AppendOne(*log, 1, 1000);
  ExpectPayloads(*log, 2, 1000);
  FlushAll(*log);
  Kill(world, process, std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
  ExpectPayloads(*log, 2, 1000);
}

TEST(log_fault, a_full_disk_can_be_opened_and_read) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  while (log->Stat().tail.value < kMinSegmentBytes - 2000) {
    AppendOne(*log, ReadAll(*log).size(), 1000);
  }
  const size_t count = ReadAll(*log).size();
  CHECK_OK(log->Close());
  world.disk().SetCapacity(world.disk().used_bytes());
  log = OpenLog(process.env(), kDirectory, SmallLog());
  ExpectPayloads(*log, count, 1000);
}

// --- hanging ---

TEST(log_fault, a_hung_disk_shows_as_flush_age) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  const auto log = OpenLog(process.env(), kDirectory, SmallLog());
  const Appended at = AppendOne(*log, 0, 100);
  const uint64_t rule = world.disk().AddFault(
      {.calls = Calls({SimCall::kSyncData}), .path = ".seg", .action = FaultAction::kHang});
  Status flushed(Code::kBusy, "not yet");
  auto thread = process.env().threads.Spawn(
      "flusher", [&] { flushed = log->WaitFor(at.end, Level::kFlushed); });
  uint64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    world.threads().Sleep(1'000'000'000);
    const uint64_t age = log->Stat().flush_age_ns;
    CHECK(age >= last + 900'000'000);
    last = age;
  }
  // Somebody else who waits, with a limit, learns that it is not known.
  const Status late = log->WaitFor(at.end, Level::kFlushed, 50'000'000);
  CHECK_CODE(late, Code::kTimeout);
  CHECK(late.fate() == Fate::kUnknown);
  AppendOne(*log, 1, 100);  // appending does not need the disk
  CHECK(world.disk().RemoveFault(rule));
  thread.reset();
  CHECK_OK(flushed);
  CHECK_EQ(log->Stat().flush_age_ns, uint64_t{0});
}

// --- lying and rotting ---

TEST(log_fault, a_lying_disk_is_found_out_by_the_durable_mark) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  AppendOne(*log, 0, 100);
  FlushAll(*log);
  world.disk().AddFault(
      {.calls = Calls({SimCall::kSyncData}), .path = ".seg", .action = FaultAction::kLie});
  for (uint64_t i = 1; i < 20; ++i) AppendOne(*log, i, 100);
  FlushAll(*log);
  world.clock().Advance(2 * kControlSaveIntervalNs);
  CHECK_OK(log->Tick());  // saves the mark, and that is flushed
  Kill(world, process, std::move(log));
  world.PowerCut(CrashPolicy::Nothing(), 1);
  CHECK_CODE(TryOpen(world.StartProcess()), Code::kCorruption);
}

// Everything on the disk, to see that a refusal changes nothing.
std::map<std::string, std::vector<uint8_t>> Contents(SimWorld& world) {
  std::map<std::string, std::vector<uint8_t>> contents;
  Env& env = world.StartProcess().env();
  for (const std::string& directory : {std::string(kDirectory), std::string("env/log")}) {
    CHECK_VALUE(const std::vector<std::string> names, env.files.List(directory));
    for (const std::string& name : names) {
      const std::string path = JoinPath(directory, name);
      CHECK_VALUE(const FileInfo info, env.files.Info(path));
      if (info.is_directory) continue;
      CHECK_VALUE(const auto file, env.files.Open(path, OpenMode::kRead));
      std::vector<uint8_t> bytes(info.size);
      CHECK_OK(ReadExactly(*file, 0, bytes, path));
      contents[path] = bytes;
    }
  }
  return contents;
}

TEST(log_fault, rot_below_the_mark_is_refused_and_changes_nothing) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{70}, kSegmentPageBytes + 3,
                                kSegmentPageBytes + 45, kSegmentPageBytes + 1000}) {
    SimWorld world;
    const auto log = OpenLog(world.StartProcess().env(), kDirectory, SmallLog());
    for (uint64_t i = 0; i < 20; ++i) AppendOne(*log, i, 100);
    CHECK_OK(log->Close());
    world.disk().FlipBits(kFirstSegment, offset, 0x10);
    const auto before = Contents(world);
    CHECK_CODE(TryOpen(world.StartProcess()), Code::kCorruption);
    CHECK(Contents(world) == before);
  }
}

TEST(log_fault, rot_in_an_earlier_segment_is_found_by_whoever_reads_it) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  for (uint64_t i = 0; i < 200; ++i) AppendOne(*log, i, 1000);
  CHECK_OK(log->Close());
  world.disk().FlipBits(kFirstSegment, 30'000, 1);
  log = OpenLog(process.env(), kDirectory, SmallLog());
  CHECK_CODE(log->Verify().status(), Code::kCorruption);
  const auto reader = log->Read(Lsn());
  uint64_t whole = 0;
  for (;; ++whole) {
    const auto entry = reader->Next();
    if (!entry.ok()) {
      CHECK_CODE(entry.status(), Code::kCorruption);
      break;
    }
    CHECK(entry.value().has_value());
    CHECK(std::ranges::equal(entry.value()->payload, Payload(whole, 1000)));
  }
  CHECK_EQ(whole, uint64_t{(30'000 - kSegmentPageBytes) / 1040});
}

TEST(log_fault, missing_and_misplaced_segments_are_refused) {
  const std::string second = "env/log/" + SegmentName(Lsn(kMinSegmentBytes));
  const std::string third = "env/log/" + SegmentName(Lsn(2 * kMinSegmentBytes));
  using Change = Status (*)(FileSystem&, const std::string&, const std::string&);
  const Change changes[] = {
      [](FileSystem& files, const std::string& b, const std::string&) { return files.Remove(b); },
      [](FileSystem& files, const std::string&, const std::string&) {
        return files.Remove(kFirstSegment);
      },
      [](FileSystem& files, const std::string& b, const std::string& c) {
        return files.Rename(b, c);
      },
      [](FileSystem& files, const std::string& b, const std::string&) {
        return files.Rename(kFirstSegment, b);
      },
      [](FileSystem& files, const std::string&, const std::string&) {
        return files.Rename("env/log", "env/gone");
      },
      [](FileSystem& files, const std::string&, const std::string&) {
        return files.Remove("env/control");
      },
      [](FileSystem& files, const std::string& b, const std::string&) {
        return files.Rename(b, "env/log/0000000000000100.seg");
      },
  };
  for (const Change change : changes) {
    SimWorld world;
    SimProcess& process = world.StartProcess();
    const auto log = OpenLog(process.env(), kDirectory, SmallLog());
    for (uint64_t i = 0; i < 150; ++i) AppendOne(*log, i, 1000);
    CHECK_OK(log->Close());
    CHECK_OK(change(process.env().files, second, third));
    CHECK_CODE(TryOpen(process), Code::kCorruption);
  }
}

// Two logs of one group that went different ways: their records look alike, stand at the same
// places, and only the chain tells them apart.
TEST(log_fault, a_record_of_another_history_ends_the_log) {
  SimWorld world;
  LogOptions options = SmallLog();
  options.group_id = Id128{1};
  constexpr uint64_t kRecord = 1040;
  for (const char* directory : {"env", "other"}) {
    SimProcess& process = world.StartProcess();
    auto log = OpenLog(process.env(), directory, options);
    for (uint64_t i = 0; i < 20; ++i) AppendOne(*log, directory[0] == 'o' ? i + 1000 : i, 1000);
    FlushAll(*log);
    Kill(world, process, std::move(log));  // not closed in order: the mark stays where it was
  }
  world.Reboot();
  Env& env = world.StartProcess().env();
  const std::string name = SegmentName(Lsn());
  CHECK_VALUE(const auto from, env.files.Open("other/log/" + name, OpenMode::kRead));
  CHECK_VALUE(const auto to, env.files.Open("env/log/" + name, OpenMode::kReadWrite));
  std::vector<uint8_t> record(kRecord);
  CHECK_OK(ReadExactly(*from, kSegmentPageBytes + 5 * kRecord, record, name));
  CHECK_OK(to->WriteAt(kSegmentPageBytes + 5 * kRecord, record));
  const auto log = OpenLog(env, kDirectory, options);
  CHECK(log->Stat().recovered_torn_tail);
  ExpectPayloads(*log, 5, 1000);
}

TEST(log_fault, a_segment_of_another_history_is_found_by_whoever_reads_it) {
  SimWorld world;
  LogOptions options = SmallLog();
  options.group_id = Id128{1};
  Env& env = world.StartProcess().env();
  for (const char* directory : {"env", "other"}) {
    const auto log = OpenLog(env, directory, options);
    for (uint64_t i = 0; i < 150; ++i) AppendOne(*log, directory[0] == 'o' ? i + 1000 : i, 1000);
    CHECK_OK(log->Close());
  }
  const std::string name = SegmentName(Lsn(kMinSegmentBytes));
  CHECK_OK(env.files.Rename("other/log/" + name, "env/log/" + name));
  const auto log = OpenLog(env, kDirectory, options);
  CHECK_CODE(log->Verify().status(), Code::kCorruption);
}

TEST(log_fault, an_intact_record_far_behind_a_bad_one_means_damage) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  LogOptions options = SmallLog();
  options.segment_bytes = uint64_t{32} << 20;
  options.ring_bytes = SmallestRing(options.segment_bytes);
  auto log = OpenLog(process.env(), kDirectory, options);
  while (log->Stat().tail.value < (uint64_t{24} << 20)) AppendOne(*log, 0, 500'000);
  FlushAll(*log);
  Kill(world, process, std::move(log));
  world.Reboot();  // the mark in the control page is still 0
  const auto open = [&] { return Log::Open(world.StartProcess().env(), kDirectory, options); };
  world.disk().FlipBits(kFirstSegment, uint64_t{2} << 20, 1);
  CHECK_CODE(open().status(), Code::kCorruption);
  world.disk().FlipBits(kFirstSegment, uint64_t{2} << 20, 1);
  world.disk().FlipBits(kFirstSegment, uint64_t{20} << 20, 1);  // near the end: may be torn
  CHECK_OK(open().status());
}

TEST(log_fault, one_control_slot_is_enough_none_is_not) {
  SimWorld world;
  SimProcess& process = world.StartProcess();
  auto log = OpenLog(process.env(), kDirectory, SmallLog());
  AppendOne(*log, 0, 100);
  CHECK_OK(log->Close());
  for (const uint64_t slot : {uint64_t{0}, kControlSlotBytes}) {
    world.disk().FlipBits("env/control", slot + 30, 1);
    CHECK_OK(TryOpen(process));
    log = OpenLog(process.env(), kDirectory, SmallLog());
    ExpectPayloads(*log, 1, 100);
    CHECK_OK(log->Close());  // two saves: both slots are whole again
  }
  world.disk().FlipBits("env/control", 30, 1);
  world.disk().FlipBits("env/control", kControlSlotBytes + 30, 1);
  CHECK_CODE(TryOpen(process), Code::kCorruption);
}

}  // namespace
}  // namespace ringleader
