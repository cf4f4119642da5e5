// Records shipped from one log to another: the same bytes in both, whatever the cuts between; bad
// bytes, none of which gets in.
#include <cstring>
#include <thread>

#include "base/crc32c.h"
#include "env/sim/sim_env.h"
#include "ship_fixture.h"

namespace ringleader {
namespace {

using namespace test;

const Id128 kGroup{1, 2, 3};

struct Pair {
  explicit Pair(uint64_t seed) : world({.seed = seed}), env(world.StartProcess().env()), rng(seed) {
    primary = OpenMember(env, "primary", kGroup);
    HoldAll(*primary);
    replica = OpenMember(env, "replica", kGroup);
    HoldAll(*replica);
    Lead(*primary);
  }
  ~Pair() {
    (void)primary->Close().ok();
    (void)replica->Close().ok();
  }

  void CheckSame() {
    const Lsn end = primary->Stat().tail;
    CHECK_EQ(replica->Stat().tail.value, end.value);
    CHECK_EQ(replica->Stat().visible.value, primary->Stat().visible.value);
    CHECK_EQ(replica->Stat().term.value, primary->Stat().term.value);
    CHECK(FileBytes(env, "primary", *primary, Lsn(), end) ==
          FileBytes(env, "replica", *replica, Lsn(), end));
    CHECK(SameTransactions(ReadAll(*primary), ReadAll(*replica)));
  }

