// What the log promises to a process that uses it, on a real file system.
#include <algorithm>
#include <atomic>
#include <thread>

#include "concurrent.h"
#include "log_fixture.h"
#include "watched_files.h"

namespace ringleader {
namespace {

using test::AppendOne;
using test::EntryOf;
using test::OpenLog;
using test::Payload;
using test::ReadAll;
using test::SmallLog;
using test::Stored;
using test::TempDir;
using test::WatchedFiles;

TEST(log, appended_is_read_back_in_order) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  Lsn last;
  for (uint64_t i = 0; i < 100; ++i) {
    const Appended at = AppendOne(*log, i, i);
    CHECK(at.lsn >= last);
    CHECK(at.end > at.lsn);
    last = at.end;
  }
  const std::vector<Stored> all = ReadAll(*log);
  CHECK_EQ(all.size(), size_t{100});
  for (uint64_t i = 0; i < 100; ++i) CHECK(all[i].payload == Payload(i, i));
  CHECK_EQ(all.front().lsn.value, kSegmentPageBytes);
}

TEST(log, survives_reopening) {
  const std::string directory = TempDir();
  for (uint64_t round = 0; round < 5; ++round) {
    const auto log = OpenLog(PosixEnv(), directory, SmallLog());
    const std::vector<Stored> all = ReadAll(*log);
    CHECK_EQ(all.size(), size_t{round * 50});
    for (uint64_t i = 0; i < all.size(); ++i) CHECK(all[i].payload == Payload(i, 700));
    for (uint64_t i = 0; i < 50; ++i) AppendOne(*log, all.size() + i, 700);
    CHECK_OK(log->Close());
  }
}

TEST(log, payloads_around_every_limit) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  const size_t most = MaxRecordPayload(kMinSegmentBytes);
  const size_t sizes[] = {0,
                          1,
                          7,
                          8,
                          9,
                          most - 1,
                          most,
                          most + 1,
                          2 * most,
                          2 * most + 1,
                          kMinSegmentBytes,
                          5 * kMinSegmentBytes + 3};
  uint64_t number = 0;
  for (const size_t size : sizes) AppendOne(*log, number++, size);
  const std::vector<Stored> all = ReadAll(*log);
  CHECK_EQ(all.size(), std::size(sizes));
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK_EQ(all[i].payload.size(), sizes[i]);
    CHECK(all[i].payload == Payload(i, sizes[i]));
  }
  CHECK_VALUE(const uint64_t verified, log->Verify());
  CHECK_EQ(verified, uint64_t{std::size(sizes)});
}

// Every fill level at which a segment can end: no room for a header, for just a header, for more.
TEST(log, every_way_a_segment_can_end) {
  const std::string directory = TempDir();
  auto log = OpenLog(PosixEnv(), directory, SmallLog());
  std::vector<std::vector<uint8_t>> expected;
  const uint64_t segment = kMinSegmentBytes;
  const auto append = [&](uint64_t size) {
    expected.push_back(Payload(expected.size(), size));
    CHECK_OK(log->Append(EntryOf(expected.back())).status());
  };
  for (uint64_t left = 0; left <= 120; left += 8) {
    // Fill the segment up to `left` bytes before its end, then append something larger than that.
    for (;;) {
      const uint64_t room = (segment - log->Stat().tail.value % segment) % segment;
      if (room == left) break;
      const uint64_t gap = room - left;  // more than one record in steps, the last one exactly
      append((gap >= 4096 + kRecordHeaderBytes ? 4096 : gap) - kRecordHeaderBytes);
    }
    append(200);
  }
  CHECK_OK(log->Close());
  log = OpenLog(PosixEnv(), directory, SmallLog());
  const std::vector<Stored> all = ReadAll(*log);
  CHECK_EQ(all.size(), expected.size());
  for (size_t i = 0; i < all.size(); ++i) CHECK(all[i].payload == expected[i]);
}

TEST(log, reading_from_a_position) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  std::vector<Appended> at;
  for (uint64_t i = 0; i < 300; ++i) at.push_back(AppendOne(*log, i, 500));
  for (const size_t i : {size_t{0}, size_t{1}, size_t{77}, size_t{299}}) {
    const std::vector<Stored> rest = ReadAll(*log, at[i].lsn);
    CHECK_EQ(rest.size(), 300 - i);
    CHECK(rest[0].payload == Payload(i, 500));
  }
  CHECK(ReadAll(*log, at[299].end).empty());
  CHECK_CODE(log->Read(at[10].lsn + 8)->Next().status(), Code::kInvalidArgument);
  CHECK_CODE(log->Read(at[299].end + 8)->Next().status(), Code::kInvalidArgument);
}

