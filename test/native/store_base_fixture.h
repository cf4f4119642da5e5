// What the tests of the base tree share: an environment directory, keys, and a model.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "env/env.h"
#include "harness.h"
#include "store/base_tree.h"

namespace ringleader::test {

inline Bytes AsBytes(const std::string& text) {
  return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}
inline std::string AsText(Bytes bytes) { return std::string(bytes.begin(), bytes.end()); }

inline std::string RowKey(DatabaseId database, const std::string& key) {
  uint8_t prefix[kRowPrefixBytes];
  StoreRowPrefix(prefix, database);
  return std::string(prefix, prefix + sizeof prefix) + key;
}

inline BaseOptions TestBaseOptions() {
  BaseOptions options;
  options.environment_id.fill(7);
  options.start = Lsn(4096);
  return options;
}

inline std::unique_ptr<BaseTree> OpenBase(const std::string& directory,
                                          const BaseOptions& options = TestBaseOptions()) {
  CHECK_VALUE(auto base, BaseTree::Open(PosixEnv(), directory, options));
  return base;
}

struct ModelRow {
  uint64_t version = 0;
  std::string value;
  bool operator==(const ModelRow&) const = default;
};
using Model = std::map<std::string, ModelRow>;

inline void PutRow(BaseTree::Batch& batch, const std::string& key, uint64_t version,
                   const std::string& value) {
  CHECK_OK(batch.Put(AsBytes(key), Lsn(version), AsBytes(value)));
}

// One batch with these rows and nothing else.
inline void PutRows(BaseTree& base, const Model& rows, Lsn applied) {
  CHECK_VALUE(auto batch, base.Begin());
  for (const auto& [key, row] : rows) PutRow(*batch, key, row.version, row.value);
  CHECK_OK(batch->SetApplied(applied));
  CHECK_OK(batch->Commit());
}

inline std::optional<ModelRow> GetRow(BaseTree::Snapshot& snapshot, const std::string& key) {
  CHECK_VALUE(const auto row, snapshot.Get(AsBytes(key)));
  if (!row) return std::nullopt;
  return ModelRow{row->version.value, AsText(row->value)};
}

inline Model AllRows(BaseTree::Snapshot& snapshot) {
  Model rows;
  CHECK_VALUE(auto cursor, BaseTree::Cursor::Open(snapshot));
  CHECK_OK(cursor->SeekAtLeast({}));
  while (cursor->valid()) {
    const bool fresh =
        rows.emplace(AsText(cursor->row_key()),
                     ModelRow{cursor->row().version.value, AsText(cursor->row().value)})
            .second;
    CHECK(fresh);
    CHECK_OK(cursor->Next());
  }
  return rows;
}

inline std::string RandomText(std::mt19937_64& random, size_t bytes) {
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace ringleader::test
