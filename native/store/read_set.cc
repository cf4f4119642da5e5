#include "store/read_set.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include "base/mutant.h"

namespace ringleader {
namespace {

// As many are looked through one by one.
constexpr size_t kFewKeys = 16;
// Memory that Clear keeps.
constexpr size_t kKeptBytes = 4096;

uint64_t HashOf(Bytes row_key) {
  const std::string_view text(reinterpret_cast<const char*>(row_key.data()), row_key.size());
  return std::hash<std::string_view>()(text);
}

std::string ToText(Bytes bytes) { return std::string(bytes.begin(), bytes.end()); }

// Whether a range that ends at `high` reaches as far as `position`.
bool Reaches(const std::string& high, const std::string& position) {
  return high.empty() || high >= position;
}

// The further one of two ends.
const std::string& Further(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.empty() ? a : b;
  return std::max(a, b);
}

}  // namespace

bool ReadSet::Is(const Key& key, uint64_t hash, Bytes row_key) const {
  return key.hash == hash && std::ranges::equal(RowKeyOf(key), row_key);
}

void ReadSet::AddKey(Bytes row_key) {
  const uint64_t hash = HashOf(row_key);
  uint32_t* place = nullptr;
  if (keys_.size() < kFewKeys) {
    for (const Key& key : keys_) {
      if (Is(key, hash, row_key)) return;
    }
  } else {
    if (index_.size() < 2 * (keys_.size() + 1)) GrowIndex();
    place = PlaceOf(hash, row_key);
    if (*place != 0) return;
  }
  keys_.push_back({hash, bytes_.size(), static_cast<uint32_t>(row_key.size())});
  bytes_.insert(bytes_.end(), row_key.begin(), row_key.end());
  if (place != nullptr) *place = static_cast<uint32_t>(keys_.size());
}

// Where the key is, or would be. At least half of the places are free.
uint32_t* ReadSet::PlaceOf(uint64_t hash, Bytes row_key) {
  const size_t mask = index_.size() - 1;
  size_t at = hash & mask;
  while (index_[at] != 0 && !Is(keys_[index_[at] - 1], hash, row_key)) at = (at + 1) & mask;
  return &index_[at];
}

void ReadSet::GrowIndex() {
  index_.assign(std::max(8 * kFewKeys, 2 * index_.size()), 0);
  for (size_t i = 0; i < keys_.size(); ++i) {
    *PlaceOf(keys_[i].hash, RowKeyOf(keys_[i])) = static_cast<uint32_t>(i + 1);
  }
}

uint64_t ReadSet::bytes() const {
  return keys_.size() * sizeof(Key) + bytes_.size() + index_.size() * sizeof(uint32_t) +
         range_bytes_;
}

void ReadSet::Clear() {
  if (bytes_.capacity() > kKeptBytes) {
    keys_ = {};
    bytes_ = {};
    index_ = {};
  }
  keys_.clear();
  bytes_.clear();
  index_.clear();
  ranges_.clear();
  range_bytes_ = 0;
}

void ReadSet::AddRange(Bytes low, Bytes high) {
  if (RL_MUTANT(kIgnoreRanges)) return;
  if (!high.empty() && CompareRowKeys(low, high) >= 0) return;
  Range range{ToText(low), ToText(high)};
  if (!ranges_.empty()) {
    Range& last = ranges_.back();
    if (Reaches(last.high, range.low) && Reaches(range.high, last.low)) {
      last = Range{std::min(last.low, range.low), Further(last.high, range.high)};
      return;
    }
  }
  range_bytes_ += sizeof(Range) + low.size() + high.size();
  ranges_.push_back(std::move(range));
}

}  // namespace ringleader
