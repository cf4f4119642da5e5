// The bytes of the log, fixed for ever: golden values, and every way a header can be wrong.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "harness.h"
#include "log/control_file.h"
#include "log/log_format.h"

namespace ringleader {
namespace {

constexpr uint64_t kSegment = kMinSegmentBytes;

constexpr char kGoldenRecord[] =
    "05000000bb1f1c19001000000000000007000000010002000807060504030201942cac7097c62817"
    "68656c6c6f000000";
constexpr char kGoldenSegment[] =
    "524c4f475345473101000000001000000102030405060708090a0b0c0d0e0f100000030000000000"
    "00000100000000000807060504030201443322110900000000000000acfa134e";
constexpr uint32_t kGoldenControlCrc = 0x72f1bbb5;
constexpr uint32_t kGoldenFirstControlCrc = 0x8e01c51a;  // of version 1

Id128 CountingId() {
  Id128 id;
  for (size_t i = 0; i < id.size(); ++i) id[i] = static_cast<uint8_t>(i + 1);
  return id;
}

std::string Hex(Bytes bytes) {
  std::string text;
  for (uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// A record with a payload of five bytes behind the segment page.
std::vector<uint8_t> SampleRecord(const ChainState& chain, Lsn lsn) {
  const std::string payload = "hello";
  RecordHeader header{};
  header.length = static_cast<uint32_t>(payload.size());
  header.payload_crc =
      MaskCrc(Crc32c({reinterpret_cast<const uint8_t*>(payload.data()), payload.size()}));
  header.lsn = lsn.value;
  header.term = 7;
  header.type = static_cast<uint8_t>(RecordType::kTransaction);
  header.operations = 2;
  header.commit_time_us = 0x0102030405060708;
  header.prev_crc = chain.prev_crc;
  SealRecordHeader(header);
  std::vector<uint8_t> bytes(RecordBytes(payload.size()));
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
  return bytes;
}

HeaderState Check(const std::vector<uint8_t>& bytes, Lsn lsn, const ChainState& chain) {
  RecordHeader header;
  return CheckRecordHeader(bytes, lsn, kSegment, chain, &header);
}

TEST(log_format, golden_record) {
  const ChainState chain = FirstChain(CountingId());
  const Lsn lsn(kSegmentPageBytes);
  const std::vector<uint8_t> bytes = SampleRecord(chain, lsn);
  CHECK_EQ(bytes.size(), size_t{48});
  CHECK_EQ(Hex(bytes), std::string(kGoldenRecord));
}

TEST(log_format, golden_segment_page) {
  std::array<uint8_t, kSegmentPageBytes> page;
  const ChainState before{0x11223344, Term(9), 0x0102030405060708};
  BuildSegmentPage(CountingId(), Lsn(3 * kSegment), kSegment, before, page);
  CHECK_EQ(Hex(Bytes(page).first(kSegmentHeaderBytes)), std::string(kGoldenSegment));
  ChainState read;
  CHECK(CheckSegmentPage(page, CountingId(), Lsn(3 * kSegment), kSegment, &read) ==
        PageState::kValid);
  CHECK_EQ(read.prev_crc, before.prev_crc);
  CHECK(read.term == before.term);
  CHECK_EQ(read.commit_time_us, before.commit_time_us);
}

TEST(log_format, every_flipped_bit_of_a_record_is_noticed) {
  const ChainState chain = FirstChain(CountingId());
  const Lsn lsn(kSegmentPageBytes);
  const std::vector<uint8_t> good = SampleRecord(chain, lsn);
  CHECK(Check(good, lsn, chain) == HeaderState::kValid);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::vector<uint8_t> bad = good;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    RecordHeader header;
    const HeaderState state = CheckRecordHeader(bad, lsn, kSegment, chain, &header);
    const bool noticed = state != HeaderState::kValid || !CheckRecordPayload(bad, header);
    CHECK(noticed);
  }
}

TEST(log_format, every_flipped_bit_of_a_segment_page_is_noticed) {
  std::array<uint8_t, kSegmentPageBytes> page;
  BuildSegmentPage(CountingId(), Lsn(kSegment), kSegment, ChainState(), page);
  for (size_t bit = 0; bit < page.size() * 8; ++bit) {
    page[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ChainState before;
    CHECK(CheckSegmentPage(page, CountingId(), Lsn(kSegment), kSegment, &before) !=
          PageState::kValid);
    page[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
  }
}

TEST(log_format, a_record_elsewhere_or_of_another_chain_is_bad) {
  const ChainState chain = FirstChain(CountingId());
  const Lsn lsn(kSegmentPageBytes);
  const std::vector<uint8_t> bytes = SampleRecord(chain, lsn);
  CHECK(Check(bytes, lsn + 8, chain) == HeaderState::kBad);
  CHECK(Check(bytes, lsn + kSegment, chain) == HeaderState::kBad);
  ChainState other = chain;
  other.prev_crc ^= 1;
  CHECK(Check(bytes, lsn, other) == HeaderState::kBad);
  CHECK(LooksLikeRecord(bytes, lsn, kSegment));  // on its own it is intact
  ChainState later = chain;
  later.term = Term(8);
  CHECK(Check(bytes, lsn, later) == HeaderState::kBad);
  later = chain;
  later.commit_time_us = 0x0102030405060709;
  CHECK(Check(bytes, lsn, later) == HeaderState::kBad);
}

TEST(log_format, zeros_are_no_record_but_no_damage_either) {
  const std::vector<uint8_t> zeros(kRecordHeaderBytes);
  CHECK(Check(zeros, Lsn(kSegmentPageBytes), ChainState()) == HeaderState::kZero);
}

// A header may be sealed correctly and still claim what cannot be.
TEST(log_format, sealed_lies_are_bad) {
  const ChainState chain = FirstChain(CountingId());
  const Lsn lsn(kSegmentPageBytes);
  const uint64_t most = MaxRecordPayload(kSegment);
  struct Lie {
    uint32_t length;
    uint8_t type, flags;
    HeaderState expected;
  };
  const uint8_t data = static_cast<uint8_t>(RecordType::kTransaction);
  const uint8_t padding = static_cast<uint8_t>(RecordType::kPadding);
  const uint32_t whole_rest =
      static_cast<uint32_t>(kSegment - kSegmentPageBytes - kRecordHeaderBytes);
  const Lie lies[] = {
      {static_cast<uint32_t>(most - 1), data, 0, HeaderState::kValid},
      {static_cast<uint32_t>(most), data, 0, HeaderState::kValid},
      {static_cast<uint32_t>(most + 1), data, 0, HeaderState::kBad},
      {0xffffffff, data, 0, HeaderState::kBad},
      {whole_rest, padding, 0, HeaderState::kValid},
      {whole_rest - 8, padding, 0, HeaderState::kBad},
      {whole_rest + 8, padding, 0, HeaderState::kBad},
      {0, 0, 0, HeaderState::kBad},
      {0, kMaxRecordType, 0, HeaderState::kValid},
      {0, kMaxRecordType + 1, 0, HeaderState::kBad},
      {0, data, kRecordFlagsMask, HeaderState::kValid},
      {0, data, kRecordFlagsMask + 1, HeaderState::kBad},
  };
  for (const Lie& lie : lies) {
    RecordHeader header{};
    header.length = lie.length;
    header.lsn = lsn.value;
    header.type = lie.type;
    header.flags = lie.flags;
    header.prev_crc = chain.prev_crc;
    SealRecordHeader(header);
    const Bytes bytes(reinterpret_cast<const uint8_t*>(&header), sizeof header);
    RecordHeader read;
    CHECK(CheckRecordHeader(bytes, lsn, kSegment, chain, &read) == lie.expected);
  }
}

TEST(log_format, segment_pages_of_other_places_and_versions) {
  std::array<uint8_t, kSegmentPageBytes> page;
  ChainState before;
  BuildSegmentPage(CountingId(), Lsn(kSegment), kSegment, ChainState(), page);
  CHECK(CheckSegmentPage(page, CountingId(), Lsn(), kSegment, &before) == PageState::kForeign);
  CHECK(CheckSegmentPage(page, Id128{}, Lsn(kSegment), kSegment, &before) == PageState::kForeign);
  CHECK(CheckSegmentPage(page, CountingId(), Lsn(kSegment), 2 * kSegment, &before) ==
        PageState::kForeign);
  StoreLe<uint32_t>(page.data() + 8, kLogFormatVersion + 1);
  StoreLe<uint32_t>(page.data() + 68, MaskCrc(Crc32c(Bytes(page).first(68))));
  CHECK(CheckSegmentPage(page, CountingId(), Lsn(kSegment), kSegment, &before) ==
        PageState::kNewer);
  page.fill(0);
  CHECK(CheckSegmentPage(page, CountingId(), Lsn(kSegment), kSegment, &before) == PageState::kZero);
}

ControlState SampleControl() {
  ControlState state;
  state.sequence = 5;
  state.environment_id = CountingId();
  state.group_id = CountingId();
  state.incarnation = 0x1122334455667788;
  state.segment_bytes = kSegment;
  state.created_us = 1'700'000'000'000'000;
  state.start = Lsn(kSegment);
  state.durable_mark = Lsn(kSegment + 5000);
  state.clean = true;
  state.lock_inode = 0x0123456789abcdef;
  state.consumers = {{"base", Lsn(kSegment + 4096), 0, 0, false},
                     {"replica 3", Lsn(kSegment), 1 << 20, 3'600'000'000, true}};
  return state;
}

TEST(control_file, golden_slot) {
  const std::vector<uint8_t> slot = EncodeControl(SampleControl());
  CHECK_EQ(slot.size(), kControlSlotBytes);
  CHECK_EQ(Crc32c(slot), kGoldenControlCrc);
  CHECK_VALUE(const ControlState read, DecodeControl(slot));
  CHECK(EncodeControl(read) == slot);
  CHECK_EQ(read.consumers.size(), size_t{2});
  CHECK_EQ(read.consumers[1].name, std::string("replica 3"));
  CHECK(read.consumers[1].broken);
}

// Version 1 ended with the consumers.
TEST(control_file, version_1_is_read) {
  std::vector<uint8_t> slot = EncodeControl(SampleControl());
  size_t end = kControlSlotBytes - 4;
  while (slot[end - 1] == 0) --end;
  std::fill_n(slot.begin() + static_cast<ptrdiff_t>(end) - 16, 16, uint8_t{0});
  StoreLe<uint32_t>(slot.data() + 8, 1);
  StoreLe<uint32_t>(slot.data() + kControlSlotBytes - 4,
                    MaskCrc(Crc32c(Bytes(slot).first(kControlSlotBytes - 4))));
  CHECK_EQ(Crc32c(slot), kGoldenFirstControlCrc);
  CHECK_VALUE(const ControlState read, DecodeControl(slot));
  CHECK_EQ(read.lock_inode, uint64_t{0});
  CHECK(!read.roll_back);
  CHECK_EQ(read.consumers.size(), size_t{2});
  CHECK_EQ(read.durable_mark, SampleControl().durable_mark);
}

TEST(control_file, roll_back_under_way_is_kept) {
  ControlState state = SampleControl();
  state.clean = false;
  state.roll_back = Lsn(kSegment + 4104);
  CHECK_VALUE(const ControlState read, DecodeControl(EncodeControl(state)));
  CHECK(read.roll_back == state.roll_back);
  // Not below the start, and never of a log that was closed.
  state.roll_back = Lsn(kSegment - 8);
  CHECK_CODE(DecodeControl(EncodeControl(state)).status(), Code::kCorruption);
  state.roll_back = Lsn(kSegment + 4104);
  state.clean = true;
  CHECK_CODE(DecodeControl(EncodeControl(state)).status(), Code::kCorruption);
}

TEST(control_file, every_flipped_bit_is_noticed) {
  std::vector<uint8_t> slot = EncodeControl(SampleControl());
  for (size_t bit = 0; bit < slot.size() * 8; ++bit) {
    slot[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    CHECK(!DecodeControl(slot).ok());
    slot[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
  }
}

// Resealed after each change, so that only the field checks stand between it and the caller.
TEST(control_file, sealed_lies_are_refused_or_harmless) {
  const std::vector<uint8_t> good = EncodeControl(SampleControl());
  for (size_t at = 0; at < 256; ++at) {
    for (uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::vector<uint8_t> slot = good;
      slot[at] = value;
      StoreLe<uint32_t>(slot.data() + kControlSlotBytes - 4,
                        MaskCrc(Crc32c(Bytes(slot).first(kControlSlotBytes - 4))));
      const auto read = DecodeControl(slot);
      if (read.ok()) CHECK(EncodeControl(read.value()) == slot);
    }
  }
}

TEST(control_file, later_version_is_said_so) {
  std::vector<uint8_t> slot = EncodeControl(SampleControl());
  StoreLe<uint32_t>(slot.data() + 8, 3);
  StoreLe<uint32_t>(slot.data() + kControlSlotBytes - 4,
                    MaskCrc(Crc32c(Bytes(slot).first(kControlSlotBytes - 4))));
  CHECK_CODE(DecodeControl(slot).status(), Code::kNewerFormat);
}

}  // namespace
}  // namespace ringleader
