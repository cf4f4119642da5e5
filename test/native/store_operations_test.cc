// The payload of a transaction: its bytes, its limits, and what is no operation.
#include <sys/mman.h>

#include "base/coding.h"
#include "generation_fixture.h"
#include "store/operations.h"

namespace ringleader {
namespace {

using namespace test;

std::vector<uint8_t> Encode(OperationKind kind, const std::string& row_key,
                            const std::string& value) {
  std::vector<uint8_t> payload;
  AppendOperation({kind, BytesOf(row_key), BytesOf(value)}, &payload);
  return payload;
}

bool Damaged(Bytes payload) {
  OperationReader reader(payload);
  Operation operation;
  while (reader.Next(&operation)) {
  }
  CHECK(!reader.Next(&operation));  // for good
  const auto summary = SummarizePayload(payload);
  CHECK_EQ(summary.ok(), !reader.damaged());
  if (!summary.ok()) CHECK_EQ(summary.status().code(), Code::kCorruption);
  return reader.damaged();
}

TEST(store_operations, bytes_are_these) {
  const std::vector<uint8_t> put = Encode(OperationKind::kPut, RowKeyOf(0x01020304, "key"), "va");
  CHECK(put == (std::vector<uint8_t>{1, 0, 7, 0, 2, 0, 0, 0, 1, 2, 3, 4, 'k', 'e', 'y', 'v', 'a'}));
  const std::vector<uint8_t> remove = Encode(OperationKind::kRemove, RowKeyOf(5, "k"), "");
  CHECK(remove == (std::vector<uint8_t>{2, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 5, 'k'}));
}

TEST(store_operations, what_is_written_is_read) {
  std::mt19937_64 random(Seed());
  for (uint64_t round = 0; round < Scale(200); ++round) {
    std::vector<Change> changes(random() % 30);
    std::vector<uint8_t> payload;
    uint64_t overlay_bytes = 0;
    bool catalogue = false;
    for (Change& change : changes) {
      change.row_key = TrickyRowKey(random, 100);
      if (random() % 4 != 0) change.content = std::string(random() % 500, 'v');
      const std::string value = change.content.value_or("");
      AppendOperation({change.content ? OperationKind::kPut : OperationKind::kRemove,
                       BytesOf(change.row_key), BytesOf(value)},
                      &payload);
      overlay_bytes += Generation::InsertBytes(change.row_key.size(), value.size());
      catalogue |= LoadRowPrefix(BytesOf(change.row_key)) == kCatalogueId;
    }
    OperationReader reader(payload);
    Operation operation;
    for (const Change& change : changes) {
      CHECK(reader.Next(&operation));
      CHECK_EQ(operation.removes(), !change.content.has_value());
      CHECK(TextOf(operation.row_key) == change.row_key);
      CHECK(TextOf(operation.value) == change.content.value_or(""));
    }
    CHECK(!reader.Next(&operation) && !reader.damaged());
    CHECK_VALUE(const PayloadSummary summary, SummarizePayload(payload));
    CHECK_EQ(summary.operations, changes.size());
    CHECK_EQ(summary.overlay_bytes, overlay_bytes);
    CHECK_EQ(summary.changes_catalogue, catalogue);
  }
}

TEST(store_operations, every_cut_is_damage) {
  std::vector<uint8_t> payload = Encode(OperationKind::kPut, RowKeyOf(1, "first"), "one");
  const size_t whole = payload.size();
  AppendOperation({OperationKind::kRemove, BytesOf(RowKeyOf(1, "second")), {}}, &payload);
  for (size_t size = 0; size <= payload.size(); ++size) {
    // A copy of exactly this size: a byte too far is noticed.
    const std::vector<uint8_t> cut(payload.begin(), payload.begin() + static_cast<ptrdiff_t>(size));
    CHECK_EQ(Damaged(cut), size != 0 && size != whole && size != payload.size());
  }
}

TEST(store_operations, limits_are_exact) {
  const auto with = [](size_t offset, uint8_t byte) {
    std::vector<uint8_t> payload = Encode(OperationKind::kPut, RowKeyOf(1, "key"), "value");
    payload[offset] = byte;
    return Damaged(payload);
  };
  CHECK(!with(0, 1));
  for (const int kind : {0, 3, 255}) CHECK(with(0, static_cast<uint8_t>(kind)));
  CHECK(with(0, 2));  // a remove with a value
  CHECK(with(1, 1));

  const auto sized = [](size_t row_key_bytes) {
    std::vector<uint8_t> payload(kOperationHeaderBytes + row_key_bytes, 1);
    payload[1] = 0;
    payload[2] = static_cast<uint8_t>(row_key_bytes);
    payload[3] = static_cast<uint8_t>(row_key_bytes >> 8);
    std::fill(payload.begin() + 4, payload.begin() + 8, uint8_t{0});
    return Damaged(payload);
  };
  for (size_t size = 0; size < kMinRowKeyBytes; ++size) CHECK(sized(size));
  CHECK(!sized(kMinRowKeyBytes));
  CHECK(!sized(kMaxRowKeyBytes));
  CHECK(sized(kMaxRowKeyBytes + 1));

  CHECK(!Damaged(Encode(OperationKind::kPut, RowKeyOf(kMaxDatabaseId, "k"), "")));
  std::vector<uint8_t> notes = Encode(OperationKind::kPut, RowKeyOf(kMaxDatabaseId, "k"), "");
  notes[kOperationHeaderBytes + 3] = 0xff;
  CHECK(Damaged(notes));
}

TEST(store_operations, a_value_of_one_byte_too_many_is_damage) {
  // Only the header and the row key are looked at: the value costs address space and no memory.
  const std::vector<uint8_t> start = Encode(OperationKind::kPut, RowKeyOf(1, "k"), "");
  const size_t size = start.size() + kMaxValueBytes + 1;
  void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(at != MAP_FAILED);
  auto* const payload = static_cast<uint8_t*>(at);
  std::memcpy(payload, start.data(), start.size());
  const auto damaged = [&](uint64_t value_bytes) {
    StoreLe(payload + 4, static_cast<uint32_t>(value_bytes));
    return Damaged({payload, start.size() + value_bytes});
  };
  const bool at_limit = damaged(kMaxValueBytes);
  const bool above = damaged(kMaxValueBytes + 1);
  munmap(at, size);
  CHECK(!at_limit);
  CHECK(above);
}

}  // namespace
}  // namespace ringleader
