// Reads payloads of any bytes, and fills a generation from those that are whole.
//
// Whatever the bytes: the reader stays inside them, agrees with the summary about whether they are
// a payload, and gives back operations that encode to exactly what was read. A payload that passes
// goes into a generation, in no more memory than the summary said, and the last operation on every
// row is what is found there.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "store/generation.h"
#include "store/operations.h"

namespace ringleader {
namespace {

constexpr Lsn kLsn{77};

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "operations_fuzz: %s\n", what);
  std::abort();
}

std::string TextOf(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<Operation> ReadOperations(Bytes payload) {
  std::vector<Operation> operations;
  std::vector<uint8_t> again;
  OperationReader reader(payload);
  for (Operation operation; reader.Next(&operation);) {
    operations.push_back(operation);
    AppendOperation(operation, &again);
  }
  Require(again.size() <= payload.size(), "more than there was");
  Require(std::equal(again.begin(), again.end(), payload.begin()), "another encoding");
  Require(reader.damaged() == (again.size() != payload.size()), "the end is not told from damage");
  Operation ignored;
  Require(!reader.Next(&ignored), "goes on after the end");
  return operations;
}

void Fill(const std::vector<Operation>& operations, uint64_t overlay_bytes) {
  std::vector<uint64_t> memory(Generation::BytesFor(overlay_bytes) / sizeof(uint64_t));
  const MutableBytes bytes{reinterpret_cast<uint8_t*>(memory.data()),
                           memory.size() * sizeof(uint64_t)};
  Generation::Format(bytes, 1, 1);
  auto generation = Generation::Attach(bytes);
  Require(generation.ok(), "attach");
  std::map<std::string, const Operation*> last;
  for (const Operation& operation : operations) {
    const Status status =
        generation->Insert(kLsn, operation.row_key, generation->Hash(operation.row_key),
                           operation.removes(), operation.value);
    Require(status.ok(), "insert");
    last[TextOf(operation.row_key)] = &operation;
  }
  Require(generation->used_bytes() <= overlay_bytes, "more memory than the summary said");
  Require(generation->nodes() == last.size(), "nodes");
  Generation::Cursor cursor(generation.value());
  bool on = cursor.SeekAtLeast({});
  for (const auto& [row_key, operation] : last) {
    Row row;
    const Found expected = operation->removes() ? Found::kRemoved : Found::kValue;
    const Bytes key = operation->row_key;
    Require(generation->Find(key, generation->Hash(key), kLsn, &row) == expected, "find");
    Require(TextOf(row.value) == TextOf(operation->value), "value");
    Require(on && TextOf(cursor.row_key()) == row_key, "order");
    on = cursor.Next();
  }
  Require(!on && !cursor.damaged(), "rows that nobody wrote");
}

}  // namespace
}  // namespace ringleader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader;
  const Bytes payload{data, size};
  const std::vector<Operation> operations = ReadOperations(payload);
  auto summary = SummarizePayload(payload);
  size_t bytes = 0;
  for (const Operation& operation : operations) {
    bytes += kOperationHeaderBytes + operation.row_key.size() + operation.value.size();
  }
  Require(summary.ok() == (bytes == size), "reader and summary disagree");
  if (!summary.ok()) return 0;
  Require(summary->operations == operations.size(), "count");
  Fill(operations, summary->overlay_bytes);
  return 0;
}