TEST(log, a_reader_follows_the_writer) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  const auto reader = log->Read(Lsn());
  for (uint64_t i = 0; i < 500; ++i) {
    CHECK_VALUE(const auto nothing, reader->Next());
    CHECK(!nothing);
    AppendOne(*log, i, 300);
    CHECK_VALUE(const auto entry, reader->Next());
    CHECK(entry.has_value());
    CHECK(std::equal(entry->payload.begin(), entry->payload.end(), Payload(i, 300).begin()));
  }
}

TEST(log, levels_mean_what_they_say) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  const Appended at = AppendOne(*log, 1, 100);
  CHECK(log->Reached(at.end, Level::kMemory));
  CHECK(!log->Reached(at.end, Level::kWritten));
  CHECK_OK(log->WaitFor(at.end, Level::kWritten));
  CHECK(log->Reached(at.end, Level::kWritten));
  CHECK(!log->Reached(at.end, Level::kFlushed));
  CHECK_EQ(log->Stat().flushes, uint64_t{0});
  CHECK_OK(log->WaitFor(at.end, Level::kFlushed));
  CHECK(log->Reached(at.end, Level::kFlushed));
  CHECK_EQ(log->Stat().flushes, uint64_t{1});
  CHECK_CODE(log->WaitFor(at.end + 8, Level::kFlushed), Code::kInvalidArgument);
}

TEST(log, terms_only_grow) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  const std::vector<uint8_t> payload = Payload(1, 10);
  Entry entry = EntryOf(payload);
  entry.term = Term(5);
  entry.type = RecordType::kTermStart;
  CHECK_OK(log->Append(entry).status());
  entry.term = Term(4);
  CHECK_CODE(log->Append(entry).status(), Code::kInvalidArgument);
  entry.term = Term();
  CHECK_OK(log->Append(entry).status());
  const std::vector<Stored> all = ReadAll(*log);
  CHECK_EQ(all.size(), size_t{2});
  CHECK(all[1].term == Term(5));
  entry.type = RecordType::kPadding;
  CHECK_CODE(log->Append(entry).status(), Code::kInvalidArgument);
}

TEST(log, try_append_stops_where_it_would_wait) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  const std::vector<uint8_t> payload = Payload(1, 1000);
  const std::vector<Entry> entries(500, EntryOf(payload));
  std::vector<Appended> appended(500);
  CHECK_VALUE(const size_t first, log->TryAppend(entries, appended));
  CHECK(first > 10 && first < 100);  // a ring of 64 KiB
  CHECK_VALUE(const size_t none, log->TryAppend(entries, appended));
  CHECK_EQ(none, size_t{0});
  CHECK_OK(log->WaitFor(appended[first - 1].end, Level::kWritten));
  CHECK_VALUE(const size_t more, log->TryAppend(entries, appended));
  CHECK(more == 0);  // the ring has room again, the segments have not
  CHECK_OK(log->Tick());
  CHECK_VALUE(const size_t again, log->TryAppend(entries, appended));
  CHECK(again > 10);
  CHECK_EQ(ReadAll(*log).size(), first + again);
}

// Writers who fill every segment as soon as it is there: housekeeping comes to its other work, and
// whoever waits for its role gets it.
TEST(log, housekeeping_ends_while_writers_keep_up_with_it) {
  constexpr int kMost = 50;
  Log* writing = nullptr;
  int made = 0;
  WatchedFiles files([&](const std::string& call, const std::string&) {
    if (writing == nullptr || call != "allocate" || ++made > kMost) return Status::Ok();
    const std::vector<uint8_t> payload = Payload(1, 5000);
    const Entry entry = EntryOf(payload);
    Appended at;
    for (int stops = 0; stops < 2;) {  // a stop is at the end of the ring, two are at the segments'
      CHECK_VALUE(const size_t count, writing->TryAppend({&entry, 1}, {&at, 1}));
      stops = count == 0 ? stops + 1 : 0;
      CHECK_OK(writing->WaitFor(writing->Stat().tail, Level::kWritten));
    }
    return Status::Ok();
  });
  Env env = files.env();
  const auto log = OpenLog(env, TempDir(), SmallLog());
  CHECK_OK(log->PutConsumer({"all", Lsn(), 0, 0, false}));  // nothing is recycled
  writing = log.get();
  for (uint64_t i = 0; i < 50; ++i) AppendOne(*log, i, 2000);
  made = 0;
  const uint64_t before = log->Stat().tail.value;
  CHECK_OK(log->Tick());
  CHECK(made > 0 && made <= 4);
  CHECK(log->Stat().tail.value > before + kMinSegmentBytes);
}