  SimWorld world;
  Env& env;
  SimRng rng;
  std::unique_ptr<Log> primary, replica;
};

TEST(log_raw_append, a_replica_has_the_primarys_bytes) {
  uint64_t segments = 0;
  for (uint64_t run = 0; run < Scale(25); ++run) {
    Pair pair(Seed() * 1000 + run);
    for (uint64_t step = 0; step < 150; ++step) {
      WriteSome(*pair.primary, pair.rng, step);
      if (pair.rng.Below(10) == 0) Ship(*pair.primary, *pair.replica, pair.rng);
      if (pair.rng.Below(40) == 0) {
        CHECK_OK(pair.replica->Close());
        pair.replica = OpenMember(pair.env, "replica", kGroup);
      }
    }
    Ship(*pair.primary, *pair.replica, pair.rng);
    pair.CheckSame();
    segments += pair.replica->Stat().tail.value / kMinSegmentBytes;
    // Terms and configurations are the same, found by shipping and by the scan.
    CHECK_VALUE(const GroupScan scan, pair.replica->ScanGroup());
    CHECK_VALUE(const GroupScan original, pair.primary->ScanGroup());
    CHECK(scan.terms == original.terms && scan.configurations == original.configurations);
    CHECK(!scan.terms.empty() && scan.terms[0].start == Lsn(kSegmentPageBytes));
    const auto reader = pair.replica->ReadRaw(Lsn());
    std::vector<TermRow> terms;
    for (;;) {
      CHECK_VALUE(const RawRun raw, reader->Next(30'000));
      if (raw.bytes.empty()) break;
      terms.insert(terms.end(), raw.terms.begin(), raw.terms.end());
    }
    CHECK(terms == scan.terms);
    const Lsn middle = terms[terms.size() / 2].start;
    CHECK_VALUE(const GroupScan rest, pair.replica->ScanGroup(middle));
    CHECK(rest.terms ==
          std::vector<TermRow>(terms.begin() + static_cast<long>(terms.size() / 2), terms.end()));
    // What was a replica leads, and the other way round.
    Lead(*pair.replica, 9, 2);
    AppendOne(*pair.replica, 4242, 3 * kPieceBytes);
    CHECK_OK(pair.primary->SetGate(Gate::Closed(GateReason::kReplica)).status());
    Ship(*pair.replica, *pair.primary, pair.rng);
    pair.CheckSame();
  }
  CHECK(segments >= 25);
}

// What an append tells of its records is what the log holds, however it was cut.
TEST(log_raw_append, what_concerns_the_group_is_told) {
  for (uint64_t run = 0; run < Scale(10); ++run) {
    Pair pair(Seed() * 1000 + run);
    for (uint64_t step = 0; step < 100; ++step) WriteSome(*pair.primary, pair.rng, step);
    const auto reader = pair.primary->ReadRaw(Lsn());
    std::vector<TermRow> terms;
    std::vector<ConfigurationRow> configurations;
    for (;;) {
      CHECK_VALUE(const RawRun raw, reader->Next(1 + pair.rng.Below(40'000)));
      if (raw.bytes.empty()) break;
      for (ShippedAppend done; done.end < raw.end;) {
        const Lsn whole_before = pair.replica->Stat().visible;
        done = pair.replica->AppendRecords(raw.from, raw.bytes);
        CHECK_OK(done.status);
        terms.insert(terms.end(), done.terms.begin(), done.terms.end());
        configurations.insert(configurations.end(), done.configurations.begin(),
                              done.configurations.end());
        const Lsn whole = pair.replica->Stat().visible;
        CHECK_EQ(done.whole.value, whole > whole_before ? whole.value : 0);
        CHECK_VALUE(const Lsn last, pair.replica->LastEnd());
        CHECK_EQ(last.value, whole.value);
        if (done.stop != ShipStop::kNothing) CHECK_OK(pair.replica->AwaitRoom(done));
      }
    }
    CHECK_VALUE(const GroupScan scan, pair.primary->ScanGroup());
    CHECK(terms == scan.terms && configurations == scan.configurations);
  }
}

// A transaction of several records is admitted and inserted once, whole, with its last record, in
// whatever calls its pieces came, and through a restart in the middle.
TEST(log_raw_append, the_hook_gets_whole_transactions) {
  for (uint64_t run = 0; run < Scale(15); ++run) {
    Pair pair(Seed() * 1000 + run);
    Recorder recorder(3);
    size_t inside = 0;
    for (uint64_t step = 0; step < 60; ++step) WriteSome(*pair.primary, pair.rng, step);
    const Lsn end = pair.primary->Stat().tail;
    while (pair.replica->Stat().tail < end) {
      const Lsn to(pair.replica->Stat().tail.value + pair.rng.Below(50'000));
      Ship(*pair.primary, *pair.replica, pair.rng, to, &recorder);
      const LogStat stat = pair.replica->Stat();
      inside += stat.visible < stat.tail ? 1 : 0;
      CHECK_VALUE(const Lsn last, pair.primary->LastEnd(stat.tail));
      CHECK_EQ(stat.visible.value, last.value);
      if (pair.rng.Below(3) != 0) continue;
      CHECK_OK(pair.replica->Close());
      pair.replica = OpenMember(pair.env, "replica", kGroup);
      CHECK_EQ(pair.replica->Stat().visible.value, last.value);
      CHECK_EQ(pair.replica->Stat().tail.value, stat.tail.value);
    }
    CHECK(inside > 0 || run % 5 != 0);
    pair.CheckSame();
    const std::vector<Stored> all = ReadAll(*pair.primary);
    CHECK_EQ(recorder.seen.size(), all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      CHECK(recorder.seen[i].end == all[i].end && recorder.seen[i].term == all[i].term &&
            recorder.seen[i].payload == all[i].payload);
    }
  }
}

// A log that ends inside a transaction goes on with a new term: the pieces never happened.
TEST(log_raw_append, pieces_that_nobody_finishes_are_dropped) {
  Pair pair(Seed());
  AppendOne(*pair.primary, 1, 100);
  const Appended large = AppendOne(*pair.primary, 2, 5 * kPieceBytes);
  Ship(*pair.primary, *pair.replica, pair.rng, large.lsn + 3 * RecordBytes(kPieceBytes));
  const LogStat stat = pair.replica->Stat();
  CHECK_EQ(stat.visible.value, large.lsn.value);
  CHECK(stat.tail > large.lsn);
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(pair.replica->Close());
    pair.replica = OpenMember(pair.env, "replica", kGroup);
    CHECK_EQ(pair.replica->Stat().tail.value, stat.tail.value);
    CHECK_EQ(ReadAll(*pair.replica).size(), 2u);
  }
  Lead(*pair.replica, 5);
  AppendOne(*pair.replica, 3, 100);
  CHECK_EQ(ReadAll(*pair.replica).size(), 4u);
  // The old primary comes back as a replica: what it has more goes.
  CHECK_OK(pair.primary->SetGate(Gate::Closed(GateReason::kReplica)).status());
  CHECK_VALUE(const Lsn fork, pair.primary->LastEnd(stat.tail));
  CHECK_EQ(fork.value, large.lsn.value);
  CHECK_OK(pair.primary->RollBack(fork));
  Ship(*pair.replica, *pair.primary, pair.rng);
  pair.CheckSame();
}

TEST(log_raw_append, what_is_there_is_passed_over) {
  Pair pair(Seed());
  for (uint64_t i = 0; i < 30; ++i) AppendOne(*pair.primary, i, 1000);
  const auto first = pair.primary->ReadRaw(Lsn());
  CHECK_VALUE(const RawRun run, first->Next(20'000));
  CHECK(AppendRun(*pair.replica, Lsn(), run.bytes));
  CHECK(AppendRun(*pair.replica, Lsn(), run.bytes));
  const auto reader = pair.primary->ReadRaw(run.end);
  CHECK_VALUE(const RawRun more, reader->Next(10'000));
  const ShippedAppend gap = pair.replica->AppendRecords(more.from + 8, more.bytes);
  CHECK_CODE(gap.status, Code::kInvalidArgument);
  CHECK_EQ(gap.end.value, run.end.value);
  const auto again = pair.primary->ReadRaw(Lsn());
  CHECK_VALUE(const RawRun from_start, again->Next(40'000));
  CHECK(AppendRun(*pair.replica, Lsn(), from_start.bytes));
  Ship(*pair.primary, *pair.replica, pair.rng);
  pair.CheckSame();
}

// Of what a member of another history ships from `end` on, nothing is taken for what the log has
// there. Once that is gone, it gets in.
void CheckFork(Pair& pair, Log& rival, Lsn end) {
  const Lsn tail = pair.replica->Stat().tail;
  CHECK(tail > end);
  for (const uint64_t limit : {uint64_t{1}, uint64_t{30'000}}) {
    const auto reader = rival.ReadRaw(end);
    CHECK_VALUE(const RawRun run, reader->Next(limit));
    const ShippedAppend fork = pair.replica->AppendRecords(run.from, run.bytes);
    if (run.terms.empty()) continue;  // pieces that both have
    CHECK(fork.stop == ShipStop::kFork);
    CHECK_OK(fork.status);
    CHECK(fork.end == end && fork.whole == Lsn() && fork.terms.empty());
    CHECK_CODE(pair.replica->AwaitRoom(fork), Code::kInvalidArgument);
    CHECK_EQ(pair.replica->Stat().tail.value, tail.value);
  }
  CHECK_VALUE(const Lsn last, pair.replica->LastEnd());
  CHECK_EQ(last.value, end.value);
  CHECK_OK(pair.replica->RollBack(end));
  Ship(rival, *pair.replica, pair.rng);
  const Lsn all = rival.Stat().tail;
  CHECK(FileBytes(pair.env, "rival", rival, Lsn(), all) ==
        FileBytes(pair.env, "replica", *pair.replica, Lsn(), all));
}

// A crash may leave the padding that stood in front of a record, and not the record: the next
// primary, which has neither, goes on where the padding is.
TEST(log_raw_append, padding_is_not_taken_for_records) {
  for (const bool same : {false, true}) {
    Pair pair(Seed());
    const auto left = [&pair] { return kMinSegmentBytes - pair.primary->Stat().tail.value; };
    while (left() > 5000) AppendOne(*pair.primary, left(), 1000);
    const Lsn end = AppendOne(*pair.primary, 1, left() - 800 - kRecordHeaderBytes).end;
    const auto rival = OpenMember(pair.env, "rival", kGroup);
    HoldAll(*rival);
    Ship(*pair.primary, *pair.replica, pair.rng);
    Ship(*pair.primary, *rival, pair.rng);
    const Appended next = AppendOne(*pair.primary, 2, 1000);
    CHECK_EQ(next.lsn.value, kMinSegmentBytes + kSegmentPageBytes);
    CHECK_OK(pair.replica->Close());
    {
      const auto padding = FileBytes(pair.env, "primary", *pair.primary, end, end + 800);
      const SegmentFiles files(pair.env, "replica/log", kMinSegmentBytes);
      CHECK_VALUE(const std::unique_ptr<File> file, files.Open(Lsn(), OpenMode::kReadWrite));
      CHECK_OK(file->WriteAt(end.value, padding));
    }
    pair.replica = OpenMember(pair.env, "replica", kGroup);
    CHECK_EQ(pair.replica->Stat().tail.value, kMinSegmentBytes);
    Lead(*rival, 9, 2);
    AppendOne(*rival, 3, 500);
    if (!same) CheckFork(pair, *rival, end);
    CHECK_OK(rival->Close());
    if (!same) continue;
    // Who wrote the padding goes on behind it.
    const auto reader = pair.primary->ReadRaw(end);
    CHECK_VALUE(const RawRun run, reader->Next(1));
    CHECK(AppendRun(*pair.replica, run.from, run.bytes));
    pair.CheckSame();
  }
}

TEST(log_raw_append, pieces_are_not_taken_for_other_pieces) {
  for (const uint64_t pieces : {0, 1, 3}) {
    Pair pair(Seed());
    AppendOne(*pair.primary, 1, 100);
    const Appended large = AppendOne(*pair.primary, 2, 5 * kPieceBytes);
    const auto rival = OpenMember(pair.env, "rival", kGroup);
    HoldAll(*rival);
    const uint64_t piece = RecordBytes(kPieceBytes);
    Ship(*pair.primary, *rival, pair.rng, large.lsn + pieces * piece);
    Ship(*pair.primary, *pair.replica, pair.rng, large.lsn + 4 * piece);
    Lead(*rival, 9, 2);
    AppendOne(*rival, 3, 500);
    CheckFork(pair, *rival, large.lsn);
    CHECK_OK(rival->Close());
  }
}

// Of a flip anywhere nothing gets in, and nothing behind it; what is in front of it does.
TEST(log_raw_append, a_flip_anywhere_is_met) {
  Pair pair(Seed());
  for (uint64_t i = 0; pair.primary->Stat().tail.value < kMinSegmentBytes + 20'000; ++i) {
    WriteSome(*pair.primary, pair.rng, i);
  }
  const Lsn end = pair.primary->Stat().tail;
  const std::vector<uint8_t> good = FileBytes(pair.env, "primary", *pair.primary, Lsn(), end);
  std::vector<Lsn> ends;  // of records
  const auto reader = pair.primary->ReadRaw(Lsn());
  for (;;) {
    CHECK_VALUE(const RawRun run, reader->Next(1));
    if (run.bytes.empty()) break;
    ends.push_back(run.end);
  }
  CHECK(ends.size() > 20 && ends.back() == end);
  for (uint64_t round = 0; round < Scale(300); ++round) {
    // Near the border too, where padding and page are.
    const uint64_t at =
        round % 3 == 0 ? kMinSegmentBytes - 64 + pair.rng.Below(4400) : pair.rng.Below(good.size());
    std::vector<uint8_t> bad = good;
    bad[at] ^= static_cast<uint8_t>(1 + pair.rng.Below(255));
    const std::string directory = "replica" + std::to_string(round);
    const auto replica = OpenMember(pair.env, directory, kGroup);
    HoldAll(*replica);
    ShippedAppend done;
    for (Lsn from;; from = done.end) {
      done = replica->AppendRecords(from, Bytes(bad).subspan(from.value));
      if (done.stop == ShipStop::kError) break;
      CHECK(done.stop != ShipStop::kNothing);
      CHECK_OK(replica->AwaitRoom(done));
    }
    CHECK(done.status.code() == Code::kCorruption || done.status.code() == Code::kInvalidArgument ||
          done.status.code() == Code::kNewerFormat);
    const auto behind = std::ranges::upper_bound(ends, Lsn(at));
    const Lsn before = behind == ends.begin() ? Lsn() : *(behind - 1);
    CHECK_EQ(done.end.value, before.value);
    Ship(*pair.primary, *replica, pair.rng);
    CHECK(FileBytes(pair.env, directory, *replica, Lsn(), end) == good);
    CHECK_OK(replica->Close());
  }
}

// --- records whose checksums fit, and which have no place here -----------------------------------

// Raw records made by hand, behind what a log has.
class Forger {
 public:
  explicit Forger(const Id128& group) : chain_(FirstChain(group)) {
    std::vector<uint8_t> page(kSegmentPageBytes);
    BuildSegmentPage(group, Lsn(), kMinSegmentBytes, chain_, page);
    bytes = page;
  }

  RecordHeader Header(size_t length, RecordType type = RecordType::kTransaction) const {
    RecordHeader header{};
    header.length = static_cast<uint32_t>(length);
    header.lsn = bytes.size();
    header.term = chain_.term.value;
    header.type = static_cast<uint8_t>(type);
    header.commit_time_us = chain_.commit_time_us;
    header.prev_crc = chain_.prev_crc;
    return header;
  }

  void Add(RecordHeader header, Bytes payload, uint8_t fill = 0) {
    header.payload_crc = MaskCrc(Crc32c(payload));
    SealRecordHeader(header);
    const auto* raw = reinterpret_cast<const uint8_t*>(&header);
    bytes.insert(bytes.end(), raw, raw + sizeof header);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    bytes.resize(RecordBytes(payload.size()) + header.lsn, fill);
    chain_ = ChainAfter(header);
  }

  std::vector<uint8_t> bytes;

 private:
  ChainState chain_;
};

void CheckRefused(const std::function<void(Forger& forger)>& forge, size_t good_records = 1) {
  SimWorld world({.seed = Seed()});
  const auto replica = OpenMember(world.StartProcess().env(), "replica", kGroup);
  Forger forger(kGroup);
  const auto payload = Payload(1, 100);
  for (size_t i = 0; i < good_records; ++i) {
    RecordHeader header = forger.Header(payload.size());
    header.term = 4;
    header.commit_time_us = 1000;
    forger.Add(header, payload);
  }
  const uint64_t good = forger.bytes.size();
  forge(forger);
  const ShippedAppend done = replica->AppendRecords(Lsn(), forger.bytes);
  CHECK_CODE(done.status, Code::kCorruption);
  CHECK(done.stop == ShipStop::kError);
  CHECK_EQ(done.end.value, good);
  CHECK_EQ(replica->Stat().visible.value, good);
}

TEST(log_raw_append, forged_records_are_refused) {
  const auto payload = Payload(7, 101);
  const auto change = [&](const std::function<void(RecordHeader & header)>& how) {
    CheckRefused([&](Forger& forger) {
      RecordHeader header = forger.Header(payload.size());
      how(header);
      forger.Add(header, payload);
    });
  };
  change([](RecordHeader& header) { header.prev_crc ^= 1; });  // another history
  change([](RecordHeader& header) { header.term = 3; });       // the term goes back
  change([](RecordHeader& header) { header.commit_time_us = 999; });
  change([](RecordHeader& header) { header.lsn += 8; });
  change([](RecordHeader& header) { header.type = kMaxRecordType + 1; });
  change([](RecordHeader& header) { header.type = 0; });
  change([](RecordHeader& header) { header.flags = 4; });
  change([](RecordHeader& header) { header.flags = kRecordContinues; });  // with what?
  change([](RecordHeader& header) {
    header.type = static_cast<uint8_t>(RecordType::kTermStart);  // no such payload
    header.term = 5;
  });
  // Bytes behind the payload.
  CheckRefused([&](Forger& forger) { forger.Add(forger.Header(payload.size()), payload, 1); });
  // Longer than any record of any log.
  CheckRefused([&](Forger& forger) {
    forger.Add(forger.Header(size_t{1} << 21), std::vector<uint8_t>(size_t{1} << 21));
  });
  // The pieces of a transaction are of one type.
  CheckRefused(
      [&](Forger& forger) {
        RecordHeader header = forger.Header(payload.size(), RecordType::kCatalogue);
        header.flags = kRecordContinues;
        forger.Add(header, payload);
      },
      1);
  // A term's start: of a term that is not new, of another one than its record's, in pieces.
  for (const uint32_t mistake : {0, 1, 2}) {
    CheckRefused([&](Forger& forger) {
      const uint32_t counter = mistake == 0 ? 4 : 5;
      const auto term = EncodeTermRecord({Term(counter + (mistake == 1 ? 1 : 0)), 9, 1});
      RecordHeader header = forger.Header(term.size(), RecordType::kTermStart);
      header.term = counter;
      if (mistake == 2) header.flags = kRecordMore;
      forger.Add(header, term);
    });
  }
  // A configuration in pieces.
  CheckRefused([&](Forger& forger) {
    RecordHeader header = forger.Header(payload.size(), RecordType::kConfiguration);
    header.flags = kRecordMore;
    forger.Add(header, payload);
  });
  // Cut short, anywhere.
  for (const size_t missing : {1, 50, 104, 130}) {
    CheckRefused([&](Forger& forger) {
      forger.Add(forger.Header(payload.size()), payload);
      forger.bytes.resize(forger.bytes.size() - missing);
    });
  }
  // A padding that is longer than a primary makes one.
  CheckRefused([&](Forger& forger) {
    const uint64_t left = kMinSegmentBytes - forger.bytes.size();
    RecordHeader header = forger.Header(left - kRecordHeaderBytes, RecordType::kPadding);
    SealRecordHeader(header);
    const auto* raw = reinterpret_cast<const uint8_t*>(&header);
    forger.bytes.insert(forger.bytes.end(), raw, raw + sizeof header);
    forger.bytes.resize(kMinSegmentBytes);
  });
}

TEST(log_raw_append, another_groups_bytes_have_no_place) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  const auto primary = OpenMember(env, "primary", kGroup);
  Lead(*primary);
  for (uint64_t i = 0; i < 200; ++i) AppendOne(*primary, i, 2000);
  const auto reader = primary->ReadRaw(Lsn());
  CHECK_VALUE(const RawRun run, reader->Next(50'000));
  const auto other = OpenMember(env, "other", {9, 9});
  const ShippedAppend foreign = other->AppendRecords(Lsn(), run.bytes);
  CHECK_CODE(foreign.status, Code::kInvalidArgument);
  CHECK(foreign.status.message().find("another group") != std::string::npos);
  LogOptions large = SmallLog();
  large.segment_bytes = 2 * kMinSegmentBytes;
  large.ring_bytes = SmallestRing(large.segment_bytes);
  const auto sized = OpenMember(env, "sized", kGroup, large);
  const ShippedAppend misfit = sized->AppendRecords(Lsn(), run.bytes);
  CHECK_CODE(misfit.status, Code::kInvalidArgument);
  CHECK(misfit.status.message().find("another size") != std::string::npos);
  CHECK_EQ(misfit.end.value, 0u);
}

// --- reading -------------------------------------------------------------------------------------

TEST(log_raw_append, a_reader_says_what_it_cannot_give) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  const auto log = OpenMember(env, "primary", kGroup);
  HoldAll(*log);
  Lead(*log);
  std::vector<Appended> all;
  for (uint64_t i = 0; i < 150; ++i) all.push_back(AppendOne(*log, i, 1500));
  CHECK_CODE(log->ReadRaw(all[3].lsn + 8)->Next(1000).status(), Code::kInvalidArgument);
  CHECK_CODE(log->ReadRaw(all[149].lsn + 8)->Next(1000).status(), Code::kInvalidArgument);
  CHECK_CODE(log->ReadRaw(all[3].lsn + 3)->Next(1000).status(), Code::kInvalidArgument);
  CHECK_CODE(log->ReadRaw(Lsn(16))->Next(1000).status(), Code::kInvalidArgument);
  CHECK_CODE(log->ReadRaw(all[149].end + 8)->Next(1000).status(), Code::kInvalidArgument);
  // One record is always read, and nothing beyond the limits.
  const auto reader = log->ReadRaw(all[3].lsn);
  CHECK_VALUE(const RawRun one, reader->Next(1));
  CHECK(one.from == all[3].lsn && one.end == all[3].end);
  CHECK_VALUE(const RawRun none, reader->Next(100'000, Lsn(all[4].end.value - 8)));
  CHECK(none.bytes.empty() && none.end == all[3].end);
  reader->Seek(all[5].lsn);
  CHECK_VALUE(const RawRun some, reader->Next(100'000, all[8].lsn));
  CHECK(some.from == all[5].lsn && some.end == all[7].end);
  CHECK_VALUE(const RawRun limited, log->ReadRaw(all[5].lsn)->Next(2 * RecordBytes(1500) + 7));
  CHECK(limited.end == all[6].end);
  // Behind the end there is nothing yet.
  const auto last = log->ReadRaw(all[149].end);
  CHECK_VALUE(const RawRun nothing, last->Next(1000));
  CHECK(nothing.bytes.empty() && nothing.end == all[149].end);
  // Roll-backs: below, at, and above a reader.
  const auto below = log->ReadRaw(all[99].end), above = log->ReadRaw(all[120].end);
  CHECK_OK(log->RollBack(all[99].end));
  AppendOne(*log, 1000, 700);
  CHECK_VALUE(const RawRun fresh, below->Next(1'000'000));
  CHECK(fresh.from == all[99].end && fresh.end == log->Stat().tail);
  CHECK_CODE(above->Next(1000).status(), Code::kRolledBack);
  CHECK_CODE(above->Next(1000).status(), Code::kRolledBack);
  // Trimmed.
  CHECK_OK(log->AdvanceConsumer("all", log->Stat().visible));
  CHECK_OK(log->WaitFor(log->Stat().tail, Level::kFlushed));
  CHECK_OK(log->Tick());
  CHECK(log->Stat().start > all[0].end);
  CHECK_CODE(log->ReadRaw(all[0].lsn)->Next(1000).status(), Code::kTrimmed);
  CHECK_CODE(log->ReadRaw(Lsn())->Next(1000).status(), Code::kTrimmed);
}

TEST(log_raw_append, damage_in_a_file_is_not_shipped) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  const auto log = OpenMember(env, "primary", kGroup);
  HoldAll(*log);
  Lead(*log);
  std::vector<Appended> all;
  for (uint64_t i = 0; i < 30; ++i) all.push_back(AppendOne(*log, i, 1000));
  CHECK_OK(log->WaitFor(all[29].end, Level::kFlushed));
  const SegmentFiles files(env, "primary/log", kMinSegmentBytes);
  CHECK_VALUE(const std::unique_ptr<File> file, files.Open(Lsn(), OpenMode::kReadWrite));
  const std::vector<uint8_t> bad(8, 0xee);
  CHECK_OK(file->WriteAt(all[10].lsn.value + 100, bad));
  const auto reader = log->ReadRaw(Lsn());
  CHECK_VALUE(const RawRun run, reader->Next(1'000'000));
  CHECK(run.end == all[9].end);  // what is whole goes out
  CHECK_CODE(reader->Next(1'000'000).status(), Code::kCorruption);
  CHECK_CODE(reader->Next(1'000'000).status(), Code::kCorruption);
}

// A reader beside a writer that goes round a small ring: what it copies out of the ring may be
// overwritten meanwhile, and is never handed out then.
TEST(log_raw_append, reads_beside_a_writer) {
  const std::string directory = TempDir(), copy = TempDir();
  const auto primary = OpenMember(PosixEnv(), directory, kGroup);
  HoldAll(*primary);
  const auto replica = OpenMember(PosixEnv(), copy, kGroup);
  HoldAll(*replica);
  Lead(*primary);
  const uint64_t count = Scale(3000);
  std::thread writer([&] {
    for (uint64_t i = 0; i < count; ++i) {
      const auto payload = Payload(i, i % 50 == 0 ? 3 * kPieceBytes : i % 1000);
      if (!primary->Append(EntryOf(payload)).ok()) return;
    }
  });
  SimRng rng(Seed());
  std::string failure;
  try {
    while (ReadAll(*replica, replica->Stat().visible).empty() &&
           replica->Stat().transactions < count) {
      Ship(*primary, *replica, rng);
    }
  } catch (const Failure& failed) {
    failure = failed.text;
  }
  writer.join();
  CHECK_EQ(failure, "");
  Ship(*primary, *replica, rng);
  const Lsn end = primary->Stat().tail;
  CHECK_EQ(replica->Stat().tail.value, end.value);
  CHECK(FileBytes(PosixEnv(), directory, *primary, Lsn(), end) ==
        FileBytes(PosixEnv(), copy, *replica, Lsn(), end));
}

}  // namespace
}  // namespace ringleader