TEST(log, many_threads_one_log) {
  LogOptions options = SmallLog();
  options.service_threads = true;
  const std::string directory = TempDir();
  const auto log = OpenLog(PosixEnv(), directory, options);
  const auto other = OpenLog(PosixEnv(), directory, options);  // another attachment
  constexpr uint64_t kThreads = 4, kEach = 300;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Log& mine = t % 2 == 0 ? *log : *other;
      for (uint64_t i = 0; i < kEach; ++i) {
        const std::vector<uint8_t> payload = Payload(t * kEach + i, 50 + i % 900);
        const auto at = mine.Append(EntryOf(payload));
        if (!at.ok()) ++failures;
        if (at.ok() && i % 10 == 0 && !mine.WaitFor(at.value().end, Level::kFlushed).ok()) {
          ++failures;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(failures.load(), 0);
  const std::vector<Stored> all = ReadAll(*log);
  CHECK_EQ(all.size(), size_t{kThreads * kEach});
  std::vector<uint64_t> next(kThreads);
  for (const Stored& stored : all) {
    uint64_t number;
    std::memcpy(&number, stored.payload.data(), sizeof number);
    const uint64_t t = number / kEach;
    CHECK_EQ(number % kEach, next[t]);  // each thread's appends are in its order
    CHECK(stored.payload == Payload(number, 50 + next[t] % 900));
    ++next[t];
  }
}

TEST(log, service_flushes_what_is_asked_for_and_what_is_not) {
  LogOptions options = SmallLog();
  options.service_threads = true;
  options.flush_interval_ns = 5'000'000;
  // Outlives the log: Reached comes before the call that tells of it.
  std::atomic<int> calls{0};
  const auto log = OpenLog(PosixEnv(), TempDir(), options);
  log->OnProgress([&] { ++calls; });
  const Appended asked = AppendOne(*log, 1, 100);
  log->Request(asked.end, Level::kFlushed);
  AWAIT(log->Reached(asked.end, Level::kFlushed));
  AWAIT(calls.load() > 0);
  const Appended unasked = AppendOne(*log, 2, 100);
  AWAIT(log->Reached(unasked.end, Level::kFlushed));
}

TEST(log, segments_are_recycled_when_their_consumers_have_passed) {
  const std::string directory = TempDir();
  auto log = OpenLog(PosixEnv(), directory, SmallLog());
  Consumer base{"base", Lsn(), 0, 0, false};
  CHECK_OK(log->PutConsumer(base));
  Lsn half;
  for (uint64_t i = 0; i < 1000; ++i) {
    const Appended at = AppendOne(*log, i, 1000);
    if (i == 500) half = at.lsn;
    CHECK_OK(log->Tick());
  }
  CHECK_EQ(ReadAll(*log).size(), size_t{1000});  // nothing went: the consumer stands at 0
  CHECK_OK(log->WaitFor(log->Stat().tail, Level::kFlushed));
  CHECK_OK(log->AdvanceConsumer("base", half));
  CHECK_CODE(log->AdvanceConsumer("nobody", half), Code::kNotFound);
  CHECK_CODE(log->AdvanceConsumer("base", log->Stat().tail + 8), Code::kInvalidArgument);
  for (uint64_t i = 1000; i < 1200; ++i) {
    AppendOne(*log, i, 1000);
    CHECK_OK(log->Tick());
  }
  CHECK(log->Stat().segments_recycled > 0);
  const Lsn start = log->Stat().start;
  CHECK(start > Lsn() && start <= half);
  const std::vector<Stored> rest = ReadAll(*log, half);
  CHECK_EQ(rest.size(), size_t{700});
  CHECK(rest[0].payload == Payload(500, 1000));
  CHECK_CODE(log->Read(Lsn(kSegmentPageBytes))->Next().status(), Code::kTrimmed);
  CHECK_CODE(log->PutConsumer({"late", Lsn(), 0, 0, false}), Code::kTrimmed);
  CHECK_OK(log->Close());
  log = OpenLog(PosixEnv(), directory, SmallLog());
  CHECK_VALUE(const std::vector<Consumer> consumers, log->Consumers());
  CHECK_EQ(consumers.size(), size_t{1});
  CHECK(consumers[0].position == half);
  CHECK_EQ(ReadAll(*log, half).size(), size_t{700});
}

TEST(log, consumers_over_their_caps_are_broken) {
  const auto log = OpenLog(PosixEnv(), TempDir(), SmallLog());
  CHECK_OK(log->PutConsumer({"fast", Lsn(), 0, 0, false}));
  CHECK_OK(log->PutConsumer({"slow", Lsn(), 4 * kMinSegmentBytes, 0, false}));
  for (uint64_t i = 0; i < 1000; ++i) {
    const Appended at = AppendOne(*log, i, 1000);
    CHECK_OK(log->WaitFor(at.end, Level::kFlushed));
    CHECK_OK(log->AdvanceConsumer("fast", at.end));
    CHECK_OK(log->Tick());
  }
  CHECK_CODE(log->AdvanceConsumer("slow", Lsn(kSegmentPageBytes)), Code::kTrimmed);
  CHECK(log->Stat().start > Lsn());
  CHECK_OK(log->PutConsumer({"slow", log->Stat().durable, 0, 0, false}));  // starts over
  CHECK_OK(log->RemoveConsumer("slow"));
  CHECK_CODE(log->RemoveConsumer("slow"), Code::kNotFound);
}

TEST(log, archive_holds_every_closed_segment) {
  LogOptions options = SmallLog();
  const std::string directory = TempDir();
  options.archive = TempDir() + "/archive";
  options.service_threads = true;
  const auto log = OpenLog(PosixEnv(), directory, options);
  CHECK_OK(log->PutConsumer({"base", Lsn(), 0, 0, false}));
  for (uint64_t i = 0; i < 1000; ++i) {
    const Appended at = AppendOne(*log, i, 1000);
    if (i % 100 == 99) {
      CHECK_OK(log->WaitFor(at.end, Level::kFlushed));
      CHECK_OK(log->AdvanceConsumer("base", at.end));
    }
  }
  CHECK_OK(log->WaitFor(log->Stat().tail, Level::kFlushed));
  const uint64_t closed = log->Stat().durable.value / kMinSegmentBytes;
  const auto archived = [&]() -> uint64_t {
    CHECK_VALUE(const std::vector<Consumer> consumers, log->Consumers());
    for (const Consumer& consumer : consumers) {
      if (consumer.name == kArchiveConsumer) return consumer.position.value;
    }
    return 0;
  };
  AWAIT(archived() >= closed * kMinSegmentBytes);
  CHECK_VALUE(const auto names, PosixEnv().files.List(options.archive));
  CHECK_EQ(names.size(), size_t{closed});
}

TEST(log, segments_wait_for_the_archive_whichever_process_runs) {
  const std::string directory = TempDir();
  LogOptions options = SmallLog();
  options.archive = TempDir() + "/archive";
  CHECK_OK(OpenLog(PosixEnv(), directory, options)->Close());
  const auto log = OpenLog(PosixEnv(), directory, SmallLog());  // archives nothing
  CHECK_OK(log->PutConsumer({"base", Lsn(), 0, 0, false}));
  for (uint64_t i = 0; i < 500; ++i) {
    const Appended at = AppendOne(*log, i, 1000);
    CHECK_OK(log->WaitFor(at.end, Level::kFlushed));
    CHECK_OK(log->AdvanceConsumer("base", at.end));
    CHECK_OK(log->Tick());
  }
  CHECK(log->Stat().start == Lsn());
  CHECK_OK(log->RemoveConsumer(kArchiveConsumer));  // the archive is given up
  CHECK_OK(log->Tick());
  CHECK(log->Stat().start > Lsn());
}

TEST(log, what_nobody_waits_for_is_flushed_in_time_all_the_same) {
  LogOptions options = SmallLog();
  options.service_threads = true;
  options.flush_interval_ns = 5'000'000;
  const auto log = OpenLog(PosixEnv(), TempDir(), options);
  const Appended first = AppendOne(*log, 0, 100);
  for (uint64_t i = 1; !log->Reached(first.end, Level::kFlushed); ++i) {
    log->Request(AppendOne(*log, i, 10).end, Level::kWritten);  // a steady stream
    std::this_thread::yield();
  }
}

TEST(log, bad_options_are_refused_by_name) {
  struct Case {
    void (*change)(LogOptions&);
    const char* name;
  };
  const Case cases[] = {
      {[](LogOptions& o) { o.segment_bytes = kMinSegmentBytes / 2; }, "segmentBytes"},
      {[](LogOptions& o) { o.segment_bytes = kMinSegmentBytes + 1; }, "segmentBytes"},
      {[](LogOptions& o) { o.segment_bytes = 2 * kMaxSegmentBytes; }, "segmentBytes"},
      {[](LogOptions& o) { o.ring_bytes = kMinRingBytes / 2; }, "ringBytes"},
      {[](LogOptions& o) { o.ring_bytes = 0; }, "ringBytes"},
      {[](LogOptions& o) { o.segments_ahead = 0; }, "segmentsAhead"},
      {[](LogOptions& o) { o.segments_ahead = 65; }, "segmentsAhead"},
      {[](LogOptions& o) { o.flush_interval_ns = 0; }, "flushIntervalMs"},
  };
  for (const Case& bad : cases) {
    LogOptions options = SmallLog();
    bad.change(options);
    const Status status = Log::Open(PosixEnv(), TempDir(), options).status();
    CHECK_CODE(status, Code::kInvalidArgument);
    CHECK(status.message().find(bad.name) != std::string::npos);
  }
}

TEST(log, the_ring_takes_the_largest_record_or_is_refused) {
  LogOptions options = SmallLog();
  options.segment_bytes = uint64_t{8} << 20;
  options.ring_bytes = SmallestRing(options.segment_bytes) / 2;
  CHECK_CODE(Log::Open(PosixEnv(), TempDir(), options).status(), Code::kInvalidArgument);
  options.ring_bytes *= 2;
  const auto log = OpenLog(PosixEnv(), TempDir(), options);
  for (uint64_t i = 0; i < 20; ++i) AppendOne(*log, i, MaxRecordPayload(options.segment_bytes));
  CHECK_EQ(ReadAll(*log).size(), size_t{20});
}

TEST(log, directories_that_are_no_environment) {
  LogOptions options = SmallLog();
  options.create = false;
  CHECK_CODE(Log::Open(PosixEnv(), TempDir() + "/none", options).status(), Code::kNotFound);
  CHECK_CODE(Log::Open(PosixEnv(), TempDir(), options).status(), Code::kNotFound);
  options.create = true;
  CHECK_CODE(Log::Open(PosixEnv(), TempDir() + "/a/b", options).status(), Code::kNotFound);
  CHECK_CODE(Log::Open(PosixEnv(), "/proc/version", options).status(), Code::kNotADirectory);
}

TEST(log, two_open_logs_share_everything) {
  const std::string directory = TempDir();
  const auto one = OpenLog(PosixEnv(), directory, SmallLog());
  const auto two = OpenLog(PosixEnv(), directory, SmallLog());
  AppendOne(*one, 0, 100);
  AppendOne(*two, 1, 100);
  CHECK_EQ(ReadAll(*one).size(), size_t{2});
  CHECK_EQ(ReadAll(*two).size(), size_t{2});
  CHECK_OK(one->Close());
  CHECK_CODE(one->Append(EntryOf(Payload(1, 1))).status(), Code::kClosed);
  CHECK_CODE(one->Close(), Code::kClosed);
  AppendOne(*two, 2, 100);
  CHECK_EQ(ReadAll(*two).size(), size_t{3});
}

TEST(log, another_group_is_refused) {
  const std::string directory = TempDir();
  LogOptions options = SmallLog();
  options.group_id = Id128{1};
  CHECK_OK(OpenLog(PosixEnv(), directory, options)->Close());
  options.group_id = Id128{2};
  CHECK_CODE(Log::Open(PosixEnv(), directory, options).status(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace ringleader
